//! Our parser reads what MCUboot's own tool writes. `.ci/imgtool-cross-check` makes the files and names their folder in `IMGTOOL_IMAGES`;
//! without it these tests have nothing to compare and say so.
#![allow(clippy::unwrap_used)] // a test that cannot read its fixture has failed

use proofbench_image::{Image, ImageSpec, Seal, SigningKey};
use std::path::PathBuf;

fn maker() -> SigningKey {
    SigningKey::from_pem(include_str!("../../../fixtures/keys/maker-ed25519.pem")).unwrap()
}

fn made_by_imgtool(name: &str) -> Option<Vec<u8>> {
    let Some(dir) = std::env::var_os("IMGTOOL_IMAGES") else {
        eprintln!("IMGTOOL_IMAGES is not set: run .ci/imgtool-cross-check");
        return None;
    };
    Some(std::fs::read(PathBuf::from(dir).join(name)).unwrap())
}

#[test]
fn an_image_by_imgtool_is_read_and_verified() {
    let Some(bytes) = made_by_imgtool("th1-1.3.9.bin") else { return };
    let image = Image::parse(&bytes).unwrap();
    assert_eq!(image.header.version.to_string(), "1.3.9+0");
    assert_eq!((image.header.header_size, image.counter(), image.model()), (0x200, Some(2), Some(&b"TH-1"[..])));
    assert!(image.verified_by(&maker().public()));
    assert!(image.tail().is_empty());
}

#[test]
fn imgtool_and_we_write_the_same_bytes() {
    let Some(bytes) = made_by_imgtool("th1-1.3.0.bin") else { return };
    let image = Image::parse(&bytes).unwrap();
    let ours = ImageSpec {
        version: image.header.version,
        counter: image.counter(),
        model: image.model().map(<[u8]>::to_vec),
        header_size: image.header.header_size,
        payload: bytes[image.payload()].to_vec(),
    };
    assert_eq!(ours.build(&Seal::Signed(&maker())).unwrap(), bytes);
}
