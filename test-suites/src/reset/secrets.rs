//! Secrets at rest, and an identity that somebody tries to change.
//!
//! Purpose: 5.4-1-2 a (signs that a declared protection is missing) and 5.4-2-2 a (signs that the tamper protection of an identity is missing). The secret is
//! set twice: a device that protects the new value may have forgotten the old one in its flash. VIOLATED if either stands in a dump in any encoding
//! while the declaration says that it is sealed, hashed or elsewhere; if an identity changes by any attempt, at once or after a restart.

use super::canary::{self, Canary, text};
use super::search::{self, Needle};
use super::{BUDGET, state};
use crate::report::{Report, each_row};
use proofbench_model::bind::{Credential, StoreBind};
use proofbench_model::dossier::Row;
use proofbench_runner::bench::Did;
use proofbench_runner::{Bench, Capability, Check, Permission, Trouble};
use std::time::Duration;

const AT_REST: &str = "5.4-1-2 a";
const IDENTITY: &str = "5.4-2-2 a";

fn store_of_kind(row: &Row, kind: &str) -> bool {
    row.store().is_some_and(|s| s.kind == kind && s.set.is_some())
}

/// Row 32.
pub const SECRETS: Check = Check {
    id: "reset/secrets-at-rest",
    title: "a secret that was set does not stand in the flash, and neither does the one before it",
    units: &[AT_REST],
    table: Some(10),
    row_wanted: Some(|row| store_of_kind(row, "secret")),
    needs: &[Capability::Console, Capability::Power, Capability::Storage],
    permissions: &[],
    defects: &["secret-plain", "secret-old-copy", "secret-base64"],
    twins: &["password-hashed", "crypto-erase", "masked-key-log"],
    control: "a canary in a store declared plain is found by the same search in the same dump, or setting the secret changed the flash",
    budget: BUDGET,
    run: |bench| each_row(bench, &[AT_REST], secrets),
};

fn secrets(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let expected = "the secret stands in the flash only under its declared protection";
    let bind = row.store().cloned().ok_or_else(|| Trouble::IxitMissing(format!("binding of row {}", row.id)))?;
    let original = bench.credential().cloned();
    let before = dump(bench)?;
    state::wake(bench)?;
    let seed = bench.seed();
    let plain = plant_plain(bench, seed)?;
    let values = [text(seed, &format!("{} old", row.id)), text(seed, &format!("{} new", row.id))];
    let mut is_login = false;
    for value in &values {
        set(bench, &bind, value, row)?;
        is_login |= follow_login(bench, value)?;
    }
    let after = dump(bench)?;
    let needles: Vec<Needle> = ["the value before", "the value now"]
        .iter()
        .zip(&values)
        .map(|(n, v)| Needle { name: format!("{n} of {}", row.id), bytes: v.clone().into_bytes() })
        .collect();
    let hits = search::search(&after, &needles);
    let control = plain.as_ref().map(|p| search::search(&after, &[Needle { name: p.row.to_string(), bytes: p.value.clone().into_bytes() }]));
    let shown = control.as_ref().and_then(|hits| hits.iter().find(|h| h.whole)).map(|h| format!("control: {h}"));
    let changed = before != after;
    // The owner gets his password back: the next check starts from the label's.
    if is_login && let Some(original) = original {
        state::wake(bench)?;
        set(bench, &bind, &original.secret, row)?;
        bench.set_credential(original);
    }
    if shown.is_none() && !changed {
        return Err(Trouble::NoOpportunity(format!("{} was set twice and the flash did not change: it may be kept elsewhere", row.id)));
    }
    bench.strength(format!(
        "{} KiB searched for two values; {}",
        after.len() / 1024,
        shown.unwrap_or_else(|| "control: the flash changed".to_owned())
    ));
    if hits.is_empty() || bind.scheme == "plain" {
        report.satisfied(bench, AT_REST, expected, &format!("{}: declared `{}`, no value found", row.id, bind.scheme));
    } else {
        bench.evidence("flash.bin", &after);
        report.violated(bench, AT_REST, expected, &format!("declared `{}`, and the flash holds {}", bind.scheme, state::tell(&hits)));
    }
    Ok(())
}

