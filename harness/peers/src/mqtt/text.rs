//! Words for the timeline: what the device sent is escaped and cut.

use rumqttc::mqttbytes::v4::{LastWill, Packet};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Most characters of one piece of the device's text.
const MOST: usize = 120;
/// Most filters that are named.
const FILTERS: usize = 8;

/// Text of a device, in quotes.
pub(super) fn shown(text: &str) -> String {
    let cut = if text.chars().nth(MOST).is_some() { "..." } else { "" };
    let head: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    format!("\"{head}\"{cut}")
}

/// Digest in lower-case hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// Where a will goes.
pub(super) fn will(will: &LastWill) -> String {
    let retained = if will.retain { ", retained" } else { "" };
    format!("will to {} QoS {}{retained}, {} bytes", shown(&will.topic), will.qos as u8, will.message.len())
}

/// A packet in words. CONNECT is told by who knows what came with it.
pub(super) fn packet(packet: &Packet) -> String {
    match packet {
        Packet::Connect(_) => "CONNECT".to_owned(),
        Packet::ConnAck(a) => format!("CONNACK {}{}", a.code as u8, if a.session_present { ", session present" } else { "" }),
        Packet::Publish(p) => {
            let id = if p.pkid == 0 { String::new() } else { format!(" id {}", p.pkid) };
            let flags = format!("{}{}", if p.retain { ", retained" } else { "" }, if p.dup { ", again" } else { "" });
            format!("PUBLISH to {} QoS {}{id}{flags}, {} bytes", shown(&p.topic), p.qos as u8, p.payload.len())
        }
        Packet::PubAck(p) => format!("PUBACK id {}", p.pkid),
        Packet::PubRec(p) => format!("PUBREC id {}", p.pkid),
        Packet::PubRel(p) => format!("PUBREL id {}", p.pkid),
        Packet::PubComp(p) => format!("PUBCOMP id {}", p.pkid),
        Packet::Subscribe(s) => {
            let filters = s.filters.iter().map(|f| format!("{} QoS {}", shown(&f.path), f.qos as u8));
            format!("SUBSCRIBE id {} to {}", s.pkid, list(filters, s.filters.len()))
        }
        Packet::SubAck(s) => format!("SUBACK id {}", s.pkid),
        Packet::Unsubscribe(u) => format!("UNSUBSCRIBE id {} from {}", u.pkid, list(u.topics.iter().map(|t| shown(t)), u.topics.len())),
        Packet::UnsubAck(u) => format!("UNSUBACK id {}", u.pkid),
        Packet::PingReq => "PINGREQ".to_owned(),
        Packet::PingResp => "PINGRESP".to_owned(),
        Packet::Disconnect => "DISCONNECT".to_owned(),
    }
}

fn list(items: impl Iterator<Item = String>, count: usize) -> String {
    let mut text = items.take(FILTERS).collect::<Vec<_>>().join(", ");
    if count > FILTERS {
        let _ = write!(text, " and {} more", count - FILTERS);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_the_device_is_escaped_and_cut() {
        assert_eq!(shown("a\n\u{1b}\"ü"), r#""a\n\u{1b}\"ü""#);
        assert_eq!(shown(&"ü".repeat(MOST)), format!("\"{}\"", "ü".repeat(MOST)));
        assert_eq!(shown(&"x".repeat(MOST + 1)), format!("\"{}\"...", "x".repeat(MOST)));
    }
}
