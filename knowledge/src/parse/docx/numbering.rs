//! The numbers that Word shows in front of list entries and headings. They are nowhere in the text: they follow from
//! counters per list, restarts, and a pattern per level such as `%1.%2)`.

use std::collections::{HashMap, HashSet};

use super::styles::{Styles, is_on};
use crate::parse::numerals;
use crate::parse::xml::Element;

/// Word has nine levels.
const LEVELS: usize = 9;

/// The lists of a document and how far each has counted.
#[derive(Default)]
pub(super) struct Numbering {
    patterns: HashMap<String, Pattern>,
    lists: HashMap<String, List>,
    counters: HashMap<String, [Option<u32>; LEVELS]>,
    restarted: HashSet<(String, usize)>,
}

/// What Word calls an abstract numbering.
#[derive(Default, Clone)]
struct Pattern {
    levels: HashMap<usize, Level>,
    style: Option<String>,
}

#[derive(Clone)]
struct Level {
    start: u32,
    numerals: String,
    text: String,
    legal: bool,
}

/// What Word calls a numbering instance.
struct List {
    pattern: String,
    starts: HashMap<usize, u32>,
    levels: HashMap<usize, Level>,
}

/// What stands in front of a paragraph.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) text: String,
    /// `None` for a bullet.
    pub(super) number: Option<u32>,
}

impl Numbering {
    pub(super) fn read(part: &Element, styles: &Styles) -> Self {
        let mut out = Self::default();
        for element in part.elements().flat_map(Element::elements) {
            match element.name.as_str() {
                "abstractNum" => {
                    let Some(id) = element.attribute("abstractNumId") else { continue };
                    let style = element.at(&["numStyleLink"]).and_then(|link| link.attribute("val")).map(str::to_owned);
                    out.patterns.insert(id.to_owned(), Pattern { levels: levels(element), style });
                }
                "num" => {
                    let Some(id) = element.attribute("numId") else { continue };
                    out.lists.insert(id.to_owned(), List::read(element));
                }
                _ => {}
            }
        }
        out.follow_style_links(styles);
        out
    }

    /// A pattern may only say: as in that style.
    fn follow_style_links(&mut self, styles: &Styles) {
        let linked: Vec<(String, String)> =
            self.patterns.iter().filter_map(|(id, pattern)| Some((id.clone(), pattern.style.clone()?))).collect();
        for (id, style) in linked {
            let target = styles.numbering(Some(&style)).and_then(|(list, _)| self.lists.get(&list));
            if let Some(levels) = target.and_then(|list| self.patterns.get(&list.pattern)).map(|one| one.levels.clone())
                && let Some(pattern) = self.patterns.get_mut(&id)
            {
                pattern.levels = levels;
            }
        }
    }

    /// Counts one paragraph of that list and level, and returns what a reader sees in front of it. `None` where the
    /// list is unknown or the level shows nothing.
    pub(super) fn next(&mut self, list_id: &str, level: usize) -> Option<Label> {
        let level = level.min(LEVELS - 1);
        let list = self.lists.get(list_id)?;
        let pattern = self.patterns.get(&list.pattern);
        let look =
            |level: usize| list.levels.get(&level).or_else(|| pattern.and_then(|pattern| pattern.levels.get(&level)));
        let start = |level: usize| look(level).map_or(1, |level| level.start);

        // Lists of one pattern count on together, unless a list says where it starts.
        let counters = self.counters.entry(list.pattern.clone()).or_default();
        if let Some(first) = list.starts.get(&level)
            && self.restarted.insert((list_id.to_owned(), level))
            && let Some(counter) = counters.get_mut(level)
        {
            *counter = first.checked_sub(1);
        }
        for (depth, counter) in counters.iter_mut().enumerate() {
            match depth.cmp(&level) {
                std::cmp::Ordering::Less => *counter = counter.or_else(|| Some(start(depth))),
                std::cmp::Ordering::Equal => {
                    *counter = Some(counter.map_or(start(depth), |count| count.saturating_add(1)))
                }
                std::cmp::Ordering::Greater => *counter = None,
            }
        }
        let this = look(level)?;
        let number = counters.get(level).copied().flatten()?;
        match this.numerals.as_str() {
            "none" => None,
            "bullet" => Some(Label { text: "-".into(), number: None }),
            _ => {
                let shown = |depth: usize| {
                    let count = counters.get(depth).copied().flatten().unwrap_or(1);
                    let style =
                        if this.legal { "decimal" } else { look(depth).map_or("decimal", |level| &level.numerals) };
                    written(style, count)
                };
                let text = fill(&this.text, shown);
                let text = if text.trim().is_empty() { format!("{number}.") } else { text };
                Some(Label { text: text.trim().to_owned(), number: Some(number) })
            }
        }
    }
}

