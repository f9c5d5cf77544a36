//! The sender against receivers that are honest, deaf, spiteful or dead.

use super::*;
use crate::update::pattern;
use proofbench_channel::{Cancel, ConsoleRead, ErrorKind, conformance};
use rstest::rstest;
use std::cell::RefCell;
use std::rc::Rc;

const IMAGE_MOST: usize = 40_000;

/// What a receiver does otherwise than it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Honest,
    /// Finds the first copy of every block broken.
    Doubting,
    /// Finds every copy of this block broken.
    Never(usize),
    /// Cancels instead of acknowledging this block.
    Cancels(usize),
    /// Says nothing more from this block on.
    Dies(usize),
    /// Does not ask for a block.
    Deaf,
    /// Talks about everything else.
    Babbles,
}

/// A receiver at the other end of the line. Time passes by silence only.
struct Receiver {
    mood: Mood,
    asks: u8,
    ymodem: bool,
    /// Printed before it asks, and after the end.
    before: &'static [u8],
    after: &'static [u8],
    /// Printed when this line comes.
    prompt: Option<(&'static [u8], &'static [u8])>,
    taken: Rc<RefCell<Taken>>,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    started: bool,
    doubted: bool,
    header_seen: bool,
    ended: bool,
}

/// What a receiver got.
#[derive(Debug, Default)]
struct Taken {
    blocks: Vec<(u8, usize)>,
    bytes: Vec<u8>,
    header: Vec<u8>,
    cancels: usize,
    copies: usize,
    closed: bool,
}

impl Receiver {
    fn new(ymodem: bool) -> Self {
        Self {
            mood: Mood::Honest,
            asks: b'C',
            ymodem,
            before: b"",
            after: b"",
            prompt: None,
            taken: Rc::default(),
            inbox: Vec::new(),
            outbox: Vec::new(),
            started: false,
            doubted: false,
            header_seen: false,
            ended: false,
        }
    }

    /// Looks at what has arrived, a packet at a time.
    fn work(&mut self) {
        loop {
            if let Some((line, answer)) = self.prompt {
                if self.inbox.len() < line.len() {
                    return;
                }
                assert!(self.inbox.starts_with(line));
                self.inbox.drain(..line.len());
                self.outbox.extend(answer);
                self.prompt = None;
            }
            match self.inbox.first() {
                None => return,
                Some(0x18) => {
                    self.taken.borrow_mut().cancels += 1;
                    self.inbox.remove(0);
                }
                Some(0x04) => {
                    self.inbox.remove(0);
                    self.end_of_file();
                }
                Some(kind @ (1 | 2)) => {
                    let size = if *kind == 1 { 128 } else { 1024 };
                    let whole = 3 + size + if self.asks == b'C' { 2 } else { 1 };
                    if self.inbox.len() < whole {
                        return;
                    }
                    let packet: Vec<u8> = self.inbox.drain(..whole).collect();
                    self.packet(&packet, size);
                }
                Some(other) => panic!("a byte {other:#x} between blocks"),
            }
        }
    }

    fn end_of_file(&mut self) {
        // The standard lets a receiver doubt the first end.
        if self.mood == Mood::Doubting && !std::mem::replace(&mut self.doubted, true) {
            return self.outbox.push(0x15);
        }
        self.ended = true;
        self.outbox.push(0x06);
        if self.ymodem {
            self.outbox.push(b'C');
        } else {
            self.outbox.extend(self.after);
            self.taken.borrow_mut().closed = true;
        }
    }

