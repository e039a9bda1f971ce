//! One half of a row as the gate of the other.

use super::machine::{Machine, Work};
use super::{Curve, Line, Processor};

/// Multiplies what `curve` makes of the first `half` lines of each row with the `half` lines behind them; row after row.
pub(crate) fn gate(processor: Processor, curve: Curve, rows: &[Line], half: usize) -> Vec<Line> {
    let mut out = vec![[0.0; 16]; rows.len() / 2];
    processor.run(Gate { curve, rows, half, out: &mut out });
    out
}

struct Gate<'a> {
    curve: Curve,
    rows: &'a [Line],
    half: usize,
    out: &'a mut [Line],
}

impl Work for Gate<'_> {
    type Out = ();

    #[inline(always)]
    fn run<M: Machine>(self, m: M) {
        let half = self.half.max(1);
        for (row, out) in self.rows.chunks_exact(2 * half).zip(self.out.chunks_exact_mut(half)) {
            let (gates, ups) = row.split_at(half);
            for ((gate, up), out) in gates.iter().zip(ups).zip(out) {
                m.store(m.mul(self.curve.of(m, m.load(gate)), m.load(up)), out);
            }
        }
    }
}
