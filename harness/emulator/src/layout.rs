//! Where things stand in the thermostat's flash and address space.

/// A range of flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// First byte.
    pub offset: u32,
    /// Bytes.
    pub len: u32,
}

impl Region {
    /// First byte after the region.
    pub const fn end(self) -> u32 {
        self.offset + self.len
    }
    /// Offsets of the region's sectors.
    pub fn sectors(self) -> impl Iterator<Item = u32> {
        (self.offset..self.end()).step_by(SECTOR as usize)
    }
    /// Whether `offset` lies inside.
    pub const fn contains(self, offset: u32) -> bool {
        offset >= self.offset && offset < self.end()
    }
}

const fn region(offset: u32, len: u32) -> Region {
    Region { offset, len }
}

/// Bytes of flash.
pub const SIZE: u32 = 0x40000;
/// Smallest erasable area.
pub const SECTOR: u32 = 0x1000;
/// Most bytes that one program operation takes.
pub const PAGE: u32 = 0x100;
/// Writes start at and are a multiple of this.
pub const WRITE_UNIT: u32 = 16;
/// Records and marks that must stand alone use cells of this size: the largest ECC word of the medium profiles. A cell is written once per erase.
pub const CELL: u32 = 32;

/// Immutable loader.
pub const BOOT: Region = region(0x00000, 0x4000);
/// Journal of the boot loader: update state, swap progress, anti-rollback counter.
pub const STATUS: Region = region(0x04000, 0x2000);
/// Scratch sector of the swap.
pub const SCRATCH: Region = region(0x06000, 0x1000);
/// Life-cycle word, sampled by hardware at reset.
pub const LIFE_CYCLE: Region = region(0x07000, 0x1000);
/// The image that runs.
pub const SLOT0: Region = region(0x08000, 0x10000);
/// The image that was offered, or the old one.
pub const SLOT1: Region = region(0x18000, 0x10000);
/// Settings store.
pub const SETTINGS: Region = region(0x28000, 0x2000);
/// User data store.
pub const USER_DATA: Region = region(0x2A000, 0x4000);
/// Usage counter.
pub const COUNTERS: Region = region(0x2E000, 0x2000);
/// Factory data.
pub const FACTORY: Region = region(0x30000, 0x1000);

/// Bus address of RAM.
pub const RAM_BASE: u32 = 0x2000_0000;
/// Bytes of RAM.
pub const RAM_SIZE: u32 = 0x1_0000;

/// Life-cycle word of a unit that left the factory: debug access is locked.
pub const LIFE_SECURED: u32 = 0x5EC0_12ED;
