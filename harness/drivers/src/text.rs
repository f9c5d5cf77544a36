//! Foreign bytes in messages: escaped, and no longer than a person reads.

/// Most characters that are shown.
const MOST: usize = 200;

/// Bytes of a device, a peer or a program as part of an error or a description: control characters escaped, cut after 200 characters.
pub(crate) fn shown(bytes: &[u8]) -> String {
    // A character has at most four bytes, so this is enough to fill the limit and to see that there is more.
    let head = &bytes[..bytes.len().min(4 * (MOST + 1))];
    let text = String::from_utf8_lossy(head);
    let mut out: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().count() > MOST || head.len() < bytes.len() {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_floods_are_cut() {
        assert_eq!(shown(b"a\x1b[0m\xff\n"), "a\\u{1b}[0m\u{fffd}\\n");
        let flood = shown(&vec![b'x'; 1 << 20]);
        assert!(flood.len() == MOST + 3 && flood.ends_with("x..."));
        assert_eq!(shown("ü".repeat(MOST).as_bytes()), "ü".repeat(MOST));
    }
}
