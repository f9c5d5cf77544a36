//! The client over UDP against peers that lose, forge, repeat and babble.

use super::*;
use proofbench_channel::{Cancel, ErrorKind, conformance};
use rstest::rstest;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What a peer sends back for the n-th datagram (the first is 0) of its life.
type Respond = Box<dyn FnMut(usize, &[u8]) -> Vec<Vec<u8>> + Send>;

/// A device on a UDP port of this machine.
struct Peer {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    fn start(respond: impl FnMut(usize, &[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Peer {
        Self::on(UdpSocket::bind("127.0.0.1:0").unwrap(), Box::new(respond))
    }

    fn on(socket: UdpSocket, mut respond: Respond) -> Peer {
        let address = socket.local_addr().unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (heard, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (all, ended) = (Arc::clone(&heard), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            let mut n = 0;
            while !ended.load(Ordering::SeqCst) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                all.lock().unwrap().push(buffer[..length].to_vec());
                for answer in respond(n, &buffer[..length]) {
                    let _ = socket.send_to(&answer, from);
                }
                n += 1;
            }
        });
        Peer { address, heard, over, thread: Some(thread) }
    }

    fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Bench time runs so much faster than real time that the seconds before a repeat are milliseconds.
const SPEED: f64 = 40.0;

struct Bench {
    path: Box<dyn UpdatePath>,
    time: TimeBase,
}

impl Bench {
    fn of(address: SocketAddr) -> Bench {
        Self::at(address, TimeBase::scaled(SPEED))
    }

    fn at(address: SocketAddr, time: TimeBase) -> Bench {
        Bench { path: open_udp(&UdpSetup { address: address.to_string(), time }), time }
    }

    /// A deadline that is never reached.
    fn long(&self) -> Wait {
        Wait::until(self.time.now() + Duration::from_secs(60).mul_f64(SPEED), &Cancel::new())
    }

    /// Long enough for every repeat.
    fn short(&self) -> Wait {
        Wait::until(self.time.now() + Duration::from_secs(40), &Cancel::new())
    }
}

/// The answer to a request, with this body.
fn reply(request: &[u8], body: &[u8]) -> Vec<u8> {
    let mut packet = request[..8].to_vec();
    packet[0] |= 1;
    packet[2..4].copy_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
    packet.extend(body);
    packet
}

fn off(offset: u32) -> Vec<u8> {
    body::encode(|e| e.map(1)?.str("off")?.u32(offset)?.ok())
}

fn images() -> Vec<u8> {
    body::encode(|e| {
        e.map(1)?.str("images")?.array(1)?.map(4)?.str("slot")?.u8(0)?.str("version")?.str("1.2.0")?;
        e.str("hash")?.bytes(&[1; 32])?.str("active")?.bool(true)?.ok()
    })
}

const RC_3: [u8; 5] = [0xa1, 0x62, b'r', b'c', 0x03];
const PIECE: Chunk<'static> = Chunk { offset: 0, data: &[1, 2, 3], total: Some(12), sha: None };

/// A device that knows the image list and nothing else.
fn honest(request: &[u8]) -> Vec<u8> {
    if request[4..8] == [0, 1, request[6], 0] { reply(request, &images()) } else { reply(request, &RC_3) }
}

#[test]
fn a_device_over_udp_conforms() -> conformance::Outcome {
    let peer = Peer::start(|_, r| vec![honest(r)]);
    let mut bench = Bench::at(peer.address, TimeBase::real());
    conformance::update(&mut *bench.path, &mut crate::RealClock(bench.time))
}

#[test]
fn a_port_that_nobody_listens_on_is_silence() -> conformance::Outcome {
    let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut bench = Bench::at(address, TimeBase::real());
    conformance::update_without_device(&mut *bench.path, &mut crate::RealClock(bench.time))?;
    let remarks = bench.path.remarks();
    assert!(remarks.iter().any(|(_, text)| text.contains("refused")), "the journal is told: {remarks:?}");
    assert!(bench.path.remarks().is_empty(), "and once");
    Ok(())
}

#[test]
fn a_device_that_listens_later_is_heard_at_the_first_question() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let mut bench = Bench::of(address);
    assert_eq!(bench.path.erase(&bench.short()).unwrap(), Answer::Silent);
    let peer = Peer::on(UdpSocket::bind(address).unwrap(), Box::new(|_, r| vec![reply(r, &[0xa0])]));
    assert_eq!(bench.path.erase(&bench.long()).unwrap(), Answer::Accepted(()));
    assert_eq!(peer.heard().len(), 1);
}

#[test]
fn a_question_that_got_lost_is_asked_again_and_the_second_answer_to_it_disturbs_no_other() {
    let peer = Peer::start(|n, r| match n {
        0 => vec![],
        1 => vec![reply(r, &images()), reply(r, &images())],
        _ => vec![reply(r, &RC_3)],
    });
    let mut bench = Bench::of(peer.address);
    assert!(matches!(bench.path.state(&bench.long()).unwrap(), Answer::Accepted(list) if list.len() == 1));
    let heard = peer.heard();
    assert_eq!(heard[0], heard[1], "the same packet with the same number");
    assert_eq!(bench.path.state(&bench.long()).unwrap(), Answer::Refused("rc 3".to_owned()));
    assert!(bench.path.remarks()[0].1.contains("sent again"));
}

#[test]
fn a_question_is_asked_three_times_at_most() {
    let peer = Peer::start(|_, _| vec![]);
    let mut bench = Bench::of(peer.address);
    assert_eq!(bench.path.state(&bench.short()).unwrap(), Answer::Silent);
    assert!(peer.heard().len() <= 3, "{}", peer.heard().len());
}

#[rstest]
#[case::mark(|p: &mut dyn UpdatePath, w: &Wait| p.mark(Some(&[1; 32]), false, w).map(|a| a == Answer::Silent))]
#[case::erase(|p: &mut dyn UpdatePath, w: &Wait| p.erase(w).map(|a| a == Answer::Silent))]
#[case::restart(|p: &mut dyn UpdatePath, w: &Wait| p.restart(w).map(|a| a == Answer::Silent))]
#[case::of_a_binding(|p: &mut dyn UpdatePath, w: &Wait| p.smp(&SmpRequest { group: 64, id: 1, write: true, body: SmpReply::new() }, w).map(|a| a == Answer::Silent))]
#[case::first_piece(|p: &mut dyn UpdatePath, w: &Wait| p.chunk(&PIECE, w).map(|a| a == Answer::Silent))]
#[case::piece_of_a_transfer_that_nobody_opened(|p: &mut dyn UpdatePath, w: &Wait| {
    p.chunk(&Chunk { offset: 3, total: None, ..PIECE }, w).map(|a| a == Answer::Silent)
})]
fn what_changes_the_device_is_sent_once(#[case] ask: fn(&mut dyn UpdatePath, &Wait) -> Result<bool, ChannelError>) {
    let peer = Peer::start(|_, _| vec![]);
    let mut bench = Bench::of(peer.address);
    let wait = bench.short();
    assert!(ask(&mut *bench.path, &wait).unwrap(), "silent");
    assert_eq!(peer.heard().len(), 1);
}