impl List {
    fn read(element: &Element) -> Self {
        let pattern = element.at(&["abstractNumId"]).and_then(|id| id.attribute("val")).unwrap_or_default().to_owned();
        let mut list = Self { pattern, starts: HashMap::new(), levels: HashMap::new() };
        for change in element.elements().filter(|change| change.name == "lvlOverride") {
            let Some(level) = change.attribute("ilvl").and_then(|level| level.parse().ok()) else { continue };
            if let Some(start) = number(change, "startOverride") {
                list.starts.insert(level, start);
            }
            list.levels.extend(levels(change));
        }
        list
    }
}

fn levels(element: &Element) -> HashMap<usize, Level> {
    let read = |level: &Element| {
        let text = |name: &str| level.at(&[name]).and_then(|one| one.attribute("val")).unwrap_or_default().to_owned();
        let legal = level.at(&["isLgl"]).is_some_and(|one| one.attribute("val").is_none_or(is_on));
        let numerals = level.at(&["numFmt"]).map_or_else(|| "decimal".to_owned(), |_| text("numFmt"));
        Level { start: number(level, "start").unwrap_or(1), numerals, text: text("lvlText"), legal }
    };
    let levels = element.elements().filter(|level| level.name == "lvl");
    levels.filter_map(|level| Some((level.attribute("ilvl")?.parse().ok()?, read(level)))).collect()
}

fn number(element: &Element, name: &str) -> Option<u32> {
    element.at(&[name])?.attribute("val")?.parse().ok()
}

/// Puts the numbers into a pattern: `%2` is the number of the second level.
fn fill(pattern: &str, shown: impl Fn(usize) -> String) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(char) = chars.next() {
        let depth = chars.peek().and_then(|next| next.to_digit(10)).filter(|digit| *digit > 0);
        match depth {
            Some(depth) if char == '%' => {
                out.push_str(&shown(depth as usize - 1));
                chars.next();
            }
            _ => out.push(char),
        }
    }
    out
}

fn written(style: &str, number: u32) -> String {
    match style {
        "lowerLetter" => numerals::letters(number),
        "upperLetter" => numerals::letters(number).to_uppercase(),
        "lowerRoman" => numerals::roman(number),
        "upperRoman" => numerals::roman(number).to_uppercase(),
        "decimalZero" => format!("{number:02}"),
        "ordinal" => format!("{number}."),
        "bullet" | "none" => String::new(),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Format, xml};

    fn numbering(xml_text: &str) -> Numbering {
        let part = xml::parse(xml_text.as_bytes(), Format::Docx, "numbering").unwrap();
        Numbering::read(&part, &Styles::default())
    }

    const TWO_LEVELS: &str = r#"<numbering><abstractNum abstractNumId="0">
        <lvl ilvl="0"><start val="1"/><numFmt val="decimal"/><lvlText val="%1."/></lvl>
        <lvl ilvl="1"><start val="1"/><numFmt val="lowerLetter"/><lvlText val="%1.%2)"/></lvl></abstractNum>
        <num numId="1"><abstractNumId val="0"/></num>
        <num numId="2"><abstractNumId val="0"/><lvlOverride ilvl="0"><startOverride val="5"/></lvlOverride></num></numbering>"#;

    fn labels(numbering: &mut Numbering, entries: &[(&str, usize)]) -> Vec<String> {
        entries.iter().map(|(list, level)| numbering.next(list, *level).unwrap().text).collect()
    }

    #[test]
    fn inner_levels_start_again_below_each_outer_entry() {
        let mut numbering = numbering(TWO_LEVELS);
        let entries = [("1", 0), ("1", 1), ("1", 1), ("1", 0), ("1", 1)];
        assert_eq!(labels(&mut numbering, &entries), ["1.", "1.a)", "1.b)", "2.", "2.a)"]);
    }

    #[test]
    fn a_list_that_names_its_start_begins_there_once() {
        let mut numbering = numbering(TWO_LEVELS);
        assert_eq!(labels(&mut numbering, &[("1", 0), ("2", 0), ("2", 0)]), ["1.", "5.", "6."]);
    }
}
