//! The TCP connect scan: many attempts at once, on the calling thread.

use super::Icmp;
use super::socket::{self, Attempt};
use crate::Lab;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit};
use proofbench_channel::{ChannelError, ErrorKind, Wait};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long the scan sleeps at most before it looks at its wait.
const SLICE: Duration = Duration::from_millis(20);
/// Attempts begun between two looks at the wait and at what came back.
const BURST: usize = 256;
/// Descriptors that are left to the rest of the process.
const RESERVE: u64 = 32;
/// How often a port is asked again whose connection met itself.
const ITSELF_MOST: u8 = 16;
/// How long a scan waits for descriptors that others in this process hold.
const DESCRIPTORS: Duration = Duration::from_secs(1);

/// What to scan, and how.
#[derive(Debug, Clone)]
pub struct ScanSetup {
    /// The device.
    pub address: IpAddr,
    /// Index of the interface, for link-local addresses of IPv6; else 0.
    pub scope: u32,
    /// The ports. Repeated ones are asked once. Port 0 is failed: no connection can be asked of it.
    pub ports: Vec<u16>,
    /// Most attempts under way at once; the process's limit of descriptors bounds it too. 0 counts as 1.
    pub at_once: usize,
    /// How long an attempt waits for an answer; a port that was silent is asked once more.
    pub patience: Duration,
    /// A port that must be open.
    pub open: Option<u16>,
    /// A port that must be closed.
    pub closed: Option<u16>,
}

impl ScanSetup {
    /// All 65 535 ports, 1 000 at once, one second each, no controls.
    pub fn all(address: IpAddr) -> Self {
        Self { address, scope: 0, ports: (1..=u16::MAX).collect(), at_once: 1_000, patience: Duration::from_secs(1), open: None, closed: None }
    }

    fn to(&self, port: u16) -> SocketAddr {
        match self.address {
            IpAddr::V4(a) => (a, port).into(),
            IpAddr::V6(a) => SocketAddrV6::new(a, port, 0, self.scope).into(),
        }
    }
}

/// What a port did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// A connection was made.
    Open,
    /// Refused by a RST.
    Closed,
    /// An ICMP error came back.
    Unreachable(Icmp),
    /// Nothing came back, asked twice: open, filtered or lost, nobody knows.
    Silent,
    /// This machine could not ask, and why. Says nothing about the device.
    Failed(String),
}

/// Whether a control held. It is asked before the scan and after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// The caller named none.
    NotAsked,
    /// As it must be, both times.
    Held,
    /// Not as it must be.
    Broken {
        /// The port.
        port: u16,
        /// Its state before the scan.
        before: State,
        /// Its state after the scan.
        after: State,
    },
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Every port that was asked, in order.
    pub ports: BTreeMap<u16, State>,
    /// Whether the port that must be open was. If not, closed and silent ports prove nothing.
    pub open: Control,
    /// Whether the port that must be closed was. If not, open ports prove nothing: something in between accepts for the device.
    pub closed: Control,
}

impl Scan {
    /// The ports that are open.
    pub fn open_ports(&self) -> Vec<u16> {
        self.ports.iter().filter(|(_, s)| **s == State::Open).map(|(p, _)| *p).collect()
    }
}

/// Scans. Connections that are made are closed at once, without a byte sent. `Timeout` or `Cancelled` if `wait` ends first; then nothing is known of any
/// port, and no attempt is left under way. `Driver` if this machine cannot poll.
pub fn scan(lab: &Lab, setup: &ScanSetup, wait: &Wait) -> Result<Scan, ChannelError> {
    let controls: Vec<u16> = setup.open.into_iter().chain(setup.closed).collect();
    let before = Round::run(lab, setup, &controls, wait)?;
    let ports = Round::run(lab, setup, &setup.ports, wait)?;
    let after = Round::run(lab, setup, &controls, wait)?;
    let control = |port: Option<u16>, wanted: State| {
        let Some(port) = port else { return Control::NotAsked };
        let of = |round: &BTreeMap<u16, State>| round.get(&port).cloned().unwrap_or_else(|| State::Failed("was not asked".to_owned()));
        let (before, after) = (of(&before), of(&after));
        if before == wanted && after == wanted { Control::Held } else { Control::Broken { port, before, after } }
    };
    let (open, closed) = (control(setup.open, State::Open), control(setup.closed, State::Closed));
    Ok(Scan { ports, open, closed })
}

