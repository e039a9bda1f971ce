//! Units: their common names, and how many of the base unit one of them holds.

use super::token::Token;

/// The unit after a number; for the lower end of a range, the unit after its upper end. The second value is how many
/// tokens the number and its own unit take. A rate by weight, volume or hour belongs to the unit: `mg/kg`, `mg/ml`.
pub(super) fn unit_after(tokens: &[Token<'_>], from: usize) -> Option<(String, usize)> {
    let text = |index: usize| tokens.get(index).map(Token::lower).unwrap_or_default();
    let is_range = matches!(text(from).as_str(), "-" | "\u{2013}" | "to" | "or");
    if is_range && let Some(upper) = tokens.get(from + 1..).and_then(super::number::number) {
        return unit_after(tokens, from + 1 + upper.used).map(|(unit, _)| (unit, from));
    }
    let at = from + usize::from(matches!(text(from).as_str(), "-" | "\u{2011}"));
    let kind = text(at);
    if matches!(kind.as_str(), "business" | "working" | "calendar" | "consecutive") {
        return unit(&text(at + 1)).map(|unit| (format!("{kind} {unit}"), at + 2));
    }
    let (name, mut used) = match (unit(&kind), kind.as_str(), text(at + 1).as_str()) {
        (_, "mm", "hg") => ("mmhg", at + 2),
        (_, "international", "units" | "unit") => ("unit", at + 2),
        (unit, _, _) => (unit?, at + 1),
    };
    let mut name = name.to_owned();
    while matches!(text(used).as_str(), "/" | "per") {
        let Some(below) = unit(&text(used + 1)).filter(|below| DENOMINATORS.contains(below)) else { break };
        name = format!("{name}/{below}");
        used += 2;
    }
    Some((name, used))
}

/// Units below the stroke that make another unit; `/day` and `/dose` tell how often, and are read as that.
const DENOMINATORS: &[&str] = &["kg", "ml", "l", "dl", "minute", "hour", "m2", "mm3"];

fn unit(word: &str) -> Option<&'static str> {
    Some(match word {
        "ng" | "nanogram" | "nanograms" => "ng",
        "mg" | "mgs" | "milligram" | "milligrams" => "mg",
        "mcg" | "mcgs" | "µg" | "μg" | "ug" | "microgram" | "micrograms" => "mcg",
        "g" | "gram" | "grams" | "gm" | "gms" => "g",
        "kg" | "kgs" | "kilogram" | "kilograms" | "kilo" | "kilos" => "kg",
        "ml" | "mls" | "milliliter" | "milliliters" | "millilitre" | "millilitres" | "cc" => "ml",
        "dl" | "deciliter" | "deciliters" => "dl",
        "l" | "liter" | "liters" | "litre" | "litres" => "l",
        "unit" | "units" | "iu" | "u" => "unit",
        "meq" | "milliequivalent" | "milliequivalents" => "meq",
        "mmol" | "millimole" | "millimoles" => "mmol",
        "tablet" | "tablets" | "tab" | "tabs" => "tablet",
        "capsule" | "capsules" | "cap" | "caps" => "capsule",
        "pill" | "pills" => "pill",
        "drop" | "drops" | "gtt" => "drop",
        "puff" | "puffs" | "inhalation" | "inhalations" => "puff",
        "spray" | "sprays" => "spray",
        "patch" | "patches" => "patch",
        "dose" | "doses" => "dose",
        "vial" | "vials" => "vial",
        "ampule" | "ampules" | "ampoule" | "ampoules" => "ampule",
        "lozenge" | "lozenges" => "lozenge",
        "packet" | "packets" | "sachet" | "sachets" => "packet",
        "suppository" | "suppositories" => "suppository",
        "teaspoon" | "teaspoons" | "tsp" => "teaspoon",
        "tablespoon" | "tablespoons" | "tbsp" => "tablespoon",
        "refill" | "refills" => "refill",
        "time" | "times" | "x" => "time",
        "second" | "seconds" => "second",
        "minute" | "minutes" | "min" | "mins" => "minute",
        "hour" | "hours" | "hr" | "hrs" | "h" => "hour",
        "day" | "days" => "day",
        "week" | "weeks" | "wk" | "wks" => "week",
        "month" | "months" => "month",
        "year" | "years" | "yr" | "yrs" => "year",
        "mile" | "miles" => "mile",
        "inch" | "inches" => "inch",
        "cm" | "centimeter" | "centimeters" | "centimetre" | "centimetres" => "cm",
        "mm" | "millimeter" | "millimeters" | "millimetre" | "millimetres" => "mm",
        "mmhg" => "mmhg",
        "m2" => "m2",
        "lb" | "lbs" | "pound" | "pounds" => "lb",
        "oz" | "ounce" | "ounces" => "oz",
        "%" | "percent" => "%",
        "°c" | "celsius" => "°c",
        "°f" | "fahrenheit" => "°f",
        "°" | "degree" | "degrees" => "°",
        "$" | "dollar" | "dollars" | "usd" => "$",
        "cent" | "cents" => "cent",
        _ => return None,
    })
}

