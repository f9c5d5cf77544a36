//! Formats by the name that a dossier gives them.

use crate::matrix::{self, Family, Variant};
use crate::mcuboot::{Image, Malformed};
use sha2::{Digest, Sha256};

/// How a maker's files are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// MCUboot: header, payload and TLVs are read; version, counter and hash come from the file.
    Mcuboot,
    /// Any signed file, not read: version and counter are what the dossier says, the hash is SHA-256 of the file.
    Opaque,
}

impl Format {
    /// By its name; `None` if there is no such format.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "mcuboot" => Some(Self::Mcuboot),
            "opaque" => Some(Self::Opaque),
            _ => None,
        }
    }

    /// The variants of one family of a genuine file. An opaque file has none of the families that need it to be read: recomputed hash, claimed fields,
    /// other key. `slot_bytes` is the declared size of the slot that takes it.
    pub fn family(self, genuine: &[u8], slot_bytes: usize, family: Family) -> Result<Vec<Variant>, Malformed> {
        match self {
            Self::Mcuboot => matrix::family(genuine, slot_bytes, family),
            Self::Opaque => Ok(matrix::opaque(genuine, slot_bytes, family)),
        }
    }

    /// The hash by which a device may know a file, as far as the file claims one.
    pub fn claimed_hash(self, file: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Mcuboot => Image::parse(file).ok()?.claimed_digest().map(<[u8]>::to_vec),
            Self::Opaque => Some(Sha256::digest(file).to_vec()),
        }
    }
}
