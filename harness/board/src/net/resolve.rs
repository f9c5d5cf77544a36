//! One question to the resolver, asked again until it is answered or given up.

use super::setup::NetSetup;
use super::socket;
use hickory_proto::op::{Message, MessageType, OpCode, Query as Question, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use rustix::event::{PollFd, PollFlags};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

/// Device time between two askings, and until it is given up.
const AGAIN_NS: u64 = 1_000_000_000;
const GIVEN_UP_NS: u64 = 5_000_000_000;
/// Longest answer, and most answers of one look.
const ANSWER_MOST: usize = 4096;
const LOOK_MOST: usize = 16;

/// What is known of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Nothing yet.
    Waits,
    /// Its address.
    Address(Ipv4Addr),
    /// It has none, or nobody says.
    No,
}

/// The question.
#[derive(Debug)]
pub struct Query {
    socket: UdpSocket,
    name: Name,
    id: u16,
    bytes: Vec<u8>,
    next: u64,
    until: u64,
}

impl Query {
    /// A question under this number, from a port of its own. It is not sent yet.
    pub fn new(setup: &NetSetup, host: &str, id: u16, now: u64) -> io::Result<Self> {
        // Bytes and not text: what a device asks for is told as it is.
        let mut name = Name::from_labels(host.split('.').map(str::as_bytes)).map_err(io::Error::other)?;
        name.set_fqdn(true);
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Question::query(name.clone(), RecordType::A));
        let bytes = message.to_vec().map_err(io::Error::other)?;
        let socket = socket::udp(SocketAddrV4::new(setup.address, 0))?;
        socket.connect(setup.resolver())?;
        Ok(Self { socket, name, id, bytes, next: now, until: now + GIVEN_UP_NS })
    }

    /// Asks when it is time to, and says so when it is time to give up.
    pub fn turn(&mut self, now: u64) -> Known {
        if now >= self.until {
            return Known::No;
        }
        if now >= self.next {
            self.next = now + AGAIN_NS;
            // Word that nobody is there came to an earlier asking; it is no answer.
            let _ = self.socket.take_error();
            let _ = self.socket.send(&self.bytes);
        }
        Known::Waits
    }

    /// Looks at what has come. What is no answer to this question is passed over.
    pub fn hear(&mut self) -> Known {
        let mut arrived = [0; ANSWER_MOST];
        for _ in 0..LOOK_MOST {
            match self.socket.recv(&mut arrived) {
                Ok(n) => match self.read(&arrived[..n]) {
                    Known::Waits => {}
                    known => return known,
                },
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {}
            }
        }
        Known::Waits
    }

    fn read(&self, bytes: &[u8]) -> Known {
        let Ok(message) = Message::from_vec(bytes) else { return Known::Waits };
        let head = &message.metadata;
        let asked = matches!(&message.queries[..], [q] if q.query_type() == RecordType::A && *q.name() == self.name);
        if head.id != self.id || head.message_type != MessageType::Response || !asked {
            return Known::Waits;
        }
        // Whoever stands behind an alias stands behind the name.
        let address = message.answers.iter().find_map(|r| if let RData::A(a) = r.data { Some(a.0) } else { None });
        match address.filter(|_| head.response_code == ResponseCode::NoError) {
            Some(address) => Known::Address(address),
            None => Known::No,
        }
    }

    /// Itself, polled for answers.
    pub fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(&self.socket, PollFlags::IN)
    }
}
