//! Looking at the device from outside: its ports, its datagrams, its TLS.

use super::ground::{Ground, going_on};
use super::own;
use crate::ports::{ScanSetup, State, scan};
use crate::tls::names;
use crate::tls::scan as tls;
use proofbench_channel::network::{DatagramSeen, PortMap, Secured, TlsOffer};
use proofbench_channel::{ChannelError, ErrorKind, Wait};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;
use tokio::net::UdpSocket;

/// Attempts of a port scan at a time.
const AT_ONCE: usize = 1_000;
/// How long a port of the device may take to answer.
const PORT_PATIENCE: Duration = Duration::from_secs(1);
/// How long a TLS server of the device may take to answer, and how often it is asked.
const TLS_PATIENCE: Duration = Duration::from_secs(5);
const TLS_TRIES: u8 = 2;
/// Longest datagram.
const DATAGRAM_MOST: usize = 65_535;

impl Ground {
    /// See [`proofbench_channel::Network::scan`].
    pub(super) fn ports(&self, ranges: &[RangeInclusive<u16>], wait: &Wait) -> Result<PortMap, ChannelError> {
        going_on(wait, "scan TCP ports")?;
        let mut asked: BTreeSet<u16> = ranges.iter().flat_map(Clone::clone).collect();
        let zero = asked.remove(&0);
        if !self.is_up() {
            return Ok(PortMap { silent: asked.into_iter().collect(), ..PortMap::default() });
        }
        let setup = ScanSetup {
            at_once: AT_ONCE,
            patience: PORT_PATIENCE,
            ports: asked.iter().map(|p| self.real(*p)).collect(),
            ..ScanSetup::all(self.device)
        };
        let found = scan(&self.quiet(), &setup, wait)?;
        let strangers = own::strangers(self.device);
        let mut map = PortMap::default();
        if zero {
            map.not_ours.push((0, "port 0 cannot be asked".to_owned()));
        }
        for port in asked {
            let real = self.real(port);
            let state = found.ports.get(&real).cloned().unwrap_or_else(|| State::Failed("was not asked".to_owned()));
            let ours = match self.device {
                IpAddr::V4(device) => self.table().is_own(device, port),
                IpAddr::V6(_) => false,
            };
            match (state, self.stands_for(port)) {
                (State::Closed, _) => map.closed += 1,
                (State::Silent, _) => map.silent.push(port),
                (State::Open, Some(low)) => map.not_ours.push((port, format!("stands for port {low} here"))),
                (State::Open, None) if ours => map.not_ours.push((port, "a service of the lab".to_owned())),
                (State::Open, None) => match strangers.get(&real) {
                    Some(why) => map.not_ours.push((port, why.clone())),
                    None => map.open.push(port),
                },
                (State::Unreachable(icmp), _) => map.not_ours.push((port, icmp.to_string())),
                (State::Failed(why), _) => map.not_ours.push((port, why)),
            }
        }
        Ok(map)
    }

    /// See [`proofbench_channel::Network::datagram`].
    pub(super) fn ask(&self, port: u16, bytes: &[u8], wait: &Wait) -> Result<DatagramSeen, ChannelError> {
        let to = self.at_device(port);
        let doing = format!("send a datagram to {to}");
        going_on(wait, &doing)?;
        if !self.is_up() {
            self.nothing(wait, &doing)?;
            return Ok(DatagramSeen::Silent);
        }
        let own = if to.is_ipv4() { IpAddr::V4(self.lab) } else { Ipv6Addr::UNSPECIFIED.into() };
        let exchange = async {
            let socket = UdpSocket::bind((own, 0)).await?;
            socket.connect(to).await?;
            socket.send(bytes).await?;
            let mut answer = vec![0; DATAGRAM_MOST];
            let length = socket.recv(&mut answer).await?;
            answer.truncate(length);
            Ok(answer)
        };
        match self.within(wait, &doing, exchange)? {
            None => Ok(DatagramSeen::Silent),
            Some(Ok(answer)) => Ok(DatagramSeen::Answer(answer)),
            Some(Err(e)) => {
                let e: io::Error = e;
                match e.kind() {
                    io::ErrorKind::ConnectionRefused => Ok(DatagramSeen::Closed),
                    // Nobody answers for the device's address: that is no answer of the device.
                    io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
                        self.nothing(wait, &doing)?;
                        Ok(DatagramSeen::Silent)
                    }
                    _ => Err(ChannelError::caused(ErrorKind::Driver, doing, e)),
                }
            }
        }
    }

    /// What a TLS server takes; `shown` is what a handshake with it ended in.
    pub(super) fn offer(&self, address: SocketAddr, shown: Option<Secured>, wait: &Wait) -> Result<TlsOffer, ChannelError> {
        let target = tls::Target {
            peer: "scanner".into(),
            address,
            name: None,
            versions: tls::VERSIONS.to_vec(),
            patience: TLS_PATIENCE,
            pause: Duration::ZERO,
            tries: TLS_TRIES,
        };
        let found = tls::scan(&self.quiet(), &target, wait)?;
        let mut offer = TlsOffer { shown, ..TlsOffer::default() };
        if found.versions.is_empty() {
            // The control was not answered: nothing was asked, and nothing is known.
            return Ok(TlsOffer { unknown: all_versions(), ..offer });
        }
        let controlled = found.is_controlled();
        for seen in &found.versions {
            if !seen.suites.is_empty() {
                offer.taken.push((names::version(seen.version), seen.suites.iter().map(|s| names::suite(*s)).collect()));
            } else if !(controlled && seen.is_whole()) {
                offer.unknown.push(names::version(seen.version));
            }
        }
        Ok(offer)
    }
}

/// All versions that can be asked for.
pub(super) fn all_versions() -> Vec<String> {
    tls::VERSIONS.iter().map(|v| names::version(*v)).collect()
}
