//! Whatever stands in the stores, the device starts, opens to nobody, and a factory reset makes it whole.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod bench;

use bench::{Dut, LABEL, MS};
use proofbench_emulator::Medium;
use proofbench_emulator::layout::{COUNTERS, SETTINGS, USER_DATA};
use proptest::prelude::*;

/// A device with a few settings and notes, without power.
fn used() -> Dut {
    let mut dut = Dut::on(&[]);
    dut.session();
    for line in ["set name Kitchen", "set wifi-key 0123456789", "data add a note", "count inc", "passwd secret-secret"] {
        dut.line(line);
    }
    dut.power_off();
    dut
}

/// Bytes somewhere in the stores: noise, records moved elsewhere, or a stretch of one value.
fn damage() -> impl Strategy<Value = (u32, Vec<u8>)> {
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..3000),
        (any::<u8>(), 1..5000usize).prop_map(|(b, n)| vec![b; n]),
        (0..0x600usize, 32..600usize).prop_map(|(from, len)| used().flash()[SETTINGS.offset as usize + from..][..len].to_vec()),
    ];
    (SETTINGS.offset..COUNTERS.end() - 5000, bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn any_content_of_the_stores_starts_stays_shut_and_can_be_reset(places in proptest::collection::vec(damage(), 1..4)) {
        let mut dut = used();
        for (at, bytes) in &places {
            prop_assert!(dut.world.write_flash(*at, bytes));
        }
        let log = dut.power_on();
        prop_assert!(log.contains("APP ready"), "{}", log);
        prop_assert!(!dut.login("admin", "admin").0 && !dut.login("admin", "").0);
        dut.world.set_button(true);
        dut.pass(11_000);
        dut.world.set_button(false);
        dut.pass(10_500);
        prop_assert!(dut.login("admin", LABEL).0);
        for line in ["set name Hall", "set wifi-key abcdefghij", "data add new note"] {
            dut.ok(line);
        }
        dut.power_cycle();
        dut.session();
        prop_assert_eq!(dut.get("name"), "Hall");
        prop_assert!(dut.line("data list").contains("data[0]=new note\r\nOK"));
    }
}

#[test]
fn blank_stores_are_made_anew_and_then_stay_as_they_are() {
    for medium in Medium::ALL {
        let mut dut = Dut::off(&[], medium);
        for region in [SETTINGS, USER_DATA, COUNTERS] {
            assert!(dut.world.write_flash(region.offset, &vec![0xFF; region.len as usize]));
        }
        let from = dut.world.now();
        assert!(dut.power_on().contains("APP ready"));
        assert!(dut.world.now() - from < 500 * MS);
        dut.session();
        assert!(dut.line("data list").contains("OK"));
        dut.power_cycle();
        let before = dut.world.flash().digest();
        dut.power_cycle();
        assert_eq!(dut.world.flash().digest(), before, "{medium}");
    }
}
