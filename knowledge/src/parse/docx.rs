//! Word documents: headings by style, real list numbers, tables with their headers, notes beside what they explain.
//!
//! What the author deleted, hid or put into comments, page headers and page footers is not text of the document.

mod body;
mod numbering;
mod styles;

use std::collections::HashMap;

use super::archive::Archive;
use super::writer::Writer;
use super::xml::{self, Element};
use super::{Format, Limits, ParseError, Parsed};
use body::Body;
use numbering::Numbering;
use styles::Styles;

const FORMAT: Format = Format::Docx;

pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    let mut archive = Archive::open(bytes, FORMAT, limits)?;
    let main = main_part(&mut archive)?;
    let folder = main.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let document = xml::parse(&archive.required(&main)?, FORMAT, "the main document")?;
    let styles = optional(&mut archive, &format!("{folder}styles.xml"))?;
    let numbering = optional(&mut archive, &format!("{folder}numbering.xml"))?;
    let footnotes = optional(&mut archive, &format!("{folder}footnotes.xml"))?;
    let endnotes = optional(&mut archive, &format!("{folder}endnotes.xml"))?;

    let mut writer = Writer::new(limits);
    properties(&mut archive, &mut writer)?;
    let styles = Styles::read(&styles);
    let numbering = Numbering::read(&numbering, &styles);
    let mut body = Body::new(styles, numbering, notes(&footnotes), notes(&endnotes));
    if let Some(root) = document.at(&["document", "body"]) {
        body.blocks(root, &mut writer);
    }
    body.finish(&mut writer);
    writer.finish(FORMAT)
}

/// The package names its main part; Word itself always calls it `word/document.xml`.
fn main_part(archive: &mut Archive<'_>) -> Result<String, ParseError> {
    let relations = optional(archive, "_rels/.rels")?;
    let target = relations.child("Relationships").and_then(|list| {
        let mut relations = list.elements();
        let main = relations.find(|one| one.attribute("Type").is_some_and(|kind| kind.ends_with("/officeDocument")))?;
        main.attribute("Target").map(|target| target.trim_start_matches('/').to_owned())
    });
    Ok(target.filter(|target| archive.has(target)).unwrap_or_else(|| "word/document.xml".to_owned()))
}

fn optional(archive: &mut Archive<'_>, name: &str) -> Result<Element, ParseError> {
    match archive.part(name)? {
        Some(bytes) => xml::parse(&bytes, FORMAT, name.rsplit('/').next().unwrap_or(name)),
        None => Ok(Element::default()),
    }
}

/// Core and custom properties.
fn properties(archive: &mut Archive<'_>, writer: &mut Writer) -> Result<(), ParseError> {
    let core = optional(archive, "docProps/core.xml")?;
    for property in core.elements().flat_map(Element::elements) {
        let key = match property.name.as_str() {
            "creator" => "author",
            "lastModifiedBy" | "revision" => continue,
            other => other,
        };
        writer.property(key, &property.text());
    }
    let custom = optional(archive, "docProps/custom.xml")?;
    for property in custom.elements().flat_map(Element::elements) {
        if let Some(name) = property.attribute("name") {
            writer.property(name, &property.text());
        }
    }
    Ok(())
}

/// Notes by id, without the separators that Word keeps among them.
fn notes(part: &Element) -> HashMap<&str, &Element> {
    let notes = part.elements().flat_map(Element::elements);
    notes
        .filter(|note| note.attribute("type").is_none())
        .filter_map(|note| Some((note.attribute("id")?, note)))
        .collect()
}