/// A measure in its base unit: `0.5 g` and `500 mg` are the same number of nanograms, `2 week` and `14 day` the same of
/// minutes. `None` when `value` is no number with a unit.
pub(super) fn base(value: &str) -> Option<(f64, String)> {
    let (number, unit) = value.split_once(' ')?;
    let number: f64 = number.parse().ok()?;
    let (above, below) = unit.split_once('/').map_or((unit, None), |(above, below)| (above, Some(below)));
    let (scale, name) = match above {
        "ng" => (1.0, "ng"),
        "mcg" => (1e3, "ng"),
        "mg" => (1e6, "ng"),
        "g" => (1e9, "ng"),
        "kg" => (1e12, "ng"),
        "ml" => (1.0, "ml"),
        "dl" => (100.0, "ml"),
        "l" => (1000.0, "ml"),
        "teaspoon" => (5.0, "ml"),
        "tablespoon" => (15.0, "ml"),
        "second" => (1.0 / 60.0, "minute"),
        "minute" => (1.0, "minute"),
        "hour" => (60.0, "minute"),
        "day" => (1440.0, "minute"),
        "week" => (10_080.0, "minute"),
        "month" => (1.0, "month"),
        "year" => (12.0, "month"),
        "mm" => (0.1, "cm"),
        "cent" => (0.01, "$"),
        "pill" => (1.0, "tablet"),
        other => (1.0, other),
    };
    Some((number * scale, below.map_or_else(|| name.to_owned(), |below| format!("{name}/{below}"))))
}

/// Whether two measures are the same amount.
pub(super) fn same(one: &str, other: &str) -> bool {
    match (base(one), base(other)) {
        (Some((a, unit)), Some((b, other))) => unit == other && (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
        _ => false,
    }
}

/// What a measure measures. Two measures of one dimension and another amount cannot both be what a sentence says of
/// the same thing.
pub(super) fn dimension(value: &str) -> &'static str {
    let unit = value.split_once(' ').map_or("", |(_, unit)| unit);
    match unit.split('/').next().unwrap_or_default() {
        "ng" | "mcg" | "mg" | "g" | "unit" | "meq" | "mmol" | "tablet" | "capsule" | "pill" | "drop" | "puff"
        | "spray" | "patch" | "vial" | "ampule" | "lozenge" | "packet" | "suppository" | "teaspoon" | "tablespoon"
        | "ml" | "dose" => "dose",
        "second" | "minute" | "hour" | "day" | "week" | "month" | "year" => "time",
        "kg" | "lb" | "oz" => "weight",
        "$" | "cent" => "money",
        "°c" | "°f" | "°" => "temperature",
        "time" => "times",
        "%" => "share",
        _ if unit.ends_with(" day") => "time",
        _ => "measure",
    }
}
