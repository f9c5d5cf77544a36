//! What the loader starts and what it refuses.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use crate::common::*;
use proofbench_emulator::layout::{SLOT0, STATUS};
use proofbench_emulator::{Medium, World};
use proofbench_image::SigningKey;
use rstest::rstest;

const OLD: usize = 5_000;

fn device(defects: &[&str]) -> World {
    world(defects, Medium::SpiNor, &image("1.2.0", 1, OLD))
}

fn flipped(mut image: Vec<u8>, at: usize) -> Vec<u8> {
    image[at] ^= 1;
    image
}

fn hash_only() -> Vec<u8> {
    // The unprotected TLV area reduced to the hash.
    let image = image("1.3.0", 2, OLD);
    let hash_end = tlv_area(&image) + 4 + 4 + 32;
    let mut cut = image[..hash_end].to_vec();
    let at = tlv_area(&image) + 2;
    cut[at..at + 2].copy_from_slice(&40u16.to_le_bytes());
    cut
}

/// Offset of the unprotected TLV area.
fn tlv_area(image: &[u8]) -> usize {
    let word = |at: usize| usize::from(u16::from_le_bytes([image[at], image[at + 1]]));
    word(8) + word(12) + word(10)
}

fn oversize() -> Vec<u8> {
    let mut i = image("1.3.0", 2, OLD);
    i[12..16].copy_from_slice(&0x2_0000u32.to_le_bytes());
    i
}

fn broken(which: &str) -> Vec<u8> {
    let good = image("1.3.0", 2, OLD);
    let area = tlv_area(&good);
    match which {
        "payload" => flipped(good, 0x1200),
        "payload-late" => flipped(good, 0x1500),
        "header" => flipped(good, 22),
        "hash" => flipped(good, area + 10),
        "signature" => {
            let at = good.len() - 5;
            flipped(good, at)
        }
        "counter" => flipped(good, area - 12),
        "unsigned" => hash_only(),
        "other-key" => image_with("1.3.0", 2, OLD, 0, &SigningKey::other()),
        "older" => image("1.1.0", 1, OLD),
        "same" => image("1.2.0", 1, OLD + 8),
        "low-counter" => image("1.3.0", 0, OLD),
        "truncated" => good[..good.len() / 2].to_vec(),
        "oversize" => oversize(),
        "appended" => [good, b"tail".to_vec()].concat(),
        "empty" => Vec::new(),
        other => panic!("{other}"),
    }
}

#[rstest]
#[case("payload", "Hash")]
#[case("header", "Hash")]
#[case("hash", "Hash")]
#[case("signature", "Signature")]
#[case("counter", "Hash")]
#[case("unsigned", "Signature")]
#[case("other-key", "Signature")]
#[case("older", "Version")]
#[case("same", "Version")]
#[case("low-counter", "Counter")]
#[case("truncated", "Length")]
#[case("oversize", "Length")]
#[case("appended", "Trailing")]
#[case("empty", "Empty")]
fn a_bad_image_is_refused_by_name_and_the_old_one_goes_on(#[case] which: &str, #[case] why: &str, #[values("t", "p")] how: &str) {
    let mut w = device(&[]);
    assert!(mark(&mut w, &broken(which), how).contains(&format!("Err({why})")));
    let log = power_on(&mut w);
    assert!(log.contains("APP th1 1.2.0+0 confirmed") && !log.contains("swap"), "{log}");
    // And a genuine update still works.
    power_off(&mut w);
    mark(&mut w, &image("1.3.0", 2, OLD), how);
    assert!(power_on(&mut w).contains("APP th1 1.3.0+0"));
}