#[test]
fn pieces_between_the_first_and_the_last_are_sent_again() {
    let peer = Peer::start(|n, r| match n {
        0 => vec![reply(r, &off(3))],
        // The first copy of the second piece gets lost.
        2 => vec![reply(r, &off(6))],
        _ => vec![],
    });
    let mut bench = Bench::of(peer.address);
    assert_eq!(bench.path.chunk(&PIECE, &bench.long()).unwrap(), Answer::Accepted(3));
    assert_eq!(bench.path.chunk(&Chunk { offset: 3, total: None, ..PIECE }, &bench.long()).unwrap(), Answer::Accepted(6));
    assert_eq!(peer.heard().len(), 3);
    assert_eq!(bench.path.chunk(&Chunk { offset: 9, total: None, ..PIECE }, &bench.short()).unwrap(), Answer::Silent);
    assert_eq!(peer.heard().len(), 3 + 1, "the last one is not");
}

#[rstest]
#[case::nothing(|_: &[u8]| vec![])]
#[case::empty(|_: &[u8]| vec![vec![]])]
#[case::half_a_header(|_: &[u8]| vec![vec![0x0b, 0, 0]])]
#[case::another_sequence(|r: &[u8]| { let mut a = reply(r, &RC_3); a[6] = a[6].wrapping_sub(1); vec![a] })]
#[case::another_command(|r: &[u8]| { let mut a = reply(r, &RC_3); a[7] ^= 1; vec![a] })]
#[case::its_own_request(|r: &[u8]| vec![r.to_vec()])]
#[case::cut_short(|r: &[u8]| { let mut a = reply(r, &RC_3); a.pop(); vec![a] })]
#[case::with_a_tail(|r: &[u8]| { let mut a = reply(r, &RC_3); a.push(0); vec![a] })]
#[case::oversized(|r: &[u8]| vec![reply(r, &vec![0; 20_000])])]
fn what_is_no_answer_is_silence_and_never_a_refusal(#[case] respond: fn(&[u8]) -> Vec<Vec<u8>>) {
    let peer = Peer::start(move |_, r| respond(r));
    let mut bench = Bench::of(peer.address);
    assert_eq!(bench.path.erase(&bench.short()).unwrap(), Answer::Silent);
}

