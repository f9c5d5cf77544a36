//! Captures of what peers and proxies carried, as pcapng files that Wireshark opens.
//!
//! Peers see streams and datagrams, not packets. The packets here are made from them: IPv4 or IPv6 with TCP (handshake, sequence numbers, one
//! acknowledgement for what was carried at once, FIN or RST) or UDP, checksums right, and the moments at which the peer saw the bytes. What
//! happened below (retransmissions, window sizes, real sequence numbers, link layer) is not in them, and the interface's description says so.
//!
//! A file has a bound. The packet that no longer fits is written without its payload and with a comment that says that the capture ends there; nothing
//! follows it but a block of counts.
//!
//! Run against: Debian's tshark and capinfos 4.0.17 (no malformed packet, checksums validated, streams followed back to the same bytes).

mod file;
mod flow;
mod packet;

pub use file::{Capture, CaptureSetup, Summary};
pub use flow::{Side, TcpFlow};

/// Why a capture cannot be made or ended.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be written.
    #[error("write the capture")]
    Write(#[source] std::io::Error),
    /// The bound leaves no room for even one packet.
    #[error("make a capture of at most {0} bytes: 1024 are the least")]
    Bound(u64),
}