#[rstest]
#[case("sig-unchecked", "signature")]
#[case("sig-absent-ok", "unsigned")]
#[case("hash-first-block-only", "payload-late")]
#[case("crc-not-sig", "unsigned")]
#[case("any-key", "other-key")]
#[case("length-trusted", "oversize")]
#[case("length-trusted", "truncated")]
#[case("header-unprotected", "header")]
#[case("prot-tlv-unprotected", "counter")]
#[case("downgrade-ok", "older")]
#[case("same-version-ok", "same")]
fn each_defect_takes_the_image_that_it_should_not(#[case] defect: &str, #[case] which: &str) {
    let mut w = device(&[defect]);
    let answer = mark(&mut w, &broken(which), "t");
    assert!(answer.contains("Ok(())"), "{answer}");
    let log = power_on(&mut w);
    assert!(log.contains("BL swap test"), "{log}");
    // The same device is otherwise whole: it refuses what another defect takes.
    let mut w = device(&[defect]);
    let other = if matches!(defect, "length-trusted" | "crc-not-sig" | "sig-unchecked") { "payload" } else { "signature" };
    assert!(mark(&mut w, &broken(other), "t").contains("Err("));
}

#[test]
fn mark_after_failed_verify_refuses_and_installs() {
    let mut w = device(&["mark-after-failed-verify"]);
    assert!(mark(&mut w, &broken("other-key"), "t").contains("Err(Signature)"));
    assert!(power_on(&mut w).contains("APP th1 1.3.0+0 trial"));
}

#[test]
fn an_image_exchanged_after_the_mark_is_refused_by_the_loader() {
    for (defect, runs) in [(&[][..], "1.2.0+0 confirmed"), (&["verify-at-mark-only"], "1.3.0+0 trial")] {
        let mut w = device(defect);
        mark(&mut w, &image("1.3.0", 2, OLD), "t");
        stage(&mut w, &broken("other-key"));
        let log = power_on(&mut w);
        assert!(log.contains(&format!("APP th1 {runs}")), "{log}");
        assert_eq!(log.contains("BL alert image rejected slot1: signature"), defect.is_empty(), "{log}");
    }
}

#[test]
fn smp_downgrade_lets_the_permanent_route_go_back() {
    let mut w = device(&["smp-downgrade"]);
    assert!(mark(&mut w, &broken("older"), "t").contains("Err(Version)"));
    assert!(mark(&mut w, &broken("older"), "p").contains("Ok"));
    assert!(power_on(&mut w).contains("APP th1 1.1.0+0 confirmed"));
}

#[rstest]
#[case(1, "crash")]
#[case(2, "hang")]
fn an_image_that_does_not_come_up_is_reverted_by_itself(#[case] flags: u8, #[case] _what: &str) {
    let bad = image_with("1.6.0", 4, OLD, flags, &maker());
    let mut w = device(&[]);
    mark(&mut w, &bad, "t");
    let log = power_on(&mut w);
    assert!(log.contains("cause=watchdog") && log.contains("BL swap revert") && log.contains("APP th1 1.2.0+0 confirmed"), "{log}");
    let mut w = device(&["no-revert"]);
    mark(&mut w, &bad, "t");
    w.set_power(true);
    let log = run(&mut w, 20_000);
    assert!(log.matches("cause=watchdog").count() > 20 && !log.contains("ready"), "{log}");
}

#[test]
fn a_damaged_running_slot_halts_with_an_alert_or_falls_back_where_declared() {
    for (defects, says, ready) in [
        (&[][..], "BL alert image rejected slot0: hash", false),
        (&["boot-silent"], "BL halt", false),
        (&["boot-unverified"], "BL slot0 1.2.0+0 valid", true),
        (&["boot-verify-first-block"], "BL slot0 1.2.0+0 valid", true),
        (&["slot-fallback"], "BL fallback slot1 1.2.0+0", true),
        (&["prompt-after-failed-boot"], "BL> ", false),
    ] {
        let mut w = device(defects);
        assert!(w.write_flash(SLOT0.offset + 0x1100, b"damaged"));
        let log = power_on(&mut w);
        assert!(log.contains(says) && log.contains("APP ready") == ready, "{defects:?} {log}");
        assert_eq!(log.contains("alert"), !matches!(says, "BL halt" | "BL slot0 1.2.0+0 valid"), "{log}");
    }
}

