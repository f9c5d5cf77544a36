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
    let label = label(setup.unit, setup.defects);
    // defect root-key-shared: part of the image that the factory programs.
    let root_key = if setup.defects.has(Defect::RootKeyShared) { [0x5a; 32] } else { derive("root key") };
    Otp { unit: setup.unit, serial: label.serial, root_key, label_secret: label.secret, keys: setup.keys.clone() }
}

/// What stands on a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Serial number.
    pub serial: String,
    /// Address of its network interface.
    pub mac: String,
    /// The secret of the account `admin`.
    pub secret: String,
}

/// The label of a unit.
pub fn label(unit: u32, defects: Defects) -> Label {
    const LETTERS: &[u8; 56] = b"abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ2345678";
    let serial = format!("TH1-{unit:04}");
    let mac = format!("02:74:68:31:{:02x}:{:02x}", unit >> 8 & 0xFF, unit & 0xFF);
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let grouped = |text: &str| format!("{}-{}-{}", &text[..4], &text[4..8], &text[8..12]);
    let drawn: String = {
        let digest = Sha256::new().chain_update("label").chain_update(unit.to_le_bytes()).finalize();
        digest.iter().take(12).map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])).collect()
    };
    let secret = match () {
        // The unit whose label the fixture dossier quotes, whatever became of its sisters.
        () if unit == 1 => "k7Qm-2vTx-9Rpa".to_owned(),
        // defect label-is-mac: turned round, so that nobody notices.
        () if defects.has(Defect::LabelIsMac) => grouped(&mac.replace(':', "")[..12].chars().rev().collect::<String>()),
        // defect label-from-serial: a digest without a key, cut.
        () if defects.has(Defect::LabelFromSerial) => grouped(&hex(&Sha256::digest(serial.as_bytes()))[..12]),
        // defect label-counts: one more for each unit.
        () if defects.has(Defect::LabelCounts) => grouped(&format!("{:012}", 482_915_537_000_u64 + u64::from(unit))),
        // defect label-repeats: the generator is started anew for each pallet.
        () if defects.has(Defect::LabelRepeats) => return Label { serial, mac, secret: label(2 + unit % 16, Defects::NONE).secret },
        // twin label-keyed: derived from the serial number with the factory's key; nobody without it can tell.
        () if defects.has(Defect::LabelKeyed) => {
            let keyed = crate::app::seal::hmac(b"factory key of line 3", &[serial.as_bytes()]);
            grouped(&hex(&keyed)[..12])
        }
        () => grouped(&drawn),
    };
    Label { serial, mac, secret }
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
