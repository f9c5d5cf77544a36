//! Records and the first message that they carry, from either side, bounded.
//!
//! Only what comes in the clear is read: a handshake message, however it is cut into records, or an alert. Everything else ends the reading.

/// Most bytes that are taken in before the first message is whole.
pub(super) const BYTES_MOST: usize = 64 << 10;
/// Longest record that TLS allows, with the room that it leaves for ciphers.
const RECORD_MOST: usize = (16 << 10) + 2048;
/// Length of a record's head.
const RECORD_HEAD: usize = 5;
/// Length of a message's head.
const MESSAGE_HEAD: usize = 4;

/// Kind of record: an alert.
pub(super) const ALERT: u8 = 21;
/// Kind of record: a handshake message, or a part of one, or several.
pub(super) const HANDSHAKE: u8 = 22;

/// The alert unrecognized_name as a warning.
const UNKNOWN_NAME: [u8; 2] = [1, 112];

/// What cannot be the beginning of a TLS connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTls {
    /// Neither a handshake nor an alert comes first.
    #[error("it begins with {0:#04x}, which is neither a handshake nor an alert of TLS")]
    Kind(u8),
    /// The head of a record has a version that was never one.
    #[error("a record has version {0:#06x}")]
    Version(u16),
    /// A record of another kind in the middle of a message.
    #[error("a record of kind {0} stands in the middle of a message")]
    Between(u8),
    /// Empty where something must be.
    #[error("a record is empty")]
    Empty,
    /// Longer than the format or this reader allows.
    #[error("{0} bytes are announced, which is more than is allowed")]
    Long(usize),
}

/// How far the reading is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Not whole yet.
    More,
    /// The first message: its kind and its body.
    Message(u8, Vec<u8>),
    /// An alert came first: level and description.
    Alert(u8, u8),
}

/// Takes bytes in as they come, until the first message is whole.
#[derive(Debug, Default)]
pub(super) struct Intake {
    raw: Vec<u8>,
    /// So much of `raw` has been taken apart.
    done: usize,
    message: Vec<u8>,
    version: Option<u16>,
}

impl Intake {
    /// All that came, byte for byte.
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Version in the head of the first record.
    pub(super) fn version(&self) -> Option<u16> {
        self.version
    }

    /// How many bytes may still be fed.
    pub(super) fn room(&self) -> usize {
        BYTES_MOST.saturating_sub(self.raw.len())
    }

    /// Takes the next bytes; what is over the bound is an error, and nothing of it is kept.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Step, NotTls> {
        if bytes.len() > self.room() {
            return Err(NotTls::Long(self.raw.len() + bytes.len()));
        }
        self.raw.extend_from_slice(bytes);
        loop {
            let rest = self.raw.get(self.done..).unwrap_or_default();
            // What is no TLS at all is told from its first bytes: who speaks something else may never send a fifth one.
            let Some(&kind) = rest.first() else { return Ok(Step::More) };
            if kind != HANDSHAKE && kind != ALERT {
                return Err(if self.message.is_empty() { NotTls::Kind(kind) } else { NotTls::Between(kind) });
            }
            let Some((head, body)) = rest.split_at_checked(RECORD_HEAD) else { return Ok(Step::More) };
            let &[_, major, minor, high, low] = head else { return Ok(Step::More) };
            let version = u16::from_be_bytes([major, minor]);
            if major != 3 {
                return Err(NotTls::Version(version));
            }
            self.version.get_or_insert(version);
            let length = usize::from(u16::from_be_bytes([high, low]));
            if length == 0 {
                return Err(NotTls::Empty);
            }
            if length > RECORD_MOST {
                return Err(NotTls::Long(length));
            }
            let Some(part) = body.get(..length) else { return Ok(Step::More) };
            if kind == ALERT {
                // A warning that says no more than that the name is not known; the handshake goes on (RFC 6066, 3).
                if *part == UNKNOWN_NAME && self.message.is_empty() {
                    self.done += RECORD_HEAD + length;
                    continue;
                }
                return match *part {
                    [level, description] if self.message.is_empty() => Ok(Step::Alert(level, description)),
                    [_, _] => Err(NotTls::Between(ALERT)),
                    _ => Err(NotTls::Long(length)),
                };
            }
            self.message.extend_from_slice(part);
            self.done += RECORD_HEAD + length;
            if let Some(&[kind, a, b, c]) = self.message.get(..MESSAGE_HEAD) {
                let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                if length > BYTES_MOST {
                    return Err(NotTls::Long(length));
                }
                if let Some(body) = self.message.get(MESSAGE_HEAD..MESSAGE_HEAD + length) {
                    return Ok(Step::Message(kind, body.to_vec()));
                }
            }
        }
    }
}

/// Fields of a message, taken from the front. `None`: there is not so much left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// Bytes behind a length of one byte.
    pub(super) fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(length.into())
    }

    /// Bytes behind a length of two bytes.
    pub(super) fn long(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }
}

/// Bytes as numbers of two bytes. `None`: their count is odd.
pub(super) fn numbers(bytes: &[u8]) -> Option<Vec<u16>> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect())
}
