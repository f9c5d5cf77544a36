//! The debug port in every state of the device's life and under every way to attach.

use super::port::{DECLARED_PORT, Look, OFF_WHEN_NOT_NEEDED, Port};
use super::{BUDGET, offer};
use crate::report::each_row;
use proofbench_channel::Millivolts;
use proofbench_channel::debug::{Attach, Protocol};
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Capability, Check, Permission, Trouble};
use std::time::Duration;

const UNITS: &[&str] = &[DECLARED_PORT, OFF_WHEN_NOT_NEEDED];
const NEEDS: &[Capability] = &[Capability::DebugPort, Capability::Console, Capability::Power];
const UPDATING: &[Capability] = &[Capability::DebugPort, Capability::Console, Capability::Power, Capability::UpdatePath];
const TWINS: &[&str] = &["debug-silent", "slow-boot", "noisy-log"];
/// Beside them, parts that show little or nothing of themselves when they are locked.
const LOCKED_TWINS: &[&str] = &["debug-silent", "slow-boot", "noisy-log", "debug-ap-hidden", "debug-power-up-refused", "debug-cold-plug-answers"];
const CONTROL: &str = "nRST pulsed by the same probe restarts the application: new boot id, cause pin; a word written to TAR reads back";

fn debug_port(row: &Row) -> bool {
    row.intf().is_some_and(|i| i.channel == "debug-port" && i.debug.is_some())
}

const fn check(
    id: &'static str,
    title: &'static str,
    needs: &'static [Capability],
    permissions: &'static [Permission],
    defects: &'static [&'static str],
    run: fn(&mut Bench) -> Result<(), Trouble>,
) -> Check {
    Check {
        id,
        title,
        units: UNITS,
        table: Some(15),
        row_wanted: Some(debug_port),
        needs,
        permissions,
        defects,
        twins: TWINS,
        control: CONTROL,
        budget: BUDGET,
        run,
    }
}

pub(super) const RUNNING: Check = Check {
    twins: LOCKED_TWINS,
    ..check(
        "debug-port/running",
        "the debug port gives no access while the application runs, over every protocol and all access ports",
        NEEDS,
        &[],
        &["debug-open", "debug-second-ap", "debug-partial", "debug-flash-zero", "debug-jtag-open", "debug-dormant-open"],
        |bench| every_protocol(bench, "as delivered", &[Attach::Running]),
    )
};

pub(super) const UNDER_RESET: Check = Check {
    twins: LOCKED_TWINS,
    ..check(
        "debug-port/under-reset",
        "the debug port gives no access while reset is held and at its release, before any firmware has run, nor when SWCLK is low then",
        NEEDS,
        &[],
        &["debug-open-under-reset", "debug-late-lock", "debug-open", "debug-cold-plug", "debug-reset-by-debugger"],
        |bench| every_protocol(bench, "as delivered", &[Attach::UnderReset, Attach::ColdPlug]),
    )
};

pub(super) const POWER_ON: Check = check(
    "debug-port/power-on",
    "the debug port gives no access in the first moments after power-on, polled from before",
    NEEDS,
    &[],
    &["debug-late-lock", "debug-open", "debug-reset-by-debugger"],
    |bench| every_protocol(bench, "as delivered", &[Attach::PowerOnRace]),
);

pub(super) const AFTER_REBOOT: Check =
    check("debug-port/after-reboot", "the lock holds after a restart by software and by the reset pin", NEEDS, &[], &["debug-open"], |bench| {
        each_time(bench, &[("after a software restart", |b| b.reboot().map(|_| ())), ("after a pin reset", |b| b.reset_pulse().map(|_| ()))])
    });

pub(super) const AFTER_WATCHDOG: Check =
    check("debug-port/after-watchdog", "the lock holds after a watchdog reset", NEEDS, &[], &["lock-lost-on-watchdog"], |bench| {
        each_time(bench, &[("after a watchdog reset", watchdog)])
    });

