//! Carrying out a declared deletion function, step by step, so that its confirmation and its restart can be looked at apart.

use super::canary::Planted;
use proofbench_channel::SmpRequest;
use proofbench_model::RowId;
use proofbench_model::bind::{Action, ButtonAction, DelBind};
use proofbench_model::dossier::Row;
use proofbench_runner::bench::{Boot, Did};
use proofbench_runner::{Bench, Trouble};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a single request to an adapter may take.
const ADAPTER: Duration = Duration::from_secs(5);

/// A declared function with what it takes to start it.
pub(crate) struct Route {
    /// The row of 25-DelFunc.
    pub id: RowId,
    /// Its binding.
    pub bind: DelBind,
    /// A token, where the start asks for one.
    token: Option<String>,
}

/// What a deletion function did.
pub(crate) struct Ran {
    /// The answer to its start.
    pub did: Did,
    /// Whether the declared confirmation came; none where none is declared.
    pub confirmed: Option<bool>,
    /// The boot that followed.
    pub boot: Option<Boot>,
}

impl Route {
    /// Gets ready for the function of this row. A token is taken from what was planted, or made.
    pub fn new(bench: &mut Bench, row: &Row, planted: &Planted) -> Result<Self, Trouble> {
        let bind = row.del_any().cloned().ok_or_else(|| Trouble::IxitMissing(format!("binding of row {}", row.id)))?;
        let token = if asks_for_token(&bind.start) { Some(token(bench, planted)?) } else { None };
        Ok(Self { id: row.id.clone(), bind, token })
    }

    /// The token it goes by.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    fn params(&self) -> Vec<(&str, &str)> {
        self.token.iter().map(|t| ("token", t.as_str())).collect()
    }

    fn within(&self) -> Duration {
        Duration::from_millis(self.bind.within_ms)
    }

    /// The confirmation is the very answer that the start waits for.
    fn answer_confirms(&self) -> bool {
        let expect = match &self.bind.start {
            Action::Console(c) => Some(&c.expect),
            Action::Button(b) => b.expect.as_ref(),
            Action::Smp(_) | Action::Http(_) | Action::Command(_) | Action::Operator(_) => None,
        };
        self.bind.confirmation.is_some() && expect == self.bind.confirmation.as_ref()
    }

    /// Starts it and waits for its confirmation, not for the restart: the moment of the confirmation is now.
    pub fn start(&self, bench: &mut Bench) -> Result<(Did, Option<bool>), Trouble> {
        let action = unrestarted(&self.bind.start);
        // What the console says while an adapter is busy with the request stays in the queue: it is young enough.
        bench.drain()?;
        let did = match &action {
            Action::Button(b) => hold_until_told(bench, b)?,
            other => bench.perform(other, &self.params())?,
        };
        let confirmed = match &self.bind.confirmation {
            None => None,
            Some(_) if self.answer_confirms() => Some(did.is_done()),
            Some(_) if !did.is_done() => Some(false),
            Some(line) => Some(bench.expect(&line.clone(), self.within())?.is_some()),
        };
        Ok((did, confirmed))
    }

    /// Starts it and waits until the device is ready again.
    pub fn run(&self, bench: &mut Bench) -> Result<Ran, Trouble> {
        let (did, confirmed) = self.start(bench)?;
        let boot = if did.is_done() || confirmed == Some(true) { bench.try_ready(self.within())? } else { None };
        if boot.is_some()
            && let Some(label) = bench.dossier().device.sample.label.clone()
        {
            bench.set_credential(label);
            bench.disowned();
        }
        Ok(Ran { did, confirmed, boot })
    }

    /// Starts it and comes back `after` that, whatever the device is doing then. `NoOpportunity` where the start cannot be left alone.
    pub fn start_and_leave(&self, bench: &mut Bench, after: Duration) -> Result<(), Trouble> {
        let fill = |text: &str| self.params().iter().fold(text.to_owned(), |t, (k, v)| t.replace(&format!("{{{k}}}"), v));
        match &self.bind.start {
            Action::Console(c) => {
                if c.login {
                    bench.session()?;
                }
                let line = fill(&c.send);
                bench.drain()?;
                bench.send_line(&line)?;
                bench.sleep(after)
            }
            Action::Smp(s) => {
                let body: BTreeMap<String, String> = s.body.iter().map(|(k, v)| (k.clone(), fill(v))).collect();
                let request = SmpRequest { group: s.group, id: s.id, write: s.write, body };
                let end = bench.now() + after;
                if !after.is_zero() {
                    let wait = bench.wait(after);
                    bench.update()?.smp(&request, &wait)?;
                }
                bench.sleep(end.since(bench.now()))
            }
            Action::Button(b) => {
                let name = b.name.clone();
                let hold = Duration::from_millis(b.hold_ms);
                let wait = bench.wait(ADAPTER);
                bench.fixture()?.button(&name, true, &wait)?;
                let slept = bench.sleep(after.min(hold));
                let release = after >= hold;
                if release || slept.is_err() {
                    release_button(bench, &name)?;
                }
                slept?;
                bench.sleep(after.saturating_sub(hold))
            }
            Action::Http(_) | Action::Command(_) | Action::Operator(_) => {
                Err(Trouble::NoOpportunity(format!("{}: its start cannot be left alone while it acts", self.id)))
            }
        }
    }

    /// Lets go of a button that [`Route::start_and_leave`] may have left pressed.
    pub fn let_go(&self, bench: &mut Bench) -> Result<(), Trouble> {
        if let Action::Button(b) = &self.bind.start {
            release_button(bench, &b.name.clone())?;
        }
        Ok(())
    }
}

