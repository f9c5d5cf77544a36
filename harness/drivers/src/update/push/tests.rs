//! Pushing against a device in Python, and against TCP peers that have never heard of HTTP.

use super::*;
use crate::update::pattern;
use proofbench_channel::{Cancel, conformance};
use proofbench_testkit::{Peer, fixture, free_port, python};
use rstest::rstest;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

const LONG: Duration = Duration::from_secs(60);

fn device() -> Option<(Peer, u16)> {
    let mut peer = Peer::start(Command::new(python(&[])?).arg(fixture("fixtures/peers/http_push.py")));
    let port = peer.ready();
    Some((peer, port))
}

fn setup(port: u16, path: &str) -> PushSetup {
    PushSetup {
        url: format!("http://127.0.0.1:{port}{path}"),
        method: Method::Post,
        field: None,
        auth: Auth::None,
        success: Vec::new(),
        failure: None,
        within: LONG,
        state: None,
        trusted: None,
        time: TimeBase::real(),
    }
}

fn image() -> Vec<u8> {
    let mut image = b"IMG 1.3.0 ".to_vec();
    image.extend((0..300_000u32).map(|n| n as u8));
    image
}

fn push(setup: PushSetup, image: &[u8], within: Duration) -> (Result<Answer<u32>, ChannelError>, Vec<String>) {
    let wait = Wait::until(setup.time.now() + within, &Cancel::new());
    let mut path = open(setup).unwrap();
    let answer = path.chunk(&Chunk { offset: 0, data: image, total: Some(end_of(image)), sha: None }, &wait);
    (answer, path.remarks().into_iter().map(|(_, text)| text).collect())
}

/// The line that the device says of a body.
fn line(verb: &str, path: &str, body: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut hex = String::new();
    for byte in <sha2::Sha256 as sha2::Digest>::digest(body) {
        let _ = write!(hex, "{byte:02x}");
    }
    format!("{verb} {path} {} {hex}", body.len())
}

#[rstest]
#[case::post(Method::Post, "POST")]
#[case::put(Method::Put, "PUT")]
fn an_image_arrives_whole_and_once(#[case] method: Method, #[case] verb: &str) {
    let Some((mut device, port)) = device() else { return };
    let (answer, _) = push(PushSetup { method, ..setup(port, "/update?token=secret") }, &image(), LONG);
    assert_eq!(answer.unwrap(), Answer::Accepted(300_010));
    device.wait_for_line(&line(verb, "/update?token=secret", &image()));
    assert_eq!(device.output().iter().filter(|l| l.starts_with(verb)).count(), 1);
}

#[test]
fn a_bad_image_is_refused_in_words_that_are_short_and_escaped() {
    let Some((_device, port)) = device() else { return };
    let (answer, _) = push(setup(port, "/update"), b"no image", LONG);
    let Answer::Refused(words) = answer.unwrap() else { panic!("a refusal") };
    assert!(words.starts_with("HTTP 422 \"bad magic \\u{1b}[31m!!") && words.len() < 400, "{words}");
}

#[test]
fn an_image_goes_into_a_field_of_a_form_whatever_it_holds() {
    let Some((_device, port)) = device() else { return };
    let form = |field: &str| PushSetup { field: Some(field.to_owned()), ..setup(port, "/form") };
    let mut image = image();
    image.extend(b"\r\n--proofbench-boundary-0--\r\n");
    let total = end_of(&image);
    assert_eq!(push(form("firmware"), &image, LONG).0.unwrap(), Answer::Accepted(total));
    assert!(matches!(push(form("other"), &image, LONG).0.unwrap(), Answer::Refused(words) if words.contains("no field")));
}

#[test]
fn credentials_are_sent_and_wrong_ones_are_no_refusal_of_the_image() {
    let Some((_device, port)) = device() else { return };
    let basic = |password: &str| Auth::Basic { user: "admin".to_owned(), password: Secret::new(password) };
    for (path, right, wrong) in
        [("/basic", basic("hunter2"), basic("hunter3")), ("/bearer", Auth::Bearer(Secret::new("t0ken")), Auth::Bearer(Secret::new("t0kan")))]
    {
        assert!(matches!(push(PushSetup { auth: right, ..setup(port, path) }, &image(), LONG).0.unwrap(), Answer::Accepted(_)), "{path}");
        let e = push(PushSetup { auth: wrong, ..setup(port, path) }, &image(), LONG).0.unwrap_err();
        assert_eq!(e.kind, ErrorKind::Refused, "{path}");
        let text = format!("{e:?}");
        assert!(!text.contains("hunter") && !text.contains("t0kan"), "{text}");
    }
}

