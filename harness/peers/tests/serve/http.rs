//! The update server and those who fetch from it.

use crate::{Ground, LONG, pattern, run, text};
use bytes::Bytes;
use proofbench_peers::http::{Conduct, Content, End, HttpServer, HttpSetup, Page, Ranges};
use proofbench_testkit::{Peer, find, python};
use rstest::rstest;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const SIZE: u32 = 200_000;

fn start(ground: &Ground, tls: Option<Arc<ServerConfig>>) -> HttpServer {
    let setup = HttpSetup { name: "updates".into(), listen: "127.0.0.1:0".parse().unwrap(), tls, body_most: 1000 };
    HttpServer::start(&ground.lab, setup).unwrap()
}

fn image() -> Content {
    Content { modified: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)), ..Content::new("application/octet-stream", pattern(SIZE)) }
}

/// A ground and a server with `/image.bin`, which behaves so.
fn with(conduct: Conduct) -> (Ground, HttpServer) {
    let ground = Ground::new();
    let server = start(&ground, None);
    server.put("/image.bin", Page { content: image(), conduct });
    (ground, server)
}

/// curl on a path, with a limit that no test reaches.
fn curl(curl: &Path, server: &HttpServer, path: &str, arguments: &[&str]) -> Output {
    run(Command::new(curl).args(["-sS", "--noproxy", "*", "-m", "60"]).args(arguments).arg(format!("http://{}{path}", server.address())))
}

#[test]
fn a_whole_file_is_taken_and_every_step_is_seen() {
    let Some(program) = find("curl") else { return };
    let (ground, server) = with(Conduct::Honest);
    let got = curl(&program, &server, "/image.bin?v=1", &["-H", "X-Odd: a\tb\u{e9}"]);
    same(&got.stdout, &pattern(SIZE));
    let asked = ground.seen("GET /image.bin?v=1 HTTP/1.1; host: 127.0.0.1");
    assert!(asked.what.is_ascii() && asked.what.contains("\\t"), "{}", asked.what);
    assert!(asked.bytes.starts_with(b"GET /image.bin?v=1 HTTP/1.1\r\nHost:") && asked.bytes.ends_with(b"\r\n\r\n"));
    assert!(ground.seen("answered 200, 200000 body bytes").number > asked.number);
    ground.seen("took all 200000 body bytes");
    let (entries, _) = ground.lab.timeline.take();
    assert!(entries[0].what.ends_with("connected"), "{}", entries[0].what);
}

#[rstest]
#[case("0-99", 0..100)]
#[case("199990-", 199_990..200_000)]
#[case("-10", 199_990..200_000)]
fn a_range_is_that_range(#[case] range: &str, #[case] bytes: std::ops::Range<usize>) {
    let Some(program) = find("curl") else { return };
    let (ground, server) = with(Conduct::Honest);
    let got = curl(&program, &server, "/image.bin", &["-r", range, "-D", "/dev/stderr"]);
    same(&got.stdout, &pattern(SIZE)[bytes.clone()]);
    let said = format!("Content-Range: bytes {}-{}/200000", bytes.start, bytes.end - 1);
    assert!(text(&got.stderr).contains(&said), "{}", text(&got.stderr));
    ground.seen("answered 206");
    ground.seen(&format!("took all {} body bytes", bytes.len()));
}

#[rstest]
#[case(&["-r", "200000-"], 416)]
#[case(&["-r", "0-1,3-4"], 200)]
#[case(&["-X", "DELETE"], 405)]
#[case(&["-I"], 200)]
#[case(&["-H", "If-None-Match: \"other\", *"], 304)]
#[case(&["-H", "If-None-Match: \"other\""], 200)]
#[case(&["-H", "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT"], 304)]
#[case(&["-H", "If-Modified-Since: Tue, 14 Nov 2023 22:13:19 GMT"], 200)]
#[case(&["-H", "If-Modified-Since: yesterday"], 200)]
#[case(&["-r", "0-1", "-H", "If-Range: \"other\""], 200)]
#[case(&["-r", "0-1", "-H", "If-Range: Tue, 14 Nov 2023 22:13:20 GMT"], 206)]
fn a_condition_has_its_status(#[case] arguments: &[&str], #[case] status: u16) {
    let Some(program) = find("curl") else { return };
    let (_ground, server) = with(Conduct::Honest);
    let got = curl(&program, &server, "/image.bin", &[arguments, &["-o", "/dev/null", "-w", "%{http_code}"]].concat());
    assert_eq!(text(&got.stdout), status.to_string(), "{}", text(&got.stderr));
}

