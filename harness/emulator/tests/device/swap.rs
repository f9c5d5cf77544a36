//! The swap, under every cut that the media know.

use crate::common::*;
use proofbench_emulator::Medium;
use rstest::rstest;

fn staged(defects: &[&str], medium: Medium, how: &str) -> (proofbench_emulator::World, Vec<u8>, Vec<u8>) {
    let (old, new) = (image("1.2.0", 1, 5_000), image("1.3.0", 2, 6_000));
    let mut w = world(defects, medium, &old);
    assert!(mark(&mut w, &new, how).contains("Ok(())"));
    (w, old, new)
}

#[test]
fn an_update_runs_on_trial_and_is_reverted_unless_confirmed() {
    let (mut w, old, new) = staged(&[], Medium::SpiNor, "t");
    let log = power_on(&mut w);
    assert!(log.contains("BL swap test") && log.contains("APP th1 1.3.0+0 trial"), "{log}");
    power_off(&mut w);
    let log = power_on(&mut w);
    assert!(log.contains("BL swap revert") && log.contains("APP th1 1.2.0+0 confirmed"), "{log}");
    assert!(say(&mut w, "s").contains("counter=1"));
    power_off(&mut w);

    mark(&mut w, &new, "t");
    power_on(&mut w);
    assert!(say(&mut w, "c").contains("confirmed true"));
    assert!(say(&mut w, "s").contains("1.3.0+0 confirmed counter=2"));
    power_off(&mut w);
    let log = power_on(&mut w);
    assert!(log.contains("APP th1 1.3.0+0 confirmed") && !log.contains("swap"), "{log}");
    power_off(&mut w);
    assert!(mark(&mut w, &old, "t").contains("Err(Version)"));
}

#[rstest]
fn any_number_of_clean_cuts_leaves_old_or_new(
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
    #[values("t", "p")] how: &str,
) {
    let (mut w, old, new) = staged(&[], medium, how);
    let c = closure(&mut w, 0, true, 100_000, &[&old, &new]);
    assert!(c.complete && c.images > 80, "{c:?}");
    good(&c, how);
}

fn good(c: &Closure, how: &str) {
    for o in c.outcomes.keys() {
        assert!(o.ready && o.whole, "{c:?}");
        let fits = matches!((o.version.as_str(), o.slot.as_str()), ("1.2.0+0", "confirmed") | ("1.3.0+0", "trial" | "confirmed"));
        assert!(fits && (how == "t" || o.slot == "confirmed"), "{c:?}");
    }
}

#[rstest]
fn one_torn_operation_and_any_number_of_clean_cuts_leave_old_or_new(
    #[values(Medium::SpiNor, Medium::Nrf52, Medium::Ecc64, Medium::Ecc256, Medium::WriteOnce, Medium::UnstableBits, Medium::WriteBack)]
    medium: Medium,
) {
    let (mut w, old, new) = staged(&[], medium, "t");
    let c = closure(&mut w, 1, true, 20_000, &[&old, &new]);
    assert!(c.complete, "{} boots, {:?}", c.boots, c.outcomes);
    good(&c, "t");
}

#[rstest]
#[case("swap-magic-nonatomic")]
#[case("counter-early")]
#[case("loader-static")]
#[case("swap-in-place")]
#[case("revert-forgets-type")]
#[case("lie-revert")]
fn the_closure_sees_what_a_defect_does(#[case] defect: &str) {
    let (mut w, old, new) = staged(&[defect], Medium::SpiNor, "t");
    let c = closure(&mut w, 1, true, 3_000, &[&old, &new]);
    let bad = c.outcomes.keys().any(|o| !o.ready || !o.whole || o.slot == "reverted");
    match defect {
        // Seen in a sequence of boots, not in one: after an interrupted revert the old image is on trial.
        "revert-forgets-type" => assert!(c.outcomes.keys().any(|o| o.version == "1.2.0+0" && o.slot == "trial"), "{c:?}"),
        _ => assert!(bad, "{c:?}"),
    }
}

#[test]
fn a_cut_armed_at_an_operation_leaves_what_the_rebuilt_record_says() {
    use proofbench_channel::CrashSpace;
    let (mut w, ..) = staged(&[], Medium::SpiNor, "t");
    let start = w.save(&wait()).unwrap();
    w.record().unwrap();
    power_on(&mut w);
    power_off(&mut w);
    let ops = w.stop().unwrap();
    assert!(ops.len() > 50);
    let states = w.rebuild(true, &mut |_, _, _| true).unwrap();
    for (at, tear, state) in states.into_iter().filter(|(at, ..)| at % 7 == 3 && (*at as usize) < ops.len()) {
        w.load(start, &wait()).unwrap();
        w.arm_cut(at, tear).unwrap();
        w.record().unwrap();
        w.set_power(true);
        run(&mut w, 20_000);
        assert_eq!(w.rail_mv(), 0, "power failed by itself at {at} {tear:?}");
        assert_eq!(w.flash().digest(), w.digest(state), "{at} {tear:?}");
        w.stop().unwrap();
        power_off(&mut w);
    }
}

#[test]
fn a_power_cut_in_time_inside_a_swap_is_survived_at_every_moment() {
    let (mut w, old, new) = staged(&[], Medium::SpiNor, "t");
    let start = w.flash().clone();
    for ms in (8..420).step_by(3) {
        assert!(w.set_flash(start.clone()));
        w.set_power(true);
        run(&mut w, ms);
        power_off(&mut w);
        let log = power_on(&mut w);
        let mut slot = vec![0; new.len()];
        w.flash().copy_to(proofbench_emulator::layout::SLOT0.offset, &mut slot);
        assert!(log.contains("APP ready") && log.contains("cause=power-on") && log.contains("ram=lost"), "{ms} {log}");
        assert!(slot == new || slot[..old.len()] == old, "{ms}");
        power_off(&mut w);
    }
}
