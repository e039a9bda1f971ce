//! Files of photographs and scans, and of finger and voice prints, by their names.

use super::{
    super::{finding::Finding, kind::Kind, token::Tokens},
    left,
};

/// The file whose extension stands at `index`.
pub(super) fn read(tokens: &Tokens<'_>, index: usize) -> Option<Finding> {
    let kind = match tokens.lower(index) {
        "jpg" | "jpeg" | "png" | "heic" | "gif" | "tif" | "tiff" | "bmp" | "webp" | "dcm" | "dng" | "mp4" | "mov"
        | "avi" => Kind::Photo,
        "wav" | "mp3" | "m4a" | "wsq" | "ogg" | "flac" => Kind::Biometric,
        _ => return None,
    };
    let dot = index.checked_sub(1).filter(|dot| tokens.mark(*dot, ".") && tokens.joined(index))?;
    let name = left(tokens.text, tokens.at(dot).start, "-_.()/\\");
    let name = name.trim_start_matches(['(', '.', '/', '-']);
    (!name.is_empty())
        .then(|| Finding::new(kind, tokens.at(dot).start - name.len(), tokens.at(index).end, 0.85, "file"))
}