#[test]
fn the_tag_that_curl_kept_saves_the_transfer() {
    let Some(program) = find("curl") else { return };
    let (ground, server) = with(Conduct::Honest);
    let folder = tempfile::tempdir().unwrap();
    let (tag, file) = (folder.path().join("tag"), folder.path().join("file"));
    let arguments = ["--etag-save", tag.to_str().unwrap(), "--etag-compare", tag.to_str().unwrap(), "-o", file.to_str().unwrap()];
    assert!(curl(&program, &server, "/image.bin", &arguments).status.success());
    assert!(curl(&program, &server, "/image.bin", &arguments).status.success());
    ground.seen("answered 304, 0 body bytes");
}

#[test]
fn a_transfer_that_was_cut_is_resumed_where_it_ended() {
    let Some(program) = find("curl") else { return };
    let (ground, server) = with(Conduct::Cut { after: 70_000, end: End::Fin });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("image");
    let arguments = ["-C", "-", "-o", file.to_str().unwrap()];
    assert_eq!(curl(&program, &server, "/image.bin", &arguments).status.code(), Some(18), "a partial file");
    same(&std::fs::read(&file).unwrap(), &pattern(SIZE)[..70_000]);
    ground.seen("cut after 70000 of 200000 body bytes, Fin");
    server.put("/image.bin", Page::honest(image()));
    assert!(curl(&program, &server, "/image.bin", &arguments).status.success());
    same(&std::fs::read(&file).unwrap(), &pattern(SIZE));
    ground.seen("range: bytes=70000-");
    ground.seen("took all 130000 body bytes");
}

#[test]
fn a_reset_comes_after_its_bytes() {
    let Some(program) = find("curl") else { return };
    let (ground, server) = with(Conduct::Cut { after: 50_000, end: End::Reset });
    let got = curl(&program, &server, "/image.bin", &[]);
    assert_eq!(got.status.code(), Some(56), "{}", text(&got.stderr));
    same(&got.stdout, &pattern(SIZE)[..50_000]);
    ground.seen("cut after 50000 of 200000 body bytes, Reset");
}

#[test]
fn a_device_that_gives_up_is_seen_to_have_done_so() {
    let Some(program) = find("curl") else { return };
    let ground = Ground::new();
    let server = start(&ground, None);
    let large = Bytes::from(vec![7; 64 << 20]);
    server.put("/large", Page::honest(Content::new("application/octet-stream", large)));
    let got = curl(&program, &server, "/large", &["--max-filesize", "1000"]);
    assert_eq!(got.status.code(), Some(63));
    let end = ground.seen("broken off: ");
    assert!(end.what.contains("of 67108864 body bytes written"), "{}", end.what);
    assert!(ground.unseen("took all"));
}

#[test]
fn a_stall_lasts_until_it_is_released() {
    let Some(program) = find("curl") else { return };
    let (ground, server) = with(Conduct::Stall { after: 1000 });
    assert_eq!(server.release("/image.bin"), 0);
    std::thread::scope(|scope| {
        let fetching = scope.spawn(|| curl(&program, &server, "/image.bin", &[]));
        ground.seen("stalled after 1000 of 200000 body bytes");
        assert!(!fetching.is_finished());
        assert_eq!(server.release("/image.bin"), 1);
        same(&fetching.join().unwrap().stdout, &pattern(SIZE));
    });
    ground.seen("took all 200000 body bytes");
}

