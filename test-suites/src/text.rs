//! Small helpers on text that came from a device.

use proofbench_model::bind::Pattern;

/// Whether a line matches a pattern of the dossier. Patterns are checked when the dossier is read; one that does not compile matches nothing.
pub fn matches(pattern: &Pattern, line: &str) -> bool {
    regex::Regex::new(&pattern.0).is_ok_and(|r| r.is_match(line))
}

/// Bytes as printable ASCII, at most so many of them.
pub fn shown(bytes: &[u8], most: usize) -> String {
    let cut = &bytes[..bytes.len().min(most)];
    let more = if cut.len() < bytes.len() { " ..." } else { "" };
    format!("{}{more}", cut.escape_ascii())
}
