//! Packets out of a client's bytes: framed and read by the codec, checked where the codec is lenient, and the password taken out before anything else
//! sees it.

use super::topics::{is_filter, is_name};
use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::v4::Packet;
use rumqttc::mqttbytes::{Error, PacketType, check};
use std::ops::Range;

/// Most bytes that are told of what cannot be read.
const TOLD: usize = 1024;
/// Of a CONNECT that cannot be read, no more is told than its fixed header, protocol, flags and keep alive: a password may be behind them.
const TOLD_CONNECT: usize = 12;
/// Protocol level of MQTT 3.1.1.
const LEVEL: u8 = 4;
/// CONNACK: unacceptable protocol version.
const REFUSED_VERSION: u8 = 1;

/// What a client's bytes begin with.
pub(super) enum Taken {
    /// Less than a packet.
    Nothing,
    /// A packet.
    Packet(Box<Got>),
    /// Nothing that can be read; there is no way to go on behind it.
    Bad(Bad),
}

/// A packet and its bytes, the password in them overwritten.
pub(super) struct Got {
    pub packet: Packet,
    pub kind: PacketType,
    pub raw: Bytes,
    pub login: Login,
}

/// What came with a CONNECT. The codec does not tell an empty user name or password from none, and takes no password that is not text.
#[derive(Default)]
pub(crate) struct Login {
    pub user: Option<String>,
    pub password: Option<Bytes>,
}

/// Bytes that cannot be read.
pub(super) struct Bad {
    pub why: String,
    pub raw: Bytes,
    /// The return code that the standard wants sent.
    pub refusal: Option<u8>,
}

/// Takes the first packet out of `buffer`. Packets with more than `most` bytes behind the fixed header cannot be read.
pub(super) fn take(buffer: &mut BytesMut, most: usize) -> Taken {
    let header = match check(buffer.iter(), most) {
        Ok(header) => header,
        Err(Error::InsufficientBytes(_)) => return Taken::Nothing,
        Err(e) => return Taken::Bad(Bad { why: e.to_string(), raw: told(buffer), refusal: None }),
    };
    let mut frame = buffer.split_to(header.frame_length());
    let bad = |frame: &[u8], why: String| Taken::Bad(Bad { why, raw: told(frame), refusal: None });
    let kind = match header.packet_type() {
        Ok(kind) => kind,
        Err(e) => return bad(&frame, e.to_string()),
    };
    let mut login = Login::default();
    if kind == PacketType::Connect {
        match fields(&frame) {
            Ok(found) => {
                login.user = found.user.map(|u| String::from_utf8_lossy(&frame[u]).into_owned());
                login.password = found.password.map(|range| {
                    let password = Bytes::copy_from_slice(&frame[range.clone()]);
                    frame[range].fill(b'*');
                    password
                });
            }
            Err(Unfit::Version) => {
                let why = "another protocol than MQTT 3.1.1".to_owned();
                return Taken::Bad(Bad { why, raw: told(&frame), refusal: Some(REFUSED_VERSION) });
            }
            Err(Unfit::Malformed(why)) => return bad(&frame, why.to_owned()),
        }
    }
    let packet = match Packet::read(&mut frame.clone(), most) {
        Ok(packet) => packet,
        Err(e) => return bad(&frame, e.to_string()),
    };
    if let Some(why) = unfit(&packet, kind, &frame) {
        return bad(&frame, why.to_owned());
    }
    Taken::Packet(Box::new(Got { packet, kind, raw: frame.freeze(), login }))
}

/// Bytes that cannot be read, as far as they are told.
pub(super) fn told(bytes: &[u8]) -> Bytes {
    let most = if bytes.first().is_some_and(|b| b >> 4 == PacketType::Connect as u8) { TOLD_CONNECT } else { TOLD };
    Bytes::copy_from_slice(&bytes[..bytes.len().min(most)])
}

