//! Bench supplies and reset lines by SCPI, against a supply in Python that follows the same sources as the table of models.
#![allow(clippy::unwrap_used)] // the lint knows test functions, not their helpers

mod bench;
#[path = "../common/mod.rs"]
mod common;
mod faults;
mod reset;

use bench::Bench;
use proofbench_channel::{ErrorKind, Milliamps, Millivolts, PowerAsk, PowerSeen, conformance};
use proofbench_drivers::RealClock;
use proofbench_drivers::power::scpi::models;
use std::time::Duration;

#[test]
fn a_supply_of_each_model_behaves_as_a_supply() {
    for model in models() {
        let Some(mut bench) = Bench::start(&["--load", "50"]) else { return };
        for protect in [false, true] {
            if protect && model.protect.is_empty() {
                continue;
            }
            bench.setup.model = model.name.clone();
            bench.setup.protect = protect;
            let mut power = bench.open();
            conformance::power(&mut *power, &mut RealClock(bench.time)).unwrap_or_else(|broken| panic!("{}: {broken}", model.name));
            power.set(PowerAsk::On, &bench.wait()).unwrap();
            assert_eq!(power.rail(&bench.wait()).unwrap(), Some(Millivolts(5000)), "{}", model.name);
            assert_eq!(power.current(&bench.wait()).unwrap(), Some(Milliamps(100)), "{}", model.name);
            assert_eq!(bench.relay(), "on", "{}", model.name);
            power.set(PowerAsk::Off, &bench.wait()).unwrap();
            assert_eq!(bench.relay(), "off", "{}", model.name);
        }
    }
}

#[test]
fn one_output_is_not_another() {
    let Some(mut bench) = Bench::start(&[]) else { return };
    for model in models() {
        bench.setup.model = model.name.clone();
        bench.setup.channel = 1;
        let mut first = bench.open();
        bench.setup.channel = 2;
        let mut second = bench.open();
        second.set(PowerAsk::On, &bench.wait()).unwrap();
        assert_eq!((first.state(&bench.wait()).unwrap(), second.state(&bench.wait()).unwrap()), (PowerSeen::Off, PowerSeen::On), "{}", model.name);
        assert_eq!(bench.relay(), "off", "{}", model.name);
        second.set(PowerAsk::Off, &bench.wait()).unwrap();
    }
}

#[test]
fn more_current_than_allowed_trips_an_armed_supply_until_it_is_switched_on_again() {
    for model in models().iter().filter(|m| !m.protect.is_empty()) {
        let Some(mut bench) = Bench::start(&["--load", "5"]) else { return };
        bench.setup.model = model.name.clone();
        bench.setup.protect = true;
        let mut power = bench.open();
        // It takes the command and answers with its protection: the switch did what it was told.
        power.set(PowerAsk::On, &bench.wait()).unwrap();
        let seen = power.state(&bench.wait()).unwrap();
        assert!(matches!(&seen, PowerSeen::Tripped(why) if why.contains("overcurrent")), "{}: {seen:?}", model.name);
        assert_eq!((power.rail(&bench.wait()).unwrap(), bench.relay().as_str()), (Some(Millivolts(0)), "off"), "{}", model.name);
        power.set(PowerAsk::Off, &bench.wait()).unwrap();
        // With less voltage the load takes what is allowed.
        bench.setup.volts = Millivolts(1000);
        let mut power = bench.open();
        power.set(PowerAsk::On, &bench.wait()).unwrap();
        assert_eq!(power.state(&bench.wait()).unwrap(), PowerSeen::On, "{}", model.name);
    }
}

#[test]
fn a_supply_that_is_not_armed_limits() {
    let Some(bench) = Bench::start(&["--load", "5"]) else { return };
    let mut power = bench.open();
    power.set(PowerAsk::On, &bench.wait()).unwrap();
    assert_eq!(power.state(&bench.wait()).unwrap(), PowerSeen::On);
    assert_eq!(power.current(&bench.wait()).unwrap(), Some(Milliamps(500)));
    assert_eq!(power.rail(&bench.wait()).unwrap(), Some(Millivolts(2500)));
}

#[test]
fn a_rail_that_falls_slowly_is_seen_falling() {
    // Practically for ever: whenever it is measured, it has not fallen yet.
    let Some(bench) = Bench::start(&["--slow-rail", "100000"]) else { return };
    let mut power = bench.open();
    power.set(PowerAsk::On, &bench.wait()).unwrap();
    let on = power.rail(&bench.wait()).unwrap().unwrap();
    assert!(on < Millivolts(100), "it rises as slowly: {on:?}");
    drop(power);
    let Some(bench) = Bench::start(&["--slow-rail", "0.001"]) else { return };
    let mut power = bench.open();
    power.set(PowerAsk::On, &bench.wait()).unwrap();
    while power.rail(&bench.wait()).unwrap() < Some(Millivolts(4999)) {}
    power.set(PowerAsk::Off, &bench.wait()).unwrap();
    while power.rail(&bench.wait()).unwrap() > Some(Millivolts(1)) {}
}

#[test]
fn a_dip_lowers_and_raises_and_is_refused_without_power() {
    let Some(bench) = Bench::start(&[]) else { return };
    let mut power = bench.open();
    let dip = |power: &mut dyn proofbench_channel::Power, to| power.dip(Millivolts(to), Duration::from_millis(1), &bench.wait());
    assert_eq!(dip(&mut *power, 2500).unwrap_err().kind, ErrorKind::Refused, "a supply that is off");
    power.set(PowerAsk::On, &bench.wait()).unwrap();
    dip(&mut *power, 2500).unwrap();
    assert_eq!(power.rail(&bench.wait()).unwrap(), Some(Millivolts(5000)));
    assert_eq!(dip(&mut *power, 5001).unwrap_err().kind, ErrorKind::Refused, "upwards is no dip");

    // Lowered for an hour, and somebody stops the bench.
    let wait = bench.wait();
    let watch = std::thread::spawn({
        let (cancel, mut other) = (wait.cancel.clone(), bench.wire());
        move || {
            other.select(1);
            while other.measure() > 2.6 {}
            cancel.cancel();
        }
    });
    let error = power.dip(Millivolts(2500), Duration::from_secs(3600), &wait).unwrap_err();
    watch.join().unwrap();
    assert_eq!(error.kind, ErrorKind::Cancelled);
    assert_eq!(power.rail(&bench.wait()).unwrap(), Some(Millivolts(5000)), "raised again all the same");
}

#[test]
fn what_cannot_be_is_told_before_anything_is_sent() {
    let mut bench = Bench::nowhere();
    for (model, channel, protect, says) in [
        ("dp832", 1, false, "valid: generic, rigol-dp800"),
        ("siglent-spd3303x", 3, false, "valid: 1 to 2"),
        ("generic", 0, false, "valid: 1 to"),
        ("siglent-spd3303x", 1, true, "it has none"),
    ] {
        bench.setup.model = model.to_owned();
        bench.setup.channel = channel;
        bench.setup.protect = protect;
        let error = bench::whole(&bench.try_open().err().unwrap());
        assert!(error.contains(says), "{error}");
    }
}
