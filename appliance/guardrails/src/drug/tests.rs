use super::*;

fn named(text: &str) -> Vec<String> {
    Lexicon::built_in().mentions(text).into_iter().map(|mention| mention.ingredients.join("+")).collect()
}

#[test]
fn a_brand_is_what_it_holds() {
    assert_eq!(named("Tylenol or acetaminophen"), ["acetaminophen", "acetaminophen"]);
    assert_eq!(named("Advair and Bactrim"), ["fluticasone+salmeterol", "sulfamethoxazole+trimethoprim"]);
    assert_eq!(named("Give amoxicillin-clavulanate."), ["amoxicillin+clavulanate"]);
    assert_eq!(named("insulin glargine, not insulin"), ["insulin glargine", "insulin"]);
}

#[test]
fn salt_and_release_belong_to_the_name() {
    let found = Lexicon::built_in().mentions("metoprolol succinate ER, Lopressor, Toprol-XL and Wellbutrin SR");
    let told: Vec<_> = found.iter().map(|m| (m.ingredients.join("+"), m.salt, m.release)).collect();
    assert_eq!(
        told,
        [
            ("metoprolol".to_owned(), Some("succinate"), Some(Release::Extended(Letters::Any))),
            ("metoprolol".to_owned(), Some("tartrate"), None),
            ("metoprolol".to_owned(), Some("succinate"), Some(Release::Extended(Letters::Xl))),
            ("bupropion".to_owned(), None, Some(Release::Extended(Letters::Sr))),
        ]
    );
    assert_eq!(releases("extended-release tablets, and la la").len(), 1);
}

#[test]
fn letters_tell_products_apart_and_the_plain_one_from_a_slow_one() {
    let word = |text: &str| releases(text)[0].2.as_str();
    for (one, other, agree) in [
        ("diltiazem CD", "diltiazem LA", false),
        ("zolpidem CR", "zolpidem controlled-release", true),
        ("diltiazem ER", "diltiazem CD", true),
        ("metformin XR", "metformin extended-release", true),
        ("metformin XR", "metformin immediate-release", false),
    ] {
        assert_eq!(Release::agree(word(one), word(other)), agree, "{one}, {other}");
    }
    let plain = |text: &str| plain(text, &Lexicon::built_in().mentions(text)).len();
    for (text, found) in [
        ("Plain metformin is taken twice daily.", 1),
        ("Ordinary aspirin upsets the stomach.", 1),
        ("Take your regular metformin dose.", 0),
        ("Regular insulin is given before meals.", 0),
        ("Regular checks of warfarin are needed.", 0),
    ] {
        assert_eq!(plain(text), found, "{text}");
    }
}

#[test]
fn names_that_are_confused_are_known_from_the_table_or_by_their_spelling() {
    let lexicon = Lexicon::built_in();
    for (one, other) in [("hydralazine", "hydroxyzine"), ("tramadol", "trazodone"), ("clonidine", "clozidine")] {
        assert!(lexicon.look_alike(one, other) && lexicon.look_alike(other, one), "{one} / {other}");
    }
    assert!(!lexicon.look_alike("warfarin", "metformin"));
    assert!(!lexicon.look_alike("warfarin", "warfarin"));
    assert_eq!(distance("prednisone", "prednisolone"), 2);
    assert_eq!(distance("ab", "ba"), 1);
}

#[test]
fn a_name_that_no_table_knows_is_found_by_its_ending() {
    let found = Lexicon::built_in().mentions("Take zorbamycin daily, and determine the cost.");
    assert_eq!(found.len(), 1);
    assert!(!found[0].known);
}

#[test]
fn a_formulary_adds_names_and_says_which_line_is_wrong() {
    let lexicon = Lexicon::built_in().with_formulary("# ours\nglowroot\nCalmex XR = lorazepam er\n").unwrap();
    let found = lexicon.mentions("glowroot and Calmex XR and Tylenol");
    assert_eq!(found.len(), 3);
    assert_eq!(
        (found[1].ingredients[0].as_str(), found[1].release),
        ("lorazepam", Some(Release::Extended(Letters::Any)))
    );
    let wrong = Lexicon::built_in().with_formulary("aspirin\n= ibuprofen").unwrap_err();
    assert_eq!(wrong.line, 2);
    assert!(wrong.to_string().contains("line 2"));
}

#[test]
fn the_tables_are_read_whole() {
    let lexicon = Lexicon::built_in();
    let generics = entries(GENERICS).flat_map(|line| line.split_once(':').unwrap().1.split(','));
    let names: Vec<&str> = generics.map(str::trim).collect();
    assert!(names.len() > 600);
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        assert!(lexicon.knows(name) && seen.insert(name), "{name} is missing or stands twice");
    }
    for line in entries(BRANDS) {
        assert!(line.contains('='), "{line}");
    }
}
