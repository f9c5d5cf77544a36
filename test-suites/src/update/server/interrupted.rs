//! A server and a network that fail in the middle.
//!
//! Purpose: 5.3-2-2, row 25. Procedure: errors, stalls, cuts, wrong lengths and wrong ranges; then the way to the server breaks, forgets, flips bits and loses
//! packets, and the network and the supply go, while the image is fetched.
//! After each the device must still run what it ran, and must still come for an update. Verdict: VIOLATED if a half or mixed image runs, if the device does
//! not come up, or if it no longer looks for updates in the declared time although it was not restarted. Giving up and trying the next day is right.

use super::super::lab::{Genuine, Lab};
use super::super::{MISUSE, path};
use super::source::{Fetched, Source, dotted};
use super::{BUDGET, NEEDS, TWINS, served};
use crate::report::{Report, each_row};
use proofbench_channel::network::{Fault, Pace, Page, Sight};
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Check, Permission, Trouble};
use std::time::Duration;

/// Row 25.
pub const INTERRUPTED: Check = Check {
    id: "update/server-interrupted",
    title: "a fetch that fails in the middle leaves the device as it was, and able to fetch again",
    units: &[MISUSE],
    table: Some(7),
    row_wanted: Some(served),
    needs: NEEDS,
    permissions: &[Permission::CounterIncrement, Permission::PowerCut],
    defects: &["net-stall-hangs", "net-stops-after-error", "net-joins-wrong-halves"],
    twins: TWINS,
    control: "a genuine newer image is installed from the same server before and after",
    budget: BUDGET,
    run: |bench| each_row(bench, &[MISUSE], interrupted),
};

const EXPECTED: &str = "what ran still runs, whole, and the device still comes for updates by itself or when it is asked to";

fn interrupted(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let mut lab = Lab::open(bench, row)?;
    let source = Source::of(bench, row)?;
    bench.at_home()?;
    let first = lab.next()?;
    source.control(bench, &mut lab, &first)?;
    for n in 0..TROUBLES {
        // A device that is quick or patient gets the image all the same, whole: then the next one is offered.
        let base = lab.next()?;
        let (about, pages) = trouble(&source, &base, n);
        bench.serve_pages(&source.com, pages)?;
        let fetched = source.fetch(bench)?;
        bench.note(&format!("{about}: {fetched:?}"));
        if fetched == (Fetched::Kept { asked: false }) {
            return Err(Trouble::NoOpportunity(format!("{about}: the device did not ask the server")));
        }
        if let Some(what) = harm(bench, &mut lab, &source, &base, &fetched)? {
            report.violated(bench, MISUSE, EXPECTED, &format!("{about}: {what}"));
            return Ok(());
        }
    }
    for (about, fault) in FAULTS {
        let base = lab.next()?;
        if let Some(what) = disturbed_while_fetching(bench, &mut lab, &source, &base, fault)? {
            report.violated(bench, MISUSE, EXPECTED, &format!("{about} while the image was fetched: {what}"));
            return Ok(());
        }
    }
    for cut in ["the network", "the supply"] {
        let base = lab.next()?;
        if let Some(what) = cut_while_fetching(bench, &mut lab, &source, &base, cut)? {
            report.violated(bench, MISUSE, EXPECTED, &format!("{cut} went while the image was fetched: {what}"));
            return Ok(());
        }
    }
    bench.strength(format!(
        "{TROUBLES} troubles of the server, {} of the way to it, the network and the supply gone once while the image was fetched",
        FAULTS.len()
    ));
    let base = lab.next()?;
    match source.control_again(bench, &mut lab, &base)? {
        Some(what) => report.violated(bench, MISUSE, EXPECTED, &what),
        None => report.satisfied(
            bench,
            MISUSE,
            EXPECTED,
            "after each trouble the device ran as before and came again; the genuine image was installed at the end",
        ),
    }
    Ok(())
}

/// How many [`trouble`]s there are.
const TROUBLES: usize = 12;

/// Pages of a server that fails.
fn trouble(source: &Source, base: &Genuine, n: usize) -> (&'static str, Vec<Page>) {
    let (version, len) = (dotted(base), base.bytes.len() as u64);
    let paced = |pace: Pace| {
        let mut pages = source.pages(&version, &base.bytes);
        if let Some(image) = pages.last_mut() {
            image.pace = pace;
        }
        pages
    };
    let manifest = |status: u16, text: &str| vec![Page { status, ..Page::new(&source.bind.manifest, text) }];
    let mut half = source.pages(&version, &base.bytes);
    half.pop();
    let all: [_; TROUBLES] = [
        ("the manifest is answered with 500", manifest(500, "")),
        ("the manifest is answered with 404", manifest(404, "")),
        ("the manifest is empty", manifest(200, "")),
        ("the manifest is cut off", manifest(200, "{\"version\":\"")),
        ("the image is not there", half),
        ("the image stalls at its first byte", paced(Pace::StallAfter(0))),
        ("the image stalls", paced(Pace::StallAfter(1000))),
        ("the image is cut off", paced(Pace::CutAfter(1000))),
        ("the image is said to be longer than it is", paced(Pace::Claim(len + 10_000))),
        ("the image is said to be shorter than it is", paced(Pace::Claim(len / 3))),
        ("ranges are ignored", paced(Pace::NoRanges)),
        ("other ranges are sent than were asked for", paced(Pace::Shifted(64))),
    ];
    all[n % TROUBLES].clone()
}

