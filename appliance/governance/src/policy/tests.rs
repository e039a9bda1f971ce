use super::*;

/// The whole table, written out a second time as a grid so that a slip in one of the two shows.
const GRID: &str = "
    action               agent reviewer knowledge_manager compliance operator administrator service
    ask                  yes   yes      yes               -          -        -             yes
    search               yes   yes      yes               -          -        -             yes
    generate             -     -        -                 -          -        -             yes
    embed                -     -        -                 -          -        -             yes
    rerank               -     -        -                 -          -        -             yes
    list_models          yes   yes      yes               -          yes      yes           yes
    list_collections     yes   yes      yes               -          -        -             yes
    read_document        yes   yes      yes               -          -        -             -
    manage_collection    -     -        yes               -          -        -             -
    manage_documents     -     -        yes               -          -        -             -
    maintain_index       -     -        yes               -          yes      -             -
    manage_models        -     -        -                 -          yes      -             -
    manage_accounts      -     -        -                 -          -        yes           -
    read_audit           -     -        -                 yes        -        -             -
    manage_audit         -     -        -                 yes        -        -             -
    read_metrics         -     -        -                 yes        yes      yes           -
    evaluate             -     -        yes               -          -        -             -
    sign_in              yes   yes      yes               yes        yes      yes           yes
    sign_out             yes   yes      yes               yes        yes      yes           yes
    end_session          yes   yes      yes               yes        yes      yes           yes
";

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn principal(role: Role, tenant: Option<&str>) -> Principal {
    Principal { name: "x".to_owned(), ..Principal::local(role, tenant.map(|name| name.parse().unwrap())) }
}

fn permitted(principal: &Principal, action: Action, resource: &Resource) -> bool {
    matches!(Policy::built_in().decide(principal, action, resource), Decision::Permit(_))
}

fn denial(principal: &Principal, action: Action, resource: &Resource) -> Denial {
    match Policy::built_in().decide(principal, action, resource) {
        Decision::Deny { reason } => reason,
        Decision::Permit(_) => panic!("{action} was permitted"),
    }
}

#[test]
fn every_role_may_do_what_the_grid_says_and_nothing_else() {
    let mut lines = GRID.lines().map(str::trim).filter(|line| !line.is_empty());
    let roles: Vec<Role> = lines.next().unwrap().split_whitespace().skip(1).map(|word| word.parse().unwrap()).collect();
    let mut seen = Vec::new();
    for line in lines {
        let mut cells = line.split_whitespace();
        let word = cells.next().unwrap();
        let action = *Action::ALL.iter().find(|action| action.as_str() == word).unwrap();
        for (role, cell) in roles.iter().zip(cells) {
            let expected = cell == "yes";
            let decided = permitted(&principal(*role, Some("a")), action, &Resource::Tenant(tenant("a")));
            assert_eq!(decided, expected, "{role} {action}");
            seen.push((*role, action));
        }
    }
    assert_eq!(seen.len(), Role::ALL.len() * Action::ALL.len(), "a role or an action is missing from the grid");
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
fn no_role_reaches_into_another_tenant() {
    for role in Role::ALL {
        for action in Action::ALL {
            for resource in [Resource::Tenant(tenant("b")), Resource::Collection(tenant("b"), "faq".parse().unwrap())] {
                assert!(!permitted(&principal(*role, Some("a")), *action, &resource), "{role} {action}");
            }
        }
    }
}

#[test]
fn an_account_without_a_tenant_reads_no_tenants_content() {
    for role in Role::ALL {
        for action in
            [Action::Ask, Action::Search, Action::ReadDocument, Action::ManageDocuments, Action::ListCollections]
        {
            assert!(!permitted(&principal(*role, None), action, &Resource::Tenant(tenant("a"))), "{role} {action}");
        }
    }
}

#[test]
fn content_is_never_reached_without_naming_a_tenant() {
    for role in Role::ALL {
        for action in Action::ALL.iter().filter(|action| within_a_tenant(**action)) {
            assert!(!permitted(&principal(*role, Some("a")), *action, &Resource::Appliance), "{role} {action}");
        }
    }
    assert_eq!(
        denial(&principal(Role::Agent, Some("a")), Action::Ask, &Resource::Appliance),
        Denial::NeedsTenant { action: Action::Ask }
    );
}

#[test]
fn only_the_listed_collections_can_be_read() {
    let mut agent = principal(Role::Agent, Some("a"));
    agent.collections = Readable::These(BTreeSet::from(["faq".parse().unwrap()]));
    let collection = |name: &str| Resource::Collection(tenant("a"), name.parse().unwrap());
    assert!(permitted(&agent, Action::Search, &collection("faq")));
    assert_eq!(denial(&agent, Action::Search, &collection("staff")), Denial::Collection);
    let all = ["faq".parse().unwrap(), "staff".parse().unwrap()];
    assert_eq!(agent.collections.among(all), ["faq".parse::<CollectionId>().unwrap()]);
}

#[test]
fn a_permit_carries_what_was_decided() {
    let agent = principal(Role::Agent, Some("a"));
    let Decision::Permit(permit) = Policy::built_in().decide(&agent, Action::Ask, &Resource::Tenant(tenant("a")))
    else {
        panic!("denied");
    };
    assert_eq!((permit.action(), permit.tenant(), permit.policy()), (Action::Ask, Some(&tenant("a")), "built-in-1"));
    assert_eq!(permit.principal(), &agent);
}

#[test]
fn a_refusal_reads_as_a_sentence() {
    let reason = denial(&principal(Role::Operator, Some("a")), Action::Ask, &Resource::Tenant(tenant("a")));
    assert_eq!(reason.to_string(), "the role `operator` does not include `ask`");
    assert_eq!(reason.code(), "role_not_allowed");
}