#[test]
fn an_answer_behind_all_that_is_still_found() {
    let peer = Peer::start(|_, r| {
        let mut stale = reply(r, &RC_3);
        stale[6] = stale[6].wrapping_sub(1);
        vec![vec![], stale, vec![0xff; 20_000], reply(r, &[0xa0])]
    });
    let mut bench = Bench::of(peer.address);
    assert_eq!(bench.path.erase(&bench.long()).unwrap(), Answer::Accepted(()));
}

#[test]
fn somebody_else_s_datagrams_are_not_the_device_s() {
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    // The stranger hears the request from the device's own socket, so it knows port, sequence number and all.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let mut bench = Bench::of(address);
    let wait = bench.long();
    let device = std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        stranger.send_to(&reply(&buffer[..length], &RC_3), from).unwrap();
        socket.send_to(&reply(&buffer[..length], &[0xa0]), from).unwrap();
    });
    assert_eq!(bench.path.erase(&wait).unwrap(), Answer::Accepted(()));
    device.join().unwrap();
}

#[test]
fn a_babbling_device_is_left_at_the_deadline() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut bench = Bench::of(socket.local_addr().unwrap());
    let over = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&over);
    let device = std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        while !ended.load(Ordering::SeqCst) {
            let _ = socket.send_to(&[0x55; 100], from);
            let _ = socket.send_to(&buffer[..length], from);
        }
    });
    assert_eq!(bench.path.erase(&bench.short()).unwrap(), Answer::Silent);
    over.store(true, Ordering::SeqCst);
    device.join().unwrap();
}

#[test]
fn an_answer_to_the_question_before_is_not_taken_for_this_one() {
    // Answers each question only when the next one has come.
    let mut last: Option<Vec<u8>> = None;
    let peer = Peer::start(move |_, r| last.replace(r.to_vec()).map(|old| reply(&old, &RC_3)).into_iter().collect());
    let mut bench = Bench::of(peer.address);
    for _ in 0..3 {
        assert_eq!(bench.path.erase(&bench.short()).unwrap(), Answer::Silent);
    }
}

#[test]
fn a_cancelled_question_is_an_error_and_is_not_sent() {
    let peer = Peer::start(|_, r| vec![honest(r)]);
    let mut bench = Bench::of(peer.address);
    let wait = bench.long();
    wait.cancel.cancel();
    assert_eq!(bench.path.state(&wait).unwrap_err().kind, ErrorKind::Cancelled);
    assert!(peer.heard().is_empty());
}

#[test]
fn a_name_that_is_not_known_is_an_error_of_the_bench_that_names_it() {
    let time = TimeBase::scaled(SPEED);
    let mut path = open_udp(&UdpSetup { address: "no-such-device.invalid:1337".to_owned(), time });
    let e = path.state(&Wait::until(time.now() + Duration::from_secs(60).mul_f64(SPEED), &Cancel::new())).unwrap_err();
    assert!(e.to_string().contains("no-such-device.invalid:1337"), "{e}");
}

#[test]
fn a_name_is_looked_up() {
    let peer = Peer::start(|_, r| vec![honest(r)]);
    let time = TimeBase::scaled(SPEED);
    let mut path = open_udp(&UdpSetup { address: format!("localhost:{}", peer.address.port()), time });
    let wait = Wait::until(time.now() + Duration::from_secs(60).mul_f64(SPEED), &Cancel::new());
    assert!(matches!(path.state(&wait), Ok(Answer::Accepted(_))));
}
