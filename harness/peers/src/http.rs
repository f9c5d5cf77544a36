//! The update server: what a device fetches manifests and images from, plain or over TLS, and what it posts to.
//!
//! One request a connection, as the answer says: how a connection ends is then what became of its answer. Requests are read by hyper, for they are an
//! adversary's; answers are written by hand, for hyper would not lie about a length. Without a `Date`, since the lab's time may be false.
//!
//! Run against: curl 7.88.1, Python 3.11 urllib.

mod answer;
mod connection;
mod page;

pub use page::{Conduct, Content, End, Page, Ranges};

use crate::{Lab, Service, Timeline};
use rustls::ServerConfig;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

/// Bytes that the kernel keeps for a device that does not take them; it may double them.
const SEND_BUFFER: u32 = 64 * 1024;
/// Connections that wait to be taken.
const BACKLOG: u32 = 128;

/// What the server is and where.
#[derive(Clone)]
pub struct HttpSetup {
    /// Name on the timeline.
    pub name: Arc<str>,
    /// Where to listen; port 0 is any.
    pub listen: SocketAddr,
    /// TLS, with the certificate to show; `None` is plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// Longest request body that is taken; a longer one is answered 413.
    pub body_most: usize,
}

impl fmt::Debug for HttpSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSetup").field("name", &self.name).field("listen", &self.listen).field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be listened on.
    #[error("listen for HTTP at {at}")]
    Listen {
        /// The address.
        at: SocketAddr,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
}

/// A running server. Dropping it ends it and every connection.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    _listening: Service,
}

impl HttpServer {
    /// Listens. No path is there at first: every request is answered 404, and seen.
    pub fn start(lab: &Lab, setup: HttpSetup) -> Result<Self, HttpError> {
        let failed = |source| HttpError::Listen { at: setup.listen, source };
        let (listener, address) = listen(lab, setup.listen).map_err(failed)?;
        let shared = Arc::new(Shared { timeline: lab.timeline.clone(), setup, slots: Mutex::default() });
        let listening = Service::start(lab, connection::listen(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, _listening: listening })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts a page up at a path (`/image.bin`, without a query), in the place of the one that is there. Answers under way go on as they began; the count
    /// of [`Conduct::Swap`] begins anew.
    pub fn put(&self, path: &str, page: Page) {
        let mut slots = self.shared.slots();
        match slots.get_mut(path) {
            Some(slot) => (slot.page, slot.answered) = (page, 0),
            None => drop(slots.insert(path.to_owned(), Slot { page, answered: 0, released: watch::Sender::new(()) })),
        }
    }

    /// Takes a page down. `false`: none was there. Its stalled answers stay stalled until their connections end.
    pub fn remove(&self, path: &str) -> bool {
        self.shared.slots().remove(path).is_some()
    }

    /// Lets the answers go on that stall at this path, or are on the way to it. How many there were.
    pub fn release(&self, path: &str) -> usize {
        let slots = self.shared.slots();
        let Some(slot) = slots.get(path) else { return 0 };
        let waiting = slot.released.receiver_count();
        slot.released.send_replace(());
        waiting
    }
}

fn listen(lab: &Lab, at: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let _inside = lab.runtime.enter();
    let socket = if at.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // What a device took is known to within this buffer.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(at)?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// What the handle and the connections share.
#[derive(Debug)]
struct Shared {
    timeline: Timeline,
    setup: HttpSetup,
    slots: Mutex<BTreeMap<String, Slot>>,
}

/// A path that is there.
#[derive(Debug)]
struct Slot {
    page: Page,
    /// Answers to GET that were begun since the page is up.
    answered: u32,
    released: watch::Sender<()>,
}

impl Shared {
    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