#[test]
fn neither_credentials_nor_the_query_are_shown() {
    let auth = Auth::Basic { user: "admin".to_owned(), password: Secret::new("hunter2") };
    let setup = PushSetup { auth, ..setup(free_port(), "/update?token=hunter2") };
    assert!(!format!("{:?}", setup.auth).contains("hunter2"));
    let mut path = open(setup).unwrap();
    let wait = Wait::until(Moment(0) + Duration::from_millis(600), &Cancel::new());
    let answer = path.chunk(&Chunk { offset: 0, data: b"x", total: Some(1), sha: None }, &wait).unwrap();
    assert_eq!(answer, Answer::Silent);
    let shown = format!("{} {:?}", path.describe(), path.remarks());
    assert!(shown.contains("/update") && !shown.contains("hunter2"), "{shown}");
}

/// What a status is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Accepted,
    Refused,
    Silent,
    Error(ErrorKind),
}

#[rstest]
#[case(200, Is::Accepted)]
#[case(202, Is::Accepted)]
#[case(301, Is::Error(ErrorKind::Protocol))]
#[case(400, Is::Refused)]
#[case(401, Is::Error(ErrorKind::Refused))]
#[case(403, Is::Refused)]
#[case(404, Is::Error(ErrorKind::Protocol))]
#[case(405, Is::Error(ErrorKind::Protocol))]
#[case(413, Is::Refused)]
#[case(429, Is::Silent)]
#[case(500, Is::Refused)]
#[case(503, Is::Silent)]
fn a_status_is_what_the_table_says(#[case] status: u16, #[case] is: Is) {
    let Some((_device, port)) = device() else { return };
    let (answer, remarks) = push(setup(port, &format!("/status?{status}")), &image(), LONG);
    let said = match answer {
        Ok(Answer::Accepted(_)) => Is::Accepted,
        Ok(Answer::Refused(words)) => {
            assert_eq!(words, format!("HTTP {status} \"words of the device\""));
            Is::Refused
        }
        Ok(Answer::Silent) => {
            assert!(remarks[0].contains(&status.to_string()), "{remarks:?}");
            Is::Silent
        }
        Err(e) => Is::Error(e.kind),
    };
    assert_eq!(said, is);
}

#[test]
fn only_the_declared_success_is_one() {
    let Some((_device, port)) = device() else { return };
    let only = |success: u16| PushSetup { success: vec![success], ..setup(port, "/status?202") };
    assert!(matches!(push(only(202), &image(), LONG).0.unwrap(), Answer::Accepted(_)));
    assert_eq!(push(only(204), &image(), LONG).0.unwrap_err().kind, ErrorKind::Protocol);
}

#[rstest]
#[case::an_error_in_the_text("/ok-but", "signature")]
#[case::in_a_text_without_end("/flood", "error")]
fn a_success_that_speaks_of_a_failure_is_a_refusal(#[case] path: &str, #[case] word: &str) {
    let Some((_device, port)) = device() else { return };
    let setup = PushSetup { failure: Some(pattern("error").unwrap()), ..setup(port, path) };
    assert!(matches!(push(setup, &image(), LONG).0.unwrap(), Answer::Refused(words) if words.contains(word)));
}

#[rstest]
#[case::never_reads("/stall")]
#[case::reads_and_never_answers("/mute")]
fn a_device_that_stalls_is_silent_at_the_deadline(#[case] path: &str) {
    let Some((_device, port)) = device() else { return };
    assert_eq!(push(setup(port, path), &image(), Duration::from_millis(1500)).0.unwrap(), Answer::Silent);
}

#[rstest]
#[case::in_the_middle("/reset")]
#[case::instead_of_an_answer("/reset-after")]
fn a_connection_that_breaks_is_silence_and_the_image_is_not_sent_again(#[case] path: &str) {
    let Some((device, port)) = device() else { return };
    let (answer, remarks) = push(setup(port, path), &image(), LONG);
    assert_eq!(answer.unwrap(), Answer::Silent);
    assert_eq!(remarks.len(), 1, "{remarks:?}");
    assert!(device.output().iter().filter(|l| l.starts_with("POST")).count() <= 1);
}

