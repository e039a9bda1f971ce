use super::*;
use crate::sampling::unit;

fn numbers(count: usize, seed: u64) -> Vec<f32> {
    (0..count as u64).map(|n| unit(seed, n) as f32 * 2.0 - 1.0).collect()
}

/// One sequence's rows.
struct Rows {
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

fn rows(heads: Heads, count: usize, seed: u64) -> Rows {
    Rows {
        queries: numbers(count * heads.query_row(), seed),
        keys: numbers(count * heads.key_row(), seed + 1),
        values: numbers(count * heads.key_row(), seed + 2),
    }
}

/// Computed the plain way, in 64 bits, from keys and values as the cache rounds them.
fn exact(heads: Heads, rows: &Rows, row: usize, window: Option<usize>) -> Vec<f64> {
    let group = heads.queries / heads.keys;
    let rounded = |x: f32| f64::from(half::f16::from_f32(x).to_f32());
    let first = window.map_or(0, |window| (row + 1).saturating_sub(window));
    let mut out = Vec::new();
    for head in 0..heads.queries {
        let query = &rows.queries[row * heads.query_row() + head * heads.size..][..heads.size];
        let place = |position: usize| position * heads.key_row() + head / group * heads.size;
        let scores: Vec<f64> = (first..=row)
            .map(|at| {
                let key = &rows.keys[place(at)..][..heads.size];
                query.iter().zip(key).map(|(a, b)| f64::from(*a) * rounded(*b)).sum()
            })
            .collect();
        let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|score| (score - top).exp()).sum();
        out.extend((0..heads.size).map(|number| {
            let values = (first..=row).map(|at| rounded(rows.values[place(at) + number]));
            scores.iter().zip(values).map(|(score, value)| (score - top).exp() / sum * value).sum::<f64>()
        }));
    }
    out
}

/// Feeds a sequence in steps of the given lengths and returns all results.
fn fed(path: Path, team: &Team, heads: Heads, rows: &Rows, steps: &[usize], window: Option<usize>) -> Vec<f32> {
    let total: usize = steps.iter().sum();
    // Blocks in an order that is not that of the positions.
    let table: Vec<u32> = (0..total.div_ceil(POSITIONS) as u32).rev().collect();
    let mut cache = Cache::new(heads, 2, table.len());
    let (mut room, mut all, mut position) = (Room::default(), Vec::new(), 0);
    for step in steps {
        let part = Part { table: &table, position, rows: *step };
        let places = cache.places(&[part]).unwrap();
        cache.write(path, team, 1, &places, |row| {
            let at = (position + row) * heads.key_row();
            (&rows.keys[at..at + heads.key_row()], &rows.values[at..at + heads.key_row()])
        });
        let queries = &rows.queries[position * heads.query_row()..(position + step) * heads.query_row()];
        let mut out = vec![0.0; step * heads.query_row()];
        let ask = Ask { layer: 1, queries, stride: heads.query_row(), window };
        assert!(cache.read(path, team, &[part], ask, &mut room, &mut out));
        all.extend(out);
        position += step;
    }
    all
}

#[test]
fn rows_read_what_a_plain_computation_reads_on_every_path_and_in_every_step() {
    let team = Team::new(2).unwrap();
    for (heads, total, window) in [
        (Heads { queries: 3, keys: 1, size: 16 }, 40, None),
        (Heads { queries: 9, keys: 3, size: 64 }, 300, None),
        (Heads { queries: 4, keys: 4, size: 48 }, 90, Some(20)),
        (Heads { queries: 4, keys: 1, size: 256 }, 70, Some(33)),
        (Heads { queries: 10, keys: 2, size: 32 }, 530, Some(270)),
        (Heads { queries: 2, keys: 1, size: 16 }, 800, None),
    ] {
        let rows = rows(heads, total, total as u64);
        let reference = fed(Path::Portable, &team, heads, &rows, &[total], window);
        for (row, found) in reference.chunks(heads.query_row()).enumerate().step_by(7) {
            for (found, exact) in found.iter().zip(exact(heads, &rows, row, window)) {
                assert!((f64::from(*found) - exact).abs() < 2e-5, "{heads:?} row {row}: {found} {exact}");
            }
        }
        for path in Path::available() {
            assert_eq!(fed(path, &team, heads, &rows, &[total], window), reference, "{path:?} {heads:?}");
            let single = vec![1; total];
            assert_eq!(fed(path, &team, heads, &rows, &single, window), reference, "{path:?} {heads:?} one by one");
            let steps = [1, 17, total - 25, 7];
            assert_eq!(fed(path, &team, heads, &rows, &steps, window), reference, "{path:?} {heads:?} in steps");
        }
    }
}

#[test]
fn sequences_of_a_step_do_not_touch_each_other() {
    let (heads, path, team) = (Heads { queries: 4, keys: 2, size: 32 }, Path::best(), Team::new(2).unwrap());
    let mut cache = Cache::new(heads, 1, 20);
    let tables: [&[u32]; 3] = [&[3, 9, 1], &[0, 4], &[19, 18, 17, 16, 15, 14, 13, 12, 11]];
    let parts: Vec<Part<'_>> =
        tables.iter().zip([70, 33, 270]).map(|(table, rows)| Part { table, position: 0, rows }).collect();
    let sequences: Vec<Rows> = parts.iter().map(|part| rows(heads, part.rows, part.rows as u64)).collect();
    let joined = |pick: fn(&Rows) -> &Vec<f32>| sequences.iter().flat_map(pick).copied().collect::<Vec<f32>>();
    let (queries, keys, values) = (joined(|r| &r.queries), joined(|r| &r.keys), joined(|r| &r.values));
    let places = cache.places(&parts).unwrap();
    cache.write(path, &team, 0, &places, |row| {
        let place = row * heads.key_row()..(row + 1) * heads.key_row();
        (&keys[place.clone()], &values[place])
    });
    let mut out = vec![0.0; queries.len()];
    let ask = Ask { layer: 0, queries: &queries, stride: heads.query_row(), window: None };
    assert!(cache.read(path, &team, &parts, ask, &mut Room::default(), &mut out));
    let alone: Vec<f32> = sequences
        .iter()
        .zip(&parts)
        .flat_map(|(rows, part)| fed(path, &team, heads, rows, &[part.rows], None))
        .collect();
    assert_eq!(out, alone);
}

#[test]
fn places_that_do_not_exist_or_meet_are_refused() {
    let mut cache = Cache::new(Heads { queries: 1, keys: 1, size: 16 }, 1, 2);
    let refused =
        |cache: &mut Cache, table: &[u32], position, rows| cache.places(&[Part { table, position, rows }]).is_none();
    assert!(refused(&mut cache, &[0], 0, 33));
    assert!(refused(&mut cache, &[5], 0, 1));
    assert!(refused(&mut cache, &[5, 1], 40, 1));
    let twice = [Part { table: &[1], position: 0, rows: 4 }, Part { table: &[1], position: 3, rows: 1 }];
    assert!(cache.places(&twice).is_none());
    assert!(!refused(&mut cache, &[0, 1], 30, 34));
}
