//! What the lab finds of the board on its network, beside what public tools find of the same board at the same time.

#![allow(clippy::unwrap_used)] // a test that cannot set up its ground may stop there

mod common;

use common::root;
use proofbench_channel::conformance::{NetworkDevice, network as network_conforms};
use proofbench_channel::network::{BrokerConduct, Certificate, Front, Service, Sight, Trade};
use proofbench_channel::{Cancel, Network, PowerAsk, Wait};
use proofbench_rig::{Channels, ResolvedRig};
use proofbench_testkit::find;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// The board, up and on its network, and the two addresses and the shift of low ports as its lab tells them.
struct Bench {
    channels: Channels,
    device: String,
    lab: String,
    shift: u16,
}

impl Bench {
    fn new() -> Self {
        let rig = ResolvedRig::load(&root().join("rigs/board.toml")).unwrap();
        let dossier = Arc::new(rig.load_dossier().unwrap());
        let mut channels = rig.open(dossier, 1, "a test").unwrap().channels;
        let told = channels.network.as_ref().unwrap().describe();
        let word = |after: &str| told.split(after).nth(1).unwrap().split([' ', ',']).next().unwrap().to_owned();
        let (lab, device, shift) = (word("lab at "), word("device at "), word("below 1024 from ").parse().unwrap());
        let wait = Wait::until(channels.clock.now() + Duration::from_secs(120), &Cancel::new());
        channels.power.as_mut().unwrap().set(PowerAsk::On, &wait).unwrap();
        let mut bench = Self { channels, device, lab, shift };
        bench.network().link(true, &wait).unwrap();
        while !bench.open_ports().contains(&8443) {}
        bench
    }

    fn network(&mut self) -> &mut dyn Network {
        self.channels.network.as_mut().unwrap().as_mut()
    }

    fn wait(&self) -> Wait {
        Wait::until(self.channels.clock.now() + Duration::from_secs(600), &Cancel::new())
    }

    /// As the lab finds them, by their numbers on this machine.
    fn open_ports(&mut self) -> BTreeSet<u16> {
        let wait = self.wait();
        let map = self.network().scan(&[1..=65_535], &wait).unwrap();
        assert_eq!(map.silent, Vec::<u16>::new());
        map.open.into_iter().map(|p| if p < 1024 { p + self.shift } else { p }).collect()
    }
}

fn text(program: &Path, arguments: &[&str]) -> String {
    String::from_utf8_lossy(&Command::new(program).args(arguments).output().unwrap().stdout).into_owned()
}

#[test]
fn nmap_finds_the_same_open_ports() {
    let Some(nmap) = find("nmap") else { return };
    let mut bench = Bench::new();
    let ours = bench.open_ports();
    let device = bench.device.clone();
    let said = text(&nmap, &["-sT", "-n", "-Pn", "-T5", "--open", "-oG", "-", "-p", "1-65535", &device]);
    let theirs: BTreeSet<u16> = said.split_whitespace().filter_map(|w| w.split_once("/open/tcp")).map(|(port, _)| port.parse().unwrap()).collect();
    // What listens on every address of this machine is nobody's here, and the lab says so.
    let others: BTreeSet<u16> = theirs.difference(&ours).copied().collect();
    let wait = bench.wait();
    let told: BTreeSet<u16> = bench.network().scan(&[1..=65_535], &wait).unwrap().not_ours.into_iter().map(|(port, _)| port).collect();
    assert!(ours.is_subset(&theirs) && others.is_subset(&told), "ours {ours:?}, nmap's {theirs:?}, told as not the device's {told:?}");
}

#[test]
fn sslscan_finds_the_same_versions_and_suites() {
    let (Some(sslscan), Some(openssl)) = (find("sslscan"), find("openssl")) else { return };
    let mut bench = Bench::new();
    let wait = bench.wait();
    let offer = bench.network().tls_offer(8443, &wait).unwrap();
    let ours: BTreeSet<String> = offer.taken.iter().flat_map(|(version, suites)| suites.iter().map(move |s| format!("{version} {s}"))).collect();
    let said = text(&sslscan, &["--no-colour", "--no-heartbleed", "--no-groups", &format!("{}:8443", bench.device)]);
    // `Accepted  TLSv1.2  128 bits  TLS_ECDHE_... `
    let taken = said.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).filter(|w| matches!(w.first(), Some(&"Preferred" | &"Accepted")));
    // OpenSSL's names beside IANA's: `TLS_... - ECDHE-...  TLSv1.2 ...`
    let names = text(&openssl, &["ciphers", "-stdname", "ALL"]);
    let iana = |name: &str| {
        let line = names.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).find(|w| w.get(2) == Some(&name));
        line.map_or(name.to_owned(), |w| w[0].to_owned())
    };
    let theirs: BTreeSet<String> = taken.filter(|w| w.len() > 4).map(|w| format!("{} {}", w[1].replace("TLSv", "TLS "), iana(w[4]))).collect();
    assert!(!ours.is_empty());
    assert_eq!(ours, theirs, "{said}");
}

