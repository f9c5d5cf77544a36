//! Sockets of the module, all non-blocking and bound to the device's address.

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with, sockopt};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

/// Callers that may wait.
const BACKLOG: i32 = 128;

/// Takes connections at one of the device's ports. What an earlier device left behind there does not matter.
pub fn listener(at: SocketAddrV4) -> io::Result<TcpListener> {
    let socket = tcp()?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &at)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Begins to connect. The outcome is there when the socket can be written to: see [`outcome`].
pub fn dial(from: Ipv4Addr, to: SocketAddrV4) -> io::Result<TcpStream> {
    let socket = tcp()?;
    // Its port may be one that firmware opens later.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(from, 0))?;
    match connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => {}
        Err(e) => return Err(e.into()),
    }
    let stream = TcpStream::from(socket);
    forgetful(&stream, true);
    Ok(stream)
}

/// What became of an attempt to connect: nothing yet, or the result.
pub fn outcome(stream: &TcpStream) -> Option<io::Result<()>> {
    match sockopt::socket_error(stream) {
        Ok(Ok(())) => match stream.peer_addr() {
            Ok(_) => Some(stream.set_nodelay(true)),
            Err(e) if e.kind() == ErrorKind::NotConnected => None,
            Err(e) => Some(Err(e)),
        },
        Ok(Err(e)) | Err(e) => Some(Err(e.into())),
    }
}

/// Whether the end of this socket, for whatever reason, is a reset: so it is when a device forgets its connections, by a restart or for want of power.
pub fn forgetful(stream: &TcpStream, forgetful: bool) {
    // A socket that is broken already has no use for it.
    let _ = sockopt::set_socket_linger(stream, forgetful.then_some(Duration::ZERO));
}

/// Takes datagrams at one of the device's ports; port 0 is any.
pub fn udp(at: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(at)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A socket for datagrams to many.
pub fn udp_to_many(from: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = udp(SocketAddrV4::new(from, 0))?;
    socket.set_broadcast(true)?;
    socket.set_multicast_ttl_v4(1)?;
    socket.set_multicast_loop_v4(true)?;
    sockopt::set_ip_multicast_if(socket.as_fd(), &from)?;
    Ok(socket)
}

fn tcp() -> io::Result<std::os::fd::OwnedFd> {
    Ok(socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?)
}
