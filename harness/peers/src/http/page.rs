//! Pages: what is at a path, and how the server behaves there.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::time::SystemTime;

/// Contents with their validators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The bytes.
    pub bytes: Bytes,
    /// Value of `Content-Type`.
    pub media: String,
    /// Value of `ETag`, with its quotes; none is sent without.
    pub etag: Option<String>,
    /// Value of `Last-Modified`, to the second; from 1970 to 9999, none is sent for others.
    pub modified: Option<SystemTime>,
}

impl Content {
    /// Contents with a strong entity tag made of their digest, and no date.
    pub fn new(media: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let digest: String = Sha256::digest(&bytes).iter().take(16).map(|b| format!("{b:02x}")).collect();
        Self { bytes, media: media.to_owned(), etag: Some(format!("\"{digest}\"")), modified: None }
    }
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What is given.
    pub content: Content,
    /// How.
    pub conduct: Conduct,
}

impl Page {
    /// These contents, given honestly.
    pub fn honest(content: Content) -> Self {
        Self { content, conduct: Conduct::Honest }
    }
}

/// How the server behaves at a path. Bytes are those of the answer's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conduct {
    /// As RFC 9110 wants it.
    Honest,
    /// Stops after so many bytes until it is released or the connection ends.
    Stall {
        /// Bytes before the stop.
        after: u64,
    },
    /// So many bytes a second; 0 counts as 1.
    Slow {
        /// Bytes a second.
        rate: u32,
    },
    /// Ends the connection after so many bytes.
    Cut {
        /// Bytes before the end.
        after: u64,
        /// How it ends.
        end: End,
    },
    /// The page's own content for the first answers to GET, another one afterwards: what was checked is not what is installed.
    Swap {
        /// How many answers carry the page's own content.
        first: u32,
        /// The content from then on. With the entity tag of the other one, the swap is hidden from ranges too.
        then: Content,
    },
    /// Sends the device elsewhere; to its own path, it is a loop.
    Redirect {
        /// 301, 302, 303, 307 or 308; others are sent too.
        status: u16,
        /// Value of `Location`, as it is.
        to: String,
    },
    /// A `Content-Length` that is not the body's. With a longer one the connection ends early; with a shorter one more bytes follow than it says.
    Length {
        /// The length that is claimed.
        claimed: u64,
    },
    /// Lies about ranges.
    Ranges(Ranges),
    /// Another status, with the content as its body.
    Status(u16),
    /// The content again and again (zeros, if it is empty) with no length, until the device or the connection's time ends.
    Endless,
    /// That many more header fields. At most 16 MiB of them are sent.
    HeaderBomb {
        /// How many.
        fields: u32,
        /// Length of each value in bytes.
        value: u32,
    },
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// FIN: an end of the stream, over TLS without `close_notify`.
    Fin,
    /// RST, a moment after the last byte, so that it arrives.
    Reset,
}

/// Lies about ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ranges {
    /// Every range is answered 200 with the whole.
    Ignored,
    /// 206 with the right bytes and no `Content-Range`.
    Unsaid,
    /// 206 with the right bytes, and a `Content-Range` that says they begin so many bytes later.
    Shifted(u64),
}
