//! Which versions and cipher suites a TLS server accepts, found without a TLS library: old libraries are needed to speak old versions, and new ones do not.
//!
//! For each version a hello offers that version alone with a part of all known suites. The suite that the server chooses is struck out and the rest asked
//! for again, until the server chooses none. No handshake is finished; each question is a connection of its own, ended by an alert.
//!
//! | what comes back | reply |
//! | --- | --- |
//! | a ServerHello with the version and a suite that were asked for | accepted |
//! | a ServerHello with others | other |
//! | an alert | alert, by its number |
//! | the end of the connection, or its reset | closed, reset |
//! | nothing within the patience | silent: that is no refusal |
//! | no connection | no connection: that says nothing of TLS |
//! | anything else | garbled |
//!
//! A control comes first and last: a hello with all versions and the usual suites must be answered by a ServerHello. Without it nothing is asked, so that a
//! dead port never "supports nothing"; without the last one the lists may be short.
//!
//! What this cannot find: suites that have no number with IANA, and those that the server takes only with other extensions than these (PSK in TLS 1.3 needs
//! none). SSL 2.0 is not asked for.
//!
//! Run against: Debian's OpenSSL 3.0 (`openssl s_server`), TLS 1.0 to 1.3, its lists compared with those of sslscan 2.0.7. SSL 3.0 only by a peer of the
//! tests that answers with fixed bytes: no server at hand speaks it.

mod ask;
#[cfg(test)]
mod tests;

use super::names::{self, SSL_3_0, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3};
use super::wire::{Intake, Step};
use crate::Lab;
use ask::{Question, SERVER_HELLO, chosen, goodbye};
use bytes::Bytes;
use proofbench_channel::{ChannelError, Wait};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Every version that can be asked for, the oldest first.
pub const VERSIONS: [u16; 5] = [SSL_3_0, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3];
/// Most suites of one hello: small stacks refuse longer lists.
const SUITES_MOST: usize = 64;
/// Most bytes of an answer that go onto the timeline.
const SHOWN_MOST: usize = 4096;
/// How often a wait looks whether it was cancelled.
const SLICE: Duration = Duration::from_millis(20);

/// Suites of the control: what servers usually have, and what simple ones have alone.
const USUAL: [u16; 52] = [
    0x1301, 0x1302, 0x1303, 0x1304, 0x1305, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xccaa, 0xc009, 0xc013, 0xc00a, 0xc014, 0xc023, 0xc027,
    0xc024, 0xc028, 0xc0ac, 0xc0ae, 0xc0ad, 0xc0af, 0x009e, 0x009f, 0x0033, 0x0039, 0x0067, 0x006b, 0x009c, 0x009d, 0x002f, 0x0035, 0x003c, 0x003d,
    0xc09c, 0xc0a0, 0x000a, 0xc012, 0x0016, 0x0005, 0x0004, 0x0009, 0x00a8, 0x008c, 0xc0a8, 0xc0a4, 0xccac, 0x0034, 0xc018, 0x0002,
];

/// Whom to ask, and how.
#[derive(Debug, Clone)]
pub struct Target {
    /// Name of the scanner on the timeline.
    pub peer: Arc<str>,
    /// Where the server listens.
    pub address: SocketAddr,
    /// Host name to ask for; an address is not sent.
    pub name: Option<String>,
    /// Versions to ask for.
    pub versions: Vec<u16>,
    /// How long one connection may take, connecting included.
    pub patience: Duration,
    /// Time between two connections, for devices that serve one at a time.
    pub pause: Duration,
    /// How often a question is asked that was not answered, at least once.
    pub tries: u8,
}

/// How a question was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A ServerHello with one of the versions and suites that were asked for.
    Accepted {
        /// The version chosen.
        version: u16,
        /// The suite chosen.
        suite: u16,
    },
    /// A ServerHello with a version or a suite that was not asked for.
    Other {
        /// The version chosen.
        version: u16,
        /// The suite chosen.
        suite: u16,
    },
    /// An alert.
    Alert {
        /// 1 is a warning, 2 is fatal.
        level: u8,
        /// Which; its name is [`names::alert`].
        description: u8,
    },
    /// The server ended the connection.
    Closed,
    /// The connection was reset.
    Reset,
    /// Nothing came within the patience.
    Silent,
    /// There was no connection; the reason of the operating system.
    NoConnection(String),
    /// What came is no ServerHello and no alert; the reason.
    Garbled(String),
}

