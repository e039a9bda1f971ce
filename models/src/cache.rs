//! Where downloaded things are kept on a developer's machine and by the demo.

use std::path::PathBuf;

/// `$CLOISTER_CACHE`, else `$XDG_CACHE_HOME/cloister`, else `~/.cache/cloister`, else a folder in the working directory. The
/// registry of the demo and of the tests is `models` below it. An installed server is told its directory instead.
#[must_use]
pub fn cache_dir() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("CLOISTER_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("cloister")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/cloister")))
        .unwrap_or_else(|| PathBuf::from(".cloister-cache"))
}
