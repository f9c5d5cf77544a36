//! The local function goes on, and news arrive once.
//!
//! Purpose: 5.9-1-2 a and 5.9-2-2 a, per row of 23-ResMech against an outage of the network. Procedure: link down, resolver dead, services that refuse, are
//! silent, hang up, stall, do not answer; in each the declared local function is asked again and again, and one act whose news the service must learn is done;
//! then everything comes back. Verdict: VIOLATED if the local function does not answer, if the device starts anew, if the news do not arrive in the declared time, or
//! arrive more than once. Control: the local function and the news work before the outage, and the services were unreachable during it.

use super::{BUDGET, NEEDS};
use crate::report::{Report, each_row};
use proofbench_channel::network::{BrokerConduct, Certificate, Front, Sight, Trade};
use proofbench_model::bind::{Action, ComBind, ResBind};
use proofbench_model::dossier::Row;
use proofbench_runner::bench::{Did, resolver};
use proofbench_runner::{Bench, Check, Trouble};
use std::time::Duration;

pub(super) const NETWORK: &str = "5.9-1-2 a";
pub(super) const GOES_ON: &str = "5.9-2-2 a";

/// Row 64.
pub const LOCAL: Check = Check {
    id: "outage/local-function",
    title: "without network or services the local function goes on, and news arrive once afterwards",
    units: &[NETWORK, GOES_ON],
    table: Some(23),
    row_wanted: Some(|row| row.res().is_some_and(|r| r.outage == "network" && r.local.is_some())),
    needs: NEEDS,
    permissions: &[],
    defects: &["hangs-without-names", "restarts-without-cloud", "event-lost", "event-twice"],
    twins: &["event-repeated-until-acknowledged", "slow-boot", "event-after-pause", "time-asked-twice", "net-log"],
    control: "local function and news work before the outage, and the services were unreachable during it",
    budget: BUDGET,
    run: |bench| each_row(bench, &[NETWORK, GOES_ON], local),
};

/// What is wrong with the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outage {
    Link,
    Names,
    Service(Front),
    NoConnack,
}

const OUTAGES: [Outage; 7] = [
    Outage::Link,
    Outage::Names,
    Outage::Service(Front::Refuse),
    Outage::Service(Front::Silent),
    Outage::Service(Front::HangUp),
    Outage::Service(Front::Stall),
    Outage::NoConnack,
];
/// How long each lasts, and how often the local function is asked meanwhile.
const LASTS: Duration = Duration::from_secs(1200);
const LOOKS: u32 = 12;

fn local(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let Some(bind) = row.res().cloned() else { return Ok(()) };
    let (Some(function), Some(event), Some(topic)) = (bind.local.clone(), bind.event.clone(), bind.event_topic.clone()) else {
        return Err(Trouble::IxitMissing("`local`, `event` and `event-topic` of a mechanism against network outage".to_owned()));
    };
    let topic = topic.replace("{serial}", &bench.dossier().device.sample.serial.clone());
    let back = Duration::from_millis(bind.recovers_within_ms.unwrap_or(600_000));
    bench.at_home()?;
    let cloud = bench.clients().into_iter().map(|(_, c)| c).find(|c| c.protocol == "mqtt");
    let cloud = cloud.ok_or_else(|| Trouble::IxitMissing("a client of 11-ComMech that carries the news".to_owned()))?;
    answers(bench, &function)?.ok_or_else(|| Trouble::NoOpportunity("the local function does not answer before the outage".to_owned()))?;
    online(bench, back)?.ok_or_else(|| Trouble::NoOpportunity("the device does not reach its service before the outage".to_owned()))?;
    let values = values(&bind)?;
    let (mut stopped, mut news) = (Vec::new(), Vec::new());
    for (n, outage) in OUTAGES.iter().enumerate() {
        let value = values[n % values.len()].as_str();
        begin(bench, &cloud, *outage)?;
        let boots = bench.boots_seen();
        bench.forget_sights()?;
        let mut told = false;
        for look in 0..LOOKS {
            bench.watch(LASTS / LOOKS)?;
            if answers(bench, &function)?.is_none() {
                stopped.push(format!("no answer of the local function after {:?} of {outage:?}", LASTS / LOOKS * (look + 1)));
                break;
            }
            // The act needs a way to the device: with the link down it is done on the console, or not at all.
            if look == LOOKS / 2 && *outage != Outage::Link {
                told = matches!(bench.perform(&event, &[("value", value)])?, Did::Done { .. });
            }
        }
        bench.drain()?;
        if bench.boots_seen() != boots {
            stopped.push(format!("the device started anew during {outage:?}"));
        }
        if let Some(s) = bench.sights().iter().find(|s| matches!(s.sight, Sight::Published { .. })) {
            return Err(Trouble::RigFault(format!("{outage:?} was to keep the device from its service, and it published to {}", s.host)));
        }
        bench.forget_sights()?;
        end(bench, &cloud, *outage)?;
        if !told {
            online(bench, back)?;
            continue;
        }
        let wanted = topic.clone();
        let arrived = bench.watch_for(back, |s| matches!(&s.sight, Sight::Published { topic, .. } if *topic == wanted))?;
        // A second one would come with the next connection or the next report.
        bench.watch(Duration::from_secs(180))?;
        let count = arrivals(bench, &topic, value);
        match (arrived, count) {
            (None, _) | (_, 0) => news.push(format!("the news of {outage:?} did not arrive within {back:?}")),
            (Some(_), 1) => {}
            (Some(_), n) => news.push(format!("the news of {outage:?} arrived {n} times")),
        }
    }
    bench.strength(format!("{} kinds of outage of {LASTS:?}, the local function asked {LOOKS} times in each", OUTAGES.len()));
    let mut wrong = stopped.clone();
    wrong.extend(news);
    let expected = "the local function answers throughout, the device does not start anew, news arrive once when the network is back";
    for unit in [NETWORK, GOES_ON] {
        match wrong.is_empty() {
            true => report.satisfied(bench, unit, expected, "so it was in every outage"),
            false => report.violated(bench, unit, expected, &wrong.iter().take(4).cloned().collect::<Vec<_>>().join("; ")),
        }
    }
    Ok(())
}

