//! Fetching with curl, and with peers that fetch badly.

use super::*;
use proofbench_channel::{Cancel, conformance};
use proofbench_testkit::find;
use rstest::rstest;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};

const LONG: Duration = Duration::from_secs(60);

fn setup() -> PullSetup {
    PullSetup {
        listen: "127.0.0.1:0".parse().unwrap(),
        base: None,
        manifest: "/manifest.json".to_owned(),
        image: "/image.bin".to_owned(),
        template: None,
        within: LONG,
        time: TimeBase::real(),
    }
}

/// 100 000 bytes with the header of an MCUboot image of version 1.3.0.
fn image() -> Vec<u8> {
    let mut image: Vec<u8> = (0..100_000u32).map(|n| (n / 3) as u8).collect();
    image[..4].copy_from_slice(&0x96f3_b83d_u32.to_le_bytes());
    image[20..28].copy_from_slice(&[1, 3, 0, 0, 0, 0, 0, 0]);
    image
}

/// Offers the image while `device` fetches on a thread of its own; gives the path's answer, its remarks, and what the device brought home.
fn offer<T: Send + 'static>(
    setup: PullSetup,
    within: Duration,
    device: impl FnOnce(SocketAddr) -> T + Send + 'static,
) -> (Answer<u32>, Vec<String>, T) {
    let mut path = Pull::open(setup).unwrap();
    let address = path.server.address;
    let (shared, wait) = (Arc::clone(path.shared()), Wait::until(path.setup.time.now() + within, &Cancel::new()));
    let fetching = std::thread::spawn(move || {
        // The device comes when there is something to fetch.
        while !shared.is_up() {
            std::thread::yield_now();
        }
        device(address)
    });
    let image = image();
    let answer = path.chunk(&Chunk { offset: 0, data: &image, total: Some(end_of(&image)), sha: None }, &wait).unwrap();
    let brought = fetching.join().unwrap();
    (answer, path.remarks().into_iter().map(|(_, text)| text).collect(), brought)
}

/// What the server made of all requests so far, once it has heard the end of `count` of them.
fn remarks(path: &mut Pull, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(path.remarks().into_iter().map(|(_, text)| text));
        std::thread::yield_now();
    }
    all
}

fn curl(program: &Path, args: &[&str], url: &str) -> Output {
    Command::new(program).args(["--silent", "--show-error", "--max-time", "60", "--noproxy", "*"]).args(args).arg(url).output().unwrap()
}

#[test]
fn a_device_that_reads_the_manifest_and_fetches_the_image_has_accepted_it() {
    let Some(program) = find("curl") else { return };
    let (answer, remarks, fetched) = offer(setup(), LONG, move |address| {
        let manifest = curl(&program, &[], &format!("http://{address}/manifest.json")).stdout;
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        assert_eq!((manifest["version"].as_str(), manifest["length"].as_u64()), (Some("1.3.0"), Some(100_000)));
        curl(&program, &[], manifest["url"].as_str().unwrap()).stdout
    });
    assert_eq!(answer, Answer::Accepted(100_000));
    assert_eq!(fetched, image());
    assert!(remarks[0].contains("GET /manifest.json -> 200: answered"), "{remarks:?}");
    assert!(remarks[1].contains("GET /image.bin -> 200: taken"), "{remarks:?}");
}

#[test]
fn ranges_add_up_to_an_image() {
    let Some(program) = find("curl") else { return };
    let (answer, remarks, parts) = offer(setup(), LONG, move |address| {
        let url = format!("http://{address}/image.bin");
        ["60000-", "0-29999", "30000-59999"].map(|r| curl(&program, &["--range", r], &url).stdout)
    });
    assert_eq!(answer, Answer::Accepted(100_000));
    assert_eq!([&parts[1][..], &parts[2], &parts[0]].concat(), image());
    assert!(remarks.iter().any(|r| r.contains("GET /image.bin bytes=30000-59999 -> 206: taken")), "{remarks:?}");
}

