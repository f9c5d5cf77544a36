//! SMP over a serial line, as mcumgr frames it: a packet is length, message and CRC-16, in base64, on lines of at most 127 bytes. The first line of a
//! packet begins with 06 09, the others with 04 14. Memory is bounded, and anything else on the line is passed over.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// Longest message that the device takes.
pub const MESSAGE_MAX: usize = 2048;
/// Longest line that is kept; mcumgr sends no more than 127.
const LINE_MAX: usize = 512;
/// Bytes of a packet on one line of ours: 124 characters.
const PIECE: usize = 93;
const CRC: crc::Crc<u16> = crc::Crc::<u16>::new(&crc::CRC_16_XMODEM);

/// Puts messages together again.
#[derive(Debug, Clone, Default)]
pub struct Receiver {
    line: Vec<u8>,
    overlong: bool,
    packet: Option<Vec<u8>>,
}

impl Receiver {
    /// Takes a byte; returns the message that it completes.
    pub fn push(&mut self, byte: u8) -> Option<Vec<u8>> {
        if byte != b'\n' {
            if self.line.len() < LINE_MAX {
                self.line.push(byte);
            } else {
                self.overlong = true;
            }
            return None;
        }
        let line = std::mem::take(&mut self.line);
        let whole = !std::mem::take(&mut self.overlong);
        if whole { self.take_line(&line) } else { None }
    }

    fn take_line(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        let (head, text) = line.split_at_checked(2)?;
        let first = match head {
            [6, 9] => true,
            [4, 20] => false,
            _ => return None,
        };
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let mut packet = if first { Some(Vec::new()) } else { self.packet.take() }?;
        self.packet = None;
        packet.extend(BASE64_STANDARD.decode(text).ok()?);
        let len = match packet.first_chunk() {
            Some(len) => usize::from(u16::from_be_bytes(*len)),
            None => return None,
        };
        if !(2..=MESSAGE_MAX + 2).contains(&len) {
            return None;
        }
        match packet.len().cmp(&(len + 2)) {
            std::cmp::Ordering::Less => {
                self.packet = Some(packet);
                None
            }
            std::cmp::Ordering::Greater => None,
            std::cmp::Ordering::Equal => {
                let (message, sum) = packet[2..].split_last_chunk()?;
                (CRC.checksum(message) == u16::from_be_bytes(*sum)).then(|| message.to_vec())
            }
        }
    }

    /// Bytes kept in memory.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.line.len() + self.packet.as_ref().map_or(0, Vec::len)
    }
}

/// The lines of a message.
pub fn encode(message: &[u8]) -> Vec<u8> {
    let mut packet = (message.len() as u16 + 2).to_be_bytes().to_vec();
    packet.extend(message);
    packet.extend(CRC.checksum(message).to_be_bytes());
    let mut out = Vec::with_capacity(packet.len() * 3 / 2);
    for (i, piece) in packet.chunks(PIECE).enumerate() {
        out.extend(if i == 0 { [6, 9] } else { [4, 20] });
        out.extend(BASE64_STANDARD.encode(piece).bytes());
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn receive(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut receiver = Receiver::default();
        bytes.iter().filter_map(|b| receiver.push(*b)).collect()
    }

    #[test]
    fn a_known_packet_reads_as_mcumgr_made_it() {
        // os echo "hi", sequence 1, by mcumgr-client.
        let message = [0x0a, 0, 0, 6, 0, 0, 1, 0, 0xa1, 0x61, 0x64, 0x62, 0x68, 0x69];
        assert_eq!(receive(&encode(&message)), [message.to_vec()]);
        assert_eq!(&encode(&message)[..6], b"\x06\x09ABAK");
    }

    proptest! {
        #[test]
        fn messages_of_every_length_come_back(message in proptest::collection::vec(any::<u8>(), 0..MESSAGE_MAX)) {
            let lines = encode(&message);
            prop_assert!(lines.split(|b| *b == b'\n').all(|l| l.len() < 127));
            prop_assert_eq!(receive(&lines), vec![message]);
        }

        #[test]
        fn hostile_bytes_neither_panic_nor_fill_memory(bytes in proptest::collection::vec(prop_oneof![4 => any::<u8>(), 1 => Just(6), 1 => Just(9), 1 => Just(b'\n'), 3 => Just(b'A')], 0..6000)) {
            let mut receiver = Receiver::default();
            for byte in bytes {
                receiver.push(byte);
                prop_assert!(receiver.held() <= LINE_MAX + MESSAGE_MAX + LINE_MAX);
            }
        }

        #[test]
        fn a_changed_character_is_no_message(message in proptest::collection::vec(any::<u8>(), 8..300), at in any::<prop::sample::Index>(), bit in 0..7u8) {
            let mut lines = encode(&message);
            let at = at.index(lines.len());
            lines[at] ^= 1 << bit;
            prop_assert!(receive(&lines).iter().all(|m| *m == message));
        }
    }

    #[test]
    fn a_packet_after_noise_is_received() {
        let message = b"12345678".to_vec();
        for noise in [&b"\x06\x09!!!!\n"[..], b"\x04\x14AAAA\n", b"login: \n", b"\x06\x09//8=\n", b"\n\n"] {
            let mut bytes = noise.to_vec();
            bytes.extend(encode(&message));
            assert_eq!(receive(&bytes), std::slice::from_ref(&message), "{noise:?}");
        }
    }
}
