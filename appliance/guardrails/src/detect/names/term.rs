//! Words that make a term of a name beside them, and capitalised words that are never names.

use super::super::{
    lexicon::Senses,
    token::{Shape, Tokens},
};

/// Words that follow an eponym: what the disease, sign, test or device is.
const HEADS: &[&str] = &[
    "abscess", "agar", "agent", "anaemia", "anemia", "anastomosis", "angle", "aphasia", "area", "arthropathy", "assessment", "ataxia", "bacillus",
    "blue", "bodies", "body", "canal", "cardiomyopathy", "carditis", "catheter", "cell", "cells", "change", "chorea", "circle", "clamp",
    "classification", "coefficient", "coma", "complex", "contracture", "contractures", "corpuscle", "criteria", "criterion", "curve", "cyst", "cysts",
    "deformity", "dementia", "dermatitis", "diet", "disease", "diseases", "disorder", "drain", "duct", "dystrophy", "effect", "encephalopathy",
    "equation", "esophagus", "exam", "examination", "exercise", "exercises", "fever", "fibers", "fistula", "flap", "forceps", "formula", "fracture", "fractures",
    "ganglion", "gangrene", "gland", "glands", "goiter", "goitre", "grade", "grading", "graft", "granuloma", "hernia", "incision", "index", "inhibitor", "injury",
    "instrument", "insufficiency", "interval", "inventory", "jaundice", "lactate", "law", "layer", "lesion", "leukemia", "ligament", "line", "lines", "lobe",
    "loop", "lymphoma", "maneuver", "manoeuvre", "membrane", "method", "model", "monitor", "muscle", "myopathy", "nails", "needle", "nephropathy",
    "neuralgia", "neuroma", "neuropathy", "node", "nodes", "nodule", "nodules", "nucleus", "number", "operation", "ophthalmopathy", "orbitopathy", "palsy", "papilla", "paralysis",
    "patches", "phenomenon", "phenotype", "pneumonia", "point", "position", "pouch", "prediction", "procedure", "protocol", "purpura", "questionnaire", "rash",
    "ratio", "reaction", "reflex", "repair", "response", "retractor", "ring", "rings", "risk", "rule", "rules", "sarcoma", "scale", "score", "scores", "scoring", "screen", "screening", "shunt", "sickness",
    "sign", "signs", "sinus", "solution", "space", "sphincter", "spots", "stage", "staging", "stain", "staining", "stenosis", "study", "stitch", "sulcus", "suture", "symptom", "syndrome", "syndromes",
    "system", "technique", "test", "testing", "tests", "tetralogy", "thyroiditis", "tonsil", "tract", "traction", "triad", "triangle", "tube", "tubes", "tubules", "tumor", "tumors", "tumour",
    "tumours", "ulcer", "ulcers", "unit", "units", "valve", "vasculitis", "view", "virus", "waves", "wave", "valves", "block", "palsies", "antigen", "antibody", "antibodies", "factor", "prognostic", "simplified", "categories", "category",
    "trial", "guidelines", "guideline", "cohort", "heart",
];

/// Heads so plainly clinical that any name before them is an eponym, listed or not.
const PLAIN: &[&str] = &[
    "classification", "criteria", "criterion", "disease", "index", "maneuver", "manoeuvre", "phenomenon", "reflex", "scale", "score", "scores", "sign", "syndrome",
    "fracture", "palsy", "procedure", "stain", "lymphoma", "sarcoma", "thyroiditis", "catheter",
];

/// Whether a word is one that follows an eponym.
pub(crate) fn head(word: &str) -> bool {
    HEADS.contains(&word)
}

/// Whether the name from `first` to `last` is a term: `Wells score`, `Crohn's disease`, `Framingham risk score`,
/// `Ehlers-Danlos syndrome`.
pub(crate) fn eponymous(tokens: &Tokens<'_>, first: usize, last: usize) -> bool {
    let listed = (first..last).any(|index| tokens.at(index).senses.has(Senses::EPONYM));
    let mut at = last;
    if tokens.mark(at, "-") && tokens.joined(at) && tokens.at(at + 1).word() {
        at += 2;
    }
    let one = tokens.lower(at);
    let two = tokens.lower(at + 1);
    let between = tokens.at(at).word() && tokens.at(at + 1).lines == 0;
    if tokens.at(at).lines > 1 {
        return false;
    }
    if PLAIN.contains(&one) || between && PLAIN.contains(&two) && tokens.at(at).shape != Shape::Capitals {
        return true;
    }
    listed && (head(one) || between && head(two) || tokens.at(at).shape == Shape::Digits || last == first + 1 && tokens.at(first).possessive || one == "-")
}

