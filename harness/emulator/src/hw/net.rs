//! The network interface: a module with its own TCP, TLS and name resolution, as radio modules have them. Firmware opens and listens, says how much of TLS it
//! wants checked, and moves plain bytes; whoever is outside does the handshakes.

use super::{Hw, State};
use proofbench_channel::network::Certificate;
use std::collections::{BTreeMap, BTreeSet};

/// UDP port of the SMP server.
pub const SMP_PORT: u16 = 1337;
/// Connections that the module keeps at once; more are refused.
pub const CONNS_MOST: usize = 64;
/// Connections that others opened have this bit in their number.
pub const FROM_OUTSIDE: u64 = 1 << 63;

/// A TLS version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // their names say it
pub enum TlsVersion {
    Ssl30,
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

impl TlsVersion {
    /// As people write it.
    pub const fn name(self) -> &'static str {
        match self {
            TlsVersion::Ssl30 => "SSL 3.0",
            TlsVersion::Tls10 => "TLS 1.0",
            TlsVersion::Tls11 => "TLS 1.1",
            TlsVersion::Tls12 => "TLS 1.2",
            TlsVersion::Tls13 => "TLS 1.3",
        }
    }
}

/// What is offered or taken of TLS: versions, oldest first, each with the IANA names of its suites.
pub type TlsTerms = Vec<(TlsVersion, Vec<&'static str>)>;

/// What a client wants to be sure of before it sends anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trust {
    /// The chain ends at the maker's CA.
    pub chain: bool,
    /// Every certificate that signs is a CA.
    pub authority: bool,
    /// The name is the host's, and stands where it must stand.
    pub name: bool,
    /// A name in the subject alone is not enough.
    pub alternative_name: bool,
    /// It is valid at this time.
    pub time: bool,
    /// It is for servers.
    pub usage: bool,
    /// Key and signature are strong enough.
    pub strength: bool,
}

impl Trust {
    /// Everything is looked at.
    pub const FULL: Trust = Trust { chain: true, authority: true, name: true, alternative_name: true, time: true, usage: true, strength: true };
    /// Nothing is.
    pub const NONE: Trust =
        Trust { chain: false, authority: false, name: false, alternative_name: false, time: false, usage: false, strength: false };

    /// Whether this certificate is taken; if not, the alert.
    pub fn takes(self, shown: Certificate) -> Result<(), &'static str> {
        let (minds, alert) = match shown {
            Certificate::Good => (false, ""),
            Certificate::SelfSigned | Certificate::UnknownCa => (self.chain, "unknown_ca"),
            Certificate::LeafAsCa => (self.authority, "bad_certificate"),
            Certificate::WrongName => (self.name, "bad_certificate"),
            Certificate::NameOnlyInCn => (self.alternative_name, "bad_certificate"),
            Certificate::Expired => (self.time, "certificate_expired"),
            Certificate::NotYetValid => (self.time, "bad_certificate"),
            Certificate::WrongUsage => (self.usage, "unsupported_certificate"),
            Certificate::WeakKey | Certificate::Sha1 => (self.strength, "bad_certificate"),
        };
        if minds { Err(alert) } else { Ok(()) }
    }
}

/// How firmware wants a connection secured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTls {
    /// What it offers.
    pub terms: TlsTerms,
    /// Whether it names the server.
    pub named: bool,
    /// What it looks at.
    pub trust: Trust,
    /// Its own certificate: subject, and what its key is made from.
    pub identity: Option<(String, [u8; 32])>,
}

/// How a port of the device is secured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// What it takes.
    pub terms: TlsTerms,
    /// Subject of its certificate.
    pub subject: String,
    /// What its key is made from: equal seeds are equal keys.
    pub key: [u8; 32],
}

/// A port that takes connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Since when.
    pub since: u64,
    /// With TLS.
    pub tls: Option<ServerTls>,
}

/// Why a connection did not come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenFailed {
    /// The name has no address, or nobody says.
    NoName,
    /// Refused.
    Refused,
    /// No answer.
    TimedOut,
    /// The module itself ended the handshake: it did not take the certificate, or found no version or suite.
    Untrusted,
}

/// What comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetIn {
    /// The link came or went.
    Link(bool),
    /// The connection is up; with TLS, the handshake is done.
    Opened(u64),
    /// It is not.
    Failed(u64, OpenFailed),
    /// Somebody connected to a port.
    Accepted {
        /// The new connection.
        conn: u64,
        /// Which port.
        port: u16,
        /// Which of the other side's addresses.
        from: u8,
    },
    /// Bytes, or the answer to a question.
    Data(u64, Vec<u8>),
    /// The other side ended it.
    Ended(u64),
    /// A datagram for a port that is bound; answers go to the same peer.
    Datagram {
        /// Which port.
        port: u16,
        /// Who.
        peer: u64,
        /// What.
        bytes: Vec<u8>,
    },
}

/// What goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetOut {
    /// Open a connection.
    Open {
        /// Its number.
        conn: u64,
        /// To whom.
        host: String,
        /// Where.
        port: u16,
        /// How secured.
        tls: Option<ClientTls>,
    },
    /// Bytes on a connection.
    Data(u64, Vec<u8>),
    /// The device ends a connection.
    End {
        /// Which.
        conn: u64,
        /// By a reset.
        reset: bool,
    },
    /// One datagram; what comes back is [`NetIn::Data`] of this number.
    Ask {
        /// Its number.
        conn: u64,
        /// To whom: a name, or a multicast group.
        host: String,
        /// Where.
        port: u16,
        /// What.
        bytes: Vec<u8>,
    },
    /// The answer to a datagram.
    Reply {
        /// From which port.
        port: u16,
        /// To whom.
        peer: u64,
        /// What.
        bytes: Vec<u8>,
    },
}

