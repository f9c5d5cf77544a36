//! Datagrams of the device: questions for names and for the time, and what is neither.

use super::ground::Ground;
use super::places::{Kind, Place, lock, plain};
use crate::dns::reply::{Over, reply};
use crate::dns::{Conduct, Record, Told, Unknown, Zone};
use crate::ntp::packet::{Reply, Request, SECOND, stamp};
use hickory_proto::op::{Message, MessageType};
use proofbench_channel::network::{Lie, Sight, Trade};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::UdpSocket;

/// Longest datagram.
const DATAGRAM_MOST: usize = 65_535;
/// How long a device may keep an answer, in seconds: what the lab serves changes.
const TTL: u32 = 1;
/// The group of multicast DNS.
const MDNS: (Ipv4Addr, u16) = (Ipv4Addr::new(224, 0, 0, 251), 5353);
/// Ports at which a device calls everybody: BOOTP and TFTP.
const CALLS: [u16; 2] = [67, 69];

/// Takes the datagrams of one socket until it is dropped.
pub(super) async fn datagrams(ground: Arc<Ground>, socket: UdpSocket, place: Place) {
    let mut buffer = vec![0; DATAGRAM_MOST];
    loop {
        match socket.recv_from(&mut buffer).await {
            // What comes while the cable is pulled is lost, as on a wire.
            Ok(_) if !ground.is_up() => {}
            Ok((_, from)) if !ground.is_device(from.ip()) => ground.sights.miss(),
            Ok((length, from)) => {
                let here = socket.local_addr().unwrap_or_else(|_| SocketAddr::from((place.0, ground.real(place.1))));
                ground.wiretap.datagram(from, here, &buffer[..length]);
                if let Some(answer) = ground.answer(place, &buffer[..length]) {
                    ground.wiretap.datagram(here, from, &answer);
                    let _ = socket.send_to(&answer, from).await;
                }
            }
            // A port that was closed meanwhile; haste does not help.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Hears what the device calls to a group, or to everybody.
pub(super) async fn overhear(ground: Arc<Ground>, socket: UdpSocket, group: Ipv4Addr, port: u16) {
    let host = group.to_string();
    let mut buffer = vec![0; DATAGRAM_MOST];
    loop {
        match socket.recv_from(&mut buffer).await {
            // Exactly the device's: on loopback the devices of other rigs call to the same groups.
            Ok((length, from)) if ground.is_up() && from.ip() == ground.device => {
                ground.sights.see(&host, port, 0, Sight::Datagram(buffer[..length].to_vec()));
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Sockets for what is called to a group or to everybody: those that this machine can have.
pub(super) fn groups(ground: &Ground) -> Vec<(UdpSocket, Ipv4Addr, u16)> {
    let everybody = if ground.lab.is_loopback() { Ipv4Addr::new(127, 255, 255, 255) } else { Ipv4Addr::BROADCAST };
    let calls = CALLS.iter().map(|port| (everybody, *port, false));
    let all = calls.chain([(MDNS.0, MDNS.1, true)]);
    let open = |group: Ipv4Addr, port: u16, joins: bool| {
        let socket = shared(SocketAddr::from((group, ground.real(port)))).ok()?;
        if joins {
            socket.join_multicast_v4(&group, &ground.lab).ok()?;
        }
        socket.set_nonblocking(true).ok()?;
        Some((UdpSocket::from_std(socket).ok()?, group, port))
    };
    let _inside = ground.runtime.enter();
    all.filter_map(|(group, port, joins)| open(group, port, joins)).collect()
}

/// A socket at an address that others of this machine may have too: its own multicast DNS, the lab of another rig.
fn shared(at: SocketAddr) -> Result<std::net::UdpSocket, nix::Error> {
    use nix::sys::socket::sockopt::ReuseAddr;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket};
    use std::os::fd::AsRawFd;
    let fd = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, ReuseAddr, &true)?;
    bind(fd.as_raw_fd(), &SockaddrStorage::from(at))?;
    Ok(fd.into())
}

impl Ground {
    fn answer(self: &Arc<Self>, place: Place, datagram: &[u8]) -> Option<Vec<u8>> {
        let (service, host) = self.table().at(self, (place.0, place.1, Kind::Udp), None)?;
        let trade = lock(&service.live).1.clone();
        let port = place.1;
        match trade {
            Trade::Names { alive } => self.name(port, alive, datagram),
            Trade::Time(lie) => match Request::read(datagram) {
                Ok(request) => {
                    let told = self.told(lie);
                    self.sights.see(&host, port, 0, Sight::Time { answered: told.is_some() });
                    told.map(|moment| time(&request, moment))
                }
                Err(_) => {
                    self.sights.see(&host, port, 0, Sight::Datagram(datagram.to_vec()));
                    None
                }
            },
            _ => None,
        }
    }

    fn name(self: &Arc<Self>, port: u16, alive: bool, query: &[u8]) -> Option<Vec<u8>> {
        let read = Message::from_vec(query).ok().filter(|m| m.metadata.message_type == MessageType::Query);
        let Some(name) = read.as_ref().and_then(|m| m.queries.first()).map(|q| plain(&q.name().to_ascii())) else {
            let place = (self.lab, port, Kind::Udp);
            let host = self.table().at(self, place, None).map_or_else(|| self.lab.to_string(), |(s, _)| s.host.clone());
            self.sights.see(&host, port, 0, Sight::Datagram(query.to_vec()));
            return None;
        };
        let address = if alive { self.table().resolve(self, &name) } else { None };
        self.sights.see(&name, port, 0, Sight::Query { answered: address.is_some() });
        if !alive {
            return None;
        }
        let mut zone = Zone::new();
        if let Some(address) = address {
            // What is no name has no address either, and is answered so.
            let _ = zone.add(&name, TTL, Record::A(address));
        }
        reply(&Told { zone, unknown: Unknown::NxDomain, conduct: Conduct::Honest }, query, Over::Udp).bytes
    }

    /// What a time server says now, in nanoseconds since 1970.
    fn told(&self, lie: Lie) -> Option<i128> {
        let now = (self.unix)();
        let nanos = |d: Duration| i128::try_from(d.as_nanos()).unwrap_or(i128::MAX);
        let truth = now.duration_since(SystemTime::UNIX_EPOCH).map_or_else(|e| -nanos(e.duration()), nanos);
        match lie {
            Lie::Truth => Some(truth),
            Lie::Off(by) => Some(truth.saturating_add(i128::from(by) * SECOND)),
            Lie::Fixed(at) => Some(i128::from(at) * SECOND),
            Lie::Dumb => None,
        }
    }
}

/// An answer of an NTP server of stratum 2.
fn time(request: &Request, moment: i128) -> Vec<u8> {
    let at = stamp(moment);
    let reply = Reply {
        leap: 0,
        stratum: 2,
        reference_id: [127, 127, 1, 0],
        referred: stamp(moment.saturating_sub(SECOND)),
        origin: request.transmit,
        received: at,
        sent: at,
    };
    reply.write(request).to_vec()
}
