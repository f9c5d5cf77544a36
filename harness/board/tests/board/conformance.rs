//! The behaviour suites of every channel, on the board process: real terminals, a real process, a real file, real time.

use crate::bench::Bench;
use proofbench_channel::PowerAsk;
use proofbench_channel::conformance::{self, Outcome};

#[test]
fn the_clock_conforms() -> Outcome {
    conformance::clock(&mut Bench::new().clock())
}

#[test]
fn the_console_conforms() -> Outcome {
    let mut bench = Bench::running();
    let mut clock = bench.clock();
    conformance::console(&mut **bench.rig.console.as_mut().expect("console"), &mut clock, b"nobody\r", b"password: ")
}

#[test]
fn the_console_conforms_without_power() -> Outcome {
    let mut bench = Bench::new();
    let mut clock = bench.clock();
    conformance::console_without_device(&mut **bench.rig.console.as_mut().expect("console"), &mut clock)
}

#[test]
fn the_supply_conforms() -> Outcome {
    let mut bench = Bench::new();
    let mut clock = bench.clock();
    conformance::power(&mut **bench.rig.power.as_mut().expect("power"), &mut clock)
}

#[test]
fn the_reset_line_conforms() -> Outcome {
    let mut bench = Bench::running();
    let mut clock = bench.clock();
    let (reset, console) = (bench.rig.reset.as_mut().expect("reset"), bench.rig.console.as_mut().expect("console"));
    conformance::reset(&mut **reset, &mut **console, &mut clock, b"cause=pin")
}

#[test]
fn the_fixture_conforms() -> Outcome {
    let mut bench = Bench::running();
    let mut clock = bench.clock();
    conformance::fixture(&mut **bench.rig.fixture.as_mut().expect("fixture"), &mut clock, "reset")
}

#[test]
fn the_flash_file_conforms() -> Outcome {
    let mut bench = Bench::running();
    let mut clock = bench.clock();
    conformance::storage_refuses(&mut **bench.rig.storage.as_mut().expect("storage"), &mut clock)?;
    bench.switch(PowerAsk::Off);
    conformance::storage(&mut **bench.rig.storage.as_mut().expect("storage"), &mut clock, 0x2_c000)
}

#[test]
fn the_update_path_conforms() -> Outcome {
    let mut bench = Bench::running();
    let mut clock = bench.clock();
    conformance::update(&mut **bench.rig.update.as_mut().expect("update"), &mut clock)
}

#[test]
fn the_update_path_conforms_without_power() -> Outcome {
    let mut bench = Bench::new();
    let mut clock = bench.clock();
    conformance::update_without_device(&mut **bench.rig.update.as_mut().expect("update"), &mut clock)
}