    fn packet(&mut self, packet: &[u8], size: usize) {
        let mut taken = self.taken.borrow_mut();
        taken.copies += 1;
        let (number, data) = (packet[1], &packet[3..3 + size]);
        assert_eq!(packet[2], !number);
        if self.asks == b'C' {
            assert_eq!(packet[3 + size..], crc::Crc::<u16>::new(&crc::CRC_16_XMODEM).checksum(data).to_be_bytes());
        } else {
            assert_eq!(packet[3 + size], data.iter().fold(0u8, |s, b| s.wrapping_add(*b)));
        }
        match self.mood {
            Mood::Dies(n) if taken.blocks.len() >= n => return,
            Mood::Never(n) if taken.blocks.len() == n => return self.outbox.push(0x15),
            Mood::Cancels(n) if taken.blocks.len() == n => return self.outbox.extend(b"\x18\x18\x18\x08\x08image too large\r\n"),
            Mood::Doubting if !std::mem::replace(&mut self.doubted, true) => return self.outbox.push(0x15),
            _ => self.doubted = false,
        }
        self.outbox.push(0x06);
        if self.ended {
            assert!(data.iter().all(|b| *b == 0), "the last header is empty");
            taken.closed = true;
            self.outbox.extend(self.after);
            return;
        }
        taken.blocks.push((number, size));
        if self.ymodem && !std::mem::replace(&mut self.header_seen, true) {
            taken.header = data.to_vec();
            self.outbox.push(b'C');
        } else {
            taken.bytes.extend(data);
        }
    }
}

impl Console for Receiver {
    fn read(&mut self, into: &mut Vec<u8>, wait: &Wait) -> Result<ConsoleRead, ChannelError> {
        if wait.cancel.is_cancelled() {
            return Err(ChannelError::new(ErrorKind::Cancelled, "read"));
        }
        if !self.started && self.prompt.is_none() && self.mood != Mood::Deaf {
            self.started = true;
            self.outbox.extend(self.before);
            self.outbox.push(self.asks);
        }
        if self.mood == Mood::Babbles {
            into.extend(b"CC\x18C\x18 no idea ");
            return Ok(ConsoleRead::Bytes(Moment(1)));
        }
        if self.outbox.is_empty() {
            return Ok(ConsoleRead::Silence);
        }
        into.append(&mut self.outbox);
        Ok(ConsoleRead::Bytes(Moment(1)))
    }

    fn write(&mut self, bytes: &[u8], _: &Wait) -> Result<(), ChannelError> {
        self.inbox.extend(bytes);
        self.work();
        Ok(())
    }

    fn send_break(&mut self, _: &Wait) -> Result<(), ChannelError> {
        Ok(())
    }

    fn describe(&self) -> String {
        "a receiver".to_owned()
    }
}

fn xmodem(long: bool) -> Protocol {
    Protocol::Xmodem { long }
}

fn ymodem(long: bool) -> Protocol {
    Protocol::Ymodem { name: "image.bin".to_owned(), long }
}

fn setup(protocol: Protocol) -> ModemSetup {
    ModemSetup { protocol, enter: Vec::new(), verdict: Verdict::default(), baud: 115_200, time: TimeBase::real() }
}

fn image(length: usize) -> Vec<u8> {
    assert!(length <= IMAGE_MOST);
    (0..length).map(|n| (n * 7 + n / 251) as u8).collect()
}

fn send(receiver: Receiver, setup: ModemSetup, image: &[u8]) -> (Result<Answer<u32>, ChannelError>, Vec<String>) {
    let wait = Wait::until(setup.time.now() + Duration::from_secs(60), &Cancel::new());
    let mut path = open(Box::new(receiver), setup);
    let answer = path.chunk(&Chunk { offset: 0, data: image, total: Some(end_of(image)), sha: None }, &wait);
    (answer, path.remarks().into_iter().map(|(_, text)| text).collect())
}