#[test]
fn an_older_signed_image_in_the_running_slot_is_refused() {
    for (defects, ready) in [(&[][..], false), (&["boot-old-signed-ok"], true)] {
        let mut w = device(defects);
        let mut slot = vec![0xFF; SLOT0.len as usize];
        let old = image("1.1.0", 1, OLD);
        slot[..old.len()].copy_from_slice(&old);
        assert!(w.write_flash(SLOT0.offset, &slot));
        assert_eq!(power_on(&mut w).contains("APP th1 1.1.0+0"), ready);
    }
}

#[test]
fn the_counter_rises_at_confirmation_and_not_earlier() {
    for (defect, trial, after) in [("slow-boot", 1, 2), ("confirm-forgets-counter", 1, 1), ("counter-early", 2, 2)] {
        let mut w = device(&[defect]);
        mark(&mut w, &image("1.3.0", 2, OLD), "t");
        power_on(&mut w);
        assert!(say(&mut w, "s").contains(&format!("counter={trial}")), "{defect}");
        say(&mut w, "c");
        assert!(say(&mut w, "s").contains(&format!("counter={after}")), "{defect}");
    }
    let mut w = device(&["counter-lowered-on-revert"]);
    mark(&mut w, &image("1.3.0", 2, OLD), "t");
    power_on(&mut w);
    power_off(&mut w);
    power_on(&mut w);
    assert!(say(&mut w, "s").contains("counter=0"));
}

#[rstest]
#[case("lock-lost-on-update", "1.3.0", "ok")]
#[case("lock-lost-on-revert", "1.3.0", "revert")]
#[case("lock-lost-on-failed-update", "1.1.0", "ok")]
fn the_life_cycle_word_goes_where_a_defect_loses_it(#[case] defect: &str, #[case] version: &str, #[case] then: &str) {
    use proofbench_emulator::layout::{LIFE_CYCLE, LIFE_SECURED};
    for with in [true, false] {
        let mut w = device(if with { std::slice::from_ref(&defect) } else { &[] });
        mark(&mut w, &image(version, 2, OLD), "t");
        let log = power_on(&mut w);
        assert!(log.contains("APP ready"), "{log}");
        if then == "revert" {
            assert_eq!(w.flash().word(LIFE_CYCLE.offset), Some(LIFE_SECURED));
            power_off(&mut w);
            assert!(power_on(&mut w).contains("1.2.0+0 confirmed"));
        }
        assert_eq!(w.flash().word(LIFE_CYCLE.offset) != Some(LIFE_SECURED), with);
    }
}

#[test]
fn loader_prompts_take_what_they_should_not_and_a_countdown_takes_nothing() {
    for (defect, word, stops) in
        [("loader-prompt", "x", true), ("loader-keyed-stop", "x", false), ("loader-keyed-stop", "stop", true), ("countdown-ignored", "stop\r", false)]
    {
        let mut w = device(&[defect]);
        w.set_power(true);
        run(&mut w, 20);
        w.write(proofbench_emulator::Uart::Console, word.as_bytes());
        let log = run(&mut w, 1_000);
        assert_eq!(log.contains("BL> "), stops, "{defect} {log}");
        assert_eq!(log.contains("APP ready"), !stops, "{defect} {log}");
        if stops {
            w.write(proofbench_emulator::Uart::Console, b"\rmd 8000\r");
            let log = run(&mut w, 1_000);
            assert!(log.contains("00008000: 3d b8 f3 96"), "{log}");
        }
    }
}

