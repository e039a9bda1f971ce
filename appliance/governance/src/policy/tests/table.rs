//! Who may do what, written out by hand, and every cell of it asked.

use cloister_terms::EmergencyId;

use super::*;

/// Which role may do which action, within its own tenant and its own collections. `on` says to what the action is done:
/// the Appliance, a Tenant, a Collection, a Document, a sealed capture (K), the audit Log. A new action needs a row here,
/// a place in `systemd/policies/cloister.cedarschema`, and a policy in `systemd/policies/cloister.cedar` that permits it to
/// someone.
const ACTIONS: &str = "
    action               on  agent reviewer knowledge_manager compliance operator administrator service
    ask                  TC  yes   yes      yes               -          -        -             yes
    search               TC  yes   yes      yes               -          -        -             yes
    generate             AT  -     -        -                 -          -        -             yes
    embed                AT  -     -        -                 -          -        -             yes
    rerank               AT  -     -        -                 -          -        -             yes
    run_batch            T   -     -        -                 -          -        -             yes
    read_batch           T   -     -        -                 -          -        -             yes
    apply_guardrail      T   -     -        yes               -          -        -             yes
    read_guardrails      T   -     -        yes               yes        -        yes           yes
    manage_guardrails    T   -     -        -                 -          -        yes           -
    list_models          AT  yes   yes      yes               -          yes      yes           yes
    list_collections     TC  yes   yes      yes               -          -        -             yes
    read_document        CD  yes   yes      yes               -          -        -             -
    manage_collection    TC  -     -        yes               -          -        -             -
    manage_documents     TC  -     -        yes               -          -        -             -
    maintain_index       TC  -     -        yes               -          yes      -             -
    manage_models        AT  -     -        -                 -          yes      -             -
    manage_accounts      AT  -     -        -                 -          -        yes           -
    manage_policy        AT  -     -        -                 -          -        yes           -
    read_audit           L   -     -        -                 yes        -        -             -
    manage_audit         L   -     -        -                 yes        -        -             -
    list_captures        T   -     -        -                 yes        -        -             -
    read_capture         K   -     -        -                 yes        -        -             -
    read_raw_capture     K   -     -        -                 -          -        -             -
    reidentify           T   -     -        -                 -          -        -             -
    export_deidentified  T   -     -        -                 -          -        -             -
    manage_captures      T   -     -        -                 yes        -        -             -
    manage_keys          AT  -     -        -                 -          -        yes           -
    manage_tenants       AT  -     -        -                 -          -        yes           -
    manage_backups       AT  -     -        -                 -          yes      yes           -
    use_key              AT  -     -        -                 -          -        -             -
    read_metrics         AT  -     -        -                 yes        yes      yes           -
    evaluate             TC  -     -        yes               -          -        -             -
    sign_in              AT  yes   yes      yes               yes        yes      yes           yes
    sign_out             AT  yes   yes      yes               yes        yes      yes           yes
    end_session          AT  yes   yes      yes               yes        yes      yes           yes
    break_glass          T   yes   yes      yes               -          -        -             -
    review_break_glass   AT  -     -        -                 yes        -        -             -
";

/// Where what the role may do stays allowed, by how the account stands to what is touched: all of it, or what
/// [`CONSULTING`] lists.
const RELATIONS: &str = "
    relation             agent reviewer knowledge_manager compliance operator administrator service
    own                  yes   yes      yes               yes        yes      yes           yes
    listed               yes   yes      yes               yes        yes      yes           yes
    unlisted             -     -        -                 -          -        -             -
    other                -     -        -                 -          -        -             -
    tenantless           -     -        -                 yes        yes      yes           -
    whole                -     -        -                 -          -        -             -
    tenantless_whole     -     -        -                 yes        yes      yes           -
    machine              yes   yes      yes               yes        yes      yes           yes
    key_for              yes   yes      yes               yes        yes      yes           yes
    key_for_another      -     -        -                 -          -        -             -
    program              yes   yes      yes               yes        yes      yes           yes
    emergency            read  read     read              -          -        -             -
    emergency_own        yes   yes      yes               yes        yes      yes           yes
    emergency_other      -     -        -                 -          -        -             -
    emergency_program    -     -        -                 -          -        -             -
    emergency_by_key     yes   yes      yes               yes        yes      yes           yes
    emergency_key        -     -        -                 -          -        -             -
";

/// What keepers of the machine never do, whatever a site's own policies permit.
const READING: &[&str] =
    &["ask", "search", "list_collections", "evaluate", "read_document", "generate", "run_batch", "read_batch"];

