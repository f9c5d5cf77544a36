//! Device text on its way into XML: nothing a device prints may end a section, forge a result or make the file unreadable.

/// `text` with every character legal in XML 1.0. C0 controls become their control pictures (ESC is shown as U+241B), other illegal
/// characters become U+FFFD. Tabs and line feeds stay; a carriage return becomes its picture, because readers would normalise it away.
pub fn legal(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' | '\n' => c,
            '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
            '\u{7f}' => '\u{2421}',
            '\u{80}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// [`legal`] text for a CDATA section: the one sequence that would end it is split over two sections.
pub fn cdata(text: &str) -> String {
    legal(text).replace("]]>", "]]]]><![CDATA[>")
}

/// [`legal`] text for an attribute, on one line.
pub fn attribute(text: &str) -> String {
    legal(text).replace(['\n', '\t'], " ")
}

/// At most `max` bytes of `text`: the beginning and the end, with a line between them that says how much is left out.
pub fn capped(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let head = floor_boundary(text, max / 2);
    let tail = ceil_boundary(text, text.len() - max / 2);
    format!("{}\n[... {} bytes left out, see the evidence file ...]\n{}", &text[..head], tail - head, &text[tail..])
}

fn floor_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_and_nul_become_pictures() {
        assert_eq!(legal("a\u{1b}[31m\u{0}b\rc\n"), "a\u{241b}[31m\u{2400}b\u{240d}c\n");
    }

    #[test]
    fn a_cdata_end_is_split() {
        assert_eq!(cdata("x]]></system-out>"), "x]]]]><![CDATA[></system-out>");
    }

    #[test]
    fn a_long_text_keeps_both_ends() {
        let text = format!("begin{}end", "é".repeat(1000));
        let short = capped(&text, 100);
        assert!(short.starts_with("begin") && short.ends_with("end") && short.len() < 200, "{short}");
    }

    proptest! {
        #[test]
        fn every_character_is_legal_in_xml(text in "\\PC*|[\u{0}-\u{ff}\u{fffe}\u{ffff}]*") {
            for c in legal(&text).chars() {
                let allowed = matches!(c, '\t' | '\n' | '\u{20}'..='\u{7e}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
                prop_assert!(allowed, "{:?} is not legal", c);
            }
        }
    }
}