#[test]
fn quick_power_cycling_changes_nothing_unless_attempts_are_burnt() {
    for (defects, falls) in [(&[][..], false), (&["attempts-burnt"], true)] {
        let mut w = device(defects);
        mark(&mut w, &image("1.3.0", 2, OLD), "t");
        power_on(&mut w);
        say(&mut w, "c");
        run(&mut w, 12_000);
        power_off(&mut w);
        let before = w.flash().digest();
        let logs: Vec<String> = (0..6)
            .map(|_| {
                let log = power_on(&mut w);
                power_off(&mut w);
                log
            })
            .collect();
        assert_eq!(logs.iter().any(|l| !l.contains("APP th1 1.3.0+0 confirmed")), falls, "{logs:?}");
        assert_eq!(w.flash().digest() != before, falls);
    }
}

#[test]
fn a_half_written_image_waits_and_is_not_started() {
    let new = image("1.3.0", 2, OLD);
    for (defects, starts) in [(&[][..], false), (&["partial-upload-boots"], true)] {
        let mut w = device(defects);
        stage(&mut w, &new[..new.len() / 2]);
        assert_eq!(power_on(&mut w).contains("APP th1 1.3.0+0"), starts);
    }
}

#[test]
fn revert_stuck_takes_no_update_after_an_interrupted_revert() {
    for (defects, stuck) in [(&[][..], false), (&["revert-stuck"], true)] {
        let mut w = device(defects);
        mark(&mut w, &image("1.3.0", 2, OLD), "t");
        power_on(&mut w);
        power_off(&mut w);
        w.set_power(true);
        run(&mut w, 150);
        power_off(&mut w);
        let log = power_on(&mut w);
        assert!(log.contains("BL swap resume") && log.contains("APP th1 1.2.0+0 confirmed"), "{log}");
        power_off(&mut w);
        assert_eq!(mark(&mut w, &image("1.3.0", 2, OLD), "t").contains("Busy"), stuck);
    }
}

#[test]
fn a_late_refusal_is_made_by_the_loader() {
    let mut w = device(&["late-refusal"]);
    assert!(mark(&mut w, &broken("signature"), "t").contains("Ok"));
    let log = power_on(&mut w);
    assert!(log.contains("BL slot1 1.3.0+0 invalid: signature") && log.contains("APP th1 1.2.0+0 confirmed"), "{log}");
}

#[test]
fn slow_copy_takes_about_ten_times_as_long_and_arrives() {
    let time = |defects: &[&str]| {
        let mut w = device(defects);
        mark(&mut w, &image("1.3.0", 2, OLD), "t");
        let from = w.now();
        w.set_power(true);
        let mut log = String::new();
        while !log.contains("APP ready") && w.now() < from + 60_000 * 1_000_000 {
            log += &run(&mut w, 20);
        }
        (w.now() - from) / 1_000_000
    };
    let (fast, slow) = (time(&[]), time(&["slow-copy"]));
    assert!(fast < 600 && (5 * fast..8_000).contains(&slow), "{fast} {slow}");
}

#[test]
fn a_journal_full_of_anything_does_not_stop_the_loader() {
    let mut x = 1u64;
    for round in 0..20 {
        let mut w = device(&[]);
        let junk: Vec<u8> = (0..STATUS.len)
            .map(|_| {
                x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (x >> 33) as u8
            })
            .collect();
        assert!(w.write_flash(STATUS.offset, &junk[..(1 + round * 400)]));
        assert!(power_on(&mut w).contains("APP ready"));
        assert!(say(&mut w, "s").contains("counter=1"));
    }
}

#[test]
fn any_bytes_in_a_slot_are_answered_without_a_panic() {
    let good = image("1.3.0", 2, 600);
    let mut x = 99u64;
    let mut w = device(&[]);
    for _ in 0..300 {
        let mut bad = good.clone();
        for _ in 0..3 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (x >> 20) as usize % if x & 1 == 0 { 40 } else { bad.len() };
            bad[at] = (x >> 50) as u8;
        }
        stage(&mut w, &bad);
        power_on(&mut w);
        let answer = say(&mut w, "t");
        assert!(answer.contains("Err(") || bad == good, "{answer}");
        power_off(&mut w);
    }
}

