//! Supplies and reset lines of real benches, with the switched board at the end of their wires: what they switch is the device's power.
#![allow(clippy::unwrap_used)] // the lint knows test functions, not their helpers

mod bench;

use bench::Bench;
use proofbench_channel::{Milliamps, Millivolts, Power, PowerAsk, PowerSeen, conformance};
use proofbench_drivers::RealClock;

/// The suite, then the device itself as witness.
fn switches_the_device(bench: &mut Bench, mut power: Box<dyn Power>) {
    conformance::power(&mut *power, &mut RealClock(bench.time)).unwrap();
    for _ in 0..2 {
        power.set(PowerAsk::On, &bench.wait()).unwrap();
        bench.expect("login: ");
        assert_ne!(bench.ask("pid"), "none");
        power.set(PowerAsk::Off, &bench.wait()).unwrap();
        assert_eq!((power.state(&bench.wait()).unwrap(), bench.ask("pid").as_str()), (PowerSeen::Off, "none"));
    }
}

#[test]
fn an_outlet_of_a_pdu_switches_the_device() {
    let mut bench = Bench::new();
    let Some(power) = bench.snmp() else { return };
    switches_the_device(&mut bench, power);
}

#[test]
fn a_bench_supply_switches_the_device_and_measures_its_rail() {
    let mut bench = Bench::new();
    let Some(mut power) = bench.scpi() else { return };
    power.set(PowerAsk::On, &bench.wait()).unwrap();
    bench.expect("login: ");
    let rail = power.rail(&bench.wait()).unwrap();
    assert!(rail > Some(Millivolts(3000)), "{rail:?}");
    assert!(power.current(&bench.wait()).unwrap() > Some(Milliamps(0)));
    switches_the_device(&mut bench, power);
}

#[test]
fn programs_switch_the_device() {
    let mut bench = Bench::new();
    let Some(power) = bench.command() else { return };
    switches_the_device(&mut bench, power);
}

#[test]
fn a_board_that_is_fed_past_its_switch_shows_on_the_rail_of_a_supply_that_says_off() {
    let mut bench = Bench::new();
    let Some(mut power) = bench.scpi() else { return };
    assert_eq!(bench.ask("backfeed on"), "ok");
    power.set(PowerAsk::On, &bench.wait()).unwrap();
    bench.expect("login: ");
    power.set(PowerAsk::Off, &bench.wait()).unwrap();
    assert_eq!(power.state(&bench.wait()).unwrap(), PowerSeen::Off);
    let rail = power.rail(&bench.wait()).unwrap().unwrap();
    assert!(rail > Millivolts(2000), "{rail:?}");
    assert_ne!(bench.ask("pid"), "none", "the device runs on");
}

#[test]
fn a_switch_that_lies_shows_on_the_rail_too() {
    let mut bench = Bench::new();
    let Some(mut power) = bench.command() else { return };
    power.set(PowerAsk::On, &bench.wait()).unwrap();
    bench.expect("login: ");
    assert_eq!(bench.ask("lie on"), "ok");
    power.set(PowerAsk::Off, &bench.wait()).unwrap();
    assert_eq!(power.state(&bench.wait()).unwrap(), PowerSeen::Off);
    assert!(power.rail(&bench.wait()).unwrap() > Some(Millivolts(3000)));
}

#[test]
fn programs_reset_the_device() {
    let mut bench = Bench::new();
    let (Some(mut power), Some(mut reset)) = (bench.command(), bench.reset()) else { return };
    power.set(PowerAsk::On, &bench.wait()).unwrap();
    bench.expect("login: ");
    let mut clock = RealClock(bench.time);
    conformance::reset(&mut *reset, &mut *bench.console, &mut clock, b"cause=pin").unwrap();
}
