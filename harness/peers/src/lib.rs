//! What the lab offers to the device: services that behave, and misbehave when they are told to, all on one timeline.
//!
//! The device is the adversary here too: whatever it sends is bounded in size, number and time, and a request that cannot be read is an entry of the
//! timeline and never a panic. A peer judges nothing; it does what it was told and says what it saw.

pub mod capture;
pub mod dns;
pub mod http;
pub mod lab;
pub mod mqtt;
pub mod ntp;
pub mod ports;
pub mod proxy;
pub mod timeline;
pub mod tls;

pub use timeline::{Seen, Timeline};

use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};

/// How long to wait after a connection could not be taken: the process is out of handles, or the connection ended before. Neither is helped by haste.
const AGAIN: Duration = Duration::from_millis(50);

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

/// Takes connections until it is dropped, and all of them with it. While `most` are served, the next one waits.
pub(crate) async fn accept<F>(listener: TcpListener, most: usize, mut serve: impl FnMut(TcpStream, SocketAddr) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= most {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, from)) => drop(connections.spawn(serve(stream, from))),
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
        while connections.try_join_next().is_some() {}
    }
}
