//! Where a bench writes what happened. The journal is one; a reference bench for negative controls has one that keeps nothing.

use proofbench_channel::Moment;
use proofbench_model::journal::{Event, sha256_hex};
use proofbench_model::{CheckId, EvidenceId, Observation};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Takes records. Errors are kept inside and asked for by [`Sink::failed`]: no record, no verdict, so the runner ends the run then.
pub trait Sink {
    /// One event. Observations are on disk when this returns.
    fn event(&mut self, at: Moment, event: Event);
    /// Keeps bytes under their digest.
    fn evidence(&mut self, at: Moment, check: Option<&CheckId>, name: &str, bytes: &[u8]) -> EvidenceId;
    /// What went wrong with writing, if anything did.
    fn failed(&self) -> Option<String>;
    /// A request (logged before it is sent) or an answer on a channel. Texts are escaped.
    fn exchange(&mut self, at: Moment, channel: &str, sent: Option<&str>, got: Option<&str>) {
        let text = |t: Option<&str>| t.map(str::to_owned);
        self.event(at, Event::Exchange { channel: channel.to_owned(), sent: text(sent), got: text(got), evidence: None });
    }
    /// An observation.
    fn observation(&mut self, at: Moment, observation: &Observation) {
        self.event(at, Event::Observation(observation.clone()));
    }
    /// A remark for the reader.
    fn note(&mut self, at: Moment, text: &str) {
        self.event(at, Event::Note { text: text.to_owned() });
    }
}

/// Keeps nothing, but gives evidence its true name.
#[derive(Debug, Default)]
pub struct NullSink;

impl Sink for NullSink {
    fn event(&mut self, _: Moment, _: Event) {}
    fn evidence(&mut self, _: Moment, _: Option<&CheckId>, _: &str, bytes: &[u8]) -> EvidenceId {
        digest(bytes)
    }
    fn failed(&self) -> Option<String> {
        None
    }
    fn exchange(&mut self, _: Moment, _: &str, _: Option<&str>, _: Option<&str>) {}
}

/// What a [`MemorySink`] has taken.
#[derive(Debug, Default)]
pub struct Taken {
    /// Events in order.
    pub events: Vec<(Moment, Event)>,
    /// Evidence by digest, with its name.
    pub evidence: BTreeMap<EvidenceId, (String, Vec<u8>)>,
    /// Set this, and writing has failed.
    pub fail: Option<String>,
}

/// Keeps everything in memory: for tests and for proofs that need no run folder. Clones share.
#[derive(Debug, Clone, Default)]
pub struct MemorySink(pub Rc<RefCell<Taken>>);

impl Sink for MemorySink {
    fn event(&mut self, at: Moment, event: Event) {
        self.0.borrow_mut().events.push((at, event));
    }
    fn evidence(&mut self, _: Moment, _: Option<&CheckId>, name: &str, bytes: &[u8]) -> EvidenceId {
        let id = digest(bytes);
        self.0.borrow_mut().evidence.entry(id.clone()).or_insert_with(|| (name.to_owned(), bytes.to_vec()));
        id
    }
    fn failed(&self) -> Option<String> {
        self.0.borrow().fail.clone()
    }
}

/// The name of a piece of evidence: its SHA-256 in lower-case hexadecimal.
pub fn digest(bytes: &[u8]) -> EvidenceId {
    EvidenceId(sha256_hex(bytes))
}
