//! The owner's choice: whether updates are installed without asking, and whether he is told of them.
//!
//! Purpose: 5.3-6-2, rows 27, 29 and 30. Units a and b: automation is on after set-up and does what it says; switched off nothing is installed, over a power
//! cut and an update, until it is switched on again. Units c and d: notices are on after set-up, and the switch has an effect. Verdict: VIOLATED by an
//! installation that was not wanted, one that was wanted and did not come in the declared time, or a switch that does not hold. Control: that the device asked
//! the server while nothing was installed.

use super::super::lab::{Genuine, Lab};
use super::super::path;
use super::source::{Fetched, Source};
use super::{BUDGET, NEEDS, TWINS, served};
use crate::report::{Report, each_row};
use proofbench_channel::network::Sight;
use proofbench_model::bind::DecBind;
use proofbench_model::dossier::Row;
use proofbench_runner::bench::Did;
use proofbench_runner::{Bench, Check, Permission, Trouble};
use std::time::Duration;

const AUTO: &[&str] = &["5.3-6-2 a", "5.3-6-2 b"];
const NOTICE: &[&str] = &["5.3-6-2 c", "5.3-6-2 d"];

/// Rows 27 and 29.
pub const AUTOMATIC: Check = Check {
    id: "update/automatic",
    title: "automatic updates are on after set-up, and the owner's switch holds",
    units: AUTO,
    table: Some(7),
    row_wanted: Some(|row| served(row) && row.upd().and_then(|u| u.server.as_ref()).is_some_and(|s| s.automatic.is_some())),
    needs: NEEDS,
    permissions: &[Permission::CounterIncrement, Permission::PowerCut],
    defects: &["auto-off-ignored", "auto-off-in-ram", "auto-on-after-update", "auto-never", "looks-once"],
    twins: TWINS,
    control: "the device asked the server while nothing was installed; with the switch on the same image is installed",
    budget: BUDGET,
    run: |bench| each_row(bench, AUTO, automatic),
};

/// Row 30.
pub const NOTICES: Check = Check {
    id: "update/notices",
    title: "notices of updates are on after set-up, and the owner's switch has an effect",
    units: NOTICE,
    table: Some(7),
    row_wanted: Some(|row| served(row) && row.upd().and_then(|u| u.server.as_ref()).is_some_and(|s| s.notices.is_some() && s.notice.is_some())),
    needs: NEEDS,
    permissions: &[Permission::CounterIncrement, Permission::PowerCut],
    defects: &["notice-off-ignored", "notice-forgotten"],
    twins: TWINS,
    control: "an update waits that the device has found on the server, and that it installs when it is asked to",
    budget: BUDGET,
    run: |bench| each_row(bench, NOTICE, notices),
};

/// A decision of the owner, with the answers that mean yes and no.
struct Switch {
    bind: DecBind,
    yes: String,
    no: String,
}

impl Switch {
    /// The row of table 26. Its options are in the order of [`DecBind::options`]: the first means yes.
    fn of(bench: &Bench, id: &str) -> Result<Self, Trouble> {
        let row = bench.dossier().ixit.rows(26).iter().find(|r| r.id.row == id).and_then(|r| r.dec()).cloned();
        let bind = row.ok_or_else(|| Trouble::IxitMissing(format!("a binding of row {id} of 26-UserDec")))?;
        match bind.options.as_slice() {
            [yes, no] => Ok(Self { yes: yes.clone(), no: no.clone(), bind }),
            others => {
                Err(Trouble::IxitAmbiguous(format!("row {id} of 26-UserDec has {} options: which of them are on and off is not said", others.len())))
            }
        }
    }
    fn read(&self, bench: &mut Bench) -> Result<String, Trouble> {
        let get = self.bind.get.as_ref().ok_or_else(|| Trouble::IxitMissing("`get` of a row of 26-UserDec".to_owned()))?;
        match bench.perform(get, &[])? {
            Did::Done { value: Some(word), .. } => Ok(word),
            other => Err(Trouble::Unreachable(format!("the setting was not told: {other:?}"))),
        }
    }
    fn set(&self, bench: &mut Bench, on: bool) -> Result<(), Trouble> {
        let set = self.bind.set.as_ref().ok_or_else(|| Trouble::IxitMissing("`set` of a row of 26-UserDec".to_owned()))?;
        match bench.perform(set, &[("value", if on { &self.yes } else { &self.no })])? {
            Did::Done { .. } => Ok(()),
            other => Err(Trouble::Precondition(format!("the setting was not changed: {other:?}"))),
        }
    }
}

