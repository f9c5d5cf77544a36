//! What is sent before the owner said yes, after he said no, and what is in it.
//!
//! Purpose: 6-2-2 a (consent is obtained as declared), 6-3-2 a (it can be withdrawn), 6-5-2 b (what is collected is what is said). Procedure, per row of
//! 24-TelData with a consent: hours on the network without an owner, with one who said no, with one who said yes, after he changed his mind, over restart and
//! outage; the fields of every report against the row. Verdict: VIOLATED by a report that comes without consent, goes on after its withdrawal, or holds a field
//! that is not documented. Control: with consent reports come, in the declared time.

use super::{BUDGET, NEEDS};
use crate::report::{Report, each_row};
use proofbench_channel::network::Sight;
use proofbench_model::bind::{ConsentBind, TelBind};
use proofbench_model::dossier::Row;
use proofbench_runner::bench::Did;
use proofbench_runner::{Bench, Check, Permission, Trouble};
use std::collections::BTreeSet;
use std::time::Duration;

const OBTAINED: &str = "6-2-2 a";
const WITHDRAW: &str = "6-3-2 a";
const STATED: &str = "6-5-2 b";

fn consented(row: &Row) -> bool {
    row.tel().is_some_and(|t| t.consent.is_some())
}

/// Row 69.
pub const ASKED: Check = Check {
    id: "consent/asked-first",
    title: "no telemetry before the owner agreed, none if he refused",
    units: &[OBTAINED],
    // The unit is about personal data in general (21-PersData); what a bench can watch is in 24-TelData.
    table: None,
    row_wanted: None,
    needs: NEEDS,
    permissions: &[],
    defects: &["telemetry-without-consent", "consent-no-ignored"],
    twins: &["slow-boot", "noisy-log", "time-asked-twice", "event-after-pause"],
    control: "with consent reports come in the declared time",
    budget: BUDGET,
    run: |bench| each_consent(bench, asked),
};

/// Rows 70 and 71.
pub const WITHDRAWN: Check = Check {
    id: "consent/withdrawn",
    title: "after the owner withdrew nothing is sent any more, whatever happens to the device",
    units: &[WITHDRAW],
    // The unit is about personal data in general (21-PersData); what a bench can watch is in 24-TelData.
    table: None,
    row_wanted: None,
    needs: NEEDS,
    permissions: &[Permission::PowerCut],
    defects: &["withdrawal-in-ram", "withdrawal-ignored", "consent-without-time"],
    twins: &["slow-boot", "withdrawal-message", "session-short"],
    control: "reports came before the withdrawal, and come again after consent is given anew",
    budget: BUDGET,
    run: |bench| each_consent(bench, withdrawn),
};

/// Row 72.
pub const FIELDS: Check = Check {
    id: "consent/documented-fields",
    title: "telemetry holds what is documented and nothing else",
    units: &[STATED],
    table: Some(24),
    row_wanted: Some(|row| row.tel().is_some()),
    needs: NEEDS,
    permissions: &[],
    defects: &["telemetry-neighbours"],
    twins: &["slow-boot", "event-after-pause"],
    control: "reports with the documented fields were seen",
    budget: BUDGET,
    run: |bench| each_row(bench, &[STATED], fields),
};

struct Telemetry {
    topic: String,
    bind: TelBind,
    consent: Option<ConsentBind>,
}

impl Telemetry {
    fn of(bench: &Bench, row: &Row) -> Result<Self, Trouble> {
        let bind = row.tel().cloned().ok_or_else(|| Trouble::IxitMissing("a binding of 24-TelData".to_owned()))?;
        let serial = &bench.dossier().device.sample.serial;
        Ok(Self { topic: bind.place.replace("{serial}", serial), consent: bind.consent.clone(), bind })
    }
    fn every(&self) -> Duration {
        Duration::from_millis(self.bind.every_ms)
    }
    /// Reports among what was seen since it was last forgotten.
    fn count(&self, bench: &Bench) -> usize {
        bench.sights().iter().filter(|s| matches!(&s.sight, Sight::Published { topic, .. } if *topic == self.topic)).count()
    }
    /// Waits for one report, and for the connection that it takes.
    fn comes(&self, bench: &mut Bench) -> Result<bool, Trouble> {
        let topic = self.topic.clone();
        let most = Duration::from_secs(1200) + self.every() * 3;
        Ok(bench.watch_for(most, |s| matches!(&s.sight, Sight::Published { topic: t, .. } if *t == topic))?.is_some())
    }
    /// Reports over many times their period, and since what was seen was last forgotten.
    fn over_hours(&self, bench: &mut Bench) -> Result<usize, Trouble> {
        bench.watch(self.every() * 60)?;
        Ok(self.count(bench))
    }
    fn consent(&self) -> Result<ConsentBind, Trouble> {
        self.consent.clone().ok_or_else(|| Trouble::IxitMissing("`consent` of a row of 24-TelData".to_owned()))
    }
}

