//! Telephone numbers by their form: North American, international, and those of countries that write a nought first.

use super::{
    super::{
        finding::Finding,
        kind::Kind,
        token::{Shape, Tokens},
    },
    measured,
    run::{self, Run},
};

/// The telephone number at `index`, with its extension.
pub(super) fn read(tokens: &Tokens<'_>, index: usize) -> Option<(Finding, usize)> {
    let (run, confidence) = (1..=7).rev().find_map(|count| {
        let run = Run::head(tokens, index, count)?;
        let confidence = likelihood(&run).or_else(|| called(tokens, &run))?;
        Some((run, confidence))
    })?;
    if (1..=3).any(|back| tokens.lower_before(index, back) == "ndc")
        || measured(tokens, run.last)
        || (tokens.joined(run.last) && tokens.at(run.last).shape != Shape::Mark)
    {
        return None;
    }
    let last = extension(tokens, run.last);
    let end = tokens.at(last.checked_sub(1)?).end;
    let fax = (1..=3).any(|back| matches!(tokens.lower_before(index, back), "fax" | "facsimile" | "faxed"));
    let kind = if fax { Kind::Fax } else { Kind::Phone };
    Some((Finding::new(kind, tokens.at(run.first).start, end, confidence, "phone"), last))
}

fn likelihood(run: &Run) -> Option<f32> {
    let total = run.digits.len();
    if run.gaps.contains(&'/') {
        return None;
    }
    if run.plus {
        return (8..=15).contains(&total).then_some(0.9);
    }
    let valid = north_american(run.digits.get(total.checked_sub(10).unwrap_or(total)..)?);
    match run.groups.as_slice() {
        [3, 3, 4] if run.bracket => Some(0.9),
        [3, 3, 4] if run.all_gaps(' ') => Some(if valid { 0.65 } else { 0.5 }),
        [3, 3, 4] => Some(if valid { 0.85 } else { 0.65 }),
        [1, 3, 3, 4] if run.digits.starts_with('1') => Some(0.85),
        [3, 7] | [6, 4] if valid && !run.all_gaps('.') => Some(0.6),
        [1, 10] if run.digits.starts_with('1') && valid => Some(0.7),
        [10] if valid => Some(0.5),
        [11] if run.digits.starts_with('1') && valid => Some(0.5),
        [3, 4] if run.all_gaps('-') && !run.digits.starts_with(['0', '1']) => Some(0.5),
        groups if run.digits.starts_with('0') && (2..=6).contains(&groups.len()) => {
            let pairs = groups.iter().all(|group| *group == 2);
            let national =
                groups.iter().all(|group| *group >= 2) && groups.last() >= Some(&3) && !run.gaps.contains(&'.');
            ((9..=12).contains(&total) && (pairs || national)).then_some(0.55)
        }
        _ => None,
    }
}

/// Any groups of seven to twelve digits, where the words say that someone is called.
fn called(tokens: &Tokens<'_>, run: &Run) -> Option<f32> {
    let cued = (1..=3).any(|back| {
        matches!(
            tokens.lower_before(run.first, back),
            "call"
                | "called"
                | "phone"
                | "telephone"
                | "tel"
                | "mobile"
                | "cell"
                | "text"
                | "texted"
                | "reach"
                | "reached"
                | "contact"
                | "fax"
                | "dial"
                | "ring"
                | "answering"
        )
    });
    let fits =
        (7..=12).contains(&run.digits.len()) && run.groups.len() >= 2 && run.groups.iter().all(|group| *group >= 2);
    (cued && fits && !run.gaps.contains(&'/')).then_some(0.6)
}

/// The North American plan: neither area nor exchange begins with 0 or 1.
fn north_american(ten: &str) -> bool {
    let digit = |place| ten.as_bytes().get(place).copied();
    ten.len() == 10 && digit(0) >= Some(b'2') && digit(3) >= Some(b'2')
}

/// `x123`, `ext. 123`: the token after it.
fn extension(tokens: &Tokens<'_>, at: usize) -> usize {
    if !matches!(tokens.lower(at), "x" | "ext" | "extension") {
        return at;
    }
    let number = at + 1 + usize::from(tokens.mark(at + 1, "."));
    match run::chunk(tokens, number) {
        Some(chunk) if chunk.letters == 0 && chunk.digits <= 6 => chunk.last,
        _ => at,
    }
}
