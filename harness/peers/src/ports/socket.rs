//! Sockets of the scan: a connection attempt that is never waited for, and what the error queue says.

use super::Icmp;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6, sock_extended_err, sockaddr_in6};
use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr, SocketError};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrStorage, connect, getpeername, getsockname, getsockopt, recvmsg,
    setsockopt, socket,
};
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// What is known of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Nothing has come back.
    Pending,
    /// Connected, to somebody else.
    Open,
    /// A RST came back.
    Closed,
    /// An ICMP error came back.
    Unreachable(Icmp),
    /// The connection met itself.
    Itself,
    /// The kernel gave up waiting.
    Silent,
    /// This machine could not ask.
    Failed(Errno),
}

/// A socket that does not block and keeps ICMP errors for us.
pub(super) fn open(to: &SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)?;
    keep_errors(&fd, to.ip())?;
    Ok(fd)
}

/// Has the kernel keep ICMP errors of this socket in its error queue.
pub(super) fn keep_errors(fd: &impl AsFd, to: IpAddr) -> Result<(), Errno> {
    match to {
        IpAddr::V4(_) => setsockopt(fd, Ipv4RecvErr, &true),
        IpAddr::V6(_) => setsockopt(fd, Ipv6RecvErr, &true),
    }
}

/// Begins to connect, and says what is known at once. A socket whose attempt was [`Attempt::Closed`] here can be used again: the second call has taken its
/// outcome, and left it as new.
pub(super) fn begin(fd: &OwnedFd, to: SocketAddr) -> Attempt {
    let address = SockaddrStorage::from(to);
    match connect(fd.as_raw_fd(), &address) {
        // On loopback the answer is there before the call returns.
        Ok(()) => look(fd),
        Err(Errno::EINPROGRESS) => match connect(fd.as_raw_fd(), &address) {
            Ok(()) | Err(Errno::EALREADY | Errno::EISCONN) => look(fd),
            Err(e) => refused(fd, e, false),
        },
        Err(e) => refused(fd, e, true),
    }
}

/// What has come back until now.
pub(super) fn look(fd: &OwnedFd) -> Attempt {
    match getsockopt(fd, SocketError) {
        Ok(0) => {}
        Ok(n) => return refused(fd, Errno::from_raw(n), false),
        Err(e) => return Attempt::Failed(e),
    }
    match getpeername::<SockaddrStorage>(fd.as_raw_fd()) {
        Ok(peer) => match getsockname::<SockaddrStorage>(fd.as_raw_fd()) {
            Ok(own) if own == peer => Attempt::Itself,
            Ok(_) => Attempt::Open,
            Err(e) => Attempt::Failed(e),
        },
        // An ICMP error that came while the socket was busy is in the queue only, and the kernel goes on asking.
        Err(Errno::ENOTCONN) => queued(fd).map_or(Attempt::Pending, Attempt::Unreachable),
        Err(e) => Attempt::Failed(e),
    }
}

/// What an error says about the device. `at_once`: the call itself failed, and nothing need have been sent.
fn refused(fd: &OwnedFd, error: Errno, at_once: bool) -> Attempt {
    if let Some(icmp) = queued(fd) {
        return Attempt::Unreachable(icmp);
    }
    match error {
        Errno::ECONNREFUSED | Errno::ECONNRESET => Attempt::Closed,
        Errno::ETIMEDOUT if !at_once => Attempt::Silent,
        e => Attempt::Failed(e),
    }
}

/// The ICMP error that waits in the error queue, if there is one. Errors that this machine made without any message (no route) are none.
pub(super) fn queued(fd: &impl AsRawFd) -> Option<Icmp> {
    let mut control = cmsg_space!(sock_extended_err, sockaddr_in6);
    let mut data = [0; 256];
    let mut into = [IoSliceMut::new(&mut data)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(fd.as_raw_fd(), &mut into, Some(&mut control), flags).ok()?;
    message.cmsgs().ok()?.find_map(|m| match m {
        ControlMessageOwned::Ipv4RecvErr(e, from) => {
            let from = from.map(|a| IpAddr::V4(Ipv4Addr::from(u32::from_be(a.sin_addr.s_addr))));
            icmp(&e, from)
        }
        ControlMessageOwned::Ipv6RecvErr(e, from) => icmp(&e, from.map(|a| IpAddr::V6(Ipv6Addr::from(a.sin6_addr.s6_addr)))),
        _ => None,
    })
}

fn icmp(e: &sock_extended_err, from: Option<IpAddr>) -> Option<Icmp> {
    let v6 = e.ee_origin == SO_EE_ORIGIN_ICMP6;
    (v6 || e.ee_origin == SO_EE_ORIGIN_ICMP).then(|| Icmp { kind: e.ee_type, code: e.ee_code, v6, from: from.filter(|a| !a.is_unspecified()) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test that cannot go on fails
mod tests {
    use super::*;
    use nix::sys::socket::bind;

    #[test]
    fn a_socket_that_was_refused_asks_the_next_port() {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = std::net::TcpListener::bind(at(0)).unwrap();
        let (open_port, closed) = (listener.local_addr().unwrap(), at(proofbench_testkit::free_port()));
        let fd = open(&open_port).unwrap();
        for _ in 0..3 {
            assert_eq!(begin(&fd, closed), Attempt::Closed);
        }
        assert_eq!(begin(&fd, open_port), Attempt::Open);
    }

    #[test]
    fn a_connection_to_itself_is_not_an_open_port() {
        let own = SocketAddr::from((Ipv4Addr::LOCALHOST, proofbench_testkit::free_port()));
        let fd = open(&own).unwrap();
        bind(fd.as_raw_fd(), &SockaddrStorage::from(own)).unwrap();
        assert_eq!(begin(&fd, own), Attempt::Itself);
    }
}
