//! What went over the lab's sockets, as a capture: streams and datagrams of both directions, and the keys of the sessions that the lab's services hold.
//!
//! Keys are those of connections that the device opens: what it says to its services is what a check judges. Calls of the bench stay sealed: they carry the
//! owner's credentials.

use super::ground::Ticks;
use super::places::lock;
use super::wired::Tape;
use crate::capture::{Capture, CaptureSetup, Side};
use rustls::KeyLog;
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;
use tokio::net::TcpStream;

/// Most bytes of a capture.
const MOST: u64 = 4 << 20;

/// The capture of the time since the last one was taken.
pub(super) struct Wiretap {
    ticks: Ticks,
    unix: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    name: String,
    current: Mutex<Option<(Capture, Kept)>>,
}

/// A file in memory.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(part);
        Ok(part.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Wiretap {
    pub(super) fn new(ticks: Ticks, unix: Arc<dyn Fn() -> SystemTime + Send + Sync>, name: String) -> Self {
        Self { ticks, unix, name, current: Mutex::default() }
    }

    /// The capture that is under way, or a new one.
    fn capture(&self) -> Option<Capture> {
        let mut current = lock(&self.current);
        if current.is_none() {
            let past = std::time::Duration::from_nanos((self.ticks.now)().0);
            let origin = (self.unix)().checked_sub(past).unwrap_or(SystemTime::UNIX_EPOCH);
            let kept = Kept::default();
            // It cannot fail: memory takes all, and the bound is large enough.
            let capture = Capture::create(kept.clone(), CaptureSetup { origin, most: MOST, name: self.name.clone() }).ok()?;
            *current = Some((capture, kept));
        }
        current.as_ref().map(|(capture, _)| capture.clone())
    }

    /// Where a connection is written down of which the lab is this side.
    pub(super) fn tape(&self, tcp: &TcpStream, own: Side) -> Option<Tape> {
        let (here, there) = (tcp.local_addr().ok()?, tcp.peer_addr().ok()?);
        let (client, server) = if own == Side::Client { (here, there) } else { (there, here) };
        let flow = self.capture()?.tcp(client, server, (self.ticks.now)());
        Some(Tape { flow, own, ticks: self.ticks.clone() })
    }

    pub(super) fn datagram(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        if let Some(capture) = self.capture() {
            capture.udp(from, to, bytes, (self.ticks.now)(), None);
        }
    }

    /// The file, if anything was written into it; the next one begins.
    pub(super) fn take(&self) -> Option<Vec<u8>> {
        let (capture, kept) = lock(&self.current).take()?;
        let summary = capture.finish().ok()?;
        (summary.packets > 0).then(|| std::mem::take(&mut *lock(&kept.0)))
    }
}

impl fmt::Debug for Wiretap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wiretap").field("name", &self.name).finish_non_exhaustive()
    }
}

impl KeyLog for Wiretap {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        if let Some(capture) = self.capture() {
            capture.keys(&format!("{label} {} {}\n", hex(client_random), hex(secret)));
        }
    }
}