/// Values of news that differ from one another.
pub(super) fn values(bind: &ResBind) -> Result<Vec<String>, Trouble> {
    let distinct: std::collections::BTreeSet<&String> = bind.event_values.iter().collect();
    match distinct.len() >= 2 {
        true => Ok(bind.event_values.clone()),
        false => Err(Trouble::IxitMissing("`event-values`, at least two, of a mechanism against network outage".to_owned())),
    }
}

/// How often these news arrived; what was sent again on a connection that had not acknowledged it is counted once.
fn arrivals(bench: &Bench, wanted: &str, value: &str) -> usize {
    let here = bench.sights().iter().filter_map(|s| match &s.sight {
        Sight::Published { topic, payload, .. } if topic == wanted && String::from_utf8_lossy(payload).contains(value) => Some(s.conn),
        _ => None,
    });
    here.count()
}

/// Whether the local function answers.
pub(super) fn answers(bench: &mut Bench, function: &Action) -> Result<Option<()>, Trouble> {
    match bench.perform(function, &[]) {
        Ok(did) => Ok(did.is_done().then_some(())),
        // Asking may need a session first, which a dead device does not give.
        Err(Trouble::Unreachable(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Waits until the device publishes to its service.
pub(super) fn online(bench: &mut Bench, within: Duration) -> Result<Option<()>, Trouble> {
    Ok(bench.watch_for(within, |s| matches!(s.sight, Sight::Published { .. }))?.map(|_| ()))
}

fn begin(bench: &mut Bench, cloud: &ComBind, outage: Outage) -> Result<(), Trouble> {
    let broker = Trade::Broker(BrokerConduct::Proper);
    match outage {
        Outage::Link => bench.net_down(),
        Outage::Names => {
            bench.serve(&resolver(false))?;
            // What is connected needs no name: it is cut off first.
            bench.serve_as(cloud, Front::HangUp, broker.clone())?;
            bench.serve_as(cloud, Front::Tls(Certificate::Good), broker)
        }
        Outage::Service(front) => {
            bench.serve_as(cloud, Front::HangUp, broker.clone())?;
            bench.serve_as(cloud, front, broker)
        }
        Outage::NoConnack => {
            bench.serve_as(cloud, Front::HangUp, broker)?;
            bench.serve_as(cloud, Front::Tls(Certificate::Good), Trade::Broker(BrokerConduct::NoConnack))
        }
    }
}

fn end(bench: &mut Bench, cloud: &ComBind, outage: Outage) -> Result<(), Trouble> {
    if outage == Outage::Link {
        return bench.net_up();
    }
    bench.serve(&resolver(true))?;
    let broker = Trade::Broker(BrokerConduct::Proper);
    bench.serve_as(cloud, Front::HangUp, broker.clone())?;
    bench.serve_as(cloud, Front::Tls(Certificate::Good), broker)
}
