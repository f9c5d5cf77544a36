//! What the flash must keep: the rules of each medium, and that rebuilt contents are those of real cuts.
use super::*;
use crate::medium::{ECC, NOR, NRF52, ONCE};

fn chip(medium: Medium) -> Chip {
    Chip { medium, word: 4, page: 32, size: 96 }
}

fn fresh(medium: Medium) -> Flash {
    Flash::new(chip(medium), chip(medium).erased())
}

#[test]
fn a_write_only_clears_bits_and_an_erase_sets_those_of_its_pages() {
    let flash = fresh(NOR);
    flash.write(0, &[0xf0; 4]).unwrap();
    flash.write(0, &[0x0f; 4]).unwrap();
    flash.write(32, &[0; 4]).unwrap();
    assert_eq!(flash.image().bytes(0, 4), [0; 4]);
    flash.erase(0, 32).unwrap();
    assert_eq!((flash.image().byte(0), flash.image().byte(32)), (0xff, 0));
    assert_eq!(flash.ops(), 4);
}

#[test]
fn a_call_outside_or_off_the_words_is_refused_and_is_no_operation() {
    let flash = fresh(NOR);
    assert_eq!(flash.write(1, &[0; 4]), Err(FlashError::NotAligned));
    assert_eq!(flash.write(0, &[0; 3]), Err(FlashError::NotAligned));
    assert_eq!(flash.write(96, &[0; 4]), Err(FlashError::OutOfBounds));
    assert_eq!(flash.erase(16, 48), Err(FlashError::NotAligned));
    assert_eq!(flash.erase(64, 128), Err(FlashError::OutOfBounds));
    assert_eq!(flash.ops(), 0);
}

#[test]
fn each_medium_takes_as_many_writes_of_a_word_as_its_data_sheet_says() {
    for (medium, most) in [(ONCE, 1), (NRF52, 2)] {
        let flash = fresh(medium);
        for _ in 0..most {
            flash.write(4, &[0xfe; 4]).unwrap();
        }
        assert_eq!(flash.write(4, &[0; 4]), Err(FlashError::Refused), "{}", medium.name);
        flash.write(8, &[0; 4]).unwrap();
        flash.erase(0, 32).unwrap();
        flash.write(4, &[0; 4]).unwrap();
    }
}

#[test]
fn a_checksummed_word_takes_zeros_over_data_and_nothing_else() {
    let flash = fresh(ECC);
    flash.write(0, &[0x11; 4]).unwrap();
    assert_eq!(flash.write(0, &[0x01; 4]), Err(FlashError::Refused));
    flash.write(0, &[0; 4]).unwrap();
}

#[test]
fn a_torn_checksummed_word_cannot_be_read_until_it_is_erased() {
    let flash = fresh(ECC);
    flash.arm(Cut { at: 0, tear: Tear::Prefix(6) });
    assert_eq!(flash.write(0, &[0; 8]), Err(FlashError::PowerLost));
    let after = Flash::new(chip(ECC), flash.image());
    let mut word = [1; 4];
    assert_eq!(after.read(0, &mut word), Ok(()));
    assert_eq!(after.read(4, &mut word), Err(FlashError::Unreadable));
    assert_eq!(after.write(4, &[0; 4]), Err(FlashError::Refused));
    after.erase(0, 32).unwrap();
    assert_eq!(after.read(4, &mut word), Ok(()));
}

#[test]
fn after_a_cut_nothing_works_and_nothing_changes() {
    let flash = fresh(NOR);
    flash.arm(Cut { at: 1, tear: Tear::Before });
    flash.write(0, &[0; 4]).unwrap();
    assert_eq!(flash.erase(0, 96), Err(FlashError::PowerLost));
    let left = flash.image().digest();
    assert_eq!(flash.write(8, &[0; 4]), Err(FlashError::PowerLost));
    assert_eq!(flash.read(0, &mut [0]), Err(FlashError::PowerLost));
    assert_eq!((flash.image().digest(), flash.image().byte(0), flash.is_dead()), (left, 0, true));
}

#[test]
fn an_erase_of_several_pages_can_be_cut_between_them() {
    let flash = fresh(NOR);
    flash.write(0, &[0; 4]).unwrap();
    flash.write(32, &[0; 4]).unwrap();
    flash.arm(Cut { at: 3, tear: Tear::Before });
    assert_eq!(flash.erase(0, 64), Err(FlashError::PowerLost));
    assert_eq!((flash.image().byte(0), flash.image().byte(32)), (0xff, 0));
}

#[derive(Default)]
struct All(Vec<(Cut, u128)>);
impl Watch for All {
    fn met(&mut self, cut: Cut, digest: u128) -> bool {
        self.0.push((cut, digest));
        true
    }
}

fn work(flash: &Flash) -> Result<(), FlashError> {
    flash.write(0, &[0x5a; 8])?;
    flash.write(8, &[0; 4])?;
    flash.write(32, &[0x0f; 32])?;
    flash.erase(0, 64)?;
    flash.write(4, &[0x33; 4])
}

/// The rebuilt content of each cut is the one that the same cut leaves when it is armed, on every medium.
#[test]
fn every_rebuilt_content_is_the_one_a_real_cut_leaves() {
    for medium in crate::medium::MEDIA {
        let flash = fresh(medium);
        let all = Rc::new(RefCell::new(All::default()));
        flash.watch(all.clone(), Tears { weak: true, ..Tears::ALL });
        work(&flash).unwrap();
        let images = flash.unwatch();
        assert_eq!(images.len(), all.borrow().0.len());
        assert!(images.len() > 40);
        for ((cut, digest), image) in all.borrow().0.iter().zip(&images) {
            let real = fresh(medium);
            real.arm(*cut);
            assert_eq!(work(&real), Err(FlashError::PowerLost));
            assert_eq!(real.image().digest(), *digest, "{} {cut:?}", medium.name);
            assert_eq!(image.digest(), *digest);
            assert_eq!(image.bytes(0, 96), real.image().bytes(0, 96));
        }
    }
}

#[test]
fn an_interrupted_write_leaves_a_subset_of_the_bits_that_differ() {
    for tear in write_tears(Tears::ALL, 8, 4) {
        let flash = fresh(NOR);
        flash.write(0, &[0xcc; 8]).unwrap();
        flash.arm(Cut { at: 1, tear });
        let _ = flash.write(0, &[0x0f; 8]);
        for byte in flash.image().bytes(0, 8) {
            assert_eq!((byte | 0xcc, byte & 0x0c), (0xcc, 0x0c), "{tear}: {byte:02x}");
        }
    }
}
