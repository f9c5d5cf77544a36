//! Servers that mean harm, that are busy, that are not what they should be.

use crate::bench::{PATIENCE, chain, hear, hear_bytes, open, rfc2217, setup, tcp, within};
use proofbench_channel::{Console, ConsoleRead, ErrorKind, conformance};
use proofbench_drivers::RealClock;
use proofbench_drivers::line::LineConsole;
use rstest::rstest;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;
const COM_PORT: u8 = 44;

/// A server that does this with each of its clients, one after the other, until the test ends.
fn serve(mut client: impl FnMut(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            client(stream.unwrap());
        }
    });
    port
}

/// Sends the same bytes until the client has hung up.
fn flood(mut stream: TcpStream, bytes: &[u8]) {
    let block = bytes.repeat(4096 / bytes.len() + 1);
    // What the client answers is thrown away, so that nothing but its own sense holds it back.
    let mut answers = stream.try_clone().unwrap();
    std::thread::spawn(move || while answers.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {});
    while stream.write_all(&block).is_ok() {}
}

/// Answers everything that a client of RFC 2217 asks with what it asked for, until all five settings are told.
fn agree(stream: &mut TcpStream) {
    let (mut asked, mut settings) = (Vec::new(), 0);
    stream.write_all(&[IAC, DO, COM_PORT]).unwrap();
    while settings < 5 {
        let mut bytes = [0; 256];
        let n = stream.read(&mut bytes).unwrap();
        assert!(n > 0, "the client hung up");
        asked.extend_from_slice(&bytes[..n]);
        while let Some(end) = asked.windows(2).position(|w| w == [IAC, SE]) {
            let one: Vec<u8> = asked.drain(..end + 2).collect();
            let begin = one.windows(3).position(|w| w == [IAC, SB, COM_PORT]).unwrap();
            let mut answer = one[begin..].to_vec();
            answer[3] += 100;
            stream.write_all(&answer).unwrap();
            settings += 1;
        }
    }
}

#[rstest]
#[case::a_subnegotiation_without_end(&[IAC, SB, COM_PORT], &[1], "only bytes of the device come")]
#[case::a_subnegotiation_of_escapes(&[IAC, SB, COM_PORT], &[IAC, IAC], "only bytes of the device come")]
#[case::subnegotiations_without_end(&[], &[IAC, SB, COM_PORT, 1], "no answer to the RFC 2217")]
#[case::an_option_on_and_off(&[], &[IAC, DO, 0, IAC, DONT, 0], "negotiates without end")]
#[case::options_that_nobody_knows(&[], &[IAC, WILL, 200, IAC, DO, 201], "negotiates without end")]
#[case::commands_only(&[], &[IAC, 241], "no answer to the RFC 2217")]
#[case::a_babbling_raw_port(&[], b"boot ", "only bytes of the device come")]
fn a_negotiation_without_end_ends(#[case] first: &'static [u8], #[case] then: &'static [u8], #[case] words: &str) {
    let port = serve(move |mut stream| {
        stream.write_all(first).unwrap();
        flood(stream, then);
    });
    let e = LineConsole::open(&setup(rfc2217(port))).err().expect("no agreement");
    assert_eq!(e.kind, ErrorKind::Protocol, "{}", chain(&e));
    assert!(chain(&e).contains(words), "{}", chain(&e));
}

#[test]
fn rfc2217_switched_on_and_off_without_end_ends() {
    let port = serve(|stream| flood(stream, &[IAC, DO, COM_PORT, IAC, DONT, COM_PORT]));
    let e = LineConsole::open(&setup(rfc2217(port))).err().expect("no agreement");
    // Which of the two is noticed first depends on how the bytes come.
    let text = chain(&e);
    assert!(text.contains("refused RFC 2217") || text.contains("negotiates without end"), "{text}");
}

#[test]
fn a_plain_telnet_server_refuses_the_option() {
    let port = serve(|mut stream| {
        stream.write_all(&[IAC, DONT, COM_PORT, IAC, WONT, COM_PORT]).unwrap();
        while stream.read(&mut [0; 256]).is_ok_and(|n| n > 0) {}
    });
    let e = LineConsole::open(&setup(rfc2217(port))).err().expect("refused");
    assert_eq!(e.kind, ErrorKind::Refused);
    assert!(chain(&e).contains("refused RFC 2217 COM-PORT-OPTION"), "{}", chain(&e));
}