#[test]
fn testssl_finds_the_same_versions_and_suites() {
    let Some(testssl) = find("testssl") else { return };
    let mut bench = Bench::new();
    let wait = bench.wait();
    let offer = bench.network().tls_offer(8443, &wait).unwrap();
    let versions: BTreeSet<String> = offer.taken.iter().filter(|(_, suites)| !suites.is_empty()).map(|(version, _)| version.clone()).collect();
    let ours: BTreeSet<String> = offer.taken.iter().flat_map(|(version, suites)| suites.iter().map(move |s| format!("{version} {s}"))).collect();
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("testssl.json");
    // Protocols, and the suites of each; no look-ups of names, no questions.
    let options = ["--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--mapping", "iana", "-p", "-E", "--jsonfile"];
    let said = text(&testssl, &[&options[..], &[report.to_str().unwrap(), &format!("{}:8443", bench.device)]].concat());
    let found: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let of = |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let protocols = [("SSLv3", "SSL 3.0"), ("TLS1", "TLS 1.0"), ("TLS1_1", "TLS 1.1"), ("TLS1_2", "TLS 1.2"), ("TLS1_3", "TLS 1.3")];
    let judged: Vec<(&str, bool)> = protocols
        .iter()
        .filter_map(|(id, name)| found.iter().find(|f| of(f, "id") == *id).map(|f| (*name, of(f, "finding").starts_with("offered"))))
        .collect();
    assert_eq!(judged.len(), protocols.len(), "{said}");
    let theirs: BTreeSet<String> = judged.into_iter().filter(|(_, offered)| *offered).map(|(name, _)| name.to_owned()).collect();
    assert!(!ours.is_empty());
    assert_eq!(versions, theirs, "{said}");
    // `cipher-tls1_2_xc02b`: `TLS 1.2   xc02b   TLS_ECDHE_...`
    let suites = found.iter().filter(|f| of(f, "id").starts_with("cipher-")).map(|f| of(f, "finding"));
    let words = suites.map(|finding| finding.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let theirs: BTreeSet<String> = words.filter(|w| w.len() > 3).map(|w| format!("{} {} {}", w[0], w[1], w[3])).collect();
    assert_eq!(ours, theirs, "{said}");
}

#[test]
fn mosquitto_sub_hears_on_the_labs_broker_what_the_lab_publishes() {
    let Some(mosquitto_sub) = find("mosquitto_sub") else { return };
    let mut bench = Bench::new();
    let broker = Service { host: "broker.test".into(), port: 18_883, front: Front::Plain, trade: Trade::Broker(BrokerConduct::Proper) };
    let secured = Service { host: "broker.test".into(), port: 18_884, front: Front::Tls(Certificate::Good), ..broker.clone() };
    let wait = bench.wait();
    bench.network().serve(&broker, &wait).unwrap();
    bench.network().serve(&secured, &wait).unwrap();
    // Hosts have their addresses from the lab's and 16 on, in the order in which they are served.
    let address: std::net::Ipv4Addr = bench.lab.parse().unwrap();
    let host = std::net::Ipv4Addr::from(u32::from(address) + 16).to_string();
    let child = Command::new(mosquitto_sub)
        .args(["-h", &host, "-p", "18883", "-t", "room/+", "-C", "1", "-W", "60", "-v"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let subscribed =
        |seen: &[proofbench_channel::network::Seen]| seen.iter().any(|s| matches!(&s.sight, Sight::Subscribed { filter } if filter == "room/+"));
    let mut heard = false;
    while !heard {
        let seen = bench.network().seen(&wait).unwrap();
        assert!(!seen.is_empty(), "nobody subscribed");
        heard = subscribed(&seen);
    }
    assert_eq!(bench.network().publish("room/one", b"21.5", false, &wait).unwrap(), 1);
    let said = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "room/one 21.5\n");
}

#[test]
fn the_board_and_its_lab_keep_the_rules_of_a_network() {
    let mut bench = Bench::new();
    let wait = bench.wait();
    bench.network().clear(&wait).unwrap();
    let device = NetworkDevice {
        open: 8080,
        talk: Some((b"GET / HTTP/1.1\r\nHost: th1.local\r\n\r\n", b"Location: https://th1.local:8443/")),
        ends: None,
        tls: Some(8443),
        closed: 9,
        goes: None,
    };
    let Channels { network, clock, .. } = &mut bench.channels;
    network_conforms(network.as_mut().unwrap().as_mut(), clock.as_mut(), &device).unwrap();
}
