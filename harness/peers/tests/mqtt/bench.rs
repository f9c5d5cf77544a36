//! What these tests stand on: a broker on a lab, its timeline to wait on, programs that talk to it, and a client that says what no program says.

use bytes::BytesMut;
use proofbench_channel::{Cancel, Moment, Wait};
use proofbench_peers::mqtt::{Broker, Setup};
use proofbench_peers::{Lab, Seen, Timeline};
use proofbench_testkit::{Peer, find};
use rumqttc::mqttbytes::v4::{Connect, Packet};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// What has not happened by then never will.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Bench {
    pub broker: Broker,
    pub lab: Lab,
    _runtime: Runtime,
}

impl Bench {
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let start = Instant::now();
        let timeline = Timeline::new(move || Moment(start.elapsed().as_nanos() as u64));
        let lab = Lab { runtime: runtime.handle().clone(), timeline };
        let mut setup = Setup::open("broker", SocketAddr::from(([127, 0, 0, 1], 0)));
        change(&mut setup);
        let broker = Broker::start(&lab, setup).unwrap();
        Self { broker, lab, _runtime: runtime }
    }

    /// Waits for an entry with this in it.
    pub fn sees(&self, part: &str) -> Seen {
        self.sees_from(0, part)
    }

    pub fn sees_from(&self, since: u64, part: &str) -> Seen {
        let wait = Wait::until(self.lab.timeline.now() + PATIENCE, &Cancel::new());
        let found = self.lab.timeline.wait(since, &wait, |e| e.what.contains(part)).unwrap();
        found.unwrap_or_else(|| panic!("never `{part}`, but:\n{}", self.told()))
    }

    /// Everything that was told, a line each.
    pub fn told(&self) -> String {
        let (entries, _) = self.lab.timeline.take();
        entries.iter().map(|e| format!("{}\n", e.what)).collect()
    }

    /// One of mosquitto's clients, with its address filled in.
    pub fn mosquitto(&self, program: &str, args: &[&str]) -> Option<Peer> {
        let address = self.broker.address();
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        Some(Peer::start(Command::new(find(program)?).args(["-h", &host, "-p", &port]).args(args)))
    }

    pub fn client(&self) -> Client {
        let stream = TcpStream::connect(self.broker.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream, buffer: BytesMut::new() }
    }

    /// A client that is connected.
    pub fn connected(&self, id: &str) -> Client {
        let mut client = self.client();
        client.connect(id, |_| {});
        assert_eq!(client.packet(), b"\x20\x02\x00\x00");
        client
    }
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    Closed,
    Reset,
}

/// A client by hand.
pub struct Client {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Client {
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn connect(&mut self, id: &str, change: impl FnOnce(&mut Connect)) {
        let mut connect = Connect::new(id);
        connect.keep_alive = 0;
        change(&mut connect);
        self.write(&Packet::Connect(connect));
    }

    pub fn write(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, usize::MAX).unwrap();
        self.send(&bytes);
    }

    /// The next packet, of less than 128 bytes.
    pub fn packet(&mut self) -> Vec<u8> {
        let head = self.bytes(2);
        let mut packet = head.clone();
        packet.extend(self.bytes(head[1].into()));
        packet
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            let mut read = [0; 4096];
            let n = self.stream.read(&mut read).unwrap();
            assert!(n > 0, "the broker ended after {:?}", self.buffer);
            self.buffer.extend_from_slice(&read[..n]);
        }
        self.buffer.split_to(count).to_vec()
    }

    /// Reads to the end: what else came, and how it ended.
    pub fn end(mut self) -> (Vec<u8>, Ended) {
        let mut rest = self.buffer.to_vec();
        let mut read = [0; 4096];
        loop {
            match self.stream.read(&mut read) {
                Ok(0) => return (rest, Ended::Closed),
                Ok(n) => rest.extend_from_slice(&read[..n]),
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return (rest, Ended::Reset),
                Err(e) => panic!("{e} after {rest:?}"),
            }
        }
    }
}

/// Waits for a program that is to be content, and gives its output.
pub fn content(mut peer: Peer) -> Vec<String> {
    let status = peer.end();
    assert!(status.success(), "{status}: {:?}", peer.output());
    peer.output()
}

/// Waits for a program that is to fail, and gives its exit code and output.
pub fn failed(mut peer: Peer) -> (i32, String) {
    let code = peer.end().code().unwrap();
    assert_ne!(code, 0);
    (code, peer.output().join("\n"))
}
