//! What the tests of plugs stand on: brokers, something to switch, addresses, errors in full.

use super::start::plug;
use proofbench_channel::{ChannelError, ErrorKind, conformance};
use proofbench_drivers::RealClock;
use proofbench_drivers::power::Supply;
use proofbench_testkit::{Peer, find, free_port};
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Too short for a peer that is not there.
pub const SHORT: Duration = Duration::from_millis(400);

/// An error with all its causes, as a report shows it.
pub fn told(error: &ChannelError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        text = format!("{text}: {e}");
        cause = e.source();
    }
    text
}

/// Repeats a call that fails until it fails like this. What a driver can say of a broker depends on what its I/O thread has had time to hear, and on a
/// machine that is busy with other tests that may be nothing.
pub fn fails_at_last(kind: ErrorKind, what: &str, mut call: impl FnMut() -> ChannelError) {
    let mut last = String::new();
    for _ in 0..50 {
        let error = call();
        last = told(&error);
        if error.kind == kind && last.contains(what) {
            return;
        }
    }
    panic!("never {kind:?} with `{what}`, but: {last}");
}

/// Runs the behaviour suite of supplies.
pub fn conforms(power: &mut dyn proofbench_channel::Power, supply: &Supply) {
    let outcome = conformance::power(power, &mut RealClock(supply.time));
    assert_eq!(outcome, Ok(()));
}

/// An address of this machine that no other test uses, so that a peer can be killed and started again on its port: nobody else can take the port
/// meanwhile, and nobody who looks for the peer can meet himself.
pub fn own_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    format!("127.{high}.{low}.{}", 1 + number % 250)
}

/// What hangs on a plug's first relay, and remembers how it was switched.
pub struct Switched {
    port: u16,
    turns: Arc<Mutex<Vec<bool>>>,
}

impl Switched {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let turns = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&turns);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut line = String::new();
                let mut stream = BufReader::new(stream);
                if stream.read_line(&mut line).is_ok() {
                    kept.lock().unwrap().push(line.trim() == "on");
                    let _ = stream.get_mut().write_all(b"ok\n");
                }
            }
        });
        Self { port, turns }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How it was switched, in order.
    pub fn turns(&self) -> Vec<bool> {
        self.turns.lock().unwrap().clone()
    }
}

/// Who may come in to a broker.
#[derive(Default)]
pub struct Entry<'a> {
    /// A user and a password; else everybody.
    pub user: Option<(&'a str, &'a str)>,
    /// Certificate and key, PEM.
    pub tls: Option<(&'a str, &'a str)>,
}

/// A mosquitto of the test's own.
pub struct Broker {
    program: PathBuf,
    config: PathBuf,
    peer: Option<Peer>,
    pub host: String,
    pub port: u16,
    _dir: tempfile::TempDir,
}

impl Broker {
    pub fn start(host: &str, entry: &Entry<'_>) -> Option<Self> {
        let (program, passwd) = (find("mosquitto")?, find("mosquitto_passwd")?);
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut config = format!("listener {port} {host}\nuser root\npersistence false\nlog_dest stderr\n");
        if let Some((user, password)) = entry.user {
            let file = dir.path().join("passwords");
            let made = Command::new(passwd).arg("-b").arg("-c").arg(&file).args([user, password]).status().unwrap();
            assert!(made.success());
            config += &format!("allow_anonymous false\npassword_file {}\n", file.display());
        } else {
            config += "allow_anonymous true\n";
        }
        if let Some((certificate, key)) = entry.tls {
            config += &format!("certfile {}\n", written(dir.path(), "broker.pem", certificate));
            config += &format!("keyfile {}\n", written(dir.path(), "broker.key", key));
        }
        let path = dir.path().join("mosquitto.conf");
        std::fs::write(&path, config).unwrap();
        let mut broker = Self { program, config: path, peer: None, host: host.to_owned(), port, _dir: dir };
        broker.restart();
        Some(broker)
    }

    pub fn kill(&mut self) {
        self.peer = None;
    }

    /// Starts it, again if it ran, and returns when it listens.
    pub fn restart(&mut self) {
        self.kill();
        let mut peer = Peer::start(Command::new(&self.program).arg("-c").arg(&self.config));
        peer.wait_for_line(" running");
        self.peer = Some(peer);
    }

    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// A plug behind it, connected and listening.
    pub fn plug(&self, arguments: &[&str]) -> Option<Peer> {
        let port = self.port.to_string();
        let mut peer = plug("tasmota_mqtt.py", &[&["--host", &self.host, "--port", &port], arguments].concat())?;
        peer.ready();
        Some(peer)
    }

    /// Publishes and returns when the broker has it.
    pub fn publish(&self, topic: &str, payload: &str, more: &[&str]) {
        let Some(program) = find("mosquitto_pub") else { panic!("mosquitto_pub comes with mosquitto-clients") };
        let port = self.port.to_string();
        let done = Command::new(program).args(["-h", &self.host, "-p", &port, "-q", "1", "-t", topic, "-m", payload]).args(more).status().unwrap();
        assert!(done.success());
    }

    /// Returns when this was published, or is retained.
    pub fn wait_for(&self, topic: &str, payload: &str) {
        let Some(program) = find("mosquitto_sub") else { panic!("mosquitto_sub comes with mosquitto-clients") };
        let port = self.port.to_string();
        Peer::start(Command::new(program).args(["-h", &self.host, "-p", &port, "-t", topic])).wait_for_line(payload);
    }
}

/// Writes a file and returns its path.
pub fn written(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}