#[test]
fn what_is_no_http_is_an_error_of_protocol() {
    let Some((_device, port)) = device() else { return };
    assert_eq!(push(setup(port, "/garbage"), &image(), LONG).0.unwrap_err().kind, ErrorKind::Protocol);
}

#[test]
fn a_device_that_is_not_there_is_silent_at_the_deadline() -> conformance::Outcome {
    struct Deaf(Box<dyn UpdatePath>);
    // The suite asks to erase, which HTTP cannot; pushing stands in for it.
    impl UpdatePath for Deaf {
        fn state(&mut self, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
            self.0.state(wait)
        }
        fn chunk(&mut self, chunk: &Chunk<'_>, wait: &Wait) -> Result<Answer<u32>, ChannelError> {
            self.0.chunk(chunk, wait)
        }
        fn intake(&self) -> Intake {
            self.0.intake()
        }
        fn longest(&self, bytes: usize) -> Duration {
            self.0.longest(bytes)
        }
        fn mark(&mut self, hash: Option<&[u8]>, confirm: bool, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
            self.0.mark(hash, confirm, wait)
        }
        fn erase(&mut self, wait: &Wait) -> Result<Answer<()>, ChannelError> {
            let sent = self.0.chunk(&Chunk { offset: 0, data: b"x", total: Some(1), sha: None }, wait)?;
            Ok(if sent == Answer::Silent { Answer::Silent } else { Answer::Accepted(()) })
        }
        fn restart(&mut self, wait: &Wait) -> Result<Answer<()>, ChannelError> {
            self.0.restart(wait)
        }
        fn smp(&mut self, request: &SmpRequest, wait: &Wait) -> Result<Answer<SmpReply>, ChannelError> {
            self.0.smp(request, wait)
        }
        fn remarks(&mut self) -> Vec<(Moment, String)> {
            self.0.remarks()
        }
        fn describe(&self) -> String {
            self.0.describe()
        }
    }
    let port = free_port();
    let state = Pointers { url: format!("http://127.0.0.1:{port}/state"), version: "/v".to_owned(), ..Pointers::default() };
    let setup = PushSetup { state: Some(state), ..setup(port, "/update") };
    let mut clock = crate::RealClock(setup.time);
    conformance::update_without_device(&mut Deaf(open(setup).unwrap()), &mut clock)
}

#[test]
fn a_device_that_comes_up_late_gets_the_image() {
    let Some(python) = python(&[]) else { return };
    let port = free_port();
    let setup = setup(port, "/update");
    let wait = Wait::until(setup.time.now() + LONG, &Cancel::new());
    let mut path = open(setup).unwrap();
    let starts = std::thread::spawn(move || {
        // Not before somebody has tried: the port is closed until then, which is all that the driver can see.
        Peer::start(Command::new(python).arg(fixture("fixtures/peers/http_push.py")).args(["--port", &port.to_string()]))
    });
    let image = image();
    let answer = path.chunk(&Chunk { offset: 0, data: &image, total: Some(end_of(&image)), sha: None }, &wait).unwrap();
    assert_eq!(answer, Answer::Accepted(end_of(&image)));
    drop(starts.join().unwrap());
}

fn stated(port: u16, path: &str) -> PushSetup {
    let state = Pointers {
        url: format!("http://127.0.0.1:{port}{path}"),
        version: "/fw/version".to_owned(),
        hash: Some("/fw/sha".to_owned()),
        ..Pointers::default()
    };
    PushSetup { state: Some(state), ..setup(port, "/update") }
}

#[test]
fn a_device_that_tells_its_state_conforms() -> conformance::Outcome {
    let Some((_device, port)) = device() else { return Ok(()) };
    let setup = stated(port, "/state");
    let mut clock = crate::RealClock(setup.time);
    conformance::update(&mut *open(setup).unwrap(), &mut clock)
}

#[test]
fn the_state_follows_the_image() {
    let Some((_device, port)) = device() else { return };
    let setup = stated(port, "/state");
    let wait = Wait::until(setup.time.now() + LONG, &Cancel::new());
    let mut path = open(setup).unwrap();
    let version = |answer: Answer<Vec<ImageState>>| if let Answer::Accepted(list) = answer { list[0].version.clone() } else { String::new() };
    assert_eq!(version(path.state(&wait).unwrap()), "1.2.0");
    path.chunk(&Chunk { offset: 0, data: b"IMG 1.3.0 x", total: Some(11), sha: None }, &wait).unwrap();
    assert_eq!(version(path.state(&wait).unwrap()), "1.3.0");
}

