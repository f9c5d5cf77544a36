//! The board in a network namespace of its own, behind a veth pair, and the lab on this machine's end of it: the driver `host` as a laboratory uses it, with
//! a CA of the laboratory's and a cable that is pulled by `ip link`. It needs the superuser; others skip it and say so.

#![allow(clippy::unwrap_used)] // a test that cannot set up its ground may stop there

mod common;

use common::root;
use proofbench_channel::network::{BrokerConduct, Certificate, ConnId, Dial, Dialled, End, Front, Lie, Received, Seen, Service, Sight, Trade};
use proofbench_channel::{Cancel, Network, Wait};
use proofbench_rig::{Channels, ResolvedRig};
use proofbench_testkit::{Peer, find};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const LAB: &str = "198.51.100.1";
const DEVICE: &str = "198.51.100.2";

/// A namespace and the cable to it, removed at the end.
struct Segment {
    ip: PathBuf,
    name: String,
    ours: String,
}

impl Segment {
    fn new(ip: PathBuf) -> Self {
        let id = std::process::id();
        let (name, ours, theirs) = (format!("proofbench-{id}"), format!("pb{id}a"), format!("pb{id}b"));
        let segment = Self { ip, name, ours };
        segment.ip(&["netns", "add", &segment.name]);
        segment.ip(&["link", "add", &segment.ours, "type", "veth", "peer", "name", &theirs, "netns", &segment.name]);
        segment.ip(&["address", "add", &format!("{LAB}/24"), "dev", &segment.ours]);
        for host in 17..25 {
            segment.ip(&["address", "add", &format!("198.51.100.{host}/24"), "dev", &segment.ours]);
        }
        segment.ip(&["link", "set", &segment.ours, "up"]);
        for inside in
            [&["address", "add", &format!("{DEVICE}/24"), "dev", &theirs][..], &["link", "set", &theirs, "up"], &["link", "set", "lo", "up"]]
        {
            segment.ip(&[&["-n", segment.name.as_str()], inside].concat());
        }
        segment
    }