#[test]
fn a_transfer_that_curl_takes_up_again_is_whole() {
    let Some(program) = find("curl") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("image.bin");
    let name = file.to_string_lossy().into_owned();
    let (answer, _, ()) = offer(setup(), LONG, move |address| {
        let url = format!("http://{address}/image.bin");
        curl(&program, &["--range", "0-39999", "--output", &name], &url);
        assert!(curl(&program, &["--continue-at", "-", "--output", &name], &url).status.success());
    });
    assert_eq!(answer, Answer::Accepted(100_000));
    assert_eq!(std::fs::read(&file).unwrap(), image());
}

#[test]
fn a_device_that_takes_the_beginning_only_wants_the_rest() {
    let Some(program) = find("curl") else { return };
    let (answer, _, _) = offer(setup(), Duration::from_secs(3), move |address| {
        let url = format!("http://{address}/image.bin");
        [curl(&program, &["--range", "0-999"], &url), curl(&program, &["--range", "5000-5999"], &url)]
    });
    assert_eq!(answer, Answer::Accepted(1000));
}

#[rstest]
#[case::does_not_come(&[])]
#[case::looks_only(&["/manifest.json"])]
#[case::asks_for_something_else(&["/firmware.bin", "/image.bin/../manifest.json"])]
fn a_device_that_does_not_fetch_is_silent(#[case] paths: &'static [&'static str]) {
    let Some(program) = find("curl") else { return };
    let (answer, _, _) = offer(setup(), Duration::from_secs(2), move |address| {
        paths.iter().map(|p| curl(&program, &["--path-as-is"], &format!("http://{address}{p}"))).collect::<Vec<_>>()
    });
    assert_eq!(answer, Answer::Silent);
}

/// Asks for the image in plain words and gives the connection.
fn asked(address: SocketAddr, words: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(words.as_bytes()).unwrap();
    stream
}

#[rstest]
#[case::head_only("HEAD /image.bin HTTP/1.1\r\nHost: x\r\n\r\n", true)]
#[case::another_method("DELETE /image.bin HTTP/1.1\r\nHost: x\r\n\r\n", true)]
#[case::a_range_that_is_not_there("GET /image.bin HTTP/1.1\r\nHost: x\r\nRange: bytes=100000-\r\n\r\n", true)]
#[case::no_http("\x01\x02\x03\r\n\r\n", true)]
#[case::and_resets_before_it_has_read_all("GET /image.bin HTTP/1.1\r\nHost: x\r\n\r\n", false)]
fn a_device_that_takes_nothing_is_silent(#[case] words: &'static str, #[case] reads: bool) {
    let (answer, remarks, ()) = offer(setup(), Duration::from_secs(2), move |address| {
        let mut stream = asked(address, words);
        if reads {
            let _ = stream.read_to_end(&mut Vec::new());
        } else {
            // The first bytes are there; the others are left unread, which makes the end a reset.
            let mut first = [0; 100];
            stream.read_exact(&mut first).unwrap();
        }
    });
    assert_eq!(answer, Answer::Silent, "{remarks:?}");
}

