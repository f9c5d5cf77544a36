//! The emulated device as a process of its own (`proofbench-board`): killing it is the power cut.

use crate::{Channels, TimeBase};
use proofbench_channel::{ChannelError, ErrorKind, Fixture, Power, Reset};
use std::path::{Path, PathBuf};

/// How to run the board process.
#[derive(Debug, Clone)]
pub struct BoardSetup {
    /// Folder for its ports and its flash; `None` makes a temporary one, removed when the last channel is dropped.
    pub dir: Option<PathBuf>,
    /// The program; `None` looks at `PROOFBENCH_BOARD`, then beside the running executable and in the folder above.
    pub program: Option<PathBuf>,
    /// Unit number.
    pub unit: u32,
    /// Chance.
    pub seed: u64,
    /// Device seconds a real second.
    pub speed: f64,
    /// Delivered image, a file.
    pub image: PathBuf,
    /// Names of built-in defects and twins.
    pub defects: Vec<String>,
}

/// A board that can be switched on. Nothing runs until [`Power::set`]; clones share the process.
#[derive(Debug, Clone)]
pub struct Board {
    dir: PathBuf,
    time: TimeBase,
}

impl Board {
    /// Prepares the folder and checks that the program is there. Does not start it.
    pub fn prepare(setup: &BoardSetup) -> Result<Self, ChannelError> {
        Err(ChannelError::new(ErrorKind::Unsupported, format!("prepare board unit {}", setup.unit)))
    }
    /// The folder: `console`, `update`, `flash.bin` lie in it (`{board}` of a rig file).
    pub fn dir(&self) -> &Path {
        &self.dir
    }
    /// TCP port of its debug probe on 127.0.0.1, the same over power cycles (`{board.debug}` of a rig file).
    pub fn debug_port(&self) -> u16 {
        0
    }
    /// The time line that all drivers of this rig share: device time.
    pub fn time(&self) -> TimeBase {
        self.time
    }
    /// Its supply.
    pub fn power(&self) -> Result<Box<dyn Power>, ChannelError> {
        Err(ChannelError::new(ErrorKind::Unsupported, "open the board's supply"))
    }
    /// Its reset line.
    pub fn reset(&self) -> Result<Box<dyn Reset>, ChannelError> {
        Err(ChannelError::new(ErrorKind::Unsupported, "open the board's reset line"))
    }
    /// Its button and LED.
    pub fn fixture(&self) -> Result<Box<dyn Fixture>, ChannelError> {
        Err(ChannelError::new(ErrorKind::Unsupported, "open the board's fixture"))
    }
    /// Every channel of the board with the drivers that `rigs/board.toml` names, but for the debug port, which the worker serves.
    pub fn channels(&self) -> Result<Channels, ChannelError> {
        Err(ChannelError::new(ErrorKind::Unsupported, "open the board's channels"))
    }
}
