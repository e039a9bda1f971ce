use std::collections::BTreeSet;

use cedar_policy::{Entities, PolicySet};
use cloister_terms::{CollectionId, Role, TenantId};

use super::*;

mod table;

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn principal(role: Role, tenant: Option<&str>) -> Principal {
    Principal { name: "x".to_owned(), ..Principal::local(role, tenant.map(|name| name.parse().unwrap())) }
}

/// One that may read the collection `faq` only.
fn listing(role: Role, tenant: Option<&str>) -> Principal {
    let collections = Readable::These(BTreeSet::from(["faq".parse().unwrap()]));
    Principal { collections, ..principal(role, tenant) }
}

fn collection(of: &str, name: &str) -> Resource {
    Resource::Collection(tenant(of), name.parse().unwrap())
}

fn document(of: &str, name: &str) -> Resource {
    Resource::Document(tenant(of), name.parse().unwrap(), "0".repeat(32).parse().unwrap())
}

fn capture(of: &str) -> Resource {
    Resource::Capture(tenant(of), "0".repeat(32).parse().unwrap())
}

fn permitted(policy: &Policy, principal: &Principal, action: Action, resource: &Resource) -> bool {
    matches!(policy.decide(principal, action, resource), Decision::Permit(_))
}

fn denial(principal: &Principal, action: Action, resource: &Resource) -> Denial {
    match Policy::built_in().decide(principal, action, resource) {
        Decision::Deny { reason, .. } => reason,
        Decision::Permit(_) => panic!("{action} was permitted"),
    }
}

/// The packaged policies with those of a site.
fn with(site: &str) -> Result<Policy, InvalidRules> {
    Rules::with(&[Source { name: "site.cedar".to_owned(), text: site.to_owned() }]).map(Policy::of)
}

#[test]
fn the_packaged_policies_are_valid_and_say_what_they_are_for() {
    let rules = Rules::packaged().unwrap_or_else(|error| panic!("{error}"));
    assert!(rules.stated().count() > 8);
    for policy in rules.stated() {
        assert!(policy.why.ends_with('.') && policy.why.split(' ').count() > 5, "{policy:?}");
        assert!(policy.is_packaged() && policy.line > 1, "{policy:?}");
    }
    assert_eq!(rules.version().len(), 64);
    assert_eq!(rules.version(), Rules::packaged().unwrap().version());
}

