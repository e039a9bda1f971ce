//! From pieces of text at places on a page to lines.

use pdf_oxide::extractors::text::{ArtifactType, PaginationSubtype};
use pdf_oxide::layout::{FontWeight, TextSpan};

/// Pieces further apart than this many times the size of type stand in different columns or cells.
const FAR: f32 = 1.6;
/// Pieces nearer than this many times the size of type belong to one word.
const NEAR: f32 = 0.12;
/// Smaller type is not meant to be read.
const SMALLEST: f32 = 1.0;

/// Text on one baseline without a wide gap. Coordinates in points, from the lower left corner of the page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) left: f32,
    pub(super) right: f32,
    pub(super) bottom: f32,
    pub(super) size: f32,
    pub(super) bold: bool,
    /// From the structure tree of a tagged document.
    pub(super) level: Option<u8>,
    /// Begins further right on the baseline of the line before it: a cell beside a cell.
    pub(super) beside: bool,
}

impl Line {
    pub(super) fn top(&self) -> f32 {
        self.bottom + self.size
    }

    pub(super) fn width(&self) -> f32 {
        self.right - self.left
    }
}

/// Joins the pieces of a page into lines, in no particular order.
pub(super) fn gather(spans: &[TextSpan]) -> Vec<Line> {
    let mut pieces: Vec<Piece> = spans.iter().filter(|span| is_content(span)).filter_map(Piece::of).collect();
    // Baseline by baseline from the top, then from the left.
    pieces.sort_by(|a, b| b.bottom.total_cmp(&a.bottom).then(a.left.total_cmp(&b.left)));
    let mut lines = Vec::new();
    let mut taken = vec![false; pieces.len()];
    for first in 0..pieces.len() {
        if taken.get(first) != Some(&false) {
            continue;
        }
        let Some(anchor) = pieces.get(first) else { continue };
        // All pieces on the anchor's baseline; a raised or lowered small piece belongs to it too.
        let mut row: Vec<usize> = Vec::new();
        for (index, piece) in pieces.iter().enumerate().skip(first) {
            if anchor.bottom - piece.bottom > anchor.size {
                break;
            }
            if taken.get(index) == Some(&false) && anchor.shares_baseline(piece) {
                row.push(index);
            }
        }
        row.iter().for_each(|index| taken.iter_mut().skip(*index).take(1).for_each(|one| *one = true));
        let mut row: Vec<&Piece> = row.iter().filter_map(|index| pieces.get(*index)).collect();
        row.sort_by(|a, b| a.left.total_cmp(&b.left));
        lines.extend(join(&row));
    }
    lines
}

/// A piece with its place.
struct Piece<'a> {
    span: &'a TextSpan,
    left: f32,
    right: f32,
    bottom: f32,
    size: f32,
    /// Turned text keeps to itself.
    turned: bool,
}

impl<'a> Piece<'a> {
    fn of(span: &'a TextSpan) -> Option<Self> {
        let (left, bottom) = (span.bbox.x, span.bbox.y);
        let size = if span.font_size.is_finite() { span.font_size.abs() } else { 0.0 };
        let size = if size < SMALLEST { span.bbox.height.abs() } else { size };
        let placed = left.is_finite() && bottom.is_finite() && span.bbox.width.is_finite();
        let readable = size >= SMALLEST && span.text.chars().any(|char| !char.is_whitespace() && !char.is_control());
        (placed && readable).then(|| Self {
            span,
            left,
            right: left + span.bbox.width.max(0.0),
            bottom,
            size: size.min(500.0),
            turned: span.rotation_degrees.abs() > 1.0,
        })
    }

    fn shares_baseline(&self, other: &Self) -> bool {
        let apart = (self.bottom - other.bottom).abs();
        let (small, large) = if self.size < other.size { (self.size, other.size) } else { (other.size, self.size) };
        let raised = small < large * 0.8 && apart < large * 0.6;
        self.turned == other.turned && (apart < small * 0.35 || raised)
    }
}

fn is_content(span: &TextSpan) -> bool {
    !matches!(
        span.artifact_type,
        Some(ArtifactType::Pagination(
            PaginationSubtype::Header | PaginationSubtype::Footer | PaginationSubtype::PageNumber
        ))
    )
}

/// Joins pieces on one baseline, cut at wide gaps.
fn join(row: &[&Piece<'_>]) -> Vec<Line> {
    let mut groups: Vec<Vec<&Piece<'_>>> = Vec::new();
    for piece in row {
        let near = |group: &Vec<&Piece<'_>>| {
            let end = group.iter().map(|one| one.right).fold(f32::MIN, f32::max);
            group.last().is_some_and(|last| piece.left - end < FAR * last.size.max(piece.size) && !piece.turned)
        };
        match groups.last_mut() {
            Some(group) if near(group) => group.push(piece),
            _ => groups.push(vec![piece]),
        }
    }
    groups.iter().filter_map(|group| line(group)).collect()
}

fn line(group: &[&Piece<'_>]) -> Option<Line> {
    let letters = |piece: &Piece<'_>| piece.span.text.chars().filter(|char| char.is_alphanumeric()).count();
    let main = group.iter().max_by_key(|piece| letters(piece))?;
    let text = text(group);
    let bold = group.iter().filter(|piece| letters(piece) > 0).all(|piece| weight(piece.span));
    Some(Line {
        text,
        left: group.first()?.left,
        right: group.iter().map(|piece| piece.right).fold(f32::MIN, f32::max),
        bottom: main.bottom,
        size: main.size,
        bold,
        level: main.span.heading_level,
        beside: false,
    })
}

fn weight(span: &TextSpan) -> bool {
    let heavy =
        matches!(span.font_weight, FontWeight::Bold | FontWeight::SemiBold | FontWeight::ExtraBold | FontWeight::Black);
    heavy || span.font_name.to_ascii_lowercase().contains("bold")
}

/// The text of pieces that stand side by side. Right-to-left script reads from the right.
fn text(group: &[&Piece<'_>]) -> String {
    let all = || group.iter().flat_map(|piece| piece.span.text.chars());
    let (right_to_left, left_to_right) =
        (all().filter(|char| is_right_to_left(*char)).count(), all().filter(char::is_ascii_alphabetic).count());
    let mut pieces: Vec<&Piece<'_>> = group.to_vec();
    if right_to_left > left_to_right {
        pieces.reverse();
    }
    let mut out = String::new();
    let mut before: Option<&Piece<'_>> = None;
    for piece in pieces {
        if let Some(last) = before {
            let gap = if last.left <= piece.left { piece.left - last.right } else { last.left - piece.right };
            let apart = gap > NEAR * last.size.max(piece.size);
            if apart && !out.ends_with(char::is_whitespace) && !piece.span.text.starts_with(char::is_whitespace) {
                out.push(' ');
            }
        }
        out.extend(piece.span.text.chars().flat_map(unligated));
        before = Some(piece);
    }
    crate::parse::writer::one_line(&out)
}

fn is_right_to_left(char: char) -> bool {
    matches!(char, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}')
}

/// Ligatures are a matter of type, not of spelling.
fn unligated(char: char) -> impl Iterator<Item = char> {
    let letters = match char {
        '\u{fb00}' => "ff",
        '\u{fb01}' => "fi",
        '\u{fb02}' => "fl",
        '\u{fb03}' => "ffi",
        '\u{fb04}' => "ffl",
        '\u{fb05}' | '\u{fb06}' => "st",
        _ => "",
    };
    letters.chars().chain(letters.is_empty().then_some(char))
}
