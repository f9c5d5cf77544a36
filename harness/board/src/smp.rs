//! SMP over UDP: one datagram is one message, header and CBOR, without the line's framing. The same server of the firmware answers as on the update port.

use proofbench_emulator::{Datagram, World};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};

/// Longest datagram that is read; firmware takes half of it.
const DATAGRAM_MOST: usize = 4096;
/// Most datagrams of one look.
const LOOK_MOST: usize = 32;

/// In the name of a peer: it came over the device's own network, and not by the board's port on 127.0.0.1.
pub const BY_NETWORK: u64 = 1 << 63;

/// Hands over what has arrived at a non-blocking socket, at most 32 datagrams; `way` is 0 or [`BY_NETWORK`]. Says whether there was anything.
pub fn serve(socket: &UdpSocket, way: u64, world: &mut World) -> bool {
    let mut arrived = [0; DATAGRAM_MOST];
    let mut heard = false;
    for _ in 0..LOOK_MOST {
        match socket.recv_from(&mut arrived) {
            Ok((n, SocketAddr::V4(from))) => {
                world.datagram(Datagram { peer: way | name(from), bytes: arrived[..n].to_vec() });
                heard = true;
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            // Word of a peer that has gone, about an answer of ours.
            Ok(_) | Err(_) => {}
        }
    }
    heard
}

/// Sends what the device has sent, each by the way by which its peer came. Says whether there was anything. Nobody promises that a datagram arrives.
pub fn deliver(socket: &UdpSocket, network: Option<&UdpSocket>, world: &mut World) -> bool {
    let mut said = false;
    while let Some(datagram) = world.take_datagram() {
        said = true;
        let Some(socket) = (if datagram.peer & BY_NETWORK == 0 { Some(socket) } else { network }) else { continue };
        let _ = socket.send_to(&datagram.bytes, address(datagram.peer));
    }
    said
}

/// A peer's address as one number.
pub fn name(peer: SocketAddrV4) -> u64 {
    u64::from(peer.ip().to_bits()) << 16 | u64::from(peer.port())
}

/// The address of a peer's number.
pub fn address(name: u64) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from_bits((name >> 16) as u32), name as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_found_again_by_its_name() {
        for peer in ["127.0.0.1:1337", "255.255.255.255:65535", "1.2.3.4:1"] {
            let peer: SocketAddrV4 = peer.parse().unwrap();
            assert_eq!(address(name(peer)), peer);
        }
    }
}
