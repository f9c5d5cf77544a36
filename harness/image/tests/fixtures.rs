//! The images in the tree are the ones that the example makes, and each is what its row says.
#![allow(clippy::unwrap_used)] // a test that cannot read its fixture has failed

#[path = "../examples/make-fixtures/set.rs"]
mod set;

use proofbench_image::{Image, SigningKey};
use std::path::Path;

#[test]
fn the_committed_images_are_equal_to_the_generated_ones() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/devices/thermostat/images");
    for fixture in set::fixtures() {
        let committed = std::fs::read(dir.join(fixture.file)).unwrap_or_else(|e| panic!("{}: {e}; run the example make-fixtures", fixture.file));
        assert_eq!(committed, fixture.bytes, "{} ({}) differs; run the example make-fixtures", fixture.file, fixture.what);
    }
}

#[test]
fn every_image_is_signed_by_the_maker_and_by_nobody_else() {
    let keys = ["maker-ed25519", "maker-p256"].map(|name| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/keys/{name}.pem"));
        SigningKey::from_pem(&std::fs::read_to_string(path).unwrap()).unwrap().public()
    });
    for fixture in set::fixtures() {
        let image = Image::parse(&fixture.bytes).unwrap();
        let p256 = fixture.file.contains("p256");
        assert_eq!(image.verified_by(&keys[0]), !p256, "{}", fixture.file);
        assert_eq!(image.verified_by(&keys[1]), p256, "{}", fixture.file);
        assert!(!image.verified_by(&SigningKey::other().public()), "{}", fixture.file);
        assert!(image.tail().is_empty());
        assert_eq!(image.model(), Some(if fixture.file == "other-model.bin" { &b"TH-2"[..] } else { b"TH-1" }));
        let version = image.header.version.to_string().replace("+0", "");
        assert!(fixture.file.starts_with(|c: char| c.is_ascii_lowercase()) || fixture.file.starts_with(&version), "{}", fixture.file);
        assert!(image.bytes().len() < 0x10000 - 0x1000, "an image and its trailer fit a slot");
    }
}
