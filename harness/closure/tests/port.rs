//! The flash through the traits that storage code is written for.

#![allow(clippy::unwrap_used)] // a test that cannot set up its ground may stop there

use embedded_storage::nor_flash::{MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use proofbench_closure::flash::{Chip, Flash};
use proofbench_closure::medium::NOR;
use proofbench_closure::port::{Port, at_once};

fn flash() -> Flash {
    let chip = Chip { medium: NOR, word: 4, page: 64, size: 256 };
    Flash::new(chip, chip.erased())
}

fn works_on_any_multiwrite_flash<F: MultiwriteNorFlash>(flash: &mut F) -> [u8; 4] {
    flash.erase(0, F::ERASE_SIZE as u32).unwrap();
    flash.write(8, &[0xf3; 4]).unwrap();
    flash.write(8, &[0x3f; 4]).unwrap();
    let mut back = [0; 4];
    flash.read(8, &mut back).unwrap();
    back
}

#[test]
fn blocking_and_asynchronous_calls_reach_the_same_flash() {
    let flash = flash();
    let mut port = Port::<4, 64>::part(&flash, 64, 128);
    assert_eq!(works_on_any_multiwrite_flash(&mut port), [0x33; 4]);
    let mut back = [0; 4];
    at_once(async { embedded_storage_async::nor_flash::ReadNorFlash::read(&mut port, 8, &mut back).await }).unwrap().unwrap();
    assert_eq!(back, [0x33; 4]);
    assert_eq!((flash.ops(), flash.image().byte(64 + 8)), (3, 0x33));
}

#[test]
fn a_part_ends_where_it_ends_and_says_so_in_the_words_of_the_trait() {
    let flash = flash();
    let mut port = Port::<4, 64>::part(&flash, 64, 64);
    assert_eq!(ReadNorFlash::capacity(&port), 64);
    assert_eq!(NorFlash::write(&mut port, 64, &[0; 4]).unwrap_err().kind(), NorFlashErrorKind::OutOfBounds);
    assert_eq!(NorFlash::write(&mut port, 2, &[0; 4]).unwrap_err().kind(), NorFlashErrorKind::NotAligned);
    assert_eq!(NorFlash::erase(&mut port, 64, 0).unwrap_err().kind(), NorFlashErrorKind::NotAligned);
}

#[test]
fn code_that_waits_for_anything_but_the_flash_is_refused() {
    assert!(at_once(std::future::pending::<()>()).is_err());
}
