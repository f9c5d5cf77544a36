//! Time, supply, reset, ports: the bench's side of the device.

use crate::common::*;
use proofbench_emulator::hw::MS;
use proofbench_emulator::{Medium, Setup, Uart, World};
use rstest::rstest;

fn conforming() -> World {
    world(&[], Medium::SpiNor, &image("1.2.0", 1, 5_000))
}

#[test]
fn the_boot_log_has_its_lines_in_order_and_the_device_is_ready_within_100_ms() {
    let mut w = conforming();
    w.set_power(true);
    let log = run(&mut w, 100);
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].starts_with("ROM th1 id=") && lines[0].ends_with(" cause=power-on"), "{log}");
    assert_eq!(lines[1..], ["BL slot0 1.2.0+0 valid", "APP th1 1.2.0+0 confirmed ram=lost", "APP ready"]);
}

#[test]
fn two_runs_print_the_same_bytes_at_the_same_times() {
    let once = |seed| {
        let setup = Setup::new(1, seed, &image("1.2.0", 1, 5_000));
        let mut w = World::new(&setup);
        let mut seen = Vec::new();
        for i in 0..40u64 {
            match i % 8 {
                0 => w.set_power(true),
                3 => w.write(Uart::Console, b"\r\nadmin\r\n"),
                5 if i > 20 => w.dip(2000, 3),
                7 => w.set_power(false),
                _ => {}
            }
            w.advance(w.now() + 37 * MS);
            seen.extend(w.take(Uart::Console));
        }
        (seen, w.flash().digest())
    };
    assert_eq!(once(3), once(3));
    assert_ne!(once(3).0, once(4).0, "the boot id depends on the seed");
}

#[test]
fn the_product_boots_to_its_login() {
    let mut w = World::new(&Setup::new(1, 1, &image("1.2.0", 1, 5_000)));
    let log = power_on(&mut w) + &run(&mut w, 100);
    assert!(log.contains("APP ready\r\nlogin: "), "{log}");
    assert_eq!(w.led(), "green");
}

#[rstest]
#[case(1)]
#[case(7)]
#[case(23)]
#[case(60)]
fn a_cut_ends_the_boot_log_where_it_falls_and_changes_nothing_before(#[case] ms: u64) {
    let mut whole = conforming();
    whole.set_power(true);
    let full = run(&mut whole, 300);
    let mut w = conforming();
    w.set_power(true);
    let before = run(&mut w, ms);
    w.set_power(false);
    let after = run(&mut w, 300);
    let log = before + &after;
    assert!(full.starts_with(&log) && log.len() < full.len(), "{log}");
    assert_eq!(w.rail_mv(), 0);
}

#[test]
fn a_short_gap_is_no_power_cut() {
    let mut w = conforming();
    power_on(&mut w);
    w.set_power(false);
    run(&mut w, 1);
    w.set_power(true);
    assert_eq!(run(&mut w, 300), "", "the rail never reached the brown-out level");
    w.set_power(false);
    run(&mut w, 4);
    w.set_power(true);
    let log = run(&mut w, 300);
    assert!(log.contains("cause=brown-out") && log.contains("ram=kept"), "{log}");
    w.set_power(false);
    run(&mut w, 9);
    w.set_power(true);
    let log = run(&mut w, 300);
    assert!(log.contains("cause=power-on") && log.contains("ram=lost"), "{log}");
}

#[rstest]
#[case(2900, 10, "")]
#[case(2000, 10, "cause=brown-out")]
#[case(100, 30, "cause=power-on")]
fn a_dip_resets_below_the_brown_out_level(#[case] mv: u32, #[case] hold_ms: u64, #[case] says: &str) {
    let mut w = conforming();
    power_on(&mut w);
    w.dip(mv, hold_ms);
    let log = run(&mut w, 300);
    assert!(if says.is_empty() { log.is_empty() } else { log.contains(says) }, "{log}");
    assert_eq!(w.rail_mv(), 3300);
}

#[test]
fn the_reset_pin_restarts_and_keeps_ram() {
    let mut w = conforming();
    power_on(&mut w);
    w.set_nrst(true);
    assert_eq!(run(&mut w, 300), "");
    w.set_nrst(false);
    let log = run(&mut w, 300);
    assert!(log.contains("cause=pin") && log.contains("ram=kept"), "{log}");
    let again = {
        w.set_nrst(true);
        w.set_nrst(false);
        run(&mut w, 300)
    };
    assert_ne!(log.lines().next(), again.lines().next(), "each boot has its own id");
}

#[test]
fn a_hanging_application_meets_the_watchdog_after_half_a_second() {
    let mut w = conforming();
    power_on(&mut w);
    w.write(Uart::Console, b"h");
    assert_eq!(run(&mut w, 450), "");
    assert!(run(&mut w, 300).contains("cause=watchdog"));
    w.write(Uart::Console, b"r");
    assert!(run(&mut w, 300).contains("cause=software"));
}

#[test]
fn waiting_for_output_stops_at_the_output() {
    let mut w = conforming();
    w.set_power(true);
    assert!(w.advance_until_output(Uart::Console, 1_000 * MS));
    let (at, bytes) = w.take(Uart::Console).unwrap();
    assert!(bytes.starts_with(b"ROM th1") && bytes.ends_with(b"\r\n") && at == w.now());
    while w.advance_until_output(Uart::Console, 1_000 * MS) {
        w.take(Uart::Console);
    }
    assert_eq!(w.now(), 1_000 * MS);
}

