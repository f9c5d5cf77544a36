//! The network of the lab against real programs: nmap, curl, Python's http.server, openssl, mosquitto, tshark, capinfos, and nftables in a namespace.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod capture;
mod ports;
mod proxy;
mod walled;

use proofbench_channel::{Cancel, Moment, Wait};
use proofbench_peers::{Lab, Timeline};
use proofbench_testkit::Peer;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// What has not happened by then never will.
const PATIENCE: Duration = Duration::from_secs(60);

fn lab() -> Lab {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
    let begun = Instant::now();
    let timeline = Timeline::new(move || Moment(u64::try_from(begun.elapsed().as_nanos()).unwrap()));
    Lab { runtime: runtime.handle().clone(), timeline }
}

fn patience(lab: &Lab) -> Wait {
    Wait::until(lab.timeline.now() + PATIENCE, &Cancel::new())
}

/// Waits until the timeline has an entry with these words.
fn wait_for(lab: &Lab, words: &str) {
    let found = lab.timeline.wait(0, &patience(lab), |e| e.what.contains(words)).unwrap();
    assert!(found.is_some(), "never: {words}; {:#?}", lab.timeline.take());
}

/// Python's http.server on this folder, and its address.
fn http_server(folder: &Path) -> Option<(Peer, SocketAddr)> {
    let python = proofbench_testkit::python(&["http.server"])?;
    let mut server = Peer::start(Command::new(python).args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"]).arg(folder));
    let line = server.wait_for_line("Serving HTTP on 127.0.0.1 port ");
    let port = line.split("port ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
    Some((server, (Ipv4Addr::LOCALHOST, port).into()))
}
