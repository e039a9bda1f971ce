//! A cell's value as a reader of the sheet sees it.

use calamine::{Data, ExcelDateTime};

/// The value as shown; `code` is the cell's number format, empty where it is not known.
pub(super) fn shown(value: &Data, code: &str) -> String {
    match value {
        Data::Empty => String::new(),
        Data::String(text) | Data::DurationIso(text) => text.clone(),
        Data::DateTimeIso(text) => text.strip_suffix("T00:00:00").unwrap_or(text).replace('T', " "),
        Data::Int(number) => padded(number.to_string(), code),
        Data::Float(number) if code.contains('%') && !code.contains('"') => format!("{}%", plain(number * 100.0)),
        Data::Float(number) => padded(plain(*number), code),
        Data::Bool(truth) => if *truth { "TRUE" } else { "FALSE" }.into(),
        Data::DateTime(time) => date(time),
        Data::Error(error) => error.to_string(),
    }
}

pub(super) fn is_number(value: &Data) -> bool {
    matches!(value, Data::Int(_) | Data::Float(_) | Data::DateTime(_) | Data::DateTimeIso(_))
}

/// Fifteen significant digits, as spreadsheets keep them, without the noise of binary fractions.
fn plain(number: f64) -> String {
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    let size = rounded.abs();
    if size != 0.0 && !(1e-9..1e21).contains(&size) { format!("{rounded:e}") } else { rounded.to_string() }
}

/// Codes such as `00000` keep leading zeros: drug codes and post codes depend on them.
fn padded(number: String, code: &str) -> String {
    let width = code.len();
    let fixed = (2..=20).contains(&width) && code.bytes().all(|byte| byte == b'0');
    if fixed && number.bytes().all(|byte| byte.is_ascii_digit()) { format!("{number:0>width$}") } else { number }
}

fn date(time: &ExcelDateTime) -> String {
    if time.is_duration() {
        let minutes = (time.as_f64() * 24.0 * 60.0).round();
        return if minutes.abs() < 1e9 {
            format!("{}:{:02}", (minutes / 60.0).floor(), minutes.rem_euclid(60.0))
        } else {
            plain(time.as_f64())
        };
    }
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    let clock =
        if second == 0 { format!("{hour:02}:{minute:02}") } else { format!("{hour:02}:{minute:02}:{second:02}") };
    let whole_days = (time.as_f64().fract() * 86_400.0).round() == 0.0;
    match () {
        () if time.as_f64() < 1.0 => clock,
        () if whole_days => format!("{year:04}-{month:02}-{day:02}"),
        () => format!("{year:04}-{month:02}-{day:02} {clock}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_the_sheet_shows_them() {
        assert_eq!(shown(&Data::Float(0.1 + 0.2), "General"), "0.3");
        assert_eq!(shown(&Data::Float(30.0), ""), "30");
        assert_eq!(shown(&Data::Float(0.2), "0%"), "20%");
        assert_eq!(shown(&Data::Float(78.0), "00000"), "00078");
    }
}
