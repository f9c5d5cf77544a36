//! Resets that are disturbed, and things that must not reset.
//!
//! Purpose: 5.11-1-2, rows 76 and T-RST 4 and 5. A power cut at any time of a reset must leave a device that has not begun or that is finished (at the next
//! start at the latest): never the password gone and the data still there. A short press, a request without login and a request with a wrong token
//! must leave everything as it was. The control of every absence is the documented route, which works in the same check.

use super::canary::{self, Planted};
use super::route::{self, Route};
use super::state::{self, Reader, State};
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
/// Cuts of one route: over the whole of it, to find where it begins, and from there to the confirmation.
const SURVEY: u32 = 4;
const BISECT: u32 = 8;
const DENSE: u32 = 16;
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

/// The cuts of one route.
struct Campaign {
    deletes: Vec<String>,
    planted: Planted,
    reader: Reader,
    /// Turns so far: each planting is another.
    turn: u32,
    intact: u32,
    erased: u32,
    unseen: u32,
}

fn interrupted(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let deletes = row.del().map(|d| d.deletes.clone()).unwrap_or_default();
    let mut reader = Reader::default();
    reader.peek(bench)?;
    // Undisturbed: it works, and how long it takes.
    let planted = Planted::plant(bench, &deletes, "undisturbed")?;
    reader.peek(bench)?;
    let route = Route::new(bench, row, &planted)?;
    let begun = bench.now();
    let (did, _) = route.start(bench)?;
    if !did.is_done() {
        return Err(Trouble::NoOpportunity(format!("{}: the undisturbed reset did not work: {did:?}", route.id)));
    }
    let confirmed = bench.now().since(begun);
    if bench.try_ready(Duration::from_millis(route.bind.within_ms))?.is_none() {
        return Err(Trouble::NoOpportunity(format!("{}: not ready after the undisturbed reset", route.id)));
    }
    let took = bench.now().since(begun);
    bench.note(&format!("{}: confirmed after {confirmed:?}, ready after {took:?}", route.id));
    if state::look(bench, &planted)? != State::Erased {
        return Err(Trouble::NoOpportunity(format!("{}: the undisturbed reset did not erase: that is another check's matter", route.id)));
    }
    let first = confirmed.saturating_sub(REACH);
    let mut campaign = Campaign { deletes, planted, reader, turn: 0, intact: 0, erased: 0, unseen: 0 };
    if let Some(what) = campaign.run(bench, row, first, confirmed, took)? {
        report.violated(bench, C, WHOLE, &what);
        return Ok(());
    }
    let Campaign { intact, erased, unseen, .. } = campaign;
    let counted = intact + erased;
    if counted == 0 {
        return Err(Trouble::NoOpportunity(format!("none of {unseen} cuts was witnessed")));
    }
    let bound = 3.0 / f64::from(counted);
    bench.strength(format!(
        "{counted} witnessed cuts from {first:?} to {took:?} after the start ({intact} before it began, {erased} finished at the next start), dense in \
         between; 95 % bound {bound:.2}"
    ));
    report.satisfied(bench, C, WHOLE, &format!("{}: {counted} cuts, none left a half", row.id));
    Ok(())
}

const WHOLE: &str = "after a cut everything is there and the old password works, or everything is gone and the label's does";

impl Campaign {
    /// A coarse survey, then the edge between not begun and begun by bisection, then dense cuts from that edge to the confirmation: where the wipe is.
    fn run(&mut self, bench: &mut Bench, row: &Row, first: Duration, confirmed: Duration, took: Duration) -> Result<Option<String>, Trouble> {
        let (mut before, mut after) = (first, took);
        for n in 0..SURVEY {
            let at = first + (took.saturating_sub(first)) * n / SURVEY;
            match self.cut(bench, row, at)? {
                Some(State::Half(what)) => return Ok(Some(what)),
                Some(State::Intact) => before = before.max(at),
                Some(State::Erased) => after = after.min(at),
                None => {}
            }
        }
        for _ in 0..BISECT {
            if after.saturating_sub(before) < Duration::from_millis(1) {
                break;
            }
            let at = before + (after - before) / 2;
            match self.cut(bench, row, at)? {
                Some(State::Half(what)) => return Ok(Some(what)),
                Some(State::Intact) => before = at,
                Some(State::Erased) => after = at,
                None => break,
            }
        }
        let wipe = confirmed.saturating_sub(before);
        for n in 1..=DENSE {
            if let Some(State::Half(what)) = self.cut(bench, row, before + wipe * n / DENSE)? {
                return Ok(Some(what));
            }
        }
        Ok(None)
    }

    /// One cut; none if nothing witnessed it.
    fn cut(&mut self, bench: &mut Bench, row: &Row, at: Duration) -> Result<Option<State>, Trouble> {
        if self.turn == 0 || state::look(bench, &self.planted)? != State::Intact {
            self.planted = Planted::plant(bench, &self.deletes, &format!("cut {}", self.turn))?;
        }
        self.turn += 1;
        let route = Route::new(bench, row, &self.planted)?;
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
            return Ok(Some(State::Half(format!("{}: cut {at:?} after its start: the device does not come up", route.id))));
        };
        if bench.witness(before.as_deref(), &boot).is_err() {
            self.unseen += 1;
            return Ok(None);
        }
        let mut state = state::look(bench, &self.planted)?;
        if state == State::Erased
            && let Some(dump) = self.reader.peek(bench)?
        {
            let hits = state::remains(&dump, &self.planted);
            if !hits.is_empty() {
                bench.evidence("flash-after-cut.bin", &dump);
                state = State::Half(format!("the device shows nothing and the flash holds {}", state::tell(&hits)));
            }
        }
        bench.note(&format!("cut at {at:?}: {state:?}"));
        Ok(Some(match state {
            State::Half(what) => State::Half(format!("{}: cut {at:?} after its start: {what}", route.id)),
            State::Intact => {
                self.intact += 1;
                State::Intact
            }
            State::Erased => {
                self.erased += 1;
                State::Erased
            }
        }))
    }
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
