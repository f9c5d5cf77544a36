//! UDP services that answer to a question in their own language. Silence of a UDP port says nothing, so only what answers is known.

use super::socket::{keep_errors, queued};
use super::{Icmp, run};
use crate::Lab;
use bytes::Bytes;
use proofbench_channel::{ChannelError, Wait};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// Most services that are asked in one call: ports times probes is the caller's to keep small.
const ASKS_MOST: usize = 1_024;
/// Largest answer.
const ANSWER_MOST: usize = 65_535;
/// Datagrams of others that are passed over while an answer is waited for.
const STRANGERS_MOST: usize = 64;

/// Version 4, mode 3 (client), all else zero: RFC 5905, 7.3.
const NTP: [u8; 48] = {
    let mut request = [0; 48];
    request[0] = 0x23;
    request
};

/// A question that makes a kind of UDP service talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UdpProbe {
    /// DNS query for the root's name servers, port 53.
    Dns,
    /// NTP version 4 client request, port 123.
    Ntp,
    /// SNMP version 2c get of sysDescr.0 with community `public`, port 161.
    SnmpPublic,
    /// mDNS query for `_services._dns-sd._udp.local`, unicast answer wanted, port 5353.
    Mdns,
    /// SSDP M-SEARCH for everything, port 1900.
    Ssdp,
    /// CoAP GET `/.well-known/core`, port 5683.
    CoapCore,
    /// TFTP read request for a file that hardly exists, port 69. The answer comes from another port.
    Tftp,
    /// SMP echo of `proofbench`, port 1337.
    SmpEcho,
}

impl UdpProbe {
    /// All of them.
    pub const ALL: [Self; 8] = [Self::Dns, Self::Ntp, Self::SnmpPublic, Self::Mdns, Self::Ssdp, Self::CoapCore, Self::Tftp, Self::SmpEcho];

    /// The port at which such a service usually is.
    pub fn port(self) -> u16 {
        match self {
            Self::Dns => 53,
            Self::Ntp => 123,
            Self::SnmpPublic => 161,
            Self::Mdns => 5353,
            Self::Ssdp => 1900,
            Self::CoapCore => 5683,
            Self::Tftp => 69,
            Self::SmpEcho => 1337,
        }
    }

    /// The datagram that is sent.
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::Dns => b"\x70\x62\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01",
            Self::Ntp => &NTP,
            Self::SnmpPublic => {
                b"\x30\x29\x02\x01\x01\x04\x06public\xa0\x1c\x02\x04\x70\x62\x00\x01\x02\x01\x00\x02\x01\x00\x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x01\x00\x05\x00"
            }
            Self::Mdns => b"\x70\x62\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x09_services\x07_dns-sd\x04_udp\x05local\x00\x00\x0c\x80\x01",
            Self::Ssdp => b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: ssdp:all\r\n\r\n",
            Self::CoapCore => b"\x40\x01\x70\x62\xbb.well-known\x04core",
            Self::Tftp => b"\x00\x01proofbench-is-not-there\x00octet\x00",
            // Write, 14 bytes of CBOR, group 0, sequence 0, echo: {"d": "proofbench"}.
            Self::SmpEcho => b"\x02\x00\x00\x0e\x00\x00\x00\x00\xa1\x61d\x6aproofbench",
        }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UdpState {
    /// The device answered.
    Answered {
        /// The datagram, raw; whether it is of the right protocol is the caller's to see.
        bytes: Bytes,
        /// The port it came from.
        from: u16,
    },
    /// An ICMP error came back; `port unreachable` is a port on which nobody listens.
    Unreachable(Icmp),
    /// Nothing came back, asked twice.
    Silent,
    /// This machine could not ask, and why. Says nothing about the device.
    Failed(String),
}

/// One port and what came back from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UdpAnswer {
    /// The question.
    pub probe: UdpProbe,
    /// To whom.
    pub to: SocketAddr,
    /// What came back.
    pub state: UdpState,
}

/// Asks all of these at once, each twice if it is silent for `patience`, and returns in their order; those past 1 024 are failed. `Timeout` or `Cancelled`
/// if `wait` ends first; then nothing is sent any more.
pub fn probe_udp(lab: &Lab, asks: &[(UdpProbe, SocketAddr)], patience: Duration, wait: &Wait) -> Result<Vec<UdpAnswer>, ChannelError> {
    let asks = asks.to_vec();
    let mut answers = run(lab, wait, "probe UDP services", async move {
        let mut asking = JoinSet::new();
        for (n, (probe, to)) in asks.into_iter().enumerate() {
            asking.spawn(async move {
                let state = match n {
                    ASKS_MOST.. => UdpState::Failed("too many at once".to_owned()),
                    _ => ask(probe, to, patience).await.unwrap_or_else(|e| UdpState::Failed(e.to_string())),
                };
                (n, UdpAnswer { probe, to, state })
            });
        }
        asking.join_all().await
    })?;
    answers.sort_unstable_by_key(|(n, _)| *n);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

async fn ask(probe: UdpProbe, to: SocketAddr, patience: Duration) -> io::Result<UdpState> {
    // Not connected: some services answer from another port.
    let any = if to.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    keep_errors(&socket, to.ip())?;
    let mut buffer = vec![0; ANSWER_MOST];
    for _ in 0..2 {
        if let Err(e) = socket.send_to(probe.bytes(), to).await {
            return queued(&socket).map(UdpState::Unreachable).ok_or(e);
        }
        let until = Instant::now() + patience;
        for _ in 0..STRANGERS_MOST {
            match timeout_at(until, socket.recv_from(&mut buffer)).await {
                Err(_) => break,
                Ok(Ok((n, from))) if from.ip() == to.ip() => {
                    return Ok(UdpState::Answered { bytes: Bytes::copy_from_slice(&buffer[..n]), from: from.port() });
                }
                Ok(Ok(_)) => {}
                Ok(Err(e)) => return queued(&socket).map(UdpState::Unreachable).ok_or(e),
            }
        }
    }
    Ok(UdpState::Silent)
}
