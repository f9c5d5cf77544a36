//! The doctor on benches that are wired rightly and wrongly: each mistake is told apart, in words, and the rig is left safe.
#![allow(clippy::unwrap_used)] // the lint knows test functions, not their helpers

#[path = "../common/mod.rs"]
mod common;
mod doubles;

use common::{rig, rig_granting};
use proofbench_channel::{ChannelError, ErrorKind};
use proofbench_model::dossier::Dossier;
use proofbench_rig::{Permissions, Rig};
use proofbench_runner::bench::Stop;
use proofbench_runner::doctor::{Diagnosis, Outcome, Step, examine};
use rstest::rstest;
use std::time::Duration;

fn doctor(rig: Rig) -> Diagnosis {
    examine(rig, Vec::new(), Stop::default(), &mut |_| ()).unwrap()
}

fn told(diagnosis: &Diagnosis) -> String {
    let line = |s: &Step| format!("{:?} {} {}: {} {:?}", s.outcome, s.channel, s.step, s.seen, s.advice);
    diagnosis.steps.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn step<'a>(diagnosis: &'a Diagnosis, channel: &str, step: &str) -> &'a Step {
    let found = diagnosis.steps.iter().find(|s| s.channel == channel && s.step == step);
    found.unwrap_or_else(|| panic!("no step {channel} {step} in\n{}", told(diagnosis)))
}

fn good() -> Rig {
    rig(&[], &[])
}

fn with_dossier(change: impl FnOnce(&mut Dossier)) -> Rig {
    let mut rig = good();
    let mut dossier = (*rig.dossier).clone();
    change(&mut dossier);
    rig.dossier = dossier.into();
    rig
}

/// The dossier says that the debug port tells what it is.
fn identifying(mut rig: Rig) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let genuine = rig.dossier.dir.clone();
    for file in ["device.toml", "ics.toml", "ixit.toml"] {
        let text = std::fs::read_to_string(genuine.join(file)).unwrap();
        std::fs::write(dir.path().join(file), text.replace("declared = \"disabled\"", "declared = \"identification-only\"")).unwrap();
    }
    let mut dossier = proofbench_rig::load_dossier(dir.path()).unwrap();
    dossier.dir = genuine;
    rig.dossier = dossier.into();
    rig
}

#[test]
fn a_good_bench_is_told_to_be_one_channel_by_channel() {
    let diagnosis = doctor(good());
    assert_eq!(diagnosis.outcome(), Outcome::Ok, "{}", told(&diagnosis));
    assert!(diagnosis.safe.is_safe());
    let rules = ["console", "update", "debug", "reset", "storage", "power", "crash"];
    for channel in rules {
        assert!(step(&diagnosis, channel, "rules").seen.contains("keep the rules"));
    }
    assert!(step(&diagnosis, "console", "boot").seen.contains("cause `power-on`"));
    assert!(step(&diagnosis, "console", "answers").seen.contains("`login: `"));
    assert!(step(&diagnosis, "reset", "pulse").seen.contains("cause `pin`"));
    assert!(step(&diagnosis, "debug", "nRST").seen.contains("cause `pin`"));
    assert!(step(&diagnosis, "debug", "answers").seen.contains("self-test passed"));
    assert!(step(&diagnosis, "storage", "in use").seen.contains("refuses to read and to write"));
    assert!(step(&diagnosis, "storage", "contents").seen.contains("images/1.2.0.bin stands in them"));
    assert!(step(&diagnosis, "fixture", "indicator").seen.contains("`normal` in the dossier"));
    assert!(step(&diagnosis, "power", "off-min").seen.contains("is enough: rail below 300 mV after 10 ms"), "{}", told(&diagnosis));
    assert!(step(&diagnosis, "power", "cut").seen.contains("RAM was lost"));
}

#[test]
fn steps_are_told_while_it_works_and_are_the_same_afterwards() {
    let mut heard = Vec::new();
    let diagnosis = examine(good(), Vec::new(), Stop::default(), &mut |s| heard.push(s.clone())).unwrap();
    assert_eq!(heard, diagnosis.steps);
}

#[test]
fn two_examinations_of_one_bench_say_the_same() {
    assert_eq!(doctor(good()).steps, doctor(good()).steps);
}

