//! The physics of the media.

use super::*;
use rstest::rstest;

fn write(off: u32, data: &[u8]) -> Op {
    Op::Write { off, data: data.into() }
}

fn reads(flash: &Flash, off: u32, len: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = vec![0; len];
    flash.read(off, &mut bytes).map(|()| bytes)
}

fn blank(medium: Medium) -> Flash {
    Flash::new(FlashImage::blank(), medium)
}

#[rstest]
fn bits_only_clear_until_the_sector_is_erased(#[values(Medium::Ideal, Medium::SpiNor, Medium::UnstableBits, Medium::WriteBack)] medium: Medium) {
    let mut f = blank(medium);
    assert!(f.apply(&write(0x1000, &[0x0F; 16])));
    assert!(f.apply(&write(0x1000, &[0xF1; 16])));
    assert_eq!(reads(&f, 0x1000, 16), Ok(vec![0x01; 16]));
    assert!(f.apply(&Op::Erase { off: 0x1000 }));
    assert_eq!(*f.image(), FlashImage::blank());
}

#[rstest]
#[case(Medium::Ecc64, 8)]
#[case(Medium::Ecc256, 32)]
#[case(Medium::WriteOnce, 8)]
fn a_word_is_written_once_per_erase(#[case] medium: Medium, #[case] word: u32) {
    let mut f = blank(medium);
    assert!(f.apply(&write(0x1000, &[0x0F; 16])));
    assert!(!f.apply(&write(0x1000, &[0x0E; 16])), "the same word again");
    let next = 16.max(word);
    assert!(f.apply(&write(0x1000 + next, &[0x0E; 16])), "the next word");
    assert!(!f.apply(&write(0x1010, &[0x0E; 16])), "written just now, or the other half of one word");
    assert_eq!(f.apply(&write(0x1000, &[0; 16])), medium != Medium::WriteOnce, "zero may be written over with ECC");
    f.apply(&Op::Erase { off: 0x1000 });
    assert!(f.apply(&write(0x1000, &[0x0E; 16])));
}

#[test]
fn an_nrf52_word_takes_two_writes() {
    let mut f = blank(Medium::Nrf52);
    assert!(f.apply(&write(0, &[0xFE; 16])) && f.apply(&write(0, &[0xFC; 16])));
    assert!(!f.apply(&write(0, &[0xF8; 16])));
}

#[rstest]
#[case(Medium::Ecc64)]
#[case(Medium::Ecc256)]
fn a_torn_word_cannot_be_read_until_it_is_erased(#[case] medium: Medium) {
    let mut f = blank(medium);
    f.lose_power(Some(&write(0x2000, &[0x55; 64])), Tear::Prefix(33));
    assert_eq!(reads(&f, 0x2000, 32), Ok(vec![0x55; 32]));
    assert_eq!(reads(&f, 0x2020, 1), Err(Fault { offset: 0x2020 }));
    assert_eq!(reads(&f, 0x2040, 16), Ok(vec![0xFF; 16]));
    f.apply(&Op::Erase { off: 0x2000 });
    assert_eq!(reads(&f, 0x2000, 64), Ok(vec![0xFF; 64]));
}

#[test]
fn an_interrupted_write_leaves_a_subset_of_the_differing_bits() {
    let op = write(0x3000, &[0x33; 32]);
    for tear in Medium::SpiNor.tears(&op) {
        let mut f = blank(Medium::SpiNor);
        f.lose_power(Some(&op), *tear);
        let after = reads(&f, 0x3000, 32).unwrap();
        assert!(after.iter().all(|b| b & 0x33 == 0x33), "{tear:?}: a bit that was not to change");
        assert!(after != [0x33; 32] && after != [0xFF; 32], "{tear:?} is a tear");
        assert_eq!(reads(&f, 0x3020, 32), Ok(vec![0xFF; 32]));
    }
}

#[test]
fn an_interrupted_erase_stays_in_its_sector() {
    let mut base = FlashImage::blank();
    base.put(0x4000, &[0xA5; 0x3000]);
    for tear in Medium::SpiNor.tears(&Op::Erase { off: 0x5000 }) {
        let mut f = Flash::new(base.clone(), Medium::SpiNor);
        f.lose_power(Some(&Op::Erase { off: 0x5000 }), *tear);
        assert_ne!(f.image().range_digest(0x5000, 0x1000), base.range_digest(0x5000, 0x1000), "{tear:?}");
        assert_eq!(reads(&f, 0x4000, 0x1000), Ok(vec![0xA5; 0x1000]));
        assert_eq!(reads(&f, 0x6000, 0x1000), Ok(vec![0xA5; 0x1000]));
    }
}