/// What the standard forbids and the codec lets pass.
fn unfit(packet: &Packet, kind: PacketType, frame: &[u8]) -> Option<&'static str> {
    let flags = frame.first().map_or(0, |b| b & 0x0f);
    let wanted = match kind {
        PacketType::Publish => flags,
        PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe => 2,
        _ => 0,
    };
    if flags != wanted {
        return Some("reserved flags of the fixed header");
    }
    match packet {
        Packet::Publish(p) if !is_name(&p.topic) => Some("a topic that is none"),
        Packet::Connect(c) if c.last_will.as_ref().is_some_and(|w| !is_name(&w.topic)) => Some("a will to a topic that is none"),
        Packet::Subscribe(s) if s.filters.iter().any(|f| !is_filter(&f.path)) => Some("a topic filter that is none"),
        Packet::Unsubscribe(u) if u.topics.is_empty() || u.topics.iter().any(|t| !is_filter(t)) => Some("a topic filter that is none"),
        Packet::Subscribe(s) if s.pkid == 0 => Some("packet identifier 0"),
        Packet::Unsubscribe(u) if u.pkid == 0 => Some("packet identifier 0"),
        Packet::PingReq | Packet::Disconnect if frame.len() != 2 => Some("bytes behind the fixed header"),
        Packet::PubAck(_) | Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_) if frame.len() != 4 => {
            Some("bytes behind the packet identifier")
        }
        _ => None,
    }
}

