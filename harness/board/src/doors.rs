//! The board's TCP and UDP ports: bound once, all non-blocking, and handed from a supervisor to the device's process whole.

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType, bind, listen, recvmsg, sendmsg, socket_with, sockopt,
};
use serde::Serialize;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// How many there are.
const DOORS: usize = 7;
/// Most callers who are turned away at one look.
const CALLS_MOST: usize = 32;

/// Callers that may wait.
const BACKLOG: i32 = 128;

/// Every port of the device's side of the bench.
#[derive(Debug)]
pub struct Doors {
    /// Console, RFC 2217.
    pub rfc2217: TcpListener,
    /// Console, bytes only.
    pub raw: TcpListener,
    /// Debug port, Black Magic Probe.
    pub debug: TcpListener,
    /// Debug port, OpenOCD's `remote_bitbang`.
    pub bitbang: TcpListener,
    /// Debug port, pyOCD's remote probe.
    pub pyocd: TcpListener,
    /// Button, indicator, reset line, rail.
    pub fixture: TcpListener,
    /// SMP.
    pub smp_udp: UdpSocket,
}

/// Their numbers, all on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Numbers {
    /// Console over RFC 2217, TCP.
    pub rfc2217: u16,
    /// Console as bytes, TCP.
    pub raw: u16,
    /// Debug probe (Black Magic Probe protocol), TCP.
    pub debug: u16,
    /// Debug pins for OpenOCD (`remote_bitbang`), TCP.
    pub bitbang: u16,
    /// Debug probe for pyOCD (`-u remote:`), TCP.
    pub pyocd: u16,
    /// Fixture, TCP.
    pub fixture: u16,
    /// SMP, UDP.
    pub smp_udp: u16,
}

impl Doors {
    /// Binds them all on 127.0.0.1: the debug probe where asked (0 picks a port), the others where there is room. A port that was asked for may be one
    /// that its asker keeps for us, bound for sharing and not listened to.
    pub fn bind(debug: u16) -> io::Result<Self> {
        let tcp = |port| -> io::Result<TcpListener> {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let smp_udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        smp_udp.set_nonblocking(true)?;
        let debug = if debug == 0 { tcp(0)? } else { reserved(debug)? };
        Ok(Self { rfc2217: tcp(0)?, raw: tcp(0)?, debug, bitbang: tcp(0)?, pyocd: tcp(0)?, fixture: tcp(0)?, smp_udp })
    }

    /// Their numbers.
    pub fn numbers(&self) -> io::Result<Numbers> {
        let of = |listener: &TcpListener| Ok::<_, io::Error>(listener.local_addr()?.port());
        Ok(Numbers {
            rfc2217: of(&self.rfc2217)?,
            raw: of(&self.raw)?,
            debug: of(&self.debug)?,
            bitbang: of(&self.bitbang)?,
            pyocd: of(&self.pyocd)?,
            fixture: of(&self.fixture)?,
            smp_udp: self.smp_udp.local_addr()?.port(),
        })
    }

    fn listeners(&self) -> [&TcpListener; DOORS - 1] {
        [&self.rfc2217, &self.raw, &self.debug, &self.bitbang, &self.pyocd, &self.fixture]
    }

    /// What to poll.
    pub fn fds(&self) -> [BorrowedFd<'_>; DOORS] {
        let [a, b, c, d, e, f] = self.listeners().map(AsFd::as_fd);
        [a, b, c, d, e, f, self.smp_udp.as_fd()]
    }

    /// Nobody is at home: whoever has called is hung up on, and datagrams are lost.
    pub fn refuse(&self) {
        for listener in self.listeners() {
            for _ in 0..CALLS_MOST {
                if listener.accept().is_err() {
                    break;
                }
            }
        }
        let mut lost = [0; 16];
        for _ in 0..CALLS_MOST {
            if self.smp_udp.recv_from(&mut lost).is_err() {
                break;
            }
        }
    }

    /// Lets the process at the other end of `to` use them as well.
    pub fn hand_over(&self, to: &UnixStream) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DOORS))];
        let fds = self.fds();
        let mut message = SendAncillaryBuffer::new(&mut space);
        if !message.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(ErrorKind::InvalidInput.into());
        }
        sendmsg(to, &[IoSlice::new(b"D")], &mut message, SendFlags::empty())?;
        Ok(())
    }

    /// Takes them from the process at the other end of `from`.
    pub fn take_over(from: &UnixStream) -> io::Result<Self> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DOORS))];
        let mut message = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0; 1];
        loop {
            match recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut message, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                received => break received.map(drop)?,
            };
        }
        let fds: Vec<OwnedFd> =
            message.drain().filter_map(|m| if let RecvAncillaryMessage::ScmRights(fds) = m { Some(fds) } else { None }).flatten().collect();
        let [a, b, c, d, e, f, smp]: [OwnedFd; DOORS] =
            fds.try_into().map_err(|_| io::Error::new(ErrorKind::InvalidData, "the supervisor handed over no ports"))?;
        let [rfc2217, raw, debug, bitbang, pyocd, fixture] = [a, b, c, d, e, f].map(TcpListener::from);
        Ok(Self { rfc2217, raw, debug, bitbang, pyocd, fixture, smp_udp: smp.into() })
    }
}

/// Listens on a port that somebody of ours may hold so that nobody else is given it while there is no device.
fn reserved(port: u16) -> io::Result<TcpListener> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}
