//! Finding checkpoints in what was kept: a signed note, or log output.

use serde_json::Value;

use super::SignedCheckpoint;

/// The target under which checkpoints go to the log output.
const TARGET: &str = "audit.checkpoint";

/// The checkpoints in a text: it is a signed note, or log output whose lines hold the server's JSON, as they are or inside
/// the `MESSAGE` of a journal that was exported as JSON.
pub fn checkpoints_in(text: &str) -> Vec<SignedCheckpoint> {
    if let Ok(signed) = SignedCheckpoint::parse(text) {
        return vec![signed];
    }
    text.lines().filter(|line| line.contains(TARGET)).filter_map(in_line).collect()
}

fn in_line(line: &str) -> Option<SignedCheckpoint> {
    let (_, object) = line.split_once('{')?;
    let event: Value = serde_json::from_str(&format!("{{{object}")).ok()?;
    match event.get("MESSAGE").and_then(Value::as_str) {
        Some(message) => in_line(message),
        None if event.get("target").and_then(Value::as_str) == Some(TARGET) => {
            SignedCheckpoint::parse(event.get("note")?.as_str()?).ok()
        }
        None => None,
    }
}
