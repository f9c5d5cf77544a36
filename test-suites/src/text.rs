//! Small helpers on text that came from a device.

use proofbench_model::bind::Pattern;

/// Whether a line matches a pattern of the dossier. Patterns are checked when the dossier is read; one that does not compile matches nothing.
pub fn matches(pattern: &Pattern, line: &str) -> bool {
    regex::Regex::new(&pattern.0).is_ok_and(|r| r.is_match(line))
}
