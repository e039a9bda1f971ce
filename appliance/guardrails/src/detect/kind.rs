//! What an identifier is, and which of the 18 Safe Harbor categories it falls under.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The 18 categories of 45 CFR 164.514(b)(2)(i), in the order of the rule, (A) to (R).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// (A) Names.
    Names,
    /// (B) Geographic subdivisions smaller than a state.
    Geography,
    /// (C) Elements of dates finer than a year; ages over 89.
    Dates,
    /// (D) Telephone numbers.
    Telephones,
    /// (E) Fax numbers.
    Faxes,
    /// (F) E-mail addresses.
    Emails,
    /// (G) Social security numbers.
    SocialSecurity,
    /// (H) Medical record numbers.
    MedicalRecords,
    /// (I) Health plan beneficiary numbers.
    HealthPlans,
    /// (J) Account numbers.
    Accounts,
    /// (K) Certificate and licence numbers.
    Licenses,
    /// (L) Vehicle identifiers and serial numbers, licence plates included.
    Vehicles,
    /// (M) Device identifiers and serial numbers.
    Devices,
    /// (N) Web addresses.
    Urls,
    /// (O) Internet protocol addresses.
    IpAddresses,
    /// (P) Biometric identifiers, finger and voice prints included.
    Biometrics,
    /// (Q) Full-face photographs and comparable images.
    Photographs,
    /// (R) Any other unique identifying number, characteristic or code.
    Other,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $word:literal, $short:literal, $category:ident;)*) => {
        /// Kinds of identifier. Where Amazon Bedrock's guardrails have a name for one, it is that name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Kind {
            $($(#[$doc])* #[serde(rename = $word)] $kind,)*
        }

        impl Kind {
            /// Every kind, in the order of the rule.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// Its name in documents, commands and records: `MEDICAL_RECORD_NUMBER`.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$kind => $word,)* }
            }

            /// Its name in a placeholder: `MRN`, as in `[MRN-1]`.
            pub const fn short(self) -> &'static str {
                match self { $(Self::$kind => $short,)* }
            }

            /// The Safe Harbor category it falls under.
            pub const fn category(self) -> Category {
                match self { $(Self::$kind => Category::$category,)* }
            }
        }
    };
}

kinds! {
    /// A person's name, with its title and initials.
    Name = "NAME", "NAME", Names;
    /// A street address.
    Address = "ADDRESS", "ADDRESS", Geography;
    /// A city, county or other place smaller than a state.
    Location = "LOCATION", "LOCATION", Geography;
    /// A hospital, clinic, pharmacy or other organisation by its name.
    Facility = "FACILITY", "FACILITY", Geography;
    /// A ZIP code; three digits of one only where they are restricted.
    Zip = "ZIP_CODE", "ZIP", Geography;
    /// A date finer than a year.
    Date = "DATE", "DATE", Dates;
    /// An age over 89.
    Age = "AGE", "AGE", Dates;
    /// A telephone number.
    Phone = "PHONE", "PHONE", Telephones;
    /// A fax number.
    Fax = "FAX", "FAX", Faxes;
    /// An e-mail address.
    Email = "EMAIL", "EMAIL", Emails;
    /// A social security number, or an individual taxpayer's number in its form.
    Ssn = "US_SOCIAL_SECURITY_NUMBER", "SSN", SocialSecurity;
    /// A medical record, chart or patient number.
    Mrn = "MEDICAL_RECORD_NUMBER", "MRN", MedicalRecords;
    /// A number of a health plan: member, policy, group, claim, authorisation.
    HealthPlan = "HEALTH_PLAN_NUMBER", "PLAN", HealthPlans;
    /// An account, invoice, order or customer number.
    Account = "ACCOUNT_NUMBER", "ACCOUNT", Accounts;
    /// A payment card's number.
    Card = "CREDIT_DEBIT_CARD_NUMBER", "CARD", Accounts;
    /// An international bank account number.
    Iban = "INTERNATIONAL_BANK_ACCOUNT_NUMBER", "IBAN", Accounts;
    /// A professional licence or a certificate.
    License = "LICENSE_NUMBER", "LICENSE", Licenses;
    /// A prescriber's national provider identifier.
    Npi = "NATIONAL_PROVIDER_IDENTIFIER", "NPI", Licenses;
    /// A registration with the Drug Enforcement Administration.
    Dea = "DEA_NUMBER", "DEA", Licenses;
    /// A driving licence.
    DriverId = "DRIVER_ID", "DRIVER_ID", Licenses;
    /// A passport, visa or national identity number.
    Passport = "PASSPORT_NUMBER", "PASSPORT", Licenses;
    /// A vehicle identification number.
    Vin = "VEHICLE_IDENTIFICATION_NUMBER", "VIN", Vehicles;
    /// A licence plate.
    Plate = "LICENSE_PLATE", "PLATE", Vehicles;
    /// A device's serial number, model-and-lot or unique device identifier.
    Device = "DEVICE_IDENTIFIER", "DEVICE", Devices;
    /// A mobile device's equipment identity.
    Imei = "IMEI", "IMEI", Devices;
    /// A network card's address.
    Mac = "MAC_ADDRESS", "MAC", Devices;
    /// A web address or domain.
    Url = "URL", "URL", Urls;
    /// An internet protocol address.
    Ip = "IP_ADDRESS", "IP", IpAddresses;
    /// A number or file of a finger, voice, face or iris print.
    Biometric = "BIOMETRIC_IDENTIFIER", "BIOMETRIC", Biometrics;
    /// The file of a photograph or scan that may show a face.
    Photo = "PHOTOGRAPH", "PHOTO", Photographs;
    /// A prescription's number.
    Prescription = "PRESCRIPTION_NUMBER", "RX", Other;
    /// A subject's or sample's number in a study.
    Study = "STUDY_NUMBER", "STUDY", Other;
    /// A user name or handle.
    Username = "USERNAME", "USERNAME", Other;
    /// A password, PIN or access code.
    Password = "PASSWORD", "PASSWORD", Other;
    /// Another number or code of one person.
    UniqueId = "UNIQUE_IDENTIFIER", "ID", Other;
    /// A match of one of the site's own patterns.
    Pattern = "SITE_PATTERN", "SITE", Other;
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL.iter().copied().find(|kind| kind.word() == word).ok_or(UnknownKind)
    }
}

/// A word that names no kind of identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such kind of identifier")]
pub struct UnknownKind;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_kinds_cover_the_eighteen_categories() {
        let covered: BTreeSet<Category> = Kind::ALL.iter().map(|kind| kind.category()).collect();
        assert_eq!(covered.len(), 18);
    }

    #[test]
    fn a_kind_is_read_back_from_its_word() {
        for kind in Kind::ALL {
            assert_eq!(kind.word().parse(), Ok(*kind));
        }
        assert_eq!("CAT".parse::<Kind>(), Err(UnknownKind));
    }
}
