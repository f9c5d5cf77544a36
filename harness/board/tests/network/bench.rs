//! A board with a network of its own, and a lab at the other end.

use proofbench_channel::{Cancel, Moment, Wait};
use proofbench_peers::dns::{DnsServer, DnsSetup, Unknown, Zone};
use proofbench_peers::mqtt::{Broker, Setup as BrokerSetup};
use proofbench_peers::ntp::{NtpServer, NtpSetup};
use proofbench_peers::tls::certs::{Flaw, Matrix};
use proofbench_peers::tls::server::{Behaviour, Met, TlsServer, TlsSetup};
use proofbench_peers::{Lab, Seen, Timeline};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Runtime;

/// An upper bound of every wait; nothing is measured by it.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Ports below 1024 stand here.
pub const LOW: u16 = 20_000;
/// The device's cloud.
pub const CLOUD: (&str, u16) = ("mqtt.th1.example", 8883);

/// The certificates of the lab, for the device's cloud.
pub fn matrix() -> &'static Matrix {
    static MATRIX: OnceLock<Matrix> = OnceLock::new();
    MATRIX.get_or_init(|| Matrix::new(CLOUD.0, SystemTime::now()).unwrap())
}

/// Two addresses of the loopback network that no other test has.
pub struct Place {
    pub gateway: Ipv4Addr,
    pub device: Ipv4Addr,
    _taken: TcpListener,
}

impl Place {
    pub fn new() -> Self {
        let start = std::process::id() % 250;
        for n in 0..60 * 250 {
            let (b, c) = (64 + n / 250, (start + n) % 250);
            let gateway = Ipv4Addr::new(127, b as u8, c as u8, 1);
            if let Ok(taken) = TcpListener::bind((gateway, LOW + 9)) {
                let [a, b, c, _] = gateway.octets();
                return Self { gateway, device: Ipv4Addr::new(a, b, c, 2), _taken: taken };
            }
        }
        panic!("every loopback network is taken");
    }
}

/// The lab.
pub struct Side {
    pub lab: Lab,
    pub place: Place,
    // What runs on the runtime ends before it.
    _time: Option<NtpServer>,
    names: Option<DnsServer>,
    _runtime: Runtime,
}

impl Side {
    /// A network without anybody.
    pub fn empty() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let start = Instant::now();
        let timeline = Timeline::new(move || Moment(u64::try_from(start.elapsed().as_nanos()).unwrap()));
        Self { lab: Lab { runtime: runtime.handle().clone(), timeline }, place: Place::new(), _time: None, names: None, _runtime: runtime }
    }

    /// A resolver to which every name is the lab, and the time.
    pub fn new() -> Self {
        let mut side = Self::empty();
        side.resolve(true);
        let setup = NtpSetup { name: "time".into(), listen: side.at(LOW + 123), clock: std::sync::Arc::new(unix_now) };
        side._time = Some(NtpServer::start(&side.lab, setup).unwrap());
        side
    }

    /// The resolver knows all names, or none.
    pub fn resolve(&mut self, all: bool) {
        let unknown = if all { Unknown::Lab { v4: self.place.gateway, v6: None, ttl: 60 } } else { Unknown::NxDomain };
        if let Some(names) = &self.names {
            return names.set_zone(Zone::new(), unknown);
        }
        let setup = DnsSetup { name: "names".into(), listen: self.at(LOW + 53), zone: Zone::new(), unknown };
        self.names = Some(DnsServer::start(&self.lab, setup).unwrap());
    }

    pub fn names(&self) -> &DnsServer {
        self.names.as_ref().unwrap()
    }

    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.place.gateway, port))
    }

    /// A server that shows this certificate.
    pub fn shows(&self, port: u16, flaw: Flaw) -> TlsServer {
        self.asks_for(port, flaw, None)
    }

    /// The same, which also asks for a certificate of this CA.
    pub fn asks_for(&self, port: u16, flaw: Flaw, client_ca: Option<CertificateDer<'static>>) -> TlsServer {
        let setup = TlsSetup {
            peer: "cloud".into(),
            listen: self.at(port),
            behaviour: serving(flaw),
            client_ca,
            answer: bytes::Bytes::new(),
            patience: PATIENCE,
        };
        TlsServer::start(&self.lab, setup).unwrap()
    }

    /// The device's cloud, with the good certificate.
    pub fn broker(&self) -> Broker {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let good = matrix().identity(Flaw::None).unwrap().certified().unwrap();
        let config = builder.with_no_client_auth().with_cert_resolver(std::sync::Arc::new(rustls::sign::SingleCertAndKey::from(good)));
        let setup = BrokerSetup { tls: Some(config.into()), ..BrokerSetup::open("cloud", self.at(CLOUD.1)) };
        Broker::start(&self.lab, setup).unwrap()
    }

    /// Waits for an entry with this in it.
    pub fn sees(&self, part: &str) -> Seen {
        let wait = Wait::until(self.lab.timeline.now() + PATIENCE, &Cancel::new());
        let found = self.lab.timeline.wait(0, &wait, |e| e.what.contains(part)).unwrap();
        found.unwrap_or_else(|| panic!("never `{part}`, but {:#?}", self.lab.timeline.take().0.iter().map(|e| &e.what).collect::<Vec<_>>()))
    }

    /// Waits until the server has met somebody like this.
    pub fn sees_met(&self, server: &TlsServer, like: impl Fn(&Met) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !server.met().iter().any(&like) {
            assert!(Instant::now() < until, "never met, but {:#?}", server.met());
            std::thread::yield_now();
        }
    }
}