pub(super) const AFTER_BROWN_OUT: Check =
    check("debug-port/after-brown-out", "the lock holds after a brown-out reset", NEEDS, &[], &["debug-open"], |bench| {
        each_time(bench, &[("after a brown-out", brown_out)])
    });

pub(super) const AFTER_UPDATE: Check = check(
    "debug-port/after-update",
    "the lock holds while a genuine update runs on trial, and after it went back",
    UPDATING,
    &[],
    &["lock-lost-on-update", "lock-lost-on-revert"],
    |bench| {
        each_row(bench, UNITS, |bench, row, report| {
            let mut port = Port::open(bench, row)?;
            let update = offer::next(bench)?;
            offer::install_for_trial(bench, &update)?;
            port.refresh(bench)?;
            // A power cycle would end the trial: the trial is looked at once a protocol, and started again for the next one.
            let mut looks = Vec::new();
            for (n, protocol) in port.protocols.clone().into_iter().enumerate() {
                if n > 0 {
                    offer::install_for_trial(bench, &update)?;
                    port.refresh(bench)?;
                }
                looks.push(port.look(bench, "after an update", protocol, Attach::Running)?);
                bench.power_cycle()?;
                offer::went_back(bench, &update)?;
            }
            port.refresh(bench)?;
            looks.extend(persistent(bench, &mut port, "after a rollback")?);
            port.judge(bench, row, report, &looks);
            Ok(())
        })
    },
);

pub(super) const AFTER_FAILED_UPDATE: Check = check(
    "debug-port/after-failed-update",
    "the lock holds after an update that the device refused",
    UPDATING,
    &[],
    &["lock-lost-on-failed-update"],
    |bench| {
        each_row(bench, UNITS, |bench, row, report| {
            let mut port = Port::open(bench, row)?;
            let update = offer::next(bench)?;
            offer::offer_damaged(bench, &update)?;
            let looks = persistent(bench, &mut port, "after a refused update")?;
            port.judge(bench, row, report, &looks);
            Ok(())
        })
    },
);

pub(super) const AFTER_FACTORY_RESET: Check = check(
    "debug-port/after-factory-reset",
    "the lock holds after a factory reset",
    NEEDS,
    &[Permission::FactoryReset],
    &["reset-unlocks-debug"],
    |bench| {
        each_row(bench, UNITS, |bench, row, report| {
            let mut port = Port::open(bench, row)?;
            factory_reset(bench)?;
            let looks = persistent(bench, &mut port, "after a factory reset")?;
            port.judge(bench, row, report, &looks);
            Ok(())
        })
    },
);

/// Every protocol under these conditions, with a power cycle after each; and behind a reset through the core, wherever one was within reach.
fn every_protocol(bench: &mut Bench, state: &str, attaches: &[Attach]) -> Result<(), Trouble> {
    each_row(bench, UNITS, |bench, row, report| {
        let mut port = Port::open(bench, row)?;
        port.all_over_jtag = attaches.contains(&Attach::Running);
        let mut looks = Vec::new();
        for attach in attaches.iter().copied() {
            for protocol in port.protocols.clone() {
                let mut look = port.look_and_cycle(bench, state, protocol, attach)?;
                let behind = port.look_behind_reset(bench, &mut look)?;
                let made = look.was_made();
                looks.push(look);
                if let Some(behind) = behind {
                    looks.push(behind);
                    bench.power_cycle()?;
                }
                // What the probe cannot do over one protocol it cannot do over another.
                if !made {
                    break;
                }
            }
        }
        port.judge(bench, row, report, &looks);
        Ok(())
    })
}

