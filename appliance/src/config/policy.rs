//! `[policy]`: the site's own policies.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[policy]`: the site's own policies. They are read at start and again on reload (`systemctl reload`, SIGHUP).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The folder of the site's `.cedar` files, which are added to the packaged policies. Default: none, and the packaged
    /// policies hold alone.
    pub folder: Option<PathBuf>,
    /// The folder of a set on trial: asked beside the set in force and obeyed in nothing. Where the two differ, it is
    /// counted and logged. Default: none.
    pub shadow: Option<PathBuf>,
}
