//! Opens a debug probe behind the worker process.

use proofbench_channel::ChannelError;
use proofbench_channel::debug::DebugPort;
use proofbench_drivers::TimeBase;
use proofbench_drivers::debug::worker::WorkerProbe;

/// A probe by its selector. The worker's program is found by the driver.
pub(crate) fn open(selector: &str, time: TimeBase) -> Result<Box<dyn DebugPort>, ChannelError> {
    Ok(Box::new(WorkerProbe::new(selector, None, time)?))
}
