//! Vehicle identification numbers by their form and check digit. Plates have no form of their own: they need a label.

use super::{
    super::{finding::Finding, kind::Kind},
    checksum,
    run::Chunk,
};

/// The vehicle identification number that `chunk` is. A wrong check digit makes it less sure: those of vehicles made
/// for other markets have none.
pub(super) fn vin(text: &str, chunk: &Chunk) -> Option<(Finding, usize)> {
    let form = text.len() == 17
        && chunk.letters >= 2
        && chunk.digits >= 5
        && text.chars().all(|c| checksum::vin_value(c).is_some());
    let confidence = if checksum::vin(text) { 0.95 } else { 0.6 };
    form.then(|| (Finding::new(Kind::Vin, chunk.start, chunk.end, confidence, "vin"), chunk.last))
}