fn dump(bench: &mut Bench) -> Result<Vec<u8>, Trouble> {
    state::dump(bench)?.ok_or(Trouble::Capability(Capability::Storage))
}

fn set(bench: &mut Bench, bind: &StoreBind, value: &str, row: &Row) -> Result<(), Trouble> {
    if bench.credential().is_none() && bench.bind().login.is_some() {
        return Err(Trouble::IxitMissing("[sample] label of device.toml".to_owned()));
    }
    let set = bind.set.as_ref().ok_or_else(|| Trouble::IxitMissing(format!("`set` of row {}", row.id)))?;
    match bench.perform(set, &[("value", value)])? {
        Did::Done { .. } => Ok(()),
        Did::Refused { text } => Err(Trouble::Precondition(format!("{} does not take `{value}`: {text}", row.id))),
        Did::Silent => Err(Trouble::Unreachable(format!("no answer when {} was set", row.id))),
    }
}

/// If what was set is the console's own password, sessions use it from now on. Says whether it is.
fn follow_login(bench: &mut Bench, value: &str) -> Result<bool, Trouble> {
    let Some(current) = bench.credential().cloned() else { return Ok(false) };
    if bench.bind().login.is_none() || state::try_login(bench, &current)? {
        return Ok(false);
    }
    let new = Credential { user: current.user, secret: value.to_owned() };
    if !state::try_login(bench, &new)? {
        return Err(Trouble::Precondition("after the secret was set neither the old nor the new one opens the console".to_owned()));
    }
    bench.set_credential(new);
    Ok(true)
}

/// A canary in a store that the supplier declares plain: it has to show in the flash.
fn plant_plain(bench: &mut Bench, seed: u64) -> Result<Option<Canary>, Trouble> {
    let rows = [10, 21].into_iter().flat_map(|t| bench.dossier().ixit.rows(t)).cloned().collect::<Vec<_>>();
    let Some(row) = rows.into_iter().find(|r| r.store().is_some_and(|s| s.scheme == "plain" && s.kind == "personal" && s.set.is_some())) else {
        return Ok(None);
    };
    let value = text(seed, "plain control");
    let bind = row.store().cloned().ok_or_else(|| Trouble::IxitMissing(format!("binding of row {}", row.id)))?;
    set(bench, &bind, &value, &row)?;
    Ok(Some(Canary { row: row.id, bind, value }))
}

/// Row 35.
pub const IDENTITIES: Check = Check {
    id: "reset/identity",
    title: "the identity of the unit cannot be changed",
    units: &[IDENTITY],
    table: Some(10),
    row_wanted: Some(|row| store_of_kind(row, "identity") && row.store().is_some_and(|s| s.get.is_some())),
    needs: &[Capability::Console, Capability::Power],
    permissions: &[],
    defects: &["serial-writable"],
    twins: &["silent-bad-command"],
    control: "the identity is the one of the sample before the attempts; another store takes a value by the same way",
    budget: BUDGET,
    run: |bench| each_row(bench, &[IDENTITY], identity),
};

