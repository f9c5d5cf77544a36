//! Storage contents that a campaign goes back to: a state of the crash space, or a dump that the flash reader writes back.

use proofbench_channel::StateId;
use proofbench_runner::{Bench, Capability, Permission, Trouble};
use std::rc::Rc;
use std::time::Duration;

/// A content of the whole storage.
#[derive(Debug, Clone)]
pub enum Content {
    /// Kept by the crash space.
    State(StateId),
    /// Read out through the flash reader.
    Dump(Rc<[u8]>),
}

const LONG: Duration = Duration::from_secs(600);

impl Content {
    /// Keeps the content of the device, which has no power.
    pub fn keep(bench: &mut Bench) -> Result<Content, Trouble> {
        let wait = bench.wait(LONG);
        if bench.has(Capability::CrashSpace) {
            return Ok(Content::State(bench.crash()?.save(&wait)?));
        }
        bench.require(Permission::FlashWrite)?;
        let storage = bench.storage()?;
        let len = usize::try_from(storage.len()).map_err(|_| Trouble::RigFault("medium larger than memory".to_owned()))?;
        let mut bytes = vec![0; len];
        storage.read(0, &mut bytes, &wait)?;
        Ok(Content::Dump(bytes.into()))
    }

    /// Takes the device's power, if it has any, and makes this its content again.
    pub fn put(&self, bench: &mut Bench) -> Result<(), Trouble> {
        bench.power_off()?;
        let wait = bench.wait(LONG);
        match self {
            Content::State(state) => bench.crash()?.load(*state, &wait)?,
            Content::Dump(bytes) => {
                bench.require(Permission::FlashWrite)?;
                bench.storage()?.write(0, bytes, &wait)?;
            }
        }
        Ok(())
    }

    /// Some of its bytes.
    pub fn read(&self, bench: &mut Bench, offset: u64, into: &mut [u8]) -> Result<(), Trouble> {
        let beyond = || Trouble::IxitAmbiguous("[bind.regions] a slot lies beyond the medium".to_owned());
        match self {
            Content::State(state) => {
                let offset = u32::try_from(offset).map_err(|_| beyond())?;
                Ok(bench.crash()?.read(*state, offset, into)?)
            }
            Content::Dump(bytes) => {
                let from = usize::try_from(offset).map_err(|_| beyond())?;
                let part = bytes.get(from..from.saturating_add(into.len())).ok_or_else(beyond)?;
                into.copy_from_slice(part);
                Ok(())
            }
        }
    }

    /// The state of the crash space, for a closure.
    pub fn state(&self) -> Result<StateId, Trouble> {
        match self {
            Content::State(state) => Ok(*state),
            Content::Dump(_) => Err(Trouble::Capability(Capability::CrashSpace)),
        }
    }
}
