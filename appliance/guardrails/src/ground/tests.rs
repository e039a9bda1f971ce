use super::*;

fn judged(context: &str, answer: &str) -> Judgement {
    judge(context, "", answer, None, Lexicon::built_in())
}

fn verdict_of(context: &str, answer: &str) -> Verdict {
    judged(context, answer).verdict
}

const DOSING: &str = "Metformin extended-release\nAdults take metformin ER 500 mg by mouth once daily with the evening \
                      meal. The maximum dose is 2000 mg per day. Do not crush or chew the tablets. Metformin is \
                      contraindicated in patients with an eGFR below 30 mL/min. Children 10 years and older may take \
                      250 mg twice daily unless the kidney function is reduced.";

#[test]
fn a_paraphrase_that_keeps_its_facts_is_supported() {
    for answer in [
        "Adults take 500 mg of metformin ER orally once a day with the evening meal.",
        "Adults should take metformin extended-release 0.5 g by mouth every day with the evening meal.",
        "No more than 2 g may be taken per day as the maximum dose.",
        "The tablets must not be crushed or chewed.",
        "Do not use metformin in patients whose eGFR is under 30 mL/min.",
    ] {
        let found = judged(DOSING, answer);
        assert_eq!(found.verdict, Verdict::Supported, "{answer}: {found:?}");
    }
}

#[test]
fn a_changed_fact_is_found_whatever_the_words() {
    for answer in [
        "Adults take metformin ER 5000 mg by mouth once daily with the evening meal.",
        "Adults take metformin ER 500 mcg by mouth once daily with the evening meal.",
        "Adults take metformin ER 500 mg intravenously once daily with the evening meal.",
        "Adults take metformin ER 500 mg by mouth once weekly with the evening meal.",
        "Adults take metronidazole ER 500 mg by mouth once daily with the evening meal.",
        "Children take metformin ER 500 mg by mouth once daily with the evening meal.",
        "The minimum dose is 2000 mg per day.",
        "Crush or chew the tablets.",
        "Metformin is safe in patients with an eGFR below 30 mL/min.",
        "Metformin is contraindicated in patients with an eGFR above 30 mL/min.",
        "Children 10 years and younger may take 250 mg twice daily unless the kidney function is reduced.",
        "Children 10 years and older may take 250 mg twice daily.",
    ] {
        let found = judged(DOSING, answer);
        assert!(found.score < BLOCK && found.verdict != Verdict::Supported, "{answer}: {found:?}");
    }
}

#[test]
fn a_dose_of_another_group_is_not_excused_by_the_right_one_beside_it() {
    let found = judged("Children take 5 mg; adults take 10 mg.", "Children take 10 mg instead of 5 mg.");
    assert!(found.score < BLOCK && found.verdict != Verdict::Supported, "{found:?}");
}

#[test]
fn what_a_study_wants_to_find_out_denies_nothing() {
    let claim = "Delivery mode did not affect the quality of life in rural China.";
    let of = |evidence: &str| judged(evidence, claim);
    let asks = of("To explore the effect of delivery mode on the quality of life in rural China.");
    assert!(asks.verdict != Verdict::Contradicted && asks.score < BLOCK, "{asks:?}");
    assert_eq!(of("Delivery mode did affect the quality of life in rural China.").verdict, Verdict::Contradicted);
    let order = "Never give contrast whether or not the latest creatinine is known.";
    assert_eq!(
        verdict_of(order, "Give contrast whether or not the latest creatinine is known."),
        Verdict::Contradicted
    );
}

#[test]
fn a_number_at_the_end_of_letters_is_told_apart_by_them() {
    let proteins = "In cells without UBC13 the damage stays, so that MDA5 is active and IL-6 is released.";
    let found = judged(proteins, "Without UBC13 the sensor MDA5 is active.");
    assert!(found.claims.iter().all(|claim| claim.discrepancies.is_empty()), "{found:?}");
    let rooms = "Controlled returns go to room B12; recalled stock goes to room B14.";
    for answer in ["Recalled stock goes to room B12.", "Controlled returns go to room B14."] {
        assert_eq!(verdict_of(rooms, answer), Verdict::Contradicted, "{answer}");
    }
    let other = "Controlled returns go to room B12; recalled stock goes to room C14.";
    assert_eq!(verdict_of(other, "Recalled stock goes to room B12."), Verdict::Contradicted);
    assert_eq!(verdict_of("Insulin comes as U100 only.", "Insulin comes as U500 only."), Verdict::Contradicted);
}

#[test]
fn what_stands_word_for_word_is_supported() {
    for sentence in crate::split::sentences(DOSING) {
        let answer = sentence.of(DOSING);
        if answer.ends_with('.') {
            assert_eq!(verdict_of(DOSING, answer), Verdict::Supported, "{answer}");
        }
    }
}

#[test]
fn a_sentence_of_two_parts_is_borne_whole_and_its_second_part_alone_is_not() {
    let context = "Pregnant patients take 5 mg twice daily; all others take 10 mg.";
    assert_eq!(verdict_of(context, context), Verdict::Supported);
    assert_eq!(verdict_of(context, "All others take 10 mg."), Verdict::NotSure);
}

