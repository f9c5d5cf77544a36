//! MQTT 3.1.1 as a client speaks it: the packets that this product sends and takes, bounded.

/// Longest packet that is taken.
const PACKET_MOST: usize = 1024;

/// A packet from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packet {
    ConnAck(u8),
    Publish { topic: String, payload: Vec<u8>, id: Option<u16> },
    PubAck(u16),
    SubAck,
    PingResp,
}

/// What a buffer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Read {
    Partial,
    Whole(Packet, usize),
    /// Not MQTT, or not what a client may be sent.
    Bad,
}

/// Reads one packet from the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Read {
    let Some(first) = bytes.first() else { return Read::Partial };
    let mut len = 0usize;
    let mut used = 1;
    loop {
        let Some(b) = bytes.get(used) else { return if used > 4 { Read::Bad } else { Read::Partial } };
        if used > 4 {
            return Read::Bad;
        }
        len |= usize::from(b & 0x7F) << (7 * (used - 1));
        used += 1;
        if b & 0x80 == 0 {
            break;
        }
    }
    if len > PACKET_MOST {
        return Read::Bad;
    }
    let Some(body) = bytes.get(used..used + len) else { return Read::Partial };
    let whole = |packet| Read::Whole(packet, used + len);
    match (first >> 4, first & 0x0F, body) {
        (2, 0, [flags, code]) if *flags < 2 => whole(Packet::ConnAck(*code)),
        (3, flags, body) if flags & 6 != 6 && flags >> 1 & 3 < 2 => publish(body, flags).map_or(Read::Bad, whole),
        (4, 0, [a, b]) => whole(Packet::PubAck(u16::from_be_bytes([*a, *b]))),
        (9, 0, [_, _, code]) if *code < 3 || *code == 0x80 => whole(Packet::SubAck),
        (13, 0, []) => whole(Packet::PingResp),
        _ => Read::Bad,
    }
}

fn publish(body: &[u8], flags: u8) -> Option<Packet> {
    let len = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
    let topic = String::from_utf8(body.get(2..2 + len)?.to_vec()).ok().filter(|t| !t.is_empty() && !t.contains(['+', '#', '\0']))?;
    let mut rest = &body[2 + len..];
    let mut id = None;
    if flags >> 1 & 3 == 1 {
        let number = u16::from_be_bytes([*rest.first()?, *rest.get(1)?]);
        id = Some(number).filter(|n| *n != 0);
        id?;
        rest = &rest[2..];
    }
    Some(Packet::Publish { topic, payload: rest.to_vec(), id })
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut len = body.len();
    loop {
        let low = (len & 0x7F) as u8;
        len >>= 7;
        out.push(if len > 0 { low | 0x80 } else { low });
        if len == 0 {
            break;
        }
    }
    out.extend_from_slice(body);
    out
}

fn text(out: &mut Vec<u8>, s: &str) {
    out.extend((s.len().min(0xFFFF) as u16).to_be_bytes());
    out.extend(&s.as_bytes()[..s.len().min(0xFFFF)]);
}

/// CONNECT with a clean session; with a user name and password where they are given.
pub(super) fn connect(client: &str, keep_alive_s: u16, login: Option<(&str, &str)>) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, "MQTT");
    body.extend([4, if login.is_some() { 0xC2 } else { 2 }]);
    body.extend(keep_alive_s.to_be_bytes());
    text(&mut body, client);
    if let Some((user, secret)) = login {
        text(&mut body, user);
        text(&mut body, secret);
    }
    packet(0x10, &body)
}

/// SUBSCRIBE, QoS 0.
pub(super) fn subscribe(filter: &str) -> Vec<u8> {
    let mut body = vec![0, 1];
    text(&mut body, filter);
    body.push(0);
    packet(0x82, &body)
}

/// PUBLISH; with an identifier it is QoS 1.
pub(super) fn publish_packet(topic: &str, payload: &[u8], id: Option<u16>, again: bool) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, topic);
    if let Some(id) = id {
        body.extend(id.to_be_bytes());
    }
    body.extend_from_slice(payload);
    packet(0x30 | u8::from(id.is_some()) << 1 | u8::from(again) << 3, &body)
}

/// PUBACK.
pub(super) fn puback(id: u16) -> Vec<u8> {
    packet(0x40, &id.to_be_bytes())
}

/// PINGREQ.
pub(super) fn ping() -> Vec<u8> {
    packet(0xC0, &[])
}

/// DISCONNECT.
pub(super) fn disconnect() -> Vec<u8> {
    packet(0xE0, &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_publish_reads_back_and_a_cut_one_is_partial() {
        let bytes = publish_packet("a/b", b"hello", Some(7), false);
        for cut in 0..bytes.len() {
            assert_eq!(read(&bytes[..cut]), Read::Partial, "{cut}");
        }
        assert_eq!(read(&bytes), Read::Whole(Packet::Publish { topic: "a/b".into(), payload: b"hello".to_vec(), id: Some(7) }, bytes.len()));
    }

    #[test]
    fn lengths_of_five_bytes_qos_three_and_empty_topics_are_no_packets() {
        assert_eq!(read(&[0x30, 0x80, 0x80, 0x80, 0x80, 1]), Read::Bad);
        assert_eq!(read(&[0x36, 5, 0, 1, b'a', 0, 1]), Read::Bad);
        assert_eq!(read(&[0x30, 2, 0, 0]), Read::Bad);
        assert_eq!(read(&[0xF0, 0]), Read::Bad);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_much(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Read::Whole(_, used) = read(&bytes) {
                prop_assert!(used <= bytes.len());
            }
        }
    }
}
