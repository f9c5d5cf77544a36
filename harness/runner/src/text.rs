//! Device bytes as text that can stand in a log or a report without forging anything.

use std::fmt::Write;

/// Printable ASCII stays; everything else, and the backslash, is written as an escape.
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    escape_into(bytes, &mut out);
    out
}

/// [`escape`] into a string that is there.
pub(crate) fn escape_into(bytes: &[u8], out: &mut String) {
    for &b in bytes {
        match b {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x20..=0x7e => out.push(b as char),
            _ => {
                let _ = write!(out, "\\x{b:02x}");
            }
        }
    }
}

/// A value that the device gave: itself if it is printable ASCII (so that it compares equal to what was sent), escaped otherwise.
pub(crate) fn value(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(s) if s.bytes().all(|b| (0x20..=0x7e).contains(&b)) => s.to_owned(),
        _ => escape(bytes),
    }
}

/// Replaces each `{name}` of a binding by the parameter of that name. A placeholder without a parameter is an error that names it.
pub(crate) fn fill_in(text: &str, params: &[(&str, &str)]) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let after = &rest[open + 1..];
        let name_len = after.bytes().take_while(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-').count();
        if name_len > 0 && after.as_bytes().get(name_len) == Some(&b'}') {
            let name = &after[..name_len];
            let (_, value) = params.iter().find(|(n, _)| *n == name).ok_or_else(|| name.to_owned())?;
            out.push_str(value);
            rest = &after[name_len + 1..];
        } else {
            out.push('{');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        let _ = write!(out, "{b:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(b"plain", "plain")]
    #[case(b"a\x1b[31m\\", "a\\x1b[31m\\\\")]
    #[case(b"\xe2\x80\xae]]>\r\n", "\\xe2\\x80\\xae]]>\\r\\n")]
    fn device_bytes_cannot_forge_text(#[case] bytes: &[u8], #[case] text: &str) {
        assert_eq!(escape(bytes), text);
    }

    #[test]
    fn a_value_compares_equal_to_what_was_sent() {
        assert_eq!(value(br"a\b"), r"a\b");
        assert_eq!(value(b"a\x07"), "a\\x07");
    }

    #[rstest]
    #[case("set name {value}", Ok("set name x{y}"))]
    #[case("{\"a\": 1}", Ok("{\"a\": 1}"))]
    #[case("token check {token}", Err("token"))]
    fn placeholders_are_filled_or_named(#[case] text: &str, #[case] want: Result<&str, &str>) {
        assert_eq!(fill_in(text, &[("value", "x{y}")]), want.map(str::to_owned).map_err(str::to_owned));
    }
}
