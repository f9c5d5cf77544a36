//! The file: its header, its packets, its bound.

use super::CaptureError;
use super::flow::TcpFlow;
use super::packet::{Packet, one_family, udp};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::blocks::interface_statistics::{InterfaceStatisticsBlock, InterfaceStatisticsOption};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::pcapng::blocks::unknown::UnknownBlock;
use pcap_file::pcapng::{Block, PcapNgBlock};
use pcap_file::{DataLink, Endianness, PcapError};
use proofbench_channel::Moment;
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// What a packet's block has besides the packet and its comment, padding included.
const BLOCK: u64 = 48;
/// What is kept free for the packet at which the capture ends, its comment, and the counts.
const RESERVE: u64 = 512;
/// The smallest bound.
const LEAST: u64 = 1_024;
/// Type of a Decryption Secrets Block, and of TLS keys in it.
const SECRETS: u32 = 0x0A;
const TLS_KEYS: u32 = 0x544C_534B;
/// Longest comment of a packet.
const COMMENT_MOST: usize = 1_000;

/// What a capture is of.
#[derive(Debug, Clone)]
pub struct CaptureSetup {
    /// Wall-clock time of moment 0: Wireshark shows wall-clock time.
    pub origin: SystemTime,
    /// Most bytes of the file, at least 1 024.
    pub most: u64,
    /// Whose traffic it is, for the interface's name; cut at 1 000 bytes.
    pub name: String,
}

/// A capture being written. Clones write into the same file. Writing blocks, shortly: packets go through a buffer.
#[derive(Clone)]
pub struct Capture(Arc<Mutex<File>>);

/// What is in a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Packets that are in the file whole.
    pub packets: u64,
    /// Packets that are not, because the file had reached its bound; of the first of them the headers are there.
    pub missing: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

struct File {
    writer: PcapNgWriter<Counted>,
    setup: CaptureSetup,
    packets: u64,
    missing: u64,
    flows: u32,
    last: Duration,
    broken: Option<io::Error>,
    finished: bool,
}

impl Capture {
    /// Begins a capture in `out`.
    pub fn create(out: impl Write + Send + 'static, setup: CaptureSetup) -> Result<Self, CaptureError> {
        if setup.most < LEAST {
            return Err(CaptureError::Bound(setup.most));
        }
        let program = concat!("proofbench ", env!("CARGO_PKG_VERSION"));
        let comment = "Made from the streams and datagrams that a program read and wrote: bytes, ends and moments are what it saw; handshakes, acknowledgements, \
                       sequence numbers and windows of TCP were not seen and are made up.";
        let options = vec![SectionHeaderOption::Comment(comment.into()), SectionHeaderOption::UserApplication(program.into())];
        let section = SectionHeaderBlock { endianness: Endianness::Little, options, ..Default::default() };
        let out = Counted { out: BufWriter::new(Box::new(out)), bytes: 0 };
        let mut writer = PcapNgWriter::with_section_header(out, section).map_err(write_error)?;
        let name: String = shortened(&setup.name).to_owned();
        let description = "packets made from the streams and datagrams that a peer carried";
        let options = vec![
            InterfaceDescriptionOption::IfName(name.into()),
            InterfaceDescriptionOption::IfDescription(description.into()),
            // Nanoseconds.
            InterfaceDescriptionOption::IfTsResol(9),
        ];
        writer.write_pcapng_block(InterfaceDescriptionBlock { linktype: DataLink::RAW, snaplen: 0, options }).map_err(write_error)?;
        let (packets, missing, flows) = (0, 0, 0);
        let file = File { writer, setup, packets, missing, flows, last: Duration::ZERO, broken: None, finished: false };
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    /// A TCP connection that is made now. If one address is of IPv4 and the other of IPv6, the former is mapped.
    pub fn tcp(&self, client: SocketAddr, server: SocketAddr, at: Moment) -> TcpFlow {
        let number = {
            let mut file = self.file();
            file.flows = file.flows.wrapping_add(1);
            file.flows
        };
        TcpFlow::open(self.clone(), client, server, number, at)
    }

    /// A UDP datagram; of more than 65 507 bytes the rest is left out.
    pub fn udp(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8], at: Moment, comment: Option<&str>) {
        let (from, to) = one_family(from, to);
        self.packet(&udp(from, to, bytes), at, comment);
    }

    /// Keys of TLS sessions, a line each in the format of NSS, in front of the packets that they are for. What finds no room is left out.
    pub fn keys(&self, lines: &str) {
        self.file().keys(lines.as_bytes());
    }

