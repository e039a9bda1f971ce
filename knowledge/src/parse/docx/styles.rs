//! What a paragraph's style makes of it: a heading of some level, an entry of a list, a quotation.

use std::collections::HashMap;

use crate::parse::xml::Element;

/// Styles build on each other; a longer chain is a loop.
const LONGEST_CHAIN: usize = 24;

/// The styles of a document, by id.
#[derive(Default)]
pub(super) struct Styles {
    by_id: HashMap<String, Style>,
    default: Option<String>,
}

#[derive(Default)]
struct Style {
    name: String,
    based_on: Option<String>,
    outline: Option<u8>,
    numbering: Option<String>,
    level: Option<usize>,
    bold: Option<bool>,
    heads_first_row: bool,
}

impl Styles {
    pub(super) fn read(part: &Element) -> Self {
        let mut styles = Self::default();
        for style in part.elements().flat_map(Element::elements).filter(|style| style.name == "style") {
            let Some(id) = style.attribute("styleId") else { continue };
            if style.attribute("type") == Some("paragraph") && style.attribute("default").is_some_and(is_on) {
                styles.default = Some(id.to_owned());
            }
            styles.by_id.insert(id.to_owned(), Style::read(style));
        }
        styles
    }

    /// The heading level that a style gives: 1 is the outermost.
    pub(super) fn heading(&self, id: Option<&str>) -> Option<u8> {
        let level = self.chain(id).find_map(|style| style.heading())?;
        (1..=9).contains(&level).then_some(level)
    }

    pub(super) fn is_title(&self, id: Option<&str>) -> bool {
        self.chain(id).any(|style| style.name == "title")
    }

    pub(super) fn is_quote(&self, id: Option<&str>) -> bool {
        self.chain(id).any(|style| matches!(style.name.as_str(), "quote" | "intense quote" | "block text"))
    }

    /// The list that a style puts its paragraphs into: number id and level.
    pub(super) fn numbering(&self, id: Option<&str>) -> Option<(String, usize)> {
        let number = self.chain(id).find_map(|style| style.numbering.clone())?;
        Some((number, self.chain(id).find_map(|style| style.level).unwrap_or(0)))
    }

    pub(super) fn is_bold(&self, id: Option<&str>) -> bool {
        self.chain(id).find_map(|style| style.bold).unwrap_or(false)
    }

    /// Whether a table style sets its first row apart.
    pub(super) fn heads_first_row(&self, id: Option<&str>) -> bool {
        id.is_some() && self.chain(id).any(|style| style.heads_first_row)
    }

    /// The style and those that it is based on; where none is named, the default.
    fn chain<'a>(&'a self, id: Option<&str>) -> impl Iterator<Item = &'a Style> {
        let first = id.and_then(|id| self.by_id.get(id)).or_else(|| self.by_id.get(self.default.as_deref()?));
        let next = |style: &&'a Style| self.by_id.get(style.based_on.as_deref()?);
        std::iter::successors(first, next).take(LONGEST_CHAIN)
    }
}

impl Style {
    fn read(style: &Element) -> Self {
        let value = |path: &[&str]| style.at(path).and_then(|element| element.attribute("val"));
        let first_row = |part: &Element| part.name == "tblStylePr" && part.attribute("type") == Some("firstRow");
        Self {
            name: value(&["name"]).unwrap_or_default().to_lowercase(),
            based_on: value(&["basedOn"]).map(str::to_owned),
            outline: value(&["pPr", "outlineLvl"]).and_then(|level| level.parse().ok()),
            numbering: value(&["pPr", "numPr", "numId"]).map(str::to_owned),
            level: value(&["pPr", "numPr", "ilvl"]).and_then(|level| level.parse().ok()),
            bold: style.at(&["rPr", "b"]).map(|bold| bold.attribute("val").is_none_or(is_on)),
            heads_first_row: style.elements().any(first_row),
        }
    }

    /// A level of 10 and above says: explicitly no heading.
    fn heading(&self) -> Option<u8> {
        let named = self.name.strip_prefix("heading ").and_then(|level| level.parse().ok());
        let titled = (self.name == "title").then_some(1);
        self.outline.map(|level| level.saturating_add(1)).or(named).or(titled)
    }
}

/// Word writes truth as `1`, `true` or `on`.
pub(super) fn is_on(value: &str) -> bool {
    !matches!(value, "0" | "false" | "off" | "none")
}
