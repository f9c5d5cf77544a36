//! SMP messages: header, request body as a flat CBOR map, answers.

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};
use std::convert::Infallible;

/// Bytes of the header.
pub const HEADER: usize = 8;
/// Group error: the command is not there.
pub const ENOTSUP: u16 = 8;
/// Group error: the request makes no sense.
pub const EINVAL: u16 = 3;
/// Group error: not allowed.
pub const EACCESS: u16 = 11;
/// Group error: not now.
pub const EBADSTATE: u16 = 6;

/// Header of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Protocol version: 0 or 1 (which is called SMP v2).
    pub version: u8,
    /// Read (0) or write (2).
    pub op: u8,
    /// Group.
    pub group: u16,
    /// Sequence number, given back.
    pub seq: u8,
    /// Command.
    pub id: u8,
}

impl Header {
    /// Header and body of a request; none if it is no request or its length is wrong.
    pub fn parse(message: &[u8]) -> Option<(Header, &[u8])> {
        let (h, body) = message.split_first_chunk::<HEADER>()?;
        let header = Header { version: h[0] >> 3 & 3, op: h[0] & 7, group: u16::from_be_bytes([h[4], h[5]]), seq: h[6], id: h[7] };
        let fits = usize::from(u16::from_be_bytes([h[2], h[3]])) == body.len();
        (fits && matches!(header.op, 0 | 2) && header.version <= 1).then_some((header, body))
    }

    /// The whole answer with this body.
    pub fn answer(self, body: &[u8]) -> Vec<u8> {
        let len = (body.len() as u16).to_be_bytes();
        let group = self.group.to_be_bytes();
        let mut out = vec![self.version << 3 | (self.op + 1), 0, len[0], len[1], group[0], group[1], self.seq, self.id];
        out.extend(body);
        out
    }
}

/// What a request's body holds of what any command asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Body<'b> {
    /// Echo text.
    pub d: Option<&'b str>,
    /// Image number.
    pub image: Option<u64>,
    /// Slot.
    pub slot: Option<u64>,
    /// Length of the whole image.
    pub len: Option<u64>,
    /// Where the data belongs.
    pub off: Option<u64>,
    /// SHA-256 of the whole upload.
    pub sha: Option<&'b [u8]>,
    /// A piece of the image.
    pub data: Option<&'b [u8]>,
    /// Only newer images are wanted.
    pub upgrade: Option<bool>,
    /// Hash that names an image.
    pub hash: Option<&'b [u8]>,
    /// Keep and not only try.
    pub confirm: Option<bool>,
    /// Token of a factory reset.
    pub token: Option<&'b str>,
    /// What to tell of the loader.
    pub query: Option<&'b str>,
}

impl<'b> Body<'b> {
    /// Reads a CBOR map with text keys. Unknown entries are passed over; a known key with a value of another type is an error.
    pub fn parse(bytes: &'b [u8]) -> Result<Body<'b>, minicbor::decode::Error> {
        let mut body = Body::default();
        if bytes.is_empty() {
            return Ok(body);
        }
        let mut d = Decoder::new(bytes);
        let entries = d.map()?;
        // Each entry takes two bytes at least, so that an announced number cannot make the loop longer than the message.
        for _ in 0..entries.unwrap_or(u64::MAX) {
            if entries.is_none() && d.datatype()? == Type::Break {
                break;
            }
            match d.str()? {
                "d" => body.d = Some(d.str()?),
                "image" => body.image = Some(d.u64()?),
                "slot" => body.slot = Some(d.u64()?),
                "len" => body.len = Some(d.u64()?),
                "off" => body.off = Some(d.u64()?),
                "sha" => body.sha = Some(d.bytes()?),
                "data" => body.data = Some(d.bytes()?),
                "upgrade" => body.upgrade = Some(d.bool()?),
                "hash" => body.hash = Some(d.bytes()?),
                "confirm" => body.confirm = Some(d.bool()?),
                "token" => body.token = Some(d.str()?),
                "query" => body.query = Some(d.str()?),
                _ => d.skip()?,
            }
        }
        Ok(body)
    }
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Code of the protocol itself.
    Common(u16),
    /// Code of the request's group.
    Group(u16),
}

type Encoded = Result<(), minicbor::encode::Error<Infallible>>;

/// Encodes a body. Writing to memory does not fail; the closure's type says so.
pub fn encode(fill: impl FnOnce(&mut Encoder<Vec<u8>>) -> Encoded) -> Vec<u8> {
    let mut e = Encoder::new(Vec::new());
    match fill(&mut e) {
        Ok(()) => e.into_writer(),
        Err(_) => vec![0xA0],
    }
}

/// Body of a refusal: `err` with group and code for SMP v2, `rc` for the older protocol and for codes of the protocol itself.
pub fn refusal(header: Header, why: Refused) -> Vec<u8> {
    match why {
        Refused::Group(rc) if header.version > 0 => {
            encode(|e| e.map(1)?.str("err")?.map(2)?.str("group")?.u16(header.group)?.str("rc")?.u16(rc)?.ok())
        }
        Refused::Group(_) => encode(|e| e.map(1)?.str("rc")?.u16(1)?.ok()),
        Refused::Common(rc) => encode(|e| e.map(1)?.str("rc")?.u16(rc)?.ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn definite_and_indefinite_maps_read_alike_and_unknown_entries_are_passed_over() {
        let definite = encode(|e| e.map(3)?.str("off")?.u32(7)?.str("x")?.array(2)?.u8(1)?.str("y")?.str("data")?.bytes(b"ab")?.ok());
        let indefinite = encode(|e| e.begin_map()?.str("off")?.u32(7)?.str("data")?.bytes(b"ab")?.end()?.ok());
        for bytes in [definite, indefinite] {
            let body = Body::parse(&bytes).unwrap();
            assert_eq!((body.off, body.data), (Some(7), Some(&b"ab"[..])));
        }
    }

    #[test]
    fn a_known_key_of_another_type_is_an_error() {
        let bytes = encode(|e| e.map(1)?.str("off")?.str("7")?.ok());
        assert!(Body::parse(&bytes).is_err());
    }

    #[test]
    fn a_refusal_is_told_in_the_clients_own_protocol_version() {
        let header = Header { version: 1, op: 2, group: 1, seq: 9, id: 0 };
        assert_eq!(refusal(header, Refused::Group(24)), b"\xa1\x63err\xa2\x65group\x01\x62rc\x18\x18");
        assert_eq!(refusal(Header { version: 0, ..header }, Refused::Group(24)), b"\xa1\x62rc\x01");
        assert_eq!(header.answer(b"\xa0"), [0x0b, 0, 0, 1, 0, 1, 9, 0, 0xa0]);
    }

    proptest! {
        #[test]
        fn hostile_messages_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Some((_, body)) = Header::parse(&bytes) {
                let _ = Body::parse(body);
            }
            let _ = Body::parse(&bytes);
        }
    }
}
