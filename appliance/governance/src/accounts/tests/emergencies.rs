use cloister_terms::{EmergencyGround, EmergencyId, EmergencyVerdict, Phi, TenantId};

use super::*;

const REASON: &str = "Jane Roe is in anaphylaxis and the ward's list is closed to me";

fn request(number: u128, minutes: i64) -> EmergencyRequest {
    EmergencyRequest {
        id: EmergencyId::from(number),
        ground: EmergencyGround::PatientSafety,
        reason: Phi::new(REASON.to_owned()),
        lasts: SignedDuration::from_mins(minutes),
        labels: BTreeSet::from(["pharmacist".parse().unwrap()]),
    }
}

fn principal(name: &str, role: Role, tenant: &str) -> Principal {
    let account = AccountId::of_digest(&[name.len() as u8; 32]);
    Principal { account, name: name.to_owned(), ..Principal::local(role, Some(tenant.parse().unwrap())) }
}

fn technician() -> Principal {
    principal("technician", Role::Agent, "larkfield")
}

fn compliance() -> Principal {
    principal("auditor", Role::Compliance, "larkfield")
}

impl Register {
    /// The database of a tenant, made at the first call.
    fn tenant(&self, name: &str) -> Database {
        let tenant = name.parse().unwrap();
        self.store.tenant(&tenant).unwrap_or_else(|_| self.store.create_tenant(&tenant).unwrap())
    }

    fn asked(&self, who: &Principal, request: EmergencyRequest) -> Result<EmergencyAccess, EmergencyError> {
        self.accounts.open_emergency(who, request, &self.tenant("larkfield"))
    }

    fn open(&self, number: u128, minutes: i64) -> EmergencyAccess {
        self.asked(&technician(), request(number, minutes)).unwrap()
    }

    fn lasting(&self, who: &Principal) -> Option<EmergencyId> {
        self.accounts.emergency_of(who).unwrap().map(|emergency| emergency.id)
    }

    fn review(&self, number: u128, who: &Principal) -> Result<(), EmergencyError> {
        self.accounts.review_emergency(number.into(), who, EmergencyVerdict::Justified, None)
    }
}

#[test]
fn emergency_access_lasts_as_long_as_it_was_opened_for_and_for_who_opened_it() {
    let register = register();
    let opened = register.open(1, 20);
    assert_eq!(opened.until, register.clock.now() + SignedDuration::from_mins(20));
    let emergency = register.accounts.emergency_of(&technician()).unwrap().unwrap();
    assert_eq!((emergency.id, emergency.labels), (opened.id, BTreeSet::from(["pharmacist".parse().unwrap()])));
    assert_eq!(register.lasting(&compliance()), None);
    assert_eq!(register.lasting(&principal("technician", Role::Agent, "riverside")), None, "nor in another tenant");
    register.clock.advance(SignedDuration::from_secs(20 * 60 - 1));
    assert_eq!(register.lasting(&technician()), Some(opened.id));
    register.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(register.lasting(&technician()), None);
}

#[test]
fn an_hour_is_the_longest_and_a_reason_has_to_be_given() {
    let register = register();
    for minutes in [0, -1, 61] {
        let refused = register.asked(&technician(), request(1, minutes));
        assert!(matches!(refused, Err(EmergencyError::Lasting)), "{refused:?}");
    }
    for reason in ["", "         x       ", &"long ".repeat(101)] {
        let request = EmergencyRequest { reason: Phi::new(reason.to_owned()), ..request(1, 60) };
        let refused = register.asked(&technician(), request);
        assert!(matches!(refused, Err(EmergencyError::Length)), "{refused:?}");
    }
    let tenantless = Principal { tenant: None, ..technician() };
    assert!(matches!(register.asked(&tenantless, request(1, 60)), Err(EmergencyError::NoTenant)));
    assert_eq!(register.accounts.emergencies(None, true).unwrap(), []);
    register.open(1, 60);
}

#[test]
fn another_reason_is_another_emergency_and_the_first_is_over() {
    let register = register();
    register.open(1, 60);
    register.clock.advance(SignedDuration::from_mins(50));
    register.open(2, 60);
    assert_eq!(register.lasting(&technician()), Some(2.into()));
    let all = register.accounts.emergencies(None, true).unwrap();
    assert_eq!(
        all.iter().map(|one| (one.id, one.ended.is_some())).collect::<Vec<_>>(),
        [(EmergencyId::from(2), false), (EmergencyId::from(1), true)]
    );
}

#[test]
fn it_ends_on_request_with_a_reset_and_with_the_account_and_in_every_process() {
    let register = register();
    register.open(1, 60);
    let elsewhere = Accounts::open(&register.store.fleet(), register.clock.clone(), Arc::new(Seeded::new(9))).unwrap();
    assert!(elsewhere.end_emergency(&technician().account).unwrap());
    assert!(!elsewhere.end_emergency(&technician().account).unwrap(), "it is over already");
    assert_eq!(register.lasting(&technician()), None);
    register.open(2, 60);
    elsewhere.bar(&technician().account).unwrap();
    assert_eq!(register.lasting(&technician()), None);

    let person = register.person();
    let person = Principal { account: person, ..technician() };
    for (number, end) in [(3_u128, true), (4, false)] {
        register.asked(&person, request(number, 60)).unwrap();
        assert!(register.lasting(&person).is_some());
        if end {
            drop(elsewhere.reset(&person.account).unwrap())
        } else {
            elsewhere.disable(&person.account).unwrap()
        }
        assert_eq!(register.lasting(&person), None);
    }
}

