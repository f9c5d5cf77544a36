//! What several tests need.

use proofbench_channel::{ChannelError, Console, ConsoleRead, ErrorKind, Wait};
use proofbench_drivers::TimeBase;
use std::path::PathBuf;

/// The console of a device that is a file: what is appended to it, it says.
pub struct FileConsole {
    path: PathBuf,
    at: usize,
    time: TimeBase,
}

impl FileConsole {
    pub fn new(path: PathBuf, time: TimeBase) -> Self {
        Self { path, at: 0, time }
    }
}

impl Console for FileConsole {
    fn read(&mut self, into: &mut Vec<u8>, wait: &Wait) -> Result<ConsoleRead, ChannelError> {
        loop {
            let all = std::fs::read(&self.path).unwrap();
            if all.len() > self.at {
                into.extend_from_slice(&all[self.at..]);
                self.at = all.len();
                return Ok(ConsoleRead::Bytes(self.time.now()));
            }
            match wait.check(self.time.now(), "read") {
                Ok(()) => std::thread::yield_now(),
                Err(e) if e.kind == ErrorKind::Timeout => return Ok(ConsoleRead::Silence),
                Err(e) => return Err(e),
            }
        }
    }
    fn write(&mut self, _: &[u8], _: &Wait) -> Result<(), ChannelError> {
        Ok(())
    }
    fn send_break(&mut self, _: &Wait) -> Result<(), ChannelError> {
        Ok(())
    }
    fn describe(&self) -> String {
        "file".to_owned()
    }
}
