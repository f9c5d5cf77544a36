//! The space of crash states: contents kept, operations recorded, every cut rebuilt from the record.

use super::World;
use crate::flash::{FlashImage, Op, rebuild};
use proofbench_channel::{ChannelError, CrashSpace, CrashVisitor, ErrorKind, OpSummary, StateId, Tear, Wait};
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Store {
    kept: BTreeMap<StateId, FlashImage>,
    next: u32,
    base: Option<FlashImage>,
    ops: Vec<Op>,
}

impl Store {
    fn keep(&mut self, image: FlashImage) -> StateId {
        let id = StateId(self.next);
        self.next += 1;
        self.kept.insert(id, image);
        id
    }
    fn get(&self, id: StateId) -> Result<&FlashImage, ChannelError> {
        self.kept.get(&id).ok_or_else(|| ChannelError::new(ErrorKind::Refused, format!("use crash state {}, which was forgotten", id.0)))
    }
}

impl World {
    fn without_power(&self, doing: &str) -> Result<(), ChannelError> {
        if self.powered {
            return Err(ChannelError::new(ErrorKind::Refused, format!("{doing} while the device has power")));
        }
        Ok(())
    }
}

impl CrashSpace for World {
    fn save(&mut self, _wait: &Wait) -> Result<StateId, ChannelError> {
        self.without_power("keep the storage content")?;
        let image = self.flash().clone();
        Ok(self.crash.keep(image))
    }
    fn load(&mut self, state: StateId, _wait: &Wait) -> Result<(), ChannelError> {
        self.without_power("replace the storage content")?;
        let image = self.crash.get(state)?.clone();
        self.set_flash(image);
        self.supply.collapse_if_off(self.now);
        if !self.ram_lost {
            self.forget();
        }
        Ok(())
    }
    fn digest(&self, state: StateId) -> u128 {
        self.crash.kept.get(&state).map_or(0, FlashImage::digest)
    }
    fn read(&self, state: StateId, offset: u32, into: &mut [u8]) -> Result<(), ChannelError> {
        let image = self.crash.get(state)?;
        if u64::from(offset) + into.len() as u64 > u64::from(image.len()) {
            return Err(ChannelError::new(ErrorKind::Refused, format!("read {} bytes of flash at {offset:#x}", into.len())));
        }
        image.copy_to(offset, into);
        Ok(())
    }
    fn record(&mut self) -> Result<(), ChannelError> {
        self.crash.base = Some(self.flash().clone());
        self.hw.lines.recorded = Some(Vec::new());
        Ok(())
    }
    fn stop(&mut self) -> Result<Vec<OpSummary>, ChannelError> {
        let Some(recorded) = self.hw.lines.recorded.take() else {
            return Err(ChannelError::new(ErrorKind::Refused, "end a recording that was not begun"));
        };
        let now = self.now;
        self.crash.ops = recorded.into_iter().filter(|(start, _)| *start < now).map(|(_, op)| op).collect();
        Ok(self.crash.ops.iter().map(Op::summary).collect())
    }
    fn rebuild(&mut self, torn: bool, visit: &mut CrashVisitor<'_>) -> Result<Vec<(u32, Tear, StateId)>, ChannelError> {
        let Some(base) = self.crash.base.clone() else {
            return Err(ChannelError::new(ErrorKind::Refused, "rebuild storage contents without a recording"));
        };
        let (medium, ops) = (self.medium(), std::mem::take(&mut self.crash.ops));
        let mut kept = Vec::new();
        let store = &mut self.crash;
        rebuild(medium, &base, &ops, torn, visit, &mut |at, tear, image| kept.push((at, tear, store.keep(image))));
        self.crash.ops = ops;
        Ok(kept)
    }
    fn forget_except(&mut self, keep: &[StateId]) {
        let keep: std::collections::BTreeSet<_> = keep.iter().collect();
        self.crash.kept.retain(|id, _| keep.contains(id));
    }
    fn medium(&self) -> String {
        World::medium(self).to_string()
    }
    fn arm_cut(&mut self, at: u32, tear: Tear) -> Result<(), ChannelError> {
        self.hw.armed = Some((at, tear));
        Ok(())
    }
}