/// That what is offered can be had: the owner asks for it, and it is installed. Without that a device that does nothing may have been offered nothing.
fn by_hand(bench: &mut Bench, lab: &mut Lab, source: &Source, image: &Genuine) -> Result<(), Trouble> {
    if source.bind.install.is_none() {
        return Err(Trouble::NoOpportunity(
            "whether the device was offered the update cannot be shown: the dossier gives no way to have it installed".to_owned(),
        ));
    }
    let fetched = source.fetch(bench)?;
    source.settled(bench, lab, image, &fetched)
}

/// What the device does by itself with what is offered, in the time in which it must have looked and installed.
fn left_alone(bench: &mut Bench, source: &Source) -> Result<Fetched, Trouble> {
    bench.forget_sights()?;
    bench.restart_may_come()?;
    source.await_restart(bench, source.next_look() + source.install_time())
}

fn automatic(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let [enabled, changed] = ["5.3-6-2 a", "5.3-6-2 b"];
    let mut lab = Lab::open(bench, row)?;
    let source = Source::of(bench, row)?;
    let switch = Switch::of(bench, source.bind.automatic.as_deref().unwrap_or_default())?;
    bench.at_home()?;
    // What is published after the device has looked once must be found, too.
    source.put_nothing(bench, &lab)?;
    bench.watch(Duration::from_millis(source.bind.first_look_ms.1))?;
    let expected = "with automatic updates on, what is published is installed in the declared time; the setting is on after set-up";
    let told = switch.read(bench)?;
    if told != switch.yes {
        report.violated(bench, enabled, expected, &format!("after set-up the setting is `{told}`"));
        return Ok(());
    }
    let image = lab.next()?;
    source.put(bench, &image)?;
    let fetched = left_alone(bench, &source)?;
    if let Fetched::Kept { asked } = fetched {
        // Asked for by hand it goes in: then the offer was there, and was left lying.
        by_hand(bench, &mut lab, &source, &image)?;
        let within = source.next_look() + source.install_time();
        let looked = if asked { "the device looked, and" } else { "the device did not look, and" };
        let what = format!("{} was published, {looked} did not install it within {within:?}; asked to, it did", image.version);
        report.violated(bench, enabled, expected, &what);
        return Ok(());
    }
    source.settled(bench, &mut lab, &image, &fetched)?;
    report.satisfied(bench, enabled, expected, &format!("on after set-up; {} was installed without being asked for", image.version));

    let expected = "switched off, nothing is installed until it is switched on again, whatever happens to the device";
    switch.set(bench, false)?;
    let image = lab.next()?;
    for after in ["it was switched off", "a power cut"] {
        if after == "a power cut" {
            bench.power_cycle()?;
        }
        bench.net_up()?;
        source.put(bench, &image)?;
        let told = switch.read(bench)?;
        let fetched = left_alone(bench, &source)?;
        match fetched {
            Fetched::Kept { asked: true } if told == switch.no => {}
            Fetched::Kept { asked: true } => {
                report.violated(bench, changed, expected, &format!("after {after} the setting is `{told}`"));
                return Ok(());
            }
            // A device that does not even look has installed nothing: the switch holds.
            Fetched::Kept { asked: false } if told == switch.no => {}
            _ => {
                let running = path::running(bench)?;
                report.violated(bench, changed, expected, &format!("after {after} (setting `{told}`): {running} runs, which nobody asked for"));
                return Ok(());
            }
        }
    }
    if source.bind.install.is_some() {
        // The owner installs it himself: that is no word about the next one.
        source.control(bench, &mut lab, &image)?;
        let told = switch.read(bench)?;
        if told != switch.no {
            report.violated(bench, changed, expected, &format!("after an update the setting is `{told}`"));
            return Ok(());
        }
    }
    switch.set(bench, true)?;
    let image = lab.next()?;
    source.put(bench, &image)?;
    let fetched = left_alone(bench, &source)?;
    source.settled(bench, &mut lab, &image, &fetched)?;
    bench.strength(format!("{:?} with the switch on, as long with it off, as long after a power cut", source.next_look() + source.install_time()));
    report.satisfied(bench, changed, expected, "off held over a power cut and an update; on again, the next one was installed");
    Ok(())
}

