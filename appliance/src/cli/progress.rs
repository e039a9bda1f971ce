//! Progress on standard error: a bar for a person, nothing for a pipe.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar of `total` bytes.
pub(super) fn bytes(total: u64) -> ProgressBar {
    styled(total, "{msg} [{bar:32}] {bytes}/{total_bytes} {bytes_per_sec} {eta}")
}

/// A bar of `total` things.
pub(super) fn count(total: u64) -> ProgressBar {
    styled(total, "{msg} [{bar:32}] {pos}/{len} {per_sec} {eta}")
}

fn styled(total: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    // A template that does not parse leaves the default bar: progress is never worth failing for.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}
