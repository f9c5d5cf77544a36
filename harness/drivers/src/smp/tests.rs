//! The client against scripted devices, honest and hostile.

use super::*;
use frame::Decoder;
use proofbench_channel::{Cancel, ConsoleRead};
use rstest::rstest;

type Respond = Box<dyn FnMut(&[u8]) -> Vec<u8>>;

/// A line whose other end is a function from request packet to bytes. Time passes only by silence.
struct Script {
    respond: Respond,
    pending: Vec<u8>,
    decoder: Decoder,
    /// Babbles this between all answers, one read after the other, without end.
    babble: Vec<u8>,
    reads: u64,
}

impl Script {
    fn path(respond: impl FnMut(&[u8]) -> Vec<u8> + 'static) -> SmpPath {
        Self::babbling(respond, b"")
    }
    fn babbling(respond: impl FnMut(&[u8]) -> Vec<u8> + 'static, babble: &[u8]) -> SmpPath {
        let script = Script { respond: Box::new(respond), pending: Vec::new(), decoder: Decoder::default(), babble: babble.to_vec(), reads: 0 };
        SmpPath::new(Box::new(script))
    }
}

impl Console for Script {
    fn read(&mut self, into: &mut Vec<u8>, wait: &Wait) -> Result<ConsoleRead, ChannelError> {
        if wait.cancel.is_cancelled() {
            return Err(ChannelError::new(ErrorKind::Cancelled, "read"));
        }
        self.reads += 1;
        if self.pending.is_empty() && !self.babble.is_empty() {
            into.extend(&self.babble);
            return Ok(ConsoleRead::Bytes(Moment(self.reads)));
        }
        if self.pending.is_empty() {
            return Ok(ConsoleRead::Silence);
        }
        into.append(&mut self.pending);
        Ok(ConsoleRead::Bytes(Moment(self.reads)))
    }
    fn write(&mut self, bytes: &[u8], _: &Wait) -> Result<(), ChannelError> {
        for &b in bytes {
            if let Some(packet) = self.decoder.push(b) {
                self.pending.extend((self.respond)(&packet));
            }
        }
        Ok(())
    }
    fn send_break(&mut self, _: &Wait) -> Result<(), ChannelError> {
        Ok(())
    }
    fn describe(&self) -> String {
        "script".to_owned()
    }
}

fn wait() -> Wait {
    Wait::until(Moment(1_000), &Cancel::new())
}

/// The answer packet to a request, with this body.
fn reply(request: &[u8], body: &[u8]) -> Vec<u8> {
    let mut packet = request[..8].to_vec();
    packet[0] |= 1;
    packet[2..4].copy_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
    packet.extend(body);
    frame::encode(&packet).unwrap()
}

const RC_3: [u8; 5] = [0xa1, 0x62, b'r', b'c', 0x03];
const OFF_256: [u8; 8] = [0xa1, 0x63, b'o', b'f', b'f', 0x19, 0x01, 0x00];

fn chunk() -> Chunk<'static> {
    Chunk { offset: 0, data: &[1, 2, 3], total: Some(3), sha: Some([9; 32]) }
}

#[test]
fn a_piece_carries_its_announcements_and_the_next_offset_comes_back() {
    let mut path = Script::path(|request| {
        assert_eq!(request[..2], [0x0a, 0], "write request");
        assert_eq!(request[4..6], [0, 1]);
        assert_eq!(request[7], 1);
        let body = body::decode(&request[8..]).expect("a map");
        assert_eq!(body.get("off"), Some(&Value::Int(0)));
        assert_eq!(body.get("len"), Some(&Value::Int(3)));
        assert_eq!(body.get("sha"), Some(&Value::Bytes(vec![9; 32])));
        assert_eq!(body.get("data"), Some(&Value::Bytes(vec![1, 2, 3])));
        reply(request, &OFF_256)
    });
    assert_eq!(path.chunk(&chunk(), &wait()).unwrap(), Answer::Accepted(256));
}

#[test]
fn a_refusal_is_data_in_the_devices_words() {
    let mut path = Script::path(|r| reply(r, &RC_3));
    assert_eq!(path.chunk(&chunk(), &wait()).unwrap(), Answer::Refused("rc 3".to_owned()));
    let mut newer = Script::path(|r| {
        let body = body::encode(|e| e.map(1)?.str("err")?.map(2)?.str("group")?.u8(1)?.str("rc")?.u8(20)?.ok());
        reply(r, &body)
    });
    assert_eq!(newer.erase(&wait()).unwrap(), Answer::Refused("group 1 rc 20".to_owned()));
}

#[test]
fn a_digest_that_the_device_finds_wrong_is_a_refusal() {
    let mut path = Script::path(|r| {
        let body = body::encode(|e| e.map(2)?.str("off")?.u8(3)?.str("match")?.bool(false)?.ok());
        reply(r, &body)
    });
    assert!(matches!(path.chunk(&chunk(), &wait()).unwrap(), Answer::Refused(_)));
}