#[test]
fn a_stall_ends_with_the_device() {
    let Some(program) = find("curl") else { return };
    let (ground, server) = with(Conduct::Stall { after: 1000 });
    let mut device = Peer::start(Command::new(&program).args(["-sS", "--noproxy", "*"]).arg(format!("http://{}/image.bin", server.address())));
    ground.seen("stalled");
    device.kill();
    ground.seen("1000 of 200000 body bytes written");
    assert!(ground.unseen("released") && ground.unseen("took all"));
}

#[test]
fn a_slow_server_goes_below_what_curl_bears() {
    let Some(program) = find("curl") else { return };
    let (ground, server) = with(Conduct::Slow { rate: 500 });
    let got = curl(&program, &server, "/image.bin", &["-Y", "5000", "-y", "2"]);
    assert_eq!(got.status.code(), Some(28), "curl gives up a transfer that is too slow");
    assert!(!got.stdout.is_empty() && got.stdout.len() < 5000 * 2, "{}", got.stdout.len());
    ground.seen("broken off");
}

#[test]
fn a_slow_server_comes_to_the_end() {
    let Some(program) = find("curl") else { return };
    let ground = Ground::new();
    let server = start(&ground, None);
    server.put("/", Page { content: Content::new("text/plain", "slowly"), conduct: Conduct::Slow { rate: 50 } });
    assert_eq!(text(&curl(&program, &server, "/", &[]).stdout), "slowly");
}

#[test]
fn what_was_checked_is_not_what_is_installed() {
    let Some(program) = find("curl") else { return };
    let mut then = Content::new("application/octet-stream", vec![b'B'; SIZE as usize]);
    then.etag = image().etag;
    let (_ground, server) = with(Conduct::Swap { first: 1, then });
    assert_eq!(curl(&program, &server, "/image.bin", &["-I"]).status.code(), Some(0), "HEAD spends nothing");
    same(&curl(&program, &server, "/image.bin", &["-r", "0-99"]).stdout, &pattern(SIZE)[..100]);
    assert_eq!(curl(&program, &server, "/image.bin", &["-r", "100-199"]).stdout, [b'B'; 100]);
    same(&curl(&program, &server, "/image.bin", &[]).stdout, &vec![b'B'; SIZE as usize]);
}

#[rstest]
fn a_redirect_leads_there(#[values(301, 302, 307, 308)] status: u16) {
    let Some(program) = find("curl") else { return };
    let (ground, server) = with(Conduct::Honest);
    let to = format!("http://{}/image.bin", server.address());
    server.put("/here", Page { content: image(), conduct: Conduct::Redirect { status, to } });
    let got = curl(&program, &server, "/here", &["-L", "--data", "x", "-w", "%{stderr}%{num_redirects}"]);
    same(&got.stdout, &pattern(SIZE));
    assert_eq!(text(&got.stderr), "1");
    // 307 and 308 keep the method.
    ground.seen(if status < 303 { "GET /image.bin" } else { "POST /image.bin" });
}

#[test]
fn a_loop_of_redirects_has_no_end_of_its_own() {
    let Some(program) = find("curl") else { return };
    let (_ground, server) = with(Conduct::Redirect { status: 302, to: "/image.bin".to_owned() });
    let got = curl(&program, &server, "/image.bin", &["-L", "--max-redirs", "7", "-w", "%{num_redirects}"]);
    assert_eq!((got.status.code(), text(&got.stdout)), (Some(47), "7".to_owned()));
}

#[test]
fn a_length_too_long_leaves_the_device_waiting_for_more() {
    let Some(program) = find("curl") else { return };
    let (_ground, server) = with(Conduct::Length { claimed: 200_001 });
    let got = curl(&program, &server, "/image.bin", &[]);
    assert_eq!((got.status.code(), got.stdout.len()), (Some(18), 200_000));
}

#[test]
fn a_length_too_short_has_more_behind_it() {
    let Some(program) = find("curl") else { return };
    let (_ground, server) = with(Conduct::Length { claimed: 150_000 });
    let got = curl(&program, &server, "/image.bin", &[]);
    same(&got.stdout, &pattern(SIZE)[..150_000]);
    let raw = raw(&server, b"GET /image.bin HTTP/1.0\r\n\r\n");
    assert!(text(&raw).contains("Content-Length: 150000\r\n"));
    assert!(raw.ends_with(&pattern(SIZE)), "all of it is on the wire");
}

