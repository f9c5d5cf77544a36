//! Resets that are disturbed, and things that must not reset.
//!
//! Purpose: 5.11-1-2, rows 76 and T-RST 4 and 5. A power cut at any time of a reset must leave a device that has not begun or that is finished (at the next
//! start at the latest): never the password gone and the data still there. A short press, a request without login and a request with a wrong token
//! must leave everything as it was. The control of every absence is the documented route, which works in the same check.

use super::canary::{self, Planted};
use super::route::{self, Route};
use super::state::{self, State};
use super::{BUDGET, bound_here};
use crate::report::{Report, each_row};
use proofbench_model::bind::Action;
use proofbench_model::dossier::Row;
use proofbench_runner::bench::Did;
use proofbench_runner::{Bench, Capability, Check, Permission, Trouble};
use std::time::Duration;

const B: &str = "5.11-1-2 b";
const C: &str = "5.11-1-2 c";
const NEEDS: &[Capability] = &[Capability::Console, Capability::Power];
/// Cuts of one route.
const CUTS: u32 = 24;
/// Before a confirmation that came late, the deletion has begun at most so long ago: earlier cuts hit the wait for the button.
const REACH: Duration = Duration::from_millis(2500);

/// Row 76.
pub const INTERRUPTED: Check = Check {
    id: "reset/interrupted",
    title: "a factory reset cut short has not begun or is finished at the next start, never half",
    units: &[C],
    table: Some(25),
    row_wanted: Some(|row| bound_here(row) && row.del().is_some_and(|d| !matches!(d.start, Action::Command(_)))),
    needs: NEEDS,
    permissions: &[Permission::FactoryReset, Permission::PowerCut],
    defects: &["reset-never-resumes", "reset-flag-first"],
    twins: &["crypto-erase", "slow-boot"],
    control: "the undisturbed reset erases everything; each cut is witnessed by a new boot with the cause power-on",
    budget: BUDGET,
    run: |bench| each_row(bench, &[C], interrupted),
};

fn interrupted(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    const EXPECTED: &str = "after a cut everything is there and the old password works, or everything is gone and the label's does";
    let deletes = row.del().map(|d| d.deletes.clone()).unwrap_or_default();
    // Undisturbed: it works, and how long it takes.
    let mut planted = Planted::plant(bench, &deletes, "undisturbed")?;
    let route = Route::new(bench, row, &planted)?;
    let begun = bench.now();
    let (did, _) = route.start(bench)?;
    if !did.is_done() {
        return Err(Trouble::NoOpportunity(format!("{}: the undisturbed reset did not work: {did:?}", route.id)));
    }
    let confirmed = bench.now().since(begun);
    let Some(boot) = bench.try_ready(Duration::from_millis(route.bind.within_ms))? else {
        return Err(Trouble::NoOpportunity(format!("{}: not ready after the undisturbed reset", route.id)));
    };
    let took = bench.now().since(begun);
    bench.note(&format!("{}: confirmed after {confirmed:?}, ready after {took:?} (boot {})", route.id, boot.id));
    if state::look(bench, &planted)? != State::Erased {
        return Err(Trouble::NoOpportunity(format!("{}: the undisturbed reset did not erase: that is another check's matter", route.id)));
    }
    let first = confirmed.saturating_sub(REACH).max(route.lead().min(confirmed).saturating_sub(REACH));
    let (mut intact, mut erased, mut unseen) = (0, 0, 0);
    for n in 0..CUTS {
        if n == 0 || intact_lost(bench, &planted)? {
            planted = Planted::plant(bench, &deletes, &format!("cut {n}"))?;
        }
        let route = Route::new(bench, row, &planted)?;
        let at = first + (took - first.min(took)) * n / CUTS;
        let before = bench.last_boot_id().map(str::to_owned);
        route.start_and_leave(bench, at)?;
        bench.power_off()?;
        route.let_go(bench)?;
        bench.power_on()?;
        let within = Duration::from_millis(route.bind.within_ms.max(bench.bind().recovery_within_ms));
        let Some(boot) = bench.try_ready(within)? else {
            if bench.boot_seen().boots == 0 {
                return Err(Trouble::Unreachable(format!("{}: nothing on the console after a cut at {at:?}", route.id)));
            }
            report.violated(bench, C, EXPECTED, &format!("{}: cut at {at:?}: the device does not come up", route.id));
            return Ok(());
        };
        if bench.witness(before.as_deref(), &boot).is_err() {
            unseen += 1;
            continue;
        }
        let mut state = state::look(bench, &planted)?;
        if state == State::Erased
            && let Some(dump) = state::dump(bench)?
        {
            let hits = state::remains(&dump, &planted);
            if !hits.is_empty() {
                bench.evidence("flash-after-cut.bin", &dump);
                state = State::Half(format!("the device shows nothing and the flash holds {}", state::tell(&hits)));
            }
            state::wake(bench)?;
        }
        bench.note(&format!("cut at {at:?}: {state:?}"));
        match state {
            State::Intact => intact += 1,
            State::Erased => erased += 1,
            State::Half(what) => {
                report.violated(bench, C, EXPECTED, &format!("{}: cut {at:?} after its start: {what}", route.id));
                return Ok(());
            }
        }
    }
    let counted = intact + erased;
    if counted == 0 {
        return Err(Trouble::NoOpportunity(format!("none of {unseen} cuts was witnessed")));
    }
    bench.strength(format!(
        "{counted} witnessed cuts from {first:?} to {took:?} ({intact} before it began, {erased} finished); 95 % bound {:.3}",
        3.0 / f64::from(counted)
    ));
    report.satisfied(bench, C, EXPECTED, &format!("{}: {counted} cuts, none left a half", route.id));
    Ok(())
}

