//! The flash as a file: each operation of the medium leaves its torn half when it begins and its result when it ends, so that a kill at any
//! moment leaves what a power cut at that moment would.

use proofbench_emulator::{FlashImage, Op, TimedOp};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of an erase unit.
const SECTOR: usize = 4096;

/// The file, and what is under way in it.
pub struct FlashFile {
    file: File,
    /// Content of the file.
    mirror: Vec<u8>,
    begun: VecDeque<TimedOp>,
    /// Whether the first of `begun` has left its torn half.
    torn: bool,
}

impl FlashFile {
    /// Opens the file; one that is not there is made with `factory`'s content. The length must be the flash's.
    pub fn open(path: &Path, factory: &FlashImage) -> io::Result<Self> {
        if !path.exists() {
            let fresh = path.with_extension("new");
            std::fs::write(&fresh, factory.to_vec())?;
            std::fs::rename(&fresh, path)?;
        }
        let mirror = std::fs::read(path)?;
        if mirror.len() != factory.len() as usize {
            let what = format!("{} has {} bytes, the flash has {}", path.display(), mirror.len(), factory.len());
            return Err(io::Error::new(ErrorKind::InvalidData, what));
        }
        let file = OpenOptions::new().write(true).open(path)?;
        Ok(Self { file, mirror, begun: VecDeque::new(), torn: false })
    }

    /// What the file holds.
    pub fn image(&self) -> FlashImage {
        FlashImage::from_bytes(&self.mirror)
    }

    /// Takes operations that have begun, in order.
    pub fn begin(&mut self, ops: Vec<TimedOp>) {
        self.begun.extend(ops);
    }

    /// Brings the file to `now`. Says whether an operation is still under way.
    pub fn follow(&mut self, now: u64) -> io::Result<bool> {
        while let Some(first) = self.begun.front() {
            if now < first.end_ns {
                if !self.torn {
                    let op = first.op.clone();
                    self.put(&op, true)?;
                    self.torn = true;
                }
                return Ok(true);
            }
            let op = first.op.clone();
            self.put(&op, false)?;
            self.begun.pop_front();
            self.torn = false;
        }
        Ok(false)
    }

    /// Makes the file equal to the flash of a device that stands still, whatever was under way.
    pub fn settle(&mut self, flash: &FlashImage) -> io::Result<()> {
        self.begun.clear();
        self.torn = false;
        let truth = flash.to_vec();
        for (at, (have, want)) in self.mirror.chunks_mut(SECTOR).zip(truth.chunks(SECTOR)).enumerate() {
            if have != want {
                have.copy_from_slice(want);
                self.file.write_all_at(want, (at * SECTOR) as u64)?;
            }
        }
        Ok(())
    }

    /// Writes an operation's outcome, or what it leaves half-way: a prefix and every other bit behind it; an erase half done.
    fn put(&mut self, op: &Op, torn: bool) -> io::Result<()> {
        let at = match op {
            Op::Write { off, data } => {
                let at = *off as usize;
                let Some(cells) = self.mirror.get_mut(at..at + data.len()) else { return Ok(()) };
                for (i, (cell, new)) in cells.iter_mut().zip(data.iter()).enumerate() {
                    let mask = if torn && i >= data.len() / 2 { 0xaa } else { 0 };
                    *cell &= new | mask;
                }
                at..at + data.len()
            }
            Op::Erase { off } => {
                let at = *off as usize;
                let length = if torn { SECTOR / 2 } else { SECTOR };
                let Some(cells) = self.mirror.get_mut(at..at + length) else { return Ok(()) };
                cells.fill(0xff);
                at..at + length
            }
            Op::Flush => return Ok(()),
        };
        self.file.write_all_at(&self.mirror[at.clone()], at.start as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, FlashFile) {
        let dir = tempfile::tempdir().unwrap();
        let file = FlashFile::open(&dir.path().join("flash.bin"), &FlashImage::blank()).unwrap();
        (dir, file)
    }

    fn write(at: u64, data: &[u8]) -> TimedOp {
        TimedOp { start_ns: at, end_ns: at + 400, op: Op::Write { off: 0x1000, data: data.into() } }
    }

    #[test]
    fn a_kill_in_the_middle_of_a_write_finds_it_half_done() {
        let (dir, mut flash) = file();
        flash.begin(vec![write(100, &[0; 16])]);
        assert!(flash.follow(300).unwrap(), "under way");
        let found = std::fs::read(dir.path().join("flash.bin")).unwrap();
        assert_eq!(found[0x1000..0x1008], [0; 8]);
        assert_eq!(found[0x1008..0x1010], [0xaa; 8]);
        assert!(!flash.follow(500).unwrap(), "done");
        let found = std::fs::read(dir.path().join("flash.bin")).unwrap();
        assert_eq!(found[0x1000..0x1010], [0; 16]);
    }

    #[test]
    fn bits_only_clear_until_an_erase() {
        let (dir, mut flash) = file();
        flash.begin(vec![write(0, &[0xf0; 16]), write(1_000, &[0x3c; 16])]);
        assert!(!flash.follow(2_000).unwrap());
        let at = dir.path().join("flash.bin");
        assert_eq!(std::fs::read(&at).unwrap()[0x1000], 0x30);
        flash.begin(vec![TimedOp { start_ns: 3_000, end_ns: 4_000, op: Op::Erase { off: 0x1000 } }]);
        assert!(flash.follow(3_500).unwrap());
        flash.follow(4_000).unwrap();
        assert_eq!(std::fs::read(&at).unwrap()[0x1000], 0xff);
    }

    #[test]
    fn a_file_of_another_length_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("flash.bin");
        std::fs::write(&at, [0xff; 100]).unwrap();
        let refused = FlashFile::open(&at, &FlashImage::blank()).err().expect("refused").to_string();
        assert!(refused.contains("flash.bin") && refused.contains("100"), "{refused}");
    }
}