#[rstest]
#[case(Ranges::Ignored, "HTTP/1.1 200 OK", false)]
#[case(Ranges::Unsaid, "HTTP/1.1 206 Partial Content", false)]
#[case(Ranges::Shifted(5), "Content-Range: bytes 105-204/200000", true)]
fn a_lie_about_a_range_is_told(#[case] lie: Ranges, #[case] said: &str, #[case] content_range: bool) {
    let Some(program) = find("curl") else { return };
    let (_ground, server) = with(Conduct::Ranges(lie));
    let got = curl(&program, &server, "/image.bin", &["-r", "100-199", "-D", "/dev/stderr"]);
    let wanted = if lie == Ranges::Ignored { pattern(SIZE) } else { pattern(SIZE).slice(100..200) };
    same(&got.stdout, &wanted);
    let head = text(&got.stderr);
    assert!(head.contains(said) && head.contains("Content-Range") == content_range, "{head}");
}

#[test]
fn another_status_is_given_with_the_content() {
    let Some(program) = find("curl") else { return };
    let (_ground, server) = with(Conduct::Status(503));
    let got = curl(&program, &server, "/image.bin", &["-w", "%{stderr}%{http_code}"]);
    assert_eq!((text(&got.stderr), got.stdout.len()), ("503".to_owned(), 200_000));
}

#[test]
fn an_endless_body_goes_on_until_the_device_ends_it() {
    let Some(program) = find("curl") else { return };
    let (ground, server) = with(Conduct::Endless);
    let mut curl = Command::new(program);
    curl.args(["-sS", "--noproxy", "*", &format!("http://{}/image.bin", server.address())]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut device = curl.spawn().unwrap();
    let mut taken = vec![0; 5 * SIZE as usize];
    // The pipe ends here.
    device.stdout.take().unwrap().read_exact(&mut taken).unwrap();
    same(&taken, &pattern(SIZE).repeat(5));
    assert_eq!(device.wait().unwrap().code(), Some(23), "curl cannot write");
    ground.seen("broken off");
}

#[test]
fn a_header_bomb_is_more_than_curl_bears() {
    let Some(program) = find("curl") else { return };
    let (_ground, server) = with(Conduct::HeaderBomb { fields: 3, value: 10 });
    let got = curl(&program, &server, "/image.bin", &["-I"]);
    assert_eq!(text(&got.stdout).matches(": xxxxxxxxxx\r\n").count(), 3);
    server.put("/image.bin", Page { content: image(), conduct: Conduct::HeaderBomb { fields: 10_000, value: 1000 } });
    assert!(!curl(&program, &server, "/image.bin", &["-I"]).status.success());
}

#[test]
fn what_is_posted_is_taken_up_to_the_bound() {
    let Some(program) = find("curl") else { return };
    let (ground, server) = with(Conduct::Honest);
    assert!(curl(&program, &server, "/image.bin", &["--data", "report=\r\nok", "-o", "/dev/null"]).status.success());
    assert_eq!(ground.seen("body of 11 bytes").bytes, &b"report=\r\nok"[..]);
    let long = "x".repeat(1001);
    let got = curl(&program, &server, "/image.bin", &["--data", &long, "-o", "/dev/null", "-w", "%{http_code}"]);
    assert_eq!(text(&got.stdout), "413");
    assert_eq!(ground.seen("body of more than 1000 bytes").bytes.len(), 1000);
}

#[test]
fn what_is_not_up_is_asked_for_all_the_same() {
    let Some(program) = find("curl") else { return };
    let (ground, server) = with(Conduct::Honest);
    let status = |path| text(&curl(&program, &server, path, &["-o", "/dev/null", "-w", "%{http_code}"]).stdout);
    assert_eq!(status("/other"), "404");
    ground.seen("GET /other");
    assert!(server.remove("/image.bin") && !server.remove("/image.bin"));
    assert_eq!(status("/image.bin"), "404");
}

#[test]
fn what_is_no_request_is_seen_as_it_came() {
    let (ground, server) = with(Conduct::Honest);
    let answer = raw(&server, b"\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n");
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", text(&answer));
    assert_eq!(ground.seen("no whole request").bytes, &b"\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n"[..]);
    let since = ground.lab.timeline.next();
    let head = [b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; 40_000]].concat();
    let _ = raw(&server, &head);
    let seen = ground.seen_since(since, "no whole request");
    assert!(seen.bytes.len() <= 16 * 1024, "{}", seen.bytes.len());
}

