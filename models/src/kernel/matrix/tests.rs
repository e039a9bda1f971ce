use std::borrow::Cow;

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};

use super::*;
use crate::sampling::mix;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        mix(self.0)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 8_388_608.0 - 1.0
    }
}

fn kind(format: Format) -> GgmlDType {
    let kinds = [
        GgmlDType::Q4_0,
        GgmlDType::Q4_1,
        GgmlDType::Q5_0,
        GgmlDType::Q5_1,
        GgmlDType::Q8_0,
        GgmlDType::Q4K,
        GgmlDType::Q5K,
        GgmlDType::Q6K,
        GgmlDType::F16,
        GgmlDType::BF16,
        GgmlDType::F32,
    ];
    kinds.into_iter().find(|kind| Format::of(*kind) == Some(format)).unwrap()
}

/// Random blocks of a file: every bit of the quants and small scales by chance, scales of a sensible size.
fn random(format: Format, inputs: usize, outputs: usize, dice: &mut Dice) -> Vec<u8> {
    let (unit, bytes) = format.block();
    let scales: &[usize] = match format {
        Format::Q4_0 | Format::Q5_0 | Format::Q8_0 => &[0],
        Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K => &[0, 2],
        Format::Q6K => &[208],
        Format::F16 | Format::Bf16 | Format::F32 => &[],
    };
    let mut out = Vec::new();
    for _ in 0..inputs / unit * outputs {
        let mut block: Vec<u8> = (0..bytes).map(|_| dice.next() as u8).collect();
        for at in scales {
            block[*at..at + 2].copy_from_slice(&f16::from_f32(dice.float() * 0.1).to_le_bytes());
        }
        match format {
            Format::F16 => block = f16::from_f32(dice.float()).to_le_bytes().to_vec(),
            Format::Bf16 => block = bf16::from_f32(dice.float()).to_le_bytes().to_vec(),
            Format::F32 => block = dice.float().to_le_bytes().to_vec(),
            _ => {}
        }
        out.extend(block);
    }
    out
}

fn activations(path: Path, team: &Team, inputs: usize, rows: usize, seed: u64) -> (Activations, Vec<f32>) {
    let mut dice = Dice(seed);
    let values: Vec<f32> =
        (0..inputs * rows).map(|_| dice.float() * if dice.below(50) == 0 { 300.0 } else { 1.0 }).collect();
    let mut out = Activations::default();
    out.fill(path, team, inputs, rows, |row, to| to.copy_from_slice(&values[row * inputs..(row + 1) * inputs]));
    (out, values)
}

fn shape(format: Format, dice: &mut Dice) -> (usize, usize, usize) {
    let (unit, _) = format.block();
    let inputs = match unit {
        1 => 1 + dice.below(130),
        32 => 32 * (1 + dice.below(9)),
        _ => 256 * (1 + dice.below(3)),
    };
    // Fewer than two dozen rows are multiplied from the packed quants, more from quants taken apart, whole tiles of sixteen and the rest.
    let rows = [1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 21, 25, 31, 32, 48, 53];
    (inputs, 1 + dice.below(70), rows[dice.below(rows.len())])
}

#[test]
fn weights_are_read_as_candle_reads_them() {
    let (team, mut dice) = (Team::new(2).unwrap(), Dice(1));
    for format in Format::ALL {
        for _ in 0..12 {
            let (inputs, outputs, _) = shape(format, &mut dice);
            let bytes = random(format, inputs, outputs, &mut dice);
            let storage = QStorage::from_data(Cow::Borrowed(&bytes), &Device::Cpu, kind(format)).unwrap();
            let tensor = QTensor::new(storage, (outputs, inputs)).unwrap();
            let expected: Vec<f32> = tensor.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let packed = Matrix::pack(format, &bytes, (inputs, outputs), Path::best(), &team).unwrap();
            let mut row = vec![0.0; inputs];
            for (at, expected) in expected.chunks(inputs).enumerate() {
                packed.row(at, &mut row).unwrap();
                for (found, expected) in row.iter().zip(expected) {
                    assert!(
                        (found - expected).abs() <= 1e-6 * expected.abs().max(1.0),
                        "{format:?}: {found} {expected}"
                    );
                }
            }
            assert!(packed.row(outputs, &mut row).is_none());
        }
    }
}