/// An event by its name, and how to bring it about with its witness.
type Event = (&'static str, fn(&mut Bench) -> Result<(), Trouble>);

/// Events whose state a power cycle ends: brought about anew for every protocol.
fn each_time(bench: &mut Bench, events: &[Event]) -> Result<(), Trouble> {
    each_row(bench, UNITS, |bench, row, report| {
        let mut port = Port::open(bench, row)?;
        let mut looks = Vec::new();
        for (state, bring_about) in events {
            for protocol in port.protocols.clone() {
                bring_about(bench)?;
                looks.push(port.look_and_cycle(bench, state, protocol, Attach::Running)?);
            }
        }
        port.judge(bench, row, report, &looks);
        Ok(())
    })
}

/// A state that lasts: every protocol while running, then under reset and from power-on by the first one.
fn persistent(bench: &mut Bench, port: &mut Port, state: &str) -> Result<Vec<Look>, Trouble> {
    let mut looks = Vec::new();
    for protocol in port.protocols.clone() {
        looks.push(port.look_and_cycle(bench, state, protocol, Attach::Running)?);
    }
    let first = port.protocols.first().copied().unwrap_or(Protocol::Swd);
    for attach in [Attach::UnderReset, Attach::PowerOnRace] {
        looks.push(port.look_and_cycle(bench, state, first, attach)?);
    }
    Ok(looks)
}

fn watchdog(bench: &mut Bench) -> Result<(), Trouble> {
    let Some(cause) = bench.bind().causes.watchdog.clone() else {
        return Err(Trouble::IxitMissing("[bind.causes] watchdog of device.toml".to_owned()));
    };
    let did = bench.act("watchdog")?;
    if !did.is_done() {
        return Err(Trouble::Precondition(format!("the device did not do `watchdog`: {did:?}")));
    }
    came_by(bench, &cause)
}

/// Depths of a dip, from shallow to deep: the brown-out level of a part is not declared, and a dip to nothing is a power cut.
const DIPS: [u32; 6] = [2600, 2200, 1800, 1500, 1200, 900];

fn brown_out(bench: &mut Bench) -> Result<(), Trouble> {
    let Some(cause) = bench.bind().causes.brown_out.clone() else {
        return Err(Trouble::IxitMissing("[bind.causes] brown-out of device.toml".to_owned()));
    };
    let within = Duration::from_millis(bench.bind().recovery_within_ms);
    for depth in DIPS {
        bench.drain()?;
        let wait = bench.wait(Duration::from_secs(10));
        bench.power()?.dip(Millivolts(depth), Duration::from_millis(50), &wait)?;
        let Some(boot) = bench.try_ready(within.min(Duration::from_millis(bench.bind().ready_within_ms)))? else { continue };
        if boot.cause == cause {
            return Ok(());
        }
    }
    Err(Trouble::NoOpportunity(format!("no dip of the supply made the device restart by `{cause}`")))
}

fn came_by(bench: &Bench, cause: &str) -> Result<(), Trouble> {
    match bench.last_boot() {
        Some(boot) if boot.cause == cause => Ok(()),
        Some(boot) => Err(Trouble::NoOpportunity(format!("the device restarted by `{}` and not by `{cause}`", boot.cause))),
        None => Err(Trouble::NoOpportunity(format!("the device did not restart by `{cause}`"))),
    }
}

/// The first declared route that needs nothing but what the rig has.
fn factory_reset(bench: &mut Bench) -> Result<(), Trouble> {
    let routes: Vec<_> = bench.dossier().ixit.rows(25).iter().filter_map(|r| r.del().map(|d| (r.id.clone(), d.clone()))).collect();
    let mut why = "no row of 25-DelFunc has a binding".to_owned();
    for (id, route) in routes {
        let before = bench.last_boot_id().map(str::to_owned);
        match bench.perform(&route.start, &[]) {
            Ok(did) if did.is_done() => {
                if bench.last_boot_id().map(str::to_owned) == before {
                    bench.wait_ready(Duration::from_millis(route.within_ms))?;
                }
                // The owner's credential is the label's again.
                if let Some(label) = bench.dossier().device.sample.label.clone() {
                    bench.set_credential(label);
                }
                return Ok(());
            }
            Ok(did) => why = format!("{id}: {did:?}"),
            Err(Trouble::Capability(c)) => why = format!("{id}: the rig has no {}", c.as_str()),
            Err(Trouble::IxitAmbiguous(e) | Trouble::Human(e)) => why = format!("{id}: {e}"),
            Err(other) => return Err(other),
        }
    }
    Err(Trouble::Precondition(format!("no factory reset came about: {why}")))
}
