//! The record store under power cuts, on every medium.

use super::*;
use crate::app::testing::{cuts, factory, hw};
use crate::defects::Defects;
use crate::flash::{FlashImage, Medium};
use crate::layout::SETTINGS;
use proptest::prelude::*;
use rstest::rstest;

type Content = BTreeMap<Key, Vec<u8>>;

fn content(log: &Log) -> Content {
    log.entries().map(|(k, v)| (k, v.to_vec())).collect()
}

fn mount(image: &FlashImage, medium: Medium, defects: Defects) -> (Content, FlashImage) {
    let mut hw = hw(image, medium, defects);
    let log = Log::mount(&mut hw, SETTINGS).unwrap();
    (content(&log), hw.state.flash.image().clone())
}

/// A store with two entries, one of which was written `times` times.
fn filled(medium: Medium, times: u32) -> FlashImage {
    let mut hw = hw(&factory(medium), medium, Defects::NONE);
    let mut log = Log::mount(&mut hw, SETTINGS).unwrap();
    assert!(log.set(&mut hw, 9, b"unrelated").unwrap());
    for i in 0..times {
        assert!(log.set(&mut hw, 5, &i.to_le_bytes()).unwrap());
    }
    hw.state.flash.image().clone()
}

/// Whether a cut anywhere in a write, and again anywhere in the recovery, leaves old or new for good. Says what went wrong.
fn survives(medium: Medium, times: u32, defects: Defects) -> Result<(), String> {
    let base = filled(medium, times);
    let (old, same) = mount(&base, medium, Defects::NONE);
    assert_eq!(same.digest(), base.digest(), "a store in order is only read");
    let mut new = old.clone();
    new.insert(5, b"new value".to_vec());
    let write = |hw: &mut Hw| Log::mount(hw, SETTINGS)?.set(hw, 5, b"new value").map(drop);
    let (end, states) = cuts(&base, medium, defects, write);
    if mount(&end, medium, defects).0 != new {
        return Err("an acknowledged write is gone".into());
    }
    let check = |image: &FlashImage, at: &str| {
        let (first, settled) = mount(image, medium, defects);
        if first != old && first != new {
            return Err(format!("{medium} {at}: neither old nor new: {first:?}"));
        }
        let (second, again) = mount(&settled, medium, defects);
        if second != first || again.digest() != settled.digest() {
            return Err(format!("{medium} {at}: the second start differs from the first"));
        }
        // What is acknowledged from here on must hold, too.
        let mut hw = hw(&settled, medium, defects);
        let mut log = Log::mount(&mut hw, SETTINGS).unwrap();
        log.set(&mut hw, 7, b"later").unwrap();
        let mut later = first.clone();
        later.insert(7, b"later".to_vec());
        if mount(hw.state.flash.image(), medium, defects).0 != later {
            return Err(format!("{medium} {at}: a later acknowledged write is gone"));
        }
        Ok(())
    };
    for (at, tear, image) in &states {
        check(image, &format!("cut {at} {tear:?}"))?;
        let (_, deeper) = cuts(image, medium, defects, |hw| Log::mount(hw, SETTINGS).map(drop));
        for (then, tear2, image) in &deeper {
            check(image, &format!("cut {at} {tear:?}, then {then} {tear2:?}"))?;
        }
    }
    Ok(())
}

#[rstest]
fn a_write_is_old_or_new_after_cuts_at_every_operation(
    #[values(
        Medium::Ideal,
        Medium::SpiNor,
        Medium::Nrf52,
        Medium::Ecc64,
        Medium::Ecc256,
        Medium::WriteOnce,
        Medium::UnstableBits,
        Medium::WriteBack
    )]
    medium: Medium,
    // With room for the record, and with a garbage collection first.
    #[values(0, 3, 40)] times: u32,
) {
    survives(medium, times, Defects::NONE).unwrap();
}

#[test]
fn many_writes_pass_through_many_collections() {
    let image = filled(Medium::Ecc256, 500);
    assert_eq!(mount(&image, Medium::Ecc256, Defects::NONE).0.get(&5), Some(&499u32.to_le_bytes().to_vec()));
}

