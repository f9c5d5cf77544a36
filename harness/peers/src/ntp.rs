//! An NTP server (RFC 5905, mode 3 answered by mode 4): the time that the caller hands in, or a lie about it.
//!
//! The origin of what is told is a closure, so that the lab's time can be scaled or false. No authentication; a MAC or an extension behind the request is
//! seen and not answered. Control and private messages are seen and not answered either.
//!
//! Run against: chronyd 4.3.

pub(crate) mod packet;

pub use packet::Kiss;

use crate::{Lab, Service, Timeline};
use bytes::Bytes;
use packet::{Reply, Request, stamp};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UdpSocket;

/// Nanoseconds since the Unix epoch, without leap seconds; may lie before it.
pub type Clock = Arc<dyn Fn() -> i128 + Send + Sync>;

/// The Unix epoch, in nanoseconds since itself. As NTP numbers it, 136 years later is the same moment.
pub const UNIX_EPOCH: i128 = 0;
/// The first moment of NTP's era 1, 2036-02-07T06:28:16Z: the 32 bits of seconds begin at 0 again.
pub const ERA_1: i128 = ((1 << 32) - packet::UNIX_IN_NTP) * packet::SECOND;
/// 2038-01-19T03:14:08Z: signed 32 bits of seconds since the Unix epoch overflow.
pub const UNIX_OVERFLOW: i128 = (1 << 31) * packet::SECOND;

/// Longest datagram that is looked at whole; a longer one is cut.
const DATAGRAM_MOST: usize = 2048;

/// How the server behaves. Times are in nanoseconds, moments since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// Tells the clock's time, at stratum 1.
    Honest,
    /// Tells the clock's time and so much more, or less.
    Offset(i128),
    /// Tells this moment now, and goes on from there at the clock's pace.
    From(i128),
    /// Tells this moment, always.
    Frozen(i128),
    /// Stratum 0 and a code: go away.
    KissOfDeath(Kiss),
    /// The clock's time with this leap indicator (0 to 3; 3 is "not synchronised") and stratum (16 is "not synchronised").
    Status {
        /// Leap indicator; the two lowest bits count.
        leap: u8,
        /// Stratum.
        stratum: u8,
    },
    /// No answer.
    Silent,
    /// The clock's time as an answer to another request: the origin timestamp is not the request's.
    WrongOrigin,
}

/// What the server is and where.
#[derive(Clone)]
pub struct NtpSetup {
    /// Name on the timeline.
    pub name: Arc<str>,
    /// Where to listen; port 0 is any. With an address of its own, answers come from there.
    pub listen: SocketAddr,
    /// The time.
    pub clock: Clock,
}

impl fmt::Debug for NtpSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NtpSetup").field("name", &self.name).field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum NtpError {
    /// The address cannot be listened on.
    #[error("listen for NTP at {at}")]
    Listen {
        /// The address.
        at: SocketAddr,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct NtpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    _listening: Service,
}

#[derive(Debug)]
struct Shared {
    timeline: Timeline,
    setup: NtpSetup,
    /// The conduct, and the clock's time when it began.
    conduct: Mutex<(Conduct, i128)>,
}

impl NtpServer {
    /// Listens, and is honest.
    pub fn start(lab: &Lab, setup: NtpSetup) -> Result<Self, NtpError> {
        let failed = |source| NtpError::Listen { at: setup.listen, source };
        let (socket, address) = listen(lab, setup.listen).map_err(failed)?;
        let conduct = Mutex::new((Conduct::Honest, (setup.clock)()));
        let shared = Arc::new(Shared { timeline: lab.timeline.clone(), setup, conduct });
        let listening = Service::start(lab, serve(socket, Arc::clone(&shared)));
        Ok(Self { address, shared, _listening: listening })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it behaves from the next request on.
    pub fn set_conduct(&self, conduct: Conduct) {
        let began = (self.shared.setup.clock)();
        *self.shared.conduct.lock().unwrap_or_else(PoisonError::into_inner) = (conduct, began);
    }
}

fn listen(lab: &Lab, at: SocketAddr) -> io::Result<(UdpSocket, SocketAddr)> {
    let _inside = lab.runtime.enter();
    let socket = std::net::UdpSocket::bind(at)?;
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    Ok((UdpSocket::from_std(socket)?, address))
}

async fn serve(socket: UdpSocket, shared: Arc<Shared>) {
    let mut buffer = [0; DATAGRAM_MOST];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                if let Some(reply) = shared.answer(&buffer[..length], from)
                    && let Err(e) = socket.send_to(&reply, from).await
                {
                    shared.say(format!("{from} cannot be answered: {e}"), Bytes::new());
                }
            }
            // A port that was closed meanwhile; haste does not help.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

impl Shared {
    fn say(&self, what: String, bytes: Bytes) {
        self.timeline.add(&self.setup.name, what, bytes);
    }

    fn answer(&self, datagram: &[u8], from: SocketAddr) -> Option<[u8; packet::LENGTH]> {
        let seen = Bytes::copy_from_slice(datagram);
        let request = match Request::read(datagram) {
            Ok(request) => request,
            Err(why) => {
                self.say(format!("{from} not a request: {why}"), seen);
                return None;
            }
        };
        let behind = datagram.len() - packet::LENGTH;
        self.say(format!("{from} asks, version {}, {behind} bytes behind it", request.version), seen);
        let (conduct, began) = *self.conduct.lock().unwrap_or_else(PoisonError::into_inner);
        let clock = || told(conduct, began, (self.setup.clock)());
        let received = clock();
        let mut reply = Reply {
            leap: 0,
            stratum: 1,
            reference_id: *b"LAB\0",
            origin: request.transmit,
            received: stamp(received),
            sent: 0,
            referred: stamp(received.saturating_sub(packet::SECOND)),
        };
        match conduct {
            Conduct::Silent => {
                self.say(format!("{from} not answered"), Bytes::new());
                return None;
            }
            Conduct::KissOfDeath(kiss) => (reply.leap, reply.stratum, reply.reference_id) = (3, 0, kiss.code()),
            Conduct::Status { leap, stratum } => (reply.leap, reply.stratum) = (leap, stratum),
            Conduct::WrongOrigin => reply.origin = !request.transmit,
            Conduct::Honest | Conduct::Offset(_) | Conduct::From(_) | Conduct::Frozen(_) => {}
        }
        let sent = clock();
        reply.sent = stamp(sent);
        let bytes = reply.write(&request);
        self.say(format!("{from} told {} s since 1970, {conduct:?}", sent.div_euclid(packet::SECOND)), Bytes::copy_from_slice(&bytes));
        Some(bytes)
    }
}

/// The moment that is told when the clock says `now`.
fn told(conduct: Conduct, began: i128, now: i128) -> i128 {
    match conduct {
        Conduct::Offset(by) => now.saturating_add(by),
        Conduct::From(moment) => moment.saturating_add(now.saturating_sub(began)),
        Conduct::Frozen(moment) => moment,
        _ => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Conduct::Honest, 1_500)]
    #[case(Conduct::Offset(-2_000), -500)]
    #[case(Conduct::Offset(i128::MAX), i128::MAX)]
    #[case(Conduct::From(7), 507)]
    #[case(Conduct::Frozen(7), 7)]
    fn what_is_told_half_a_thousand_after_the_beginning(#[case] conduct: Conduct, #[case] moment: i128) {
        assert_eq!(told(conduct, 1_000, 1_500), moment);
    }
}
