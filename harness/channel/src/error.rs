//! One error type for every channel, with a kind that generic code can match on.

use std::fmt;

/// What went wrong on the bench side of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The deadline passed. Whether that says anything about the device is the caller's to judge.
    Timeout,
    /// Somebody cancelled the wait.
    Cancelled,
    /// The adapter went away (unplugged, connection closed) and did not come back in time.
    Disconnected,
    /// The adapter refused (busy, permission, rail protection).
    Refused,
    /// The other side of the adapter does not speak the protocol.
    Protocol,
    /// The driver cannot do that at all.
    Unsupported,
    /// The driver or a helper process failed.
    Driver,
}

/// An error of the bench, never of the device. Reads well after "failed to".
#[derive(Debug, thiserror::Error)]
pub struct ChannelError {
    /// For generic code.
    pub kind: ErrorKind,
    /// What the driver was doing, naming the object: "open /dev/ttyUSB0", "read the console".
    pub doing: String,
    /// What lies beneath.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ChannelError {
    /// An error without a deeper cause.
    pub fn new(kind: ErrorKind, doing: impl Into<String>) -> Self {
        Self { kind, doing: doing.into(), source: None }
    }
    /// An error with its cause.
    pub fn caused(kind: ErrorKind, doing: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { kind, doing: doing.into(), source: Some(source.into()) }
    }

    /// The error with every cause beneath it, for people.
    pub fn explain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(c) = cause {
            text.push_str(": ");
            text.push_str(&c.to_string());
            cause = c.source();
        }
        text
    }
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.kind {
            ErrorKind::Timeout => "deadline passed",
            ErrorKind::Cancelled => "cancelled",
            ErrorKind::Disconnected => "disconnected",
            ErrorKind::Refused => "refused",
            ErrorKind::Protocol => "unexpected answer",
            ErrorKind::Unsupported => "not supported by this driver",
            ErrorKind::Driver => "driver failed",
        };
        write!(f, "{}: {why}", self.doing)
    }
}
