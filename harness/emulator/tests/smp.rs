//! The update port: SMP requests, uploads in and out of order, policy, hostile frames.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod bench;

use bench::{Dut, OTHER_MODEL, V1_1_0, V1_2_0, V1_2_0_REBUILT, V1_3_0, Value, cbor, hash_of};
use proptest::prelude::*;
use rstest::rstest;

fn flags(image: &Value) -> String {
    ["active", "confirmed", "pending", "permanent", "bootable"]
        .into_iter()
        .filter(|f| image.at(f) == Some(&Value::Bool(true)))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn echo_parameters_and_loader_are_told() {
    let mut dut = Dut::on(&[]);
    let echo = dut.smp(0, 0, false, &cbor(|e| e.map(1)?.str("d")?.str("hello")?.ok()));
    assert_eq!(echo.at("r"), Some(&Value::Text("hello".into())));
    let parameters = dut.smp(0, 6, false, &[0xA0]);
    assert_eq!((parameters.num("buf_size"), parameters.num("buf_count")), (Some(2048), Some(2)));
    assert_eq!(dut.smp(0, 8, false, &[0xA0]).at("bootloader"), Some(&Value::Text("MCUboot".into())));
    let state = dut.smp(64, 0, false, &[0xA0]);
    assert_eq!(state.at("version"), Some(&Value::Text("1.2.0+0".into())));
    assert_eq!((state.num("counter"), state.at("lock")), (Some(1), Some(&Value::Text("locked".into()))));
}

#[test]
fn the_running_image_is_listed() {
    let mut dut = Dut::on(&[]);
    let images = dut.images();
    assert_eq!(images.len(), 1);
    assert_eq!(images[0].at("version"), Some(&Value::Text("1.2.0+0".into())));
    assert_eq!(images[0].at("hash"), Some(&Value::Bytes(hash_of(V1_2_0))));
    assert_eq!(flags(&images[0]), "active confirmed bootable");
}

#[test]
fn an_update_is_tried_confirmed_and_stays() {
    let mut dut = Dut::on(&[]);
    assert_eq!(dut.upload(V1_3_0).num("off"), Some(V1_3_0.len() as u64));
    let marked = dut.mark(V1_3_0, false);
    assert_eq!(marked.refused(), None);
    assert_eq!(flags(&dut.images()[1]), "pending bootable");
    dut.smp(0, 5, true, &[0xA0]);
    let log = dut.until(&["login: "]);
    assert!(log.contains("BL swap test") && log.contains("APP th1 1.3.0+0 trial ram=kept"), "{log}");
    assert_eq!(dut.world.led(), "amber");
    assert_eq!([flags(&dut.images()[0]), flags(&dut.images()[1])], ["active bootable", "confirmed bootable"]);
    dut.session();
    assert!(dut.line("state").contains("version=1.3.0+0 slot=trial counter=1 "));
    dut.ok("confirm");
    assert!(dut.line("state").contains("slot=confirmed counter=2 "));
    assert_eq!(dut.world.led(), "green");
    let log = dut.power_cycle();
    assert!(log.contains("APP th1 1.3.0+0 confirmed"), "{log}");
}

#[test]
fn an_unconfirmed_update_is_reverted_and_smp_confirms_too() {
    let mut dut = Dut::on(&[]);
    dut.install(V1_3_0, false);
    assert!(dut.power_cycle().contains("APP th1 1.2.0+0 confirmed"));
    dut.install(V1_3_0, false);
    let confirmed = dut.smp(1, 0, true, &cbor(|e| e.map(1)?.str("confirm")?.bool(true)?.ok()));
    assert_eq!(confirmed.refused(), None);
    assert_eq!(dut.smp(64, 0, false, &[0xA0]).num("counter"), Some(2));
    assert!(dut.power_cycle().contains("APP th1 1.3.0+0 confirmed"));
}

#[rstest]
#[case("older", V1_1_0.to_vec())]
#[case("same version, rebuilt", V1_2_0_REBUILT.to_vec())]
#[case("other model", OTHER_MODEL.to_vec())]
#[case("damaged", { let mut i = V1_3_0.to_vec(); i[0x900] ^= 1; i })]
#[case("cut short", V1_3_0[..V1_3_0.len() - 40].to_vec())]
#[case("with a tail", [V1_3_0, b"tail"].concat())]
fn images_against_the_policy_are_refused_when_marked(#[case] what: &str, #[case] image: Vec<u8>, #[values(false, true)] confirm: bool) {
    let mut dut = Dut::on(&[]);
    dut.upload(&image);
    let hash = if what == "cut short" { hash_of(V1_3_0) } else { hash_of(&image) };
    let marked = dut.smp(1, 0, true, &cbor(|e| e.map(2)?.str("hash")?.bytes(&hash)?.str("confirm")?.bool(confirm)?.ok()));
    assert!(marked.refused().is_some(), "{what}: {marked:?}");
    let log = dut.power_cycle();
    assert!(log.contains("APP th1 1.2.0+0 confirmed"), "{log}");
    let (marked, log) = dut.install(V1_3_0, false);
    assert!(marked.refused().is_none() && log.contains("1.3.0+0 trial"), "a good update still works: {log}");
}

#[test]
fn chunks_out_of_order_are_passed_over_and_the_expected_offset_is_told() {
    let mut dut = Dut::on(&[]);
    assert_eq!(dut.chunk(V1_3_0, 500, 500).num("off"), Some(0), "nothing has begun");
    assert_eq!(dut.chunk(V1_3_0, 0, 500).num("off"), Some(500));
    assert_eq!(dut.chunk(V1_3_0, 1000, 500).num("off"), Some(500), "too far");
    assert_eq!(dut.chunk(V1_3_0, 500, 500).num("off"), Some(1000));
    assert_eq!(dut.chunk(V1_3_0, 500, 500).num("off"), Some(1000), "repeated");
    for off in (1000..V1_3_0.len()).step_by(500) {
        dut.chunk(V1_3_0, off, 500);
    }
    assert_eq!(dut.mark(V1_3_0, false).refused(), None);
}

#[test]
fn a_second_upload_replaces_the_first_and_an_interrupted_one_begins_anew() {
    let mut dut = Dut::on(&[]);
    dut.chunk(V1_1_0, 0, 500);
    dut.chunk(V1_1_0, 500, 500);
    assert_eq!(dut.chunk(V1_3_0, 0, 500).num("off"), Some(500));
    dut.power_cycle();
    assert_eq!(dut.chunk(V1_3_0, 500, 500).num("off"), Some(0));
    let (marked, log) = dut.install(V1_3_0, false);
    assert!(marked.refused().is_none() && log.contains("1.3.0+0 trial"), "{log}");
}

#[rstest]
#[case(&[])]
#[case(&["size-refused-early"])]
fn what_does_not_fit_the_slot_is_refused_and_nothing_else_is_touched(#[case] twins: &[&str]) {
    let mut dut = Dut::on(twins);
    let settings = dut.flash()[0x28000..].to_vec();
    let huge = vec![0x55; 0x11000];
    let answer = dut.upload(&huge);
    assert_eq!(answer.refused(), Some(30), "{answer:?}");
    assert_eq!(dut.flash()[0x28000..], settings);
    let empty = dut.smp(1, 1, true, &cbor(|e| e.map(3)?.str("off")?.u8(0)?.str("len")?.u8(0)?.str("data")?.bytes(b"")?.ok()));
    assert_eq!(empty.refused(), Some(21));
    assert!(dut.install(V1_3_0, false).1.contains("1.3.0+0 trial"));
}

#[test]
fn slot_1_is_not_given_away_while_it_is_needed() {
    let mut dut = Dut::on(&[]);
    dut.upload(V1_3_0);
    dut.mark(V1_3_0, false);
    assert_eq!(dut.chunk(V1_1_0, 0, 100).refused(), Some(28), "an update is pending");
    assert_eq!(dut.smp(1, 5, true, &[0xA0]).refused(), Some(28));
    dut.smp(0, 5, true, &[0xA0]);
    dut.until(&["login: "]);
    assert_eq!(dut.chunk(V1_1_0, 0, 100).refused(), Some(9), "it holds the way back");
    assert!(dut.power_cycle().contains("APP th1 1.2.0+0 confirmed"));
    assert_eq!(dut.smp(1, 5, true, &[0xA0]).refused(), None);
    assert_eq!(dut.images().len(), 1);
}

#[test]
fn what_is_unknown_or_malformed_is_answered_by_its_code() {
    let mut dut = Dut::on(&[]);
    assert_eq!(dut.smp(77, 0, false, &[0xA0]).num("rc"), Some(8));
    assert_eq!(dut.smp(0, 0, false, &[0x01]).num("rc"), Some(3));
    assert_eq!(dut.smp(1, 1, true, &[0xA0]).refused(), Some(20));
    assert_eq!(dut.smp(64, 1, true, &cbor(|e| e.map(1)?.str("token")?.str("00")?.ok())).num("rc"), Some(11));
}

#[test]
fn a_digest_that_was_announced_is_compared() {
    let mut dut = Dut::on(&[]);
    for (sha, matches) in [(<sha2::Sha256 as sha2::Digest>::digest(b"small").to_vec(), true), (vec![0; 32], false)] {
        let body = cbor(|e| e.map(4)?.str("off")?.u8(0)?.str("len")?.u8(5)?.str("sha")?.bytes(&sha)?.str("data")?.bytes(b"small")?.ok());
        assert_eq!(dut.smp(1, 1, true, &body).at("match"), Some(&Value::Bool(matches)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn after_any_bytes_on_both_ports_the_device_answers(bytes in proptest::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(b'\n'), 1 => Just(6u8), 1 => Just(9u8)], 0..4000)) {
        let mut dut = Dut::on(&[]);
        dut.world.write(proofbench_emulator::Uart::Console, &bytes);
        dut.exchange(&bytes);
        dut.exchange(b"\n");
        let echo = dut.smp(0, 0, false, &cbor(|e| e.map(1)?.str("d")?.str("x")?.ok()));
        prop_assert_eq!(echo.at("r"), Some(&Value::Text("x".into())));
        prop_assert_eq!(dut.world.boots(), 1);
    }
}
