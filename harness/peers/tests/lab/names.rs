//! The resolver, the time server, and what is called to everybody.

use crate::bench::{Bench, SHORT, resolve, text};
use proofbench_channel::network::{Front, Lie, Network, Sight, Trade};
use proofbench_testkit::find;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::time::SystemTime;

#[test]
fn names_of_services_have_addresses_and_others_do_not() {
    let mut bench = Bench::new();
    bench.serve("cloud.example", 443, Front::Plain, Trade::Sink);
    assert!(bench.resolve("Cloud.Example").is_loopback());
    assert_eq!(resolve(bench.lab.resolver(), "other.example"), None);
    let asked: Vec<(String, Sight)> = ["cloud.example", "other.example"]
        .map(|name| {
            let seen = bench.sees("query", |s| s.host == name);
            (format!("{}:{}", seen.host, seen.port), seen.sight)
        })
        .into();
    assert_eq!(
        asked,
        [("cloud.example:53".to_owned(), Sight::Query { answered: true }), ("other.example:53".to_owned(), Sight::Query { answered: false })]
    );
    bench.serve("*", 443, Front::Plain, Trade::Sink);
    assert_ne!(bench.resolve("other.example"), bench.resolve("cloud.example"));
    // A device that asks for many names gets so many addresses and no more.
    let mut found = 0;
    for n in 0..300 {
        found += usize::from(resolve(bench.lab.resolver(), &format!("n{n}.example")).is_some());
    }
    assert!((190..=200).contains(&found), "{found}");
}

#[test]
fn a_dead_resolver_hears_and_is_silent() {
    let mut bench = Bench::new();
    bench.serve("resolver", 53, Front::Plain, Trade::Names { alive: false });
    bench.serve("cloud.example", 443, Front::Plain, Trade::Sink);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(SHORT)).unwrap();
    let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05cloud\x07example\x00\x00\x01\x00\x01";
    socket.send_to(query, bench.lab.resolver()).unwrap();
    assert!(socket.recv(&mut [0; 100]).is_err());
    bench.sees("query", |s| s.host == "cloud.example" && s.sight == Sight::Query { answered: false });
}

#[test]
fn dig_is_content() {
    let Some(dig) = find("dig") else { return };
    let mut bench = Bench::new();
    bench.serve("cloud.example", 443, Front::Plain, Trade::Sink);
    let resolver = bench.lab.resolver();
    let ask = |question: &[&str]| {
        let at = [format!("@{}", resolver.ip()), "-p".to_owned(), resolver.port().to_string()];
        text(&Command::new(&dig).args(["-r", "+tries=1", "+timeout=30"]).args(at).args(question).output().unwrap().stdout)
    };
    assert_eq!(ask(&["+short", "cloud.example"]), format!("{}\n", bench.resolve("cloud.example")));
    let six = ask(&["cloud.example", "AAAA"]);
    assert!(six.contains("status: NOERROR") && six.contains("ANSWER: 0"), "{six}");
    assert!(ask(&["other.example"]).contains("status: NXDOMAIN"));
}

/// Seconds since 1970 that the server tells; nothing if it is silent.
fn time(bench: &Bench) -> Option<u64> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(SHORT)).unwrap();
    let mut question = [0; 48];
    question[0] = 0x23;
    question[40..].copy_from_slice(b"question");
    socket.send_to(&question, bench.place("time.example", 123)).unwrap();
    let mut answer = [0; 100];
    let n = socket.recv(&mut answer).ok()?;
    assert_eq!((n, answer[0], &answer[24..32]), (48, 0x24, &b"question"[..]));
    let since_1900 = u32::from_be_bytes(answer[40..44].try_into().unwrap());
    Some(u64::from(since_1900) - 2_208_988_800)
}

#[test]
fn the_time_is_told_as_it_was_told_to_be() {
    let mut bench = Bench::new();
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let mut tell = |lie: Lie| {
        bench.forget();
        bench.serve("time.example", 123, Front::Plain, Trade::Time(lie));
        let told = time(&bench);
        let seen = bench.sees("question", |s| matches!(s.sight, Sight::Time { .. }));
        assert_eq!((seen.host.as_str(), seen.port, seen.sight), ("time.example", 123, Sight::Time { answered: told.is_some() }));
        told
    };
    let near = |told: Option<u64>, at: u64| told.is_some_and(|t| t.abs_diff(at) < 30);
    assert!(near(tell(Lie::Truth), now()));
    assert!(near(tell(Lie::Off(-86_400)), now() - 86_400));
    assert_eq!(tell(Lie::Fixed(1_000_000_000)), Some(1_000_000_000));
    assert_eq!(tell(Lie::Dumb), None);
}

#[test]
fn chronyd_believes_the_time() {
    let Some(chronyd) = find("chronyd") else { return };
    let mut bench = Bench::new();
    for (lie, wanted) in [(Lie::Truth, 0.0), (Lie::Off(3600), 3600.0)] {
        bench.serve("time.example", 123, Front::Plain, Trade::Time(lie));
        let place = bench.place("time.example", 123);
        let folder = tempfile::tempdir().unwrap();
        let source = format!("server {} port {} iburst maxsamples 1", place.ip(), place.port());
        let pid = format!("pidfile {}", folder.path().join("pid").display());
        let options = ["-Q", "-x", "-U", "-u", "root", "-t", "60", &source, &pid, "cmdport 0", "bindcmdaddress /"];
        let got = Command::new(&chronyd).args(options).output().unwrap();
        let said = text(&got.stdout) + &text(&got.stderr);
        let wrong = said.split("System clock wrong by ").nth(1).and_then(|s| s.split(' ').next()).and_then(|w| w.parse::<f64>().ok());
        assert!(wrong.is_some_and(|w| (w - wanted).abs() < 60.0), "{said}");
    }
}

#[test]
fn what_is_no_question_for_the_time_is_a_datagram() {
    let mut bench = Bench::new();
    bench.serve("time.example", 123, Front::Plain, Trade::Time(Lie::Truth));
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"no question", bench.place("time.example", 123)).unwrap();
    let seen = bench.sees("datagram", |s| matches!(s.sight, Sight::Datagram(_)));
    assert_eq!(seen.sight, Sight::Datagram(b"no question".to_vec()));
}

#[test]
fn what_is_called_to_everybody_or_to_a_group_is_overheard() {
    let mut bench = Bench::new();
    let socket = UdpSocket::bind((bench.device, 0)).unwrap();
    socket.set_broadcast(true).unwrap();
    for (group, port) in [(Ipv4Addr::new(127, 255, 255, 255), 67), (Ipv4Addr::new(224, 0, 0, 251), 5353)] {
        // A machine without broadcast or multicast on loopback, or where another process has the port to itself.
        if !bench.lab.describe().ends_with("3 ears for groups") || socket.send_to(b"hello", (group, bench.lab.real(port).port())).is_err() {
            eprintln!("skipped: this machine has no groups on loopback");
            return;
        }
        let seen = bench.sees("call", |s| s.port == port);
        assert_eq!((seen.host, seen.conn, seen.sight), (group.to_string(), 0, Sight::Datagram(b"hello".to_vec())));
    }
}
