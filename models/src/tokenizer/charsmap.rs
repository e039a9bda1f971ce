//! SentencePiece's map of characters, checked before it is used: its reader follows whatever numbers the file holds.
//!
//! The format: the length of a trie in bytes, the trie as 32-bit units of a double array (as darts-clone writes it), and the
//! texts that it leads to, each ended by a zero.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokenizers::normalizers::Precompiled;

use super::metadata::refused;
use crate::error::LoadError;

/// Reads a map that cannot lead its reader past its ends.
pub(super) fn read(map: &[u8]) -> Result<Precompiled, LoadError> {
    if !leads_nowhere_else(map) {
        return Err(refused("its map of characters is damaged"));
    }
    Precompiled::from(map).map_err(|_| refused("its map of characters cannot be read"))
}

/// Refuses a map in a normaliser of `tokenizer.json` that could lead its reader past its ends.
pub(super) fn check(normalizer: &Value) -> Result<(), LoadError> {
    match normalizer {
        Value::Array(all) => all.iter().try_for_each(check),
        Value::Object(fields) => {
            if let Some(map) = fields.get("precompiled_charsmap").and_then(Value::as_str) {
                let map = STANDARD.decode(map).map_err(|_| refused("its map of characters is not base64"))?;
                read(&map)?;
            }
            fields.values().try_for_each(check)
        }
        _ => Ok(()),
    }
}

/// Whether each step from a unit, with any next byte, leads to a unit, and each value to the beginning of a character.
fn leads_nowhere_else(map: &[u8]) -> bool {
    let Some((length, rest)) = map.split_first_chunk::<4>() else { return false };
    let Some((trie, texts)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize) else { return false };
    let (units, []) = trie.as_chunks::<4>() else { return false };
    let Ok(texts) = std::str::from_utf8(texts) else { return false };
    let units: Vec<usize> = units.iter().map(|unit| u32::from_le_bytes(*unit) as usize).collect();
    let fine = |(at, unit): (usize, &usize)| {
        // The highest bit marks a value, which is no step. The reader follows the root without looking at it.
        if at > 0 && unit >> 31 == 1 {
            return true;
        }
        let next = at ^ ((unit >> 10) << ((unit & (1 << 9)) >> 6));
        let ends = unit >> 8 & 1 == 1;
        let value = || units.get(next).is_some_and(|value| texts.is_char_boundary(value & !(1 << 31)));
        next | 255 < units.len() && (!ends || value())
    };
    !units.is_empty() && units.iter().enumerate().all(fine)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A map that turns `a` into what begins at `value` of the texts.
    fn map(value: u32, texts: &str) -> Vec<u8> {
        let mut units = vec![0u32; 512];
        // From the root to 256 ^ 97, whose label is `a` and which ends; its value stands at 256 ^ 97 ^ 1.
        units[0] = 256 << 10;
        units[256 ^ 97] = (1 << 10) | (1 << 8) | 97;
        units[256 ^ 97 ^ 1] = (1 << 31) | value;
        let mut map = 2048u32.to_le_bytes().to_vec();
        map.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        map.extend(texts.as_bytes());
        map
    }

    #[test]
    fn a_sound_map_is_applied() {
        assert_eq!(read(&map(3, "no\0ä\0")).unwrap().normalize_string("bab"), "bäb");
    }

    #[test]
    fn a_map_that_leads_past_its_ends_is_refused() {
        let mut root = map(3, "no\0ä\0");
        root[7] = 128;
        for damaged in [root, map(9, "no\0ä\0"), map(4, "no\0ä\0"), map(0, "x")[..2051].to_vec(), vec![], vec![255; 8]]
        {
            assert!(read(&damaged).is_err());
        }
    }

    #[test]
    fn a_map_in_json_is_checked_wherever_it_stands() {
        let json = |map: &[u8]| {
            let map = serde_json::json!({"type": "Precompiled", "precompiled_charsmap": STANDARD.encode(map)});
            serde_json::json!({"type": "Sequence", "normalizers": [{"type": "NFC"}, map]})
        };
        assert!(check(&json(&map(3, "no\0ä\0"))).is_ok());
        assert!(check(&json(&map(9, "no\0ä\0"))).is_err());
        assert!(check(&Value::Null).is_ok());
    }

    proptest! {
        #[test]
        fn a_changed_map_is_refused_or_keeps_to_its_bounds(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9), text in "\\PC{0,12}") {
            let mut map = map(3, "no\0ä\0");
            for (at, value) in changes {
                let at = at.index(map.len());
                map[at] = value;
            }
            if let Ok(map) = read(&map) {
                drop(map.normalize_string(&text));
            }
        }
    }
}