    fn ip(&self, words: &[&str]) {
        let done = Command::new(&self.ip).args(words).output().unwrap();
        assert!(done.status.success(), "ip {}: {}", words.join(" "), String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        let _ = Command::new(&self.ip).args(["netns", "del", &self.name]).output();
        let _ = Command::new(&self.ip).args(["link", "del", &self.ours]).output();
    }
}

fn is_superuser() -> bool {
    rustix::process::geteuid().is_root()
}

/// A CA as a laboratory makes it.
fn authority(openssl: &Path, dir: &Path) {
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=lab -keyout ca.key -out ca.pem";
    let made = Command::new(openssl).args(words.split(' ')).current_dir(dir).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

struct Lab(Channels);

impl Lab {
    fn network(&mut self) -> &mut dyn Network {
        self.0.network.as_mut().unwrap().as_mut()
    }
    fn wait(&self, d: Duration) -> Wait {
        Wait::until(self.0.clock.now() + d, &Cancel::new())
    }
    fn long(&self) -> Wait {
        self.wait(Duration::from_secs(60))
    }
    fn serve(&mut self, host: &str, port: u16, front: Front, trade: Trade) {
        let wait = self.long();
        self.network().serve(&Service { host: host.to_owned(), port, front, trade }, &wait).unwrap();
    }
    /// Calls until the device's port takes it.
    fn open(&mut self) -> ConnId {
        let wait = self.long();
        loop {
            match self.network().connect(&Dial::tls(8443), &wait).unwrap() {
                Dialled::Open(conn, Some(secured)) => {
                    assert_eq!(secured.subject, "TH1-0001");
                    return conn;
                }
                Dialled::Refused => {}
                other => panic!("{other:?}"),
            }
        }
    }
    fn say(&mut self, request: &str) -> String {
        let conn = self.open();
        let wait = self.long();
        assert!(self.network().send(conn, request.as_bytes(), &wait).unwrap());
        let mut answer = Vec::new();
        while !answer.windows(4).any(|w| w == b"\r\n\r\n") {
            assert!(matches!(self.network().receive(conn, &mut answer, &wait).unwrap(), Received::Bytes(_)));
        }
        self.network().close(conn, End::Fin).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
    fn see(&mut self, wanted: impl Fn(&Seen) -> bool) -> Seen {
        let wait = self.long();
        loop {
            let seen = self.network().seen(&wait).unwrap();
            assert!(!seen.is_empty(), "it was not seen in a minute");
            if let Some(found) = seen.into_iter().find(|s| wanted(s)) {
                return found;
            }
        }
    }
}

#[test]
fn a_device_behind_a_cable_of_this_machine_is_served_called_and_cut_off() {
    let (Some(ip), Some(openssl)) = (find("ip"), find("openssl")) else { return };
    if !is_superuser() {
        eprintln!("skipped: namespaces and their cables need the superuser");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    authority(&openssl, dir.path());
    let segment = Segment::new(ip);
    let board = Path::new(env!("CARGO_BIN_EXE_proofbench")).with_file_name("proofbench-board");
    assert!(board.is_file(), "{} is not built: `cargo test --workspace` builds it", board.display());
    let image = root().join("fixtures/devices/thermostat/images/1.2.0.bin");
    let mut device = Command::new(&segment.ip);
    device.args(["netns", "exec", &segment.name]).arg(board).arg("--image").arg(image).arg("--dir").arg(dir.path().join("board"));
    device.args(["--speed", "8", "--net", DEVICE, "--gateway", LAB, "--link-up"]).arg("--trust").arg(dir.path().join("ca.pem"));
    let mut device = Peer::start(&mut device);
    device.wait_for_line("console");

    let cable = |how: &str| format!("[{:?}, \"link\", \"set\", {:?}, {how:?}]", segment.ip, segment.ours);
    let text = format!(
        "format = 1\ndossier = {:?}\n[network]\ndriver = \"host\"\nlab = {LAB:?}\ndevice = {DEVICE:?}\nmany-addresses = true\n\
         ca = {{ certificate = \"ca.pem\", key = \"ca.key\" }}\nlink = {{ up = {}, down = {} }}\n",
        root().join("fixtures/devices/thermostat"),
        cable("up"),
        cable("down"),
    );
    let file = dir.path().join("rig.toml");
    std::fs::write(&file, &text).unwrap();
    let rig = ResolvedRig::load(&file).unwrap();
    let dossier = Arc::new(rig.load_dossier().unwrap());
    let mut lab = Lab(rig.open(dossier, 1, "a test").unwrap().channels);
    let wait = lab.long();
    lab.network().link(true, &wait).unwrap();
    lab.serve("resolver", 53, Front::Plain, Trade::Names { alive: true });
    lab.serve("time.th1.example", 123, Front::Plain, Trade::Time(Lie::Truth));
    lab.serve("mqtt.th1.example", 8883, Front::Tls(Certificate::Good), Trade::Broker(BrokerConduct::Proper));

    let body = r#"{"label":"k7Qm-2vTx-9Rpa","secret":"a secret of ours","auto-update":true,"telemetry":false}"#;
    let body = body.replace("a secret of ours", "Ours-4711-now");
    let answer = lab.say(&format!("POST /api/setup HTTP/1.1\r\nHost: device\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let cloud = lab.see(|s| matches!(s.sight, Sight::Secured { shown: Certificate::Good, .. }));
    assert_eq!((cloud.host.as_str(), cloud.port), ("mqtt.th1.example", 8883));
    let map = lab.network().scan(&[1..=10_000], &wait).unwrap();
    assert_eq!(map.open, [8080, 8443]);

    lab.network().link(false, &wait).unwrap();
    let soon = lab.wait(Duration::from_secs(1));
    assert_eq!(lab.network().connect(&Dial::tls(8443), &soon).unwrap(), Dialled::Silent);
    lab.network().link(true, &wait).unwrap();
    lab.open();
}