#[test]
fn an_unstable_word_reads_differently_from_boot_to_boot_until_it_is_written_again() {
    let mut f = blank(Medium::UnstableBits);
    f.lose_power(Some(&write(0x1000, &[0; 32])), Tear::HalfBits);
    let mut seen = std::collections::BTreeSet::new();
    for other in 0..8u8 {
        f.apply(&write(0x2000 + u32::from(other) * 16, &[other; 16]));
        f.power_on();
        let now = reads(&f, 0x1000, 32).unwrap();
        assert_eq!(now, reads(&f, 0x1000, 32).unwrap(), "within one power-on it is steady");
        seen.insert(now);
    }
    assert!(seen.len() > 1);
    f.apply(&write(0x1000, &[0; 32]));
    f.power_on();
    assert_eq!(reads(&f, 0x1000, 32), Ok(vec![0; 32]));
}

#[test]
fn a_write_cache_loses_what_was_not_flushed_and_nothing_else() {
    let mut f = blank(Medium::WriteBack);
    f.apply(&write(0, &[1; 16]));
    f.apply(&Op::Flush);
    f.apply(&write(0x100, &[2; 16]));
    f.apply(&write(0x200, &[3; 16]));
    assert_eq!(reads(&f, 0x100, 1), Ok(vec![2]), "the device itself sees its cache");
    f.lose_power(None, Tear::DropUnflushed(0));
    assert_eq!((reads(&f, 0, 1), reads(&f, 0x100, 1), reads(&f, 0x200, 1)), (Ok(vec![1]), Ok(vec![0xFF]), Ok(vec![3])));
}

#[test]
fn equal_contents_have_equal_digests_however_they_came_about() {
    let mut a = FlashImage::blank();
    let mut b = FlashImage::blank();
    for at in [0x100u32, 0x3F00, 0x20000] {
        a.put(at, b"text");
    }
    for at in [0x20000u32, 0x100, 0x3F00, 0x8000] {
        b.put(at, b"text");
    }
    assert_ne!(a.digest(), b.digest());
    b.put(0x8000, &[0xFF; 4]);
    assert_eq!(a.digest(), b.digest());
    let mut moved = FlashImage::blank();
    moved.put(0x200, b"text");
    let mut there = FlashImage::blank();
    there.put(0x300, b"text");
    assert_ne!(moved.digest(), there.digest(), "the same page in another place");
    assert_eq!(FlashImage::from_bytes(&a.to_vec()).digest(), a.digest());
}

#[rstest]
fn rebuilding_yields_what_losing_power_yields(#[values(Medium::SpiNor, Medium::Ecc64, Medium::UnstableBits, Medium::WriteBack)] medium: Medium) {
    let ops = [write(0x1000, &[7; 256]), Op::Flush, Op::Erase { off: 0x1000 }, write(0x1100, &[9; 32]), write(0x1200, &[8; 16])];
    let mut base = FlashImage::blank();
    base.put(0x1200, b"what was there before");
    let mut states = Vec::new();
    rebuild(medium, &base, &ops, true, &mut |_, _, _| true, &mut |at, tear, image| states.push((at, tear, image)));
    assert!(states.len() > ops.len() + 10);
    for (at, tear, image) in states {
        let mut f = Flash::new(base.clone(), medium);
        ops[..at as usize].iter().for_each(|op| assert!(f.apply(op)));
        f.lose_power(ops.get(at as usize), tear);
        assert_eq!(f.image().digest(), image.digest(), "{medium} {at} {tear:?}");
        assert_eq!(f.image().to_vec(), image.to_vec());
    }
}

#[rstest]
#[case(write(8, &[0; 16]), false)]
#[case(write(0, &[0; 15]), false)]
#[case(write(0xF0, &[0; 32]), false)]
#[case(write(0x3FFF0, &[0; 16]), true)]
#[case(write(0x40000, &[0; 16]), false)]
#[case(Op::Erase { off: 0x800 }, false)]
#[case(Op::Erase { off: 0x3F000 }, true)]
fn operations_are_aligned_and_inside(#[case] op: Op, #[case] good: bool) {
    assert_eq!(well_formed(&op), good);
}

#[test]
fn every_medium_reads_back_by_name() {
    for m in Medium::ALL {
        assert_eq!(m.name().parse(), Ok(m));
    }
    assert!("nand".parse::<Medium>().unwrap_err().to_string().contains("spi-nor"));
}