/// What operators and administrators never do, whatever a site's own policies permit.
const CAPTURES: &[&str] = &["read_capture", "read_raw_capture", "reidentify", "export_deidentified"];

/// Whether an action is closed to a role for good.
fn never(role: Role, action: &str) -> bool {
    site_wide(role) && (READING.contains(&action) || (role != Role::Compliance && CAPTURES.contains(&action)))
}

/// What emergency access opens, and to whom.
const CONSULTING: &[&str] = &["ask", "search", "list_collections", "read_document"];
const STAFF: &[Role] = &[Role::Agent, Role::Reviewer, Role::KnowledgeManager];

/// A site's policy that permits everything: what is denied under it is denied by a boundary.
const OPEN: &str = "@id(\"open\") @why(\"Everything.\") permit(principal, action, resource);";

/// A question and the answer that it must have.
pub(super) struct Cell {
    relation: &'static str,
    pub(super) principal: Principal,
    pub(super) action: Action,
    pub(super) resource: Resource,
    expected: bool,
    /// The answer where a site permits everything.
    open: bool,
    /// Whether the emergency access is what it rests on, so that the record says so.
    by_emergency: bool,
}

/// The lines of a table after its head, and the roles that the head names.
fn read(table: &'static str, skip: usize) -> (Vec<Role>, Vec<Vec<&'static str>>) {
    let mut lines =
        table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).filter(|line| !line.is_empty());
    let roles = lines.next().unwrap()[skip..].iter().map(|word| word.parse().unwrap()).collect();
    (roles, lines.collect())
}

/// Who asks what in a relation, by the kind of thing; none where the relation has no such thing.
fn question(relation: &str, kind: char, role: Role, action: Action) -> Option<(Principal, Resource)> {
    let own = principal(role, Some("a"));
    let limited = |to: Vec<Action>| Principal { actions: Some(to.into_iter().collect()), ..own.clone() };
    let another = || Action::ALL.iter().copied().filter(|other| *other != action).collect();
    Some(match (relation, kind) {
        ("own", 'T') => (own, Resource::Tenant(tenant("a"))),
        ("own", 'C') => (own, collection("a", "faq")),
        ("own", 'D') => (own, document("a", "faq")),
        ("own", 'K') => (own, capture("a")),
        ("own", 'L') => (own, Resource::AuditLog(Some(tenant("a")))),
        ("listed", 'C') => (listing(role, Some("a")), collection("a", "faq")),
        ("listed", 'D') => (listing(role, Some("a")), document("a", "faq")),
        ("unlisted", 'C') => (listing(role, Some("a")), collection("a", "staff")),
        ("unlisted", 'D') => (listing(role, Some("a")), document("a", "staff")),
        ("other", 'T') => (own, Resource::Tenant(tenant("b"))),
        ("other", 'C') => (listing(role, Some("a")), collection("b", "faq")),
        ("other", 'D') => (listing(role, Some("a")), document("b", "faq")),
        ("other", 'K') => (own, capture("b")),
        ("other", 'L') => (own, Resource::AuditLog(Some(tenant("b")))),
        ("tenantless", 'T') => (principal(role, None), Resource::Tenant(tenant("a"))),
        ("tenantless", 'C') => (principal(role, None), collection("a", "faq")),
        ("tenantless", 'D') => (principal(role, None), document("a", "faq")),
        ("tenantless", 'K') => (principal(role, None), capture("a")),
        ("tenantless", 'L') => (principal(role, None), Resource::AuditLog(Some(tenant("a")))),
        ("whole", 'L') => (own, Resource::AuditLog(None)),
        ("tenantless_whole", 'L') => (principal(role, None), Resource::AuditLog(None)),
        ("machine", 'A') => (own, Resource::Appliance),
        ("key_for", 'T') => (limited(vec![action]), Resource::Tenant(tenant("a"))),
        ("key_for", 'D') => (limited(vec![action]), document("a", "faq")),
        ("key_for_another", 'T') => (limited(another()), Resource::Tenant(tenant("a"))),
        ("key_for_another", 'D') => (limited(another()), document("a", "faq")),
        ("key_for_another", 'A') => (limited(another()), Resource::Appliance),
        ("program", 'T') => (Principal { person: false, ..own }, Resource::Tenant(tenant("a"))),
        ("program", 'D') => (Principal { person: false, ..own }, document("a", "faq")),
        ("emergency", 'C') => (emergency(listing(role, Some("a"))), collection("a", "staff")),
        ("emergency", 'D') => (emergency(listing(role, Some("a"))), document("a", "staff")),
        ("emergency_own", 'T') => (emergency(own), Resource::Tenant(tenant("a"))),
        ("emergency_own", 'C') => (emergency(own), collection("a", "faq")),
        ("emergency_other", 'T') => (emergency(own), Resource::Tenant(tenant("b"))),
        ("emergency_other", 'C') => (emergency(listing(role, Some("a"))), collection("b", "faq")),
        ("emergency_other", 'D') => (emergency(own), document("b", "faq")),
        ("emergency_program", 'C') => {
            (Principal { person: false, ..emergency(listing(role, Some("a"))) }, collection("a", "staff"))
        }
        ("emergency_by_key", 'T') => (Principal { person: false, ..emergency(own) }, Resource::Tenant(tenant("a"))),
        ("emergency_key", 'T') => (emergency(limited(another())), Resource::Tenant(tenant("a"))),
        _ => return None,
    })
}