/// The module's state; gone with every reset.
#[derive(Debug, Clone, Default)]
pub(crate) struct Module {
    pub(crate) tcp: BTreeMap<u16, Listener>,
    pub(crate) udp: BTreeSet<u16>,
    pub(crate) conns: BTreeSet<u64>,
    pub(crate) next: u64,
    pub(crate) link: bool,
    pub(crate) taken: u64,
    /// What came in since the reset has this number or a higher one.
    pub(crate) fresh: u64,
}

impl State {
    pub(crate) fn restart_module(&mut self, link: bool, fresh: u64) {
        // Numbers go on: an answer to a connection of the last boot must not be taken for one of this.
        self.module = Module { next: self.module.next, taken: self.module.taken, link, fresh, ..Module::default() };
    }
    /// Whether this waits for firmware: it came since firmware brought the network up. A link that came or went before is no message that could be lost.
    pub(crate) fn awaits(&self, number: u64, at: u64, what: &NetIn) -> bool {
        let moved = matches!(what, NetIn::Link(up) if *up != self.module.link) && number >= self.module.fresh && self.net_up != u64::MAX;
        number >= self.module.taken && (at >= self.net_up || moved)
    }
}

impl Hw {
    /// Whether the link is up, as the module last said.
    pub fn net_link(&self) -> bool {
        self.state.module.link
    }
    /// Takes connections on a port from now on.
    pub fn net_listen(&mut self, port: u16, tls: Option<ServerTls>) {
        let since = self.state.now;
        self.state.module.tcp.insert(port, Listener { since, tls });
    }
    /// Takes no more of them. Connections that are up stay.
    pub fn net_unlisten(&mut self, port: u16) {
        self.state.module.tcp.remove(&port);
    }
    /// Takes datagrams on a port from now on.
    pub fn net_bind(&mut self, port: u16) {
        self.state.module.udp.insert(port);
    }
    /// Begins to open a connection; [`NetIn::Opened`] or [`NetIn::Failed`] says what came of it, or nothing ever does.
    pub fn net_open(&mut self, host: &str, port: u16, tls: Option<ClientTls>) -> u64 {
        let conn = self.next_conn();
        self.state.module.conns.insert(conn);
        self.net_out(NetOut::Open { conn, host: host.to_owned(), port, tls });
        conn
    }
    /// Sends one datagram.
    pub fn net_ask(&mut self, host: &str, port: u16, bytes: &[u8]) -> u64 {
        let conn = self.next_conn();
        self.state.module.conns.insert(conn);
        self.net_out(NetOut::Ask { conn, host: host.to_owned(), port, bytes: bytes.to_vec() });
        conn
    }
    /// Sends bytes. On a connection that is gone they go nowhere.
    pub fn net_send(&mut self, conn: u64, bytes: &[u8]) {
        if self.state.module.conns.contains(&conn) && !bytes.is_empty() {
            self.net_out(NetOut::Data(conn, bytes.to_vec()));
        }
    }
    /// Ends a connection.
    pub fn net_end(&mut self, conn: u64, reset: bool) {
        if self.state.module.conns.remove(&conn) {
            self.net_out(NetOut::End { conn, reset });
        }
    }
    /// Forgets a question that was not answered.
    pub fn net_forget(&mut self, conn: u64) {
        self.state.module.conns.remove(&conn);
    }
    /// Answers a datagram.
    pub fn net_reply(&mut self, port: u16, peer: u64, bytes: &[u8]) {
        self.net_out(NetOut::Reply { port, peer, bytes: bytes.to_vec() });
    }
    fn next_conn(&mut self) -> u64 {
        self.state.module.next += 1;
        self.state.module.next
    }
    fn net_out(&mut self, out: NetOut) {
        let now = self.state.now;
        self.lines.link_tx.push((now, out));
    }
    /// The next thing that has come in by now.
    pub(crate) fn next_net(&mut self) -> Option<NetIn> {
        let queue = &self.lines.link_rx;
        for (number, (at, what)) in (queue.first_number()..).zip(queue.iter()) {
            if number < self.state.module.taken {
                continue;
            }
            if *at > self.state.now {
                return None;
            }
            let heard = self.state.awaits(number, *at, what) && self.state.module.hears(what);
            self.state.module.taken = number + 1;
            if heard {
                return Some(what.clone());
            }
        }
        None
    }
}

impl Module {
    /// Keeps the list of connections, and says whether firmware is told.
    fn hears(&mut self, what: &NetIn) -> bool {
        match what {
            NetIn::Link(up) => {
                self.link = *up;
                true
            }
            NetIn::Opened(conn) | NetIn::Data(conn, _) => self.conns.contains(conn),
            NetIn::Failed(conn, _) | NetIn::Ended(conn) => self.conns.remove(conn),
            NetIn::Accepted { conn, port, .. } => {
                let room = self.conns.len() < CONNS_MOST && self.tcp.contains_key(port);
                room && self.conns.insert(*conn)
            }
            NetIn::Datagram { port, .. } => self.udp.contains(port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_trust_takes_the_good_certificate_and_no_other_and_no_trust_takes_all() {
        assert_eq!(Trust::FULL.takes(Certificate::Good), Ok(()));
        for bad in Certificate::BAD {
            assert!(Trust::FULL.takes(bad).is_err(), "{}", bad.id());
            assert_eq!(Trust::NONE.takes(bad), Ok(()), "{}", bad.id());
        }
    }
}
