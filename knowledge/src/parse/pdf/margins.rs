//! What repeats at the edges of pages: running headers, footers, page numbers. They are not text of the document.

use std::collections::HashMap;

use super::Page;

/// Lines looked at from each edge of a page.
const DEPTH: usize = 3;
/// Share of a page's height, from each edge, in which such lines stand.
const MARGIN: f32 = 0.14;
/// A longer line, in characters, is text, however often it comes.
const LONGEST: usize = 200;

pub(super) fn remove(pages: &mut [Page]) {
    if pages.len() < 2 {
        return;
    }
    let mut seen: HashMap<(bool, String), usize> = HashMap::new();
    for page in pages.iter() {
        let mut keys: Vec<(bool, String)> =
            edges(page).flat_map(|(top, index)| keys(page, index).into_iter().map(move |key| (top, key))).collect();
        keys.sort();
        keys.dedup();
        keys.into_iter().for_each(|key| *seen.entry(key).or_default() += 1);
    }
    // Left and right pages may differ, so that a running line is on half of them.
    let often = (pages.len() / 3).max(2);
    let numbered =
        pages.iter().filter(|page| outermost(page).any(|index| is_page_number(text(page, index), page.number)));
    let numbered = numbered.count() * 2 >= pages.len();
    for page in pages {
        let runs = |(top, index): &(bool, usize)| {
            let count = |key| seen.get(&(*top, key)).copied().unwrap_or(0);
            keys(page, *index).into_iter().map(count).max().unwrap_or(0) >= often
                && text(page, *index).chars().count() < LONGEST
        };
        let mut drop: Vec<usize> = edges(page).filter(runs).map(|(_, index)| index).collect();
        let own_number = |index: &usize| is_page_number(text(page, *index), page.number);
        drop.extend(outermost(page).filter(|_| numbered).filter(own_number));
        let mut index = 0;
        page.lines.retain(|_| {
            index += 1;
            !drop.contains(&(index - 1))
        });
    }
}

/// The highest and the lowest line of a page.
fn outermost(page: &Page) -> impl Iterator<Item = usize> {
    let order = by_height(page);
    [order.first().copied(), order.last().copied()].into_iter().flatten()
}

/// The lines of a page from the top.
fn by_height(page: &Page) -> Vec<usize> {
    let mut order: Vec<(usize, f32)> =
        page.lines.iter().enumerate().map(|(index, line)| (index, line.bottom)).collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    order.into_iter().map(|(index, _)| index).collect()
}

fn text(page: &Page, index: usize) -> &str {
    page.lines.get(index).map_or("", |line| &line.text)
}

/// The lines at the edges of a page, with whether they stand at the top.
fn edges(page: &Page) -> impl Iterator<Item = (bool, usize)> {
    let order = by_height(page);
    let bottom = |index: &usize| page.lines.get(*index).map_or(0.0, |line| line.bottom);
    let top: Vec<usize> =
        order.iter().take(DEPTH).copied().filter(|index| bottom(index) > page.height * (1.0 - MARGIN)).collect();
    let low: Vec<usize> =
        order.iter().rev().take(DEPTH).copied().filter(|index| bottom(index) < page.height * MARGIN).collect();
    top.into_iter().map(|index| (true, index)).chain(low.into_iter().map(|index| (false, index)))
}

/// A line as it reads on every page that it runs on: as it is, and with one of its numbers as a distance from the page's,
/// so that `Page 3 of 9` is the same on every page. Other numbers count: "at most 10 mg" and "at most 20 mg" at the foot of
/// two pages are two lines.
fn keys(page: &Page, index: usize) -> Vec<String> {
    let lower = text(page, index).to_lowercase();
    let mut keys = vec![lower.clone()];
    let mut from = 0;
    while let Some(start) = lower.get(from..).and_then(|rest| rest.find(|char: char| char.is_ascii_digit())) {
        let start = from + start;
        let digits = lower.get(start..).unwrap_or_default();
        let end = start + digits.find(|char: char| !char.is_ascii_digit()).unwrap_or(digits.len());
        let (before, number, after) = (lower.get(..start), lower.get(start..end), lower.get(end..));
        if let (Some(before), Some(Ok(number)), Some(after)) = (before, number.map(str::parse::<i64>), after) {
            keys.push(format!("{before}#{}{after}", number - i64::from(page.number)));
        }
        from = end;
    }
    keys
}

/// The page's own number, alone or as in `Page 3 of 9`, near what the file counts (front matter shifts it).
fn is_page_number(text: &str, page: u32) -> bool {
    let bare = text.trim().trim_matches(|char: char| "-–—|[]() ".contains(char)).to_ascii_lowercase();
    let bare = bare.strip_prefix("page").unwrap_or(&bare).trim();
    let first = bare.split(['/', ' ']).next().unwrap_or_default();
    let rest =
        bare.get(first.len()..).unwrap_or_default().trim_start_matches([' ', '/']).trim_start_matches("of").trim();
    let near = first.parse::<u32>().is_ok_and(|number| number.abs_diff(page) <= 30);
    near && rest.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::piece::Line;
    use super::*;

    fn page(number: u32, texts: &[(&str, f32)]) -> Page {
        let line = |(text, bottom): &(&str, f32)| Line {
            text: (*text).into(),
            left: 50.0,
            right: 200.0,
            bottom: *bottom,
            size: 10.0,
            bold: false,
            level: None,
            beside: false,
        };
        Page { number, height: 800.0, lines: texts.iter().map(line).collect() }
    }

    #[test]
    fn running_lines_and_page_numbers_go_and_what_stands_there_once_stays() {
        let mut pages = vec![
            page(1, &[("Policy 7 – Refills", 780.0), ("Refills", 700.0), ("Page 1 of 3", 20.0)]),
            page(2, &[("Policy 7 – Refills", 780.0), ("Only here", 770.0), ("2", 20.0)]),
            page(3, &[("Policy 7 – Refills", 780.0), ("The end", 300.0), ("- 3 -", 20.0)]),
        ];
        remove(&mut pages);
        let left: Vec<&str> = pages.iter().flat_map(|page| page.lines.iter().map(|line| line.text.as_str())).collect();
        assert_eq!(left, ["Refills", "Only here", "The end"]);
    }

    #[test]
    fn lines_at_the_foot_that_differ_in_a_number_are_text() {
        let mut pages = vec![
            page(1, &[("Doses", 700.0), ("Maximum 10 mg daily", 30.0), ("Policy 7, page 11 of 30", 20.0)]),
            page(2, &[("Doses of children", 700.0), ("Maximum 20 mg daily", 30.0), ("Policy 7, page 12 of 30", 20.0)]),
        ];
        remove(&mut pages);
        let left: Vec<&str> = pages.iter().flat_map(|page| page.lines.iter().map(|line| line.text.as_str())).collect();
        assert_eq!(left, ["Doses", "Maximum 10 mg daily", "Doses of children", "Maximum 20 mg daily"]);
    }
}
