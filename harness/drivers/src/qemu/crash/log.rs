//! The log in the flash's file, and the flash in front of it.

use super::CrashSetup;
use super::image::Image;
use proofbench_channel::{ChannelError, ErrorKind, OpKind, OpSummary};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::Arc;

/// Words in front of the records.
const HEADER: u64 = 16;
/// Most bytes of a log.
const LOG_MOST: u32 = 0x7f_0000;

/// An operation of the flash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    /// Bits only clear.
    Write { offset: u32, bytes: Rc<[u8]> },
    /// Everything FF.
    Erase { offset: u32, len: u32 },
}

impl Op {
    pub fn summary(&self) -> OpSummary {
        match self {
            Op::Write { offset, bytes } => OpSummary { kind: OpKind::Write, offset: *offset, len: bytes.len() as u32 },
            Op::Erase { offset, len } => OpSummary { kind: OpKind::Erase, offset: *offset, len: *len },
        }
    }

    pub fn apply(&self, image: &mut Image) {
        match self {
            Op::Write { offset, bytes } => image.change(u64::from(*offset), bytes.len(), |i, old| old & bytes[i]),
            Op::Erase { offset, len } => image.change(u64::from(*offset), *len as usize, |_, _| 0xff),
        }
    }
}

/// What stands in front of the records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Header {
    pub used: u32,
    pub ops: u32,
    pub stop_at: u32,
    pub stopped: bool,
}

/// The file. Clones are the same one; the guest has it mapped, and both see at once what the other writes.
#[derive(Debug, Clone)]
pub(in super::super) struct Log {
    file: Arc<File>,
    len: u64,
    at: u64,
}

fn failed(doing: &str) -> impl Fn(std::io::Error) -> ChannelError + '_ {
    move |e| ChannelError::caused(ErrorKind::Driver, doing, e)
}

impl Log {
    pub(super) fn open(setup: &CrashSetup) -> Result<Self, ChannelError> {
        let doing = format!("open the machine's flash {}", setup.file.display());
        let file = File::options().read(true).write(true).open(&setup.file).map_err(failed(&doing))?;
        let size = file.metadata().map_err(failed(&doing))?.len();
        if setup.len > setup.log || setup.log + HEADER > size {
            let why = format!("a flash of {} bytes and a log at {:#x} do not fit one after the other into {size} bytes", setup.len, setup.log);
            return Err(ChannelError::caused(ErrorKind::Refused, doing, why));
        }
        Ok(Self { file: Arc::new(file), len: setup.len, at: setup.log })
    }

    pub fn header(&self) -> Result<Header, ChannelError> {
        let mut bytes = [0; HEADER as usize];
        self.file.read_exact_at(&mut bytes, self.at).map_err(failed("read the flash's log"))?;
        let word = |n: usize| u32::from_le_bytes([bytes[n], bytes[n + 1], bytes[n + 2], bytes[n + 3]]);
        Ok(Header { used: word(0), ops: word(4), stop_at: word(8), stopped: word(12) != 0 })
    }

    /// Puts the header in front of the records.
    pub fn begin(&self, header: Header) -> Result<(), ChannelError> {
        let words = [header.used, header.ops, header.stop_at, u32::from(header.stopped)];
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.file.write_all_at(&bytes, self.at).map_err(failed("begin the flash's log"))
    }

    /// The operations between two headers.
    pub(super) fn ops(&self, from: Header, to: Header) -> Result<Vec<Op>, ChannelError> {
        let doing = "read the flash's log";
        let bad = |why: &str| ChannelError::caused(ErrorKind::Protocol, doing, why.to_owned());
        if to.used < from.used || to.used > LOG_MOST {
            return Err(bad("its length makes no sense"));
        }
        let mut bytes = vec![0; (to.used - from.used) as usize];
        self.file.read_exact_at(&mut bytes, self.at + HEADER + u64::from(from.used)).map_err(failed(doing))?;
        let mut rest = &bytes[..];
        let mut ops = Vec::new();
        while !rest.is_empty() {
            let Some((head, more)) = rest.split_first_chunk::<12>() else { return Err(bad("it ends inside a record")) };
            let word = |n: usize| u32::from_le_bytes([head[n], head[n + 1], head[n + 2], head[n + 3]]);
            let (kind, offset, len) = (word(0), word(4), word(8));
            if u64::from(offset) + u64::from(len) > self.len {
                return Err(bad("an operation lies outside of the flash"));
            }
            rest = more;
            ops.push(match kind {
                1 => {
                    let data = rest.get(..len as usize).ok_or_else(|| bad("it ends inside a write"))?;
                    rest = &rest[len as usize..];
                    Op::Write { offset, bytes: data.into() }
                }
                2 => Op::Erase { offset, len },
                _ => return Err(bad("an operation of no known kind")),
            });
        }
        if ops.len() as u64 != u64::from(to.ops.wrapping_sub(from.ops)) {
            return Err(bad("it holds another number of operations than it says: it was full, or the firmware keeps none"));
        }
        Ok(ops)
    }

    /// The flash as it is.
    pub(super) fn flash(&self) -> Result<Image, ChannelError> {
        let mut bytes = vec![0; usize::try_from(self.len).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, 0).map_err(failed("read the machine's flash"))?;
        Ok(Image::new(&bytes))
    }

    /// Another content in the flash.
    pub(super) fn replace(&self, image: &Image) -> Result<(), ChannelError> {
        self.file.write_all_at(&image.to_vec(), 0).map_err(failed("write the machine's flash"))
    }
}
