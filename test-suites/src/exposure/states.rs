//! Ports over a device's life: while it starts, when its network or its cloud is gone, after a day, after a factory reset.
//!
//! Purpose: 5.6-1-2 b in the states in which devices were found to open more than they say. Procedure: all TCP ports again and again over the first minute of
//! a start, every hour while the cloud is gone, after link loss, after a day, and after each reset. Verdict and control as in [`super::ports`]; a scan during a
//! start that comes before the interface is up counts only what it found open.

use super::ports::{B, judge, scan, scan_tcp, services, undeclared};
use super::{BUDGET, networks};
use crate::report::{Report, each_row};
use proofbench_channel::network::{Front, Sight, Trade};
use proofbench_model::bind::Action;
use proofbench_model::dossier::Row;
use proofbench_runner::bench::Did;
use proofbench_runner::{Bench, Capability, Check, Permission, Trouble};
use std::time::Duration;

const NEEDS: &[Capability] = &[Capability::Console, Capability::Power, Capability::Network];

/// Row 50, during starts.
pub const BOOTS: Check = Check {
    id: "exposure/ports-at-start",
    title: "no other port is open for a while after a start",
    units: &[B],
    table: Some(15),
    row_wanted: Some(networks),
    needs: NEEDS,
    permissions: &[Permission::PowerCut],
    defects: &["telnet-at-boot", "telnet-open"],
    twins: &["slow-boot", "closes-strangers", "web-slow-start", "net-log"],
    control: "scans during the start find the local interface once it is up, and it answers at the end",
    budget: BUDGET,
    run: |bench| each_row(bench, &[B], boots),
};

/// Row 50, without network and cloud.
pub const OUTAGES: Check = Check {
    id: "exposure/ports-in-outage",
    title: "no other port opens when the network or the cloud is gone, nor after a day",
    units: &[B],
    table: Some(15),
    row_wanted: Some(networks),
    needs: NEEDS,
    permissions: &[],
    defects: &["recovery-port-offline", "telnet-open"],
    twins: &["slow-boot", "web-slow-start", "mdns-often"],
    control: "the local interface answers before and after each scan, and each scan finds it open",
    budget: BUDGET,
    run: |bench| each_row(bench, &[B], outages),
};

/// Row 52.
pub const RESETS: Check = Check {
    id: "exposure/ports-after-reset",
    title: "after a factory reset the same ports are open as when the device was delivered",
    units: &[B],
    table: Some(15),
    row_wanted: Some(networks),
    needs: NEEDS,
    permissions: &[Permission::FactoryReset],
    defects: &["telnet-after-reset"],
    twins: &["crypto-erase", "slow-boot"],
    control: "the reset is confirmed and the device is not set up any more; the local interface answers before and after the scan",
    budget: BUDGET,
    run: |bench| each_row(bench, &[B], resets),
};

/// How long after a start ports are looked at, and how often.
const START: Duration = Duration::from_secs(70);
const PAUSE: Duration = Duration::from_secs(5);

fn boots(bench: &mut Bench, _: &Row, report: &mut Report) -> Result<(), Trouble> {
    bench.at_home()?;
    let declared: Vec<u16> = services(bench, Some("set-up")).into_iter().filter(|(t, _)| t == "tcp").map(|(_, p)| p).collect();
    let own = bench.web()?.port;
    let (mut strangers, mut scans, mut found, mut silent) = (Vec::new(), 0u32, false, 0);
    for way in ["power cycle", "restart"] {
        match way {
            "restart" if bench.can_act("reboot") => {
                bench.act("reboot")?;
            }
            "restart" => continue,
            _ => {
                bench.power_cycle()?;
            }
        }
        let end = bench.now() + START;
        while bench.now() < end {
            let map = scan_tcp(bench)?;
            scans += 1;
            // Before the interface is up everything may be silent; afterwards a silent port is one that was not judged.
            if map.open.contains(&own) {
                found = true;
                silent += map.silent.len();
            }
            strangers.extend(map.open.iter().filter(|p| !declared.contains(p)).map(|p| format!("TCP {p} after a {way}")));
            bench.sleep(PAUSE)?;
        }
        bench.net_up()?;
    }
    if !found {
        return Err(Trouble::NoOpportunity("no scan during a start found the local interface".to_owned()));
    }
    strangers.sort();
    strangers.dedup();
    bench.strength(format!("{scans} scans of 65535 TCP ports over the first {} s of each start", START.as_secs()));
    judge(bench, report, &strangers, silent);
    Ok(())
}

fn outages(bench: &mut Bench, _: &Row, report: &mut Report) -> Result<(), Trouble> {
    bench.at_home()?;
    let mut strangers = Vec::new();
    let mut silent = 0;
    let mut look = |bench: &mut Bench, when: &str| -> Result<(), Trouble> {
        let seen = scan(bench)?;
        silent += seen.silent.len();
        strangers.extend(undeclared(bench, "set-up", &seen).into_iter().map(|w| format!("{w} {when}")));
        Ok(())
    };
    bench.net_down()?;
    bench.sleep(Duration::from_secs(1800))?;
    bench.net_up()?;
    look(bench, "after half an hour without link")?;
    for (_, com) in bench.clients() {
        if com.tls.is_some() {
            bench.serve_as(&com, Front::Refuse, Trade::Sink)?;
        }
    }
    bench.forget_sights()?;
    for hour in [1, 2, 24] {
        bench.watch(Duration::from_secs(3600 * if hour == 24 { 22 } else { 1 }))?;
        really_gone(bench)?;
        look(bench, &format!("after {hour} h without its services"))?;
    }
    bench.strength("4 scans of all TCP ports and of the UDP list, over 24 hours of bench time".to_owned());
    strangers.sort();
    strangers.dedup();
    judge(bench, report, &strangers, silent);
    Ok(())
}

/// That the device tried its services in vain: otherwise they were not gone, or nobody missed them.
fn really_gone(bench: &Bench) -> Result<(), Trouble> {
    if let Some(up) = bench.sights().iter().find(|s| matches!(s.sight, Sight::Secured { .. })) {
        return Err(Trouble::RigFault(format!("the service {}:{} was to refuse, and the device reached it", up.host, up.port)));
    }
    if !bench.sights().iter().any(|s| matches!(s.sight, Sight::Dialled { .. })) {
        return Err(Trouble::NoOpportunity("the device did not try to reach its services".to_owned()));
    }
    Ok(())
}

fn resets(bench: &mut Bench, _: &Row, report: &mut Report) -> Result<(), Trouble> {
    // A route that the rig can take: on the console, or held by a finger.
    let route = bench.dossier().ixit.rows(25).iter().find_map(|r| r.del().filter(|d| matches!(d.start, Action::Console(_))).cloned());
    let route = route.ok_or_else(|| Trouble::IxitMissing("a deletion function of 25-DelFunc that begins on the console".to_owned()))?;
    bench.at_home()?;
    match bench.perform(&route.start, &[])? {
        Did::Done { .. } => bench.disowned(),
        other => return Err(Trouble::Precondition(format!("the factory reset was not done: {other:?}"))),
    }
    let seen = scan(bench)?;
    let strangers: Vec<String> = undeclared(bench, "factory", &seen).into_iter().map(|w| format!("{w} after the reset")).collect();
    bench.strength("1 scan of all TCP ports and of the UDP list".to_owned());
    judge(bench, report, &strangers, seen.silent.len());
    Ok(())
}
