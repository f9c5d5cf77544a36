//! How a unit leaves the factory.

use crate::defects::{Defect, Defects};
use crate::flash::{FlashImage, Medium};
use crate::hw::Otp;
use crate::keys::Keys;
use crate::layout::{BOOT, FACTORY, LIFE_CYCLE, LIFE_SECURED, SLOT0, SLOT1};
use sha2::{Digest, Sha256};

/// Which device, and what is wrong with it.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Number of the unit: serial number, label, root key.
    pub unit: u32,
    /// Seed of all chance.
    pub seed: u64,
    /// Defects and twins.
    pub defects: Defects,
    /// Medium profile.
    pub medium: Medium,
    /// The delivered image. What does not fit a slot is cut off.
    pub image: Vec<u8>,
    /// Public keys.
    pub keys: Keys,
}

impl Setup {
    /// The conforming unit with this delivered image.
    pub fn new(unit: u32, seed: u64, image: &[u8]) -> Self {
        Self { unit, seed, defects: Defects::NONE, medium: Medium::default(), image: image.to_vec(), keys: Keys::fixture() }
    }
    /// With these defects.
    pub fn with_defects(mut self, defects: Defects) -> Self {
        self.defects = defects;
        self
    }
    /// On this medium.
    pub fn on(mut self, medium: Medium) -> Self {
        self.medium = medium;
        self
    }
    /// The medium; one control needs a write cache to be wrong on.
    pub(super) fn medium(&self) -> Medium {
        if self.defects.has(Defect::NoFlushCommit) { Medium::WriteBack } else { self.medium }
    }
}

/// Data burnt into the unit.
pub(super) fn otp(setup: &Setup) -> Otp {
    let derive = |what: &str| -> [u8; 32] { Sha256::new().chain_update(what).chain_update(setup.unit.to_le_bytes()).finalize().into() };
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz234567892";
    let label_secret = match setup.unit {
        // The unit whose label the fixture dossier quotes.
        1 => "k7Qm-2vTx-9Rpa".to_owned(),
        _ => derive("label").iter().take(12).map(|b| char::from(LETTERS[usize::from(b % 32)])).collect(),
    };
    Otp { unit: setup.unit, serial: format!("TH1-{:04}", setup.unit), root_key: derive("root key"), label_secret, keys: setup.keys.clone() }
}

/// Flash as it leaves the factory.
pub(super) fn flash(setup: &Setup, otp: &Otp) -> FlashImage {
    let mut flash = FlashImage::blank();
    let loader: Vec<u8> = (0..BOOT.len / 8).flat_map(|i| crate::mix(0x7468_3100 + u64::from(i)).to_le_bytes()).collect();
    flash.put(BOOT.offset, &loader);
    let image = &setup.image[..setup.image.len().min(SLOT0.len as usize)];
    flash.put(SLOT0.offset, image);
    if setup.defects.has(Defect::SlotFallback) {
        flash.put(SLOT1.offset, image);
    }
    flash.put(LIFE_CYCLE.offset, &LIFE_SECURED.to_le_bytes());
    let plate = format!("model=TH-1 serial={} mac=02:74:68:31:{:02x}:{:02x}\n", otp.serial, otp.unit >> 8 & 0xFF, otp.unit & 0xFF);
    flash.put(FACTORY.offset, plate.as_bytes());
    for (offset, bytes) in crate::app::factory_stores(otp) {
        flash.put(offset, &bytes);
    }
    flash.put(crate::layout::STATUS.offset, &crate::boot::factory_status(image));
    setup.medium().adopt(&mut flash);
    flash
}
