//! A lab at an address of its own, a device beside it, and what the tests ask of both.

use proofbench_channel::network::{Front, Network, Seen, Service, Sight, Trade};
use proofbench_channel::{Cancel, ChannelError, Clock, ErrorKind, Moment, Wait};
use proofbench_peers::lab::{HostLab, HostSetup};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::{Builder, Runtime};

/// What has not come by then never will.
pub const LONG: Duration = Duration::from_secs(60);
/// What has not come by then is not on its way.
pub const SHORT: Duration = Duration::from_millis(300);
/// Where ports below 1024 are.
pub const LOW: u16 = 20_000;

/// Two addresses of loopback that no other test has: the lab's and the device's.
fn addresses() -> (Ipv4Addr, Ipv4Addr) {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let third = NEXT.fetch_add(1, Ordering::Relaxed);
    let second = 64 + u8::try_from(std::process::id() % 128).unwrap();
    (Ipv4Addr::new(127, second, third, 1), Ipv4Addr::new(127, second, third, 2))
}

pub struct Bench {
    // The lab ends before its runtime does.
    pub lab: HostLab,
    pub device: Ipv4Addr,
    /// What the cable was told.
    pub cable: Arc<Mutex<Vec<bool>>>,
    seen: Vec<Seen>,
    start: Instant,
    pub runtime: Runtime,
}

#[derive(Clone, Copy)]
pub struct BenchClock(Instant);

impl Clock for BenchClock {
    fn now(&self) -> Moment {
        moment(self.0)
    }
    fn sleep_until(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        while self.now() < wait.until {
            if wait.cancel.is_cancelled() {
                return Err(ChannelError::new(ErrorKind::Cancelled, "sleep"));
            }
            std::thread::yield_now();
        }
        Ok(())
    }
}

fn moment(start: Instant) -> Moment {
    Moment(u64::try_from(start.elapsed().as_nanos()).unwrap())
}

impl Bench {
    /// With the link in and a resolver up.
    pub fn new() -> Self {
        let mut bench = Self::with(|_| {});
        bench.lab.link(true, &bench.long()).unwrap();
        bench.serve("resolver", 53, Front::Plain, Trade::Names { alive: true });
        bench
    }

    /// As it is opened, with these changes to the setup.
    pub fn with(change: impl FnOnce(&mut HostSetup)) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let start = Instant::now();
        let (lab, device) = addresses();
        let cable = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&cable);
        let mut setup = HostSetup {
            runtime: runtime.handle().clone(),
            now: Arc::new(move || moment(start)),
            left: Arc::new(move |until| until.since(moment(start))),
            unix: Arc::new(SystemTime::now),
            device: IpAddr::V4(device),
            lab,
            low_ports: LOW,
            many_addresses: true,
            link: Some(Box::new(move |up| {
                told.lock().unwrap().push(up);
                Ok(())
            })),
            authority: None,
        };
        change(&mut setup);
        let lab = HostLab::open(setup).unwrap();
        Self { lab, device, cable, seen: Vec::new(), start, runtime }
    }

    pub fn clock(&self) -> BenchClock {
        BenchClock(self.start)
    }

    pub fn wait(&self, time: Duration) -> Wait {
        Wait::until(self.clock().now() + time, &Cancel::new())
    }

    pub fn long(&self) -> Wait {
        self.wait(LONG)
    }

    pub fn serve(&mut self, host: &str, port: u16, front: Front, trade: Trade) {
        let wait = self.long();
        self.lab.serve(&Service { host: host.to_owned(), port, front, trade }, &wait).unwrap();
    }

    /// The address that the resolver has for a name.
    pub fn resolve(&self, name: &str) -> Ipv4Addr {
        resolve(self.lab.resolver(), name).unwrap_or_else(|| panic!("{name} has no address"))
    }

    /// Where this host's service is on this machine.
    pub fn place(&self, host: &str, port: u16) -> SocketAddr {
        (self.resolve(host), self.lab.real(port).port()).into()
    }

    /// The first sight, of all that are or come, that is such a one.
    pub fn sees(&mut self, what: &str, is: impl Fn(&Seen) -> bool) -> Seen {
        let wait = self.long();
        loop {
            if let Some(found) = self.seen.iter().find(|s| is(s)) {
                return found.clone();
            }
            let news = self.lab.seen(&wait).unwrap();
            assert!(!news.is_empty(), "no {what} in {:#?}", self.seen);
            self.seen.extend(news);
        }
    }

    /// All sights until the connection of this one has ended, of that connection.
    pub fn until_end(&mut self, conn: u64) -> Vec<Sight> {
        self.sees("end", |s| s.conn == conn && matches!(s.sight, Sight::Ended(_)));
        self.of(conn)
    }

    /// All sights of a connection that came so far.
    pub fn of(&self, conn: u64) -> Vec<Sight> {
        self.seen.iter().filter(|s| s.conn == conn).map(|s| s.sight.clone()).collect()
    }

    /// Forgets what was seen.
    pub fn forget(&mut self) {
        let now = self.wait(Duration::ZERO);
        self.lab.seen(&now).unwrap();
        self.seen.clear();
    }

    /// curl, which finds this host's port where the resolver says it is.
    pub fn curl(&self, program: &std::path::Path, host: &str, port: u16, path: &str, options: &[&str]) -> Output {
        let place = self.place(host, port);
        let scheme = if port == 443 { "https" } else { "http" };
        let mut command = Command::new(program);
        command.args(["--silent", "--show-error", "--max-time", "60", "--noproxy", "*", "--resolve"]);
        command.arg(format!("{host}:{}:{}", place.port(), place.ip())).args(options);
        command.arg(format!("{scheme}://{host}:{}{path}", place.port())).stdin(Stdio::null()).output().unwrap()
    }

    /// A file with the lab's CA.
    pub fn trust(&self) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(self.lab.trust_pem().as_bytes()).unwrap();
        file
    }
}

/// Asks for an IPv4 address; nothing if there is none, or no answer soon.
pub fn resolve(resolver: SocketAddr, name: &str) -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(resolver).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.extend(b"\x00\x00\x01\x00\x01");
    socket.send(&query).ok()?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).ok()?;
    // One answer, and its four octets stand last but for EDNS, which was not asked for.
    let found = answer[6..8] == [0, 1];
    found.then(|| Ipv4Addr::new(answer[length - 4], answer[length - 3], answer[length - 2], answer[length - 1]))
}

/// A server of the device, each of whose connections is served by this on a thread.
pub fn device(at: Ipv4Addr, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((at, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    port
}

/// Says everything back in capitals, and ends at `bye`.
pub fn echo(mut stream: TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut bytes) {
        if bytes[..n].starts_with(b"bye") || stream.write_all(&bytes[..n].to_ascii_uppercase()).is_err() {
            return;
        }
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
