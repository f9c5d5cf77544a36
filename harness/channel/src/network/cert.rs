//! Which certificate a service of the lab shows.

use serde::{Deserialize, Serialize};

/// A certificate of the lab: the good one, or one that differs from it in one thing and that a device should refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certificate {
    /// Chain, name, time and use are right: the control.
    #[default]
    Good,
    /// Signed by itself.
    SelfSigned,
    /// Signed by a CA that the device does not trust.
    UnknownCa,
    /// For another host, signed by the trusted CA.
    WrongName,
    /// No longer valid.
    Expired,
    /// Not valid yet.
    NotYetValid,
    /// Signed by a certificate that is no CA.
    LeafAsCa,
    /// Not for servers.
    WrongUsage,
    /// RSA with 1024 bits.
    WeakKey,
    /// Signed with SHA-1.
    Sha1,
    /// The host name stands in the subject only.
    NameOnlyInCn,
}

impl Certificate {
    /// All that a device should refuse, in the order in which a matrix offers them.
    pub const BAD: [Certificate; 10] = [
        Certificate::SelfSigned,
        Certificate::UnknownCa,
        Certificate::WrongName,
        Certificate::Expired,
        Certificate::NotYetValid,
        Certificate::LeafAsCa,
        Certificate::WrongUsage,
        Certificate::WeakKey,
        Certificate::Sha1,
        Certificate::NameOnlyInCn,
    ];

    /// Short name, for reports.
    pub fn id(self) -> &'static str {
        match self {
            Certificate::Good => "good",
            Certificate::SelfSigned => "self-signed",
            Certificate::UnknownCa => "unknown-ca",
            Certificate::WrongName => "wrong-name",
            Certificate::Expired => "expired",
            Certificate::NotYetValid => "not-yet-valid",
            Certificate::LeafAsCa => "leaf-as-ca",
            Certificate::WrongUsage => "wrong-usage",
            Certificate::WeakKey => "weak-key",
            Certificate::Sha1 => "sha1",
            Certificate::NameOnlyInCn => "name-only-in-cn",
        }
    }
}
