//! Small helpers on text that came from a device.

use proofbench_model::bind::Pattern;
use std::collections::BTreeSet;

/// Whether a line matches a pattern of the dossier. Patterns are checked when the dossier is read; one that does not compile matches nothing.
pub fn matches(pattern: &Pattern, line: &str) -> bool {
    regex::Regex::new(&pattern.0).is_ok_and(|r| r.is_match(line))
}

/// Every group `value` that a pattern of the dossier finds in a text; the whole match where it has no such group.
pub fn all(pattern: &Pattern, text: &str) -> BTreeSet<String> {
    let Ok(regex) = regex::Regex::new(&pattern.0) else { return BTreeSet::new() };
    regex.captures_iter(text).filter_map(|c| c.name("value").or_else(|| c.get(0))).map(|m| m.as_str().to_owned()).collect()
}

/// Bytes as printable ASCII, at most so many of them.
pub fn shown(bytes: &[u8], most: usize) -> String {
    let cut = &bytes[..bytes.len().min(most)];
    let more = if cut.len() < bytes.len() { " ..." } else { "" };
    format!("{}{more}", cut.escape_ascii())
}
