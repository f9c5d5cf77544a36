//! Captures, read by tshark and capinfos.

use proofbench_channel::Moment;
use proofbench_peers::capture::{Capture, CaptureError, CaptureSetup, Side};
use proofbench_testkit::find;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};
use tempfile::NamedTempFile;

pub fn create(file: &NamedTempFile, most: u64) -> Capture {
    let origin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    Capture::create(file.reopen().unwrap(), CaptureSetup { origin, most, name: "lab".into() }).unwrap()
}

/// What tshark prints about a file, checksums looked at. `None`: it is not installed.
pub fn tshark(file: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(find("tshark")?);
    for option in ["ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE"] {
        command.args(["-o", option]);
    }
    let output = command.arg("-n").arg("-r").arg(file).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Both directions of a TCP stream, as tshark follows it: what the client sent, what the server sent.
pub fn streams(file: &Path, number: usize) -> Option<(Vec<u8>, Vec<u8>)> {
    let text = tshark(file, &["-q", "-z", &format!("follow,tcp,raw,{number}")])?;
    let (mut client, mut server) = (vec![], vec![]);
    for line in text.lines().filter(|l| !l.trim().is_empty() && l.trim().bytes().all(|b| b.is_ascii_hexdigit())) {
        let hex = line.trim().as_bytes();
        let bytes = hex.chunks(2).map(|h| u8::from_str_radix(std::str::from_utf8(h).unwrap(), 16).unwrap());
        // The server's lines are indented.
        if line.starts_with('\t') { server.extend(bytes) } else { client.extend(bytes) }
    }
    Some((client, server))
}

#[test]
fn streams_follow_back_to_the_same_bytes_with_right_checksums() {
    let file = NamedTempFile::new().unwrap();
    let capture = create(&file, 64 << 20);
    // Text at ports that nobody knows: what tshark calls malformed is then not for what is carried.
    let request: Vec<u8> = (0..100_001_u32).map(|n| b'a' + (n * 7 % 23) as u8).collect();
    let answer: Vec<u8> = (0..3_000_000_u32).map(|n| b'a' + (n.wrapping_mul(n) % 26) as u8).collect();
    let pairs = [("192.0.2.1:50000", "192.0.2.2:40080"), ("[2001:db8::1]:50001", "[2001:db8::2]:40080"), ("192.0.2.1:50002", "[2001:db8::2]:40080")];
    for (n, (client, server)) in pairs.into_iter().enumerate() {
        let at = |ms: u64| Moment(ms * 1_000_000 + n as u64 * 1_000_000_000);
        let mut flow = capture.tcp(address(client), address(server), at(0));
        flow.data(Side::Client, &request, at(1), Some("the question"));
        flow.data(Side::Server, &answer, at(2), None);
        flow.end(Side::Client, at(3));
        flow.data(Side::Server, b"last", at(4), None);
        if n == 0 {
            flow.reset(Side::Server, at(5), Some("broken off"))
        } else {
            flow.end(Side::Server, at(5))
        }
        flow.data(Side::Server, b"after the end", at(6), None);
    }
    // Of odd length, and longer than a datagram can be.
    capture.udp(address("192.0.2.1:40500"), address("192.0.2.2:40501"), b"odd", Moment(4_000_000_000), None);
    capture.udp(address("[2001:db8::1]:40500"), address("[2001:db8::2]:40501"), &vec![7; 70_000], Moment(4_000_000_000), None);
    let summary = capture.finish().unwrap();
    assert_eq!(summary.missing, 0);
    assert_eq!(summary.bytes, file.as_file().metadata().unwrap().len());

    let bad = "ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || _ws.malformed || tcp.analysis.flags";
    let Some(lines) = tshark(file.path(), &["-Y", bad]) else { return };
    assert_eq!(lines, "");
    let good = "tcp.checksum.status == 1 || udp.checksum.status == 1";
    let checked = tshark(file.path(), &["-Y", good]).unwrap().lines().count() as u64;
    assert_eq!(checked, summary.packets, "every checksum was looked at");
    for number in 0..3 {
        let (from_client, mut from_server) = streams(file.path(), number).unwrap();
        assert!(from_client == request, "stream {number}");
        let tail = from_server.split_off(answer.len());
        assert!(from_server == answer, "stream {number}");
        assert_eq!(tail, b"last");
    }
    let comments = tshark(file.path(), &["-Y", "frame.comment", "-T", "fields", "-e", "frame.comment", "-e", "frame.time_epoch"]).unwrap();
    assert_eq!(comments.lines().next().unwrap(), "the question\t1700000000.001000000");
    assert_eq!(comments.lines().nth(1).unwrap(), "broken off\t1700000000.005000000");
    let about = Command::new(find("capinfos").unwrap()).arg(file.path()).output().unwrap();
    let about = String::from_utf8(about.stdout).unwrap();
    assert!(about.contains("Capture application: proofbench "), "{about}");
    assert!(about.contains("Strict time order:   True"), "{about}");
}

#[test]
fn a_udp_checksum_of_zero_is_written_as_all_ones() {
    let file = NamedTempFile::new().unwrap();
    let capture = create(&file, 64 << 20);
    // One of all values of a word makes the sum zero.
    for word in 0..=u16::MAX {
        capture.udp(address("192.0.2.1:40500"), address("192.0.2.2:40501"), &word.to_be_bytes(), Moment(0), None);
    }
    capture.finish().unwrap();
    let Some(all_ones) = tshark(file.path(), &["-Y", "udp.checksum == 0xffff && udp.checksum.status == 1"]) else { return };
    assert_eq!(all_ones.lines().count(), 1);
    assert_eq!(tshark(file.path(), &["-Y", "udp.checksum == 0 || udp.checksum.status != 1"]).unwrap(), "");
}

#[test]
fn a_file_that_is_full_says_where_it_ends_and_stays_within_its_bound() {
    for most in [1_024, 5_000, 20_000] {
        let file = NamedTempFile::new().unwrap();
        let capture = create(&file, most);
        let mut flow = capture.tcp(address("192.0.2.1:50000"), address("192.0.2.2:80"), Moment(0));
        for _ in 0..100 {
            flow.data(Side::Client, &[b'x'; 1_000], Moment(1), Some("a comment"));
        }
        let summary = capture.finish().unwrap();
        assert!(summary.missing > 0);
        // 3 of the handshake, then a segment and its acknowledgement each.
        assert_eq!(summary.packets + summary.missing, 203);
        let length = file.as_file().metadata().unwrap().len();
        assert!(length <= most && length == summary.bytes, "{length} of {most}");
        let Some(comments) = tshark(file.path(), &["-T", "fields", "-e", "frame.comment", "-e", "_ws.malformed"]) else { return };
        assert_eq!(comments.lines().count() as u64, summary.packets + 1);
        let bound = format!("truncated: the file has reached its bound of {most} bytes");
        assert!(comments.lines().last().unwrap().starts_with(&bound), "{comments}");
        assert_eq!(comments.matches("truncated").count(), 1);
    }
    let tiny = CaptureSetup { origin: SystemTime::UNIX_EPOCH, most: 1_000, name: String::new() };
    assert!(matches!(Capture::create(io::sink(), tiny), Err(CaptureError::Bound(1_000))));
}

#[test]
fn a_disk_that_is_full_is_told_at_the_end_and_harms_nobody_before() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, part: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(part.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(part.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let setup = CaptureSetup { origin: SystemTime::UNIX_EPOCH, most: 1 << 20, name: "é".repeat(1_000) };
    let capture = Capture::create(Full(20_000), setup).unwrap();
    for _ in 0..100 {
        capture.udp(address("192.0.2.1:40500"), address("192.0.2.2:40501"), &[0; 1_000], Moment(0), None);
    }
    let Err(CaptureError::Write(e)) = capture.finish() else { panic!("a capture that is not whole") };
    assert_eq!(e.kind(), io::ErrorKind::StorageFull);
}