/// Holds the button until the device confirms, for the declared time at the longest: so the confirmation is seen when it comes, and not when the finger
/// would have let go.
fn hold_until_told(bench: &mut Bench, b: &ButtonAction) -> Result<Did, Trouble> {
    let Some(expect) = b.expect.clone() else { return bench.perform(&Action::Button(b.clone()), &[]) };
    let hold = Duration::from_millis(b.hold_ms);
    let wait = bench.wait(ADAPTER);
    bench.fixture()?.button(&b.name, true, &wait)?;
    let held = bench.expect(&expect, hold);
    release_button(bench, &b.name)?;
    let found = match held? {
        None => bench.expect(&expect, Duration::from_millis(b.within_ms))?,
        found => found,
    };
    Ok(found.map_or(Did::Silent, |f| Did::Done { value: f.value, text: f.line }))
}

fn release_button(bench: &mut Bench, name: &str) -> Result<(), Trouble> {
    let wait = bench.wait(ADAPTER);
    bench.fixture()?.button(name, false, &wait)?;
    Ok(())
}

/// Whether a start has `{token}` in it.
pub(crate) fn asks_for_token(start: &Action) -> bool {
    match start {
        Action::Console(c) => c.send.contains("{token}"),
        Action::Smp(s) => s.body.values().any(|v| v.contains("{token}")),
        Action::Http(h) => h.body.as_ref().is_some_and(|b| b.contains("{token}")),
        Action::Command(c) => c.argv.iter().any(|a| a.contains("{token}")),
        Action::Button(_) | Action::Operator(_) => false,
    }
}

/// A good token: one that was planted, or a fresh one by the first row of 1-AuthMech that makes them.
fn token(bench: &mut Bench, planted: &Planted) -> Result<String, Trouble> {
    if let Some((_, token, _)) = planted.tokens.first() {
        return Ok(token.clone());
    }
    let issue = bench.dossier().ixit.rows(1).iter().find_map(|r| r.auth().and_then(|a| a.issue.clone()));
    let issue = issue.ok_or_else(|| Trouble::IxitMissing("a row of 1-AuthMech whose binding makes tokens (`issue`)".to_owned()))?;
    match bench.perform(&issue, &[])? {
        Did::Done { value: Some(token), .. } => Ok(token),
        other => Err(Trouble::Precondition(format!("no token was given: {other:?}"))),
    }
}

/// The same action, but the restart is the caller's to watch.
pub(super) fn unrestarted(action: &Action) -> Action {
    let mut action = action.clone();
    match &mut action {
        Action::Console(a) => a.restarts = false,
        Action::Smp(a) => a.restarts = false,
        Action::Button(a) => a.restarts = false,
        Action::Http(a) => a.restarts = false,
        Action::Command(_) | Action::Operator(_) => {}
    }
    action
}
