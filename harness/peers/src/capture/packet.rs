//! Packets out of addresses and bytes, checksums included.

use std::net::{IpAddr, SocketAddr};

/// Most bytes of a datagram's payload in an IPv4 packet; in IPv6 it could be 20 more.
pub(super) const DATAGRAM_MOST: usize = 65_507;
const TCP: u8 = 6;
const UDP: u8 = 17;

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;

/// A packet, and how many bytes of it are headers.
#[derive(Debug)]
pub(super) struct Packet {
    pub bytes: Vec<u8>,
    pub headers: usize,
}

/// What a TCP header says besides ports.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub sequence: u32,
    pub acknowledged: u32,
    pub flags: u8,
}

/// Both addresses in one family: IPv4 if both are, mapped ones included, else IPv6.
pub(super) fn one_family(a: SocketAddr, b: SocketAddr) -> (SocketAddr, SocketAddr) {
    let (ip_a, ip_b) = (a.ip().to_canonical(), b.ip().to_canonical());
    let six = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => IpAddr::V6(ip.to_ipv6_mapped()),
        IpAddr::V6(_) => ip,
    };
    let (ip_a, ip_b) = if ip_a.is_ipv4() == ip_b.is_ipv4() { (ip_a, ip_b) } else { (six(ip_a), six(ip_b)) };
    ((ip_a, a.port()).into(), (ip_b, b.port()).into())
}

/// A TCP segment. On a SYN the options say the segment size and scale the window by 128, so that no reader finds it full.
pub(super) fn tcp(from: SocketAddr, to: SocketAddr, segment: Segment, payload: &[u8]) -> Packet {
    let options: &[u8] = if segment.flags & SYN != 0 { &[2, 4, 0x05, 0xa0, 1, 3, 3, 7] } else { &[] };
    let length = 20 + options.len();
    let mut bytes = Vec::with_capacity(length + payload.len());
    bytes.extend(from.port().to_be_bytes());
    bytes.extend(to.port().to_be_bytes());
    bytes.extend(segment.sequence.to_be_bytes());
    bytes.extend(segment.acknowledged.to_be_bytes());
    // Header lengths are 20 or 28 bytes, in words of four.
    bytes.extend([(length as u8 / 4) << 4, segment.flags]);
    bytes.extend([0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(options);
    bytes.extend(payload);
    let sum = transport_sum(from.ip(), to.ip(), TCP, &bytes);
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    ip(from.ip(), to.ip(), TCP, &bytes, length)
}

/// A UDP datagram; `payload` past the most is left out.
pub(super) fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Packet {
    let payload = &payload[..payload.len().min(DATAGRAM_MOST)];
    let mut bytes = Vec::with_capacity(8 + payload.len());
    bytes.extend(from.port().to_be_bytes());
    bytes.extend(to.port().to_be_bytes());
    bytes.extend((8 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    // Zero would mean that there is no checksum.
    let sum = match transport_sum(from.ip(), to.ip(), UDP, &bytes) {
        0 => 0xffff,
        sum => sum,
    };
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    ip(from.ip(), to.ip(), UDP, &bytes, 8)
}

/// `carried` is at most 65 515 bytes long, of which `headers` are the transport's header.
fn ip(from: IpAddr, to: IpAddr, protocol: u8, carried: &[u8], headers: usize) -> Packet {
    let mut bytes = Vec::with_capacity(40 + carried.len());
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            bytes.extend([0x45, 0]);
            bytes.extend((20 + carried.len() as u16).to_be_bytes());
            // Never a fragment, so no identification is needed (RFC 6864).
            bytes.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
            let sum = fold(add(0, &bytes));
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (from, to) => {
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend((carried.len() as u16).to_be_bytes());
            bytes.extend([protocol, 64]);
            bytes.extend(octets(from));
            bytes.extend(octets(to));
        }
    }
    let headers = bytes.len() + headers;
    bytes.extend(carried);
    Packet { bytes, headers }
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// The checksum over pseudo header, header and payload. A mapped address adds the same as the plain one only within one family, so families are not mixed.
fn transport_sum(from: IpAddr, to: IpAddr, protocol: u8, bytes: &[u8]) -> u16 {
    let addresses = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => add(add(0, &from.octets()), &to.octets()),
        (from, to) => add(add(0, &octets(from)), &octets(to)),
    };
    fold(add(addresses + u64::from(protocol) + bytes.len() as u64, bytes))
}

/// Adds 16-bit words in network order.
fn add(sum: u64, bytes: &[u8]) -> u64 {
    let words = bytes.chunks(2).map(|w| u64::from(w[0]) << 8 | w.get(1).map_or(0, |b| u64::from(*b)));
    sum + words.sum::<u64>()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