/// What a server accepts of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionSeen {
    /// The version.
    pub version: u16,
    /// Suites that were accepted, in the order of their finding: within one part of the list that is the server's own order.
    pub suites: Vec<u16>,
    /// What was asked for last and not accepted: the suites and the reply.
    pub rest: Vec<(Vec<u16>, Reply)>,
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Replies to the control before; the last one is `Accepted`, or nothing was asked.
    pub before: Vec<Reply>,
    /// One entry a version, in the order of the target.
    pub versions: Vec<VersionSeen>,
    /// Reply to the control afterwards; `None`: nothing was asked.
    pub after: Option<Reply>,
}

impl Reply {
    /// Whether this is an answer that refuses. Silence and a missing connection are none.
    pub fn refuses(&self) -> bool {
        match self {
            Self::Alert { .. } | Self::Closed | Self::Reset | Self::Other { .. } => true,
            Self::Accepted { .. } | Self::Silent | Self::NoConnection(_) | Self::Garbled(_) => false,
        }
    }

    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Accepted { version, suite } => format!("accepted with {} {}", names::version(*version), names::suite(*suite)),
            Self::Other { version, suite } => format!("answered with {} {}, which was not asked for", names::version(*version), names::suite(*suite)),
            Self::Alert { level, description } => format!("refused by alert {} (level {level})", names::alert(*description)),
            Self::Closed => "connection closed".to_owned(),
            Self::Reset => "connection reset".to_owned(),
            Self::Silent => "no answer".to_owned(),
            Self::NoConnection(why) => format!("no connection: {why}"),
            Self::Garbled(why) => format!("not understood: {why}"),
        }
    }
}

impl VersionSeen {
    /// Whether everything that is not in `suites` was refused. If not, there may be more.
    pub fn is_whole(&self) -> bool {
        self.rest.iter().all(|(_, reply)| reply.refuses())
    }
}

impl Scan {
    /// Whether the server was there before and afterwards.
    pub fn is_controlled(&self) -> bool {
        let accepted = |r: &Reply| matches!(r, Reply::Accepted { .. });
        self.before.last().is_some_and(accepted) && self.after.as_ref().is_some_and(accepted)
    }
}

/// Scans a server, every question on the timeline. What the server does is in the result; an error is the end of the wait or a cancel, and the questions
/// until then are on the timeline. Not to be called on a thread of the lab's runtime.
pub fn scan(lab: &Lab, target: &Target, wait: &Wait) -> Result<Scan, ChannelError> {
    let doing = format!("scan TLS at {}", target.address);
    wait.check(lab.timeline.now(), &doing)?;
    lab.runtime.block_on(async {
        let ended = async {
            loop {
                if let Err(e) = wait.check(lab.timeline.now(), &doing) {
                    return e;
                }
                tokio::time::sleep(SLICE).await;
            }
        };
        tokio::select! {
            biased;
            e = ended => Err(e),
            found = Asker { lab, target, asked: 0 }.scan() => Ok(found),
        }
    })
}

/// Suites that can be asked for in this version.
fn suites_of(version: u16) -> Vec<u16> {
    let signal = |v: u16| v == 0 || v == names::RENEGOTIATION_SCSV || v == names::FALLBACK_SCSV;
    // Suites of TLS 1.3 have numbers of their own; those for SM4 stand outside of their row.
    let of_1_3 = |v: u16| v >> 8 == 0x13 || v == 0x00c6 || v == 0x00c7;
    (0..=u16::MAX).filter(|v| !signal(*v) && of_1_3(*v) == (version == TLS_1_3) && names::known_suite(*v).is_some()).collect()
}

struct Asker<'a> {
    lab: &'a Lab,
    target: &'a Target,
    asked: u64,
}