fn notices(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let [enabled, changed] = ["5.3-6-2 c", "5.3-6-2 d"];
    let mut lab = Lab::open(bench, row)?;
    let source = Source::of(bench, row)?;
    let switch = Switch::of(bench, source.bind.notices.as_deref().unwrap_or_default())?;
    bench.at_home()?;
    if let Some(automatic) = &source.bind.automatic {
        // What installs itself never waits.
        Switch::of(bench, automatic)?.set(bench, false)?;
    }
    let image = lab.next()?;
    source.put(bench, &image)?;
    look(bench, &source)?;
    let expected = "an update that waits is announced; the setting is on after set-up";
    let (told, shown) = (switch.read(bench)?, notice(bench, &source)?);
    if told != switch.yes || shown.is_none() {
        by_hand(bench, &mut lab, &source, &image)?;
        let seen = shown.as_deref().unwrap_or("nothing");
        report.violated(
            bench,
            enabled,
            expected,
            &format!("after set-up the setting is `{told}` and, with {} waiting, shown is {seen}", image.version),
        );
        return Ok(());
    }
    report.satisfied(bench, enabled, expected, &format!("on after set-up; shown is {}", shown.unwrap_or_default()));
    let expected = "switched off, nothing is announced, over a power cut as well; switched on, it is announced again";
    switch.set(bench, false)?;
    for after in ["it was switched off", "a power cut"] {
        if after == "a power cut" {
            bench.power_cycle()?;
            bench.net_up()?;
        }
        look(bench, &source)?;
        if let Some(shown) = notice(bench, &source)? {
            report.violated(bench, changed, expected, &format!("after {after} shown is {shown}"));
            return Ok(());
        }
    }
    switch.set(bench, true)?;
    look(bench, &source)?;
    match notice(bench, &source)? {
        Some(_) => report.satisfied(bench, changed, expected, "nothing while it was off, again when it was on"),
        None => {
            by_hand(bench, &mut lab, &source, &image)?;
            report.violated(bench, changed, expected, "nothing is announced although it was switched on again");
        }
    }
    Ok(())
}

/// Has the device look, and waits until it has asked.
fn look(bench: &mut Bench, source: &Source) -> Result<(), Trouble> {
    bench.forget_sights()?;
    let within = source.ask(bench, source.bind.look.as_ref(), source.next_look())?.unwrap_or_default();
    match bench.watch_for(within, |s| source.here(s) && matches!(s.sight, Sight::Request { .. }))? {
        // Time for the answer to arrive.
        Some(_) => bench.watch(Duration::from_secs(5)),
        None => Err(Trouble::NoOpportunity("the device did not look for updates".to_owned())),
    }
}

/// What the owner is shown, if anything.
fn notice(bench: &mut Bench, source: &Source) -> Result<Option<String>, Trouble> {
    let Some(action) = &source.bind.notice else { return Ok(None) };
    match bench.perform(action, &[])? {
        Did::Done { value, .. } => Ok(value.filter(|v| !v.is_empty() && v != "null")),
        other => Err(Trouble::Unreachable(format!("the notice was not told: {other:?}"))),
    }
}
