//! Connections that are up, and those that only have their last words to say.

use super::stream::{Broken, Look, Stream};
use proofbench_emulator::World;
use proofbench_emulator::net::{CONNS_MOST, FROM_OUTSIDE, NetIn};
use rustix::event::PollFd;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Pieces that may wait for firmware before nothing more is read.
pub const WAITS_MOST: u64 = 64;
/// Bytes of a piece: a segment on Ethernet.
const PIECE: usize = 1460;
/// Device time within which firmware takes a new connection, if it does.
const TAKEN_NS: u64 = 1_000_000_000;
/// How long the other side may take to end what the device has ended.
const LINGER: Duration = Duration::from_secs(5);
/// Within this time the other side answers, if it has anything to say.
const ANSWERS: Duration = Duration::from_millis(50);

struct Up {
    stream: Stream,
    /// Device time at which it came up.
    since: u64,
    /// Whether firmware has been seen to have it.
    known: bool,
    /// Firmware is told that the other side has ended it.
    ended: bool,
    /// When bytes went out to which nothing has come back.
    sent: Option<Instant>,
}

/// The connections.
#[derive(Default)]
pub struct Conns {
    up: BTreeMap<u64, Up>,
    closing: VecDeque<(Stream, Instant)>,
    /// The cable is out: not even a reset gets through.
    pulled: bool,
    /// Gone on the device's side only.
    limbo: Vec<Stream>,
    /// Who is served first next time, so that nobody has to wait for ever behind others.
    first: u64,
}

impl Conns {
    /// The cable is out, or in again.
    pub fn pull(&mut self, pulled: bool) {
        self.pulled = pulled;
        if !pulled {
            self.limbo.clear();
        }
    }

    /// Ends it by a reset, when that gets through.
    fn reset(&mut self, stream: Stream) {
        if self.pulled && self.limbo.len() < CONNS_MOST {
            self.limbo.push(stream);
        }
    }

    /// How many are up.
    pub fn len(&self) -> usize {
        self.up.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.up.is_empty()
    }

    /// Takes a connection that is up, and hands over what has come on it already.
    pub fn insert(&mut self, world: &mut World, conn: u64, stream: Stream, early: &[u8]) {
        let known = conn & FROM_OUTSIDE == 0;
        self.up.insert(conn, Up { stream, since: world.now(), known, ended: false, sent: None });
        hand_over(world, conn, early);
    }

    /// Sends bytes of the device. What the other side does not take is too much at some time: then the connection is gone.
    pub fn send(&mut self, world: &mut World, conn: u64, bytes: &[u8]) {
        let Some(up) = self.up.get_mut(&conn) else { return };
        up.sent = Some(Instant::now());
        if !up.stream.send(bytes) {
            if let Some(up) = self.up.remove(&conn) {
                self.reset(up.stream);
            }
            world.net_in(NetIn::Ended(conn));
        }
    }

    /// The device ends one.
    pub fn end(&mut self, conn: u64, reset: bool) {
        match self.up.remove(&conn) {
            Some(up) if reset => self.reset(up.stream),
            Some(up) => self.close(up.stream),
            None => {}
        }
    }

    /// Lets a connection say its last words.
    pub fn close(&mut self, mut stream: Stream) {
        stream.end();
        if self.closing.len() >= CONNS_MOST {
            self.closing.pop_front();
        }
        self.closing.push_back((stream, Instant::now()));
    }

    /// The device has forgotten all of them.
    pub fn forget(&mut self) {
        self.up.clear();
        self.closing.clear();
    }

    /// Ends what firmware has let go of or never took, and sends what waits.
    pub fn turn(&mut self, world: &mut World) {
        let (idle, now) = (world.net_waits() == 0, world.now());
        let mut gone = Vec::new();
        for (conn, up) in &mut self.up {
            let knows = world.knows(*conn);
            up.known |= knows;
            let over = if up.ended { true } else { !up.known && now > up.since.saturating_add(TAKEN_NS) };
            if idle && !knows && over {
                gone.push((*conn, !up.ended));
            }
        }
        for (conn, reset) in gone {
            self.end(conn, reset);
        }
        self.write(world);
    }

    fn write(&mut self, world: &mut World) {
        self.up.retain(|conn, up| {
            let goes = up.stream.write();
            if !goes && !up.ended {
                world.net_in(NetIn::Ended(*conn));
            }
            goes
        });
        self.closing.retain_mut(|(stream, _)| stream.write());
    }

    /// Moves bytes both ways. Says whether any came.
    pub fn serve(&mut self, world: &mut World) -> bool {
        self.write(world);
        let mut heard = false;
        let mut broken = Vec::new();
        let mut turns: Vec<u64> = self.up.keys().copied().collect();
        let behind = turns.partition_point(|conn| *conn < self.first);
        turns.rotate_left(behind);
        for conn in &turns {
            if world.net_waits() >= WAITS_MOST {
                self.first = *conn;
                break;
            }
            let Some(up) = self.up.get_mut(conn) else { continue };
            let mut bytes = Vec::new();
            let look = up.stream.read(&mut bytes);
            hand_over(world, *conn, &bytes);
            if !bytes.is_empty() {
                (heard, up.sent) = (true, None);
            }
            if look != Look::Goes && !up.ended {
                (heard, up.sent, up.ended) = (true, None, true);
                world.net_in(NetIn::Ended(*conn));
            }
            if let Look::Broken(how) = look {
                broken.push((*conn, how));
            }
        }
        for (conn, how) in broken {
            let Some(up) = self.up.remove(&conn) else { continue };
            if how != Broken::Socket {
                self.close(up.stream);
            }
        }
        self.closing.retain_mut(|(stream, since)| since.elapsed() < LINGER && stream.write() && (!stream.has_said_all() || stream.drain()));
        heard
    }

    /// What to poll; reading only if firmware has room.
    pub fn poll_fds<'a>(&'a self, takes: bool, fds: &mut Vec<PollFd<'a>>) {
        fds.extend(self.up.values().filter_map(|up| up.stream.poll_fd(takes)));
        fds.extend(self.closing.iter().map(|(stream, _)| stream.last_fd()));
    }

    /// Whether an answer is expected soon.
    pub fn owed(&self, crowd: u32) -> bool {
        self.up.values().any(|up| up.sent.is_some_and(|at| at.elapsed() < ANSWERS * crowd))
    }
}

fn hand_over(world: &mut World, conn: u64, bytes: &[u8]) {
    for piece in bytes.chunks(PIECE) {
        world.net_in(NetIn::Data(conn, piece.to_vec()));
    }
}
