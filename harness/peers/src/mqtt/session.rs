//! A client's session: what it subscribed to, and the exchanges of QoS 1 and 2 that are not finished. And what is retained.

use super::topics::matches;
use bytes::Bytes;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Packet, PubRel, Publish};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// State of one client identifier.
pub(super) struct Session {
    /// The connection that has it.
    pub connection: Option<u64>,
    /// Whether it ends with its connection.
    pub clean: bool,
    /// When its connection came or ended, as a place in the order of such events.
    pub since: u64,
    pub filters: BTreeMap<String, QoS>,
    /// Identifiers of PUBLISHes of QoS 2 that the client has not released.
    pub received: BTreeSet<u16>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    next_id: u16,
}

/// A message that the client has not acknowledged to the end.
struct Waiting {
    publish: Publish,
    sent: bool,
    released: bool,
}

impl Session {
    pub fn new(clean: bool) -> Self {
        Self {
            connection: None,
            clean,
            since: 0,
            filters: BTreeMap::new(),
            received: BTreeSet::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            next_id: 0,
        }
    }

    /// The highest QoS at which it is subscribed to this topic.
    pub fn wants(&self, topic: &str) -> Option<QoS> {
        let mut best: Option<QoS> = None;
        for (_, qos) in self.filters.iter().filter(|(filter, _)| matches(filter, topic)) {
            best = Some(best.map_or(*qos, |b| if b < *qos { *qos } else { b }));
        }
        best
    }

    /// Keeps a message of QoS 1 or 2 until it is acknowledged, and gives it an identifier. False if there are too many, or too many bytes.
    pub fn keep(&mut self, publish: &mut Publish, sent: bool, most: usize, bytes_most: usize) -> bool {
        let bytes = publish.topic.len() + publish.payload.len();
        if self.waiting.len() >= most || self.waiting_bytes + bytes > bytes_most {
            return false;
        }
        // `most` is less than the identifiers there are, so one is free.
        loop {
            self.next_id = self.next_id.wrapping_add(1).max(1);
            if !self.waiting.iter().any(|w| w.publish.pkid == self.next_id) {
                break;
            }
        }
        publish.pkid = self.next_id;
        self.waiting_bytes += bytes;
        self.waiting.push_back(Waiting { publish: publish.clone(), sent, released: false });
        true
    }

    /// The client has this message: PUBACK for QoS 1, PUBCOMP for QoS 2.
    pub fn finished(&mut self, id: u16, qos: QoS) {
        if let Some(at) = self.waiting.iter().position(|w| w.publish.pkid == id && w.publish.qos == qos)
            && let Some(done) = self.waiting.remove(at)
        {
            self.waiting_bytes -= done.publish.topic.len() + done.publish.payload.len();
        }
    }

    /// PUBREC: from now on only the release is repeated.
    pub fn released(&mut self, id: u16) {
        if let Some(found) = self.waiting.iter_mut().find(|w| w.publish.pkid == id && w.publish.qos == QoS::ExactlyOnce) {
            found.released = true;
        }
    }

    /// What a client that has come back is sent again.
    pub fn again(&mut self) -> Vec<Packet> {
        let packets = self.waiting.iter_mut().map(|w| {
            if w.released {
                return Packet::PubRel(PubRel::new(w.publish.pkid));
            }
            let dup = std::mem::replace(&mut w.sent, true);
            Packet::Publish(Publish { dup, ..w.publish.clone() })
        });
        packets.collect()
    }
}

/// The last retained message of each topic.
#[derive(Default)]
pub(super) struct Retained {
    topics: BTreeMap<String, (QoS, Bytes)>,
    bytes: usize,
}

impl Retained {
    /// Keeps it in the place of the last one; a message of no length takes that away. False if there is no room, and the last one stays.
    pub fn keep(&mut self, message: &Publish, most: usize, bytes_most: usize) -> bool {
        let size = |topic: &str, payload: &Bytes| topic.len() + payload.len();
        let before = self.topics.get(&message.topic).map_or(0, |(_, p)| size(&message.topic, p));
        let after = if message.payload.is_empty() { 0 } else { size(&message.topic, &message.payload) };
        let is_new = before == 0 && after > 0;
        if (is_new && self.topics.len() >= most) || self.bytes - before + after > bytes_most {
            return false;
        }
        self.bytes = self.bytes - before + after;
        if after == 0 {
            self.topics.remove(&message.topic);
        } else {
            // A copy, so that a short message does not hold the whole read buffer.
            self.topics.insert(message.topic.clone(), (message.qos, Bytes::copy_from_slice(&message.payload)));
        }
        true
    }

    /// What a filter picks.
    pub fn picked<'a>(&'a self, filter: &'a str) -> impl Iterator<Item = (&'a str, QoS, &'a Bytes)> {
        self.topics.iter().filter(move |(topic, _)| matches(filter, topic)).map(|(topic, (qos, payload))| (topic.as_str(), *qos, payload))
    }

    /// All topics with their payloads.
    pub fn all(&self) -> Vec<(String, Bytes)> {
        self.topics.iter().map(|(t, (_, p))| (t.clone(), p.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, qos: QoS, payload: &str) -> Publish {
        Publish::new(topic, qos, payload)
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again_and_what_is_released_is_not() {
        let mut session = Session::new(false);
        for (n, qos) in [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::AtLeastOnce, QoS::ExactlyOnce].into_iter().enumerate() {
            let mut m = message("a", qos, "x");
            assert!(session.keep(&mut m, n != 3, 4, 1000));
            assert_eq!(usize::from(m.pkid), n + 1);
        }
        assert!(!session.keep(&mut message("a", QoS::AtLeastOnce, "x"), true, 4, 1000), "full");
        session.finished(1, QoS::ExactlyOnce);
        session.finished(3, QoS::AtLeastOnce);
        session.released(2);
        let again: Vec<String> = session.again().iter().map(crate::mqtt::text::packet).collect();
        assert_eq!(again, ["PUBLISH to \"a\" QoS 1 id 1, again, 1 bytes", "PUBREL id 2", "PUBLISH to \"a\" QoS 2 id 4, 1 bytes"]);
        for (id, qos) in [(1, QoS::AtLeastOnce), (2, QoS::ExactlyOnce), (4, QoS::ExactlyOnce)] {
            session.finished(id, qos);
        }
        assert!(session.again().is_empty());
        assert!(!session.keep(&mut message("a", QoS::AtLeastOnce, &"x".repeat(1000)), true, 4, 1000), "too long");
    }

    #[test]
    fn retained_messages_take_no_more_room_than_they_may() {
        let mut retained = Retained::default();
        let long = "x".repeat(99);
        assert!(retained.keep(&message("a", QoS::AtMostOnce, &long), 2, 201));
        assert!(retained.keep(&message("b", QoS::AtMostOnce, &long), 2, 201));
        assert!(!retained.keep(&message("c", QoS::AtMostOnce, "x"), 2, 201), "two topics are the most");
        assert!(!retained.keep(&message("a", QoS::AtMostOnce, &"y".repeat(101)), 2, 201), "too long");
        assert_eq!(retained.all()[0].1, long.as_bytes());
        assert!(retained.keep(&message("a", QoS::AtMostOnce, ""), 2, 201));
        assert!(retained.keep(&message("c", QoS::AtMostOnce, &"y".repeat(100)), 2, 201), "what went has made room");
        assert_eq!(retained.picked("#").map(|(t, ..)| t).collect::<Vec<_>>(), ["b", "c"]);
    }
}
