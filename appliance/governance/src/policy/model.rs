//! Our words as Cedar's: the schema, and a question with the entities that it is about.

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    sync::LazyLock,
};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression, Schema,
};
use cloister_terms::{Action, CollectionId, TenantId};

use super::{Principal, Readable, Resource};

/// What policies can speak of. The file is the one that a site reads beside its own policies.
pub(super) const SCHEMA: &str = include_str!("../../../../systemd/policies/cloister.cedarschema");

/// The schema, read once; none if it cannot be, which a test excludes and in which case everything is denied.
pub(super) static MODEL: LazyLock<Option<Model>> = LazyLock::new(|| {
    let read = Model::read();
    read.inspect_err(|error| tracing::error!(%error, "the policies' schema cannot be read: everything is denied")).ok()
});

/// A question or a fault of it: a boxed error of Cedar's.
pub(super) type Asked<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The schema with the names that questions are made of.
pub(super) struct Model {
    pub(super) schema: Schema,
    actions: Entities,
    account: EntityTypeName,
    role: EntityTypeName,
    action: EntityTypeName,
    appliance: EntityTypeName,
    tenant: EntityTypeName,
    collection: EntityTypeName,
    document: EntityTypeName,
    capture: EntityTypeName,
    audit_log: EntityTypeName,
}

/// May this one do that to this?
pub(super) struct Question {
    pub(super) request: Request,
    pub(super) entities: Entities,
}

/// The pair (kind, id), as an entity's name.
fn named(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

/// The circumstances under which somebody does `action`.
fn circumstances(principal: &Principal, action: Action) -> Asked<Context> {
    let key_allows = principal.actions.as_ref().is_none_or(|limited| limited.contains(&action));
    let pairs = [("key_allows", key_allows), ("emergency", principal.emergency.is_some())];
    let pairs = pairs.map(|(name, holds)| (name.to_owned(), RestrictedExpression::new_bool(holds)));
    Ok(Context::from_pairs(pairs)?)
}

impl Model {
    fn read() -> Asked<Self> {
        let (schema, _warnings) = Schema::from_cedarschema_str(SCHEMA)?;
        Ok(Self {
            actions: schema.action_entities()?,
            schema,
            account: "Account".parse()?,
            role: "Role".parse()?,
            action: "Action".parse()?,
            appliance: "Appliance".parse()?,
            tenant: "Tenant".parse()?,
            collection: "Collection".parse()?,
            document: "Document".parse()?,
            capture: "Capture".parse()?,
            audit_log: "AuditLog".parse()?,
        })
    }

    /// Whether the schema lets `action` be done to `resource` at all.
    pub(super) fn applies(&self, action: Action, resource: &Resource) -> bool {
        let kind = match resource {
            Resource::Appliance => &self.appliance,
            Resource::Tenant(_) => &self.tenant,
            Resource::Collection(..) => &self.collection,
            Resource::Document(..) => &self.document,
            Resource::Capture(..) => &self.capture,
            Resource::AuditLog(_) => &self.audit_log,
        };
        let takes = self.schema.resources_for_action(&named(&self.action, action.as_str()));
        takes.is_some_and(|mut kinds| kinds.any(|taken| taken == kind))
    }

    /// The question as Cedar takes it. A `strict` one fails where the schema does not let the action be done to such a
    /// resource.
    pub(super) fn question(
        &self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
        strict: bool,
    ) -> Asked<Question> {
        let (target, mut entities) = self.resource(resource)?;
        let within = principal.tenant.as_ref().or(resource.tenant());
        entities.push(self.account(principal, within)?);
        if let Some(own) = &principal.tenant
            && resource.tenant() != Some(own)
        {
            entities.push(Entity::with_uid(named(&self.tenant, own.as_str())));
        }
        let caller = named(&self.account, principal.account.as_str());
        let action_name = named(&self.action, action.as_str());
        let circumstances = circumstances(principal, action)?;
        let request = Request::new(caller, action_name, target, circumstances, strict.then_some(&self.schema))?;
        Ok(Question { request, entities: self.actions.clone().add_entities(entities, None)? })
    }

    /// The caller. A list of collections is of its own tenant, or for one without a tenant of the one that is touched.
    fn account(&self, principal: &Principal, within: Option<&TenantId>) -> Asked<Entity> {
        let listed: Vec<RestrictedExpression> = match (&principal.collections, within) {
            (Readable::These(these), Some(tenant)) => these
                .iter()
                .map(|collection| RestrictedExpression::new_entity_uid(self.collection_name(tenant, collection)))
                .collect(),
            (Readable::These(_), None) | (Readable::All, _) => Vec::new(),
        };
        let labels = principal.labels.iter().map(|label| RestrictedExpression::new_string(label.as_str().to_owned()));
        let mut attributes = HashMap::from([
            (
                "all_collections".to_owned(),
                RestrictedExpression::new_bool(matches!(principal.collections, Readable::All)),
            ),
            ("person".to_owned(), RestrictedExpression::new_bool(principal.person)),
            ("collections".to_owned(), RestrictedExpression::new_set(listed)),
            ("labels".to_owned(), RestrictedExpression::new_set(labels)),
        ]);
        if let Some(tenant) = &principal.tenant {
            let tenant = named(&self.tenant, tenant.as_str());
            attributes.insert("tenant".to_owned(), RestrictedExpression::new_entity_uid(tenant));
        }
        let role = HashSet::from([named(&self.role, principal.role.as_str())]);
        Ok(Entity::new(named(&self.account, principal.account.as_str()), attributes, role)?)
    }

    /// The resource's name, and it with all that it is in.
    fn resource(&self, resource: &Resource) -> Asked<(EntityUid, Vec<Entity>)> {
        let tenant = |tenant: &TenantId| named(&self.tenant, tenant.as_str());
        let inside = |name: &EntityUid, parent: EntityUid| Entity::new_no_attrs(name.clone(), HashSet::from([parent]));
        Ok(match resource {
            Resource::Appliance => {
                let name = named(&self.appliance, "this");
                (name.clone(), vec![Entity::with_uid(name)])
            }
            Resource::Tenant(own) => (tenant(own), vec![Entity::with_uid(tenant(own))]),
            Resource::Collection(own, collection) => {
                let name = self.collection_name(own, collection);
                let entities = vec![inside(&name, tenant(own)), Entity::with_uid(tenant(own))];
                (name, entities)
            }
            Resource::Document(own, collection, document) => {
                let name = named(&self.document, &format!("{own}/{collection}/{document}"));
                let (parent, mut entities) = self.resource(&Resource::Collection(own.clone(), collection.clone()))?;
                entities.push(inside(&name, parent));
                (name, entities)
            }
            Resource::Capture(own, capture) => {
                let name = named(&self.capture, &format!("{own}/{capture}"));
                let entities = vec![inside(&name, tenant(own)), Entity::with_uid(tenant(own))];
                (name, entities)
            }
            // No tenant can be called `*`.
            Resource::AuditLog(None) => {
                let name = named(&self.audit_log, "*");
                (name.clone(), vec![Entity::with_uid(name)])
            }
            Resource::AuditLog(Some(own)) => {
                let name = named(&self.audit_log, own.as_str());
                let entities = vec![inside(&name, tenant(own)), Entity::with_uid(tenant(own))];
                (name, entities)
            }
        })
    }

    /// Two tenants may have collections of one name: the tenant's is part of it. Neither can contain a `/`.
    fn collection_name(&self, tenant: &TenantId, collection: &CollectionId) -> EntityUid {
        named(&self.collection, &format!("{tenant}/{collection}"))
    }
}
