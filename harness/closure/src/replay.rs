//! Goes through one chain of power cuts again, through armed cuts and not through rebuilt contents: an independent way to the same end.

use crate::flash::Flash;
use crate::image::Image;
use crate::subject::{Failed, Finding, Oracle, Subject, World, guarded, judged};
use crate::trace::{Cut, Trace};

/// What a replay came to.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// What the oracles say after the last power-on.
    pub findings: Vec<Finding>,
    /// What the store held at the last power-on.
    pub image: Image,
    /// One line for each power-on.
    pub story: Vec<String>,
}

/// Replays `trace` on `subject`. An error says why the chain cannot be gone through: a cut that no operation reaches is a cut that did not happen.
pub fn replay(subject: &dyn Subject, trace: &Trace) -> Result<Replayed, String> {
    let (mut image, mut world) = guarded(|| subject.start()).map_err(|failed| format!("failed to set up {}: {failed}", trace.subject))?;
    let mut story = Vec::new();
    for (n, cut) in trace.cuts.iter().enumerate() {
        let end = power_on(subject, &image, world, Some(*cut));
        story.push(format!("power-on {}: {}", n + 1, end.story));
        if !end.fired && end.ops != cut.at {
            return Err(format!("power-on {} has {} operations, so there is no cut at {}", n + 1, end.ops, cut.at));
        }
        image = end.image;
        world = end.world;
    }
    let last = power_on(subject, &image, world, None);
    story.push(format!("last power-on: {}", last.story));
    Ok(Replayed { findings: last.findings, image, story })
}

struct End {
    image: Image,
    world: World,
    fired: bool,
    ops: u32,
    findings: Vec<Finding>,
    story: String,
}

fn power_on(subject: &dyn Subject, image: &Image, world: World, cut: Option<Cut>) -> End {
    let flash = Flash::new(subject.chip(), image.clone());
    if let Some(cut) = cut {
        flash.arm(cut);
    }
    let end = |world, findings, story| End { image: flash.settled_unless_dead(), world, fired: flash.is_dead(), ops: flash.ops(), findings, story };
    let recovered = guarded(|| subject.recover(&flash));
    let ops = flash.ops();
    if flash.is_dead() {
        return end(world, Vec::new(), format!("power went in recovery at operation {ops}"));
    }
    if let Err(failed) = recovered {
        let story = format!("recovery failed after {ops} operations: {failed}");
        return end(world, vec![Finding::new(Oracle::Opens, failed.to_string())], story);
    }
    let told = guarded(|| Ok(subject.tell(&flash.fork()))).unwrap_or_else(|failed| failed.to_string());
    let recovered = format!("recovered in {ops} operations to {told}");
    let verdict = judged(subject, &flash.fork(), world);
    let mut findings = verdict.findings;
    let Some(now) = verdict.world else { return end(world, findings, format!("{recovered}, and was condemned")) };
    let Some(step) = subject.next(now) else { return end(now, findings, format!("{recovered}; all work is done")) };
    let acted = guarded(|| subject.act(&flash, now));
    let total = flash.ops();
    if flash.is_dead() {
        return end(step.in_flight, findings, format!("{recovered}; power went in its work at operation {total}"));
    }
    if let Err(failed) = acted {
        let story = format!("{recovered}; its work failed: {failed}");
        if failed != Failed::Full {
            findings.push(Finding::new(Oracle::FurtherWrite, failed.to_string()));
        }
        return end(now, findings, story);
    }
    end(step.done, findings, format!("{recovered}; its work was acknowledged after {total}"))
}
