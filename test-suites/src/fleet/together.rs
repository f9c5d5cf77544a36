//! Units that must not do the same thing at the same moment.
//!
//! Purpose: 5.9-3-2 a (connections are begun and begun again so that networks stay stable). Procedure: all units are powered at once; later their service is
//! refused to all of them at once. Measured are the first connection of each unit, and each attempt after that. Verdict: VIOLATED if all units do within a
//! fraction of the declared spread what is declared to be spread over it. The bounds are such that chance alone meets them in one of a million runs; see
//! [`BOUND`]. Control: every unit was seen.

use super::{BUDGET, LEAST, labels, play, served, set_up};
use crate::report::{Report, each_row};
use crate::spread::{narrow, range};
use proofbench_channel::fleet::{Played, Step};
use proofbench_channel::network::{Front, Service, Sight};
use proofbench_model::Reason;
use proofbench_model::bind::ComBind;
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Capability, Check, Trouble};
use std::time::Duration;

const A: &str = "5.9-3-2 a";
const NEEDS: &[Capability] = &[Capability::Fleet, Capability::Network];

/// Units within this part of the declared spread were hardly spread. It is a violation when chance alone brings it about once in a million runs or less
/// ([`narrow`]: for eight units a tenth of the spread, for twenty more than this part); between the two nothing is said.
const BOUND: f64 = 0.25;

/// Rows 29 and 67.
pub const FIRST: Check = Check {
    id: "fleet/first-connections",
    title: "units that are powered at once do not reach for their services at once",
    units: &[A],
    table: Some(11),
    row_wanted: Some(|row| stage(row).is_some()),
    needs: NEEDS,
    permissions: &[],
    defects: &["first-together", "looks-together"],
    twins: &["first-later", "time-asked-twice", "slow-boot"],
    control: "the first connection of every unit was seen",
    budget: BUDGET,
    run: |bench| each_row(bench, &[A], first),
};

/// Row 66.
pub const RETRIES: Check = Check {
    id: "fleet/retries",
    title: "units whose service went away at once do not come back in step",
    units: &[A],
    table: Some(11),
    row_wanted: Some(|row| {
        row.com().is_some_and(|c| c.role == "client" && c.host.is_some() && c.retry.as_ref().is_some_and(|r| r.spread_percent > 0))
    }),
    needs: NEEDS,
    permissions: &[],
    defects: &["retry-seed-shared", "retry-without-chance", "retry-every-second"],
    twins: &["retry-slower", "first-later"],
    control: "enough attempts of every unit were seen",
    budget: BUDGET,
    run: |bench| each_row(bench, &[A], retries),
};

/// Over how long first connections of a client are declared to be spread.
fn stage(row: &Row) -> Option<u64> {
    let com = row.com().filter(|c| c.role == "client" && c.host.is_some())?;
    com.retry.as_ref().and_then(|r| r.stage_ms).or(com.spread_ms).filter(|ms| *ms > 0)
}

fn enough(played: &[Played]) -> Result<(), Trouble> {
    match played.len() >= LEAST {
        true => Ok(()),
        false => Err(Trouble::RigFault(format!("a fleet of {} units says nothing about spread; {LEAST} are needed", played.len()))),
    }
}

/// When a unit dialled this service, in milliseconds from the beginning of the scene.
fn dialled(unit: &Played, com: &ComBind) -> Vec<f64> {
    let here = unit.seen.iter().filter(|s| Some(s.host.as_str()) == com.host.as_deref() && s.port == com.port);
    here.filter(|s| matches!(s.sight, Sight::Dialled { .. })).map(|s| s.at.0 as f64 / 1e6).collect()
}

