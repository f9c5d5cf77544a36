//! What the bench did, from the exchanges of the journal: supply, resets, checks with their spans of bench time, and what each power cut was followed by.

use super::checks::CAPTURE;
use super::words::{NAME, said};
use proofbench_model::journal::{Event, Journal};
use proofbench_model::{CheckId, EvidenceId};
use std::collections::BTreeMap;

/// The bench over time.
#[derive(Debug, Default)]
pub struct Bench {
    /// Attempts of checks, in order.
    pub spans: Vec<Span>,
    /// Switchings of the supply that changed it: time, and whether it went on.
    pub power: Vec<(u64, bool)>,
    /// Times at which a reset began.
    pub resets: Vec<u64>,
    /// Last time of the journal.
    pub end: u64,
}

/// One attempt of a check.
#[derive(Debug, Default)]
pub struct Span {
    /// The check; none only before it is known.
    pub check: Option<CheckId>,
    /// Bench time of its beginning, nanoseconds.
    pub from: u64,
    /// Bench time of its end.
    pub to: u64,
    /// Its power cuts.
    pub cuts: Vec<Cut>,
    /// Resets in it.
    pub resets: usize,
    /// Evidence by the name that the check gave it, the last of each name.
    pub files: BTreeMap<String, EvidenceId>,
    /// Remarks that exchanges were only counted.
    pub quiet: Vec<String>,
    /// What became of it, if it is not that it ran.
    pub fate: String,
}

/// One loss of power.
#[derive(Debug)]
pub struct Cut {
    /// When, nanoseconds of bench time.
    pub at: u64,
    /// What the rail read afterwards, where the rig reads it.
    pub rail: Option<String>,
    /// Whether power came again before anything else happened to it.
    pub back: bool,
    /// First thing that the console said after power came again.
    pub first_words: Option<String>,
}

/// Names of evidence kept per check.
const FILES: usize = 500;

impl Bench {
    /// Of a journal.
    pub fn of(journal: &Journal) -> Self {
        let mut out = Bench { end: journal.records.last().map_or(0, |r| r.at), ..Bench::default() };
        let mut running: Option<Span> = None;
        let mut on = false;
        for record in &journal.records {
            match &record.event {
                Event::CheckStarted { check, .. } => {
                    out.spans.extend(running.take());
                    running = Some(Span { check: Some(check.clone()), from: record.at, to: record.at, ..Span::default() });
                }
                Event::CheckEnded { fate, .. } => {
                    if let Some(mut span) = running.take() {
                        span.to = record.at;
                        if *fate != proofbench_model::Fate::Run {
                            span.fate = said(&fate.to_string(), NAME);
                        }
                        out.spans.push(span);
                    }
                }
                Event::Exchange { channel, sent, got, evidence } => {
                    let mut span = running.as_mut();
                    if let Some(span) = span.as_mut() {
                        span.to = record.at;
                        span.name_evidence(channel, got.as_deref(), evidence.as_ref());
                    }
                    out.exchange(span, record.at, &mut on, channel, sent.as_deref(), got.as_deref());
                }
                Event::Note { text } if text.contains("exchanges in quiet loops") && !text.starts_with("0 ") => {
                    if let Some(span) = running.as_mut().filter(|s| s.quiet.len() < 20) {
                        span.quiet.push(said(text, NAME));
                    }
                }
                _ => {}
            }
        }
        // A run that was killed: its last check never ended.
        if let Some(mut span) = running {
            span.to = out.end;
            out.spans.push(span);
        }
        out
    }

    fn exchange(&mut self, span: Option<&mut Span>, at: u64, on: &mut bool, channel: &str, sent: Option<&str>, got: Option<&str>) {
        let last = span;
        match (channel, sent, got) {
            ("power", Some("off"), _) => {
                if *on {
                    self.power.push((at, false));
                    if let Some(span) = last {
                        span.cuts.push(Cut { at, rail: None, back: false, first_words: None });
                    }
                }
                *on = false;
            }
            ("power", Some("on"), _) => {
                if !*on {
                    self.power.push((at, true));
                    if let Some(cut) = last.and_then(|s| s.cuts.last_mut()) {
                        cut.back = true;
                    }
                }
                *on = true;
            }
            ("power", None, Some(rail)) => {
                if let Some(cut) = last.and_then(|s| s.cuts.last_mut()).filter(|c| !c.back && c.rail.is_none()) {
                    cut.rail = Some(said(rail, NAME));
                }
            }
            ("console", None, Some(words)) => {
                if let Some(cut) = last.and_then(|s| s.cuts.last_mut()).filter(|c| c.back && c.first_words.is_none()) {
                    cut.first_words = Some(said(words, NAME));
                }
            }
            // Letting go of the line is how a bench is made safe, and resets nothing by itself.
            ("reset", Some(act), _) if act.starts_with("pulse") || act.starts_with("assert") => self.reset(at, last),
            ("debug", Some(act), _) if act.starts_with("pulse") => self.reset(at, last),
            _ => {}
        }
    }

    fn reset(&mut self, at: u64, span: Option<&mut Span>) {
        self.resets.push(at);
        if let Some(span) = span {
            span.resets += 1;
        }
    }
}

impl Span {
    fn name_evidence(&mut self, channel: &str, name: Option<&str>, evidence: Option<&EvidenceId>) {
        if let ("evidence", Some(name), Some(id)) = (channel, name, evidence)
            && (self.files.len() < FILES || self.files.contains_key(name) || name == CAPTURE)
        {
            self.files.insert(name.to_owned(), id.clone());
        }
    }

    /// The check's name.
    pub fn name(&self) -> &str {
        self.check.as_ref().map_or("", CheckId::as_str)
    }
}
