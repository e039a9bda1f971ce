//! Reading order: columns of running text one after the other, everything else row by row.

use super::piece::Line;

/// Columns within columns within columns: deeper layouts are read row by row.
const DEEPEST: usize = 4;
/// Lines that a column needs on each side of a gutter to be one.
const FEWEST_LINES: usize = 3;
/// Left edges this close together, in points, belong to one column.
const EDGE: f32 = 3.0;
/// Beginnings of columns that are tried.
const CANDIDATES: usize = 6;

/// The lines of a page in the order in which a person reads them.
pub(super) fn ordered(lines: Vec<Line>, page_width: f32) -> Vec<Line> {
    let mut out = Vec::with_capacity(lines.len());
    split(lines, page_width, 0, &mut out);
    out
}

fn split(mut lines: Vec<Line>, page_width: f32, depth: usize, out: &mut Vec<Line>) {
    lines.sort_by(|a, b| b.bottom.total_cmp(&a.bottom).then(a.left.total_cmp(&b.left)));
    let Some(edge) = gutter(&lines, page_width).filter(|_| depth < DEEPEST) else { return rows(lines, out) };
    for band in bands(lines, edge) {
        if is_columns(&band, edge, page_width) {
            let (left, right) = band.into_iter().partition(|line| line.right <= edge + 1.0);
            split(left, page_width, depth + 1, out);
            split(right, page_width, depth + 1, out);
        } else {
            rows(band, out);
        }
    }
}

/// Where the right one of two columns begins, if there are two: the edge that puts most text into columns.
fn gutter(lines: &[Line], page_width: f32) -> Option<f32> {
    let mut edges: Vec<(f32, usize)> = Vec::new();
    for line in lines.iter().filter(|line| has_neighbour(line, lines)) {
        if let Some((edge, count)) = edges.iter_mut().find(|(edge, _)| (*edge - line.left).abs() <= EDGE) {
            *edge = edge.min(line.left);
            *count += 1;
        } else if edges.len() < 200 {
            edges.push((line.left, 1));
        }
    }
    edges.retain(|(_, count)| *count >= FEWEST_LINES);
    edges.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let gain = |edge: f32| -> usize {
        let bands = bands(lines.to_vec(), edge);
        bands.iter().filter(|band| is_columns(band, edge, page_width)).map(Vec::len).sum()
    };
    let gains = edges.iter().take(CANDIDATES).map(|(edge, _)| (*edge, gain(*edge)));
    gains.filter(|(_, gain)| *gain > 0).max_by_key(|(_, gain)| *gain).map(|(edge, _)| edge)
}

/// Whether something stands to the left of a line, at its height.
fn has_neighbour(line: &Line, lines: &[Line]) -> bool {
    lines.iter().any(|other| other.right <= line.left + 1.0 && other.bottom < line.top() && other.top() > line.bottom)
}

/// Cuts lines, sorted from the top, where one crosses the edge.
fn bands(lines: Vec<Line>, edge: f32) -> Vec<Vec<Line>> {
    let mut bands: Vec<(bool, Vec<Line>)> = Vec::new();
    for line in lines {
        let crosses = line.left < edge - EDGE && line.right > edge + 1.0;
        match bands.last_mut() {
            Some((across, band)) if *across == crosses => band.push(line),
            _ => bands.push((crosses, vec![line])),
        }
    }
    bands.into_iter().map(|(_, band)| band).collect()
}

/// Running text on both sides of the edge. The cells of a table are short for their column; lines of text fill it.
fn is_columns(band: &[Line], edge: f32, page_width: f32) -> bool {
    let (left, right): (Vec<&Line>, Vec<&Line>) = band.iter().partition(|line| line.right <= edge + 1.0);
    let is_column = |lines: &[&Line], from: f32, to: f32| {
        let mut widths: Vec<f32> = lines.iter().map(|line| line.width()).collect();
        widths.sort_by(f32::total_cmp);
        let median = widths.get(widths.len() / 2).copied().unwrap_or(0.0);
        let letters: usize = lines.iter().map(|line| line.text.chars().count()).sum();
        let wide = to - from > page_width * 0.15 && median > (to - from) * 0.5;
        lines.len() >= FEWEST_LINES && wide && letters / lines.len().max(1) >= 12
    };
    let start = left.iter().map(|line| line.left).fold(f32::MAX, f32::min);
    let end = right.iter().map(|line| line.right).fold(f32::MIN, f32::max);
    right.iter().all(|line| line.left >= edge - EDGE) && is_column(&left, start, edge) && is_column(&right, edge, end)
}

/// Row by row, each from the left.
fn rows(lines: Vec<Line>, out: &mut Vec<Line>) {
    let mut row: Vec<Line> = Vec::new();
    for line in lines {
        let same =
            row.first().is_some_and(|first| (first.bottom - line.bottom).abs() < 0.5 * first.size.min(line.size));
        if !same {
            finish(&mut row, out);
        }
        row.push(line);
    }
    finish(&mut row, out);
}

fn finish(row: &mut Vec<Line>, out: &mut Vec<Line>) {
    row.sort_by(|a, b| a.left.total_cmp(&b.left));
    out.extend(row.drain(..).enumerate().map(|(index, line)| Line { beside: index > 0, ..line }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, left: f32, right: f32, bottom: f32) -> Line {
        Line { text: text.into(), left, right, bottom, size: 10.0, bold: false, level: None, beside: false }
    }

    fn texts(lines: Vec<Line>) -> Vec<String> {
        ordered(lines, 600.0).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn two_columns_below_a_title_are_read_one_after_the_other() {
        let mut lines = vec![line("a title across the whole page", 50.0, 550.0, 700.0)];
        for (index, bottom) in [680.0, 668.0, 656.0, 644.0].into_iter().enumerate() {
            lines.push(line(&format!("left column line {index}"), 50.0, 290.0, bottom));
            lines.push(line(&format!("right column line {index}"), 310.0, 550.0, bottom - 2.0));
        }
        let texts = texts(lines);
        assert_eq!(texts[0], "a title across the whole page");
        assert!(texts[1..5].iter().all(|text| text.starts_with("left")), "{texts:?}");
        assert!(texts[5..].iter().all(|text| text.starts_with("right")));
    }

    #[test]
    fn the_cells_of_a_table_are_read_row_by_row() {
        let rows = [
            ("Drug", "Limit", 700.0),
            ("Warfarin", "30 days", 688.0),
            ("Insulin", "90 days", 676.0),
            ("Codeine", "7 days", 664.0),
        ];
        let lines = rows.iter().flat_map(|(a, b, y)| [line(a, 50.0, 90.0, *y), line(b, 300.0, 340.0, *y)]).collect();
        assert_eq!(texts(lines), ["Drug", "Limit", "Warfarin", "30 days", "Insulin", "90 days", "Codeine", "7 days"]);
    }
}