/// Capitalised words that are never names, though a table may hold them: what joins, asks or points; the calendar;
/// headings and abbreviations of notes.
pub(crate) fn never(word: &str) -> bool {
    matches!(
        word,
        "a" | "about" | "after" | "all" | "also" | "although" | "am" | "an" | "and" | "any" | "are" | "as" | "at" | "be" | "because" | "been" | "before"
            | "both" | "but" | "by" | "can" | "could" | "did" | "do" | "does" | "due" | "during" | "each" | "every" | "for" | "from" | "given" | "had" | "has" | "have" | "he"
            | "her" | "here" | "his" | "how" | "however" | "i" | "if" | "in" | "into" | "is" | "it" | "its" | "just" | "let" | "many" | "may" | "me" | "more" | "most" | "my" | "no"
            | "not" | "now" | "of" | "on" | "once" | "one" | "only" | "or" | "other" | "our" | "over" | "please" | "she" | "should" | "since" | "so" | "some" | "such"
            | "than" | "that" | "the" | "their" | "then" | "there" | "these" | "they" | "this" | "those" | "through" | "to" | "too" | "two" | "under" | "until" | "up"
            | "upon" | "us" | "was" | "we" | "were" | "what" | "when" | "where" | "which" | "while" | "who" | "why" | "will" | "with" | "would" | "yes" | "you" | "your"
            | "january" | "february" | "march" | "april" | "june" | "july" | "august" | "september" | "october" | "november" | "december" | "jan" | "feb"
            | "mar" | "apr" | "jun" | "jul" | "aug" | "sep" | "sept" | "oct" | "nov" | "dec" | "monday" | "tuesday" | "wednesday" | "thursday" | "friday" | "saturday" | "sunday"
            | "mon" | "tue" | "tues" | "wed" | "thu" | "thurs" | "fri" | "sat" | "sun"
            | "patient" | "patients" | "pt" | "history" | "assessment" | "plan" | "diagnosis" | "allergies" | "medications" | "family" | "social" | "chief" | "complaint"
            | "name" | "dob" | "mrn" | "ssn" | "date" | "address" | "phone" | "fax" | "email" | "sex" | "age" | "male" | "female" | "doctor" | "nurse" | "re" | "note" | "notes"
            | "type" | "stage" | "grade" | "class" | "vitamin" | "covid" | "md" | "rn" | "do's" | "np" | "pa" | "phd" | "pharmd" | "icu" | "er" | "ed" | "hiv" | "aids" | "copd" | "ii" | "iii" | "iv"
            | "medicare" | "medicaid" | "english" | "spanish" | "best" | "current" | "latest" | "updated" | "new" | "guidelines" | "treatment" | "management" | "recommendations"
            | "said" | "lab" | "labs" | "rx" | "hx" | "dx" | "tx" | "sx" | "fx" | "mri" | "ct" | "ekg" | "ecg" | "iv's" | "ok" | "okay" | "sir" | "madam" | "mom" | "dad" | "thanks" | "thank" | "hi" | "hello" | "dear"
    )
}

/// Words that end the name of a facility or an organisation.
pub(crate) fn facility(word: &str) -> bool {
    matches!(
        word,
        "hospital" | "hospitals" | "hosp" | "clinic" | "clinics" | "center" | "centre" | "centers" | "medical" | "health" | "healthcare" | "institute" | "infirmary"
            | "pharmacy" | "pharmacies" | "hospice" | "rehab" | "rehabilitation" | "sanatorium" | "practice" | "nursing" | "urgent" | "dental" | "pediatrics" | "oncology"
            | "memorial" | "general" | "regional" | "community" | "university" | "college" | "school" | "laboratory" | "laboratories" | "labs" | "orthopedics" | "cardiology" | "surgery" | "imaging"
            | "county" | "parish" | "street" | "avenue" | "road" | "associates" | "group" | "inc" | "llc" | "ltd" | "corp" | "company" | "bank" | "insurance" | "foundation"
            | "church" | "library" | "airport" | "university's" | "methodist" | "presbyterian" | "baptist" | "lutheran" | "catholic" | "children's" | "women's" | "veterans" | "department" | "ward" | "unit"
            | "wellness" | "physicians" | "partners" | "services" | "care"
    )
}

/// Endings that drugs' names share (stems of the international non-proprietary names, WHO, and the adopted names, USAN).
const DRUG_ENDINGS: &[&str] = &[
    "afil", "alol", "apine", "arone", "asone", "astine", "azepam", "azine", "azole", "azoline", "azosin", "barbital", "caine", "cillin", "ciclib", "clovir", "coxib", "cycline",
    "dipine", "dronate", "etine", "fenac", "fibrate", "floxacin", "formin", "gabalin", "gliptin", "gliflozin", "glinide", "glutide", "grel", "iazide", "idine", "idone", "lukast",
    "mab", "micin", "mycin", "nib", "olol", "olone", "onide", "oprazole", "oxacin", "oxetine", "parin", "penem", "pramine", "prazole", "pril", "profen", "racetam", "sartan", "semide",
    "setron", "statin", "tadine", "terol", "thiazide", "tidine", "tinib", "traline", "triptan", "triptyline", "vastatin", "vir", "xaban", "zepam", "zolam", "zumab", "ximab", "tropium", "nacin", "sone",
    "platin", "rubicin", "taxel", "citabine", "trexate", "zine", "zepine", "lamide", "mide",
];

/// Whether a word in lower case has the form of a drug's name.
pub(crate) fn drug(word: &str) -> bool {
    word.len() >= 6 && DRUG_ENDINGS.iter().any(|end| word.ends_with(end))
}