fn first(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let (Some(com), Some(stage)) = (row.com().cloned(), stage(row)) else { return Ok(()) };
    let labels = labels(bench)?;
    let web = bench.web()?;
    // Units that have an owner already, powered at once with everything there.
    let mut scene = served(bench);
    scene.extend([Step::Link(true), Step::Power(true), Step::Wait(Duration::from_millis(web.up_within_ms + 10_000))]);
    scene.push(set_up(bench, &labels)?);
    scene.extend([Step::Wait(Duration::from_secs(30)), Step::Power(false), Step::Wait(Duration::from_secs(10)), Step::Power(true)]);
    let begun = waited(&scene);
    scene.push(Step::Wait(Duration::from_millis(com.within_ms.unwrap_or(60_000) + stage + 60_000)));
    let played = play(bench, &scene)?;
    enough(&played)?;
    let mut times = Vec::new();
    for unit in &played {
        let Some(at) = dialled(unit, &com).into_iter().find(|at| *at >= begun) else {
            let name = labels.get(unit.unit).map(|l| l.serial.clone()).unwrap_or_default();
            return Err(Trouble::NoOpportunity(format!(
                "{name} was not seen to reach for {} after it was powered",
                com.host.clone().unwrap_or_default()
            )));
        };
        times.push(at - begun);
    }
    let over = range(&times);
    bench.strength(format!("{} units powered at once", played.len()));
    let expected = format!("first connections are spread over {stage} ms, as declared");
    if over < BOUND.min(narrow(played.len())) * stage as f64 {
        report.violated(bench, A, &expected, &format!("all {} units within {over:.0} ms", played.len()));
    } else if over < BOUND * stage as f64 {
        let why = format!("all {} units within {over:.0} of {stage} ms, which may still be chance: more units can tell", played.len());
        report.unresolved(bench, A, Reason::NoOpportunity, &why);
    } else {
        report.satisfied(bench, A, &expected, &format!("{} units over {over:.0} ms", played.len()));
    }
    Ok(())
}

/// Bench time of a scene so far, in milliseconds: what its waits come to. Requests take longer, which only makes the beginning earlier than it was.
fn waited(scene: &[Step]) -> f64 {
    scene.iter().map(|s| if let Step::Wait(d) = s { d.as_secs_f64() * 1e3 } else { 0.0 }).sum()
}

/// Attempts that are compared.
const ATTEMPTS: usize = 6;

fn retries(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let Some(com) = row.com().cloned() else { return Ok(()) };
    let Some(retry) = com.retry.clone() else { return Ok(()) };
    let host = com.host.clone().unwrap_or_default();
    let labels = labels(bench)?;
    let web = bench.web()?;
    let trade = bench.honest(&com).map(|s| s.trade).ok_or_else(|| Trouble::IxitMissing("a host of a client of 11-ComMech".to_owned()))?;
    let mut scene = served(bench);
    scene.extend([Step::Link(true), Step::Power(true), Step::Wait(Duration::from_millis(web.up_within_ms + 10_000))]);
    scene.push(set_up(bench, &labels)?);
    scene.push(Step::Wait(Duration::from_millis(com.within_ms.unwrap_or(60_000) + retry.stage_ms.unwrap_or(0) + 60_000)));
    // Cut for all of them in one moment, and refused from then on.
    scene.push(Step::Serve(Service { host, port: com.port, front: Front::HangUp, trade }));
    let cut = waited(&scene);
    scene.push(Step::Wait(Duration::from_millis(retry.most_ms * 8)));
    let played = play(bench, &scene)?;
    enough(&played)?;
    let mut pauses: Vec<Vec<f64>> = vec![Vec::new(); ATTEMPTS];
    for unit in &played {
        let times: Vec<f64> = dialled(unit, &com).into_iter().filter(|at| *at >= cut).collect();
        if times.len() < ATTEMPTS + 1 {
            let name = labels.get(unit.unit).map(|l| l.serial.clone()).unwrap_or_default();
            return Err(Trouble::NoOpportunity(format!("{name}: {} attempts after the cut", times.len())));
        }
        times.windows(2).take(ATTEMPTS).zip(&mut pauses).for_each(|(w, p)| p.push(w[1] - w[0]));
    }
    // Each pause is declared to be moved by so much to either side.
    let moved = 2.0 * f64::from(retry.spread_percent) / 100.0;
    let mut step = Vec::new();
    for (n, pauses) in pauses.iter().enumerate() {
        let mean = pauses.iter().sum::<f64>() / pauses.len() as f64;
        if range(pauses) < BOUND * moved * mean {
            step.push(format!("pause {} of all units within {:.0} ms of {mean:.0}", n + 1, range(pauses)));
        }
    }
    bench.strength(format!("{} units, {ATTEMPTS} pauses each", played.len()));
    let expected = format!("pauses differ from unit to unit by up to {} % to either side, as declared", retry.spread_percent);
    match step.len() > ATTEMPTS / 2 {
        true => report.violated(bench, A, &expected, &step.join("; ")),
        false => report.satisfied(bench, A, &expected, "the units came apart"),
    }
    Ok(())
}