#[test]
fn bytes_sent_to_a_dead_or_booting_device_are_lost() {
    let mut w = conforming();
    w.write(Uart::Console, b"s");
    w.set_power(true);
    run(&mut w, 10);
    w.write(Uart::Console, b"s");
    assert!(!run(&mut w, 300).contains("state"));
    w.write(Uart::Console, b"s");
    assert!(run(&mut w, 300).contains("state"));
}

#[test]
fn the_button_is_an_event() {
    let mut w = conforming();
    power_on(&mut w);
    w.set_button(true);
    assert_eq!(run(&mut w, 50), "down\r\n");
    w.set_button(false);
    assert_eq!(run(&mut w, 50), "up\r\n");
}

#[test]
fn flash_is_replaced_only_without_power() {
    let mut w = conforming();
    let image = w.flash().clone();
    power_on(&mut w);
    assert!(!w.set_flash(image.clone()) && !w.write_flash(0x30000, &[1]));
    power_off(&mut w);
    assert!(w.set_flash(image) && w.write_flash(0x30000, &[1]));
    assert!(!w.write_flash(0x40000, &[1]));
}

#[test]
fn the_time_line_of_flash_operations_rebuilds_the_flash() {
    let (old, new) = (image("1.2.0", 1, 5_000), image("1.3.0", 2, 6_000));
    let mut w = world(&[], Medium::SpiNor, &old);
    mark(&mut w, &new, "t");
    let mut copy = w.flash().to_vec();
    w.keep_flash_ops(true);
    power_on(&mut w);
    let ops = w.take_flash_ops();
    assert!(ops.windows(2).all(|p| p[0].end_ns <= p[1].start_ns));
    for op in ops {
        match op.op {
            proofbench_emulator::Op::Write { off, data } => copy[off as usize..].iter_mut().zip(data.iter()).for_each(|(c, d)| *c &= d),
            proofbench_emulator::Op::Erase { off } => copy[off as usize..off as usize + 4096].fill(0xFF),
            proofbench_emulator::Op::Flush => {}
        }
    }
    assert!(copy == w.flash().to_vec());
}

#[test]
fn a_debugger_under_reset_sees_the_device_it_is_wired_to() {
    use proofbench_emulator::debug::Pins;
    let mut w = conforming();
    power_on(&mut w);
    Pins::set_nrst(&mut w, true);
    assert!(w.nrst_low() && w.vtref_mv() == 3300);
    let before = w.now();
    (0..100).for_each(|_| w.edge(Some(true), false));
    assert_eq!(w.now() - before, 100 * 250);
    Pins::set_nrst(&mut w, false);
    assert!(run(&mut w, 300).contains("cause=pin"));
}

#[test]
fn large_capacitors_keep_the_device_running_and_hold_its_ram_for_longer() {
    let mut w = conforming();
    power_on(&mut w);
    w.set_discharge(std::time::Duration::from_millis(200));
    w.set_power(false);
    assert_eq!(run(&mut w, 100), "");
    assert!((2990..=3010).contains(&w.rail_mv()), "half of the way to the brown-out level: {}", w.rail_mv());
    w.write(Uart::Console, b"s");
    assert!(run(&mut w, 50).contains("state 1.2.0"), "it runs on");
    run(&mut w, 60);
    assert!(!w.powered() && w.rail_mv() > 2600, "{}", w.rail_mv());
    w.set_power(true);
    let log = run(&mut w, 300);
    assert!(log.contains("cause=brown-out") && log.contains("ram=kept"), "{log}");
    w.set_power(false);
    run(&mut w, 1_150);
    assert_eq!(w.rail_mv(), 0);
    w.set_power(true);
    let log = run(&mut w, 300);
    assert!(log.contains("cause=power-on") && log.contains("ram=lost"), "{log}");
}

#[rstest]
#[case(2900, true, "")]
#[case(1800, false, "cause=brown-out")]
#[case(0, false, "cause=power-on")]
fn what_is_fed_past_the_switch_decides_what_off_means(#[case] mv: u32, #[case] runs: bool, #[case] says: &str) {
    let mut w = conforming();
    power_on(&mut w);
    w.set_back_feed(mv);
    assert_eq!(w.rail_mv(), 3300, "the supply is stronger");
    w.set_power(false);
    assert_eq!(run(&mut w, 300), "");
    assert_eq!((w.rail_mv(), w.powered()), (mv, runs));
    w.set_power(true);
    let log = run(&mut w, 300);
    assert!(if says.is_empty() { log.is_empty() } else { log.contains(says) }, "{log}");
    w.set_power(false);
    w.set_back_feed(0);
    run(&mut w, 20);
    assert_eq!(w.rail_mv(), 0, "nothing feeds it any more");
}

#[test]
fn a_break_is_counted_once_firmware_has_taken_it_and_does_nothing_else() {
    let mut w = World::new(&Setup::new(1, 1, &image("1.2.0", 1, 5_000)));
    w.send_break(Uart::Console);
    power_on(&mut w);
    run(&mut w, 100);
    assert_eq!(w.breaks(Uart::Console), 0, "without power nobody hears it");
    w.send_break(Uart::Console);
    w.write(Uart::Console, b"x");
    w.send_break(Uart::Console);
    assert_eq!(run(&mut w, 100), "x");
    assert_eq!((w.breaks(Uart::Console), w.breaks(Uart::Update)), (2, 0));
}
