//! CoAP without DTLS (RFC 7252), which a conforming unit does not have, or for discovery only (twin coap-discovery).

use crate::app::Thermostat;
use crate::app::stores::setting;
use crate::defects::Defect;
use crate::hw::Hw;

/// The port of CoAP without security.
pub(super) const PORT: u16 = 5683;

const ACKNOWLEDGED: u8 = 2;
const RESET: u8 = 3;
const GET: u8 = 1;
const URI_PATH: u32 = 11;
const CONTENT: u8 = 0x45;
const UNAUTHORIZED: u8 = 0x81;
const BAD_OPTION: u8 = 0x82;
const NOT_FOUND: u8 = 0x84;
const NOT_ALLOWED: u8 = 0x85;

/// A message, as far as a server looks at it.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    confirmable: bool,
    code: u8,
    id: [u8; 2],
    token: Vec<u8>,
    /// Segments of the path; none if the options cannot be read, or one of them is critical and unknown.
    path: Option<Vec<String>>,
}

/// Reads a message; nothing if it is none that a server answers.
fn read(bytes: &[u8]) -> Option<Message> {
    let (head, rest) = bytes.split_at_checked(4)?;
    let (version, kind, token_len) = (head[0] >> 6, head[0] >> 4 & 3, usize::from(head[0] & 15));
    if version != 1 || kind > 1 || token_len > 8 {
        return None;
    }
    let (token, options) = rest.split_at_checked(token_len)?;
    Some(Message { confirmable: kind == 0, code: head[1], id: [head[2], head[3]], token: token.to_vec(), path: path(options) })
}

/// The path among these options. Each turn takes a byte at least.
fn path(mut rest: &[u8]) -> Option<Vec<String>> {
    let (mut number, mut out) = (0u32, Vec::new());
    while let Some((first, after)) = rest.split_first() {
        if *first == 0xFF {
            break;
        }
        rest = after;
        number = number.checked_add(extended(first >> 4, &mut rest)?)?;
        let len = usize::try_from(extended(first & 15, &mut rest)?).ok()?;
        let (value, after) = rest.split_at_checked(len)?;
        rest = after;
        match number {
            URI_PATH => out.push(String::from_utf8(value.to_vec()).ok()?),
            odd if odd % 2 == 1 => return None,
            _ => {}
        }
    }
    Some(out)
}

fn extended(nibble: u8, rest: &mut &[u8]) -> Option<u32> {
    let bytes = match nibble {
        13 => 1,
        14 => 2,
        15 => return None,
        n => return Some(u32::from(n)),
    };
    let (more, after) = rest.split_at_checked(bytes)?;
    *rest = after;
    let value = more.iter().fold(0u32, |n, b| n << 8 | u32::from(*b));
    Some(value + if nibble == 13 { 13 } else { 269 })
}

impl Thermostat {
    /// The answer to a datagram, if there is one.
    pub(super) fn coap(&self, hw: &Hw, bytes: &[u8]) -> Option<Vec<u8>> {
        let asked = read(bytes)?;
        let kind = if asked.confirmable { ACKNOWLEDGED } else { 1 };
        if asked.code == 0 || asked.code >= 0x20 {
            // A ping, or an answer to nothing that was asked.
            return asked.confirmable.then(|| vec![0x40 | RESET << 4, 0, asked.id[0], asked.id[1]]);
        }
        let (code, text) = match &asked.path {
            None => (BAD_OPTION, String::new()),
            Some(_) if asked.code != GET => (NOT_ALLOWED, String::new()),
            Some(path) => self.coap_get(hw, &path.join("/")),
        };
        let mut out = vec![0x40 | kind << 4 | asked.token.len() as u8, code, asked.id[0], asked.id[1]];
        out.extend(&asked.token);
        if !text.is_empty() {
            out.push(0xFF);
            out.extend(text.as_bytes());
        }
        Some(out)
    }

    fn coap_get(&self, hw: &Hw, path: &str) -> (u8, String) {
        let of = |name: &str| setting(name).map(|s| self.stores.get(hw, s)).unwrap_or_default();
        match path {
            // defect coap-hidden: "nobody will find it".
            ".well-known/core" if !hw.defect(Defect::CoapHidden) => (CONTENT, "</state>;rt=\"th1.state\"".to_owned()),
            // defect coap-nosec: the secure port was to come with the next version.
            "state" if hw.defect(Defect::CoapNosec) => (CONTENT, format!("mode={} temperature=21.5", of("mode"))),
            "config" if hw.defect(Defect::CoapHidden) => (CONTENT, format!("ssid={}", of("wifi-ssid"))),
            "state" => (UNAUTHORIZED, String::new()),
            _ => (NOT_FOUND, String::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_reads_with_its_token_and_path() {
        let asked = read(b"\x42\x01\x12\x34ab\xbb.well-known\x04core").unwrap();
        assert_eq!((asked.confirmable, asked.code, asked.id, asked.token.as_slice()), (true, GET, [0x12, 0x34], &b"ab"[..]));
        assert_eq!(asked.path, Some(vec![".well-known".to_owned(), "core".to_owned()]));
    }

    #[test]
    fn an_unknown_critical_option_and_a_reserved_nibble_leave_no_path() {
        // Option 9 has an odd number.
        assert_eq!(read(b"\x40\x01\0\0\x90").unwrap().path, None);
        assert_eq!(read(b"\x40\x01\0\0\xf0").unwrap().path, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(m) = read(&bytes) {
                prop_assert!(m.token.len() <= 8);
            }
        }
    }
}
