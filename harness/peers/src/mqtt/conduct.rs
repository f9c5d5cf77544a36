//! What the broker does when it is told not to be a good one.

use bytes::Bytes;
use rumqttc::mqttbytes::PacketType;

/// How the broker behaves towards a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Conduct {
    /// As MQTT 3.1.1 says.
    #[default]
    Proper,
    /// Answers CONNECT with this return code and ends the connection. 1 to 5 are the codes of the standard; 0 would be success.
    Refuse(u8),
    /// Never answers CONNECT nor anything after it; what comes is read and told.
    NoConnack,
    /// Answers CONNECT and sends nothing from then on; what comes is read and told.
    SilentAfterConnect,
    /// Takes PUBLISH and passes it on, and never acknowledges it: neither PUBACK nor PUBREC nor PUBCOMP.
    NoPublishAck,
    /// Takes SUBSCRIBE and sends what is subscribed, and never acknowledges it.
    NoSubscribeAck,
    /// Resets the connection (RST) at the first packet of this type, unanswered.
    ResetAt(PacketType),
    /// Sends PUBLISHes of QoS 0 that nobody asked for, once on each connection: after its CONNACK, or now if it has had that. Answers go out between them;
    /// a flood that is told before the last one has ended takes its place.
    Flood {
        /// Where they are published, unlooked at.
        topic: String,
        /// How many.
        count: u32,
        /// Length of each payload, in bytes; cut to what the topic leaves of the largest packet of MQTT (268 435 455).
        size: usize,
    },
    /// Sends a packet that is none, once on each connection, as for [`Conduct::Flood`].
    Malformed(Malformed),
    /// Sends these bytes, once on each connection, as for [`Conduct::Flood`].
    Bytes(Bytes),
}

/// Packets that a client must not take. Those that announce more than is sent are followed by nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// A remaining length of five bytes.
    FiveByteLength,
    /// A PUBLISH whose remaining length is longer than what is sent.
    LongerThanSent,
    /// A PUBLISH to the topic of no length.
    EmptyTopic,
    /// A PUBLISH to a topic that is not UTF-8.
    TopicNotUtf8,
    /// The reserved packet type 0.
    TypeZero,
    /// The reserved packet type 15.
    TypeFifteen,
    /// A PINGRESP with flags.
    WrongFlags,
    /// A PUBLISH with QoS 3.
    QosThree,
    /// A PUBLISH of QoS 1 with packet identifier 0.
    IdZero,
    /// A PUBLISH that announces 268 435 455 bytes.
    Oversize,
    /// A second CONNACK.
    SecondConnack,
    /// A SUBACK that nobody asked for.
    UnaskedSuback,
}

impl Malformed {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::FiveByteLength,
        Self::LongerThanSent,
        Self::EmptyTopic,
        Self::TopicNotUtf8,
        Self::TypeZero,
        Self::TypeFifteen,
        Self::WrongFlags,
        Self::QosThree,
        Self::IdZero,
        Self::Oversize,
        Self::SecondConnack,
        Self::UnaskedSuback,
    ];

    /// What is sent.
    pub fn bytes(self) -> Bytes {
        Bytes::from_static(match self {
            Self::FiveByteLength => b"\x30\x80\x80\x80\x80\x01",
            Self::LongerThanSent => b"\x30\x20\x00\x01ax",
            Self::EmptyTopic => b"\x30\x03\x00\x00x",
            Self::TopicNotUtf8 => b"\x30\x05\x00\x02\xc3\x28x",
            Self::TypeZero => b"\x00\x00",
            Self::TypeFifteen => b"\xf0\x00",
            Self::WrongFlags => b"\xd5\x00",
            Self::QosThree => b"\x36\x06\x00\x01a\x00\x01x",
            Self::IdZero => b"\x32\x06\x00\x01a\x00\x00x",
            Self::Oversize => b"\x30\xff\xff\xff\x7f\x00\x01a",
            Self::SecondConnack => b"\x20\x02\x00\x00",
            Self::UnaskedSuback => b"\x90\x03\x12\x34\x00",
        })
    }

    /// Whether it announces more than it has, so that nothing may follow.
    pub(super) fn is_unfinished(self) -> bool {
        matches!(self, Self::LongerThanSent | Self::Oversize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lengths_are_wrong_where_they_are_meant_to_be() {
        for packet in Malformed::ALL.into_iter().filter(|p| *p != Malformed::FiveByteLength) {
            let bytes = packet.bytes();
            assert_eq!(usize::from(bytes[1]) + 2 == bytes.len(), !packet.is_unfinished(), "{packet:?}");
        }
    }
}