#[test]
fn a_state_that_cannot_be_read_is_an_error_and_one_that_does_not_come_is_silence() {
    let Some((_device, port)) = device() else { return };
    let state = |path: &str, within: Duration| {
        let setup = stated(port, path);
        let wait = Wait::until(setup.time.now() + within, &Cancel::new());
        open(setup).unwrap().state(&wait)
    };
    assert_eq!(state("/page", LONG).unwrap_err().kind, ErrorKind::Protocol);
    assert_eq!(state("/state-none", LONG).unwrap_err().kind, ErrorKind::Protocol);
    assert_eq!(state("/state-late", Duration::from_millis(1500)).unwrap(), Answer::Silent);
}

#[test]
fn what_was_given_up_is_not_sent_later() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let setup = setup(listener.local_addr().unwrap().port(), "/update");
    let cancel = Cancel::new();
    let wait = Wait::until(setup.time.now() + LONG, &cancel);
    // Takes some of the image and stops reading until the caller has gone; then reads what is still sent.
    let device = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut some = [0; 4096];
        stream.read_exact(&mut some).unwrap();
        cancel.cancel();
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        (4096 + rest.len(), ended.is_ok())
    });
    // Far more than the kernel's buffers hold, so that the sender stands in the middle of it.
    let image = vec![7; 64 << 20];
    let mut path = open(setup).unwrap();
    let e = path.chunk(&Chunk { offset: 0, data: &image, total: Some(end_of(&image)), sha: None }, &wait).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Cancelled);
    let (got, _) = device.join().unwrap();
    assert!(got < image.len(), "{got} bytes");
}

#[test]
fn a_device_that_answers_with_heads_without_end_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let setup = setup(listener.local_addr().unwrap().port(), "/update");
    let device = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut some = [0; 64];
        let _ = stream.read(&mut some);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n").is_ok() {}
    });
    let e = push(setup, b"IMG x", LONG).0.unwrap_err();
    assert_eq!(e.kind, ErrorKind::Protocol, "{e:?}");
    device.join().unwrap();
}

#[test]
fn a_name_that_is_not_known_is_an_error_of_the_bench() {
    let mut setup = setup(1, "");
    setup.url = "http://no-such-device.invalid/update".to_owned();
    let e = push(setup, b"x", LONG).0.unwrap_err();
    assert_eq!(e.kind, ErrorKind::Driver);
    assert!(e.to_string().contains("no-such-device.invalid"), "{e}");
}

#[rstest]
#[case::another_scheme("ftp://device/x")]
#[case::no_scheme("device/update")]
#[case::credentials("http://admin:hunter2@device/")]
#[case::https_without_trust("https://device/update")]
fn a_url_that_makes_no_sense_is_an_error_that_does_not_show_it(#[case] url: &str) {
    let mut setup = setup(1, "");
    setup.url = url.to_owned();
    let e = open(setup).err().expect("refused");
    assert!(!format!("{e:?}").contains("hunter2"));
}

#[test]
fn https_is_spoken_to_whom_the_certificate_is_trusted_and_to_nobody_else() {
    let Some(python) = python(&[]) else { return };
    let made = |name: &str| rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let (own, other) = (made("localhost"), made("localhost"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("device.pem");
    std::fs::write(&file, format!("{}{}", own.signing_key.serialize_pem(), own.cert.pem())).unwrap();
    let mut device = Peer::start(Command::new(python).arg(fixture("fixtures/peers/http_push.py")).arg("--certificate").arg(&file));
    let port = device.ready();
    let trusting = |pem: String| {
        let mut setup = setup(port, "/update");
        setup.url = format!("https://localhost:{port}/update");
        PushSetup { trusted: Some(pem.into_bytes()), ..setup }
    };
    assert_eq!(push(trusting(own.cert.pem()), &image(), LONG).0.unwrap(), Answer::Accepted(300_010));
    let e = push(trusting(other.cert.pem()), &image(), LONG).0.unwrap_err();
    assert_eq!(e.kind, ErrorKind::Refused, "{e:?}");
    assert_eq!(device.output().iter().filter(|l| l.starts_with("POST")).count(), 1);
}