#[test]
fn a_device_that_resets_and_comes_again_gets_it() {
    let Some(program) = find("curl") else { return };
    let (answer, remarks, ()) = offer(setup(), LONG, move |address| {
        let mut stream = asked(address, "GET /image.bin HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.read_exact(&mut [0; 100]).unwrap();
        drop(stream);
        curl(&program, &[], &format!("http://{address}/image.bin"));
    });
    assert_eq!(answer, Answer::Accepted(100_000), "{remarks:?}");
}

#[test]
fn an_old_device_with_http_1_0_gets_it_and_a_range_of_another_image_is_not_given() {
    let (answer, remarks, got) = offer(setup(), LONG, move |address| {
        let mut got = Vec::new();
        asked(address, "GET /image.bin HTTP/1.0\r\nRange: bytes=50000-\r\nIf-Range: \"another\"\r\n\r\n").read_to_end(&mut got).unwrap();
        got
    });
    assert_eq!(answer, Answer::Accepted(100_000), "{remarks:?}");
    assert!(got.starts_with(b"HTTP/1.0 200") && got.ends_with(&image()));
}

#[test]
fn nothing_is_up_before_an_image_and_after_a_silence() {
    let Some(program) = find("curl") else { return };
    let mut path = Pull::open(setup()).unwrap();
    let address = path.server.address;
    let status = |path: &str| {
        let args = ["--output", "/dev/null", "--write-out", "%{http_code}"];
        String::from_utf8(curl(&program, &args, &format!("http://{address}{path}")).stdout).unwrap()
    };
    assert_eq!((status("/manifest.json"), status("/image.bin")), ("404".to_owned(), "404".to_owned()));
    let wait = Wait::until(path.setup.time.now() + Duration::from_millis(100), &Cancel::new());
    let offered = Chunk { offset: 0, data: b"image", total: Some(5), sha: None };
    assert_eq!(path.chunk(&offered, &wait).unwrap(), Answer::Silent);
    assert_eq!(status("/image.bin"), "404", "a late device gets nothing");
    let all = remarks(&mut path, 3);
    assert!(all.iter().all(|r| r.contains("-> 404")), "{all:?}");
}

#[test]
fn a_cancelled_offer_is_taken_down() {
    let mut path = Pull::open(setup()).unwrap();
    let cancel = Cancel::new();
    let wait = Wait::until(path.setup.time.now() + LONG, &cancel);
    let shared = Arc::clone(path.shared());
    let canceller = std::thread::spawn(move || {
        while !shared.is_up() {
            std::thread::yield_now();
        }
        cancel.cancel();
    });
    let e = path.chunk(&Chunk { offset: 0, data: b"image", total: Some(5), sha: None }, &wait).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Cancelled);
    assert!(!path.shared().is_up());
    canceller.join().unwrap();
}

#[test]
fn the_users_manifest_has_the_users_address() {
    let Some(program) = find("curl") else { return };
    let setup = PullSetup {
        base: Some("http://update.lab:8080/".to_owned()),
        template: Some("fw={version};n={length};at={url}".to_owned()),
        manifest: "/fw.txt".to_owned(),
        ..setup()
    };
    let (_, _, manifest) = offer(setup, Duration::from_secs(2), move |address| curl(&program, &[], &format!("http://{address}/fw.txt")).stdout);
    assert_eq!(String::from_utf8(manifest).unwrap(), "fw=1.3.0;n=100000;at=http://update.lab:8080/image.bin");
}

#[test]
fn requests_without_end_are_counted_and_not_kept() {
    let (_, remarks, ()) = offer(setup(), Duration::from_secs(5), move |address| {
        for _ in 0..700 {
            let mut stream = asked(address, "GET /\x7f\u{fc}<x> HTTP/1.1\r\nHost: x\r\n\r\n");
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    assert!(remarks.len() <= 501, "{}", remarks.len());
}

#[test]
fn connections_that_say_nothing_do_not_keep_a_device_away() {
    let Some(program) = find("curl") else { return };
    let (answer, _, _) = offer(setup(), LONG, move |address| {
        let idle: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
        let fetched = curl(&program, &[], &format!("http://{address}/image.bin")).stdout;
        (idle, fetched)
    });
    assert_eq!(answer, Answer::Accepted(100_000));
}

#[test]
fn the_port_is_taken_while_it_serves_and_free_afterwards() {
    let path = Pull::open(setup()).unwrap();
    let taken = PullSetup { listen: path.server.address, ..setup() };
    assert_eq!(open(taken.clone()).err().expect("taken").kind, ErrorKind::Refused);
    let elsewhere = PullSetup { listen: "192.0.2.1:8080".parse().unwrap(), ..setup() };
    assert_eq!(open(elsewhere).err().expect("not here").kind, ErrorKind::Disconnected);
    drop(path);
    assert!(open(taken).is_ok());
}

#[test]
fn a_server_keeps_the_rules_that_are_left() -> conformance::Outcome {
    let setup = setup();
    let mut clock = crate::RealClock(setup.time);
    conformance::update(&mut *open(setup).unwrap(), &mut clock)
}
