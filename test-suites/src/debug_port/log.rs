//! Key material in the boot log: a canary is given to a secret store, and then every boot is listened to.

use super::BUDGET;
use crate::report::{Report, each_row};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use proofbench_model::dossier::Row;
use proofbench_runner::bench::Did;
use proofbench_runner::{Bench, Capability, Check, Trouble};
use std::fmt::Write as _;

/// Signs that a declared protection of a secret is missing.
const PROTECTED: &str = "5.4-1-2 a";
const UNITS: &[&str] = &[PROTECTED];
const EXPECTED: &str = "no secret parameter appears on the console, in any boot";

pub(super) const BOOT_LOG: Check = Check {
    id: "debug-port/boot-log",
    title: "no boot log shows a secret parameter, plain, encoded or reversed",
    units: UNITS,
    table: Some(10),
    row_wanted: Some(sealed_secret),
    needs: &[Capability::Console, Capability::Power],
    permissions: &[],
    defects: &["boot-log-key"],
    twins: &["masked-key-log", "noisy-log"],
    control: "the store says that it took the canary; the boots listened to are new ones, seen whole from boot line to ready line",
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, judge),
};

/// A secret that the rig can choose and that is not the way in itself. A hash has nothing to show.
fn sealed_secret(row: &Row) -> bool {
    row.store().is_some_and(|s| s.kind == "secret" && s.set.is_some() && s.scheme != "hashed")
}

fn judge(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let set = row.store().and_then(|s| s.set.clone()).ok_or_else(|| Trouble::IxitMissing(format!("a `set` in the binding of {}", row.id)))?;
    bench.power_cycle()?;
    let canary = canary(bench.seed());
    match bench.perform(&set, &[("value", &canary)])? {
        Did::Done { .. } => {}
        other => return Err(Trouble::Precondition(format!("{} did not take the canary: {other:?}", row.id))),
    }
    // What was typed came back as echo; only what comes from here on counts.
    let forms = forms(&canary);
    let mut heard = 0;
    for (what, boot) in [("a power cycle", true), ("a restart", false), ("a second power cycle", true)] {
        bench.drain()?;
        let log = if boot { bench.power_cycle()?.log } else { bench.reboot()?.log };
        let tail = bench.drain()?;
        let mut text = log.join("\n");
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(&tail));
        heard += text.len();
        bench.evidence(&format!("log after {what}.txt"), text.as_bytes());
        if let Some((form, _)) = forms.iter().find(|(_, f)| contains(&text, f)) {
            let observed = format!("the log after {what} shows the canary of {} ({form})", row.id);
            report.violated(bench, PROTECTED, EXPECTED, &observed);
            return Ok(());
        }
    }
    report.satisfied(bench, PROTECTED, EXPECTED, &format!("3 boots, {heard} bytes of log, {} spellings of the canary looked for", forms.len()));
    Ok(())
}

/// 20 characters that nothing else prints.
fn canary(seed: u64) -> String {
    let mut text = String::from("Cnry");
    let _ = write!(text, "{:016x}", seed ^ 0x9E37_79B9_7F4A_7C15);
    text
}

fn contains(text: &str, form: &str) -> bool {
    text.contains(form)
}

fn forms(canary: &str) -> Vec<(&'static str, String)> {
    let hex = |sep: &str| canary.bytes().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(sep);
    // Base64 of a string inside other data: the groups that do not depend on the neighbours, at each of three offsets.
    let shifted = |skip: usize| {
        let bytes = &canary.as_bytes()[skip..];
        STANDARD_NO_PAD.encode(&bytes[..bytes.len() / 3 * 3])
    };
    vec![
        ("plain", canary.to_owned()),
        ("most of it", canary[..canary.len() - 4].to_owned()),
        ("reversed", canary.chars().rev().collect()),
        ("hexadecimal", hex("")),
        ("hexadecimal, upper case", hex("").to_uppercase()),
        ("hexadecimal with spaces", hex(" ")),
        ("base64", STANDARD.encode(canary)),
        ("base64 for URLs", URL_SAFE_NO_PAD.encode(canary)),
        ("base64 inside", shifted(0)),
        ("base64 inside, one further", shifted(1)),
        ("base64 inside, two further", shifted(2)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canary_is_found_in_every_spelling_and_a_mask_is_not() {
        let canary = canary(7);
        let forms = forms(&canary);
        let seen = |text: &str| forms.iter().any(|(_, f)| contains(text, f));
        assert!(seen(&format!("NET wifi-key {canary}")));
        assert!(seen(&format!("nvs: {}", STANDARD.encode(format!("k={canary};")))));
        assert!(seen(&format!("nvs: {}", STANDARD.encode(format!("key={canary};")))));
        assert!(seen(&canary.chars().rev().collect::<String>()));
        assert!(!seen(&format!("NET wifi-key ****{}", &canary[canary.len() - 2..])));
        assert!(!seen("DBG ]]> <failure>&amp; \u{1b}[31mred"));
    }

    #[test]
    fn canaries_of_different_checks_differ() {
        assert_ne!(canary(1), canary(2));
    }
}
