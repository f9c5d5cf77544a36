//! Sensors that nobody documented.
//!
//! Purpose: 5.8-3-1 c (the device has no sensor that is not documented). Procedure: the device's own list of sensors, the names of fields in what its interface
//! answers the owner and in what it tells its services, against the names of 22-ExtSens. Verdict: VIOLATED by an entry of the list that is neither a
//! documented sensor nor declared as not fitted, or by a field that is called like a reading of a sensor that is not documented. Control: each documented
//! sensor shows in the same places. A sensor that the device does not speak of is found by opening it, which is a person's work.

use super::BUDGET;
use proofbench_channel::network::Sight;
use proofbench_runner::bench::HttpSeen;
use proofbench_runner::{Bench, Capability, Check, Trouble};
use std::collections::BTreeSet;
use std::time::Duration;

const C: &str = "5.8-3-1 c";

/// Row 68.
pub const SENSORS: Check = Check {
    id: "exposure/sensors",
    title: "the device speaks of no sensor that is not documented",
    units: &[C],
    // The unit is about what 22-ExtSens lacks: no row of it, and a table that is declared empty is looked at as well.
    table: None,
    row_wanted: None,
    needs: &[Capability::Console, Capability::Power, Capability::Network],
    permissions: &[],
    defects: &["microphone-listed", "presence-in-report"],
    twins: &["footprint-named", "slow-boot", "session-short", "noisy-log", "event-repeated-until-acknowledged"],
    control: "each documented sensor shows in the same places",
    budget: BUDGET,
    run: sensors,
};

/// Words that are readings of sensors where they stand in the name of a field.
const READINGS: &[&str] = &[
    "microphone",
    "mic",
    "audio",
    "sound",
    "noise",
    "loudness",
    "camera",
    "video",
    "presence",
    "occupancy",
    "motion",
    "pir",
    "radar",
    "humidity",
    "pressure",
    "co2",
    "voc",
    "lux",
    "illuminance",
    "accelerometer",
    "gyroscope",
    "magnetometer",
    "gps",
    "latitude",
    "longitude",
    "smoke",
    "temperature",
    "heartrate",
];
/// How long the device's reports are listened to.
const LISTEN: Duration = Duration::from_secs(900);
/// Names of fields that are looked at.
const FIELDS_MOST: usize = 4096;

/// The names of all fields of a JSON text; none of one that is no JSON.
fn fields(text: &[u8], into: &mut BTreeSet<String>) {
    let mut open: Vec<serde_json::Value> = serde_json::from_slice(text).into_iter().collect();
    // Each turn takes one value of a finite text.
    while let Some(value) = open.pop() {
        match value {
            serde_json::Value::Object(map) => {
                for (name, inner) in map {
                    if into.len() < FIELDS_MOST {
                        into.insert(name.to_lowercase());
                    }
                    open.push(inner);
                }
            }
            serde_json::Value::Array(list) => open.extend(list),
            _ => {}
        }
    }
}

/// The word in this name that is a reading of a sensor.
fn reading(field: &str) -> Option<&'static str> {
    let words: Vec<&str> = field.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    READINGS.iter().copied().find(|r| words.contains(r))
}

