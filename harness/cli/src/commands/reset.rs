//! `reset`: the reset line by hand.

use crate::commands::by_hand::Hand;
use crate::commands::power;
use crate::exit::Exit;
use anyhow::{Result, anyhow};
use proofbench_rig::Capability;
use proofbench_runner::Trouble;
use proofbench_runner::bench::Stop;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How long the adapter may take.
const ADAPTER: Duration = Duration::from_secs(5);
/// Width of a pulse.
const PULSE: Duration = Duration::from_millis(100);
/// What may help: the console shows the boot; a line may hang on the console or the probe. A device of the rig's own has to be switched on first.
const HELPFUL: &[Capability] = &[Capability::Console, Capability::DebugPort, Capability::Power];

/// The whole of it. `hold`: none pulses, a length holds for so long, no length holds until the person has had enough.
pub fn reset(hold: Option<Option<Duration>>, rig: Option<&Path>) -> Result<Exit> {
    let mut hand = Hand::take(rig, Capability::Reset, HELPFUL, "proofbench reset")?;
    let result = carry_out(&mut hand, hold);
    if hand.own_device {
        hand.bench.make_safe();
    }
    hand.leave_as_found()?;
    match result {
        Ok(true) => Ok(Exit::Good),
        Ok(false) => Ok(Exit::Failed),
        Err(t) => Err(anyhow!(t.explain())),
    }
}

fn carry_out(hand: &mut Hand, hold: Option<Option<Duration>>) -> Result<bool, Trouble> {
    let b = &mut hand.bench;
    if hand.own_device && b.has(Capability::Power) {
        println!("asked     on: the device of this rig lives only as long as this command");
        b.power_on()?;
        let within = Duration::from_millis(b.bind().ready_within_ms);
        b.wait_ready(within)?;
    }
    b.drain()?;
    match hold {
        None => {
            println!("asked     a pulse of {} ms on the reset line", PULSE.as_millis());
            let wait = b.wait(ADAPTER);
            b.reset()?.pulse(PULSE, &wait)?;
        }
        Some(length) => {
            println!("asked     reset asserted");
            let wait = b.wait(ADAPTER);
            b.reset()?.set(true, &wait)?;
            let held = match length {
                Some(length) => b.sleep(length),
                None => {
                    println!("          Enter releases it");
                    until_enter(&hand.stop);
                    Ok(())
                }
            };
            b.release_reset()?;
            println!("asked     reset released");
            held.or_else(|t| if t.is_cancelled() { Ok(()) } else { Err(t) })?;
        }
    }
    if !b.has(Capability::Console) || hand.stop.soft.is_cancelled() {
        return Ok(true);
    }
    power::boot(b)
}

fn until_enter(stop: &Stop) {
    let (tell, told) = channel();
    // Reading the terminal knows no deadline; the thread ends with the line, or with the process.
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_line(&mut String::new());
        let _ = tell.send(());
    });
    while !stop.soft.is_cancelled() {
        match told.recv_timeout(Duration::from_millis(50)) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return,
        }
    }
}
