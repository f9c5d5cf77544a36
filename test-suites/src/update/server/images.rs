//! What the server offers and must not get in: the image matrix, other models, older versions under a newer name, manifests that lie, and an image that is
//! exchanged while it is fetched.
//!
//! Purpose: 5.3-2-2, rows 15 to 22 of the checks by the way of the server. Verdict: VIOLATED as soon as an offer runs, makes the device restart twice or not
//! come up, or leaves the genuine image unable to get in. SATISFIED when the device asked for every offer, all were refused, and the genuine image was
//! installed before and after. An offer that was not asked for decides nothing.

use super::super::judge::{self, Fate, Outcome};
use super::super::lab::{Genuine, Lab};
use super::super::{MISUSE, path, steps};
use super::source::{Fetched, Source, dotted, sum};
use super::{BUDGET, NEEDS, TWINS, served};
use crate::report::{Report, each_row};
use proofbench_channel::network::Page;
use proofbench_image::matrix::{self, Expect, Variant};
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Check, Permission, Trouble};

const UNITS: &[&str] = &["5.3-2-2 a", MISUSE];
const EXPECTED: &str = "each offer is refused: what runs is unchanged after two restarts, nothing crashes, and the genuine image still goes in";

/// Rows 15 to 20.
pub const MATRIX: Check = Check {
    id: "update/server-images",
    title: "tampered, foreign and older images that the server offers are refused",
    units: UNITS,
    table: Some(7),
    row_wanted: Some(served),
    needs: NEEDS,
    permissions: &[Permission::CounterIncrement],
    defects: &[
        "net-sum-only",
        "net-version-word",
        "sig-unchecked",
        "sig-absent-ok",
        "crc-not-sig",
        "any-key",
        "key-from-image",
        "hash-first-block-only",
        "model-unchecked",
    ],
    twins: TWINS,
    control: "a genuine newer image is installed from the same server before and after the offers",
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, offers),
};

/// Row 22.
pub const EXCHANGED: Check = Check {
    id: "update/server-exchanged",
    title: "an image that the server exchanges while or after it is fetched is not started",
    units: &[MISUSE],
    table: Some(7),
    row_wanted: Some(served),
    needs: NEEDS,
    permissions: &[Permission::CounterIncrement],
    defects: &["net-fetches-twice"],
    twins: TWINS,
    control: "a genuine newer image is installed from the same server before, and after or in the place of the last exchange",
    budget: BUDGET,
    run: |bench| each_row(bench, &[MISUSE], exchanged),
};

/// An offer: what the server says, and what a conforming device does with it.
struct Offer {
    variant: Variant,
    pages: Vec<Page>,
}

/// Offers pages and looks at what became of it.
fn offer(bench: &mut Bench, lab: &Lab, source: &Source, offer: &Offer) -> Result<Option<String>, Trouble> {
    let about = offer.variant.id;
    bench.serve_pages(&source.com, offer.pages.clone())?;
    let fetched = source.fetch(bench)?;
    let (fate, said) = match fetched {
        Fetched::Kept { asked: false } => return Err(Trouble::NoOpportunity(format!("{about}: the device did not ask the server"))),
        Fetched::Kept { asked: true } => {
            let said = source.outcome(bench)?;
            (judge::after_restarts(bench, lab)?, said)
        }
        Fetched::Restarted(boot) => {
            let running = path::running(bench)?;
            let fate = match running == lab.baseline {
                true if boot.boots > 1 => Fate::Crashed(format!("{} boots, the last one by `{}`", boot.boots, boot.cause)),
                true => judge::after_restarts(bench, lab)?,
                false => Fate::Ran(running),
            };
            (fate, "the device restarted to install it".to_owned())
        }
        Fetched::Dead(words) => (Fate::Dead(words), "the device restarted to install it".to_owned()),
    };
    bench.note(&format!("{about}: {fate:?}; {said}"));
    judge::wrong(lab, &offer.variant, &Outcome { said, agreed: false, fate })
}

fn offers(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let mut lab = Lab::open(bench, row)?;
    let source = Source::of(bench, row)?;
    bench.at_home()?;
    let first = lab.next()?;
    source.control(bench, &mut lab, &first)?;
    let base = lab.next()?;
    let all = devise(bench, &lab, &source, &base)?;
    let listing: String = all.iter().map(|o| format!("{} {} bytes: {}\n", o.variant.id, o.variant.bytes.len(), o.variant.title)).collect();
    bench.evidence("offers.txt", listing.as_bytes());
    report.satisfied(
        bench,
        UNITS[0],
        "attacks are devised for the declared mechanism",
        &format!("{} offer(s) made from the genuine {}", all.len(), base.version),
    );
    for one in &all {
        if let Some(what) = offer(bench, &lab, &source, one)? {
            bench.evidence(&format!("{}.bin", one.variant.id), &one.variant.bytes);
            report.violated(bench, MISUSE, EXPECTED, &what);
            return Ok(());
        }
    }
    if let Some(what) = source.control_again(bench, &mut lab, &base)? {
        report.violated(bench, MISUSE, EXPECTED, &what);
        return Ok(());
    }
    bench.strength(format!("{} offers by the server, 2 restarts each; genuine {} before, {} after", all.len(), first.version, base.version));
    report.satisfied(bench, MISUSE, EXPECTED, &format!("all {} refused", all.len()));
    Ok(())
}