#[rstest]
#[case::dead_console(rig(&[], &["dead-console"]), "console", "boot", "the device runs: the debug port and the update path and the LED answers, rail at 3300 mV", "RX and TX swapped?")]
#[case::swapped(doubles::swapped(good()), "console", "boot", "the device runs", "RX and TX swapped?")]
#[case::baud_too_low(doubles::baud_too_low(good()), "console", "boot", "no text", "wrong baud rate")]
#[case::baud_too_high(doubles::baud_too_high(good()), "console", "boot", "no text", "wrong baud rate")]
#[case::disturbed(rig(&[], &["garbled-console"]), "console", "boot", "disturbed", "no common ground")]
#[case::another_device(doubles::another_port(good()), "console", "boot", "sensor 3: 21.5 C", "while the supply is off as well")]
#[case::one_way(doubles::one_way(good()), "console", "answers", "one way only", "TX is not connected")]
#[case::no_power(doubles::another_outlet(good()), "console", "boot", "the board has no power", "behind this outlet")]
#[case::inverted_switch(doubles::inverted_switch(good()), "console", "boot", "the switch works in the wrong sense", "NO instead of NC")]
#[case::inverted_switch_unmetered(doubles::inverted_switch_unmetered(good()), "console", "boot", "the switch works in the wrong sense", "active-low")]
#[case::stuck_switch(rig(&[], &["stuck-power"]), "power", "off", "the device still runs: the console says", "the switch does nothing")]
#[case::back_fed(rig(&[], &["back-feed"]), "power", "off", "still powered through the probe or UART: 20 ms after off the rail is at 2200 mV", "unplug the probe")]
#[case::back_fed_unmetered(doubles::unmetered(rig(&[], &["back-feed"])), "power", "off", "the debug port answers", "through the probe or UART")]
#[case::inverted_reset(doubles::inverted_reset(good()), "console", "boot", "the line works in the wrong sense", "active-low")]
#[case::unwired_reset(doubles::unwired_reset(good()), "reset", "pulse", "does not reach it", "nRST of this board")]
#[case::absent_probe(doubles::absent_probe(good()), "debug", "answers", "0483:374b:0666", "list probes")]
#[case::silent_probe(rig(&[], &["silent-probe"]), "debug", "nRST", "does not reach it", "nRST of this board")]
#[case::silent_probe_of_a_port_that_identifies_itself(identifying(rig(&[], &["silent-probe"])), "debug", "answers", "no answer", "SWDIO and SWCLK not connected, or swapped?")]
#[case::swapped_probe(doubles::swapped_probe(good()), "debug", "answers", "low or garbled", "SWDIO and SWCLK swapped?")]
#[case::probe_without_target(doubles::probe_without_target(good()), "debug", "answers", "VTref 3 mV", "no power")]
#[case::unfit_probe(doubles::unfit_probe(good()), "debug", "answers", "self-test", "slower clock")]
#[case::probe_without_nrst(doubles::probe_without_nrst(good()), "debug", "nRST", "does not reach it", "nRST of this board")]
#[case::deaf_update(rig(&[], &["deaf-update"]), "update", "answers", "no answer", "is it the console's?")]
#[case::lying_reader(rig(&[], &["lying-flash-reader"]), "storage", "contents", "control failed", "")]
#[case::dark_fixture(doubles::other_fixture(good()), "fixture", "indicator", "sees no light", "does not look at the LED")]
#[case::other_button(doubles::other_fixture(good()), "fixture", "button", "`reset` is not among", "has to be the same")]
#[case::another_unit(with_dossier(|d| d.device.sample.serial = "TH1-0002".into()), "dossier", "serial", "is TH1-0001, in the dossier TH1-0002", "another unit")]
#[case::other_firmware(with_dossier(|d| d.device.identification.firmware = "1.3.0".into()), "dossier", "firmware", "1.2.0", "another unit")]
#[case::other_firmware_on_the_update_path(with_dossier(|d| d.device.identification.firmware = "1.3.0".into()), "update", "answers", "delivered version is 1.3.0", "install")]
#[case::slow(with_dossier(|d| d.device.bind.ready_within_ms = 50), "console", "boot", "the dossier declares 50 ms", "`ready-within-ms = ")]
#[case::short_off(doubles::off_min(good(), Duration::from_millis(2)), "power", "off-min", "only after 10 ms", "write off-min = \"20ms\"")]
#[case::short_off_by_the_device(
    doubles::off_min_unmetered(good(), Duration::from_millis(2)),
    "power",
    "off-min",
    "the device says that power had gone",
    "write off-min = \"20ms\""
)]
fn a_mistake_in_the_wiring_is_told_apart(#[case] rig: Rig, #[case] channel: &str, #[case] name: &str, #[case] seen: &str, #[case] advice: &str) {
    let diagnosis = doctor(rig);
    let found = step(&diagnosis, channel, name);
    assert_eq!(found.outcome, Outcome::Wrong, "{}", told(&diagnosis));
    assert!(found.seen.contains(seen), "{}", told(&diagnosis));
    assert!(advice.is_empty() || found.advice.iter().any(|a| a.contains(advice)), "{}", told(&diagnosis));
    assert_eq!(diagnosis.outcome(), Outcome::Wrong);
    assert!(diagnosis.safe.is_safe(), "{:?}", diagnosis.safe);
}

#[test]
fn without_a_meter_the_device_tells_how_long_it_needs() {
    let diagnosis = doctor(doubles::unmetered(good()));
    assert_eq!(diagnosis.outcome(), Outcome::Ok, "{}", told(&diagnosis));
    assert!(step(&diagnosis, "power", "off").seen.contains("answered before"), "{}", told(&diagnosis));
    // RAM of the emulated device forgets between 8 and 9 ms after off.
    let seen = &step(&diagnosis, "power", "off-min").seen;
    assert!(seen.starts_with("your off-min of 20ms is enough: after ") && seen.contains("after 8 ms it had not"), "{seen}");
}

