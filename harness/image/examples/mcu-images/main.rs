//! The maker of the MCU rig's firmware, for `fixtures/firmware/mcu/build`: `key FILE` writes the maker's public key, raw; `images FOLDER` makes the images
//! and the factory's flash out of the programs `boot.bin` and `app.bin` in that folder.

use proofbench_image::{ImageSpec, Seal, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::error::Error;
use std::path::Path;

/// What the application looks for in itself: see its `NOTE`.
const NOTE: &[u8] = b"MCU-NOTE:normal                 ";
const NOTE_KEY: usize = "MCU-NOTE:".len();

/// File, version, model, note.
const TABLE: &[(&str, &str, &str, &str)] = &[
    ("1.1.0.bin", "1.1.0", "MCU-1", "normal"),
    ("1.2.0.bin", "1.2.0", "MCU-1", "normal"),
    ("1.2.0-rebuilt.bin", "1.2.0", "MCU-1", "rebuilt"),
    ("1.3.0.bin", "1.3.0", "MCU-1", "normal"),
    ("1.4.0.bin", "1.4.0", "MCU-1", "normal"),
    ("other-model.bin", "1.5.0", "MCU-2", "normal"),
    ("crashing.bin", "1.6.0", "MCU-1", "crash"),
    ("hanging.bin", "1.6.1", "MCU-1", "hang"),
    ("1.9.0.bin", "1.9.0", "MCU-1", "normal"),
    ("1.10.1.bin", "1.10.1", "MCU-1", "normal"),
    ("1.10.256.bin", "1.10.256", "MCU-1", "normal"),
    ("1.11.0.bin", "1.11.0", "MCU-1", "normal"),
];
const DELIVERED: &str = "1.2.0.bin";
/// The unit on the bench, as its dossier has it.
const SERIAL: &[u8] = b"MCU-0001";
const LABEL: &[u8] = b"pQ4x-8Zrm-1Kfd";

/// The board's memory map: see `common/src/flash.rs` of the firmware.
const FLASH: usize = 0x4_0000;
const LOADER_MOST: usize = 0x1_0000;
const ACTIVE: usize = 0x1_0000;
const SLOT: usize = 0x1_0000;
const FACTORY: usize = 0x3_8000;
const HEADER: u16 = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let key = SigningKey::from_pem(include_str!("../../../../fixtures/keys/maker-ed25519.pem")).map_err(|_| "the maker's key is none")?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["key", file] => {
            let VerifyingKey::Ed25519(public) = key.public() else { return Err("the maker's key is no Ed25519 key".into()) };
            Ok(std::fs::write(file, public.as_bytes())?)
        }
        ["images", folder] => images(Path::new(folder), &key),
        _ => Err("usage: mcu-images key FILE | images FOLDER".into()),
    }
}

fn images(dir: &Path, key: &SigningKey) -> Result<(), Box<dyn Error>> {
    let (boot, app) = (std::fs::read(dir.join("boot.bin"))?, std::fs::read(dir.join("app.bin"))?);
    let places: Vec<usize> = app.windows(NOTE.len()).enumerate().filter(|(_, w)| *w == NOTE).map(|(at, _)| at).collect();
    let [at] = places[..] else { return Err(format!("the application has {} notes instead of one", places.len()).into()) };
    std::fs::create_dir_all(dir.join("images"))?;
    let mut delivered = Vec::new();
    for (file, version, model, note) in TABLE {
        let mut payload = app.clone();
        let room = &mut payload[at + NOTE_KEY..at + NOTE.len()];
        room.fill(b' ');
        room[..note.len()].copy_from_slice(note.as_bytes());
        let spec = ImageSpec { version: version.parse()?, counter: None, model: Some(model.as_bytes().to_vec()), header_size: HEADER, payload };
        let image = spec.build(&Seal::Signed(key)).ok_or("a part of the image is too long")?;
        if image.len() > SLOT {
            return Err(format!("{file} has {} bytes, a slot {SLOT}", image.len()).into());
        }
        std::fs::write(dir.join("images").join(file), &image)?;
        println!("{file:20} {:6} bytes", image.len());
        if *file == DELIVERED {
            delivered = image;
        }
    }
    if boot.len() > LOADER_MOST {
        return Err(format!("the boot loader has {} bytes, its place {LOADER_MOST}", boot.len()).into());
    }
    let mut flash = vec![0xff; FLASH];
    flash[..boot.len()].copy_from_slice(&boot);
    flash[ACTIVE..ACTIVE + delivered.len()].copy_from_slice(&delivered);
    let factory = &mut flash[FACTORY..];
    factory[..16].fill(b' ');
    factory[..SERIAL.len()].copy_from_slice(SERIAL);
    factory[16..48].copy_from_slice(&Sha256::new().chain_update(SERIAL).chain_update(b"|").chain_update(LABEL).finalize());
    std::fs::write(dir.join("flash.bin"), &flash)?;
    // The processor fetches stack and start from address 0, where this board has other memory.
    std::fs::write(dir.join("vectors.bin"), boot.get(..8).ok_or("an empty boot loader")?)?;
    Ok(())
}