enum Unfit {
    Version,
    Malformed(&'static str),
}

struct Fields {
    user: Option<Range<usize>>,
    password: Option<Range<usize>>,
}

/// Where user name and password are in a whole CONNECT.
fn fields(frame: &[u8]) -> Result<Fields, Unfit> {
    const SHORT: Unfit = Unfit::Malformed("a CONNECT that ends too early");
    let length_bytes = frame.iter().skip(1).position(|b| b & 0x80 == 0).ok_or(SHORT)? + 1;
    let mut at = 1 + length_bytes;
    let mut field = |fixed: Option<usize>| {
        let length = match fixed {
            Some(length) => length,
            None => {
                let length = frame.get(at..at + 2).ok_or(SHORT)?;
                at += 2;
                length.iter().fold(0, |n, b| n << 8 | usize::from(*b))
            }
        };
        let range = at..at + length;
        frame.get(range.clone()).ok_or(SHORT)?;
        at = range.end;
        Ok(range)
    };
    let name = field(None)?;
    let level = field(Some(1))?.start;
    if frame[name] != *b"MQTT" || frame[level] != LEVEL {
        return Err(Unfit::Version);
    }
    let flags = frame[field(Some(1))?.start];
    let (has_will, has_user, has_password) = (flags & 0x04 != 0, flags & 0x80 != 0, flags & 0x40 != 0);
    if flags & 0x01 != 0 {
        return Err(Unfit::Malformed("the reserved connect flag"));
    }
    if has_password && !has_user {
        return Err(Unfit::Malformed("a password without a user name"));
    }
    field(Some(2))?;
    field(None)?;
    if has_will {
        field(None)?;
        field(None)?;
    }
    let user = if has_user { Some(field(None)?) } else { None };
    let password = if has_password { Some(field(None)?) } else { None };
    let end = field(Some(0))?.end;
    if end != frame.len() {
        return Err(Unfit::Malformed("bytes behind the last field of CONNECT"));
    }
    Ok(Fields { user, password })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;
    use rumqttc::mqttbytes::v4::{Connect, LastWill};
    use rumqttc::mqttbytes::{QoS, v4};

    fn first(bytes: &[u8]) -> Taken {
        take(&mut BytesMut::from(bytes), 4096)
    }

    fn connect(change: impl FnOnce(&mut Connect)) -> BytesMut {
        let mut connect = Connect::new("lamp");
        change(&mut connect);
        let mut bytes = BytesMut::new();
        connect.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_password_is_in_the_login_and_nowhere_else() {
        let bytes = connect(|c| {
            c.last_will = Some(LastWill::new("gone", "hunter", QoS::AtMostOnce, false));
            c.set_login("user", "hunter2");
        });
        let Taken::Packet(got) = first(&bytes) else { panic!() };
        assert_eq!(got.login.user.as_deref(), Some("user"));
        assert_eq!(got.login.password.as_deref(), Some(&b"hunter2"[..]));
        assert!(got.raw.ends_with(b"user\x00\x07*******") && got.raw.len() == bytes.len());
        assert!(!format!("{:?}", got.packet).contains("hunter2"));
    }

    #[test]
    fn a_password_need_not_be_text_and_may_be_empty() {
        let mut bytes = connect(|c| {
            c.set_login("u", "xyz");
        });
        let end = bytes.len();
        bytes[end - 3..].copy_from_slice(b"\xff\x00\xfe");
        let Taken::Packet(got) = first(&bytes) else { panic!() };
        assert_eq!(got.login.password.as_deref(), Some(&b"\xff\x00\xfe"[..]));
        let Taken::Packet(got) = first(b"\x10\x11\x00\x04MQTT\x04\xc2\x00\x0a\x00\x01x\x00\x00\x00\x00") else { panic!() };
        assert_eq!((got.login.user.as_deref(), got.login.password.as_deref()), (Some(""), Some(&b""[..])));
    }

    #[rstest]
    #[case::mqtt_31(b"\x10\x14\x00\x06MQIsdp\x03\xc2\x00\x0a\x00\x01x\x00\x01u\x00\x01p", Some(1))]
    #[case::mqtt_5(b"\x10\x13\x00\x04MQTT\x05\xc2\x00\x0a\x00\x00\x01x\x00\x01u\x00\x01p", Some(1))]
    #[case::reserved_flag(b"\x10\x0d\x00\x04MQTT\x04\x03\x00\x0a\x00\x01x", None)]
    #[case::password_alone(b"\x10\x10\x00\x04MQTT\x04\x42\x00\x0a\x00\x01x\x00\x01p", None)]
    #[case::cut(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x01", None)]
    #[case::more(b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x0a\x00\x01xy", None)]
    fn connects_that_are_none_are_told_without_their_fields(#[case] bytes: &[u8], #[case] refusal: Option<u8>) {
        let Taken::Bad(bad) = first(bytes) else { panic!() };
        assert_eq!(bad.refusal, refusal);
        assert_eq!(bad.raw, bytes[..TOLD_CONNECT]);
    }

    #[rstest]
    #[case::length_of_five(b"\x30\x80\x80\x80\x80\x01")]
    #[case::oversize(b"\x30\xff\xff\xff\x7f")]
    #[case::type_0(b"\x00\x00")]
    #[case::type_15(b"\xf0\x00")]
    #[case::qos_3(b"\x36\x06\x00\x01a\x00\x01x")]
    #[case::id_0(b"\x32\x06\x00\x01a\x00\x00x")]
    #[case::wildcard(b"\x30\x04\x00\x01#x")]
    #[case::no_topic(b"\x30\x03\x00\x00x")]
    #[case::not_utf8(b"\x30\x05\x00\x02\xc3\x28x")]
    #[case::subscribe_flags(b"\x80\x06\x00\x01\x00\x01a\x00")]
    #[case::subscribe_to_nothing(b"\x82\x02\x00\x01")]
    #[case::subscribe_id_0(b"\x82\x06\x00\x00\x00\x01a\x00")]
    #[case::bad_filter(b"\x82\x08\x00\x01\x00\x03#/a\x00")]
    #[case::unsubscribe_from_nothing(b"\xa2\x02\x00\x01")]
    #[case::unsubscribe_of_one_byte(b"\xa2\x01\x00")]
    #[case::ping_with_more(b"\xc0\x01\x00")]
    #[case::long_puback(b"\x40\x04\x00\x01\x00\x00")]
    fn what_the_standard_forbids_is_not_read(#[case] bytes: &[u8]) {
        assert!(matches!(first(bytes), Taken::Bad(_)));
    }

    #[test]
    fn packets_come_out_one_by_one_and_a_part_waits() {
        let mut bytes = BytesMut::new();
        v4::PingReq.write(&mut bytes).unwrap();
        v4::Publish::new("a", QoS::AtMostOnce, "x").write(&mut bytes).unwrap();
        bytes.extend_from_slice(b"\xc0");
        assert!(matches!(take(&mut bytes, 100), Taken::Packet(got) if got.packet == Packet::PingReq));
        assert!(matches!(take(&mut bytes, 100), Taken::Packet(got) if got.raw == b"\x30\x04\x00\x01ax"[..]));
        assert!(matches!(take(&mut bytes, 100), Taken::Nothing));
        assert_eq!(&bytes[..], b"\xc0");
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(kind in 0u8..16, flags in 0u8..16, body in prop::collection::vec(any::<u8>(), 0..60), tail in any::<[u8; 3]>()) {
            let mut bytes = BytesMut::from(&[kind << 4 | flags, body.len() as u8][..]);
            bytes.extend_from_slice(&body);
            bytes.extend_from_slice(&tail);
            while let Taken::Packet(_) = take(&mut bytes, 100) {}
        }

        #[test]
        fn no_connect_does_harm(flags in any::<u8>(), body in prop::collection::vec(prop_oneof![Just(0u8), 0u8..4, any::<u8>()], 0..60)) {
            let mut bytes = BytesMut::from(&[0x10, 10 + body.len() as u8][..]);
            bytes.extend_from_slice(&[0, 4, b'M', b'Q', b'T', b'T', 4, flags, 0, 0]);
            bytes.extend_from_slice(&body);
            let _ = first(&bytes);
        }
    }
}
