//! SMP packets over UDP: one datagram, one packet.
//!
//! - **Whose datagrams count.** The socket is connected, so the kernel drops what other hosts and ports send. What is longer than a packet may be, or
//!   whose header does not fit the request, is passed over until the deadline.
//! - **What is sent twice.** Datagrams get lost. A request that may come twice goes out again, the same packet with the same sequence number, after 2 s
//!   and after 4 s; an answer to any of the copies counts, and the others belong to a past question. Everything else goes out once.
//! - **A port that nobody listens on** (ICMP port or host unreachable) is the device's affair: its IP stack is up and its SMP server is not, or it has no
//!   power and somebody else says so. It is no answer, so the wait goes on, and ends as silence. The journal is told. That the bench itself has no way to
//!   the network is an error.
//! - **Names** are looked up at the first request and again after a silence: a device may come back with another address. A name that was never found
//!   is an error.

use super::link::{Link, PACKET_MOST, Sending};
use crate::{TimeBase, runtime};
use proofbench_channel::{ChannelError, ErrorKind, Moment, Wait};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::Duration;

/// A request that may be repeated is, when so much bench time has passed without an answer.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
/// How often such a request goes out at most.
const SENDS: u32 = 3;
/// Most remarks that are kept.
const REMARKS_MOST: usize = 50;

/// Datagrams to one address.
pub(super) struct Datagrams {
    address: String,
    time: TimeBase,
    socket: Option<UdpSocket>,
    /// The address may have changed since.
    stale: bool,
    buffer: Vec<u8>,
    again: Option<Repeat>,
    /// Whether the journal knows already that nobody listens.
    told: bool,
    remarks: Vec<(Moment, String)>,
}

struct Repeat {
    packet: Vec<u8>,
    sent: u32,
    due: Moment,
}

impl Datagrams {
    pub fn new(address: String, time: TimeBase) -> Self {
        let buffer = vec![0; PACKET_MOST + 1];
        Self { address, time, socket: None, stale: false, buffer, again: None, told: false, remarks: Vec::new() }
    }

    fn remark(&mut self, text: String) {
        if self.remarks.len() < REMARKS_MOST {
            self.remarks.push((self.time.now(), text));
        }
    }

    fn error(&self, what: &str, e: io::Error) -> ChannelError {
        let kind = match e.kind() {
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown | io::ErrorKind::AddrNotAvailable => ErrorKind::Disconnected,
            io::ErrorKind::PermissionDenied => ErrorKind::Refused,
            _ => ErrorKind::Driver,
        };
        ChannelError::caused(kind, format!("{what} UDP {}", self.address), e)
    }

    fn connect(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        if self.socket.is_some() && !self.stale {
            return Ok(());
        }
        self.stale = false;
        let address = match self.find(wait) {
            Ok(address) => address,
            // The old address is as good as any while the name is not known.
            Err(e) if self.socket.is_some() && e.kind != ErrorKind::Cancelled => return Ok(()),
            Err(e) => return Err(e),
        };
        let here: SocketAddr = if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let socket = UdpSocket::bind(here).and_then(|s| s.connect(address).map(|()| s)).map_err(|e| self.error("open", e))?;
        self.socket = Some(socket);
        Ok(())
    }

    fn find(&self, wait: &Wait) -> Result<SocketAddr, ChannelError> {
        if let Ok(address) = self.address.parse() {
            return Ok(address);
        }
        let doing = format!("look up {}", self.address);
        let name = self.address.clone();
        let failed = doing.clone();
        // A resolver takes its own time and cannot be stopped.
        runtime::offload(self.time, wait, &doing, move || {
            let all: Vec<SocketAddr> = name.to_socket_addrs().map_err(|e| ChannelError::caused(ErrorKind::Driver, &failed, e))?.collect();
            // A device with both listens on IPv4 for certain; silence would not tell which one was meant.
            let best = all.iter().find(|a| a.is_ipv4()).or(all.first());
            best.copied().ok_or_else(|| ChannelError::caused(ErrorKind::Driver, failed, "no address"))
        })
    }

