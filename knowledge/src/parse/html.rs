//! HTML: headings, paragraphs, lists and tables; navigation, scripts and what the page hides are left out.

mod walk;

use html5ever::tendril::TendrilSink;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use super::writer::Writer;
use super::{Format, Limits, ParseError, Parsed, encoding};
use walk::Walk;

pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    let decoded = encoding::decode(bytes, declared(bytes).as_deref());
    let mut writer = Writer::new(limits);
    writer.warnings.extend(decoded.warning);
    write(&decoded.text, &mut writer);
    writer.finish(Format::Html)
}

/// Writes the blocks of a page or of a part of one.
pub(crate) fn write(source: &str, writer: &mut Writer) {
    let dom = parse_document(RcDom::default(), ParseOpts::default()).one(source);
    let mut walk = Walk::new(writer);
    walk.run(&dom.document);
}

/// The encoding that a page names in its first kilobytes.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = bytes.get(..bytes.len().min(4096))?;
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let (_, after) = head.split_once("charset=").or_else(|| head.split_once("encoding="))?;
    let label: String = after
        .trim_start_matches(['"', '\'', ' '])
        .chars()
        .take_while(|char| char.is_ascii_alphanumeric() || "-_:".contains(*char))
        .collect();
    (!label.is_empty()).then_some(label)
}

/// The name of an element; empty for anything else.
fn name(node: &Handle) -> &str {
    match &node.data {
        NodeData::Element { name, .. } => &name.local,
        _ => "",
    }
}

fn attribute(node: &Handle, wanted: &str) -> Option<String> {
    match &node.data {
        NodeData::Element { attrs, .. } => {
            attrs.borrow().iter().find(|one| &*one.name.local == wanted).map(|one| one.value.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