#[rstest]
#[case("settings-gc-loses", Medium::SpiNor, 39)]
#[case("settings-reset-on-torn", Medium::SpiNor, 3)]
#[case("no-flush-commit", Medium::WriteBack, 3)]
fn defects_lose_what_the_conforming_store_keeps(#[case] name: &str, #[case] medium: Medium, #[case] times: u32) {
    // The number of writes that makes the next one collect garbage differs with the layout; some number near must show it.
    let found = (times..times + 4).any(|t| survives(medium, t, Defects::parse([name]).unwrap()).is_err());
    assert!(found, "{name} was not seen");
}

/// An acknowledged entry after two interrupted writes.
fn after_two_torn_writes(defects: Defects) -> Content {
    let medium = Medium::SpiNor;
    let mut image = filled(medium, 2);
    for value in [b"first torn record of some length", b"second torn record of the like.."] {
        let (_, states) = cuts(&image, medium, defects, |hw| Log::mount(hw, SETTINGS)?.set(hw, 5, value).map(drop));
        // The last three operations are body, commit, seal: the body tears.
        image = states.into_iter().rev().filter(|(_, tear, _)| *tear == proofbench_channel::Tear::HalfBits).nth(2).unwrap().2;
    }
    let mut hw = hw(&image, medium, defects);
    let mut log = Log::mount(&mut hw, SETTINGS).unwrap();
    assert!(log.set(&mut hw, 7, b"acknowledged").unwrap());
    mount(hw.state.flash.image(), medium, defects).0
}

#[test]
fn ack_lost_after_two_cuts_needs_two() {
    assert!(after_two_torn_writes(Defects::NONE).contains_key(&7));
    let lossy = Defects::parse(["ack-lost-after-two-cuts"]).unwrap();
    assert!(!after_two_torn_writes(lossy).contains_key(&7));
    survives(Medium::Ideal, 3, lossy).unwrap();
}

#[test]
fn a_store_is_full_before_it_loses_anything() {
    let mut hw = hw(&factory(Medium::SpiNor), Medium::SpiNor, Defects::NONE);
    let mut log = Log::mount(&mut hw, SETTINGS).unwrap();
    let stored = (0..200).take_while(|key| log.set(&mut hw, *key, &[*key as u8; 64]).unwrap()).count();
    assert!((20..60).contains(&stored), "{stored}");
    for key in 0..stored as Key {
        assert!(log.set(&mut hw, key, b"shorter").unwrap(), "an entry that is there can always be replaced");
    }
    assert!(!log.set(&mut hw, 0, &[0; VALUE_MAX + 1]).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn any_content_mounts_and_takes_a_write(seed in any::<u64>(), kind in 0..5u8, bytes in proptest::collection::vec(any::<u8>(), 1..400)) {
        let mut image = if kind == 0 { FlashImage::blank() } else { filled(Medium::SpiNor, u32::from(kind) * 11) };
        // Noise over the whole region, or a few bytes somewhere in a good one.
        let at = SETTINGS.offset + (seed % u64::from(SETTINGS.len - 400)) as u32;
        let noise: Vec<u8> = match kind {
            0 => (0..SETTINGS.len).map(|i| (crate::mix(seed ^ u64::from(i / 8)) >> (i % 8 * 8)) as u8).collect(),
            _ => bytes,
        };
        image.put(if kind == 0 { SETTINGS.offset } else { at }, &noise);
        let (first, settled) = mount(&image, Medium::SpiNor, Defects::NONE);
        let (second, _) = mount(&settled, Medium::SpiNor, Defects::NONE);
        prop_assert_eq!(first, second);
        let mut hw = hw(&settled, Medium::SpiNor, Defects::NONE);
        let mut log = Log::mount(&mut hw, SETTINGS).unwrap();
        if log.set(&mut hw, 77, b"value").unwrap() {
            let image = hw.state.flash.image().clone();
            let now = mount(&image, Medium::SpiNor, Defects::NONE).0;
            prop_assert_eq!(now.get(&77).map(Vec::as_slice), Some(&b"value"[..]));
        }
    }
}
