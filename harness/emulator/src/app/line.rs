//! The console's line editor. A line has at most 256 bytes; what comes on top is dropped and the line is refused as a whole.

/// Most bytes of a line.
pub const LINE_MAX: usize = 256;

/// What a byte did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// Nothing to see.
    Nothing,
    /// Became part of the line.
    Char(u8),
    /// Took the last character back.
    Erased,
    /// Ctrl-C.
    Interrupt,
    /// Ended the line; `None` if it was too long or is not text.
    Line(Option<String>),
}

/// A line on its way in.
#[derive(Debug, Clone, Default)]
pub struct Editor {
    line: Vec<u8>,
    overlong: bool,
    after_cr: bool,
}

impl Editor {
    /// Takes a byte. CR, LF and CR LF end a line; other control characters are ignored.
    pub fn push(&mut self, byte: u8) -> Typed {
        let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
        match byte {
            b'\n' if after_cr => Typed::Nothing,
            b'\r' | b'\n' => {
                let line = std::mem::take(&mut self.line);
                let whole = !std::mem::take(&mut self.overlong);
                Typed::Line(if whole { String::from_utf8(line).ok() } else { None })
            }
            0x08 | 0x7F => {
                // A character of several bytes goes as a whole.
                while self.line.last().is_some_and(|b| b & 0xC0 == 0x80) {
                    self.line.pop();
                }
                if self.line.pop().is_some() { Typed::Erased } else { Typed::Nothing }
            }
            0x03 => {
                *self = Self::default();
                Typed::Interrupt
            }
            0x00..=0x1F => Typed::Nothing,
            _ if self.line.len() >= LINE_MAX => {
                self.overlong = true;
                Typed::Nothing
            }
            _ => {
                self.line.push(byte);
                Typed::Char(byte)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn lines(bytes: &[u8]) -> Vec<Option<String>> {
        let mut editor = Editor::default();
        let typed = bytes.iter().map(|b| editor.push(*b));
        typed.filter_map(|t| if let Typed::Line(l) = t { Some(l) } else { None }).collect()
    }

    #[rstest]
    #[case(b"one\rtwo\n", &["one", "two"])]
    #[case(b"one\r\ntwo\r\n", &["one", "two"])]
    #[case(b"\r\r\n\n", &["", "", ""])]
    #[case(b"onf\x7fe\r", &["one"])]
    #[case(b"\x08\x08one\r", &["one"])]
    #[case("\u{e4}\x7fone\r".as_bytes(), &["one"])]
    #[case(b"tw\x03one\r", &["one"])]
    #[case(b"\x1bo\x00ne\r", &["one"])]
    fn keys_edit_the_line(#[case] bytes: &[u8], #[case] expected: &[&str]) {
        assert_eq!(lines(bytes), expected.iter().map(|l| Some((*l).to_owned())).collect::<Vec<_>>());
    }

    #[test]
    fn a_line_over_the_bound_is_refused_as_a_whole_and_the_next_one_is_not() {
        let mut bytes = vec![b'x'; LINE_MAX];
        bytes.extend(b"\r");
        assert_eq!(lines(&bytes), [Some("x".repeat(LINE_MAX))]);
        bytes.splice(0..0, *b"y");
        bytes.extend(b"\xff\xfe\rnext\r");
        assert_eq!(lines(&bytes), [None, None, Some("next".to_owned())]);
    }
}