/// Every cell: action, role and relation, on each kind of thing, also those that the action is not for.
pub(super) fn cells() -> Vec<Cell> {
    let (roles, actions) = read(ACTIONS, 2);
    let (same, relations) = read(RELATIONS, 1);
    assert_eq!(roles, same);
    assert_eq!(roles, Role::ALL, "a role is missing from the table");
    assert_eq!(
        actions.iter().map(|row| row[0]).collect::<Vec<_>>(),
        Action::ALL.iter().map(|action| action.as_str()).collect::<Vec<_>>(),
        "an action is missing from the table, or they are in another order than in terms/src/action.rs"
    );
    let mut cells = Vec::new();
    for (action, row) in Action::ALL.iter().zip(&actions) {
        for relation in &relations {
            for (at, role) in roles.iter().enumerate() {
                for kind in ['A', 'T', 'C', 'D', 'K', 'L'] {
                    let Some((principal, resource)) = question(relation[0], kind, *role, *action) else { continue };
                    let consulting = CONSULTING.contains(&row[0]);
                    let staff = principal.person && STAFF.contains(role);
                    let open = row[1].contains(kind)
                        && (relation[at + 1] == "yes" || (relation[at + 1] == "read" && consulting))
                        && !never(*role, row[0])
                        && (row[0] != "break_glass" || staff);
                    let expected = open && row[at + 2] == "yes";
                    let by_emergency = expected && consulting && staff && principal.emergency.is_some();
                    let (relation, action) = (relation[0], *action);
                    cells.push(Cell { relation, principal, action, resource, expected, open, by_emergency });
                }
            }
        }
    }
    cells
}

fn emergency(principal: Principal) -> Principal {
    let emergency = Emergency { id: EmergencyId::from(7), labels: BTreeSet::new() };
    Principal { emergency: Some(emergency), ..principal }
}

/// The cells that these policies decide otherwise than the table, alone and beside one that permits everything.
pub(super) fn mismatches(policies: &Source) -> Vec<String> {
    let open = Source { name: "open.cedar".to_owned(), text: OPEN.to_owned() };
    let alone = Policy::of(Rules::of(std::slice::from_ref(policies)).unwrap());
    let opened = Policy::of(Rules::of(&[policies.clone(), open]).unwrap());
    let mut wrong = Vec::new();
    for cell in cells() {
        for (policy, expected, beside) in
            [(&alone, cell.expected, ""), (&opened, cell.open, ", beside a permit for all")]
        {
            if permitted(policy, &cell.principal, cell.action, &cell.resource) != expected {
                let (role, said) = (cell.principal.role, if expected { "yes" } else { "-" });
                wrong.push(format!(
                    "{} {} {role} on {}{beside}: the table says {said}",
                    cell.action, cell.relation, cell.resource
                ));
            }
        }
        let decision = alone.decide(&cell.principal, cell.action, &cell.resource);
        let rests =
            matches!(decision, Decision::Permit(_)) && decision.basis().policies().iter().any(|id| id == EMERGENCY);
        if rests != cell.by_emergency {
            wrong.push(format!("{} {} {}: rests on the emergency: {rests}", cell.action, cell.relation, cell.resource));
        }
    }
    wrong
}

#[test]
fn every_role_may_do_what_the_table_says_and_nothing_else() {
    let cells = cells();
    let permitted = cells.iter().filter(|cell| cell.expected).count();
    assert!(cells.len() > 2000 && permitted > 100, "{} cells, {permitted} permitted", cells.len());
    assert_eq!(mismatches(&packaged()), Vec::<String>::new());
}