pub fn serving(flaw: Flaw) -> Behaviour {
    Behaviour::Serve(matrix().identity(flaw).unwrap().clone())
}

fn unix_now() -> i128 {
    i128::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// A process of a board. It ends when its standard input does.
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    pub ready: Value,
}

impl Process {
    /// Started, and ready.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
        Self { stdin: child.stdin.take(), child, ready }
    }

    pub fn port(&self, name: &str) -> u16 {
        u16::try_from(self.ready[name].as_u64().unwrap()).unwrap()
    }

    /// Without a word: the end of power.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.wait();
    }
}

/// A board on its network.
pub struct Board {
    pub address: Ipv4Addr,
    pub process: Process,
    _dir: tempfile::TempDir,
}

impl Board {
    /// At the lab's network, with its CA as the maker's.
    pub fn start(side: &Side, arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let trust = dir.path().join("trust.pem");
        std::fs::write(&trust, &matrix().ca_pem).unwrap();
        let mut command = command(&side.place, dir.path());
        let process = Process::start(command.arg("--trust").arg(trust).args(arguments));
        Self { address: side.place.device, process, _dir: dir }
    }

    /// The board of a supervisor, switched on and with its cable in.
    pub fn switched(place: &Place) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let process = Process::start(command(place, dir.path()).args(["--switched", "--on", "--link-up"]));
        Self { address: place.device, process, _dir: dir }
    }

    /// With its cable in, and its HTTPS port open.
    pub fn up(side: &Side, arguments: &[&str]) -> Self {
        let board = Self::start(side, &[&["--link-up"], arguments].concat());
        board.wait_for(8443, true);
        board
    }

    pub fn connect(&self, port: u16) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect((self.address, port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Waits until this port is open, or closed.
    pub fn wait_for(&self, port: u16, open: bool) {
        let until = Instant::now() + PATIENCE;
        while self.connect(port).is_ok() != open {
            assert!(Instant::now() < until, "port {port} never became open={open}");
            std::thread::yield_now();
        }
    }

    /// One request to the fixture.
    pub fn fixture(&self, request: &Value) -> Value {
        ask(self.process.port("fixture"), request)
    }

    pub fn link(&self, up: bool) {
        assert_eq!(self.fixture(&json!({ "do": "link", "up": up })), json!({}));
    }

    /// One request with curl; what it printed.
    pub fn curl(&self, curl: &Path, path: &str, more: &[&str]) -> String {
        let mut command = Command::new(curl);
        command.args(["--silent", "--show-error", "--insecure", "--noproxy", "*", "--max-time", "60"]).args(more);
        let done = command.arg(format!("https://{}:8443{path}", self.address)).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// Gives it an owner.
    pub fn set_up(&self, curl: &Path) {
        let body = r#"{"label":"k7Qm-2vTx-9Rpa","secret":"a-secret-of-the-owner","auto-update":false,"telemetry":true}"#;
        assert_eq!(self.curl(curl, "/api/setup", &["--data", body]), r#"{"set-up":true}"#);
    }
}

/// How a board is started.
fn command(place: &Place, dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proofbench-board"));
    command.arg("--parent-pipe").arg("--dir").arg(dir).arg("--image").arg(image("1.2.0.bin")).args(["--speed", "8"]);
    command.args(["--net", &place.device.to_string(), "--gateway", &place.gateway.to_string(), "--low-ports", &LOW.to_string()]);
    command
}

/// Hears datagrams to many, beside whoever else does.
pub fn ear(at: SocketAddrV4) -> UdpSocket {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None).unwrap();
    sockopt::set_socket_reuseaddr(&socket, true).unwrap();
    rustix::net::bind(&socket, &at).unwrap();
    let socket = UdpSocket::from(socket);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// One request to a fixture's port.
pub fn ask(port: u16, request: &Value) -> Value {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("{request}\n").as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(&mut stream).read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

/// Reads until the other side ends; whether it did so by a reset.
pub fn ends_by_reset(stream: &mut TcpStream) -> bool {
    let mut lost = Vec::new();
    match stream.read_to_end(&mut lost) {
        Ok(_) => false,
        Err(e) => {
            assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset);
            true
        }
    }
}

pub fn image(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/devices/thermostat/images").join(name)
}