/// That the device publishes anything at all: silence of a device that is not connected says nothing about its telemetry.
fn talks(bench: &Bench) -> Result<(), Trouble> {
    match bench.sights().iter().any(|s| matches!(s.sight, Sight::Published { .. })) {
        true => Ok(()),
        false => Err(Trouble::NoOpportunity("the device published nothing: its telemetry had no way".to_owned())),
    }
}

pub(super) fn carried_out(bench: &mut Bench, action: &proofbench_model::bind::Action, what: &str) -> Result<(), Trouble> {
    match bench.perform(action, &[])? {
        Did::Done { .. } => Ok(()),
        other => Err(Trouble::Precondition(format!("{what} was not done: {other:?}"))),
    }
}

/// Carries out `judge` for each kind of telemetry that needs a consent.
fn each_consent(bench: &mut Bench, judge: fn(&mut Bench, &Row) -> Result<(), Trouble>) -> Result<(), Trouble> {
    let rows: Vec<Row> = bench.dossier().ixit.rows(24).iter().filter(|r| consented(r)).cloned().collect();
    if rows.is_empty() {
        return Err(Trouble::IxitMissing("a row of 24-TelData with a consent".to_owned()));
    }
    rows.iter().try_for_each(|row| judge(bench, row))
}

fn asked(bench: &mut Bench, row: &Row) -> Result<(), Trouble> {
    let telemetry = Telemetry::of(bench, row)?;
    let consent = telemetry.consent()?;
    bench.serve_declared()?;
    bench.net_up()?;
    let mut unasked = Vec::new();
    bench.forget_sights()?;
    if telemetry.over_hours(bench)? > 0 {
        unasked.push("before there was an owner".to_owned());
    }
    // The answer of set-up that says no: the one that is not what the consent reads when it is given.
    let refusal = consent.decision.as_ref().and_then(|d| {
        let rows = bench.dossier().ixit.rows(26);
        let options = rows.iter().find(|r| r.id.row == *d).and_then(|r| r.dec()).map(|d| d.options.clone())?;
        options.into_iter().find(|o| Some(o) != consent.given.as_ref()).map(|o| (d.clone(), o))
    });
    let answers: Vec<(&str, &str)> = refusal.iter().map(|(d, o)| (d.as_str(), o.as_str())).collect();
    bench.forget_sights()?;
    bench.set_up(&answers)?;
    let reports = telemetry.over_hours(bench)?;
    talks(bench)?;
    if reports > 0 {
        unasked.push(format!("{reports} times although the owner refused at set-up"));
    }
    carried_out(bench, &consent.give, "consent")?;
    bench.forget_sights()?;
    if !telemetry.comes(bench)? {
        return Err(Trouble::NoOpportunity("no report came with consent either".to_owned()));
    }
    bench.strength(format!("{:?} before set-up and as long after a refusal", telemetry.every() * 60));
    let expected = "telemetry is sent after consent only";
    match unasked.is_empty() {
        true => bench.satisfied(OBTAINED, None, expected, "no report before consent, reports after it"),
        false => bench.violated(OBTAINED, None, expected, &format!("reports were sent {}", unasked.join("; "))),
    }
    Ok(())
}

