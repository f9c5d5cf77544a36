//! `power`: the supply by hand. What was asked and what was observed are two things, and both are said.

use crate::args::PowerArg;
use crate::commands::by_hand::Hand;
use crate::exit::Exit;
use anyhow::{Result, anyhow};
use proofbench_channel::{PowerSeen, Wait};
use proofbench_rig::Capability;
use proofbench_runner::bench::OffWitness;
use proofbench_runner::{Bench, Trouble};
use std::path::Path;
use std::time::Duration;

/// How long the adapter may take to tell its state.
const ADAPTER: Duration = Duration::from_secs(5);
/// What may help: the console shows boots, the reset line is released when the rig is made safe; a line may hang on the console or the probe.
const HELPFUL: &[Capability] = &[Capability::Console, Capability::Reset, Capability::DebugPort];

/// The whole of it. Exit code 1 if what is observed contradicts what was asked.
pub fn power(what: PowerArg, rig: Option<&Path>) -> Result<Exit> {
    let helpful = if what == PowerArg::State { &[] } else { HELPFUL };
    let mut hand = Hand::take(rig, Capability::Power, helpful, "proofbench power")?;
    let result = match what {
        PowerArg::On => on(&mut hand.bench),
        PowerArg::Off => off(&mut hand.bench),
        PowerArg::Cycle => match off(&mut hand.bench) {
            Ok(true) => on(&mut hand.bench),
            other => other,
        },
        PowerArg::State => read_back(&mut hand.bench).map(|seen| seen.is_some()),
    };
    let observed = match result {
        Ok(observed) => observed,
        Err(Trouble::RigFault(why)) => {
            println!("observed  {why}");
            false
        }
        Err(t) => {
            // Reading leaves everything as it is; after a request that failed nobody knows what the supply does.
            if what == PowerArg::State {
                hand.leave_as_found()?
            } else {
                hand.left_unsure()?
            }
            return Err(anyhow!(t.explain()));
        }
    };
    match what {
        PowerArg::State => {
            hand.leave_as_found()?;
            return Ok(if observed { Exit::Good } else { Exit::Inconclusive });
        }
        PowerArg::Off => {
            let safe = hand.bench.make_safe();
            if !safe.is_safe() {
                println!("observed  the rig is not safe: {}", safe.failed.join("; "));
            }
            if observed && safe.is_safe() {
                println!("left      off and safe");
                hand.safe()?;
            } else {
                println!("left      asked off, and not seen to be off: the lease does not call it safe");
                hand.left_unsure()?;
            }
        }
        PowerArg::On | PowerArg::Cycle if hand.own_device => {
            println!("left      nothing: the device of this rig lives only as long as this command");
            hand.bench.make_safe();
            hand.safe()?;
        }
        PowerArg::On | PowerArg::Cycle => {
            println!("left      on, and its lease says so; `proofbench power off` makes it safe, and so does the next run before it begins");
            hand.leave_on()?;
        }
    }
    Ok(if observed { Exit::Good } else { Exit::Failed })
}

/// Whether what is observed agrees, as far as anything is.
fn on(b: &mut Bench) -> Result<bool, Trouble> {
    println!("asked     on");
    b.power_on()?;
    let mut agrees = !matches!(read_back(b)?, Some(PowerSeen::Off | PowerSeen::Tripped(_)));
    if b.has(Capability::Console) {
        agrees &= boot(b)?;
        read_back(b)?;
    }
    Ok(agrees)
}

/// Listens for a boot, in words.
pub fn boot(b: &mut Bench) -> Result<bool, Trouble> {
    let within = Duration::from_millis(b.bind().ready_within_ms);
    let boot = b.try_ready(within)?;
    match &boot {
        Some(boot) => {
            let cause = if boot.cause.is_empty() { String::new() } else { format!(", cause `{}`", boot.cause) };
            println!("observed  the device is ready after {:.2} s{cause}", boot.took.as_secs_f64());
        }
        None => {
            let seen = b.boot_seen();
            let last = seen.log.last().map(|l| format!(", last line `{l}`")).unwrap_or_default();
            println!("observed  not ready within {:.1} s: {} boot line(s){last}", within.as_secs_f64(), seen.boots);
        }
    }
    Ok(boot.is_some())
}

fn off(b: &mut Bench) -> Result<bool, Trouble> {
    println!("asked     off");
    b.power_off()?;
    match b.off_witness() {
        Some(OffWitness::Rail(mv)) => println!("observed  rail at {} mV", mv.0),
        Some(OffWitness::PortGone) => println!("observed  the console's port went away with the device"),
        Some(OffWitness::Nothing) | None => println!("observed  nothing that shows it: no meter, and the console is silent"),
    }
    Ok(!matches!(state(b)?, PowerSeen::On))
}

fn state(b: &mut Bench) -> Result<PowerSeen, Trouble> {
    let wait: Wait = b.wait(ADAPTER);
    let seen = b.power()?.state(&wait)?;
    match &seen {
        PowerSeen::On => println!("observed  the switch reports on"),
        PowerSeen::Off => println!("observed  the switch reports off"),
        PowerSeen::Tripped(why) => println!("observed  the switch tripped: {why}"),
        PowerSeen::Unknown => println!("observed  the switch cannot be read back"),
    }
    Ok(seen)
}

/// Tells switch and meters. None if nothing could be read.
fn read_back(b: &mut Bench) -> Result<Option<PowerSeen>, Trouble> {
    let seen = state(b)?;
    let wait = b.wait(ADAPTER);
    let rail = b.power()?.rail(&wait)?;
    let current = b.power()?.current(&wait)?;
    if let Some(mv) = rail {
        println!("observed  rail at {} mV", mv.0);
    }
    if let Some(ma) = current {
        println!("observed  {} mA drawn", ma.0);
    }
    Ok((seen != PowerSeen::Unknown || rail.is_some() || current.is_some()).then_some(seen))
}