#[rstest]
#[case::xmodem_sum(xmodem(false), 0x15)]
#[case::xmodem_crc(xmodem(false), b'C')]
#[case::xmodem_1k(xmodem(true), b'C')]
#[case::xmodem_1k_sum(xmodem(true), 0x15)]
#[case::ymodem(ymodem(true), b'C')]
#[case::ymodem_short(ymodem(false), b'C')]
fn every_byte_arrives_at_every_boundary_of_a_block(#[case] protocol: Protocol, #[case] asks: u8) {
    for length in [0, 1, 127, 128, 129, 1023, 1024, 1025, 1151, 1152, 1153, 256 * 128 + 1, 300 * 128 - 1] {
        let is_ymodem = matches!(protocol, Protocol::Ymodem { .. });
        let receiver = Receiver { asks, ..Receiver::new(is_ymodem) };
        let taken = Rc::clone(&receiver.taken);
        let image = image(length);
        let (answer, _) = send(receiver, setup(protocol.clone()), &image);
        assert_eq!(answer.unwrap(), Answer::Accepted(end_of(&image)), "{length}");
        let taken = taken.borrow();
        assert!(taken.closed, "{length}");
        assert!(taken.bytes.starts_with(&image), "{length}");
        assert!(taken.bytes[length..].iter().all(|b| *b == 0x1a), "{length}");
        assert!(taken.bytes.len() - length < 1024, "{length}");
        let first = u8::from(!is_ymodem);
        let numbers = taken.blocks.iter().enumerate().all(|(n, (number, _))| *number == (n as u8).wrapping_add(first));
        assert!(numbers, "{length}: {:?}", taken.blocks);
        if is_ymodem {
            let header = format!("image.bin\0{length}\0");
            assert!(taken.header.starts_with(header.as_bytes()), "{length}");
        }
    }
}

#[rstest]
#[case::xmodem(xmodem(false))]
#[case::ymodem(ymodem(true))]
fn what_arrives_broken_is_sent_again(#[case] protocol: Protocol) {
    let receiver = Receiver { mood: Mood::Doubting, ..Receiver::new(matches!(protocol, Protocol::Ymodem { .. })) };
    let taken = Rc::clone(&receiver.taken);
    let image = image(5000);
    let (answer, remarks) = send(receiver, setup(protocol), &image);
    assert_eq!(answer.unwrap(), Answer::Accepted(5000));
    assert!(taken.borrow().bytes.starts_with(&image));
    assert!(remarks.iter().any(|r| r.contains("asked for again")), "{remarks:?}");
}

#[rstest]
#[case::at_the_first(0)]
#[case::later(3)]
fn a_receiver_that_finds_every_copy_broken_is_given_up_and_told(#[case] block: usize) {
    let receiver = Receiver { mood: Mood::Never(block), ..Receiver::new(false) };
    let taken = Rc::clone(&receiver.taken);
    let (answer, _) = send(receiver, setup(xmodem(false)), &image(2000));
    let e = answer.unwrap_err();
    assert_eq!(e.kind, ErrorKind::Protocol, "the line's fault, not a refusal: {e}");
    assert_eq!(taken.borrow().copies, block + 10);
    assert!(taken.borrow().cancels >= 2, "the receiver need not wait");
}

#[rstest]
#[case::at_the_header(0)]
#[case::in_the_middle(3)]
fn a_cancel_is_a_refusal_in_the_devices_words(#[case] block: usize) {
    let receiver = Receiver { mood: Mood::Cancels(block), ..Receiver::new(true) };
    let (answer, _) = send(receiver, setup(ymodem(true)), &image(9000));
    let Answer::Refused(words) = answer.unwrap() else { panic!("a refusal") };
    assert!(words.contains("image too large") && words.contains(&format!("block {block}")), "{words}");
}

#[test]
fn one_stray_can_is_noise() {
    struct Stray(Receiver);
    impl Console for Stray {
        fn read(&mut self, into: &mut Vec<u8>, wait: &Wait) -> Result<ConsoleRead, ChannelError> {
            let read = self.0.read(into, wait)?;
            // A CAN before every acknowledgement.
            if into == b"\x06" {
                into.insert(0, 0x18);
            }
            Ok(read)
        }
        fn write(&mut self, bytes: &[u8], wait: &Wait) -> Result<(), ChannelError> {
            self.0.write(bytes, wait)
        }
        fn send_break(&mut self, wait: &Wait) -> Result<(), ChannelError> {
            self.0.send_break(wait)
        }
        fn describe(&self) -> String {
            self.0.describe()
        }
    }
    let setup = setup(xmodem(false));
    let wait = Wait::until(setup.time.now() + Duration::from_secs(60), &Cancel::new());
    let mut path = open(Box::new(Stray(Receiver::new(false))), setup);
    let image = image(1000);
    let answer = path.chunk(&Chunk { offset: 0, data: &image, total: Some(1000), sha: None }, &wait);
    assert_eq!(answer.unwrap(), Answer::Accepted(1000));
}

