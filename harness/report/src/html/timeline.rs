//! The time line: supply, resets and what checks came to, drawn over bench time. Figures for every check stand in the table of checks, in words.

use super::axis::{Axis, COLUMNS, merged};
use super::bench::{Bench, Span};
use super::indexed::{Indexed, rank};
use super::words::{Mark, time};
use proofbench_model::Outcome;
use serde::Serialize;

/// Columns that one mark of an outcome takes.
const MARK: usize = 10;

/// One drawing.
#[derive(Debug, Serialize)]
pub struct Timeline {
    id: &'static str,
    title: &'static str,
    /// What it shows, for those who do not see it.
    description: String,
    width: usize,
    supply: Vec<Bar>,
    resets: Vec<Bar>,
    outcomes: Vec<Placed>,
    labels: Vec<Label>,
}

#[derive(Debug, Serialize)]
struct Bar {
    x: usize,
    width: usize,
    /// `on`, `off`, `switched`, `reset`.
    kind: &'static str,
    /// Shown by pointing at it.
    text: String,
}

#[derive(Debug, Serialize)]
struct Placed {
    x: usize,
    shape: &'static str,
    text: String,
}

#[derive(Debug, Serialize)]
struct Label {
    x: usize,
    text: String,
    /// Which end of the text stands at `x`: `start`, `middle`, `end`.
    anchor: &'static str,
}

/// Both drawings; none for a run without checks.
pub fn of(indexed: &Indexed<'_>, bench: &Bench) -> Vec<Timeline> {
    if bench.spans.is_empty() {
        return Vec::new();
    }
    let marks: Vec<(u64, Mark)> = bench.spans.iter().filter_map(|s| Some((s.from, outcome(indexed, s)?))).collect();
    let by_check = draw("by-check", "Each check with the same width, in the order in which they ran", &Axis::Checks(bench), bench, &marks);
    let by_time = draw("by-time", "True to bench time", &Axis::Time { from: 0, to: bench.end }, bench, &marks);
    vec![by_check, by_time]
}

/// The worst that a check came to; none if it answered for nothing.
pub fn outcome(indexed: &Indexed<'_>, span: &Span) -> Option<Mark> {
    let said = indexed.by_check.get(span.check.as_ref()?)?;
    let outcomes = said.iter().map(|(key, i)| if i.outcome() == Outcome::Violated && !indexed.counts(key) { None } else { Some(i.outcome()) });
    outcomes.flatten().min_by_key(|o| rank(*o)).map(Mark::outcome)
}

fn draw(id: &'static str, title: &'static str, axis: &Axis<'_>, bench: &Bench, marks: &[(u64, Mark)]) -> Timeline {
    let cuts = bench.power.iter().filter(|(_, on)| !on).count();
    let total = time(bench.end);
    let description = format!(
        "{title}: {} attempts of checks over {total} of bench time, power taken away {cuts} times, {} resets. The table of checks has the same in figures.",
        bench.spans.len(),
        bench.resets.len()
    );
    Timeline {
        id,
        title,
        description,
        width: COLUMNS,
        supply: supply(axis, bench),
        resets: resets(axis, bench),
        outcomes: outcomes(axis, marks),
        labels: labels(axis, bench),
    }
}

/// A column is on, off, or was switched in it; before the first switching nothing is known of it.
fn supply(axis: &Axis<'_>, bench: &Bench) -> Vec<Bar> {
    let mut columns: Vec<Option<&'static str>> = vec![None; COLUMNS];
    let mut state: Option<&'static str> = None;
    let mut from = 0;
    for (at, on) in bench.power.iter().copied().chain([(bench.end, true)]) {
        let to = axis.column(at);
        if let Some(state) = state {
            for column in &mut columns[from..=to.max(from)] {
                column.get_or_insert(state);
            }
        }
        if state.is_some_and(|_| at < bench.end) {
            columns[to] = Some("switched");
        }
        state = Some(if on { "on" } else { "off" });
        from = to;
    }
    let text = |kind: &str| match kind {
        "on" => "supply on",
        "off" => "supply off",
        _ => "supply switched here",
    };
    merged(&columns).into_iter().map(|(x, width, kind)| Bar { x, width, kind, text: text(kind).to_owned() }).collect()
}

fn resets(axis: &Axis<'_>, bench: &Bench) -> Vec<Bar> {
    let mut columns = vec![0usize; COLUMNS];
    for at in &bench.resets {
        columns[axis.column(*at)] += 1;
    }
    let counted = columns.iter().enumerate().filter(|(_, n)| **n > 0);
    counted.map(|(x, n)| Bar { x, width: 2, kind: "reset", text: format!("{n} resets") }).collect()
}

/// One shape for all checks that began within the same few columns: the worst of them.
fn outcomes(axis: &Axis<'_>, marks: &[(u64, Mark)]) -> Vec<Placed> {
    let severity = |shape: &str| ["fail", "open", "wait", "pass"].iter().position(|s| *s == shape).unwrap_or(9);
    let mut columns: Vec<Option<(&'static str, usize)>> = vec![None; COLUMNS / MARK];
    for (at, mark) in marks {
        let column = &mut columns[(axis.column(*at) / MARK).min(COLUMNS / MARK - 1)];
        let (worst, count) = column.unwrap_or((mark.shape, 0));
        *column = Some((if severity(mark.shape) < severity(worst) { mark.shape } else { worst }, count + 1));
    }
    let placed = columns.iter().enumerate().filter_map(|(i, c)| c.map(|(shape, count)| (i, shape, count)));
    placed.map(|(i, shape, count)| Placed { x: i * MARK, shape, text: format!("worst of {count}: {}", word(shape)) }).collect()
}

fn word(shape: &str) -> &'static str {
    match shape {
        "fail" => "VIOLATED",
        "pass" => "SATISFIED",
        _ => "UNRESOLVED",
    }
}

/// Bench times below the drawing.
fn labels(axis: &Axis<'_>, bench: &Bench) -> Vec<Label> {
    const LABELS: usize = 5;
    let label = |n: usize, at: u64| Label {
        x: n * COLUMNS / (LABELS - 1),
        text: time(at),
        anchor: match n {
            0 => "start",
            n if n == LABELS - 1 => "end",
            _ => "middle",
        },
    };
    (0..LABELS)
        .map(|n| {
            let at = match axis {
                Axis::Time { to, .. } => to / (LABELS as u64 - 1) * n as u64,
                Axis::Checks(bench) => bench.spans.get(n * bench.spans.len() / (LABELS - 1)).map_or(bench.end, |s| s.from),
            };
            label(n, at.min(bench.end))
        })
        .collect()
}