    fn put(&mut self, packet: &[u8]) -> Result<(), ChannelError> {
        // The kernel tells of an earlier datagram's fate at the next call, which then sends nothing: one more try is the first of this packet.
        for _ in 0..2 {
            let Some(socket) = &self.socket else { return Ok(()) };
            match socket.send(packet) {
                Ok(_) => return Ok(()),
                Err(e) if unheard(&e) => self.nobody(&e),
                Err(e) => return Err(self.error("send to", e)),
            }
        }
        Ok(())
    }

    fn nobody(&mut self, e: &io::Error) {
        if !std::mem::replace(&mut self.told, true) {
            self.remark(format!("{}: {e}", self.address));
        }
    }

    fn repeat_if_due(&mut self) -> Result<(), ChannelError> {
        let now = self.time.now();
        let Some(again) = self.again.as_mut().filter(|a| now >= a.due && a.sent < SENDS) else { return Ok(()) };
        again.sent += 1;
        again.due = now + AGAIN_AFTER;
        let (packet, sent) = (again.packet.clone(), again.sent);
        self.remark(format!("no answer after {} s: sent again, {sent} of {SENDS}", AGAIN_AFTER.as_secs()));
        self.put(&packet)
    }

    /// The next datagram; nothing if none came within `slice` of real time.
    fn datagram(&mut self, slice: Duration) -> Result<Option<Vec<u8>>, ChannelError> {
        let Some(socket) = &self.socket else { return Ok(None) };
        // Zero would mean for ever.
        let result = socket.set_read_timeout(Some(slice.max(Duration::from_millis(1)))).and_then(|()| socket.recv(&mut self.buffer));
        match result {
            Ok(length) if length <= PACKET_MOST => Ok(Some(self.buffer[..length].to_vec())),
            Ok(_) => {
                self.remark(format!("a datagram of more than {PACKET_MOST} bytes was passed over"));
                Ok(None)
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => Ok(None),
            Err(e) if unheard(&e) => {
                self.nobody(&e);
                Ok(None)
            }
            Err(e) => Err(self.error("receive from", e)),
        }
    }
}

/// Whether the network says that the datagram did not reach a listener.
fn unheard(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable)
}

impl Link for Datagrams {
    fn forget(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        self.again = None;
        self.told = false;
        self.connect(wait)?;
        let Some(socket) = &self.socket else { return Ok(()) };
        socket.set_nonblocking(true).map_err(|e| self.error("read", e))?;
        // Errors of earlier datagrams come out here, too. Whoever fills the queue faster than it is read meets the sequence number.
        let mut left = 10_000;
        let drained = loop {
            left -= 1;
            match socket.recv(&mut self.buffer) {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(e) if unheard(&e) || e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => break Err(e),
            }
            if left == 0 {
                break Ok(());
            }
        };
        drained.and_then(|()| socket.set_nonblocking(false)).map_err(|e| self.error("read", e))
    }

    fn send(&mut self, packet: &[u8], sending: Sending, wait: &Wait) -> Result<bool, ChannelError> {
        wait.check(self.time.now(), "send a datagram")?;
        if packet.len() > PACKET_MOST {
            return Err(ChannelError::new(ErrorKind::Unsupported, format!("send an SMP packet of {} bytes", packet.len())));
        }
        self.put(packet)?;
        self.again = match sending {
            Sending::Again => Some(Repeat { packet: packet.to_vec(), sent: 1, due: self.time.now() + AGAIN_AFTER }),
            Sending::Once => None,
        };
        Ok(true)
    }

    fn receive(&mut self, wait: &Wait) -> Result<Option<Vec<u8>>, ChannelError> {
        loop {
            let slice = match self.time.slice(wait, &format!("wait for UDP {}", self.address)) {
                Ok(slice) => slice,
                Err(e) if e.kind == ErrorKind::Timeout => {
                    self.stale = self.address.parse::<SocketAddr>().is_err();
                    return Ok(None);
                }
                Err(e) => return Err(e),
            };
            self.repeat_if_due()?;
            if let Some(packet) = self.datagram(slice)? {
                return Ok(Some(packet));
            }
        }
    }

    fn remarks(&mut self) -> Vec<(Moment, String)> {
        std::mem::take(&mut self.remarks)
    }

    fn describe(&self) -> String {
        format!("UDP {}", self.address)
    }
}