#[rstest]
#[case::never_asks(Mood::Deaf, "did not ask for the first block")]
#[case::at_once(Mood::Dies(0), "no answer to block 0")]
#[case::half_way(Mood::Dies(5), "no answer to block 5")]
fn a_receiver_that_falls_silent_is_silent_and_refuses_nothing(#[case] mood: Mood, #[case] remark: &str) {
    let receiver = Receiver { mood, ..Receiver::new(true) };
    let taken = Rc::clone(&receiver.taken);
    let (answer, remarks) = send(receiver, setup(ymodem(true)), &image(9000));
    assert_eq!(answer.unwrap(), Answer::Silent);
    assert!(remarks.iter().any(|r| r.contains(remark)), "{remarks:?}");
    assert_eq!(taken.borrow().cancels, 0, "what is cut off stands where it was cut off");
}

#[test]
fn text_around_the_transfer_is_no_part_of_it() {
    // The capital letter is a C, and the loader has more to say.
    let receiver = Receiver {
        before: b"## Ready for binary (xmodem) download to 0x8000\r\nPress CTRL-C to end, C",
        after: b"\r\n## OK\r\n=> ",
        ..Receiver::new(false)
    };
    let taken = Rc::clone(&receiver.taken);
    let (answer, _) = send(receiver, setup(xmodem(false)), &image(300));
    assert_eq!(answer.unwrap(), Answer::Accepted(300));
    assert_eq!(taken.borrow().copies, 3);
}