fn identity(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    const EXPECTED: &str = "the identity stays what it is, or the device notices the attempt";
    let bind = row.store().cloned().ok_or_else(|| Trouble::IxitMissing(format!("binding of row {}", row.id)))?;
    let (Some(set), Some(get)) = (bind.set.clone(), bind.get.clone()) else {
        return Err(Trouble::IxitMissing(format!("`set` and `get` of {}", row.id)));
    };
    let sample = bench.dossier().device.sample.serial.clone();
    let before = canary::read(bench, &get, &row.id)?;
    let own = if before.contains(&sample) { Some(sample.clone()) } else { None };
    // The way itself works: a store that may be set takes a value.
    if plant_plain(bench, bench.seed())?.is_none() {
        return Err(Trouble::NoOpportunity("no other store can be set: a refusal would say nothing".to_owned()));
    }
    let mut attempts = Vec::new();
    for value in forged(&sample, bench.seed()) {
        let did = bench.perform(&set, &[("value", &value)])?;
        attempts.push(format!("{value}: {}", if did.is_done() { "said to be done" } else { "not done" }));
        for when in ["at once", "after a restart", "after a power cut"] {
            match when {
                "after a restart" => drop(bench.reboot()?),
                "after a power cut" => drop(bench.power_cycle()?),
                _ => {}
            }
            let now = canary::read(bench, &get, &row.id)?;
            if now.contains(&value) || own.as_ref().is_some_and(|own| !now.contains(own.as_str())) {
                report.violated(bench, IDENTITY, EXPECTED, &format!("{} set to {value}: {when} the device shows {}", row.id, now.trim()));
                return Ok(());
            }
        }
    }
    if let Some(what) = patched_from_outside(bench, row, &get, &sample)? {
        match what {
            Ok(seen) => attempts.push(seen),
            Err(wrong) => {
                report.violated(bench, IDENTITY, EXPECTED, &wrong);
                return Ok(());
            }
        }
    }
    report.satisfied(bench, IDENTITY, EXPECTED, &format!("{} attempts ({}): unchanged", attempts.len(), attempts.join("; ")));
    Ok(())
}

/// Values that look like the real one.
fn forged(sample: &str, seed: u64) -> Vec<String> {
    let mut neighbour = sample.to_owned();
    if let Some(last) = neighbour.pop() {
        neighbour.push(if last == '9' { '8' } else { '9' });
    }
    let tail = text(seed, "identity");
    let same_shape: String =
        sample.chars().zip(tail.chars().cycle()).map(|(c, r)| if c.is_ascii_digit() { char::from(b'0' + (r as u8) % 10) } else { c }).collect();
    let mut all = vec![neighbour, same_shape];
    all.retain(|v| v != sample);
    all.dedup();
    all
}

/// Writes another serial number over every copy that stands readable in the flash, where the rig can and may; the device must not take it on. The flash is put
/// back. None where this way is not open.
fn patched_from_outside(
    bench: &mut Bench,
    row: &Row,
    get: &proofbench_model::bind::Action,
    sample: &str,
) -> Result<Option<Result<String, String>>, Trouble> {
    if !(bench.has(Capability::Storage) && bench.granted(Permission::FlashWrite)) || sample.len() < 8 {
        return Ok(None);
    }
    let original = dump(bench)?;
    let hits = search::search(&original, &[Needle { name: "serial number".to_owned(), bytes: sample.as_bytes().to_vec() }]);
    let Some(forged) = forged(sample, bench.seed()).into_iter().next() else { return Ok(None) };
    let mut patched = original.clone();
    let mut places = 0;
    for hit in hits.iter().filter(|h| h.whole && h.encoding == search::Encoding::Raw) {
        patched[hit.offset..hit.offset + sample.len()].copy_from_slice(forged.as_bytes());
        places += 1;
    }
    if places == 0 {
        state::wake(bench)?;
        return Ok(Some(Ok("no readable copy in the flash".to_owned())));
    }
    let write = Duration::from_secs(120);
    let wait = bench.wait(write);
    bench.storage()?.write(0, &patched, &wait)?;
    bench.power_on()?;
    let ready = bench.try_ready(Duration::from_millis(bench.bind().recovery_within_ms))?;
    // A device that does not start has noticed.
    let shown = if ready.is_some() { Some(canary::read(bench, get, &row.id)?) } else { None };
    bench.power_off()?;
    let wait = bench.wait(write);
    bench.storage()?.write(0, &original, &wait)?;
    state::wake(bench)?;
    let back = canary::read(bench, get, &row.id)?;
    if !back.contains(sample) {
        return Err(Trouble::RigFault("the flash was put back and the identity is not what it was".to_owned()));
    }
    Ok(Some(match shown {
        Some(shown) if shown.contains(&forged) => Err(format!("{places} readable copies in the flash changed to {forged}: the device shows it")),
        Some(_) => Ok(format!("{places} readable copies in the flash changed: not taken on")),
        None => Ok(format!("{places} readable copies in the flash changed: the device does not start")),
    }))
}
