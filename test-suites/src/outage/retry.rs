//! How a device comes back.
//!
//! Purpose: 5.9-3-2 a (connections are begun, ended and begun again as declared, so that many devices do not come at once). Procedure: the service refuses for
//! hours, then takes connections and ends them; the pauses between attempts are measured. Verdict: VIOLATED if the pauses do not grow to the declared one, if
//! they are shorter than declared, or if chance moves them less than declared. Control: the device was connected before; enough attempts were seen. Slower
//! than declared is no violation.

use super::{BUDGET, NEEDS};
use crate::report::{Report, each_row};
use crate::spread::{narrow, range};
use proofbench_channel::network::{BrokerConduct, Certificate, Front, Sight, Trade};
use proofbench_model::bind::{ComBind, RetryBind};
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Check, Trouble};
use std::time::Duration;

const A: &str = "5.9-3-2 a";

/// Row 66.
pub const PATTERN: Check = Check {
    id: "outage/retry-pattern",
    title: "attempts to come back grow apart as declared, and chance keeps devices from coming together",
    units: &[A],
    table: Some(11),
    row_wanted: Some(|row| row.com().is_some_and(|c| c.role == "client" && c.retry.is_some() && c.host.is_some())),
    needs: NEEDS,
    permissions: &[],
    defects: &["retry-every-second", "retry-without-chance", "retry-storm-on-refusal"],
    twins: &["retry-slower", "slow-boot", "event-after-pause", "time-asked-twice"],
    control: "the device was connected before, and enough attempts were seen",
    budget: BUDGET,
    run: |bench| each_row(bench, &[A], pattern),
};

/// Attempts that a pattern is made of.
const LEAST: usize = 12;

fn pattern(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let Some(com) = row.com().cloned() else { return Ok(()) };
    let Some(retry) = com.retry.clone() else { return Ok(()) };
    bench.at_home()?;
    let host = com.host.clone();
    let connected = bench.watch_for(Duration::from_millis(com.within_ms.unwrap_or(600_000)), |s| {
        Some(&s.host) == host.as_ref() && matches!(s.sight, Sight::Secured { .. } | Sight::Connect { .. })
    })?;
    if connected.is_none() {
        return Err(Trouble::NoOpportunity("the device did not connect to its service before the outage".to_owned()));
    }
    let lasts = Duration::from_millis(retry.most_ms * 24);
    let mut wrong = Vec::new();
    let mut strength = Vec::new();
    // Refused by the network, and refused by the service in its own words.
    for (how, front, trade) in [
        ("connections refused", Front::Refuse, Trade::Sink),
        ("CONNECT refused", Front::Tls(Certificate::Good), Trade::Broker(BrokerConduct::Refuse(3))),
    ] {
        bench.serve_as(&com, Front::HangUp, Trade::Sink)?;
        bench.forget_sights()?;
        bench.serve_as(&com, front, trade)?;
        bench.watch(lasts)?;
        let pauses = pauses(bench, &com);
        if pauses.len() < LEAST {
            return Err(Trouble::NoOpportunity(format!("{} attempts in {lasts:?} with {how}: too few for a pattern", pauses.len())));
        }
        strength.push(format!("{} pauses with {how}", pauses.len()));
        wrong.extend(judge(&retry, &pauses).into_iter().map(|w| format!("{how}: {w}")));
        // Back to good terms, so that the next pattern begins at its beginning.
        let honest = bench.honest(&com).ok_or_else(|| Trouble::IxitMissing("a host of a client of 11-ComMech".to_owned()))?;
        bench.serve(&honest)?;
        bench.watch(Duration::from_millis(2 * retry.most_ms))?;
    }
    bench.strength(strength.join(", "));
    let expected = format!(
        "pauses from {} ms to {} ms, growing by {} %, each moved by chance by up to {} %",
        retry.first_ms,
        retry.most_ms,
        retry.growth_percent.saturating_sub(100),
        retry.spread_percent
    );
    match wrong.is_empty() {
        true => report.satisfied(bench, A, &expected, "so they were"),
        false => report.violated(bench, A, &expected, &wrong.join("; ")),
    }
    Ok(())
}

/// Pauses between attempts, in milliseconds.
fn pauses(bench: &Bench, com: &ComBind) -> Vec<u64> {
    let here = |s: &&proofbench_channel::network::Seen| Some(s.host.as_str()) == com.host.as_deref() && s.port == com.port;
    let times: Vec<_> = bench.sights().iter().filter(here).filter(|s| matches!(s.sight, Sight::Dialled { .. })).map(|s| s.at).collect();
    times.windows(2).map(|w| w[1].since(w[0]).as_millis() as u64).collect()
}

/// What is wrong with these pauses by the declaration. A tenth is left for what the attempts themselves take.
fn judge(retry: &RetryBind, pauses: &[u64]) -> Vec<String> {
    let mut wrong = Vec::new();
    let spread = u64::from(retry.spread_percent.min(100));
    let mut nominal = retry.first_ms;
    for (n, pause) in pauses.iter().enumerate() {
        let least = nominal * (100 - spread) / 100 * 9 / 10;
        if *pause < least {
            wrong.push(format!("pause {} was {pause} ms, declared are {least} ms at least", n + 1));
            break;
        }
        nominal = (nominal * u64::from(retry.growth_percent) / 100).min(retry.most_ms);
    }
    // At the cap all pauses have the same nominal length: what differs is chance.
    let capped: Vec<f64> = pauses.iter().skip(pauses.len() / 2).map(|p| *p as f64).collect();
    let mean = capped.iter().sum::<f64>() / capped.len().max(1) as f64;
    let declared = mean * 2.0 * f64::from(retry.spread_percent) / 100.0;
    if retry.spread_percent > 0 && range(&capped) < narrow(capped.len()) * declared {
        let over = range(&capped);
        wrong.push(format!("the last {} pauses lie within {over:.0} ms around {mean:.0} ms: chance hardly moves them", capped.len()));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn declared() -> RetryBind {
        RetryBind { first_ms: 2000, most_ms: 300_000, growth_percent: 200, spread_percent: 50, stage_ms: None }
    }

    fn grown(chance: impl Fn(usize) -> f64, factor: f64) -> Vec<u64> {
        let nominal = |n: usize| (2000.0 * 2f64.powi(n as i32)).min(300_000.0);
        (0..24).map(|n| (nominal(n) * factor * chance(n)) as u64).collect()
    }

    fn even(n: usize) -> f64 {
        0.5 + (n * 7 % 24) as f64 / 24.0
    }

    #[rstest]
    #[case::as_declared(grown(even, 1.0), 0)]
    #[case::slower(grown(even, 1.5), 0)]
    #[case::without_chance(grown(|_| 1.0, 1.0), 1)]
    #[case::every_second(vec![1000; 24], 2)]
    fn pauses_are_judged_by_the_declaration(#[case] pauses: Vec<u64>, #[case] wrong: usize) {
        assert_eq!(judge(&declared(), &pauses).len(), wrong, "{:?}", judge(&declared(), &pauses));
    }
}
