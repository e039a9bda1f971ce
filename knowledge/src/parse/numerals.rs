//! Letters and Roman numerals, as list markers use them.

/// 1 is `a`, 26 is `z`, 27 is `aa` (as Word counts).
pub(crate) fn letters(number: u32) -> String {
    let Some(index) = number.checked_sub(1) else { return "0".into() };
    let letter = char::from(b'a' + u8::try_from(index % 26).unwrap_or(0));
    std::iter::repeat_n(letter, (index / 26 + 1).min(10) as usize).collect()
}

/// Lower-case; plain digits beyond 3999, which Romans could not write.
pub(crate) fn roman(number: u32) -> String {
    const SIGNS: [(u32, &str); 13] = [
        (1000, "m"),
        (900, "cm"),
        (500, "d"),
        (400, "cd"),
        (100, "c"),
        (90, "xc"),
        (50, "l"),
        (40, "xl"),
        (10, "x"),
        (9, "ix"),
        (5, "v"),
        (4, "iv"),
        (1, "i"),
    ];
    if !(1..=3999).contains(&number) {
        return number.to_string();
    }
    let mut left = number;
    let mut out = String::new();
    for (value, sign) in SIGNS {
        while left >= value {
            out.push_str(sign);
            left -= value;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        assert_eq!((letters(1), letters(26), letters(28)), ("a".into(), "z".into(), "bb".into()));
        assert_eq!((roman(4), roman(1994), roman(0)), ("iv".into(), "mcmxciv".into(), "0".into()));
    }
}