/// Every format on every path against the portable one, bit by bit, and that one against the exact product.
/// `CLOISTER_KERNEL_SHAPES` sets the number of shapes per format; the test says which paths it ran.
#[test]
#[allow(
    clippy::print_stdout,
    reason = "which paths were compared depends on the processor, and is what one wants to know"
)]
fn every_path_gives_the_bits_of_the_portable_one_which_are_right() {
    let shapes: usize = std::env::var("CLOISTER_KERNEL_SHAPES").ok().and_then(|n| n.parse().ok()).unwrap_or(30);
    let (team, mut dice) = (Team::new(2).unwrap(), Dice(2));
    let paths = Path::available();
    for format in Format::ALL {
        for round in 0..shapes {
            let (inputs, outputs, rows) = shape(format, &mut dice);
            let bytes = random(format, inputs, outputs, &mut dice);
            let mut products: Vec<Vec<f32>> = Vec::new();
            let mut floats = vec![0.0f32; inputs * outputs];
            for path in &paths {
                let packed = Matrix::pack(format, &bytes, (inputs, outputs), *path, &team).unwrap();
                let (input, values) = activations(*path, &team, inputs, rows, round as u64);
                let mut out = vec![0.5; rows * outputs];
                assert!(Matrix::multiply(&[&packed], &team, &input, &mut out, true));
                if products.is_empty() {
                    for (at, row) in floats.chunks_mut(inputs).enumerate() {
                        packed.row(at, row).unwrap();
                    }
                    for (at, found) in out.iter().enumerate() {
                        let (row, column) = (at / outputs, at % outputs);
                        let (row, weights) = (&values[row * inputs..], &floats[column * inputs..]);
                        let pairs = || row.iter().take(inputs).zip(weights).map(|(a, b)| f64::from(*a) * f64::from(*b));
                        let (exact, size) = (0.5 + pairs().sum::<f64>(), pairs().map(f64::abs).sum::<f64>());
                        // Half a step of twelve bits of the greatest number, wherever it stands, and sums of 24 bits.
                        let top = row.iter().take(inputs).fold(0.0f32, |top, x| top.max(x.abs()));
                        let total: f64 = weights.iter().take(inputs).map(|x| f64::from(x.abs())).sum();
                        let rounding = if format.quantised() { f64::from(top) / 4_070.0 } else { 0.0 };
                        let allowed = rounding * total + size * 4e-6 + 1e-5;
                        let error = (f64::from(*found) - exact).abs();
                        assert!(error <= allowed, "{format:?} {inputs}x{outputs}x{rows}: {found} {exact} of {size}");
                    }
                }
                products.push(out);
            }
            for (path, product) in paths.iter().zip(&products) {
                assert_eq!(product, &products[0], "{format:?} {path:?} {inputs}x{outputs}x{rows}");
            }
        }
    }
    println!("paths compared: {paths:?}, {shapes} shapes of each of {} formats", Format::ALL.len());
}

#[test]
fn a_row_does_not_depend_on_the_rows_beside_it_nor_on_the_matrices_nor_on_the_threads() {
    let (alone, team, mut dice) = (Team::new(1).unwrap(), Team::new(3).unwrap(), Dice(3));
    for format in Format::ALL {
        let (inputs, outputs) = (if format.block().0 == 256 { 512 } else { 96 }, 75);
        let bytes = random(format, inputs, outputs, &mut dice);
        for path in Path::available() {
            let packed = Matrix::pack(format, &bytes, (inputs, outputs), path, &team).unwrap();
            let (input, values) = activations(path, &team, inputs, 39, 7);
            let mut all = vec![0.0; 39 * 2 * outputs];
            assert!(Matrix::multiply(&[&packed, &packed], &team, &input, &mut all, false));
            for rows in [1, 2, 3, 5, 19, 26, 33, 39] {
                let mut some = Activations::default();
                some.fill(path, &alone, inputs, rows, |row, to| {
                    to.copy_from_slice(&values[row * inputs..(row + 1) * inputs])
                });
                let mut out = vec![0.0; rows * outputs];
                assert!(Matrix::multiply(&[&packed], &alone, &some, &mut out, false));
                for (out, all) in out.chunks(outputs).zip(all.chunks(2 * outputs)) {
                    assert_eq!((out, out), (&all[..outputs], &all[outputs..]), "{format:?} {path:?} {rows}");
                }
            }
        }
    }
}

#[test]
fn bytes_that_are_no_such_matrix_are_refused() {
    let team = Team::new(1).unwrap();
    let pack =
        |bytes: usize, shape| Matrix::pack(Format::Q4_1, &vec![0; bytes], shape, Path::best(), &team).map(|_| ());
    assert!(pack(20, (32, 1)).is_ok());
    for (bytes, shape) in
        [(19, (32, 1)), (20, (31, 1)), (20, (32, 2)), (0, (0, 1)), (0, (32, 0)), (20, (usize::MAX - 31, 4))]
    {
        assert!(pack(bytes, shape).is_err(), "{bytes} {shape:?}");
    }
    let matrix = Matrix::pack(Format::Q4_1, &[0; 20], (32, 1), Path::best(), &team).unwrap();
    let (input, _) = activations(Path::best(), &team, 64, 1, 1);
    assert!(!Matrix::multiply(&[&matrix], &team, &input, &mut [0.0], false));
}

#[test]
fn packed_weights_take_little_more_than_the_file() {
    let (team, mut dice) = (Team::new(1).unwrap(), Dice(4));
    for format in Format::ALL {
        let bytes = random(format, 512, 64, &mut dice);
        let packed = Matrix::pack(format, &bytes, (512, 64), Path::best(), &team).unwrap();
        assert!(packed.bytes() as f64 <= bytes.len() as f64 * 1.03, "{format:?}: {} {}", packed.bytes(), bytes.len());
        assert_eq!(packed.bytes(), format.packed_bytes(512, 64), "{format:?}");
    }
}
