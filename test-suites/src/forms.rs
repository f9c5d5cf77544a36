//! The forms in which products were caught hiding a value that they should not show: in their flash, and in what they send.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Half of a canary still tells it apart from chance; shorter pieces do not.
pub(crate) const PIECE_MIN: usize = 8;

/// How a canary stands where it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Encoding {
    Raw,
    HexLower,
    HexUpper,
    Base64,
    Utf16Le,
    Utf16Be,
    Reversed,
    /// Bytes of each 32-bit word in the other order.
    WordSwapped,
}

impl Encoding {
    /// In words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Encoding::Raw => "raw",
            Encoding::HexLower => "hex",
            Encoding::HexUpper => "hex, upper case",
            Encoding::Base64 => "base64",
            Encoding::Utf16Le => "UTF-16 little-endian",
            Encoding::Utf16Be => "UTF-16 big-endian",
            Encoding::Reversed => "reversed",
            Encoding::WordSwapped => "words byte-swapped",
        }
    }
}

/// Two digits a byte.
pub(crate) fn hex(bytes: &[u8], upper: bool) -> Vec<u8> {
    bytes.iter().flat_map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") }.into_bytes()).collect()
}

/// Base64 at the three alignments that a text in front of it can bring about; characters that also depend on the neighbours are left out.
fn base64(bytes: &[u8]) -> Vec<Vec<u8>> {
    (0..3)
        .filter_map(|shift| {
            let mut padded = vec![0; shift];
            padded.extend_from_slice(bytes);
            let whole = padded.len() / 3 * 3;
            let text = STANDARD_NO_PAD.encode(&padded[..whole]).into_bytes();
            // The first group of a shifted text holds bits of whatever stands before.
            let skip = [0, 2, 3][shift];
            text.get(skip..).filter(|t| t.len() >= PIECE_MIN).map(<[u8]>::to_vec)
        })
        .collect()
}

/// Each word of 32 bits with its bytes in the other order, from this alignment on.
pub(crate) fn swapped(bytes: &[u8], shift: usize) -> Vec<u8> {
    bytes.get(shift..).unwrap_or_default().chunks_exact(4).flat_map(|w| [w[3], w[2], w[1], w[0]]).collect()
}

/// Every form of one piece.
pub(crate) fn forms(bytes: &[u8]) -> Vec<(Encoding, Vec<u8>)> {
    let mut all = vec![
        (Encoding::Raw, bytes.to_vec()),
        (Encoding::HexLower, hex(bytes, false)),
        (Encoding::HexUpper, hex(bytes, true)),
        (Encoding::Utf16Le, bytes.iter().flat_map(|b| [*b, 0]).collect()),
        (Encoding::Utf16Be, bytes.iter().flat_map(|b| [0, *b]).collect()),
        (Encoding::Reversed, bytes.iter().rev().copied().collect()),
    ];
    all.extend(base64(bytes).into_iter().map(|b| (Encoding::Base64, b)));
    // Four alignments to the words of the medium.
    all.extend((0..4).map(|shift| (Encoding::WordSwapped, swapped(bytes, shift))).filter(|(_, b)| b.len() >= PIECE_MIN));
    all
}

/// Whether a value stands in a text, and how. Letters of either case count as the same where names are compared so on their way; values of at least
/// eight bytes are also found in each form of [`forms`] and under one byte of XOR.
pub(crate) fn shown_in(text: &[u8], value: &[u8]) -> Option<&'static str> {
    if value.is_empty() {
        return None;
    }
    let found = |form: &[u8], exact: bool| text.windows(form.len()).any(|w| if exact { w == form } else { w.eq_ignore_ascii_case(form) });
    if found(value, false) {
        return Some("as it is");
    }
    if value.len() < PIECE_MIN {
        return None;
    }
    // Base64 and swapped words differ by case; nothing else does.
    let exact = |encoding| matches!(encoding, Encoding::Base64 | Encoding::WordSwapped);
    if let Some((encoding, _)) = forms(value).into_iter().find(|(encoding, form)| found(form, exact(*encoding))) {
        return Some(encoding.name());
    }
    let masked = |w: &[u8]| w.iter().zip(value).all(|(a, b)| a ^ b == w[0] ^ value[0]);
    text.windows(value.len()).any(masked).then_some("XORed with one byte")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const VALUE: &[u8] = b"Secret88xyz";

    #[rstest]
    #[case::as_it_is(b"a=secret88XYZ&b".to_vec(), "as it is")]
    #[case::hex(format!("x={}00", String::from_utf8_lossy(&hex(VALUE, true))).into_bytes(), "hex")]
    #[case::basic_auth(format!("Basic {}", STANDARD_NO_PAD.encode(b"user:Secret88xyz")).into_bytes(), "base64")]
    #[case::wide([&b"n"[..], &VALUE.iter().flat_map(|b| [*b, 0]).collect::<Vec<_>>()].concat(), "UTF-16 little-endian")]
    #[case::reversed(b"zyx88terceS.".to_vec(), "reversed")]
    #[case::xor([&b"q="[..], &VALUE.iter().map(|b| b ^ 0x5a).collect::<Vec<_>>()].concat(), "XORed with one byte")]
    fn a_value_is_found_however_it_is_hidden(#[case] text: Vec<u8>, #[case] how: &str) {
        assert_eq!(shown_in(&text, VALUE), Some(how));
    }

    #[test]
    fn what_is_not_there_and_what_is_too_short_to_tell_is_not_found() {
        assert_eq!(shown_in(b"nothing of the kind in here, Secret88", VALUE), None);
        assert_eq!(shown_in(b"61 62", b"ab"), None);
        assert_eq!(shown_in(b"", VALUE), None);
    }
}
