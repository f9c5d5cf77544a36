//! The thermostat's images as a pure function: no chance, no clock, so that the files in the tree can be compared with it.

use proofbench_image::{ImageSpec, Seal, SigningKey};
use sha2::{Digest, Sha256};

/// One file of `fixtures/devices/thermostat/images`.
pub struct Fixture {
    /// Its name there.
    pub file: &'static str,
    /// What it is for.
    pub what: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The application halts with a fault before it is ready.
const CRASHES: u8 = 1;
/// The application never becomes ready and never feeds the watchdog.
const HANGS: u8 = 2;

/// A row of the table below: file, version, counter, model, flags, payload length, salt, whether ECDSA signs it, what it is for.
type Row = (&'static str, &'static str, u32, &'static str, u8, usize, u8, bool, &'static str);

/// The salt makes two images of one version differ.
const TABLE: &[Row] = &[
    ("1.1.0.bin", "1.1.0", 1, "TH-1", 0, 10_400, 0, false, "older than the delivered one"),
    ("1.2.0.bin", "1.2.0", 1, "TH-1", 0, 11_200, 0, false, "delivered"),
    ("1.2.0-rebuilt.bin", "1.2.0", 1, "TH-1", 0, 11_200, 1, false, "delivered version, other content"),
    ("1.3.0.bin", "1.3.0", 2, "TH-1", 0, 11_600, 0, false, "newer"),
    ("1.4.0.bin", "1.4.0", 3, "TH-1", 0, 12_000, 0, false, "newer still, security counter raised"),
    ("1.4.1-old-counter.bin", "1.4.1", 2, "TH-1", 0, 12_000, 0, false, "newer version on an old security counter"),
    ("crashing.bin", "1.6.0", 4, "TH-1", CRASHES, 10_800, 0, false, "crashes at boot"),
    ("hanging.bin", "1.6.1", 4, "TH-1", HANGS, 10_800, 0, false, "hangs at boot"),
    ("1.9.0.bin", "1.9.0", 3, "TH-1", 0, 12_000, 0, false, "newer than 1.10.1 only for who compares text"),
    ("1.10.1.bin", "1.10.1", 3, "TH-1", 0, 12_000, 0, false, "newer than 1.10.256 only for who keeps eight bits of the revision"),
    ("1.10.256.bin", "1.10.256", 3, "TH-1", 0, 12_000, 0, false, "newer than both"),
    ("1.11.0.bin", "1.11.0", 3, "TH-1", 0, 12_000, 0, false, "newest: what still goes in at the very end"),
    ("other-model.bin", "1.5.0", 4, "TH-2", 0, 12_000, 0, false, "another model of the same maker"),
    ("1.2.0-p256.bin", "1.2.0", 1, "TH-1", 0, 11_200, 0, true, "delivered, for the build that trusts ECDSA P-256"),
    ("1.3.0-p256.bin", "1.3.0", 2, "TH-1", 0, 11_600, 0, true, "newer, for the build that trusts ECDSA P-256"),
];

/// Every fixture, in a fixed order.
pub fn fixtures() -> Vec<Fixture> {
    let ed25519 = SigningKey::from_pem(include_str!("../../../../fixtures/keys/maker-ed25519.pem")).expect("the fixture is a key");
    let p256 = SigningKey::from_pem(include_str!("../../../../fixtures/keys/maker-p256.pem")).expect("the fixture is a key");
    TABLE
        .iter()
        .map(|&(file, version, counter, model, flags, len, salt, ecdsa, what)| {
            let spec = ImageSpec {
                version: version.parse().expect("the table holds versions"),
                counter: Some(counter),
                model: Some(model.as_bytes().to_vec()),
                header_size: 0x200,
                payload: payload(version, model, flags, len, salt),
            };
            let bytes = spec.build(&Seal::Signed(if ecdsa { &p256 } else { &ed25519 })).expect("the table's lengths fit");
            Fixture { file, what, bytes }
        })
        .collect()
}

/// `TH1A`, the flags, then bytes that look like code: no run of FF, none that repeats in another image.
fn payload(version: &str, model: &str, flags: u8, len: usize, salt: u8) -> Vec<u8> {
    let mut bytes = b"TH1A".to_vec();
    bytes.push(flags);
    let mut block = 0u32;
    while bytes.len() < len {
        let seed = format!("{model} {version} {salt} {block}");
        bytes.extend_from_slice(&Sha256::digest(seed.as_bytes()));
        block += 1;
    }
    bytes.truncate(len);
    bytes
}
