//! Identifiers by where they stand: fields of a header, keys of JSON and FHIR, columns of a table.
//!
//! What a field is called says more than what stands in it. `Patient: Ng` is a name though `Ng` is two letters.

use super::{finding::Finding, kind::Kind};

mod field;
mod json;
mod table;

/// Finds them all in a text in reading form.
pub(super) fn scan(text: &str, found: &mut Vec<Finding>) {
    field::scan(text, found);
    if text.contains("\":") || text.contains("\" :") {
        json::scan(text, found);
    }
    if text.contains('|') || text.contains('\t') {
        table::scan(text, found);
    }
}

/// What a field, key or column of this name holds. `name` is in small letters, its words parted by single blanks.
fn meaning(name: &str) -> Option<Kind> {
    let name = name
        .strip_prefix("patient ")
        .or_else(|| name.strip_prefix("pt "))
        .or_else(|| name.strip_prefix("patient's "))
        .unwrap_or(name);
    Some(match name {
        "name"
        | "full name"
        | "patient"
        | "pt"
        | "first name"
        | "last name"
        | "middle name"
        | "maiden name"
        | "surname"
        | "family name"
        | "given name"
        | "family"
        | "given"
        | "legal name"
        | "preferred name"
        | "mother"
        | "father"
        | "spouse"
        | "guardian"
        | "next of kin"
        | "nok"
        | "emergency contact"
        | "guarantor"
        | "subscriber"
        | "subscriber name"
        | "member name"
        | "insured"
        | "provider"
        | "physician"
        | "attending"
        | "attending physician"
        | "surgeon"
        | "nurse"
        | "pharmacist"
        | "prescriber"
        | "referring physician"
        | "referring provider"
        | "referred by"
        | "pcp"
        | "primary care provider"
        | "primary care physician"
        | "author"
        | "dictated by"
        | "signed by"
        | "signed"
        | "transcribed by"
        | "electronically signed by"
        | "reviewed by"
        | "seen by"
        | "ordered by"
        | "ordering provider"
        | "ordering physician"
        | "cc"
        | "attn"
        | "client"
        | "customer"
        | "customer name"
        | "employee"
        | "caregiver"
        | "contact name"
        | "contact person"
        | "doctor"
        | "doctor name"
        | "provider name"
        | "physician name"
        | "mother's maiden name"
        | "mothers maiden name"
        | "alias"
        | "aliases"
        | "interviewer"
        | "informant" => Kind::Name,
        "dob"
        | "date of birth"
        | "birth date"
        | "birthdate"
        | "birthday"
        | "d o b"
        | "date"
        | "admission date"
        | "admitted"
        | "date of admission"
        | "discharge date"
        | "discharged"
        | "date of discharge"
        | "date of service"
        | "dos"
        | "visit date"
        | "appointment"
        | "appointment date"
        | "date of death"
        | "dod"
        | "deceased"
        | "collected"
        | "received"
        | "reported"
        | "date of visit"
        | "date of procedure"
        | "procedure date"
        | "date of exam"
        | "encounter date"
        | "issued"
        | "effective date time"
        | "onset date time"
        | "recorded date"
        | "deceased date time"
        | "authored on"
        | "date signed" => Kind::Date,
        "address" | "home address" | "street" | "street address" | "mailing address" | "line" | "address line"
        | "billing address" | "shipping address" | "residence" | "work address" => Kind::Address,
        "city" | "town" | "county" | "district" | "birthplace" | "place of birth" | "city of birth" => Kind::Location,
        "facility" | "hospital" | "clinic" | "location" | "site name" | "employer" | "school" | "pharmacy"
        | "institution" | "organization" | "practice" => Kind::Facility,
        "zip" | "zip code" | "zipcode" | "postal code" | "postcode" => Kind::Zip,
        "phone" | "telephone" | "tel" | "cell" | "mobile" | "home phone" | "work phone" | "cell phone"
        | "phone number" | "contact number" | "telephone number" | "mobile number" | "pager" => Kind::Phone,
        "fax" | "fax number" => Kind::Fax,
        "email" | "e mail" | "e-mail" | "email address" => Kind::Email,
        "ssn" | "social security number" | "social security" => Kind::Ssn,
        "mrn"
        | "medical record number"
        | "medical record"
        | "record number"
        | "chart number"
        | "chart"
        | "id"
        | "patient id"
        | "hospital number"
        | "identifier"
        | "encounter"
        | "encounter number"
        | "csn"
        | "visit number" => Kind::Mrn,
        "member id" | "policy" | "policy number" | "group number" | "plan id" | "subscriber id" | "insurance id"
        | "member number" | "beneficiary id" | "claim number" | "medicaid id" | "medicare id" | "mbi" => {
            Kind::HealthPlan
        }
        "account" | "account number" | "acct" | "billing account" | "invoice number" | "customer id" => Kind::Account,
        "license" | "license number" | "licence number" | "certificate number" => Kind::License,
        "npi" => Kind::Npi,
        "dea" | "dea number" => Kind::Dea,
        "driver's license" | "drivers license" | "driver license" => Kind::DriverId,
        "vin" => Kind::Vin,
        "plate" | "license plate" => Kind::Plate,
        "serial number" | "device serial" | "serial" | "udi" | "device id" | "lot number" | "device identifier" => {
            Kind::Device
        }
        "rx" | "rx number" | "prescription number" => Kind::Prescription,
        "study id" | "subject id" | "participant id" | "subject number" | "study number" => Kind::Study,
        "username" | "user name" | "login" | "user id" => Kind::Username,
        "password" | "pin" | "passcode" => Kind::Password,
        "photo" | "photograph" | "image" => Kind::Photo,
        "fingerprint" | "voiceprint" | "biometric" => Kind::Biometric,
        _ => return None,
    })
}

/// Whether a value can be what the field says: numbers have digits, names have letters and are no common phrase.
fn plausible(kind: Kind, value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.chars().filter(|c| c.is_alphabetic()).count();
    match kind {
        Kind::Name => letters >= 2 && digits == 0 && value.split_whitespace().count() <= 6 && !said_nothing(value),
        Kind::Location | Kind::Facility => {
            letters >= 2 && !said_nothing(value) && value.split_whitespace().count() <= 8
        }
        Kind::Address => letters + digits >= 3 && !said_nothing(value),
        Kind::Date => digits >= 3 && !(digits == 4 && value.trim().len() == 4),
        Kind::Zip => digits >= 5,
        Kind::Email => value.contains('@'),
        Kind::Username | Kind::Password => !said_nothing(value) && letters + digits >= 3,
        Kind::Photo | Kind::Biometric => digits > 0 || value.contains('.'),
        Kind::Phone | Kind::Fax => digits >= 7,
        _ => digits >= 3,
    }
}

/// Words that fill a field without saying anything.
fn said_nothing(value: &str) -> bool {
    let lower = value.trim().to_lowercase();
    matches!(
        lower.as_str(),
        "" | "none"
            | "unknown"
            | "n/a"
            | "na"
            | "yes"
            | "no"
            | "not given"
            | "deceased"
            | "male"
            | "female"
            | "self"
            | "same"
            | "null"
            | "true"
            | "false"
            | "home"
            | "pending"
            | "other"
            | "unremarkable"
            | "noncontributory"
            | "non-contributory"
    )
}
