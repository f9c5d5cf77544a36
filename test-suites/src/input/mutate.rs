//! Bytes that nobody meant: flips, cuts, repeats and odd values anywhere in genuine bytes.

use super::chance::Chance;

/// An input, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub how: String,
    pub bytes: Vec<u8>,
}

const ODD: &[u8] = &[0x00, 0xFF, 0x7F, 0x80, 0x0A, 0x0D, 0x1B, 0x25, 0x22, 0x27, 0x5B, 0x7B];

/// Changed by chance; the longest is 8 KiB.
pub fn by_chance(genuine: &[u8], chance: &mut Chance) -> Case {
    let mut bytes = genuine.to_vec();
    let mut how = Vec::new();
    for _ in 0..=chance.below(3) {
        let at = chance.below(bytes.len().max(1));
        match chance.below(6) {
            0 if !bytes.is_empty() => {
                bytes[at] ^= 1 << chance.below(8);
                how.push(format!("bit flipped at {at}"));
            }
            1 => {
                bytes.truncate(at);
                how.push(format!("cut at {at}"));
            }
            2 => {
                let odd = *chance.one(ODD);
                let n = *chance.one(&[1, 4, 64, 300, 1100]);
                bytes.splice(at..at, std::iter::repeat_n(odd, n));
                how.push(format!("{n} x {odd:#04x} at {at}"));
            }
            3 if bytes.len() > 1 => {
                let to = at + chance.below(bytes.len() - at) + 1;
                let piece = bytes[at..to.min(bytes.len())].to_vec();
                bytes.splice(at..at, piece.repeat(1 + chance.below(8)));
                how.push(format!("repeated from {at}"));
            }
            4 if !bytes.is_empty() => {
                bytes[at] = *chance.one(ODD);
                how.push(format!("odd byte at {at}"));
            }
            _ => {
                bytes.drain(at..(at + 1 + chance.below(8)).min(bytes.len()));
                how.push(format!("left out from {at}"));
            }
        }
        bytes.truncate(8192);
    }
    Case { how: how.join(", "), bytes }
}

/// Lines that nobody types.
pub fn lines(genuine: &str) -> Vec<Case> {
    let mut out = Vec::new();
    for n in [64, 127, 128, 255, 256, 257, 512, 1024, 4096] {
        out.push(Case { how: format!("{n} more characters"), bytes: [genuine.as_bytes(), &b"A".repeat(n)].concat() });
    }
    for text in super::json::TEXTS {
        out.push(Case { how: format!("with {text:?}"), bytes: format!("{genuine} {}", text.replace('\n', " ")).into_bytes() });
    }
    for (how, bytes) in [
        ("escape sequences", b"\x1b[31m\x1b[2J\x1b]0;x\x07".to_vec()),
        ("control bytes", (1..32).filter(|b| ![3, 10, 13, 26].contains(b)).collect()),
        ("bytes above 127", (128..=255).collect()),
        ("NUL", vec![0; 16]),
        ("blanks", b" ".repeat(300)),
        ("two hundred words", b"a ".repeat(200)),
    ] {
        out.push(Case { how: how.to_owned(), bytes: [genuine.as_bytes(), b" ", &bytes[..]].concat() });
        out.push(Case { how: format!("nothing but {how}"), bytes });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_inputs_and_they_are_bounded() {
        let make = |seed| {
            let mut chance = Chance::new(seed);
            (0..500).map(|_| by_chance(b"PUT /x HTTP/1.1", &mut chance)).collect::<Vec<_>>()
        };
        assert_eq!(make(7), make(7));
        assert_ne!(make(7), make(8));
        assert!(make(7).iter().all(|c| c.bytes.len() <= 8192));
    }
}
