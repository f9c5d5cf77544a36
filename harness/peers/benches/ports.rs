//! Figures of the port scan beside nmap's: `cargo bench -p proofbench-peers --bench ports`. They are printed; that both find the same is asserted.

use proofbench_channel::{Cancel, Moment, Wait};
use proofbench_peers::ports::{ScanSetup, scan};
use proofbench_peers::{Lab, Timeline};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::process::Command;
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 88, 71, 4));

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap_or_else(|e| panic!("{e}"));
    let begun = Instant::now();
    let timeline = Timeline::new(move || Moment(begun.elapsed().as_nanos() as u64));
    let lab = Lab { runtime: runtime.handle().clone(), timeline };
    let listeners: Vec<TcpListener> = (0..20).filter_map(|_| TcpListener::bind((OWN, 0)).ok()).collect();
    let own: Vec<u16> = listeners.iter().filter_map(|l| l.local_addr().ok()).map(|a| a.port()).collect();
    let nmap = proofbench_testkit::find("nmap");
    let (mut ours, mut theirs) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let wait = Wait::until(lab.timeline.now() + Duration::from_secs(60), &Cancel::new());
        let found = scan(&lab, &ScanSetup::all(OWN), &wait).unwrap_or_else(|e| panic!("{e}")).open_ports();
        ours.push(begun.elapsed());
        assert!(own.iter().all(|p| found.contains(p)), "a listener was not found");
        let Some(nmap) = &nmap else { continue };
        let begun = Instant::now();
        let output = Command::new(nmap).args(["-sT", "-p-", "-n", "-Pn", "-T5", "-oG", "-", &OWN.to_string()]).output();
        theirs.push(begun.elapsed());
        let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_else(|e| panic!("{e}"));
        assert!(own.iter().all(|p| text.contains(&format!(" {p}/open/tcp"))), "nmap did not find a listener: {text}");
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    };
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    println!("65 535 ports of loopback, median of {ROUNDS}: {:.2} s", ours.as_secs_f64());
    if !theirs.is_zero() {
        println!(
            "nmap -sT -p- -n -Pn -T5:              {:.2} s, {:.1} times as long",
            theirs.as_secs_f64(),
            theirs.as_secs_f64() / ours.as_secs_f64()
        );
    }
}