/// Whether the canaries of the last turn are gone and have to be planted again.
fn intact_lost(bench: &mut Bench, planted: &Planted) -> Result<bool, Trouble> {
    Ok(state::look(bench, planted)? != State::Intact)
}

/// What must not reset.
pub const UNASKED: Check = Check {
    id: "reset/unasked",
    title: "a short press, a request without login and a wrong token reset nothing",
    units: &[B],
    table: Some(25),
    row_wanted: Some(bound_here),
    needs: NEEDS,
    permissions: &[Permission::FactoryReset],
    defects: &["reset-short-press", "reset-smp-no-token"],
    twins: &["silent-bad-command", "crypto-erase"],
    control: "the documented start of the same function does reset, afterwards, in the same check",
    budget: BUDGET,
    run: |bench| each_row(bench, &[B], unasked),
};

fn unasked(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    const EXPECTED: &str = "only the documented start resets";
    let deletes = row.del().map(|d| d.deletes.clone()).unwrap_or_default();
    let planted = Planted::plant(bench, &deletes, "unasked")?;
    let route = Route::new(bench, row, &planted)?;
    let mut tried = Vec::new();
    for (about, act) in near_misses(&route, bench.seed()) {
        carry_out(bench, &act)?;
        // Whatever it started gets time to happen; a restart is waited for.
        let _ = bench.expect(&bench.bind().boot_id.clone(), Duration::from_secs(3))?;
        if bench.boot_seen().boots > 0 && bench.try_ready(Duration::from_millis(route.bind.within_ms))?.is_none() {
            report.violated(bench, B, EXPECTED, &format!("{}: {about}: the device restarts and does not come up", route.id));
            return Ok(());
        }
        match state::look(bench, &planted)? {
            State::Intact => tried.push(about),
            State::Erased => {
                report.violated(bench, B, EXPECTED, &format!("{}: {about}: everything was erased", route.id));
                return Ok(());
            }
            State::Half(what) => {
                report.violated(bench, B, EXPECTED, &format!("{}: {about}: {what}", route.id));
                return Ok(());
            }
        }
    }
    if tried.is_empty() {
        return Err(Trouble::NoOpportunity(format!("{}: its start has nothing that could be left out", route.id)));
    }
    let ran = route.run(bench)?;
    if ran.boot.is_none() || state::look(bench, &planted)? != State::Erased {
        return Err(Trouble::NoOpportunity(format!("{}: the documented start did not reset either: {}", route.id, confirmed(&ran.did))));
    }
    report.satisfied(bench, B, EXPECTED, &format!("{}: {}: nothing was reset; the documented start did", route.id, tried.join(", ")));
    Ok(())
}

fn confirmed(did: &Did) -> &'static str {
    if did.is_done() { "said to be done" } else { "not done" }
}

/// Starts that lack what the documentation asks for.
fn near_misses(route: &Route, seed: u64) -> Vec<(String, Start)> {
    match &route.bind.start {
        Action::Button(b) => [5, 10, 50, 75]
            .map(|percent| {
                let mut short = b.clone();
                short.hold_ms = b.hold_ms * percent / 100;
                (short.expect, short.restarts) = (None, false);
                (format!("held for {} ms", short.hold_ms), Start::With(Action::Button(short), None))
            })
            .to_vec(),
        start @ (Action::Smp(_) | Action::Command(_)) if route::asks_for_token(start) => wrong_tokens(route.token().unwrap_or_default(), seed)
            .into_iter()
            .map(|(about, token)| (about.to_owned(), Start::With(route::unrestarted(start), Some(token))))
            .collect(),
        Action::Console(c) if c.login => vec![("typed without login".to_owned(), Start::Typed(c.send.clone()))],
        _ => Vec::new(),
    }
}

/// A start that should not work.
#[derive(Clone)]
enum Start {
    /// The action, with this token.
    With(Action, Option<String>),
    /// The line at the login prompt.
    Typed(String),
}

fn wrong_tokens(good: &str, seed: u64) -> Vec<(&'static str, String)> {
    let random: String = canary::text(seed, "token").bytes().flat_map(|b| format!("{b:02x}").into_bytes()).map(char::from).collect();
    let same_len = |s: &str| s.chars().cycle().take(good.len().max(1)).collect::<String>();
    let last = good.len().saturating_sub(1);
    let flipped = if good.ends_with('0') { "1" } else { "0" };
    vec![
        ("an empty token", String::new()),
        ("a token of zeros", same_len("0")),
        ("a random token", same_len(&random)),
        ("a token without its last character", good.get(..last).unwrap_or_default().to_owned()),
        ("a token with another last character", format!("{}{flipped}", good.get(..last).unwrap_or_default())),
    ]
}

fn carry_out(bench: &mut Bench, start: &Start) -> Result<(), Trouble> {
    match start {
        Start::With(action, token) => {
            let token = token.clone().unwrap_or_default();
            let did = bench.perform(action, &[("token", &token)])?;
            bench.note(&format!("answer: {did:?}"));
        }
        Start::Typed(line) => {
            bench.logout()?;
            bench.send_line(line)?;
        }
    }
    Ok(())
}
