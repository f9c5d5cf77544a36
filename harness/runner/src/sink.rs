//! Where a bench writes what happened. The journal is one; a reference bench for negative controls has one that keeps nothing.

use proofbench_channel::Moment;
use proofbench_model::{CheckId, EvidenceId, Observation};
use sha2::{Digest, Sha256};

/// Takes records. Errors are kept inside and asked for by [`Sink::failed`]: no record, no verdict, so the runner ends the run then.
pub trait Sink {
    /// A request (logged before it is sent) or an answer on a channel. Texts are escaped.
    fn exchange(&mut self, at: Moment, channel: &str, sent: Option<&str>, got: Option<&str>);
    /// An observation; on disk when this returns.
    fn observation(&mut self, at: Moment, observation: &Observation);
    /// A remark for the reader.
    fn note(&mut self, at: Moment, text: &str);
    /// Keeps bytes under their digest.
    fn evidence(&mut self, check: Option<&CheckId>, name: &str, bytes: &[u8]) -> EvidenceId;
    /// What went wrong with writing, if anything did.
    fn failed(&self) -> Option<String>;
}

/// Keeps nothing, but gives evidence its true name.
#[derive(Debug, Default)]
pub struct NullSink;

impl Sink for NullSink {
    fn exchange(&mut self, _: Moment, _: &str, _: Option<&str>, _: Option<&str>) {}
    fn observation(&mut self, _: Moment, _: &Observation) {}
    fn note(&mut self, _: Moment, _: &str) {}
    fn evidence(&mut self, _: Option<&CheckId>, _: &str, bytes: &[u8]) -> EvidenceId {
        digest(bytes)
    }
    fn failed(&self) -> Option<String> {
        None
    }
}

/// The name of a piece of evidence: its SHA-256 in lower-case hexadecimal.
pub fn digest(bytes: &[u8]) -> EvidenceId {
    EvidenceId(crate::text::hex(&Sha256::digest(bytes)))
}