#[test]
fn the_schema_has_every_action_and_role_and_no_other() {
    let model = MODEL.as_ref().unwrap();
    let groups: BTreeSet<String> =
        model.schema.action_groups().map(|group| group.id().unescaped().to_owned()).collect();
    let actions: BTreeSet<String> = model.schema.actions().map(|action| action.id().unescaped().to_owned()).collect();
    let ours: BTreeSet<String> = Action::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(
        actions.difference(&groups).cloned().collect::<BTreeSet<_>>(),
        ours,
        "an action is in terms/src/action.rs or in systemd/policies/cloister.cedarschema and not in the other"
    );
    for role in Role::ALL {
        let policy = format!("@id(\"a\") @why(\"b\") permit(principal in Role::\"{role}\", action, resource);");
        with(&policy).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn what_is_told_about_callers_and_resources_fits_the_schema() {
    let model = MODEL.as_ref().unwrap();
    for cell in table::cells() {
        let Ok(question) = model.question(&cell.principal, cell.action, &cell.resource, true) else { continue };
        // Actions are the schema's own and are added by it.
        let entities =
            question.entities.iter().filter(|entity| entity.uid().type_name().to_string() != "Action").cloned();
        Entities::from_entities(entities, Some(&model.schema)).unwrap();
    }
}

#[test]
fn an_operator_reads_no_question_answer_or_document() {
    for action in [Action::Ask, Action::Search, Action::ReadDocument, Action::ListCollections, Action::Generate] {
        for tenant in [None, Some("a")] {
            let reason = denial(&principal(Role::Operator, tenant), action, &Resource::Tenant("a".parse().unwrap()));
            assert_eq!(reason, Denial::Role { role: Role::Operator, action });
        }
    }
}

#[test]
fn a_raw_capture_is_read_by_nobody_until_a_site_says_by_whom() {
    for role in Role::ALL {
        let reason = denial(&principal(*role, Some("a")), Action::ReadRawCapture, &capture("a"));
        assert_eq!(reason, Denial::Role { role: *role, action: Action::ReadRawCapture });
    }
    let site = with(
        "@id(\"raw\") @why(\"The privacy officer reads raw captures.\")
         permit(principal in Role::\"compliance\", action == Action::\"read_raw_capture\", resource);",
    )
    .unwrap();
    assert!(permitted(&site, &principal(Role::Compliance, None), Action::ReadRawCapture, &capture("a")));
    assert!(!permitted(&site, &principal(Role::Compliance, Some("b")), Action::ReadRawCapture, &capture("a")));
}

#[test]
fn a_denial_says_what_was_missing() {
    let agent = listing(Role::Agent, Some("a"));
    assert_eq!(denial(&agent, Action::Ask, &Resource::Appliance), Denial::NeedsTenant { action: Action::Ask });
    assert_eq!(denial(&agent, Action::Search, &collection("b", "faq")), Denial::Tenant);
    assert_eq!(denial(&agent, Action::Search, &collection("a", "staff")), Denial::Collection);
    assert_eq!(denial(&agent, Action::ReadDocument, &document("a", "staff")), Denial::Collection);
    let key = Principal { actions: Some(BTreeSet::from([Action::Ask])), ..principal(Role::Agent, Some("a")) };
    let reason = denial(&key, Action::Search, &collection("a", "faq"));
    assert_eq!(
        (reason.to_string().as_str(), reason.code()),
        ("the key that was shown is not for `search`", "key_not_for_action")
    );
    let key = Principal { actions: Some(BTreeSet::from([Action::ReadAudit])), ..key };
    assert!(matches!(denial(&key, Action::ReadAudit, &Resource::AuditLog(Some(tenant("a")))), Denial::Role { .. }));
    let reason = denial(&principal(Role::Operator, None), Action::Ask, &Resource::Appliance);
    assert_eq!(reason.to_string(), "the role `operator` does not include `ask`");
    assert_eq!(reason.code(), "role_not_allowed");
    let all: [CollectionId; 2] = ["faq".parse().unwrap(), "staff".parse().unwrap()];
    assert_eq!(agent.collections.among(all), ["faq".parse::<CollectionId>().unwrap()]);
}

#[test]
fn a_permit_carries_what_was_decided_and_what_decided_it() {
    let agent = principal(Role::Agent, Some("a"));
    let policy = Policy::built_in();
    let Decision::Permit(permit) = policy.decide(&agent, Action::Ask, &Resource::Tenant(tenant("a"))) else {
        panic!("denied");
    };
    assert_eq!((permit.action(), permit.tenant()), (Action::Ask, Some(&tenant("a"))));
    assert_eq!(permit.principal(), &agent);
    assert_eq!(permit.basis().policies(), ["staff-ask-and-read"]);
    assert_eq!(permit.basis().set(), policy.rules().version());
    let denied = policy.decide(&agent, Action::Ask, &Resource::Tenant(tenant("b")));
    assert_eq!(denied.basis().policies(), ["no-other-tenant"]);
}

#[test]
fn a_permit_under_emergency_access_carries_what_it_opens_and_no_other_permit_does() {
    let labels = BTreeSet::from(["pharmacist".parse().unwrap()]);
    let emergency = Some(Emergency { id: 7.into(), labels: labels.clone() });
    let agent = Principal { emergency, ..listing(Role::Agent, Some("a")) };
    let policy = Policy::built_in();
    let permit = |who: &Principal, action, on: &Resource| match policy.decide(who, action, on) {
        Decision::Permit(permit) => permit,
        other @ Decision::Deny { .. } => panic!("{other:?}"),
    };
    let asked = permit(&agent, Action::Ask, &Resource::Tenant(tenant("a")));
    assert_eq!((asked.collections(), asked.labels()), (&Readable::All, &labels));
    assert_eq!(asked.basis().policies(), [EMERGENCY, "staff-ask-and-read"]);
    let ended = permit(&agent, Action::EndSession, &Resource::Tenant(tenant("a")));
    assert_eq!((ended.collections(), ended.labels().len()), (&agent.collections, 0));
    let program = Principal { person: false, ..agent };
    let asked = permit(&program, Action::Ask, &Resource::Tenant(tenant("a")));
    assert_eq!((asked.collections(), asked.labels().len()), (&program.collections, 0));
    let key = Principal { emergency: None, ..program };
    assert_eq!(denial(&key, Action::BreakGlass, &Resource::Tenant(tenant("a"))).code(), "person_needed");
    let operator = denial(&principal(Role::Operator, None), Action::BreakGlass, &Resource::Tenant(tenant("a")));
    assert_eq!(operator, Denial::Role { role: Role::Operator, action: Action::BreakGlass });
}

#[test]
fn a_site_permits_more_and_forbids_more_but_opens_no_boundary() {
    let wide = with("@id(\"all\") @why(\"Everything.\") permit(principal, action, resource);").unwrap();
    assert!(permitted(&wide, &principal(Role::Service, Some("a")), Action::ReadDocument, &document("a", "faq")));
    for (who, action, resource) in [
        (principal(Role::Agent, Some("a")), Action::Search, collection("b", "faq")),
        (listing(Role::Agent, Some("a")), Action::Search, collection("a", "staff")),
        (principal(Role::Operator, None), Action::ReadDocument, document("a", "faq")),
        (principal(Role::Operator, None), Action::ReadCapture, capture("a")),
        (principal(Role::Administrator, None), Action::ReadRawCapture, capture("a")),
        (principal(Role::Agent, None), Action::Ask, Resource::Tenant(tenant("a"))),
    ] {
        assert!(!permitted(&wide, &who, action, &resource), "{who:?} {action}");
    }
    let narrow = "@id(\"no-search-for-students\") @why(\"Students only ask.\")
        forbid(principal in Role::\"agent\", action == Action::\"search\", resource) when { !principal.labels.contains(\"staff\") };";
    let narrow = with(narrow).unwrap();
    let Decision::Deny { reason, basis } =
        narrow.decide(&principal(Role::Agent, Some("a")), Action::Search, &collection("a", "faq"))
    else {
        panic!("permitted");
    };
    assert_eq!(reason.to_string(), "the site's policy `no-search-for-students` forbids it");
    assert_eq!((reason.code(), basis.policies()), ("forbidden_by_policy", &["no-search-for-students".to_owned()][..]));
    assert_ne!(basis.set(), Policy::built_in().rules().version());
}

#[test]
fn a_policy_that_cannot_be_evaluated_denies() {
    let agent = principal(Role::Agent, Some("a"));
    for effect in ["permit", "forbid"] {
        let text = format!(
            "@id(\"broken\") @why(\"It overflows.\") {effect}(principal, action == Action::\"ask\", resource)
             when {{ 9223372036854775807 + 1 > 0 }};"
        );
        let policy = with(&text).unwrap();
        let asked = policy.decide(&agent, Action::Ask, &Resource::Tenant(tenant("a")));
        assert!(matches!(asked, Decision::Deny { reason: Denial::Undecided, .. }), "{effect}: {asked:?}");
        assert!(permitted(&policy, &agent, Action::Search, &collection("a", "faq")), "{effect}");
    }
}

#[test]
fn a_mistake_is_named_with_its_file_its_line_and_what_to_do() {
    for (text, line, said) in [
        ("\n\npermit(principal, action, resource)", 3, "mend"),
        ("\npermit(principal, action, resource);", 2, "@id"),
        ("@id(\"Jane Roe\") @why(\"x\") permit(principal, action, resource);", 1, "@id"),
        ("@id(\"a\")\npermit(principal, action, resource);", 1, "@why"),
        ("@id(\"no-other-tenant\")\n@why(\"x\") permit(principal, action, resource);", 1, "another `@id`"),
        ("@id(\"a\") @why(\"x\")\npermit(principal, action == Action::\"fly\", resource);", 2, "fly"),
        ("@id(\"a\") @why(\"x\")\npermit(principal in Role::\"nurse\", action, resource);", 2, "nurse"),
        ("@id(\"a\") @why(\"x\")\npermit(principal, action, resource)\nwhen { principal.age > 3 };", 3, "age"),
        ("@id(\"a\") @why(\"x\")\npermit(principal, action, resource)\nwhen { principal.labels > 3 };", 3, "type"),
        ("@id(\"a\") @why(\"x\")\npermit(principal, action == Action::\"ask\", resource is Document);", 1, "a"),
        ("@id(\"a\") @why(\"x\") permit(principal == ?principal, action, resource);", 1, "template"),
    ] {
        let faults = with(text).map(|_| panic!("accepted: {text}")).unwrap_err().0;
        let fault = faults.first().unwrap();
        assert_eq!(fault.file, "site.cedar", "{text}");
        assert_eq!(fault.line, line, "{text}: {fault}");
        assert!(fault.to_string().contains(said), "{text}: {fault}");
    }
}

#[test]
fn every_mistake_of_a_set_is_named_at_once() {
    let text = "permit(principal, action, resource);\n@id(\"a\") permit(principal, action, resource);\n";
    assert_eq!(with(text).unwrap_err().0.len(), 2);
}

#[test]
fn a_new_set_holds_from_the_next_decision_for_every_holder() {
    let (policy, agent, ask) = (Policy::built_in(), principal(Role::Agent, Some("a")), Resource::Tenant(tenant("a")));
    let held = policy.clone();
    assert!(permitted(&held, &agent, Action::Ask, &ask));
    policy.replace(Rules::none(), None);
    assert!(!permitted(&held, &agent, Action::Ask, &ask));
}

#[test]
fn a_folders_policies_are_its_cedar_files_and_a_missing_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let packaged = Rules::load(None).unwrap();
    let empty = Rules::load(Some(folder.path())).unwrap_err();
    assert!(matches!(empty, FolderError::Unreadable { .. }), "{empty}");
    let text = "@id(\"a\") @why(\"b\") forbid(principal, action == Action::\"ask\", resource);";
    std::fs::write(folder.path().join("20-ask.cedar"), text).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "not a policy").unwrap();
    let rules = Rules::load(Some(folder.path())).unwrap();
    assert_eq!(rules.stated().count(), packaged.stated().count() + 1);
    assert!(rules.find("a").unwrap().file.ends_with("20-ask.cedar"));
    std::fs::write(folder.path().join("30-more.cedar"), "permit(").unwrap();
    let error = Rules::load(Some(folder.path())).unwrap_err();
    assert!(error.to_string().contains("30-more.cedar:1: "), "{error}");
    let absent = Rules::load(Some(&folder.path().join("absent"))).unwrap_err();
    assert!(matches!(absent, FolderError::Unreadable { .. }), "{absent}");
}

#[test]
fn a_set_on_trial_is_asked_and_obeyed_in_nothing() {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let telling = told.clone();
    let policy = Policy::built_in().telling(move |difference| {
        let (action, by) = (difference.action, (difference.policies.to_vec(), difference.shadow.to_vec()));
        telling.lock().unwrap().push((action, difference.allowed, by));
    });
    let text = "@id(\"no-search\") @why(\"b\") forbid(principal, action == Action::\"search\", resource);";
    let shadow = Rules::with(&[Source { name: "s".to_owned(), text: text.to_owned() }]).unwrap();
    policy.replace(Rules::packaged().unwrap(), Some(shadow));
    let agent = principal(Role::Agent, Some("a"));
    assert!(permitted(&policy, &agent, Action::Search, &collection("a", "faq")));
    assert!(permitted(&policy, &agent, Action::Ask, &Resource::Tenant(tenant("a"))));
    assert!(!permitted(&policy, &agent, Action::Search, &collection("b", "faq")));
    let by = (vec!["staff-ask-and-read".to_owned()], vec!["no-search".to_owned()]);
    assert_eq!(*told.lock().unwrap(), [(Action::Search, true, by)]);
}

#[test]
fn a_resource_is_written_as_it_is_read() {
    for text in ["appliance", "tenant:a", "collection:a/faq", "audit", "audit:a"] {
        assert_eq!(text.parse::<Resource>().unwrap().to_string(), text);
    }
    for resource in [document("a", "faq"), capture("a")] {
        assert_eq!(resource.to_string().parse(), Ok(resource));
    }
    for text in
        ["", "tenant:", "tenant:A b", "collection:a", "collection:a/b/c", "document:a/b/c", "audit:a/b", "machine"]
    {
        assert!(text.parse::<Resource>().is_err(), "{text}");
    }
}

/// The packaged policies.
fn packaged() -> Source {
    let text = include_str!("../../../../systemd/policies/cloister.cedar").to_owned();
    Source { name: "cloister.cedar".to_owned(), text }
}

/// The packaged policies without the one of that id.
fn without(id: &str) -> Source {
    let set: PolicySet = packaged().text.parse().unwrap();
    let left = set.policies().filter(|policy| policy.annotation("id") != Some(id));
    Source { name: "mutant".to_owned(), text: left.map(ToString::to_string).collect::<Vec<_>>().join("\n") }
}

#[test]
fn the_table_misses_every_policy_that_is_taken_away() {
    for policy in Rules::packaged().unwrap().stated() {
        assert!(!table::mismatches(&without(&policy.id)).is_empty(), "nobody misses `{}`", policy.id);
    }
}

#[test]
fn the_table_catches_a_policy_that_is_loosened() {
    let text = packaged().text;
    for (from, to) in [
        ("resource in principal.tenant ||", "true ||"),
        ("principal has tenant ||", "true ||"),
        ("principal.all_collections ||", "true ||"),
        ("context.emergency &&\n    principal.person &&", "principal.person &&"),
        ("context.emergency &&\n    principal.person &&", "context.emergency &&"),
        ("&& context.emergency && principal.person &&", "&& principal.person &&"),
        ("(action in Action::\"consulting\" && context.emergency", "(context.emergency"),
        ("&& context.emergency && principal.person &&", "&& context.emergency &&"),
        ("principal.person && principal in [Role::\"agent\"", "principal in [Role::\"agent\""),
        ("unless { context.key_allows }", "unless { context.key_allows || resource is Document }"),
        ("resource is Collection ||", "false ||"),
        ("|| resource is Document", "|| false"),
        ("action in Action::\"reading\"", "action == Action::\"ask\""),
        ("principal in Role::\"knowledge_manager\",", "principal,"),
        ("principal in Role::\"service\",", "principal,"),
        ("principal in Role::\"compliance\",", "principal,"),
        ("principal in Role::\"operator\",", "principal,"),
        ("principal in Role::\"administrator\",", "principal,"),
        ("unless { principal in Role::\"compliance\" }", ""),
        ("[Role::\"agent\", Role::\"reviewer\", Role::\"knowledge_manager\"]", "[Role::\"agent\", Role::\"service\"]"),
        ("Action::\"manage_policy\"]", "Action::\"manage_policy\", Action::\"manage_models\"]"),
    ] {
        assert!(text.contains(from), "the policies no longer say {from}");
        let mutant = Source { name: "mutant".to_owned(), text: text.replacen(from, to, 1) };
        // What validation refuses is never in force: the mutant dies there.
        if Rules::of(std::slice::from_ref(&mutant)).is_ok() {
            assert!(!table::mismatches(&mutant).is_empty(), "nobody catches {from} -> {to}");
        }
    }
}