#[rstest]
#[case::nothing(|_: &[u8]| Vec::new())]
#[case::noise(|_: &[u8]| b"th1> ERR unknown command\r\n".to_vec())]
#[case::another_sequence(|r: &[u8]| { let mut r = r.to_vec(); r[6] = r[6].wrapping_sub(1); reply(&r, &OFF_256) })]
#[case::another_command(|r: &[u8]| { let mut r = r.to_vec(); r[7] ^= 1; reply(&r, &RC_3) })]
#[case::another_group(|r: &[u8]| { let mut r = r.to_vec(); r[5] ^= 1; reply(&r, &RC_3) })]
#[case::its_own_request_echoed(|r: &[u8]| frame::encode(r).unwrap())]
#[case::a_broken_checksum(|r: &[u8]| { let mut l = reply(r, &RC_3); let n = l.len(); l[n - 6] ^= 1; l })]
#[case::a_header_that_lies_about_its_length(|r: &[u8]| { let mut r = r.to_vec(); r[0] |= 1; r[3] = 200; frame::encode(&r).unwrap() })]
fn what_is_no_answer_is_silence_and_never_a_refusal(#[case] respond: fn(&[u8]) -> Vec<u8>) {
    let mut path = Script::path(respond);
    assert_eq!(path.chunk(&chunk(), &wait()).unwrap(), Answer::Silent);
}

#[rstest]
#[case::not_a_map(vec![0x01])]
#[case::breaks_off(vec![0xa2, 0x62, b'r'])]
#[case::empty(vec![])]
#[case::no_offset(vec![0xa0])]
#[case::a_negative_offset(vec![0xa1, 0x63, b'o', b'f', b'f', 0x20])]
fn an_answer_that_means_nothing_is_an_error_of_protocol(#[case] body: Vec<u8>) {
    let mut path = Script::path(move |r| reply(r, &body));
    assert_eq!(path.chunk(&chunk(), &wait()).unwrap_err().kind, ErrorKind::Protocol);
}

#[test]
fn a_device_that_babbles_without_end_is_left_at_the_deadline() {
    let mut path = Script::babbling(|_| Vec::new(), b"babble\n");
    assert_eq!(path.state(&wait()).unwrap(), Answer::Silent);
}

#[test]
fn what_was_on_the_line_before_the_question_is_no_answer_to_it() {
    let mut path = Script::path(|r| reply(r, &RC_3));
    // The answer to a question that nobody waits for any more, with the sequence number of the next.
    path.link.send(&[0x0a, 0, 0, 1, 0, 1, 1, 1, 0xa0], Sending::Once, &wait()).unwrap();
    assert_eq!(path.smp(&SmpRequest { group: 64, id: 0, write: false, body: SmpReply::new() }, &wait()).unwrap(), Answer::Refused("rc 3".to_owned()));
}

#[test]
fn the_image_list_is_read_with_its_flags() {
    let mut path = Script::path(|r| {
        let body = body::encode(|e| {
            e.map(2)?.str("images")?.array(1)?.map(5)?.str("slot")?.u8(0)?.str("version")?.str("1.2.0\u{1b}")?;
            e.str("hash")?.bytes(&[1; 32])?.str("active")?.bool(true)?.str("pending")?.bool(false)?.str("splitStatus")?.u8(0)?.ok()
        });
        reply(r, &body)
    });
    let Answer::Accepted(images) = path.state(&wait()).unwrap() else { panic!("accepted") };
    assert_eq!(images.len(), 1);
    assert_eq!((images[0].slot, images[0].active, images[0].pending), (0, true, false));
    assert_eq!(images[0].version, "1.2.0\\u{1b}", "control characters do not pass");
    assert_eq!(images[0].hash, [1; 32]);
}

#[test]
fn a_bindings_request_goes_out_as_text_and_comes_back_as_text() {
    let mut path = Script::path(|r| {
        let asked = body::decode(&r[8..]).expect("a map");
        assert_eq!(asked.get("token").and_then(Value::text), Some("00ff"));
        let body = body::encode(|e| e.map(3)?.str("counter")?.u8(2)?.str("lock")?.str("locked")?.str("id")?.bytes(&[0xab, 1])?.ok());
        reply(r, &body)
    });
    let request = SmpRequest { group: 64, id: 1, write: true, body: [("token".to_owned(), "00ff".to_owned())].into() };
    let Answer::Accepted(answer) = path.smp(&request, &wait()).unwrap() else { panic!("accepted") };
    let expected = [("counter", "2"), ("id", "ab01"), ("lock", "locked")];
    assert_eq!(answer.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), expected);
}

#[test]
fn a_cancelled_request_is_an_error_and_not_silence() {
    let wait = wait();
    wait.cancel.cancel();
    let mut path = Script::path(|r| reply(r, &RC_3));
    assert_eq!(path.state(&wait).unwrap_err().kind, ErrorKind::Cancelled);
}