    /// Ends the file: counts, and all that is in the buffer. Later packets are not written. An error says that the file is not whole; its cause may have
    /// happened at an earlier packet.
    pub fn finish(&self) -> Result<Summary, CaptureError> {
        let mut file = self.file();
        if !std::mem::replace(&mut file.finished, true) {
            file.count();
        }
        match file.broken.as_ref() {
            Some(e) => Err(CaptureError::Write(io::Error::new(e.kind(), e.to_string()))),
            None => Ok(Summary { packets: file.packets, missing: file.missing, bytes: file.writer.get_ref().bytes }),
        }
    }

    pub(super) fn packet(&self, packet: &Packet, at: Moment, comment: Option<&str>) {
        self.file().packet(packet, at, comment.map(shortened));
    }

    fn file(&self) -> MutexGuard<'_, File> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl File {
    fn packet(&mut self, packet: &Packet, at: Moment, comment: Option<&str>) {
        if self.finished || self.broken.is_some() {
            return;
        }
        if self.missing > 0 {
            self.missing += 1;
            return;
        }
        let origin = self.setup.origin.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let timestamp = origin + Duration::from_nanos(at.0);
        self.last = self.last.max(timestamp);
        let size = BLOCK + (packet.bytes.len() + comment.map_or(0, str::len)) as u64;
        // A packet is shorter than 2^17.
        let original_len = packet.bytes.len() as u32;
        if self.writer.get_ref().bytes + size + RESERVE <= self.setup.most {
            let options = comment.map(|c| EnhancedPacketOption::Comment(c.into())).into_iter().collect();
            self.write(EnhancedPacketBlock { interface_id: 0, timestamp, original_len, data: (&packet.bytes[..]).into(), options }.into_block());
            self.packets += 1;
            return;
        }
        self.missing = 1;
        let note = format!(
            "truncated: the file has reached its bound of {} bytes; this packet's payload and all later packets are missing",
            self.setup.most
        );
        let options = vec![EnhancedPacketOption::Comment(note.into())];
        let data = (&packet.bytes[..packet.headers]).into();
        self.write(EnhancedPacketBlock { interface_id: 0, timestamp, original_len, data, options }.into_block());
    }

    /// A Decryption Secrets Block (draft-ietf-opsawg-pcapng, 4.7); the library has none of its own.
    fn keys(&mut self, lines: &[u8]) {
        let padded = lines.len().next_multiple_of(4);
        let full = self.writer.get_ref().bytes + padded as u64 + BLOCK + RESERVE > self.setup.most;
        let Ok(length) = u32::try_from(lines.len()) else { return };
        if self.finished || self.broken.is_some() || self.missing > 0 || full {
            return;
        }
        let mut value = [TLS_KEYS.to_le_bytes(), length.to_le_bytes()].concat();
        value.extend_from_slice(lines);
        value.resize(8 + padded, 0);
        self.write(UnknownBlock::new(SECRETS, 0, &value).into_block());
    }

    fn count(&mut self) {
        let note = match self.missing {
            0 => "every packet is in the file".to_owned(),
            n => format!("truncated: {n} packets are missing"),
        };
        let options = vec![
            InterfaceStatisticsOption::Comment(note.into()),
            InterfaceStatisticsOption::IsbIfRecv(self.packets + self.missing),
            InterfaceStatisticsOption::IsbIfDrop(self.missing),
        ];
        // The format wants the upper half first; pcap-file writes the number as it is.
        let timestamp = u64::try_from(self.last.as_nanos()).unwrap_or(u64::MAX).rotate_left(32);
        self.write(InterfaceStatisticsBlock { interface_id: 0, timestamp, options }.into_block());
        if let Err(e) = self.writer.get_mut().flush() {
            self.broken.get_or_insert(e);
        }
    }

    fn write(&mut self, block: Block<'_>) {
        if let Err(CaptureError::Write(e)) = self.writer.write_block(&block).map_err(write_error) {
            self.broken.get_or_insert(e);
        }
    }
}

fn write_error(e: PcapError) -> CaptureError {
    CaptureError::Write(match e {
        PcapError::IoError(e) => e,
        other => io::Error::other(other),
    })
}

/// The text, or as much of it as a comment may have.
fn shortened(text: &str) -> &str {
    let most = (0..=COMMENT_MOST.min(text.len())).rev().find(|n| text.is_char_boundary(*n));
    &text[..most.unwrap_or(0)]
}

/// A writer that counts.
struct Counted {
    out: BufWriter<Box<dyn Write + Send>>,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let n = self.out.write(part)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file();
        f.debug_struct("Capture").field("packets", &file.packets).field("missing", &file.missing).finish()
    }
}