#[test]
fn a_clock_that_is_put_back_prolongs_none() {
    let register = register();
    register.clock.advance(SignedDuration::from_hours(2));
    register.open(1, 60);
    register.clock.advance(SignedDuration::from_secs(-61));
    assert_eq!(register.lasting(&technician()), None);
}

#[test]
fn each_is_signed_off_once_by_somebody_else_of_the_tenant_when_it_is_over() {
    let register = register();
    register.open(1, 60);
    assert!(matches!(register.review(1, &compliance()), Err(EmergencyError::Open)));
    register.clock.advance(SignedDuration::from_mins(60));
    let other = principal("another auditor", Role::Compliance, "riverside");
    assert!(matches!(register.review(1, &other), Err(EmergencyError::Unknown)));
    assert!(matches!(register.review(1, &technician()), Err(EmergencyError::Own)));
    assert!(matches!(register.review(2, &compliance()), Err(EmergencyError::Unknown)));
    let own: TenantId = "larkfield".parse().unwrap();
    assert_eq!(register.accounts.emergencies(Some(&own), false).unwrap().len(), 1);
    assert_eq!(register.accounts.emergencies(other.tenant.as_ref(), true).unwrap().len(), 0);
    let (verdict, larkfield) = (EmergencyVerdict::NotJustified, register.tenant("larkfield"));
    let note = Phi::new("The chart bears it out.".to_owned());
    let short = Some((Phi::new("No.".to_owned()), &larkfield));
    let refused = register.accounts.review_emergency(1.into(), &compliance(), verdict, short);
    assert!(matches!(refused, Err(EmergencyError::Length)), "{refused:?}");
    register.accounts.review_emergency(1.into(), &compliance(), verdict, Some((note.clone(), &larkfield))).unwrap();
    assert!(matches!(register.review(1, &compliance()), Err(EmergencyError::Reviewed)));
    assert_eq!(register.accounts.emergencies(None, false).unwrap(), []);
    let review = register.accounts.emergencies(None, true).unwrap().remove(0).review.unwrap();
    assert_eq!((review.verdict, review.reviewer), (verdict, compliance().account));
    assert_eq!(EmergencyWords::of(&larkfield, 1.into()).unwrap().unwrap().note, Some(note));
}

#[test]
fn what_the_log_holds_of_a_reason_binds_it_and_does_not_tell_it() {
    let register = register();
    let (one, other) = (register.open(1, 60), register.open(2, 60));
    let words = EmergencyWords::of(&register.tenant("larkfield"), one.id).unwrap().unwrap();
    assert_eq!(words.reason.expose(), REASON);
    let commitment = one.commitment(&words.reason);
    assert_eq!(commitment.len(), 64);
    assert_ne!(commitment, other.commitment(&words.reason), "the same words under another salt");
    let plain = hex::encode(digest::digest(&digest::SHA256, REASON.as_bytes()));
    assert_ne!(commitment, plain, "whoever guesses the words cannot try them");
    assert_ne!(commitment, one.commitment(&Phi::new("A shorter story".to_owned())));
    assert!(!format!("{one:?}{words:?}").contains("Jane"));
}

#[test]
fn the_reason_lies_with_the_tenant_and_nowhere_else() {
    let register = register();
    let opened = register.open(1, 60);
    assert_eq!(EmergencyWords::of(&register.tenant("riverside"), opened.id).unwrap(), None);
    let connection = register.store.fleet().connect().unwrap();
    let columns = "SELECT group_concat('quote(' || name || ')', '||') FROM pragma_table_info('emergencies')";
    let columns: String = connection.query_row(columns, [], |row| row.get(0)).unwrap();
    let all = format!("SELECT {columns} FROM emergencies");
    let row: String = connection.query_row(&all, [], |row| row.get(0)).unwrap();
    assert!(row.contains("patient_safety") && !row.contains("Jane"), "{row}");
}

#[test]
fn what_is_over_and_not_signed_off_is_counted_from_the_oldest() {
    let register = register();
    let unreviewed = || register.accounts.unreviewed_emergencies().unwrap();
    let begun = register.open(1, 20).begun;
    assert_eq!(unreviewed(), Unreviewed::default(), "it lasts: nobody can sign it off yet");
    register.clock.advance(SignedDuration::from_mins(20));
    assert_eq!(unreviewed(), Unreviewed { waiting: 1, oldest: Some(begun) });
    let second = register.open(2, 60);
    register.accounts.end_emergency(&technician().account).unwrap();
    assert_eq!(unreviewed(), Unreviewed { waiting: 2, oldest: Some(begun) });
    register.review(1, &compliance()).unwrap();
    assert_eq!(unreviewed(), Unreviewed { waiting: 1, oldest: Some(second.begun) });
    register.review(2, &compliance()).unwrap();
    assert_eq!(unreviewed(), Unreviewed::default());
}