#[test]
fn facts_that_change_places_are_found() {
    let context = "Adults take 500 mg every 8 hours, and children take 250 mg every 12 hours.";
    assert_eq!(verdict_of(context, "Children take 500 mg every 8 hours."), Verdict::Contradicted);
    assert_eq!(verdict_of(context, "Children take 250 mg every 12 hours."), Verdict::Supported);
    let switch = "Patients switch from warfarin to apixaban when the INR is below 2.";
    assert_eq!(
        verdict_of(switch, "Patients switch from apixaban to warfarin when the INR is below 2."),
        Verdict::Contradicted
    );
    let calls = "The pharmacist calls the prescriber about every early refill.";
    assert_eq!(
        verdict_of(calls, "The prescriber calls the pharmacist about every early refill."),
        Verdict::Contradicted
    );
    assert_eq!(
        verdict_of(calls, "The prescriber is called by the pharmacist about every early refill."),
        Verdict::Supported
    );
}

#[test]
fn one_slow_product_is_not_borne_by_another_nor_the_plain_one_by_a_slow_one() {
    let context = "Diltiazem CD 240 mg is taken once daily in the morning. Plain diltiazem is taken four times daily.";
    for (answer, verdict) in [
        ("Diltiazem CD 240 mg is taken once daily in the morning.", Verdict::Supported),
        ("Take diltiazem ER 240 mg once daily in the morning.", Verdict::Supported),
        ("Take diltiazem LA 240 mg once daily in the morning.", Verdict::Contradicted),
        ("Plain diltiazem 240 mg is taken once daily in the morning.", Verdict::Contradicted),
        ("Regular diltiazem is taken four times daily.", Verdict::Supported),
    ] {
        let found = judged(context, answer);
        assert_eq!(found.verdict, verdict, "{answer}: {found:?}");
    }
}

#[test]
fn what_one_product_does_is_not_said_of_another_whatever_its_letters() {
    let context = "Diltiazem CD is taken once daily and immediate-release diltiazem is taken four times daily.";
    for claim in ["Diltiazem ER is taken four times daily.", "Diltiazem CD is taken four times daily."] {
        assert_eq!(verdict_of(context, claim), Verdict::Contradicted, "{claim}");
    }
    let doses = "Bupropion SR is given as 150 mg and immediate-release bupropion is given as 100 mg.";
    assert_eq!(verdict_of(doses, "Extended-release bupropion is given as 100 mg."), Verdict::Contradicted);
    assert_eq!(verdict_of(doses, "Extended-release bupropion is given as 150 mg."), Verdict::Supported);
}

#[test]
fn a_usual_word_before_a_drug_is_no_product() {
    for (context, answer) in [
        ("Standard heparin infusions run at 18 units/kg/hour.", "Heparin infusions run at 18 units/kg/hour."),
        ("Kidney tests are done with regular metformin use.", "Kidney tests are done with metformin use."),
        ("The INR is drawn before regular warfarin doses.", "The INR is drawn before warfarin doses."),
    ] {
        let found = judged(context, answer);
        assert_eq!(found.verdict, Verdict::Supported, "{answer}: {found:?}");
    }
}

#[test]
fn an_action_is_borne_under_its_own_condition_and_not_under_that_of_its_opposite() {
    let held = "Hold lisinopril when the potassium is over 5.5. Give it again once the potassium is 5 or less.";
    assert_eq!(verdict_of(held, "Give lisinopril when the potassium is over 5.5."), Verdict::Contradicted);
    let found = judged(held, "Give lisinopril again once the potassium is 5 or less.");
    assert_eq!(found.verdict, Verdict::Supported, "{found:?}");
    let context = "Stop the infusion when the glucose falls under 70. Restart it once the glucose is 120 or higher.";
    for (answer, verdict) in [
        ("Stop the infusion when the glucose is under 70.", Verdict::Supported),
        ("Restart the infusion once the glucose is 120 or higher.", Verdict::Supported),
        ("Restart the infusion when the glucose falls under 70.", Verdict::Contradicted),
        ("Stop the infusion once the glucose is 120 or higher.", Verdict::Contradicted),
    ] {
        let found = judged(context, answer);
        assert_eq!(found.verdict, verdict, "{answer}: {found:?}");
    }
}

#[test]
fn the_hours_and_numbers_of_the_site_are_facts() {
    let context = "The counter is open Monday to Friday from 7:30 AM to 8:00 PM and Saturday from 9:00 AM to 5:00 PM. \
                   Call 555-0146 before March 5, 2026. The copay is $12.50.";
    for (answer, verdict) in [
        ("The counter is open on Tuesday from 7:30 AM to 8:00 PM.", Verdict::Supported),
        ("The counter is open Saturday from 7:30 AM to 8:00 PM.", Verdict::Contradicted),
        ("The counter is open Sunday from 9:00 AM to 5:00 PM.", Verdict::Contradicted),
        ("Call 555-0164 before March 5, 2026.", Verdict::Contradicted),
        ("Call 555-0146 before March 15, 2026.", Verdict::Contradicted),
        ("The copay is $125.", Verdict::Contradicted),
        ("The copay is $12.50.", Verdict::Supported),
    ] {
        let found = judged(context, answer);
        assert_eq!(found.verdict, verdict, "{answer}: {found:?}");
    }
}

