use super::*;
use crate::layers::curve::{gelu, silu};
use crate::sampling::unit;

/// Numbers around 0, now and then a large one, as activations have them.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let at = |n: usize| unit(seed, n as u64) as f32 - 0.5;
    (0..count).map(|n| at(n) * if n % 61 == 7 { 20.0 } else { 1.0 }).collect()
}

/// A number from `least` to `most`.
fn size(seed: u64, at: u64, least: usize, most: usize) -> usize {
    least + (unit(seed, at) * (most - least + 1) as f64) as usize
}

fn rows(numbers: &[f32], width: usize) -> Vec<Line> {
    numbers.chunks(width).flat_map(to_lines).collect()
}

/// Every kind of processor that this machine has, the portable one left out.
fn fast() -> Vec<Processor> {
    Processor::all().into_iter().filter(|processor| processor.name() != "portable").collect()
}

const PORTABLE: Processor = Processor(Kind::Portable);

#[test]
fn every_processor_multiplies_as_the_portable_one_to_the_last_bit() {
    for shape in 0..4000 {
        let (inputs, outputs, count) = (size(1, shape, 1, 300), size(2, shape, 1, 90), size(3, shape, 1, 27));
        let weights = Packed::new(&numbers(shape, inputs * outputs), inputs, &numbers(shape + 1, outputs));
        let input = rows(&numbers(shape + 2, inputs * count), inputs);
        let curve = [Curve::None, Curve::Gelu, Curve::Silu][shape as usize % 3];
        let run = |processor| {
            let mut out = vec![[f32::NAN; 16]; count * lines(outputs)];
            product(processor, &weights, &input, curve, &mut out);
            out
        };
        let expected = run(PORTABLE);
        for processor in fast() {
            assert_eq!(run(processor), expected, "{} {inputs}x{outputs}, {count} rows", processor.name());
        }
    }
}

#[test]
fn the_product_is_near_the_exact_one() {
    for (inputs, outputs, count) in [(384, 384, 5), (384, 40, 13), (1536, 32, 1), (312, 33, 3), (5, 1, 2)] {
        let even = |seed, count| (0..count as u64).map(|n| unit(seed, n) as f32 - 0.5).collect::<Vec<f32>>();
        let (weights, bias) = (even(1, inputs * outputs), even(2, outputs));
        let input = even(3, inputs * count);
        let packed = Packed::new(&weights, inputs, &bias);
        let mut out = vec![[0.0; 16]; count * lines(outputs)];
        product(PORTABLE, &packed, &rows(&input, inputs), Curve::None, &mut out);
        for (row, out) in input.chunks(inputs).zip(out.chunks(lines(outputs))) {
            let exact = weights.chunks(inputs).zip(&bias).map(|(weights, bias)| {
                f64::from(*bias) + weights.iter().zip(row).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum::<f64>()
            });
            let exact: Vec<f64> = exact.collect();
            let error: f64 = exact.iter().zip(out.as_flattened()).map(|(e, x)| (e - f64::from(*x)).powi(2)).sum();
            let all: f64 = exact.iter().map(|e| e * e).sum();
            // A hundredth of the length: 8 bits on either side.
            assert!(error <= all * 1e-4, "{inputs}x{outputs}: {}", (error / all).sqrt());
        }
    }
}

#[test]
fn a_constant_row_and_a_matrix_of_zeros_are_multiplied_exactly() {
    let packed = Packed::new(&[0.0; 64 * 40], 64, &[1.5; 40]);
    let mut out = vec![[0.0; 16]; 3];
    product(PORTABLE, &packed, &[[3.0; 16]; 4], Curve::None, &mut out);
    assert!(out.as_flattened()[..40].iter().all(|x| *x == 1.5));
    let packed = Packed::new(&[0.5; 64 * 40], 64, &[0.0; 40]);
    product(PORTABLE, &packed, &[[3.0; 16]; 4], Curve::None, &mut out);
    assert!(out.as_flattened()[..40].iter().all(|x| (*x - 96.0).abs() < 1e-4));
}

#[test]
fn every_processor_attends_as_the_portable_one_to_the_last_bit() {
    for shape in 0..1500 {
        let reach = (shape % 2 == 0).then(|| size(5, shape, 0, 40));
        let heads = Heads { count: size(1, shape, 1, 4), size: size(2, shape, 1, 70), reach };
        let (length, width) = (size(3, shape, 1, 140), heads.count * heads.size);
        let sequence = rows(&numbers(shape, length * 3 * width), 3 * width);
        let first = size(4, shape, 0, length - 1);
        let run = |processor| {
            let mut out = vec![[0.0; 16]; (length - first) * lines(width)];
            attend(processor, &sequence, heads, first, &mut out);
            out
        };
        let expected = run(PORTABLE);
        for processor in fast() {
            assert_eq!(run(processor), expected, "{} {heads:?}, {length} rows from {first}", processor.name());
        }
    }
}

