//! The hello that asks, and the ServerHello that answers.

use super::super::names::{SSL_3_0, TLS_1_0, TLS_1_2, TLS_1_3};
use super::super::wire::{ALERT, Fields, HANDSHAKE};
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// Kind of message: ServerHello.
pub(super) const SERVER_HELLO: u8 = 2;

/// Groups for all versions, the usual ones first. No ffdhe group stands here: a server that knows none of those offered must not take DHE (RFC 7919).
const GROUPS: [u16; 13] = [29, 23, 24, 25, 30, 26, 27, 28, 22, 21, 20, 19, 14];
/// Groups that only TLS 1.3 asks for, in addition.
const GROUPS_1_3: [u16; 9] = [256, 257, 258, 259, 260, 41, 4587, 4588, 4589];
/// Every signature algorithm that a server's certificate could need, weak ones too.
const SCHEMES: [u16; 27] = [
    0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0809, 0x080a, 0x080b, 0x0807, 0x0808, 0x081a, 0x081b, 0x081c, 0x0402,
    0x0502, 0x0602, 0x0303, 0x0301, 0x0302, 0x0203, 0x0201, 0x0202, 0x0101,
];
/// A point of secp256r1 that everybody knows, its generator (SEC 2): the handshake is not finished, so nothing secret is needed.
const P256: [u8; 65] = [
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33,
    0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e,
    0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];

/// The alert by which a client that has seen enough goes: fatal, user_canceled, in a record of this version.
pub(super) fn goodbye(version: u16) -> [u8; 7] {
    let [major, minor] = version.min(TLS_1_2).to_be_bytes();
    [ALERT, major, minor, 0, 2, 2, 90]
}

/// What a hello asks for.
#[derive(Debug, Clone)]
pub(super) struct Question<'a> {
    /// Lowest version that would do, from TLS 1.0 on; below TLS 1.3 a hello names only its highest.
    pub lowest: u16,
    pub highest: u16,
    pub suites: &'a [u16],
    pub name: Option<&'a str>,
    /// Makes two hellos differ.
    pub nonce: u64,
}

impl Question<'_> {
    /// The hello in its record.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let legacy = self.highest.min(TLS_1_2);
        let random = |what: &str| Sha256::digest(format!("{what} {}", self.nonce));
        let mut body = legacy.to_be_bytes().to_vec();
        body.extend(random("random"));
        // TLS 1.3 looks like a resumption to what stands in between.
        if self.highest == TLS_1_3 {
            body.extend(short(&random("session")));
        } else {
            body.push(0);
        }
        body.extend(long(&numbers(self.suites)));
        body.extend([1, 0]);
        // SSL 3.0 has no extensions, and strict servers refuse what follows the end.
        if self.highest > SSL_3_0 {
            body.extend(long(&self.extensions(&random("share"))));
        }
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
        let message = [&[1], &length[1..], &body].concat();
        let mut record = vec![HANDSHAKE];
        record.extend(self.highest.min(TLS_1_0).to_be_bytes());
        record.extend(long(&message));
        record
    }

    fn extensions(&self, share: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        let mut add = |kind: u16, data: Vec<u8>| {
            all.extend(kind.to_be_bytes());
            all.extend(long(&data));
        };
        // An address is no name (RFC 6066).
        if let Some(name) = self.name.filter(|n| n.parse::<IpAddr>().is_err()) {
            add(0, long(&[&[0], &long(name.as_bytes())[..]].concat()));
        }
        let mut groups = GROUPS.to_vec();
        if self.highest == TLS_1_3 {
            groups.extend(GROUPS_1_3);
        }
        add(10, long(&numbers(&groups)));
        add(11, short(&[0]));
        if self.highest >= TLS_1_2 {
            add(13, long(&numbers(&SCHEMES)));
        }
        add(0xff01, short(&[]));
        if self.highest == TLS_1_3 {
            let versions: Vec<u16> = (self.lowest.max(TLS_1_0)..=TLS_1_3).rev().collect();
            add(43, short(&numbers(&versions)));
            add(45, short(&[1]));
            let shares = [&29u16.to_be_bytes(), &long(share)[..], &23u16.to_be_bytes(), &long(&P256)].concat();
            add(51, long(&shares));
        }
        all
    }
}

/// Bytes behind their length in one byte; never longer here.
fn short(bytes: &[u8]) -> Vec<u8> {
    let mut all = vec![u8::try_from(bytes.len()).unwrap_or(u8::MAX)];
    all.extend(bytes);
    all
}

/// Bytes behind their length in two bytes; never longer here.
fn long(bytes: &[u8]) -> Vec<u8> {
    let mut all = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    all.extend(bytes);
    all
}

fn numbers(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

/// The version and the suite that a ServerHello has chosen. A request for another key share is one too, and binds its suite (RFC 8446, 4.1.4). `None`: it
/// cannot be read.
pub(super) fn chosen(body: &[u8]) -> Option<(u16, u16)> {
    let mut fields = Fields(body);
    let mut version = fields.u16()?;
    fields.take(32)?;
    fields.short().filter(|s| s.len() <= 32)?;
    let suite = fields.u16()?;
    fields.u8()?;
    if !fields.is_empty() {
        let mut all = Fields(fields.long()?);
        while !all.is_empty() {
            let (kind, data) = all.u16().zip(all.long())?;
            if kind == 43 {
                version = u16::from_be_bytes(data.try_into().ok()?);
            }
        }
    }
    Some((version, suite))
}

#[cfg(test)]
mod tests {
    use super::super::super::hello::ClientHello;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn our_hellos_ask_for_what_they_should() {
        for version in [SSL_3_0, TLS_1_0, 0x0302, TLS_1_2, TLS_1_3] {
            let question = Question { lowest: version, highest: version, suites: &[0x002f, 0x1301], name: Some("device.test"), nonce: 1 };
            let hello = ClientHello::parse(&question.bytes()).unwrap();
            assert_eq!(hello.offered_versions(), [version]);
            assert_eq!((hello.suites.as_slice(), hello.unreadable.as_slice()), (&[0x002f, 0x1301][..], &[][..]));
            assert_eq!(hello.server_name.is_some(), version > SSL_3_0);
            assert_eq!(hello.extensions.is_empty(), version == SSL_3_0);
        }
    }

    proptest! {
        #[test]
        fn a_server_hello_of_arbitrary_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = chosen(&bytes);
        }
    }
}
