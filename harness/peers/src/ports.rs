//! Which ports of a device are open, and what answers there: a TCP connect scan, banners, UDP probes.
//!
//! A port is open if a connection to it was made, and closed if the device refused one with a RST. Everything else is neither: an ICMP error, silence
//! (asked twice), a failure of this machine. A scan that could not have seen an open port proves nothing, so the caller names one that must be open; it
//! is asked before and after.
//!
//! Two traps of the kernel are seen to. A connect to a port of this machine's own ephemeral range can meet itself (simultaneous open): such a connection
//! has the same address at both ends, is dropped, and the port is asked again. And a connect that was answered by ICMP "port unreachable" fails with the
//! same error as one answered by a RST: the socket's error queue tells them apart.
//!
//! Run against: Debian's nmap 7.93 (same open ports), nftables 1.0.6 in a network namespace (ICMP errors, silence), Python 3's http.server, mosquitto
//! 2.0.11, openssl 3.0 s_server, net-snmp 5.9.3. The other UDP probes are whole messages to tshark 4.0.17, but the SMP echo, which it does not know; no
//! service of theirs was asked. Linux only. Not run against a real device.

mod banner;
mod scan;
mod socket;
mod udp;

pub use banner::{Answered, Banner, BannerSetup, Probe, banners};
pub use scan::{Control, Scan, ScanSetup, State, scan};
pub use udp::{UdpAnswer, UdpProbe, UdpState, probe_udp};

use crate::{Lab, Service};
use proofbench_channel::{ChannelError, ErrorKind, Wait};
use std::fmt;
use std::net::IpAddr;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Runs `work` on the lab's runtime and waits for it on the calling thread. A cancel or the deadline drops it where it stands.
fn run<T: Send + 'static>(lab: &Lab, wait: &Wait, doing: &str, work: impl Future<Output = T> + Send + 'static) -> Result<T, ChannelError> {
    let (tell, told) = sync_channel(1);
    let service = Service::start(lab, async move {
        // Who stopped waiting does not want the answer.
        drop(tell.send(work.await));
    });
    let done = loop {
        wait.check(lab.timeline.now(), doing)?;
        match told.recv_timeout(Duration::from_millis(20)) {
            Ok(done) => break done,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(ChannelError::caused(ErrorKind::Driver, doing, "its task ended")),
        }
    };
    drop(service);
    Ok(done)
}

/// An ICMP or ICMPv6 error that came back instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icmp {
    /// Type of the message; 3 in ICMP and 1 in ICMPv6 is "destination unreachable".
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// Whether it is ICMPv6.
    pub v6: bool,
    /// Who sent it, if the kernel knows.
    pub from: Option<IpAddr>,
}

impl Icmp {
    /// The message's name in RFC 792, RFC 1812 or RFC 4443; empty for others.
    pub fn name(&self) -> &'static str {
        match (self.v6, self.kind, self.code) {
            (false, 3, 0) => "net unreachable",
            (false, 3, 1) => "host unreachable",
            (false, 3, 2) => "protocol unreachable",
            (false, 3, 3) | (true, 1, 4) => "port unreachable",
            (false, 3, 9) => "net administratively prohibited",
            (false, 3, 10) => "host administratively prohibited",
            (false, 3, 13) | (true, 1, 1) => "administratively prohibited",
            (false, 11, 0) | (true, 3, 0) => "time exceeded in transit",
            (true, 1, 0) => "no route",
            (true, 1, 3) => "address unreachable",
            (true, 1, 5) => "source address failed policy",
            (true, 1, 6) => "reject route",
            _ => "",
        }
    }
}

impl fmt::Display for Icmp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.v6 { "ICMPv6" } else { "ICMP" };
        write!(f, "{family} type {} code {}", self.kind, self.code)?;
        match self.name() {
            "" => {}
            name => write!(f, " ({name})")?,
        }
        self.from.map_or(Ok(()), |from| write!(f, " from {from}"))
    }
}
