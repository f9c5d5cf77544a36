//! Where bench time stands on a drawing of 1000 columns. Two axes: one true to time, on which a check of 24 hours hides a hundred others, and one that
//! gives every check the same width.

use super::bench::Bench;

/// Columns of a drawing; also what bounds how much is drawn, whatever the journal holds.
pub const COLUMNS: usize = 1000;

/// An axis.
pub enum Axis<'a> {
    /// True to time.
    Time {
        /// Where it begins.
        from: u64,
        /// Where it ends.
        to: u64,
    },
    /// Every check has the same width, and inside it the axis is true to time.
    Checks(&'a Bench),
}

impl Axis<'_> {
    /// The column of a time: below [`COLUMNS`].
    pub fn column(&self, at: u64) -> usize {
        let x = match self {
            Axis::Time { from, to } => share(at, *from, *to) * COLUMNS as f64,
            Axis::Checks(bench) => {
                let spans = &bench.spans;
                // The check that had begun by then, or the first.
                let index = spans.partition_point(|s| s.from <= at).saturating_sub(1);
                let inside = spans.get(index).map_or(0.0, |s| share(at, s.from, s.to));
                (index as f64 + inside) * COLUMNS as f64 / spans.len().max(1) as f64
            }
        };
        (x as usize).min(COLUMNS - 1)
    }
}

/// How far `at` is between `from` and `to`: 0 to 1.
fn share(at: u64, from: u64, to: u64) -> f64 {
    let length = to.saturating_sub(from);
    if length == 0 { 0.0 } else { (at.saturating_sub(from) as f64 / length as f64).min(1.0) }
}

/// Adjoining columns with the same content, as (first, width, content). `None` columns are left out.
pub fn merged<T: Clone + PartialEq>(columns: &[Option<T>]) -> Vec<(usize, usize, T)> {
    let mut out: Vec<(usize, usize, T)> = Vec::new();
    for (x, content) in columns.iter().enumerate() {
        let Some(content) = content else { continue };
        match out.last_mut() {
            Some((first, width, last)) if *first + *width == x && last == content => *width += 1,
            _ => out.push((x, 1, content.clone())),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::bench::Span;

    #[test]
    fn every_time_has_a_column() {
        let spans = vec![Span { from: 0, to: 10, ..Span::default() }, Span { from: 10, to: 1_000_000, ..Span::default() }];
        let bench = Bench { spans, end: 1_000_000, ..Bench::default() };
        let axis = Axis::Checks(&bench);
        assert_eq!([0, 5, 10, 1_000_000, u64::MAX].map(|at| axis.column(at)), [0, 250, 500, 999, 999]);
        let nothing = Axis::Time { from: 0, to: 0 };
        assert_eq!(nothing.column(7), 0);
    }

    #[test]
    fn columns_with_the_same_content_become_one() {
        assert_eq!(merged(&[Some(1), Some(1), None, Some(1), Some(2)]), [(0, 2, 1), (3, 1, 1), (4, 1, 2)]);
    }
}
