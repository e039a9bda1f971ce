//! Tables on standard output: columns apart, no lines, so that they can be cut and searched.

use comfy_table::{Table, presets};

/// An empty table with a header.
pub(super) fn plain<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}
