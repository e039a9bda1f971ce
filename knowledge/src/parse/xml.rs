//! A small tree of XML elements: local names, attributes, text. No DTD, no entities but the five and numbers.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::encoding;
use super::{Format, ParseError};

/// Deeper nesting is refused: office documents stay below forty, and walks over the tree recurse.
const DEEPEST: usize = 200;
/// More elements than this are refused; a thousand pages of Word have about a million.
const MOST_ELEMENTS: usize = 4_000_000;

/// An element.
#[derive(Debug, Default)]
pub(crate) struct Element {
    /// Without its prefix: `w:p` and a strict document's `p` are read alike.
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
    pub(crate) children: Vec<Node>,
}

/// What an element holds.
#[derive(Debug)]
pub(crate) enum Node {
    /// An element within.
    Element(Element),
    /// Text, entities resolved.
    Text(String),
}

impl Element {
    /// The value of an attribute, by local name.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.elements().find(|element| element.name == name)
    }

    /// The first element of that path below this one.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// All text below, in order.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.collect_text(&mut out);
        out
    }

    fn collect_text(&self, out: &mut String) {
        for node in &self.children {
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Element(element) => element.collect_text(out),
            }
        }
    }
}

/// Parses a part of an office document. `place` names the part in errors.
pub(crate) fn parse(bytes: &[u8], format: Format, place: &str) -> Result<Element, ParseError> {
    let text = encoding::decode(bytes, None).text;
    let mut reader = Reader::from_str(&text);
    reader.config_mut().check_end_names = true;
    let mut tree = Tree { open: vec![Element::default()], elements: 0 };
    loop {
        let at = reader.buffer_position();
        let fail = |why: &str| ParseError::Damaged { format, place: format!("{place}, byte {at}"), why: why.into() };
        match reader.read_event() {
            Ok(Event::Start(start)) => tree.open(&start).map_err(|why| fail(why))?,
            Ok(Event::Empty(start)) => {
                tree.open(&start).map_err(|why| fail(why))?;
                tree.close();
            }
            Ok(Event::End(_)) => tree.close(),
            Ok(Event::Text(text)) => tree.text(&text.xml10_content()),
            Ok(Event::CData(text)) => tree.text(&text.xml10_content()),
            Ok(Event::GeneralRef(reference)) => match reference.resolve_char_ref() {
                Ok(Some(char)) => tree.text(char.encode_utf8(&mut [0; 4])),
                _ => match quick_xml::escape::resolve_predefined_entity(&reference.into_inner()) {
                    Some(text) => tree.text(text),
                    None => return Err(fail("it uses an entity of its own, which office documents never do")),
                },
            },
            Ok(Event::DocType(_)) => return Err(fail("it declares a document type, which office documents never do")),
            Ok(Event::Comment(_) | Event::Decl(_) | Event::PI(_)) => {}
            Ok(Event::Eof) => break,
            Err(_) => return Err(fail("its XML is not well formed")),
        }
    }
    if tree.open.len() > 1 {
        let why = "it ends in the middle".to_owned();
        return Err(ParseError::Damaged { format, place: place.to_owned(), why });
    }
    Ok(tree.open.pop().unwrap_or_default())
}

/// The elements that are open, outermost first; the first stands for the document itself.
struct Tree {
    open: Vec<Element>,
    elements: usize,
}

impl Tree {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), &'static str> {
        self.elements += 1;
        if self.open.len() > DEEPEST {
            return Err("its elements are nested too deeply");
        }
        if self.elements > MOST_ELEMENTS {
            return Err("it has too many elements");
        }
        let mut attributes = Vec::new();
        for attribute in start.attributes().with_checks(false).flatten() {
            let value = quick_xml::escape::unescape(&attribute.value)
                .map_or_else(|_| String::new(), |value| value.into_owned());
            attributes.push((attribute.key.local_name().as_ref().to_owned(), value));
        }
        self.open.push(Element { name: start.local_name().as_ref().to_owned(), attributes, children: Vec::new() });
        Ok(())
    }

    fn close(&mut self) {
        if self.open.len() > 1
            && let Some(element) = self.open.pop()
            && let Some(parent) = self.open.last_mut()
        {
            parent.children.push(Node::Element(element));
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            match element.children.last_mut() {
                Some(Node::Text(before)) => before.push_str(text),
                _ => element.children.push(Node::Text(text.to_owned())),
            }
        }
    }
}