#[test]
fn attention_is_near_the_exact_one_and_its_parts_fit_together() {
    let shapes = [(12, 32, 50, None), (2, 64, 33, None), (3, 8, 7, None), (1, 24, 1, None), (2, 20, 17, None)];
    let near = [(2, 64, 90, Some(16)), (1, 8, 40, Some(0)), (3, 16, 75, Some(3)), (1, 32, 20, Some(64))];
    for (count, size, length, reach) in shapes.into_iter().chain(near) {
        let heads = Heads { count, size, reach };
        let width = count * size;
        let all = numbers(9, length * 3 * width);
        let sequence = rows(&all, 3 * width);
        let mut out = vec![[0.0; 16]; length * lines(width)];
        attend(PORTABLE, &sequence, heads, 0, &mut out);
        let part = |row: usize, at: usize| &all[row * 3 * width + at * size..][..size];
        for row in 0..length {
            for head in 0..count {
                let dot = |other| -> f64 {
                    part(row, head).iter().zip(part(other, count + head)).map(|(a, b)| f64::from(a * b)).sum()
                };
                let sees = |other: usize| reach.is_none_or(|reach| other.abs_diff(row) <= reach);
                let weight = |other| if sees(other) { (dot(other) / (size as f64).sqrt()).exp() } else { 0.0 };
                let scores: Vec<f64> = (0..length).map(weight).collect();
                let sum: f64 = scores.iter().sum();
                for at in 0..size {
                    let value = |other: usize| f64::from(part(other, 2 * count + head)[at]);
                    let exact = scores.iter().enumerate().map(|(other, score)| score / sum * value(other)).sum::<f64>();
                    let found = out[row * lines(width)..].as_flattened()[head * size + at];
                    // A few ten-thousandths of the largest number, which is 10.
                    assert!((f64::from(found) - exact).abs() < 3e-3, "{heads:?} row {row}: {found} {exact}");
                }
            }
        }
        let from = length / 2;
        let mut rest = vec![[0.0; 16]; (length - from) * lines(width)];
        attend(PORTABLE, &sequence, heads, from, &mut rest);
        assert_eq!(rest, out[from * lines(width)..]);
    }
}

#[test]
fn every_processor_normalises_as_the_portable_one_to_the_last_bit() {
    for width in 1..200usize {
        let norm = Norm::new(&numbers(1, width), &numbers(2, width), 1e-12);
        let (input, more) = (rows(&numbers(3, width * 3), width), rows(&numbers(4, width * 3), width));
        let run = |processor| {
            let mut out = input.clone();
            norm.add_and_apply(processor, &mut out, &more);
            out
        };
        let expected = run(PORTABLE);
        for processor in fast() {
            assert_eq!(run(processor), expected, "{} {width}", processor.name());
        }
        let mut exact: Vec<f32> = numbers(3, width * 3).iter().zip(numbers(4, width * 3)).map(|(a, b)| a + b).collect();
        crate::layers::norm::layer_norm(&mut exact, &numbers(1, width), &numbers(2, width), 1e-12);
        for (row, exact) in expected.chunks(lines(width)).zip(exact.chunks(width)) {
            for (found, exact) in row.as_flattened().iter().zip(exact) {
                assert!((found - exact).abs() < 1e-4 * exact.abs().max(1.0), "{width}: {found} {exact}");
            }
            assert!(
                row.as_flattened()[width..].iter().all(|x| *x == 0.0),
                "{width}: what fills up a row is no longer 0"
            );
        }
    }
}

#[test]
fn a_row_does_not_depend_on_the_rows_beside_it() {
    let packed = Packed::new(&numbers(1, 96 * 48), 96, &numbers(2, 48));
    let input = rows(&numbers(3, 96 * 30), 96);
    for processor in Processor::all() {
        let mut all = vec![[0.0; 16]; 30 * 3];
        product(processor, &packed, &input, Curve::Gelu, &mut all);
        for count in 1..30 {
            let mut some = vec![[0.0; 16]; (30 - count) * 3];
            product(processor, &packed, &input[count * 6..], Curve::Gelu, &mut some);
            assert_eq!(some, all[count * 3..], "{}", processor.name());
        }
    }
}

#[test]
fn every_processor_gates_as_the_portable_one_to_the_last_bit_and_as_floats_do() {
    for (half, count) in [(1, 1), (3, 5), (24, 2)] {
        let input = rows(&numbers(5, half * 32 * count), half * 32);
        for (curve, exact) in [(Curve::Silu, silu as fn(f32) -> f32), (Curve::Gelu, gelu)] {
            let expected = gate(PORTABLE, curve, &input, half);
            for processor in fast() {
                assert_eq!(gate(processor, curve, &input, half), expected, "{}", processor.name());
            }
            for (row, out) in input.chunks(2 * half).zip(expected.chunks(half)) {
                let (gates, ups) = row.as_flattened().split_at(half * 16);
                for ((gate, up), out) in gates.iter().zip(ups).zip(out.as_flattened()) {
                    assert!((exact(*gate) * up - out).abs() <= 1e-6 * out.abs().max(1.0), "{curve:?}: {out}");
                }
            }
        }
    }
}

#[test]
fn the_error_units_curve_is_that_of_the_float_path() {
    let packed = Packed::new(&vec![0.0; 16 * 256], 16, &(0..256).map(|n| n as f32 / 16.0 - 8.0).collect::<Vec<_>>());
    let mut out = vec![[0.0; 16]; 16];
    product(PORTABLE, &packed, &[[0.0; 16]], Curve::Gelu, &mut out);
    for (n, found) in out.as_flattened().iter().enumerate() {
        assert_eq!(*found, gelu(n as f32 / 16.0 - 8.0));
    }
}
