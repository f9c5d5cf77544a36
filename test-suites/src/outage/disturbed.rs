//! The network is there and bad.
//!
//! Purpose: 5.9-1-2 a (the declared measure against an outage of the network works) and 5.9-2-2 a (functions of the device go on). Procedure: on the way to the
//! service everything is late, packets are lost and sent again, the connection is half-open, bits flip; meanwhile something happens that is news, and the local
//! function is asked again and again. Verdict: VIOLATED if the local function does not answer, if the device starts anew, or if the news does not arrive once in
//! the declared time after the way is good again (for a half-open connection: after it became half-open, for that way never gets good again). A device that
//! cannot connect over so bad a way is none. Control: local function and news work before; the fault was there: what is late was late, nothing came on the
//! half-open connection, no connection came about while bits flipped.
//!
//! News that is told on two connections is told once more because its acknowledgement may have been lost, which MQTT allows (3.1.1, section 4.3.2); on one it is not.

use super::local::{GOES_ON, NETWORK, answers, online, values};
use super::{BUDGET, NEEDS};
use crate::report::{Report, each_row};
use proofbench_channel::network::{BrokerConduct, Certificate, Fault, Front, Seen, Sight, Trade};
use proofbench_model::bind::{Action, ComBind};
use proofbench_model::dossier::Row;
use proofbench_runner::bench::Did;
use proofbench_runner::{Bench, Check, Trouble};
use std::collections::BTreeMap;
use std::time::Duration;

/// Row 64.
pub const DISTURBED: Check = Check {
    id: "outage/disturbed",
    title: "over a bad network the local function goes on, and news arrive once afterwards",
    units: &[NETWORK, GOES_ON],
    table: Some(23),
    row_wanted: Some(|row| row.res().is_some_and(|r| r.outage == "network" && r.local.is_some())),
    needs: NEEDS,
    permissions: &[],
    defects: &["half-open-forever", "latency-blocks-local", "broken-handshake-final", "event-twice"],
    twins: &["ping-seldom", "event-repeated-until-acknowledged", "slow-boot", "event-after-pause", "retry-slower", "net-log"],
    control: "local function and news work before, and what the way was to do it did",
    budget: BUDGET,
    run: |bench| each_row(bench, &[NETWORK, GOES_ON], disturbed),
};

/// One way of being bad.
struct Trial {
    about: &'static str,
    fault: Fault,
    /// How long the way stays bad after the news.
    lasts: Duration,
}

/// What is late is late by so much: a mobile network at its edge. A request and its answer take twice that.
const LATE: Duration = Duration::from_secs(3);
const TRIALS: [Trial; 4] = [
    Trial { about: "everything comes three seconds late", fault: Fault::Delay(LATE), lasts: Duration::from_secs(30) },
    Trial {
        about: "every second packet is lost and sent again three seconds later",
        fault: Fault::Loss { one_in: 2, again: LATE },
        lasts: Duration::from_secs(30),
    },
    Trial { about: "the connection is half-open", fault: Fault::HalfOpen, lasts: Duration::from_secs(120) },
    Trial { about: "bits flip", fault: Fault::Corrupt { one_in: 64 }, lasts: Duration::from_secs(900) },
];
/// How often the local function is asked in each.
const LOOKS: u32 = 6;

/// What a row declares.
struct Declared {
    cloud: ComBind,
    function: Action,
    event: Action,
    topic: String,
    back: Duration,
}

impl Declared {
    fn here(&self, s: &Seen) -> bool {
        Some(s.host.as_str()) == self.cloud.host.as_deref() && s.port == self.cloud.port
    }

    /// News with this value, by the connections on which it came.
    fn arrivals(&self, bench: &Bench, value: &str) -> BTreeMap<u64, usize> {
        let mut all = BTreeMap::new();
        for s in bench.sights() {
            if let Sight::Published { topic, payload, .. } = &s.sight
                && *topic == self.topic
                && String::from_utf8_lossy(payload).contains(value)
            {
                *all.entry(s.conn).or_default() += 1;
            }
        }
        all
    }
}

fn disturbed(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let Some(bind) = row.res().cloned() else { return Ok(()) };
    let values = values(&bind)?;
    let (Some(function), Some(event), Some(topic)) = (bind.local, bind.event, bind.event_topic) else {
        return Err(Trouble::IxitMissing("`local`, `event` and `event-topic` of a mechanism against network outage".to_owned()));
    };
    let topic = topic.replace("{serial}", &bench.dossier().device.sample.serial);
    let cloud = bench.clients().into_iter().map(|(_, c)| c).find(|c| c.protocol == "mqtt");
    let cloud = cloud.ok_or_else(|| Trouble::IxitMissing("a client of 11-ComMech that carries the news".to_owned()))?;
    let back = Duration::from_millis(bind.recovers_within_ms.unwrap_or(600_000));
    let declared = Declared { cloud, function, event, topic, back };
    bench.at_home()?;
    let mut wrong = Vec::new();
    for (n, trial) in TRIALS.iter().enumerate() {
        if answers(bench, &declared.function)?.is_none() {
            return Err(Trouble::NoOpportunity(format!("the local function does not answer before it is tried how {}", trial.about)));
        }
        if online(bench, back)?.is_none() {
            return Err(Trouble::NoOpportunity(format!("the device does not reach its service before it is tried how {}", trial.about)));
        }
        wrong.extend(one(bench, &declared, trial, &values[n % values.len()])?.into_iter().map(|what| format!("{}: {what}", trial.about)));
        if !wrong.is_empty() {
            // What comes after this may come of it.
            break;
        }
    }
    bench.strength(format!("{} ways of being bad, the local function asked {LOOKS} times in each", TRIALS.len()));
    let expected = "the local function answers throughout, the device does not start anew, news arrive once when the way is good again";
    for unit in [NETWORK, GOES_ON] {
        match wrong.is_empty() {
            true => report.satisfied(bench, unit, expected, "so it was on every bad way"),
            false => report.violated(bench, unit, expected, &wrong.join("; ")),
        }
    }
    Ok(())
}

