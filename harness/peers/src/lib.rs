//! What the lab offers to the device: services that behave, and misbehave when they are told to, all on one timeline.
//!
//! The device is the adversary here too: whatever it sends is bounded in size, number and time, and a request that cannot be read is an entry of the
//! timeline and never a panic. A peer judges nothing; it does what it was told and says what it saw.

pub mod capture;
pub mod dns;
pub mod http;
pub mod mqtt;
pub mod ntp;
pub mod ports;
pub mod proxy;
pub mod timeline;
pub mod tls;

pub use timeline::{Seen, Timeline};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Where peers run and where they say what they see.
#[derive(Debug, Clone)]
pub struct Lab {
    /// The one runtime of services.
    pub runtime: Handle,
    /// The bench's timeline.
    pub timeline: Timeline,
}

/// A task that ends with its owner, wherever it stands.
#[derive(Debug)]
pub(crate) struct Service(JoinHandle<()>);

impl Service {
    pub(crate) fn start(lab: &Lab, work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(lab.runtime.spawn(work))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.0.abort();
    }
}
