//! Input of machines: messages and packets of the cloud, datagrams.
//!
//! Purpose, verdict and control as in [`super::users`], for rows of 28-ExtAPI.

use super::BUDGET;
use super::mutate::Case;
use super::users::{A, judge};
use crate::report::each_row;
use proofbench_runner::{Capability, Check};

/// Rows 83 to 85.
pub const APIS: Check = Check {
    id: "input/apis",
    title: "malformed input of machines does no harm",
    units: &[A],
    table: Some(28),
    row_wanted: Some(|row| row.input().is_some()),
    needs: &[Capability::Console, Capability::Power, Capability::Network],
    permissions: &[],
    defects: &["mqtt-long-length", "mqtt-empty-topic", "mqtt-flood-restarts", "cloud-json-list", "smp-length-trusted", "smp-cbor-depth"],
    twins: &["slow-boot", "noisy-log", "net-log", "answers-chunked", "mqtt-flood-disconnects"],
    control: "genuine inputs do no harm, and console and local interface answer before and after",
    budget: BUDGET,
    run: |bench| each_row(bench, &[A], judge),
};

/// Packets that no broker sends.
pub fn packets() -> Vec<Case> {
    let list: [(&str, Vec<u8>); 16] = [
        ("a remaining length of five bytes", vec![0x30, 0x80, 0x80, 0x80, 0x80, 0x01]),
        ("a remaining length of 268435455", vec![0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, b'a']),
        ("a PUBLISH longer than what follows", vec![0x30, 100, 0, 1, b'a']),
        ("a topic longer than the packet", vec![0x30, 4, 0xFF, 0xFF, b'a', b'b']),
        ("an empty topic", vec![0x30, 3, 0, 0, b'x']),
        ("a topic that is no UTF-8", vec![0x30, 4, 0, 2, 0xC3, 0x28]),
        ("a topic with wildcards", vec![0x30, 5, 0, 3, b'a', b'/', b'#']),
        ("QoS 3", vec![0x36, 6, 0, 1, b'a', 0, 1, b'x']),
        ("QoS 1 with identifier 0", vec![0x32, 6, 0, 1, b'a', 0, 0, b'x']),
        ("packet type 0", vec![0x00, 0x00]),
        ("packet type 15", vec![0xF0, 0x00]),
        ("PINGRESP with flags", vec![0xD7, 0x00]),
        ("a second CONNACK", vec![0x20, 2, 0, 0]),
        ("a SUBACK that nobody asked for", vec![0x90, 3, 0xFF, 0xFF, 0]),
        ("PUBACK for nothing", vec![0x40, 2, 0xFF, 0xFF]),
        ("4 KiB of noise", (0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()),
    ];
    let mut cases: Vec<Case> = list.into_iter().map(|(how, bytes)| Case { how: how.to_owned(), bytes }).collect();
    // Every one of them is a packet; there are only too many.
    for (how, first, head) in [("at once", 0x30, &b"\x00\x05flood"[..]), ("at once, each to be acknowledged", 0x32, &b"\x00\x05flood\x00\x01"[..])] {
        let mut message = vec![first, 0];
        message.extend_from_slice(head);
        message.extend([b'x'; 64]);
        message[1] = (message.len() - 2) as u8;
        cases.push(Case { how: format!("{FLOOD} messages of nobody's topic {how}"), bytes: message.repeat(FLOOD) });
    }
    cases
}

/// Messages of a flood: more than a client of this kind has room for, and no more than two hundred kilobytes.
const FLOOD: usize = 2000;

/// SMP messages and other datagrams with lengths and depths that lie.
pub fn datagrams(genuine: &[u8]) -> Vec<Case> {
    let mut out = Vec::new();
    let mut add = |how: &str, bytes: Vec<u8>| out.push(Case { how: how.to_owned(), bytes });
    for length in [0u16, 1, 0x7FFF, 0x8000, 0xFFFF] {
        let mut bytes = genuine.to_vec();
        if let Some(field) = bytes.get_mut(2..4) {
            field.copy_from_slice(&length.to_be_bytes());
        }
        add(&format!("a length field of {length}"), bytes);
    }
    let head = genuine.get(..8).unwrap_or(genuine).to_vec();
    for (how, body) in [
        ("arrays 200 deep", vec![0x9F; 200]),
        ("maps 200 deep", [0xA1, 0x61, b'a'].repeat(200)),
        ("tags 300 deep", vec![0xC6; 300]),
        ("a text of 2^32 bytes", vec![0xBF, 0x61, b'd', 0x7A, 0xFF, 0xFF, 0xFF, 0xFF]),
        ("bytes of 2^63", vec![0xBF, 0x64, b'd', b'a', b't', b'a', 0x5B, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        ("a map of 2^32 entries", vec![0xBA, 0xFF, 0xFF, 0xFF, 0xFF]),
        ("reserved additional information", vec![0x1C, 0x1D, 0x1E]),
        ("a break outside", vec![0xFF]),
        ("no body", Vec::new()),
    ] {
        let mut bytes = head.clone();
        if let Some(field) = bytes.get_mut(2..4) {
            field.copy_from_slice(&(body.len() as u16).to_be_bytes());
        }
        bytes.extend(body);
        add(how, bytes);
    }
    add("nothing", Vec::new());
    add("one byte", vec![0]);
    add("seven bytes", genuine.iter().copied().take(7).collect());
    add("1500 bytes", vec![0x41; 1500]);
    out
}

/// Bytes of a text in hex.
pub fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks(2).map(|pair| std::str::from_utf8(pair).ok().and_then(|p| u8::from_str_radix(p, 16).ok())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_and_what_is_none_is_not() {
        assert_eq!(hex("02ff"), Some(vec![2, 255]));
        assert_eq!((hex("0"), hex("zz")), (None, None));
    }

    #[test]
    fn a_flood_is_made_of_whole_packets() {
        for case in packets().iter().filter(|c| c.how.contains("messages")) {
            let length = usize::from(case.bytes[1]) + 2;
            assert_eq!(case.bytes.len(), FLOOD * length, "{}", case.how);
            assert!(case.bytes.chunks(length).all(|packet| packet == &case.bytes[..length]) && length < 130);
        }
    }

    #[test]
    fn lying_lengths_stand_where_the_length_stands() {
        let made = datagrams(&[2, 0, 0, 1, 0, 0, 0, 0, 0xA0]);
        assert!(made.iter().any(|c| c.how == "a length field of 65535" && c.bytes[2..4] == [0xFF, 0xFF]));
    }
}