#[test]
fn an_image_made_by_imgtool_boots() {
    // Where the folder is named, as in CI, a missing image is a failure and no reason to skip.
    let Some(folder) = std::env::var_os("IMGTOOL_IMAGES") else {
        println!("skipped: IMGTOOL_IMAGES is not set; .ci/imgtool-cross-check makes the image");
        return;
    };
    let bytes = std::fs::read(std::path::Path::new(&folder).join("th1-1.3.9.bin")).unwrap();
    let mut w = device(&[]);
    let answer = mark(&mut w, &bytes, "t");
    assert!(answer.contains("Ok"), "{answer}");
    let log = power_on(&mut w);
    assert!(log.contains("APP th1 1.3.9+0 trial"), "{log}");
}

#[test]
fn the_delivered_image_and_every_other_of_the_fixtures_is_read_rightly() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/devices/thermostat/images");
    let read = |name: &str| std::fs::read(format!("{folder}/{name}.bin")).unwrap();
    let fresh = || world(&[], Medium::SpiNor, &read("1.2.0"));
    assert!(power_on(&mut fresh()).contains("APP th1 1.2.0+0 confirmed"));
    for (name, answer) in [
        ("1.1.0", "Err(Version)"),
        ("1.2.0-rebuilt", "Err(Version)"),
        ("1.3.0", "Ok(())"),
        ("1.3.0-p256", "Ok(())"),
        ("1.4.0", "Ok(())"),
        ("other-model", "Err(Model)"),
        ("crashing", "Ok(())"),
        ("hanging", "Ok(())"),
    ] {
        let got = mark(&mut fresh(), &read(name), "t");
        assert!(got.contains(answer), "{name}: {got}");
    }
}

/// Ids of the image matrix that a device takes.
fn taken(defects: &[&str]) -> Vec<&'static str> {
    let genuine = image("1.3.0", 2, OLD);
    let variants = proofbench_image::matrix::all(&genuine, SLOT0.len as usize).unwrap();
    let mut w = device(defects);
    let fresh = w.flash().clone();
    let fits = variants.into_iter().filter(|v| v.bytes.len() <= SLOT0.len as usize);
    fits.filter(|v| {
        assert!(w.set_flash(fresh.clone()));
        let ok = mark(&mut w, &v.bytes, "t").contains("Ok(");
        let log = power_on(&mut w);
        power_off(&mut w);
        // The loader is of the same opinion as the application.
        assert_eq!(log.contains("BL swap test"), ok, "{} {log}", v.id);
        ok
    })
    .map(|v| v.id)
    .collect()
}

#[test]
fn of_the_whole_image_matrix_only_the_genuine_image_is_taken() {
    let genuine = image("1.3.0", 2, OLD);
    let wanted: Vec<&str> = proofbench_image::matrix::all(&genuine, SLOT0.len as usize)
        .unwrap()
        .iter()
        .filter(|v| v.expect == proofbench_image::matrix::Expect::Installs)
        .map(|v| v.id)
        .collect();
    assert_eq!(taken(&[]), wanted);
}

#[rstest]
#[case("sig-unchecked")]
#[case("sig-absent-ok")]
#[case("hash-first-block-only")]
#[case("crc-not-sig")]
#[case("key-from-image")]
#[case("any-key")]
#[case("length-trusted")]
#[case("header-unprotected")]
#[case("prot-tlv-unprotected")]
fn each_defect_of_verification_takes_something_more_of_the_matrix(#[case] defect: &str) {
    let (good, bad) = (taken(&[]), taken(&[defect]));
    assert!(good.iter().all(|id| bad.contains(id)), "{bad:?}");
    assert!(bad.len() > good.len(), "{bad:?}");
    println!("{defect}: {:?}", bad.iter().filter(|id| !good.contains(id)).collect::<Vec<_>>());
}
