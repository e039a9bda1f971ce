//! What repeats at the edges of pages: running headers, footers, page numbers. They are not text of the document.

use std::collections::HashMap;

use super::Page;
use super::piece::Line;

/// Lines looked at from each edge of a page.
const DEPTH: usize = 3;
/// Share of a page's height, from each edge, in which such lines stand.
const MARGIN: f32 = 0.12;

pub(super) fn remove(pages: &mut [Page]) {
    if pages.len() < 2 {
        return;
    }
    let mut seen: HashMap<(bool, String), usize> = HashMap::new();
    for page in pages.iter() {
        let mut keys: Vec<(bool, String)> =
            edges(page).into_iter().map(|(top, index)| (top, key(page, index))).collect();
        keys.sort();
        keys.dedup();
        keys.into_iter().for_each(|key| *seen.entry(key).or_default() += 1);
    }
    // Left and right pages may differ, so that a running line is on half of them.
    let often = (pages.len() / 3).max(2);
    for page in pages {
        let mut drop: Vec<usize> = Vec::new();
        for (top, index) in edges(page) {
            let count = seen.get(&(top, key(page, index))).copied().unwrap_or(0);
            let text = page.lines.get(index).map_or("", |line| &line.text);
            if (count >= often && count > 1 && text.chars().count() < 200) || is_page_number(text, page.number) {
                drop.push(index);
            }
        }
        let mut index = 0;
        page.lines.retain(|_| {
            index += 1;
            !drop.contains(&(index - 1))
        });
    }
}

/// The lines at the edges of a page, with whether they stand at the top.
fn edges(page: &Page) -> Vec<(bool, usize)> {
    let mut order: Vec<(usize, &Line)> = page.lines.iter().enumerate().collect();
    order.sort_by(|a, b| b.1.bottom.total_cmp(&a.1.bottom));
    let at_top = |line: &Line| line.bottom > page.height * (1.0 - MARGIN);
    let at_bottom = |line: &Line| line.bottom < page.height * MARGIN;
    let top = order.iter().take(DEPTH).filter(|(_, line)| at_top(line)).map(|(index, _)| (true, *index));
    let bottom = order.iter().rev().take(DEPTH).filter(|(_, line)| at_bottom(line)).map(|(index, _)| (false, *index));
    top.chain(bottom).collect()
}

/// A line without its numbers, so that `Page 3 of 9` is the same on every page.
fn key(page: &Page, index: usize) -> String {
    let text = page.lines.get(index).map_or("", |line| line.text.as_str());
    let mut out = String::new();
    for char in text.chars() {
        if !char.is_ascii_digit() {
            out.extend(char.to_lowercase());
        } else if !out.ends_with('#') {
            out.push('#');
        }
    }
    out
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
}