#[test]
fn a_post_that_ends_in_the_middle_is_not_answered() {
    let (ground, server) = with(Conduct::Honest);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(b"POST /image.bin HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc").unwrap();
    ground.seen("POST /image.bin");
    drop(stream);
    ground.seen("body broken off after 3 bytes");
    assert!(ground.unseen("answered"));
}

#[test]
fn urllib_fetches_whole_files_and_ranges() {
    let Some(python) = python(&["urllib.request"]) else { return };
    let (_ground, server) = with(Conduct::Honest);
    let script = "import sys, urllib.request as u\n\
        o = u.build_opener(u.ProxyHandler({}))\n\
        r = o.open(sys.argv[1], timeout=60); b = r.read(); print(r.status, len(b), r.headers['Last-Modified'])\n\
        r = o.open(u.Request(sys.argv[1], headers={'Range': 'bytes=3-5'}), timeout=60); print(r.status, r.read().hex())\n";
    let got = run(Command::new(python).args(["-c", script, &format!("http://{}/image.bin", server.address())]));
    assert_eq!(text(&got.stdout), "200 200000 Tue, 14 Nov 2023 22:13:20 GMT\n206 010101\n", "{}", text(&got.stderr));
}

/// A configuration with a certificate of its own for 127.0.0.1, and that certificate.
fn tls() -> (Arc<ServerConfig>, String) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let builder =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider())).with_safe_default_protocol_versions().unwrap();
    (Arc::new(builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap()), made.cert.pem())
}

#[test]
fn over_tls_it_is_the_same_and_a_refused_certificate_is_seen() {
    let Some(program) = find("curl") else { return };
    let ground = Ground::new();
    let (config, certificate) = tls();
    let server = start(&ground, Some(config));
    server.put("/image.bin", Page::honest(image()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, certificate).unwrap();
    let url = format!("https://localhost:{}/image.bin", server.address().port());
    let fetch = |more: &[&str]| run(Command::new(&program).args(["-sS", "--noproxy", "*", "-4", "-m", "60"]).args(more).arg(&url));
    let got = fetch(&["--cacert", file.to_str().unwrap()]);
    same(&got.stdout, &pattern(SIZE));
    ground.seen("TLS TLSv1_3, localhost, 0 certificates of the device");
    ground.seen("took all 200000 body bytes");
    assert!(!fetch(&[]).status.success());
    ground.seen("TLS handshake: received fatal alert: UnknownCA");
    for (end, code) in [(End::Fin, 18), (End::Reset, 56)] {
        server.put("/image.bin", Page { content: image(), conduct: Conduct::Cut { after: 1000, end } });
        let got = fetch(&["--cacert", file.to_str().unwrap()]);
        same(&got.stdout, &pattern(SIZE)[..1000]);
        assert!(got.status.code() == Some(code) || got.status.code() == Some(56), "{:?} {}", got.status, text(&got.stderr));
    }
}

#[test]
fn a_server_that_is_gone_leaves_its_connections_ended() {
    let (ground, server) = with(Conduct::Stall { after: 10 });
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(b"GET /image.bin HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    ground.seen("stalled");
    drop(server);
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    assert!(all.ends_with(&pattern(10)));
}

/// Says the lengths when they differ, and not hundreds of kilobytes.
#[track_caller]
fn same(got: &[u8], wanted: &[u8]) {
    assert!(got == wanted, "{} bytes are not those {}", got.len(), wanted.len());
}

/// What comes back on these bytes, until the server ends.
fn raw(server: &HttpServer, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let _ = stream.write_all(request);
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    all
}
