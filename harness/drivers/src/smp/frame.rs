//! SMP packets on a serial line: lines of base64 with a marker in front, length before and CRC behind the packet.

use super::link::PACKET_MOST;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc::{CRC_16_XMODEM, Crc};

const FIRST: [u8; 2] = [0x06, 0x09];
const NEXT: [u8; 2] = [0x04, 0x14];
/// Base64 characters of a line: the receiver's line buffer holds 127 bytes with marker and newline.
const LINE: usize = 124;
/// Longest line that is looked at; longer ones are other text on the line.
const LINE_MOST: usize = 512;

const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// The lines that carry a packet. `None` if it is too long for the length field.
pub(super) fn encode(packet: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(packet.len() + 2).ok()?;
    let mut whole = Vec::with_capacity(packet.len() + 4);
    whole.extend(length.to_be_bytes());
    whole.extend(packet);
    whole.extend(CRC.checksum(packet).to_be_bytes());
    let text = STANDARD.encode(&whole);
    let mut lines = Vec::with_capacity(text.len() + text.len() / LINE * 3 + 3);
    let mut marker = FIRST;
    for part in text.as_bytes().chunks(LINE) {
        lines.extend(marker);
        lines.extend(part);
        lines.push(b'\n');
        marker = NEXT;
    }
    Some(lines)
}

/// Finds packets in what arrives. Anything that is no packet with a right CRC is noise: a console may share the line.
#[derive(Default)]
pub(super) struct Decoder {
    line: Vec<u8>,
    overlong: bool,
    packet: Vec<u8>,
}

impl Decoder {
    /// Takes one byte; returns a packet when it was the last of one.
    pub(super) fn push(&mut self, byte: u8) -> Option<Vec<u8>> {
        if byte != b'\n' {
            if self.line.len() < LINE_MOST {
                self.line.push(byte);
            } else {
                self.overlong = true;
            }
            return None;
        }
        let line = std::mem::take(&mut self.line);
        let overlong = std::mem::take(&mut self.overlong);
        let packet = if overlong { None } else { self.end_of_line(&line) };
        self.line = line;
        self.line.clear();
        packet
    }

    fn end_of_line(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // Text without a newline may stand before the marker.
        let start = line.windows(2).position(|w| w == FIRST || w == NEXT)?;
        let (marker, text) = line[start..].split_at(2);
        if marker == FIRST {
            self.packet.clear();
        } else if self.packet.is_empty() {
            return None;
        }
        match STANDARD.decode(text) {
            Ok(bytes) if self.packet.len() + bytes.len() <= PACKET_MOST => self.packet.extend(bytes),
            _ => {
                self.packet.clear();
                return None;
            }
        }
        let (length, rest) = self.packet.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        if rest.len() < length {
            return None;
        }
        let whole = std::mem::take(&mut self.packet);
        let (body, crc) = whole[2..2 + length].split_last_chunk::<2>()?;
        (CRC.checksum(body) == u16::from_be_bytes(*crc)).then(|| body.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut decoder = Decoder::default();
        bytes.iter().filter_map(|&b| decoder.push(b)).collect()
    }

    #[test]
    fn a_known_packet_has_the_line_that_another_implementation_makes() {
        // Made by a client in Python with its own CRC: read image state, sequence number 0x42, empty map.
        let packet = [0, 0, 0, 1, 0, 1, 0x42, 0, 0xa0];
        let line = b"\x06\x09AAsAAAABAAFCAKD1Mw==\n";
        assert_eq!(encode(&packet).expect("short"), line);
        assert_eq!(decode(line), [packet]);
    }

    #[test]
    fn no_line_is_longer_than_a_receiver_takes() {
        let lines = encode(&[7; 1000]).expect("short");
        assert!(lines.split(|&b| b == b'\n').all(|l| l.len() <= 126));
    }

    #[test]
    fn console_text_around_and_a_broken_packet_before_do_not_hide_one() {
        let packet = b"\x01\x00\x00\x01\x00\x00\x05\x00\xa0".to_vec();
        let mut broken = encode(&packet).expect("short");
        broken[5] ^= 1;
        let mut line = b"*** panic ***\r\nno newline here ".to_vec();
        line.extend(broken);
        line.extend(b"th1> ");
        line.extend(encode(&packet).expect("short"));
        assert_eq!(decode(&line), [packet]);
    }

    proptest! {
        #[test]
        fn what_is_sent_is_received(packet in proptest::collection::vec(any::<u8>(), 1..2000)) {
            prop_assert_eq!(decode(&encode(&packet).expect("short")), vec![packet]);
        }

        #[test]
        fn any_noise_is_survived_in_bounded_memory(noise in proptest::collection::vec(any::<u8>(), 0..4000)) {
            let mut decoder = Decoder::default();
            for b in noise {
                decoder.push(b);
                prop_assert!(decoder.line.len() <= LINE_MOST && decoder.packet.len() <= PACKET_MOST);
            }
        }
    }
}