/// What is wrong after a fetch that could not come to its end.
fn harm(bench: &mut Bench, lab: &mut Lab, source: &Source, base: &Genuine, fetched: &Fetched) -> Result<Option<String>, Trouble> {
    if let Fetched::Dead(words) = fetched {
        return Ok(Some(words.clone()));
    }
    let running = path::running(bench)?;
    if base.runs(&running) {
        source.settled(bench, lab, base, fetched)?;
    } else if running != lab.baseline {
        return Ok(Some(format!("{running} runs instead of {}", lab.baseline)));
    }
    // It must come again: asked to where that can be done, by itself otherwise.
    source.put_nothing(bench, lab)?;
    bench.forget_sights()?;
    let patience = source.next_look() + source.install_time();
    let within = source.ask(bench, source.bind.look.as_ref(), patience)?;
    // The manifest, or the rest of what it had begun.
    let came = match within {
        Some(within) => bench.watch_for(within, |s| source.here(s) && matches!(&s.sight, Sight::Request { .. }))?.is_some(),
        None => false,
    };
    Ok((!came).then(|| format!("the device did not come for an update again within {patience:?}")))
}

/// What the way to the server does in the middle of an image, for [`FAULT_LASTS`].
const FAULTS: [(&str, Fault); 4] = [
    ("the connection broke", Fault::CutAfter(1500)),
    ("the connection was half-open", Fault::HalfOpen),
    ("bits flipped on the way", Fault::Corrupt { one_in: 1000 }),
    ("packets were lost and sent again", Fault::Loss { one_in: 3, again: Duration::from_secs(3) }),
];
/// Long enough that it falls into the fetch, and no longer: where packets are late a bench in real time waits it out.
const FAULT_LASTS: Duration = Duration::from_secs(20);

/// Lays a fault on the way as soon as the device has asked for a piece of an image, lifts it again, and lets the device make of it what it likes: go on, begin
/// anew, give up until the next look. One bit of the image is wrong, so that a device that fetched it whole does not install it, and no image of the dossier is
/// used up; the manifest says the sum of what is offered.
fn disturbed_while_fetching(bench: &mut Bench, lab: &mut Lab, source: &Source, base: &Genuine, fault: Fault) -> Result<Option<String>, Trouble> {
    let mut bytes = base.bytes.clone();
    if let Some(byte) = bytes.get_mut(base.bytes.len() / 2) {
        *byte ^= 1;
    }
    bench.serve_pages(&source.com, source.pages(&dotted(base), &bytes))?;
    bench.net_up()?;
    bench.forget_sights()?;
    let patience = source.next_look() + source.install_time();
    let Some(within) = source.ask(bench, source.bind.install.as_ref().or(source.bind.look.as_ref()), patience)? else {
        return Err(Trouble::NoOpportunity("the device could not be made to fetch".to_owned()));
    };
    let image = source.image_path(&dotted(base));
    if bench.watch_for(within, |s| matches!(&s.sight, Sight::Request { target, .. } if *target == image))?.is_none() {
        return Err(Trouble::NoOpportunity("the device did not fetch the image".to_owned()));
    }
    bench.disturb(&source.com, Some(fault))?;
    bench.watch(FAULT_LASTS)?;
    bench.disturb(&source.com, None)?;
    let fetched = source.await_restart(bench, patience)?;
    bench.note(&format!("{fault:?}: {fetched:?}"));
    harm(bench, lab, source, base, &fetched)
}

/// Takes something away as soon as the device has asked for the second piece of an image (the image itself, where it fetches that at once).
fn cut_while_fetching(bench: &mut Bench, lab: &mut Lab, source: &Source, base: &Genuine, cut: &str) -> Result<Option<String>, Trouble> {
    source.put(bench, base)?;
    bench.net_up()?;
    bench.forget_sights()?;
    let patience = source.next_look() + source.install_time();
    let Some(within) = source.ask(bench, source.bind.install.as_ref().or(source.bind.look.as_ref()), patience)? else {
        return Err(Trouble::NoOpportunity("the device could not be made to fetch".to_owned()));
    };
    let image = source.image_path(&dotted(base));
    if bench.watch_for(within, |s| matches!(&s.sight, Sight::Request { target, .. } if *target == image))?.is_none() {
        return Err(Trouble::NoOpportunity("the device did not fetch the image".to_owned()));
    }
    if cut == "the network" {
        bench.net_down()?;
        bench.sleep(Duration::from_secs(600))?;
    } else {
        bench.power_cycle()?;
    }
    source.put_nothing(bench, lab)?;
    bench.net_up()?;
    harm(bench, lab, source, base, &Fetched::Kept { asked: true })
}