fn sensors(bench: &mut Bench) -> Result<(), Trouble> {
    let rows: Vec<_> = bench.dossier().ixit.rows(22).iter().filter_map(|r| r.sens().cloned()).collect();
    let unnamed = bench.dossier().ixit.rows(22).len() - rows.len();
    let documented: BTreeSet<String> = rows.iter().flat_map(|s| &s.names).map(|n| n.to_lowercase()).collect();
    let not_fitted: BTreeSet<String> = rows.iter().flat_map(|s| &s.not_fitted).cloned().collect();
    if unnamed > 0 {
        return Err(Trouble::IxitMissing(format!("`names` of {unnamed} rows of 22-ExtSens: what the device calls these sensors is not known")));
    }
    bench.at_home()?;
    let mut shown = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut places = Vec::new();
    if bench.can_ask("sensors") {
        let list = bench.ask("sensors")?;
        places.push("the device's own list");
        for entry in list.split(',').map(str::trim).filter(|e| !e.is_empty() && !not_fitted.contains(*e)) {
            shown.insert(entry.to_lowercase());
            if !documented.contains(&entry.to_lowercase()) {
                wrong.push(format!("the device's own list names `{}`", crate::text::shown(entry.as_bytes(), 40)));
            }
        }
    }
    let mut named = BTreeSet::new();
    let reads: Vec<_> = bench
        .dossier()
        .ixit
        .rows(13)
        .iter()
        .filter_map(|r| r.serv())
        .flat_map(|s| s.functions.clone())
        .filter(|f| f.request.method == "GET" && !f.destructive)
        .collect();
    for f in &reads {
        let session = if f.role == "anybody" { None } else { Some(bench.web_session()?) };
        let params: Vec<(&str, &str)> = session.iter().map(|s| ("session", s.as_str())).collect();
        if let HttpSeen::Answer(a) = bench.http(&f.request, &params)? {
            fields(&a.body, &mut named);
        }
    }
    if !named.is_empty() {
        places.push("the local interface");
    }
    bench.forget_sights()?;
    bench.watch(LISTEN)?;
    let before = named.len();
    let mut reports = 0u32;
    for s in bench.sights() {
        match &s.sight {
            Sight::Published { payload, .. } => {
                reports += 1;
                fields(payload, &mut named);
            }
            Sight::Request { body, .. } => fields(body, &mut named),
            _ => {}
        }
    }
    if reports > 0 || named.len() > before {
        places.push("reports to its services");
    }
    for field in &named {
        shown.insert(field.clone());
        if let Some(word) = reading(field)
            && !documented.iter().any(|d| field.contains(d.as_str()) || d == word)
        {
            wrong.push(format!("a field is called `{}`", crate::text::shown(field.as_bytes(), 40)));
        }
    }
    bench.strength(format!("{} fields of {} requests and {reports} reports; looked at: {}", named.len(), reads.len(), places.join(", ")));
    let expected = "the device speaks of documented sensors only";
    if !wrong.is_empty() {
        wrong.truncate(6);
        bench.violated(C, None, expected, &wrong.join("; "));
        return Ok(());
    }
    if reports == 0 && bench.clients().iter().any(|(_, c)| c.protocol == "mqtt" && c.host.is_some()) {
        return Err(Trouble::NoOpportunity(format!("no report to a service was seen in {LISTEN:?}: what the device tells there is not known")));
    }
    if let Some(name) = documented.iter().find(|name| !shown.iter().any(|s| s.contains(name.as_str()))) {
        return Err(Trouble::NoOpportunity(format!("the documented sensor `{name}` does not show either, where sensors were looked for")));
    }
    if places.is_empty() {
        return Err(Trouble::NoOpportunity("the device spoke of nothing at all, where sensors were looked for".to_owned()));
    }
    let names: Vec<&str> = documented.iter().map(String::as_str).collect();
    bench.satisfied(C, None, expected, &format!("of sensors it spoke of {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_depth_are_named_and_text_that_is_no_json_has_none() {
        let mut seen = BTreeSet::new();
        fields(br#"{"A":[{"sound-level":1}],"b":{"c":null}}"#, &mut seen);
        assert_eq!(seen, ["a", "b", "c", "sound-level"].map(str::to_owned).into());
        fields(b"A: b", &mut seen);
        assert_eq!(seen.len(), 4);
    }

    #[test]
    fn a_reading_is_a_whole_word_of_the_name() {
        assert_eq!(reading("sound-level"), Some("sound"));
        assert_eq!(reading("room_presence"), Some("presence"));
        assert_eq!(reading("dynamic"), None);
        assert_eq!(reading("soundtrack"), None);
    }
}