impl Asker<'_> {
    async fn scan(mut self) -> Scan {
        let mut before = Vec::new();
        let mut good = None;
        // A server that knows only SSL 3.0 may not even read the other one.
        for (lowest, highest) in [(TLS_1_0, TLS_1_3), (SSL_3_0, SSL_3_0)] {
            let reply = self.ask(lowest, highest, &USUAL, "control: ").await;
            before.push(reply.clone());
            if let Reply::Accepted { .. } = reply {
                good = Some((lowest, highest));
                break;
            }
        }
        let Some((lowest, highest)) = good else {
            self.tell("nothing was asked: the control was not answered by a ServerHello".to_owned(), &[]);
            return Scan { before, versions: Vec::new(), after: None };
        };
        let mut versions = Vec::new();
        for version in self.target.versions.clone() {
            let seen = self.version(version).await;
            let whole = if seen.is_whole() { "all others refused" } else { "not all others were refused" };
            let suites: Vec<String> = seen.suites.iter().map(|s| names::suite(*s)).collect();
            self.tell(format!("{}: {} suites accepted, {whole}: {}", names::version(version), suites.len(), suites.join(" ")), &[]);
            versions.push(seen);
        }
        let after = self.ask(lowest, highest, &USUAL, "control: ").await;
        Scan { before, versions, after: Some(after) }
    }

    async fn version(&mut self, version: u16) -> VersionSeen {
        let mut seen = VersionSeen { version, suites: Vec::new(), rest: Vec::new() };
        for part in suites_of(version).chunks(SUITES_MOST) {
            let mut part = part.to_vec();
            while !part.is_empty() {
                match self.ask(version, version, &part, "").await {
                    Reply::Accepted { suite, .. } => {
                        part.retain(|s| *s != suite);
                        seen.suites.push(suite);
                    }
                    reply => {
                        seen.rest.push((part, reply));
                        break;
                    }
                }
            }
        }
        seen
    }

    /// Asks, again if there was no answer, and puts each question on the timeline.
    async fn ask(&mut self, lowest: u16, highest: u16, suites: &[u16], what: &str) -> Reply {
        let mut left = self.target.tries.max(1);
        loop {
            if self.asked > 0 && !self.target.pause.is_zero() {
                tokio::time::sleep(self.target.pause).await;
            }
            self.asked += 1;
            let hello = Question { lowest, highest, suites, name: self.target.name.as_deref(), nonce: self.asked }.bytes();
            let mut intake = Intake::default();
            let reply = match tokio::time::timeout(self.target.patience, exchange(self.target.address, &hello, &mut intake)).await {
                Ok(Reply::Accepted { version, suite }) if !suites.contains(&suite) || !(lowest..=highest).contains(&version) => {
                    Reply::Other { version, suite }
                }
                Ok(reply) => reply,
                Err(_) if intake.raw().is_empty() => Reply::Silent,
                Err(_) => Reply::Garbled(format!("it stops after {} bytes", intake.raw().len())),
            };
            let versions =
                if lowest == highest { names::version(highest) } else { format!("{} to {}", names::version(lowest), names::version(highest)) };
            self.tell(format!("{what}{versions} with {} suites asked for: {}", suites.len(), reply.words()), intake.raw());
            left -= 1;
            if left == 0 || !matches!(reply, Reply::Silent | Reply::NoConnection(_)) {
                return reply;
            }
        }
    }

    fn tell(&self, what: String, bytes: &[u8]) {
        let shown = bytes.get(..SHOWN_MOST).unwrap_or(bytes);
        self.lab.timeline.add(&self.target.peer, what, Bytes::copy_from_slice(shown));
    }
}

/// One connection: the hello, and its answer. `Accepted` is not yet compared with what was asked for.
async fn exchange(address: SocketAddr, hello: &[u8], intake: &mut Intake) -> Reply {
    let mut stream = match TcpStream::connect(address).await {
        Ok(stream) => stream,
        Err(e) => return Reply::NoConnection(e.to_string()),
    };
    let reply = match stream.write_all(hello).await {
        Ok(()) => answer(&mut stream, intake).await,
        Err(e) => broken(&e),
    };
    // A server that waits for the rest of the handshake is told not to. That it may be gone already is no news.
    if let Reply::Accepted { version, .. } = reply {
        let _ = stream.write_all(&goodbye(version)).await;
    }
    let _ = stream.shutdown().await;
    reply
}

async fn answer(stream: &mut TcpStream, intake: &mut Intake) -> Reply {
    let mut bytes = [0; 4096];
    loop {
        let room = bytes.len().min(intake.room());
        let Some(space) = bytes.get_mut(..room).filter(|s| !s.is_empty()) else { return Reply::Garbled("it does not end".to_owned()) };
        let step = match stream.read(space).await {
            Ok(0) => return Reply::Closed,
            Ok(n) => intake.feed(space.get(..n).unwrap_or_default()),
            Err(e) => return broken(&e),
        };
        return match step {
            Ok(Step::More) => continue,
            Ok(Step::Message(SERVER_HELLO, body)) => match chosen(&body) {
                Some((version, suite)) => Reply::Accepted { version, suite },
                None => Reply::Garbled("the ServerHello cannot be read".to_owned()),
            },
            Ok(Step::Message(kind, _)) => Reply::Garbled(format!("a handshake message of kind {kind}")),
            Ok(Step::Alert(level, description)) => Reply::Alert { level, description },
            Err(e) => Reply::Garbled(e.to_string()),
        };
    }
}

fn broken(e: &io::Error) -> Reply {
    match e.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => Reply::Reset,
        _ => Reply::Garbled(e.to_string()),
    }
}
