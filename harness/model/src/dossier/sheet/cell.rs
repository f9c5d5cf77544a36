//! Cells that a spreadsheet leaves as they are.
//!
//! A cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return is run or rewritten by spreadsheets; it gets an apostrophe in front, which makes it
//! a text there, and loses it here. An answer that is empty on purpose is written [`EMPTY`]: an empty cell is none at all. What would be changed by reading
//! gets an apostrophe too, so that reading gives back exactly what was written.

/// An answer that is empty on purpose.
pub const EMPTY: &str = "(empty)";

fn is_run(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// Whether reading takes an apostrophe off.
fn loses_one(cell: &str) -> bool {
    cell.strip_prefix('\'').is_some_and(|rest| is_run(rest) || rest.starts_with('\'') || rest == EMPTY)
}

/// The cell of an answer; none is an empty cell.
pub fn write(answer: Option<&str>) -> String {
    match answer {
        None => String::new(),
        Some("") => EMPTY.to_owned(),
        Some(text) if is_run(text) || text == EMPTY || loses_one(text) => format!("'{text}"),
        Some(text) => text.to_owned(),
    }
}

/// The answer of a cell; an empty cell is none.
pub fn read(cell: &str) -> Option<String> {
    match cell {
        "" => None,
        EMPTY => Some(String::new()),
        text if loses_one(text) => Some(text[1..].to_owned()),
        text => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::formula("=HYPERLINK(\"http://x\",\"y\")")]
    #[case::plus("+1")]
    #[case::minus("-2+3")]
    #[case::at("@SUM(A1)")]
    #[case::tab("\t=1")]
    #[case::carriage_return("\r=1")]
    fn what_a_spreadsheet_would_run_is_a_text_there_and_itself_here(#[case] text: &str) {
        let cell = write(Some(text));
        assert!(cell.starts_with('\''), "{cell}");
        assert_eq!(read(&cell).as_deref(), Some(text));
    }

    #[rstest]
    #[case::none(None)]
    #[case::empty(Some(""))]
    #[case::plain(Some("text, with \"quotes\"\nand lines"))]
    #[case::apostrophe(Some("'tis"))]
    #[case::lone_apostrophe(Some("'"))]
    #[case::two(Some("''"))]
    #[case::escaped_already(Some("'=1"))]
    #[case::twice(Some("''=1"))]
    #[case::the_word_itself(Some("(empty)"))]
    #[case::the_word_escaped(Some("'(empty)"))]
    fn reading_gives_back_what_was_written(#[case] answer: Option<&str>) {
        assert_eq!(read(&write(answer)).as_deref(), answer);
    }
}
