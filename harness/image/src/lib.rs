//! Firmware image formats (MCUboot, and signed files that are not read) and the image matrix: every mutation that a check offers to a device.
//!
//! Pure data in, bytes out: no I/O, no clock, no chance. The parser takes any bytes and never panics; the matrix works on any genuine image
//! of a maker without the maker's private key, because a laboratory does not have it.

mod format;
pub mod keys;
pub mod matrix;
pub mod mcuboot;
mod version;
mod write;

pub use format::Format;
pub use keys::{BadKey, SigningKey, VerifyingKey};
pub use mcuboot::{Header, Image, Malformed, Tlv};
pub use version::{BadVersion, Version};
pub use write::{ImageSpec, Seal, seal};