/// One bad way, and what was wrong with the device on it.
fn one(bench: &mut Bench, declared: &Declared, trial: &Trial, value: &str) -> Result<Vec<String>, Trouble> {
    let cloud = &declared.cloud;
    let before = bench.sights().iter().rev().find(|s| declared.here(s)).map(|s| s.conn);
    let boots = bench.boots_seen();
    bench.disturb(cloud, Some(trial.fault))?;
    // What had come before it is not judged by it.
    bench.forget_sights()?;
    if trial.fault != Fault::HalfOpen {
        // The device comes again, by the way that is bad now.
        bench.serve_as(cloud, Front::HangUp, Trade::Broker(BrokerConduct::Proper))?;
        bench.serve_as(cloud, Front::Tls(Certificate::Good), Trade::Broker(BrokerConduct::Proper))?;
        let wanted = |s: &Seen| declared.here(s) && matches!(s.sight, Sight::Dialled { .. });
        if bench.watch_for(declared.back, wanted)?.is_none() {
            return Err(Trouble::NoOpportunity(format!(
                "the device did not try to reach its service, so it is not known how it is when {}",
                trial.about
            )));
        }
        if trial.fault.takes_time() {
            // Connected or not: what matters here is what else the device does meanwhile.
            bench.watch_for(10 * LATE, |s| declared.here(s) && matches!(s.sight, Sight::Published { .. }))?;
        }
    }
    let mut wrong = Vec::new();
    let told = matches!(bench.perform(&declared.event, &[("value", value)]), Ok(Did::Done { .. }));
    for look in 0..LOOKS {
        if answers(bench, &declared.function)?.is_none() {
            wrong.push(format!("no answer of the local function {:?} after the news", trial.lasts / LOOKS * look));
            break;
        }
        bench.watch(trial.lasts / LOOKS)?;
    }
    bench.drain()?;
    if bench.boots_seen() != boots {
        wrong.push("the device started anew".to_owned());
    }
    was_there(bench, declared, trial, before)?;
    bench.disturb(cloud, None)?;
    if !told && wrong.is_empty() {
        wrong.push("what is news could not be done on the device's own interface".to_owned());
    }
    if !wrong.is_empty() {
        return Ok(wrong);
    }
    if declared.arrivals(bench, value).is_empty() {
        let wanted = declared.topic.clone();
        bench.watch_for(declared.back, |s| matches!(&s.sight, Sight::Published { topic, .. } if *topic == wanted))?;
    }
    // A second one would come with the next connection or the next report.
    bench.watch(Duration::from_secs(180))?;
    let arrivals = declared.arrivals(bench, value);
    if arrivals.is_empty() {
        wrong.push(format!("the news did not arrive within {:?}", declared.back));
    }
    if let Some(n) = arrivals.values().find(|n| **n > 1) {
        wrong.push(format!("the news arrived {n} times on one connection"));
    }
    Ok(wrong)
}

/// That the way was as bad as it was to be. What it was not, says nothing about the device.
fn was_there(bench: &Bench, declared: &Declared, trial: &Trial, before: Option<u64>) -> Result<(), Trouble> {
    let here = || bench.sights().iter().filter(|s| declared.here(s));
    let on = |conn: u64, wanted: fn(&Sight) -> bool| here().find(|s| s.conn == conn && wanted(&s.sight)).map(|s| s.at);
    let connects = || here().filter(|s| matches!(s.sight, Sight::Connect { .. }));
    let failed = |what: String| Err(Trouble::RigFault(format!("it was to be so that {}, and {what}", trial.about)));
    match trial.fault {
        Fault::Delay(_) | Fault::Loss { .. } => {
            let dialled = |conn| on(conn, |s| matches!(s, Sight::Dialled { .. }));
            let quick = connects().find(|s| dialled(s.conn).is_none_or(|at| s.at.since(at) < LATE));
            quick.map_or(Ok(()), |s| failed(format!("the device had connected at {:?} without waiting", s.at)))
        }
        Fault::HalfOpen => {
            let heard = here().find(|s| Some(s.conn) == before);
            heard.map_or(Ok(()), |s| failed(format!("{:?} came on that connection", s.sight)))
        }
        Fault::Corrupt { .. } => connects().next().map_or(Ok(()), |s| failed(format!("the device had connected at {:?}", s.at))),
        Fault::CutAfter(_) => Ok(()),
    }
}