#[test]
fn a_switch_that_cannot_be_read_back_leaves_it_to_the_witnesses() {
    let diagnosis = doctor(doubles::unreadable(good()));
    assert_eq!(diagnosis.outcome(), Outcome::Ok, "{}", told(&diagnosis));
    assert!(step(&diagnosis, "power", "off").seen.contains("witnesses decide"));
}

#[test]
fn what_is_not_granted_is_not_done_and_said() {
    let diagnosis = doctor(rig_granting(Permissions::default()));
    assert_eq!(diagnosis.outcome(), Outcome::NotDone, "{}", told(&diagnosis));
    let not_done = |channel, name, grant: &str| {
        let found = step(&diagnosis, channel, name);
        assert_eq!((found.outcome, found.seen.as_str()), (Outcome::NotDone, format!("the rig does not grant {grant}").as_str()));
    };
    not_done("storage", "rules", "flash-write");
    not_done("storage", "in use", "power-cut");
    not_done("power", "rules", "power-cut");
    not_done("crash", "rules", "flash-write");
    not_done("fixture", "button", "factory-reset");
}

#[test]
fn without_the_grant_shorter_offs_are_not_tried() {
    let diagnosis = doctor(doubles::unmetered(rig_granting(Permissions::default())));
    let found = step(&diagnosis, "power", "off-min");
    assert_eq!(found.outcome, Outcome::Ok);
    assert!(found.seen.contains("after 20 ms") && found.seen.contains("not tried"), "{}", found.seen);
}

#[test]
fn a_rig_without_a_console_is_examined_as_far_as_it_goes() {
    let mut rig = good();
    rig.channels.console = None;
    let diagnosis = doctor(rig);
    assert_eq!(diagnosis.outcome(), Outcome::Ok, "{}", told(&diagnosis));
    assert!(step(&diagnosis, "update", "answers").seen.contains("as delivered"));
    assert!(step(&diagnosis, "power", "off").seen.contains("nothing answers"));
}

#[test]
fn a_rig_with_nothing_but_a_console_says_what_it_cannot_do() {
    let mut rig = good();
    let all = std::mem::replace(
        &mut rig.channels,
        proofbench_rig::Channels::new(common::resolved().open(common::dossier(), 7, "clock").unwrap().channels.clock),
    );
    rig.channels.clock = all.clock;
    rig.channels.console = all.console;
    let diagnosis = doctor(rig);
    assert_eq!(step(&diagnosis, "console", "boot").outcome, Outcome::NotDone);
    // Nobody switched the device on.
    assert_eq!(step(&diagnosis, "console", "answers").outcome, Outcome::Wrong, "{}", told(&diagnosis));
}

#[test]
fn channels_that_cannot_be_opened_are_told_and_the_others_examined() {
    let mut rig = good();
    rig.channels.update = None;
    let broken = vec![("update", ChannelError::caused(ErrorKind::Disconnected, "open /dev/ttyUSB7", "no such file"))];
    let diagnosis = examine(rig, broken, Stop::default(), &mut |_| ()).unwrap();
    let found = step(&diagnosis, "update", "open");
    assert_eq!(found.outcome, Outcome::Wrong);
    assert!(found.advice.iter().any(|a| a.contains("list ports")), "{found:?}");
    assert_eq!(step(&diagnosis, "console", "boot").outcome, Outcome::Ok);
}

#[test]
fn a_rig_that_was_not_left_safe_is_made_safe_and_that_is_said() {
    let mut rig = good();
    rig.recover = Some("left on by hand".to_owned());
    let diagnosis = doctor(rig);
    assert!(step(&diagnosis, "rig", "safe state").seen.contains("it had not been left safe (left on by hand)"));
}

#[test]
fn somebody_may_stop_it_at_any_step_and_the_rig_is_safe() {
    for at in [0, 3, 9] {
        let stop = Stop::default();
        let handle = stop.clone();
        let mut count = 0;
        let diagnosis = examine(good(), Vec::new(), stop, &mut |_| {
            if count == at {
                handle.signal();
            }
            count += 1;
        })
        .unwrap();
        assert!(diagnosis.stopped && diagnosis.safe.is_safe(), "{}", told(&diagnosis));
        assert_eq!(diagnosis.outcome(), Outcome::Untold);
        assert_eq!(diagnosis.steps.len(), at + 1, "{}", told(&diagnosis));
    }
}

#[test]
fn a_device_that_looks_suspicious_is_not_the_doctors_business() {
    // An open debug port, a debug port that is off: both are for checks to judge.
    for defect in ["debug-open", "slow-boot"] {
        let diagnosis = doctor(rig(&[defect], &[]));
        assert_ne!(step(&diagnosis, "debug", "answers").outcome, Outcome::Wrong, "{}", told(&diagnosis));
    }
}
