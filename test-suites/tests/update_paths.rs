//! Update paths that can do less than the emulated one: what they cannot do leaves its checks unresolved, never passed and never failed.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use proofbench_channel::{Answer, ChannelError, Chunk, ErrorKind, ImageState, Intake, Moment, SmpReply, SmpRequest, UpdatePath, Wait};
use proofbench_model::{Outcome, Reason};
use proofbench_rig::{ResolvedRig, load_dossier, open_reference};
use proofbench_runner::bench::{ReferenceFactory, ReferenceRig};
use proofbench_runner::run::{RunOptions, RunSummary, run};
use proofbench_runner::sink::MemorySink;
use proofbench_runner::{Capability, Check, RigFacts, Selection, plan};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What is different about a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// Takes whole images only, and hands them on in pieces.
    Whole,
    /// The same, and it can do nothing else.
    Blind,
    /// Every piece is answered by the wish for the first one.
    Stuck,
}

/// The emulated device's path, changed.
struct Changed {
    inner: Box<dyn UpdatePath>,
    how: How,
}

impl Changed {
    fn may(&self) -> Result<(), ChannelError> {
        if self.how == How::Blind { Err(ChannelError::new(ErrorKind::Unsupported, "ask by a path that only sends")) } else { Ok(()) }
    }
}

impl UpdatePath for Changed {
    fn state(&mut self, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        self.may()?;
        self.inner.state(wait)
    }
    fn chunk(&mut self, chunk: &Chunk<'_>, wait: &Wait) -> Result<Answer<u32>, ChannelError> {
        if self.how == How::Stuck {
            return Ok(Answer::Accepted(0));
        }
        if chunk.offset != 0 || chunk.total != u32::try_from(chunk.data.len()).ok() {
            return Err(ChannelError::new(ErrorKind::Unsupported, "send a piece of an image"));
        }
        let mut at = 0;
        while at < chunk.data.len() {
            let end = chunk.data.len().min(at + self.inner.max_chunk());
            let first = at == 0;
            let piece = Chunk {
                offset: u32::try_from(at).unwrap(),
                data: &chunk.data[at..end],
                total: chunk.total.filter(|_| first),
                sha: chunk.sha.filter(|_| first),
            };
            match self.inner.chunk(&piece, wait)? {
                Answer::Accepted(next) if next as usize > at => at = next as usize,
                other => return Ok(other),
            }
        }
        Ok(Answer::Accepted(u32::try_from(at).unwrap()))
    }
    fn intake(&self) -> Intake {
        if self.how == How::Stuck { self.inner.intake() } else { Intake::Whole }
    }
    fn longest(&self, _: usize) -> Duration {
        Duration::from_secs(300)
    }
    fn mark(&mut self, hash: Option<&[u8]>, confirm: bool, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        self.may()?;
        self.inner.mark(hash, confirm, wait)
    }
    fn erase(&mut self, wait: &Wait) -> Result<Answer<()>, ChannelError> {
        self.may()?;
        self.inner.erase(wait)
    }
    fn restart(&mut self, _: &Wait) -> Result<Answer<()>, ChannelError> {
        Err(ChannelError::new(ErrorKind::Unsupported, "restart by a path that only sends"))
    }
    fn smp(&mut self, request: &SmpRequest, wait: &Wait) -> Result<Answer<SmpReply>, ChannelError> {
        self.may()?;
        self.inner.smp(request, wait)
    }
    fn remarks(&mut self) -> Vec<(Moment, String)> {
        Vec::new()
    }
    fn describe(&self) -> String {
        "a changed path".to_owned()
    }
}

/// Runs these checks on the emulated device behind such a path.
fn go(how: How, checks: &[&'static Check]) -> RunSummary {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let dossier = Arc::new(load_dossier(&root.join("fixtures/devices/thermostat")).unwrap());
    let mut rig = ResolvedRig::load(&root.join("rigs/emulated.toml")).unwrap().open(dossier, 7, "a test").unwrap();
    let inner = rig.channels.update.take().unwrap();
    rig.channels.update = Some(Box::new(Changed { inner, how }));
    // Without it the sampled procedures run, which work by the update path itself.
    rig.channels.crash = None;
    let capabilities = Capability::ALL.into_iter().filter(|c| c.of(&rig.channels)).collect();
    let dossier = rig.dossier.clone();
    let reference = ReferenceFactory::new(move |defects, seed| {
        let channels = open_reference(&dossier, defects, seed).map_err(|e| ChannelError::new(ErrorKind::Driver, e.to_string()))?;
        Ok(ReferenceRig { channels, dossier: dossier.clone() })
    });
    let options = RunOptions { reference: Some(reference), ..RunOptions::new(7, Box::new(MemorySink::default())) };
    let plan = plan(&rig.dossier, &RigFacts { capabilities, permissions: rig.permissions }, checks, &Selection::default()).unwrap();
    run(&plan, rig, checks, options, &mut ()).unwrap()
}

fn outcomes(summary: &RunSummary, check: &str) -> Vec<Outcome> {
    let outcomes: Vec<Outcome> = summary.observations().filter(|o| o.check.to_string() == check).map(|o| o.outcome).collect();
    assert!(!outcomes.is_empty(), "{check} observed nothing");
    outcomes
}

const CANNOT: Outcome = Outcome::Unresolved(Reason::RigCapabilityMissing);

#[test]
fn transfers_in_pieces_are_unresolved_where_only_whole_images_go_in_and_other_checks_judge_as_before() {
    let in_pieces = ["update/interrupted-transfer", "update/repeated-pieces", "update/second-update"];
    let others = ["update/other-key", "update/revert-unconfirmed", "update/skipped-steps"];
    let checks: Vec<&'static Check> = proofbench_suites::all().into_iter().filter(|c| in_pieces.contains(&c.id) || others.contains(&c.id)).collect();
    assert_eq!(checks.len(), in_pieces.len() + others.len());
    let summary = go(How::Whole, &checks);
    for check in in_pieces {
        assert!(outcomes(&summary, check).iter().all(|o| *o == CANNOT), "{check}: {:?}", outcomes(&summary, check));
    }
    for check in others {
        assert!(outcomes(&summary, check).iter().all(|o| *o == Outcome::Satisfied), "{check}: {:?}", outcomes(&summary, check));
    }
}

#[test]
fn a_path_that_can_only_send_leaves_every_check_that_needs_one_unresolved() {
    let checks: Vec<&'static Check> = proofbench_suites::all().into_iter().filter(|c| c.needs.contains(&Capability::UpdatePath)).collect();
    assert!(checks.len() > 20, "{}", checks.len());
    let summary = go(How::Blind, &checks);
    let wrong: Vec<String> =
        summary.observations().filter(|o| o.outcome != CANNOT).map(|o| format!("{}: {:?}: {}", o.check, o.outcome, o.observed)).collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_device_that_wants_the_first_byte_for_ever_is_given_up_and_decides_nothing() {
    let checks: Vec<&'static Check> =
        proofbench_suites::all().into_iter().filter(|c| ["update/revert-unconfirmed", "power-loss/install"].contains(&c.id)).collect();
    assert_eq!(checks.len(), 2);
    let summary = go(How::Stuck, &checks);
    assert!(summary.observations().count() > 0);
    assert!(summary.observations().all(|o| matches!(o.outcome, Outcome::Unresolved(_))), "{:?}", summary.observations().collect::<Vec<_>>());
}