#[test]
fn a_server_that_is_busy_is_quoted_with_its_words_escaped() {
    let port = serve(|mut stream| {
        let _ = stream.write_all(b"Port already in use\x1b[31m\r\n");
    });
    let setup = setup(rfc2217(port));
    let mut console = open(&setup);
    let e = console.write(b"x", &within(setup.time, Duration::from_millis(500))).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Disconnected);
    assert!(chain(&e).contains(r#"the server hung up: "Port already in use\u{1b}[31m""#), "{}", chain(&e));
}

#[test]
fn bytes_that_come_during_the_negotiation_are_kept_in_their_place() {
    let port = serve(|mut stream| {
        stream.write_all(b"early ").unwrap();
        agree(&mut stream);
        stream.write_all(b"late").unwrap();
        while stream.read(&mut [0; 256]).is_ok_and(|n| n > 0) {}
    });
    let setup = setup(rfc2217(port));
    assert_eq!(hear_bytes(&mut open(&setup), setup.time, 10), b"early late");
}

#[rstest]
#[case::options_that_nobody_knows(&[IAC, WILL, 200, IAC, DO, 201])]
#[case::rfc2217_withdrawn(&[IAC, DONT, COM_PORT])]
#[case::another_baud_rate(&[IAC, SB, COM_PORT, 101, 0, 0, 37, 128, IAC, SE])]
fn a_server_that_turns_bad_is_left_and_its_last_bytes_are_kept(#[case] bytes: &'static [u8]) {
    let mut first = true;
    let port = serve(move |mut stream| {
        agree(&mut stream);
        if std::mem::take(&mut first) {
            // A byte of the client's says that it has agreed.
            stream.read_exact(&mut [0; 1]).unwrap();
            stream.write_all(b"good").unwrap();
            return flood(stream, bytes);
        }
        stream.write_all(b"again").unwrap();
        while stream.read(&mut [0; 256]).is_ok_and(|n| n > 0) {}
    });
    let setup = setup(rfc2217(port));
    let mut console = open(&setup);
    console.write(b"x", &within(setup.time, PATIENCE)).unwrap();
    let heard = hear(&mut console, setup.time, |h| h.bytes.ends_with(b"again"));
    assert_eq!((heard.bytes.as_slice(), heard.gone.as_slice()), (&b"goodagain"[..], &[4][..]));
}

#[test]
fn commands_without_end_are_no_bytes_and_do_not_hold_the_bench() {
    let port = serve(|mut stream| {
        agree(&mut stream);
        flood(stream, &[IAC, 241]);
    });
    let setup = setup(rfc2217(port));
    let mut console = open(&setup);
    let mut bytes = Vec::new();
    assert_eq!(console.read(&mut bytes, &within(setup.time, Duration::from_millis(200))).unwrap(), ConsoleRead::Silence);
    assert_eq!(bytes, b"");
    console.write(b"still heard", &within(setup.time, PATIENCE)).unwrap();
}

#[rstest]
fn a_server_that_hangs_up_at_once_is_lost_once(#[values(false, true)] telnet: bool) {
    let port = serve(drop);
    let setup = setup(if telnet { rfc2217(port) } else { tcp(port) });
    let mut console = open(&setup);
    hear(&mut console, setup.time, |h| !h.gone.is_empty());
    conformance::console_without_device(&mut console, &mut RealClock(setup.time)).unwrap();
}

#[test]
fn the_last_bytes_of_a_connection_that_is_reset_are_kept() {
    let port = serve(|mut stream| {
        stream.write_all(b"last words").unwrap();
        // Bytes that nobody reads make the kernel reset the connection instead of closing it.
        stream.read_exact(&mut [0; 1]).unwrap();
    });
    let setup = setup(tcp(port));
    let mut console = open(&setup);
    console.write(b"xy", &within(setup.time, PATIENCE)).unwrap();
    let heard = hear(&mut console, setup.time, |h| !h.gone.is_empty());
    assert_eq!(heard.bytes, b"last words");
}

#[test]
fn a_server_that_babbles_is_held_up_at_the_limit_and_loses_nothing() {
    const BYTES: usize = 64 * 1024 * 1024;
    // What the console keeps, and what the kernel holds of a TCP connection on both sides, with plenty to spare.
    const HELD_MOST: usize = 32 * 1024 * 1024;
    let (tell, told) = std::sync::mpsc::channel();
    let port = serve(move |mut stream| {
        let block: Vec<u8> = (0..=255u8).cycle().take(64 * 1024).collect();
        stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
        let (mut sent, mut stuck) = (0, false);
        while sent < BYTES {
            match stream.write(&block[sent % 256..]) {
                Ok(n) => sent += n,
                Err(_) if !stuck => {
                    stuck = true;
                    tell.send(sent).unwrap();
                }
                Err(_) => {}
            }
        }
    });
    let setup = setup(tcp(port));
    let mut console = open(&setup);
    let held = told.recv_timeout(PATIENCE).expect("a server that nobody listens to gets stuck");
    assert!(held <= HELD_MOST, "{held} bytes were taken from a server that nobody reads");
    let heard = hear_bytes(&mut console, setup.time, BYTES);
    assert!(heard.iter().enumerate().all(|(n, b)| usize::from(*b) == n % 256), "not what was sent");
}