#[test]
fn a_warning_left_out_beside_a_dose_is_reported() {
    let context = "Take one tablet of 4 mg every 6 hours. Do not take more than 16 mg in a day. It tastes of mint.";
    let alone = judged(context, "Take one tablet of 4 mg every 6 hours.");
    let omitted: Vec<&str> = alone.omitted.iter().map(|span| span.of(context)).collect();
    assert_eq!(omitted, ["Do not take more than 16 mg in a day."]);
    let whole = judged(context, "Take one tablet of 4 mg every 6 hours. Do not take more than 16 mg in a day.");
    assert!(whole.omitted.is_empty());
}

#[test]
fn an_answer_that_claims_nothing_or_lacks_a_context_is_not_grounded() {
    assert_eq!(judged("Take it with food.", "").score, 0.0);
    assert_eq!(judged("Take it with food.", "Hello!").verdict, Verdict::Unsupported);
    let found = judged("", "Take it with food every day.");
    assert_eq!((found.score, found.verdict), (0.0, Verdict::Unsupported));
}

#[test]
fn a_dose_is_borne_for_the_group_of_its_heading_alone() {
    let context = "# Ibuprofen suspension\n\n## Children\n\nGive 5 mg per kg of ibuprofen every 8 hours.\n\n## Renal \
                   impairment\n\nGive 2 mg of ibuprofen every 12 hours.\n\n## Adults\n\nGive 400 mg of ibuprofen every 6 hours.";
    let verdict = |question: &str, answer: &str| judge(context, question, answer, None, Lexicon::built_in()).verdict;
    for (question, answer) in [
        ("How much do children get?", "Give 5 mg per kg of ibuprofen every 8 hours."),
        ("", "Children get 5 mg per kg of ibuprofen every 8 hours."),
        ("", "For children:\nGive 5 mg per kg of ibuprofen every 8 hours."),
        ("", "In renal impairment, give 2 mg of ibuprofen every 12 hours."),
        ("", "Give 400 mg of ibuprofen every 6 hours."),
        ("", "Adults get 400 mg of ibuprofen every 6 hours."),
    ] {
        assert_eq!(verdict(question, answer), Verdict::Supported, "{question} {answer}");
    }
    for (question, answer) in [
        ("", "Give 5 mg per kg of ibuprofen every 8 hours."),
        ("How much do adults get?", "Give 5 mg per kg of ibuprofen every 8 hours."),
        ("How much do children get?", "Give 400 mg of ibuprofen every 6 hours."),
        ("", "Children get 400 mg of ibuprofen every 6 hours."),
        ("", "Adults get 5 mg per kg of ibuprofen every 8 hours."),
        ("", "Adults get 2 mg of ibuprofen every 12 hours."),
        ("How much is given?", "Give 2 mg of ibuprofen every 12 hours."),
    ] {
        let found = judge(context, question, answer, None, Lexicon::built_in());
        assert!(found.score < BLOCK && found.verdict != Verdict::Supported, "{question} {answer}: {found:?}");
    }
}

#[test]
fn half_of_a_range_is_blocked() {
    let context = "Take 1 to 2 tablets of 500 mg every 4 to 6 hours. Treat for 7 to 10 days.";
    for answer in [
        "Take 1 tablet of 500 mg every 4 hours.",
        "Take 2 tablets of 500 mg every 4 hours.",
        "Take 1 to 2 tablets of 500 mg every 4 hours.",
        "Take 2 tablets of 500 mg every 4 to 6 hours.",
        "Treat for 7 days.",
    ] {
        let found = judged(context, answer);
        assert!(found.score < BLOCK && found.verdict != Verdict::Supported, "{answer}: {found:?}");
    }
    for answer in [
        "Take one or two tablets of 500 mg every 4-6 hours.",
        "Take up to 2 tablets of 500 mg every 4 to 6 hours.",
        "Treat for seven to ten days.",
    ] {
        assert_eq!(verdict_of(context, answer), Verdict::Supported, "{answer}");
    }
}

#[test]
fn places_find_the_text_again() {
    let found = judged(
        DOSING,
        "Naïve, but: the tablets must not be crushed. Take 2000 mg per day at most, as the maximum dose.",
    );
    for claim in &found.claims {
        let evidence = claim.evidence.map(|span| span.of(DOSING)).unwrap_or_default();
        assert!(!evidence.is_empty(), "{claim:?}");
    }
}

#[test]
fn a_number_that_belongs_to_a_name_is_held_against_that_name_alone() {
    let context =
        "The COVID-19 vaccine is given in room 4 to whoever is older than 5 years. PCV20 is given once at 65.";
    for answer in ["COVID-19 vaccines are given in room 4.", "SARS-CoV-2 vaccines are given in room 4."] {
        assert_eq!(judged(context, answer).claims[0].discrepancies, [], "{answer}");
    }
    assert!(judged(context, "COVID-19 vaccines are given in room 19.").score < BLOCK);
}
