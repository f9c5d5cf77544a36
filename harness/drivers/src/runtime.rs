//! The one runtime on which everything runs that must listen all the time. One thread serves all ports.

use proofbench_channel::{ChannelError, ErrorKind};
use std::sync::OnceLock;
use tokio::runtime::{Builder, Handle, Runtime};

static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();

/// The runtime's handle; it is started by the first driver that needs it.
pub(crate) fn handle() -> Result<&'static Handle, ChannelError> {
    let started = RUNTIME
        .get_or_init(|| Builder::new_multi_thread().worker_threads(1).thread_name("proofbench-io").enable_all().build().map_err(|e| e.to_string()));
    match started {
        Ok(runtime) => Ok(runtime.handle()),
        Err(why) => Err(ChannelError::caused(ErrorKind::Driver, "start the I/O thread", why.clone())),
    }
}
