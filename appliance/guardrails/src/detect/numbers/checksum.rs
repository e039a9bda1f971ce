//! Check digits.

/// The digits of `text`, other characters left out.
fn digits(text: &str) -> impl DoubleEndedIterator<Item = u32> + '_ {
    text.chars().filter_map(|character| character.to_digit(10))
}

/// Luhn's formula (ISO/IEC 7812-1, annex B): payment cards, equipment identities, national provider identifiers.
pub(crate) fn luhn(text: &str) -> bool {
    luhn_sum(text).is_multiple_of(10)
}

fn luhn_sum(text: &str) -> u32 {
    let double = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    digits(text).rev().enumerate().map(|(place, digit)| if place % 2 == 1 { double(digit) } else { digit }).sum()
}

/// A national provider identifier: ten digits, 1 or 2 first, Luhn's formula with 80840 before them, which adds 24 to
/// the sum (CMS, Requirements for National Provider Identifier and NPI Check Digit).
pub(crate) fn npi(text: &str) -> bool {
    text.len() == 10 && text.starts_with(['1', '2']) && (luhn_sum(text) + 24).is_multiple_of(10)
}

/// A registration of the Drug Enforcement Administration: two letters (the second may be 9) and seven digits, the last
/// being the last digit of d1 + d3 + d5 + 2 (d2 + d4 + d6).
pub(crate) fn dea(text: &str) -> bool {
    let Some((letters, number)) = text.split_at_checked(2) else { return false };
    let mut written = letters.chars();
    let registrant = written.next().is_some_and(|c| c.is_ascii_alphabetic() && !"IONQVWYZiqnovwyz".contains(c));
    let name = written.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '9');
    if !(registrant && name) || number.len() != 7 || !number.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let sum: u32 = digits(number).take(6).enumerate().map(|(place, digit)| digit * (1 + (place as u32 % 2))).sum();
    digits(number).last() == Some(sum % 10)
}

/// A vehicle identification number: 17 of the letters and digits without I, O and Q, the ninth being the check
/// (49 CFR 565.15(c)).
pub(crate) fn vin(text: &str) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    if text.len() != 17 {
        return false;
    }
    let mut sum = 0;
    for (character, weight) in text.chars().zip(WEIGHTS) {
        let Some(value) = vin_value(character.to_ascii_uppercase()) else { return false };
        sum += value * weight;
    }
    let check = text.chars().nth(8).map(|c| c.to_ascii_uppercase());
    check == if sum % 11 == 10 { Some('X') } else { char::from_digit(sum % 11, 10) }
}

/// The value of a character in a vehicle identification number; `None` for one that may not stand there.
pub(crate) fn vin_value(character: char) -> Option<u32> {
    Some(match character {
        'A' | 'J' | '1' => 1,
        'B' | 'K' | 'S' | '2' => 2,
        'C' | 'L' | 'T' | '3' => 3,
        'D' | 'M' | 'U' | '4' => 4,
        'E' | 'N' | 'V' | '5' => 5,
        'F' | 'W' | '6' => 6,
        'G' | 'P' | 'X' | '7' => 7,
        'H' | 'Y' | '8' => 8,
        'R' | 'Z' | '9' => 9,
        '0' => 0,
        _ => return None,
    })
}

/// An international bank account number (ISO 13616): two letters, two digits, 11 to 30 more; with the first four moved
/// to the end and letters as 10 to 35 it leaves 1 when divided by 97. `text` holds no blanks.
pub(crate) fn iban(text: &str) -> bool {
    if !(15..=34).contains(&text.len()) || !text.is_ascii() {
        return false;
    }
    let Some((head, tail)) = text.split_at_checked(4) else { return false };
    let (country, check) = head.split_at_checked(2).unwrap_or_default();
    if !country.bytes().all(|b| b.is_ascii_alphabetic()) || !check.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let mut rest = 0u32;
    for character in tail.chars().chain(head.chars()) {
        let Some(value) = character.to_digit(36) else { return false };
        rest = (if value > 9 { rest * 100 } else { rest * 10 } + value) % 97;
    }
    rest == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each example is the one that its standard's own publisher prints.
    #[test]
    fn published_examples_pass_and_one_wrong_digit_fails() {
        assert!(luhn("4111 1111 1111 1111") && !luhn("4111 1111 1111 1112"));
        assert!(luhn("490154203237518") && !luhn("490154203237519"));
        assert!(npi("1234567893") && !npi("1234567894"));
        assert!(vin("11111111111111111") && vin("1M8GDM9AXKP042788") && !vin("1M8GDM9A1KP042788"));
        assert!(iban("GB82WEST12345698765432") && !iban("GB82WEST12345698765433"));
        assert!(dea("AB1234563") && !dea("AB1234564"));
    }

    #[test]
    fn every_single_wrong_digit_of_a_card_is_noticed() {
        let card = "5500005555555559";
        for place in 0..card.len() {
            for digit in '0'..='9' {
                let mut wrong: Vec<char> = card.chars().collect();
                let right = std::mem::replace(&mut wrong[place], digit);
                assert_eq!(luhn(&wrong.iter().collect::<String>()), right == digit);
            }
        }
    }
}
