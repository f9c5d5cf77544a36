//! The lab's broker: MQTT 3.1.1 as far as one device needs it, on rumqttc's packets.

use super::{Answers, Lab};
use bytes::BytesMut;
use proofbench_channel::network::{BrokerConduct, Sight};
use proofbench_emulator::net::NetIn;
use rumqttc::mqttbytes::v4::{self, ConnAck, ConnectReturnCode, Packet, PubAck, Publish, SubAck, SubscribeReasonCode};
use rumqttc::mqttbytes::{self, QoS};

const PACKET_MOST: usize = 256 * 1024;
const PAYLOAD_MOST: usize = 65_536;
const FILTERS_MOST: usize = 64;

impl Lab {
    pub(super) fn broker(&mut self, now: u64, conn: u64, bytes: &[u8], conduct: &BrokerConduct, answers: &mut Answers) {
        let Some(visit) = self.visits.get_mut(&conn) else { return };
        let mut buffer = BytesMut::from(&std::mem::take(&mut visit.buffer)[..]);
        buffer.extend_from_slice(bytes);
        // Every turn takes a packet or ends.
        loop {
            match Packet::read(&mut buffer, PACKET_MOST) {
                Ok(packet) => {
                    if !self.packet(now, conn, packet, conduct, answers) {
                        self.visits.remove(&conn);
                        answers.push((0, NetIn::Ended(conn)));
                        return;
                    }
                }
                Err(mqttbytes::Error::InsufficientBytes(_)) => {
                    if let Some(visit) = self.visits.get_mut(&conn) {
                        visit.buffer = buffer.to_vec();
                    }
                    return;
                }
                Err(_) => {
                    self.see_visit(now, conn, Sight::Bytes(buffer.iter().copied().take(4096).collect()));
                    self.visits.remove(&conn);
                    answers.push((0, NetIn::Ended(conn)));
                    return;
                }
            }
        }
    }

    /// Whether the connection goes on.
    fn packet(&mut self, now: u64, conn: u64, packet: Packet, conduct: &BrokerConduct, answers: &mut Answers) -> bool {
        let mut out = BytesMut::new();
        let goes_on = match packet {
            Packet::Connect(c) => {
                let login = c.login.as_ref();
                let sight = Sight::Connect {
                    client: c.client_id.clone(),
                    user: login.map(|l| l.username.clone()),
                    secret: login.is_some_and(|l| !l.password.is_empty()),
                };
                self.see_visit(now, conn, sight);
                match conduct {
                    BrokerConduct::NoConnack => true,
                    BrokerConduct::Refuse(code) => {
                        out.extend_from_slice(&[0x20, 2, 0, *code]);
                        false
                    }
                    _ => {
                        let _ = ConnAck { session_present: false, code: ConnectReturnCode::Success }.write(&mut out);
                        if let BrokerConduct::Bytes(bytes) = conduct {
                            out.extend_from_slice(bytes);
                        }
                        true
                    }
                }
            }
            Packet::Publish(p) => {
                let payload = p.payload.iter().copied().take(PAYLOAD_MOST).collect();
                self.see_visit(now, conn, Sight::Published { topic: p.topic.clone(), payload, retain: p.retain });
                if p.qos == QoS::AtLeastOnce && *conduct != BrokerConduct::NoPublishAck {
                    let _ = PubAck::new(p.pkid).write(&mut out);
                }
                true
            }
            Packet::Subscribe(s) => {
                let mut codes = Vec::new();
                for filter in &s.filters {
                    self.see_visit(now, conn, Sight::Subscribed { filter: filter.path.clone() });
                    codes.push(SubscribeReasonCode::Success(QoS::AtMostOnce));
                    if let Some(visit) = self.visits.get_mut(&conn)
                        && visit.filters.len() < FILTERS_MOST
                    {
                        visit.filters.push(filter.path.clone());
                    }
                }
                let _ = SubAck::new(s.pkid, codes).write(&mut out);
                true
            }
            Packet::PingReq => {
                let _ = v4::PingResp.write(&mut out);
                true
            }
            Packet::Disconnect => true,
            _ => true,
        };
        if !out.is_empty() {
            answers.push((0, NetIn::Data(conn, out.to_vec())));
        }
        goes_on
    }
}

/// PUBLISH of QoS 0.
pub(super) fn publish(topic: &str, payload: &[u8], retain: bool) -> Vec<u8> {
    let mut out = BytesMut::new();
    let mut packet = Publish::new(topic, QoS::AtMostOnce, payload);
    packet.retain = retain;
    let _ = packet.write(&mut out);
    out.to_vec()
}

/// Whether a filter takes a topic.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    mqttbytes::matches(topic, filter)
}
