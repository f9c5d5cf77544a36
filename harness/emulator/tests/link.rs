//! The network's cable, plugged in at any moment of a start.

mod bench;

use bench::{Dut, MS};
use proofbench_emulator::Medium;
use proofbench_emulator::net::NetOut;

/// Whether the device asks for the time, as it does with a link.
fn asks_for_the_time(dut: &mut Dut, ms: u64) -> bool {
    dut.pass(ms);
    std::iter::from_fn(|| dut.world.take_net()).any(|out| matches!(out, NetOut::Ask { host, .. } if host == "time.th1.example"))
}

#[test]
fn a_cable_that_is_plugged_in_at_any_moment_of_a_start_is_noticed() {
    for at in (0..2_000).step_by(40) {
        let mut dut = Dut::off(&[], Medium::SpiNor);
        dut.world.set_power(true);
        dut.world.advance(dut.world.now() + at * MS);
        dut.world.set_link(true);
        assert!(asks_for_the_time(&mut dut, 4_000), "plugged in after {at} ms");
    }
}

#[test]
fn a_cable_that_is_pulled_at_any_moment_of_a_start_is_noticed() {
    for at in (0..2_000).step_by(40) {
        let mut dut = Dut::off(&[], Medium::SpiNor);
        dut.world.set_link(true);
        dut.world.set_power(true);
        dut.world.advance(dut.world.now() + at * MS);
        dut.world.set_link(false);
        dut.pass(4_000);
        while dut.world.take_net().is_some() {}
        dut.world.set_link(true);
        assert!(asks_for_the_time(&mut dut, 4_000), "pulled after {at} ms");
    }
}
