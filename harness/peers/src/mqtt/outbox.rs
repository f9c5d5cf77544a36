//! What is to be sent on a connection, in its order and bounded.

use super::text;
use bytes::{BufMut, Bytes, BytesMut};
use rumqttc::mqttbytes::v4::{Packet, Publish};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Notify;

/// Largest packet of MQTT, behind its fixed header.
const PACKET_MOST: usize = 268_435_455;

/// One thing to be done on a connection.
pub(super) enum Out {
    /// Bytes to be sent, and what is told behind them.
    Send { what: Option<String>, bytes: Bytes },
    /// The connection is to be closed, and this told.
    Close(String),
    /// The connection is to be reset.
    Reset,
}

#[derive(Default)]
pub(super) struct Outbox {
    items: VecDeque<Item>,
    /// Goes out when there is nothing else, so that a client is answered in the middle of it.
    flood: Option<Flood>,
    messages: usize,
    bytes: usize,
    /// Says that there is something new.
    pub notify: Arc<Notify>,
}

enum Item {
    Out(Out),
    Message(Packet),
}

struct Flood {
    packet: Bytes,
    left: u32,
    what: String,
}

impl Outbox {
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.flood.is_none()
    }

    /// Takes the first thing out.
    pub fn pop(&mut self) -> Option<Out> {
        match self.items.pop_front() {
            Some(Item::Out(out)) => return Some(out),
            Some(Item::Message(packet)) => {
                self.messages -= 1;
                self.bytes -= packet.size();
                return Some(send(&packet));
            }
            None => {}
        }
        let flood = self.flood.as_mut()?;
        flood.left -= 1;
        let bytes = flood.packet.clone();
        let what = if flood.left == 0 { self.flood.take().map(|f| f.what) } else { None };
        Some(Out::Send { what, bytes })
    }

    /// An answer: what comes in is read no faster than answers go out, so their number is bounded.
    pub fn reply(&mut self, packet: Packet) {
        self.last(send(&packet));
    }

    /// A message of another client. Given back if there are too many, or too many bytes.
    pub fn message(&mut self, publish: Publish, most: usize, bytes_most: usize) -> Result<(), Publish> {
        let size = publish.size();
        if self.messages >= most || self.bytes + size > bytes_most {
            return Err(publish);
        }
        self.messages += 1;
        self.bytes += size;
        self.items.push_back(Item::Message(Packet::Publish(publish)));
        self.notify.notify_one();
        Ok(())
    }

    pub fn raw(&mut self, what: String, bytes: Bytes) {
        self.last(Out::Send { what: Some(what), bytes });
    }

    /// Many times the same PUBLISH, made once.
    pub fn flood(&mut self, topic: &str, count: u32, size: usize) {
        let topic = &topic.as_bytes()[..topic.len().min(usize::from(u16::MAX))];
        let size = size.min(PACKET_MOST - 2 - topic.len());
        let mut packet = BytesMut::with_capacity(7 + topic.len() + size);
        packet.put_u8(0x30);
        let mut length = 2 + topic.len() + size;
        while length >= 0x80 {
            packet.put_u8((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        packet.put_u8(length as u8);
        packet.put_u16(topic.len() as u16);
        packet.extend_from_slice(topic);
        packet.put_bytes(b'f', size);
        if count > 0 {
            let what = format!("sent {count} PUBLISHes of {size} bytes that nobody asked for");
            self.flood = Some(Flood { packet: packet.freeze(), left: count, what });
            self.notify.notify_one();
        }
    }

    pub fn last(&mut self, out: Out) {
        self.items.push_back(Item::Out(out));
        self.notify.notify_one();
    }

    pub fn first(&mut self, out: Out) {
        self.items.push_front(Item::Out(out));
        self.notify.notify_one();
    }
}

fn send(packet: &Packet) -> Out {
    let mut bytes = BytesMut::new();
    // What is sent is well formed, so the codec has nothing against it; if it has, the timeline says so.
    match packet.write(&mut bytes, PACKET_MOST) {
        Ok(_) => Out::Send { what: Some(format!("sent {}", text::packet(packet))), bytes: bytes.freeze() },
        Err(e) => Out::Send { what: Some(format!("did not send {}: {e}", text::packet(packet))), bytes: Bytes::new() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rumqttc::mqttbytes::QoS;

    fn out(outbox: &mut Outbox) -> Option<(Option<String>, Bytes)> {
        match outbox.pop()? {
            Out::Send { what, bytes } => Some((what, bytes)),
            _ => None,
        }
    }

    #[test]
    fn messages_beyond_the_bounds_are_given_back_until_there_is_room() {
        let mut outbox = Outbox::default();
        let message = || Publish::new("a", QoS::AtMostOnce, "12345");
        assert!(outbox.message(message(), 2, 100).is_ok() && outbox.message(message(), 2, 100).is_ok());
        assert!(outbox.message(message(), 2, 100).is_err());
        assert!(out(&mut outbox).is_some());
        assert!(outbox.message(message(), 2, 19).is_err(), "twenty bytes");
        assert!(outbox.message(message(), 2, 20).is_ok());
    }

    #[test]
    fn a_flood_is_the_same_packet_so_many_times_and_told_once() {
        let mut outbox = Outbox::default();
        outbox.flood("a", 3, 200);
        let mut sent: Vec<_> = out(&mut outbox).into_iter().collect();
        outbox.reply(Packet::PingResp);
        assert_eq!(out(&mut outbox).map(|(_, bytes)| bytes), Some(Bytes::from_static(b"\xd0\x00")), "answers go before it");
        sent.extend(std::iter::from_fn(|| out(&mut outbox)));
        assert_eq!(sent.len(), 3);
        let mut made = BytesMut::new();
        Publish::new("a", QoS::AtMostOnce, "f".repeat(200)).write(&mut made).unwrap_or_default();
        assert!(sent[..3].iter().all(|(_, bytes)| *bytes == made));
        assert_eq!(sent[0].0, None);
        assert_eq!(sent[2].0.as_deref(), Some("sent 3 PUBLISHes of 200 bytes that nobody asked for"));
    }
}
