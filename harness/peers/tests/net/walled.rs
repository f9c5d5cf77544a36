//! A device behind a packet filter: nftables in a network namespace of its own. This binary runs its inner test again in there.

use super::{lab, patience};
use proofbench_peers::ports::{ScanSetup, State, UdpProbe, UdpState, probe_udp, scan};
use proofbench_testkit::find;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::process::Command;
use std::time::Duration;

/// Set in the inner process.
const INNER: &str = "PROOFBENCH_NET_WALLED";

/// Ports of the filter, each with a listener behind it.
const RULES: &str = "
table inet walls {
    chain input {
        type filter hook input priority 0;
        tcp dport 1001 reject with icmpx type admin-prohibited
        tcp dport 1002 reject with icmpx type host-unreachable
        tcp dport 1003 reject with icmpx type port-unreachable
        tcp dport 1004 drop
        tcp dport 1005 reject with tcp reset
        udp dport 123 reject with icmpx type admin-prohibited
    }
}";

#[test]
fn a_packet_filter_is_told_from_a_closed_port() {
    let (Some(unshare), Some(nft)) = (find("unshare"), find("nft")) else { return };
    let tried = Command::new(&unshare).args(["-rn", "sh", "-c", "ip link set lo up && \"$0\" list ruleset"]).arg(&nft).output().unwrap();
    if !tried.status.success() {
        eprintln!("skipped: no network namespaces with nftables here: {}", String::from_utf8_lossy(&tried.stderr));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules");
    std::fs::write(&rules, RULES).unwrap();
    let script = "ip link set lo up && \"$0\" -f \"$1\" && exec \"$2\" --exact walled::inner_behind_the_filter --nocapture";
    let own = std::env::current_exe().unwrap();
    let output = Command::new(unshare).args(["-rn", "sh", "-c", script]).arg(nft).arg(rules).arg(own).env(INNER, "1").output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("scanned behind the filter"), "{said}");
}

#[test]
fn inner_behind_the_filter() {
    if std::env::var_os(INNER).is_none() {
        return;
    }
    let lab = lab();
    for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        let _listeners: Vec<TcpListener> = (1000..=1005).map(|port| TcpListener::bind((address, port)).unwrap()).collect();
        let setup = ScanSetup { ports: (1000..=1006).collect(), patience: Duration::from_millis(300), ..ScanSetup::all(address) };
        let found = scan(&lab, &setup, &patience(&lab)).unwrap();
        let icmp = |port: u16| match &found.ports[&port] {
            State::Unreachable(icmp) => (icmp.name(), icmp.from),
            other => panic!("{port}: {other:?}"),
        };
        assert_eq!(found.ports[&1000], State::Open);
        assert_eq!(icmp(1001), ("administratively prohibited", Some(address)));
        assert_eq!(icmp(1002).0, if address.is_ipv4() { "host unreachable" } else { "address unreachable" });
        assert_eq!(icmp(1003).0, "port unreachable", "it is no RST, though the kernel's error is the same");
        assert_eq!(found.ports[&1004], State::Silent);
        assert_eq!((&found.ports[&1005], &found.ports[&1006]), (&State::Closed, &State::Closed));
        let udp = probe_udp(&lab, &[(UdpProbe::Ntp, (address, 123).into())], Duration::from_secs(10), &patience(&lab)).unwrap();
        assert!(matches!(&udp[0].state, UdpState::Unreachable(icmp) if icmp.name() == "administratively prohibited"), "{udp:?}");
    }
    println!("scanned behind the filter");
}
