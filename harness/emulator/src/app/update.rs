//! Images from the application's side.
use super::smp::wire::Body;
pub use super::upload::{Taken, Upload};
use super::upload::Chunk;
use crate::firmware::BootInfo;
use crate::hw::{Hw, Stop};

/// Codes of the image group, as mcumgr numbers them.
pub mod code {
    pub const NO_FREE_SLOT: u16 = 9;
    pub const WRITE_FAILED: u16 = 12;
    pub const INVALID_SLOT: u16 = 14;
    pub const INVALID_OFFSET: u16 = 20;
    pub const INVALID_LENGTH: u16 = 21;
    pub const INVALID_HASH: u16 = 24;
    pub const TOO_LARGE: u16 = 30;
    pub const DATA_OVERRUN: u16 = 31;
    pub const CONFIRMATION_DENIED: u16 = 32;
    pub const TEST_OF_ACTIVE_DENIED: u16 = 33;
}

pub struct SlotImage { pub hash: [u8; 32] }
pub struct Listed { pub slot: u8, pub version: String, pub hash: [u8; 32], pub bootable: bool, pub pending: bool, pub confirmed: bool, pub active: bool, pub permanent: bool }
pub fn slots(_hw: &mut Hw) -> [Option<SlotImage>; 2] { [None, None] }
pub fn list(_hw: &mut Hw, _i: &BootInfo) -> Vec<Listed> { vec![] }
pub fn mark(_hw: &mut Hw, _i: &BootInfo, _hash: &[u8], _confirm: bool) -> Result<Result<(), u16>, Stop> { Ok(Ok(())) }
pub fn confirm(_hw: &mut Hw, _i: &mut BootInfo) -> Result<Result<(), &'static str>, Stop> { Ok(Ok(())) }
pub fn erase(_hw: &mut Hw, _u: &mut Upload, _i: &BootInfo, _slot: u64) -> Result<Result<(), u16>, Stop> { Ok(Ok(())) }
pub fn lower_counter(_hw: &mut Hw) -> Result<(), Stop> { Ok(()) }
pub fn restore_other_image(_hw: &mut Hw) -> Result<(), Stop> { Ok(()) }
pub fn chunk(hw: &mut Hw, up: &mut Upload, _info: &BootInfo, body: &Body<'_>) -> Result<Result<Taken, u16>, Stop> {
    let Some(off) = body.off else { return Ok(Err(code::INVALID_OFFSET)) };
    let c = Chunk { off, data: body.data.unwrap_or_default(), len: body.len, sha: body.sha.and_then(|s| s.try_into().ok()) };
    if up.goes_on(&c) || off > 0 { up.go_on(hw, &c) } else { up.begin(hw, &c) }
}
