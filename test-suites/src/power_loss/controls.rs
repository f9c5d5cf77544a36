//! Negative controls: six devices that are broken on purpose, each of which the same campaign code must catch before its silence about the device on the
//! bench means anything. They are made once a run, on the built-in reference device, whatever the rig is.

use super::campaign::{self, Plan};
use super::explore::Limits;
use super::plans::Act;
use proofbench_runner::{Bench, Trouble};

/// A control: its name, the acts in which it must show, the worst of which is tried first.
const CONTROLS: [(&str, &[Act]); 6] = [
    ("swap-magic-nonatomic", &[Act::Swap, Act::Revert]),
    ("counter-early", &[Act::Swap, Act::Confirm]),
    ("no-flush-commit", &[Act::Settings, Act::UserData, Act::Counter]),
    ("report-before-commit", &[Act::Settings, Act::Confirm]),
    ("loader-static", &[Act::Swap, Act::Revert]),
    ("swap-in-place", &[Act::Swap]),
];

/// What came of one control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Its name.
    pub name: &'static str,
    /// What caught it, and where; none if nothing did.
    pub caught: Option<String>,
}

/// All six, in order. Made once, however many runs share the reference devices.
pub fn results(bench: &mut Bench) -> Result<Vec<Control>, Trouble> {
    bench.once_on_reference("power-loss/controls", |bench| {
        let mut out = Vec::with_capacity(CONTROLS.len());
        for (name, acts) in CONTROLS {
            let mut caught = None;
            for act in acts {
                caught = find(bench, name, *act)?;
                if caught.is_some() {
                    break;
                }
            }
            out.push(Control { name, caught });
        }
        Ok(out)
    })
}

/// [`Trouble::Harness`] if a control was not caught: then the campaign is void.
pub fn require(bench: &mut Bench) -> Result<String, Trouble> {
    let results = results(bench)?;
    let missed: Vec<&str> = results.iter().filter(|c| c.caught.is_none()).map(|c| c.name).collect();
    if !missed.is_empty() {
        return Err(Trouble::Harness(format!("negative control {} not caught: the campaign is void", missed.join(", "))));
    }
    let lines: Vec<String> = results.iter().map(|c| format!("{}: {}", c.name, c.caught.as_deref().unwrap_or_default())).collect();
    Ok(lines.join("\n"))
}

fn find(bench: &mut Bench, name: &'static str, act: Act) -> Result<Option<String>, Trouble> {
    let mut device = bench.reference(&[name])?;
    device.power_on()?;
    let within = std::time::Duration::from_millis(device.bind().recovery_within_ms);
    device.wait_ready(within)?;
    let plan = Plan { further: None, reset: None, ..act.plan(&mut device)? };
    let limits = Limits { images: 3_000, judgements: 300, twice_torn: 0, deep: 0, stop_at: 1, seed: device.seed(), ..Limits::default() };
    let outcome = campaign::run(&mut device, &plan, limits, None)?;
    // A witness that fails catches as well: it voids the campaign on such a device.
    let caught = outcome.explored.findings.first().or(outcome.explored.unwitnessed.first());
    Ok(caught.map(|l| format!("{} at {} of {}: {}", l.finding.oracle, l.trace, plan.stimulus.name, l.finding.detail)))
}
