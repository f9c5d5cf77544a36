//! Crash states of a machine whose flash keeps a log of its operations: record once, rebuild the flash after each operation, clean and torn, boot what is
//! left. No state of QEMU but the flash survives, because each boot is a new process.
//!
//! The log is written by the firmware's own flash driver into the same file, behind the flash, before each operation begins (see
//! `fixtures/firmware/mcu/common/src/flash.rs`, which is the format's other half). At the log's offset, little-endian words: bytes of the log, number of
//! operations, the operation before which the driver is to stop (one more than its number; 0: none), whether it has stopped there. Then the records: kind (1
//! write, 2 erase), offset, length, and of a write its bytes.

mod image;
mod log;
mod tear;

use super::process::Process;
use image::Image;
use log::Op;
pub(super) use log::{Header, Log};
use proofbench_channel::{ChannelError, CrashSpace, CrashVisitor, ErrorKind, OpSummary, StateId, Tear, Wait};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;

/// Which file, and what of it is what.
#[derive(Debug, Clone)]
pub struct CrashSetup {
    /// The flash's file.
    pub file: PathBuf,
    /// Bytes of the flash, from the file's beginning.
    pub len: u64,
    /// Where the log is.
    pub log: u64,
}

/// See the module.
pub(super) struct QemuCrash {
    process: Rc<RefCell<Process>>,
    log: Log,
    kept: BTreeMap<StateId, Image>,
    next: u32,
    armed: Option<(u32, Tear)>,
    /// The content from which a recording goes on, with the place in the log; `None`: nothing is recorded.
    recording: Option<(Image, Header)>,
    /// The last recording.
    base: Option<Image>,
    ops: Vec<Op>,
}

impl QemuCrash {
    pub fn new(setup: &CrashSetup, process: Rc<RefCell<Process>>) -> Result<Self, ChannelError> {
        let log = Log::open(setup)?;
        process.borrow_mut().log = Some(log.clone());
        Ok(Self { process, log, kept: BTreeMap::new(), next: 0, armed: None, recording: None, base: None, ops: Vec::new() })
    }

    fn without_power(&self, doing: &str) -> Result<(), ChannelError> {
        match self.process.borrow_mut().alive() {
            true => Err(ChannelError::caused(ErrorKind::Refused, doing, "the machine has power")),
            false => Ok(()),
        }
    }

    fn keep(&mut self, image: Image) -> StateId {
        let id = StateId(self.next);
        self.next += 1;
        self.kept.insert(id, image);
        id
    }

    fn state(&self, id: StateId) -> Result<&Image, ChannelError> {
        self.kept.get(&id).ok_or_else(|| ChannelError::new(ErrorKind::Refused, format!("use crash state {}, which was forgotten", id.0)))
    }
}

impl CrashSpace for QemuCrash {
    fn save(&mut self, _: &Wait) -> Result<StateId, ChannelError> {
        self.without_power("keep the flash")?;
        let image = self.log.flash()?;
        Ok(self.keep(image))
    }

    fn load(&mut self, state: StateId, _: &Wait) -> Result<(), ChannelError> {
        self.without_power("replace the flash")?;
        let image = self.state(state)?.clone();
        self.log.replace(&image)
    }

    fn digest(&self, state: StateId) -> u128 {
        self.kept.get(&state).map_or(0, Image::digest)
    }

    fn read(&self, state: StateId, offset: u32, into: &mut [u8]) -> Result<(), ChannelError> {
        let image = self.state(state)?;
        match image.copy_to(u64::from(offset), into) {
            true => Ok(()),
            false => Err(ChannelError::new(ErrorKind::Refused, format!("read {} bytes of the kept flash at {offset:#x}", into.len()))),
        }
    }

    /// With the machine running, it must not be writing its flash now.
    fn record(&mut self) -> Result<(), ChannelError> {
        let mut process = self.process.borrow_mut();
        let running = process.alive();
        // A machine that starts during a recording must not begin its log anew: what is written down before it counts.
        let from = if running { self.log.header()? } else { Header::default() };
        let stop_at = self.armed.and_then(|(at, _)| from.ops.checked_add(at)?.checked_add(1)).unwrap_or(0);
        self.log.begin(Header { stop_at, ..from })?;
        process.keep_log = true;
        if stop_at > 0 {
            process.cut_when_stopped();
        }
        drop(process);
        self.recording = Some((self.log.flash()?, from));
        Ok(())
    }

    fn stop(&mut self) -> Result<Vec<OpSummary>, ChannelError> {
        let doing = "end a recording";
        let Some((base, from)) = self.recording.take() else {
            return Err(ChannelError::new(ErrorKind::Refused, format!("{doing} that was not begun")));
        };
        self.process.borrow_mut().keep_log = false;
        self.without_power(doing)?;
        let header = self.log.header()?;
        let ops = self.log.ops(from, header)?;
        if let (true, Some((_, tear)), Some(op)) = (header.stopped, self.armed, ops.last()) {
            // The driver stopped before the operation; what a torn one leaves is done to the flash from outside.
            let mut image = self.log.flash()?;
            tear::apply(&mut image, op, tear);
            self.log.replace(&image)?;
        }
        self.armed = None;
        self.base = Some(base);
        self.ops = ops;
        Ok(self.ops.iter().map(Op::summary).collect())
    }

    fn rebuild(&mut self, torn: bool, visit: &mut CrashVisitor<'_>) -> Result<Vec<(u32, Tear, StateId)>, ChannelError> {
        let Some(mut image) = self.base.clone() else {
            return Err(ChannelError::new(ErrorKind::Refused, "rebuild the flash without a recording"));
        };
        let ops = std::mem::take(&mut self.ops);
        let mut kept = Vec::new();
        let mut at = 0;
        for op in &ops {
            if visit(at, Tear::Before, image.digest()) {
                kept.push((at, Tear::Before, self.keep(image.clone())));
            }
            for tear in tear::of(op).into_iter().filter(|_| torn) {
                let mut left = image.clone();
                tear::apply(&mut left, op, tear);
                if visit(at, tear, left.digest()) {
                    kept.push((at, tear, self.keep(left)));
                }
            }
            op.apply(&mut image);
            at += 1;
        }
        if visit(at, Tear::Before, image.digest()) {
            kept.push((at, Tear::Before, self.keep(image)));
        }
        self.ops = ops;
        Ok(kept)
    }

    fn forget_except(&mut self, keep: &[StateId]) {
        let keep: BTreeSet<_> = keep.iter().collect();
        self.kept.retain(|id, _| keep.contains(id));
    }

    fn medium(&self) -> String {
        "nor (log of the firmware's flash driver)".to_owned()
    }

    fn arm_cut(&mut self, at: u32, tear: Tear) -> Result<(), ChannelError> {
        self.armed = Some((at, tear));
        Ok(())
    }
}