/// Everything that must stay out, made from the genuine image that would be next.
fn devise(bench: &mut Bench, lab: &Lab, source: &Source, base: &Genuine) -> Result<Vec<Offer>, Trouble> {
    let slot = usize::try_from(lab.bind.slot_bytes).map_err(|_| Trouble::IxitAmbiguous("slot larger than memory".to_owned()))?;
    let version = dotted(base);
    let made = matrix::all(&base.bytes, slot).map_err(|e| Trouble::IxitAmbiguous(format!("image {}: {e}", base.version)))?;
    let honest = |variant: Variant, version: &str| Offer { pages: source.pages(version, &variant.bytes), variant };
    let mut all: Vec<Offer> = made.into_iter().map(|v| honest(v, &version)).collect();
    if let Some(file) = &lab.bind.other_model {
        let bytes = Genuine::load(bench, &lab.bind, file)?.bytes;
        all.push(honest(matrix::supplied("other-model", "genuine newer image of another model", bytes, Expect::Refused), &version));
    }
    if let Some(file) = &lab.bind.old_counter {
        let image = Genuine::load(bench, &lab.bind, file)?;
        if lab.counter.is_some_and(|now| image.counter < now) {
            let variant = matrix::supplied("old-counter", "newer image with an older security counter", image.bytes.clone(), Expect::Refused);
            all.push(honest(variant, "99.0.0"));
        }
    }
    if lab.bind.downgrade == "refused"
        && let Some(older) = lab.images.iter().find(|i| i.version < lab.delivered.version)
    {
        let variant = |id, title| matrix::supplied(id, title, older.bytes.clone(), Expect::Refused);
        all.push(honest(variant("older", "genuine older image, by its own name"), &dotted(older)));
        all.push(honest(variant("older-raised", "genuine older image under a newer name"), "99.0.0"));
    }
    // Manifests that lie about a genuine image.
    let path = source.image_path(&version);
    let lie = |id, title, manifest: Page| {
        let variant = matrix::supplied(id, title, base.bytes.clone(), Expect::Refused);
        Offer { variant, pages: vec![manifest, Page::new(&path, base.bytes.clone())] }
    };
    let (len, right) = (base.bytes.len(), sum(&base.bytes));
    all.push(lie("wrong-sum", "a sum that is not the image's", source.manifest(&version, len, &sum(b"another"), &path)));
    all.push(lie("size-less", "a size less than the image's", source.manifest(&version, len / 2, &right, &path)));
    all.push(lie("size-more", "a size greater than the image's", source.manifest(&version, len + 4096, &right, &path)));
    all.push(lie("size-huge", "a size greater than the slot", source.manifest(&version, slot * 8, &right, &path)));
    all.push(lie("no-path", "a path that leads nowhere", source.manifest(&version, len, &right, "/nothing-here")));
    all.retain(|o| !judge::may_install(lab, o.variant.expect));
    Ok(all)
}

fn exchanged(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let mut lab = Lab::open(bench, row)?;
    let source = Source::of(bench, row)?;
    bench.at_home()?;
    let first = lab.next()?;
    source.control(bench, &mut lab, &first)?;
    let (_, requests) = source.requests(bench);
    if requests == 0 {
        return Err(Trouble::NoOpportunity("no request for the image was seen while it was installed".to_owned()));
    }
    let base = lab.next()?;
    let forged = steps::forged(bench, &lab, &base)?;
    // As many requests as this image takes, by what the last one took.
    let whole = (requests * base.bytes.len()).div_ceil(first.bytes.len()).max(1);
    let mut after: Vec<usize> = vec![1, whole / 2, whole.saturating_sub(1), whole];
    after.retain(|n| *n > 0);
    after.dedup();
    let expected = "no image is started but one that was verified as a whole";
    for n in &after {
        let mut pages = source.pages(&dotted(&base), &base.bytes);
        if let Some(image) = pages.last_mut() {
            image.then = Some((u32::try_from(*n).unwrap_or(u32::MAX), forged.bytes.clone()));
        }
        let about = format!("exchanged after {n} of {whole} request(s)");
        let one = Offer { variant: Variant { title: "the image is exchanged for a forged one", ..forged.clone() }, pages };
        bench.note(&about);
        bench.serve_pages(&source.com, one.pages.clone())?;
        let fetched = source.fetch(bench)?;
        if let Fetched::Restarted(_) = &fetched
            && base.runs(&path::running(bench)?)
        {
            // All that it fetched was genuine.
            source.settled(bench, &mut lab, &base, &fetched)?;
            report.satisfied(bench, MISUSE, expected, &format!("{after:?} requests of {whole}: only the genuine image was ever started"));
            return Ok(());
        }
        let fate = match fetched {
            Fetched::Kept { asked: false } => return Err(Trouble::NoOpportunity(format!("{about}: the device did not ask the server"))),
            Fetched::Kept { asked: true } => judge::after_restarts(bench, &lab)?,
            Fetched::Restarted(_) if path::running(bench)? == lab.baseline => judge::after_restarts(bench, &lab)?,
            Fetched::Restarted(_) => Fate::Ran(path::running(bench)?),
            Fetched::Dead(words) => Fate::Dead(words),
        };
        if let Some(what) = judge::wrong(&lab, &one.variant, &Outcome { said: about, agreed: false, fate })? {
            report.violated(bench, MISUSE, expected, &what);
            return Ok(());
        }
    }
    bench.strength(format!("exchanged after {after:?} of {whole} requests"));
    match source.control_again(bench, &mut lab, &base)? {
        Some(what) => report.violated(bench, MISUSE, expected, &what),
        None => report.satisfied(bench, MISUSE, expected, "every exchanged image was refused, the genuine one installed before and after"),
    }
    Ok(())
}