fn withdrawn(bench: &mut Bench, row: &Row) -> Result<(), Trouble> {
    let telemetry = Telemetry::of(bench, row)?;
    let consent = telemetry.consent()?;
    bench.at_home()?;
    carried_out(bench, &consent.give, "consent")?;
    if !telemetry.comes(bench)? {
        return Err(Trouble::NoOpportunity("no report came with consent".to_owned()));
    }
    carried_out(bench, &consent.withdraw, "withdrawal")?;
    bench.sleep(Duration::from_millis(consent.stops_within_ms))?;
    let mut wrong = Vec::new();
    for after in ["the withdrawal", "a power cut", "an outage"] {
        // Not after the link is back: a backlog comes at once.
        bench.forget_sights()?;
        match after {
            "a power cut" => {
                bench.power_cycle()?;
                bench.net_up()?;
            }
            "an outage" => {
                bench.net_down()?;
                bench.sleep(Duration::from_secs(600))?;
                bench.net_up()?;
            }
            _ => {}
        }
        let reports = telemetry.over_hours(bench)?;
        talks(bench)?;
        if reports > 0 {
            wrong.push(format!("{reports} reports after {after}"));
        }
    }
    if let Some(when) = &consent.when
        && let Did::Done { value: Some(at), .. } = bench.perform(when, &[])?
        && at.parse::<u64>().is_ok_and(|s| s < YEAR_2020_S)
    {
        wrong.push(format!("the record of the decision bears no time ({at})"));
    }
    carried_out(bench, &consent.give, "consent")?;
    bench.forget_sights()?;
    if !telemetry.comes(bench)? {
        return Err(Trouble::NoOpportunity("no report came when consent was given anew".to_owned()));
    }
    bench.strength(format!("{:?} after withdrawal, after a power cut, and after an outage", telemetry.every() * 60));
    let expected = "nothing is sent after the withdrawal, and the decision is recorded with its time";
    match wrong.is_empty() {
        true => bench.satisfied(WITHDRAW, None, expected, "no report until consent was given anew"),
        false => bench.violated(WITHDRAW, None, expected, &wrong.join("; ")),
    }
    Ok(())
}

/// A decision of a device whose clock was set is not older.
const YEAR_2020_S: u64 = 1_577_836_800;

fn fields(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let telemetry = Telemetry::of(bench, row)?;
    bench.at_home()?;
    if let Some(consent) = &telemetry.consent {
        carried_out(bench, &consent.give, "consent")?;
    }
    bench.forget_sights()?;
    bench.watch(Duration::from_secs(1200) + telemetry.every() * 10)?;
    let (mut seen, mut inner) = (BTreeSet::new(), BTreeSet::new());
    let mut reports = 0u32;
    for s in bench.sights() {
        let Sight::Published { topic, payload, .. } = &s.sight else { continue };
        if *topic != telemetry.topic {
            continue;
        }
        reports += 1;
        match serde_json::from_slice(payload) {
            Ok(serde_json::Value::Object(map)) => {
                map.iter().for_each(|(key, value)| within(key, value, NESTED_MOST, &mut inner));
                seen.extend(map.keys().cloned());
            }
            _ => drop(seen.insert("(no JSON object)".to_owned())),
        }
    }
    if reports == 0 {
        return Err(Trouble::NoOpportunity("no report was seen".to_owned()));
    }
    let documented: BTreeSet<String> = telemetry.bind.fields.iter().cloned().collect();
    let others: Vec<&String> = seen.difference(&documented).collect();
    let unsaid: Vec<&String> = inner.difference(&documented).collect();
    bench.strength(format!("{reports} reports"));
    let expected = "each report holds the documented fields and no other";
    match (others.is_empty(), unsaid.is_empty()) {
        (true, true) => report.satisfied(bench, STATED, expected, &format!("fields {seen:?}")),
        // The field is documented, and whether that means all that stands in it is not for a bench to say.
        (true, false) => return Err(Trouble::IxitAmbiguous(format!("documented fields hold fields of their own: {unsaid:?}"))),
        (false, _) => report.violated(bench, STATED, expected, &format!("not documented: {others:?}")),
    }
    Ok(())
}

/// Deepest nesting that is looked into; serde_json itself stops at 128.
const NESTED_MOST: u32 = 16;

/// Names of the fields inside a value, as `outer.inner`.
fn within(name: &str, value: &serde_json::Value, depth: u32, out: &mut BTreeSet<String>) {
    if depth == 0 {
        return;
    }
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                let name = format!("{name}.{key}");
                within(&name, value, depth - 1, out);
                out.insert(name);
            }
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| within(name, value, depth - 1, out)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_inside_fields_are_named_with_the_way_to_them() {
        let value = serde_json::json!({ "lat": 1, "near": [{ "ssid": "a" }, { "ssid": "b", "level": 3 }] });
        let mut out = BTreeSet::new();
        within("place", &value, NESTED_MOST, &mut out);
        assert_eq!(out.into_iter().collect::<Vec<_>>(), ["place.lat", "place.near", "place.near.level", "place.near.ssid"]);
    }
}