/// A port that is to be asked.
#[derive(Debug, Clone, Copy)]
struct Ask {
    port: u16,
    /// Whether it was silent before.
    again: bool,
    /// How often its connection met itself.
    itself: u8,
}

/// An attempt under way.
struct Pending {
    ask: Ask,
    fd: OwnedFd,
    due: Instant,
}

struct Round<'a> {
    setup: &'a ScanSetup,
    poll: Epoll,
    waiting: HashMap<u16, Pending>,
    /// Deadlines in their order; those of attempts that have ended are passed over.
    due: VecDeque<(Instant, u16)>,
    todo: VecDeque<Ask>,
    states: BTreeMap<u16, State>,
    at_once: usize,
    /// One that was refused at once, for the next port: most ports are closed.
    spare: Option<OwnedFd>,
    /// Since when there has been no descriptor for anything.
    starved: Option<Instant>,
}

impl<'a> Round<'a> {
    fn run(lab: &Lab, setup: &'a ScanSetup, ports: &[u16], wait: &Wait) -> Result<BTreeMap<u16, State>, ChannelError> {
        let doing = "scan TCP ports";
        let poll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|e| ChannelError::caused(ErrorKind::Driver, doing, e))?;
        let mut todo: Vec<u16> = ports.to_vec();
        todo.sort_unstable();
        todo.dedup();
        let todo = todo.into_iter().map(|port| Ask { port, again: false, itself: 0 }).collect();
        let at_once = setup.at_once.clamp(1, room());
        let (waiting, due, states) = (HashMap::new(), VecDeque::new(), BTreeMap::new());
        let mut round = Round { setup, poll, waiting, due, todo, states, at_once, spare: None, starved: None };
        while !(round.todo.is_empty() && round.waiting.is_empty()) {
            wait.check(lab.timeline.now(), doing)?;
            round.begin();
            round.collect().map_err(|e| ChannelError::caused(ErrorKind::Driver, doing, e))?;
            round.give_up();
        }
        Ok(round.states)
    }

    /// Begins as many attempts as there is room for, in one burst.
    fn begin(&mut self) {
        for _ in 0..BURST {
            if self.waiting.len() >= self.at_once {
                return;
            }
            let Some(ask) = self.todo.pop_front() else { return };
            let to = self.setup.to(ask.port);
            if ask.port == 0 {
                self.states.insert(0, State::Failed("port 0 cannot be asked".to_owned()));
                continue;
            }
            let socket = self.spare.take().map_or_else(|| socket::open(&to), Ok);
            match socket {
                Ok(fd) => {
                    self.starved = None;
                    match socket::begin(&fd, to) {
                        Attempt::Closed => {
                            self.states.insert(ask.port, State::Closed);
                            self.spare = Some(fd);
                        }
                        attempt => self.settle(ask, attempt, fd),
                    }
                }
                // Attempts that end give descriptors back; those of others may come back too.
                Err(Errno::EMFILE | Errno::ENFILE) if self.can_wait() => {
                    self.todo.push_front(ask);
                    return;
                }
                Err(e) => self.failed(ask, e),
            }
        }
    }

    /// Whether it is worth waiting for a descriptor.
    fn can_wait(&mut self) -> bool {
        let since = *self.starved.get_or_insert_with(Instant::now);
        !self.waiting.is_empty() || since.elapsed() < DESCRIPTORS
    }

    fn settle(&mut self, ask: Ask, attempt: Attempt, fd: OwnedFd) {
        match attempt {
            Attempt::Open => drop(self.states.insert(ask.port, State::Open)),
            Attempt::Closed => drop(self.states.insert(ask.port, State::Closed)),
            Attempt::Unreachable(icmp) => drop(self.states.insert(ask.port, State::Unreachable(icmp))),
            Attempt::Silent => self.silent(ask),
            Attempt::Itself if ask.itself < ITSELF_MOST => self.todo.push_back(Ask { itself: ask.itself + 1, ..ask }),
            Attempt::Itself => drop(self.states.insert(ask.port, State::Failed("every connection met itself".to_owned()))),
            Attempt::Failed(e) => self.failed(ask, e),
            Attempt::Pending => {
                let flags = EpollFlags::EPOLLOUT | EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP;
                if let Err(e) = self.poll.add(&fd, EpollEvent::new(flags, u64::from(ask.port))) {
                    return self.failed(ask, e);
                }
                let due = Instant::now() + self.setup.patience;
                self.due.push_back((due, ask.port));
                self.waiting.insert(ask.port, Pending { ask, fd, due });
            }
        }
    }

    fn failed(&mut self, ask: Ask, e: Errno) {
        self.states.insert(ask.port, State::Failed(e.desc().to_owned()));
    }

    fn silent(&mut self, ask: Ask) {
        if ask.again {
            self.states.insert(ask.port, State::Silent);
        } else {
            self.todo.push_back(Ask { again: true, ..ask });
        }
    }

    /// Takes what came back. Sleeps only if there is nothing to begin.
    fn collect(&mut self) -> Result<(), Errno> {
        let busy = !self.todo.is_empty() && self.waiting.len() < self.at_once && self.starved.is_none();
        if self.waiting.is_empty() && busy {
            return Ok(());
        }
        let nearest = self.due.front().map_or(SLICE, |(due, _)| due.saturating_duration_since(Instant::now()));
        let sleep = if busy { Duration::ZERO } else { nearest.clamp(Duration::from_millis(1), SLICE) };
        let mut events = [EpollEvent::empty(); BURST];
        let timeout = EpollTimeout::try_from(sleep).unwrap_or(EpollTimeout::ZERO);
        let came = match self.poll.wait(&mut events, timeout) {
            Err(Errno::EINTR) => 0,
            other => other?,
        };
        for event in events.iter().take(came) {
            let Ok(port) = u16::try_from(event.data()) else { continue };
            let Some(pending) = self.waiting.remove(&port) else { continue };
            match socket::look(&pending.fd) {
                // Woken without news: goes on waiting until the same deadline.
                Attempt::Pending => drop(self.waiting.insert(port, pending)),
                attempt => self.settle(pending.ask, attempt, pending.fd),
            }
        }
        Ok(())
    }

    /// Ends the attempts whose time is up.
    fn give_up(&mut self) {
        let now = Instant::now();
        while self.due.front().is_some_and(|(due, _)| *due <= now) {
            let Some((due, port)) = self.due.pop_front() else { return };
            if self.waiting.get(&port).is_none_or(|p| p.due != due) {
                continue;
            }
            let Some(Pending { ask, fd, .. }) = self.waiting.remove(&port) else { continue };
            // A last look: the answer may have come while this thread was held up.
            match socket::look(&fd) {
                Attempt::Pending => self.silent(ask),
                attempt => self.settle(ask, attempt, fd),
            }
        }
    }
}

/// Attempts that the process's limit of descriptors leaves room for.
fn room() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1_024, |(soft, _)| soft);
    let used = std::fs::read_dir("/proc/self/fd").map_or(0, |d| d.count() as u64);
    usize::try_from(limit.saturating_sub(used + RESERVE)).unwrap_or(usize::MAX).max(1)
}