#[rstest]
#[case::taken(b"## OK, 300 bytes\r\n", true)]
#[case::not_taken(b"## Bad signature\r\n", false)]
fn the_loaders_verdict_counts_more_than_its_acknowledgement(#[case] after: &'static [u8], #[case] taken: bool) {
    let verdict =
        Verdict { success: Some(pattern("^## OK").unwrap()), failure: Some(pattern("(?i)bad|error").unwrap()), within: Duration::from_secs(30) };
    let receiver = Receiver { after, ..Receiver::new(false) };
    let (answer, _) = send(receiver, ModemSetup { verdict, ..setup(xmodem(false)) }, &image(300));
    match answer.unwrap() {
        Answer::Accepted(300) if taken => {}
        Answer::Refused(words) if !taken => assert!(words.contains("Bad signature"), "{words}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_verdict_that_is_not_spoken_is_silence() {
    let verdict = Verdict { success: Some(pattern("OK").unwrap()), failure: None, within: Duration::from_secs(30) };
    let receiver = Receiver { after: b"\r\nhm\r\n", ..Receiver::new(false) };
    let (answer, remarks) = send(receiver, ModemSetup { verdict, ..setup(xmodem(false)) }, &image(300));
    assert_eq!(answer.unwrap(), Answer::Silent);
    assert!(remarks.iter().any(|r| r.contains("verdict was not seen") && r.contains("hm")), "{remarks:?}");
}

fn entering(expect: &str) -> ModemSetup {
    let step = Step { send: Some(b"loadx\r".to_vec()), expect: Some(pattern(expect).unwrap()), within: Duration::from_secs(30) };
    ModemSetup { enter: vec![step], ..setup(xmodem(false)) }
}

#[test]
fn the_way_into_the_loader_is_gone_first() {
    let receiver = Receiver { prompt: Some((b"loadx\r", b"loadx\r\n## Ready\r\n")), ..Receiver::new(false) };
    let taken = Rc::clone(&receiver.taken);
    let (answer, _) = send(receiver, entering("## Ready"), &image(300));
    assert_eq!(answer.unwrap(), Answer::Accepted(300));
    assert_eq!(taken.borrow().copies, 3);
}

#[test]
fn a_device_that_does_not_come_into_its_loader_is_silent_and_gets_no_image() {
    let receiver = Receiver { prompt: Some((b"loadx\r", b"loadx\r\nunknown command\x1b[0m\r\n")), ..Receiver::new(false) };
    let taken = Rc::clone(&receiver.taken);
    // The receiver asks all the same: it would take the image.
    let (answer, remarks) = send(receiver, entering("## Ready"), &image(300));
    assert_eq!(answer.unwrap(), Answer::Silent);
    assert!(remarks[0].contains("`## Ready` was not seen") && remarks[0].contains("unknown command\\u{1b}"), "{remarks:?}");
    assert_eq!(taken.borrow().copies, 0);
}

#[test]
fn a_receiver_that_babbles_without_end_is_an_error() {
    let receiver = Receiver { mood: Mood::Babbles, ..Receiver::new(false) };
    let (answer, _) = send(receiver, setup(xmodem(false)), &image(300));
    assert_eq!(answer.unwrap_err().kind, ErrorKind::Protocol);
}

#[test]
fn what_a_loader_cannot_be_asked_is_unsupported_and_nothing_is_sent() {
    let setup = setup(ymodem(true));
    let wait = Wait::until(setup.time.now() + Duration::from_secs(60), &Cancel::new());
    let receiver = Receiver::new(true);
    let taken = Rc::clone(&receiver.taken);
    let mut path = open(Box::new(receiver), setup);
    let errors = [
        path.state(&wait).map(|_| ()),
        path.mark(None, true, &wait).map(|_| ()),
        path.erase(&wait).map(|_| ()),
        path.restart(&wait).map(|_| ()),
        path.chunk(&Chunk { offset: 0, data: &[1], total: Some(2), sha: None }, &wait).map(|_| ()),
    ];
    for error in errors {
        assert_eq!(error.unwrap_err().kind, ErrorKind::Unsupported);
    }
    assert_eq!(taken.borrow().copies, 0);
}

#[test]
fn a_cancelled_transfer_tells_the_receiver() {
    struct Stops(Receiver, Cancel);
    impl Console for Stops {
        fn read(&mut self, into: &mut Vec<u8>, wait: &Wait) -> Result<ConsoleRead, ChannelError> {
            if self.0.taken.borrow().blocks.len() == 4 {
                self.1.cancel();
            }
            self.0.read(into, wait)
        }
        fn write(&mut self, bytes: &[u8], wait: &Wait) -> Result<(), ChannelError> {
            self.0.write(bytes, wait)
        }
        fn send_break(&mut self, wait: &Wait) -> Result<(), ChannelError> {
            self.0.send_break(wait)
        }
        fn describe(&self) -> String {
            self.0.describe()
        }
    }
    let setup = setup(xmodem(false));
    let cancel = Cancel::new();
    let wait = Wait::until(setup.time.now() + Duration::from_secs(60), &cancel);
    let receiver = Receiver::new(false);
    let taken = Rc::clone(&receiver.taken);
    let mut path = open(Box::new(Stops(receiver, cancel)), setup);
    let image = image(2000);
    let e = path.chunk(&Chunk { offset: 0, data: &image, total: Some(2000), sha: None }, &wait).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Cancelled);
    assert_eq!((taken.borrow().blocks.len(), taken.borrow().cancels), (4, 8));
}

#[test]
fn more_bytes_take_longer() {
    let path = open(Box::new(Receiver::new(false)), ModemSetup { baud: 9600, ..setup(xmodem(false)) });
    assert!(path.longest(1 << 20) >= Duration::from_secs(1092), "a MiB at 9600 baud");
    assert!(path.longest(0) < path.longest(1024));
}

#[test]
fn a_path_that_only_sends_keeps_the_rules_that_are_left() -> conformance::Outcome {
    let setup = setup(ymodem(true));
    let mut clock = crate::RealClock(setup.time);
    conformance::update(&mut *open(Box::new(Receiver::new(true)), setup), &mut clock)
}
