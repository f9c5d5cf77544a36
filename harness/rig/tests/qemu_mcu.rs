//! The crash space of the MCU rig, on its real firmware: the contract, and that a real cut leaves what was rebuilt for it.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use proofbench_channel::conformance::{self, Outcome};
use proofbench_channel::{Answer, Cancel, ConsoleRead, PowerAsk, PowerSeen, Tear, Wait};
use proofbench_drivers::Channels;
use proofbench_rig::ResolvedRig;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// `None`: QEMU or the firmware is not there, which has been said.
fn open() -> Option<Channels> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    proofbench_testkit::find("qemu-system-arm")?;
    proofbench_testkit::made(&root.join("target/firmware/mcu/images/1.2.0.bin"), "fixtures/firmware/mcu/build")?;
    let rig = ResolvedRig::load(&root.join("rigs/qemu-mcu.toml")).unwrap();
    let dossier = Arc::new(rig.load_dossier().unwrap());
    Some(rig.open(dossier, 1, "test").unwrap().channels)
}

fn wait(all: &Channels) -> Wait {
    Wait::until(all.clock.now() + Duration::from_secs(120), &Cancel::new())
}

/// On, until the application is ready; then it erases its other slot, page by page. What it says of that.
fn erase(all: &mut Channels) -> Answer<()> {
    let wait = wait(all);
    all.power.as_mut().unwrap().set(PowerAsk::On, &wait).unwrap();
    let mut heard = Vec::new();
    while !heard.windows(9).any(|w| w == b"APP ready") {
        assert_ne!(all.console.as_mut().unwrap().read(&mut heard, &wait).unwrap(), ConsoleRead::Silence);
    }
    let short = Wait::until(all.clock.now() + Duration::from_secs(5), &Cancel::new());
    all.update.as_mut().unwrap().erase(&short).unwrap()
}

#[test]
fn the_crash_space_conforms() -> Outcome {
    let Some(mut all) = open() else { return Ok(()) };
    let (mut space, mut clock) = (all.crash.take().unwrap(), proofbench_drivers::RealClock(proofbench_drivers::TimeBase::real()));
    conformance::crash_space(&mut *space, &mut clock, &mut || {
        assert_eq!(erase(&mut all), Answer::Accepted(()));
        let wait = wait(&all);
        all.power.as_mut().unwrap().set(PowerAsk::Off, &wait).unwrap();
    })
}

#[test]
fn a_real_cut_leaves_what_was_rebuilt_for_it() {
    let Some(mut all) = open() else { return };
    let mut space = all.crash.take().unwrap();
    let wait = wait(&all);
    let start = space.save(&wait).unwrap();
    // Something to erase: erased pages would make a torn erase look like a whole one.
    let junk = vec![0x5a; 0x1_1000];
    all.storage.as_mut().unwrap().write(0x2_0000, &junk, &wait).unwrap();
    let full = space.save(&wait).unwrap();
    assert_ne!(space.digest(start), space.digest(full));
    space.record().unwrap();
    assert_eq!(erase(&mut all), Answer::Accepted(()));
    all.power.as_mut().unwrap().set(PowerAsk::Off, &wait).unwrap();
    assert_eq!(space.stop().unwrap().len(), 17);
    for wanted in [(5, Tear::Before), (9, Tear::EraseFirstHalf), (16, Tear::EraseZero)] {
        let mut digest = None;
        space
            .rebuild(true, &mut |at, tear, found| {
                if (at, tear) == wanted {
                    digest = Some(found);
                }
                false
            })
            .unwrap();
        space.load(full, &wait).unwrap();
        space.arm_cut(wanted.0, wanted.1).unwrap();
        space.record().unwrap();
        assert_eq!(erase(&mut all), Answer::Silent);
        assert!(matches!(all.power.as_mut().unwrap().state(&wait).unwrap(), PowerSeen::Tripped(_)));
        all.power.as_mut().unwrap().set(PowerAsk::Off, &wait).unwrap();
        space.stop().unwrap();
        let left = space.save(&wait).unwrap();
        assert_eq!(Some(space.digest(left)), digest, "{wanted:?}");
        // For the next round the whole act is the recording again.
        space.load(full, &wait).unwrap();
        space.record().unwrap();
        assert_eq!(erase(&mut all), Answer::Accepted(()));
        all.power.as_mut().unwrap().set(PowerAsk::Off, &wait).unwrap();
        space.stop().unwrap();
    }
}
