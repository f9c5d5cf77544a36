//! What the device is after a reset, or after something that must not reset it: whole, erased, or half.

use super::canary::Planted;
use super::search::{self, Hit, Needle};
use proofbench_model::bind::{Credential, LoginBind};
use proofbench_runner::bench::LoginResult;
use proofbench_runner::{Bench, Capability, Trouble};
use std::time::Duration;

/// What is left of what was planted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Everything is there.
    Intact,
    /// Nothing is there, and the label's credential works.
    Erased,
    /// Something in between, in words.
    Half(String),
}

/// Pairs that no device may take after a reset, unless they are its label's.
fn universal(user: &str) -> Vec<Credential> {
    let pair = |u: &str, s: &str| Credential { user: u.to_owned(), secret: s.to_owned() };
    let mut pairs = vec![pair(user, user), pair(user, ""), pair("admin", "admin"), pair("root", "")];
    pairs.dedup();
    pairs
}

fn login_bind(bench: &Bench) -> Result<LoginBind, Trouble> {
    bench.bind().login.clone().ok_or_else(|| Trouble::IxitMissing("[bind.login] of device.toml".to_owned()))
}

/// A login whose answer can be judged: a lock-out from earlier tries is waited for once.
pub(super) fn try_login(bench: &mut Bench, c: &Credential) -> Result<bool, Trouble> {
    let lockout = Duration::from_millis(login_bind(bench)?.lockout_ms);
    for _ in 0..2 {
        match bench.login(c)? {
            LoginResult::In => return Ok(true),
            LoginResult::Refused => return Ok(false),
            LoginResult::LockedOut => bench.sleep(lockout + Duration::from_secs(1))?,
            LoginResult::NoPrompt => return Err(Trouble::Unreachable("no login prompt on the console".to_owned())),
        }
    }
    Err(Trouble::Precondition("the console takes no logins, even after the declared lock-out".to_owned()))
}

fn label(bench: &Bench) -> Result<Credential, Trouble> {
    bench.dossier().device.sample.label.clone().ok_or_else(|| Trouble::IxitMissing("[sample] label of device.toml".to_owned()))
}

/// Makes sure of a session: with the credential in force, or with the label's if a reset a moment ago has brought that back.
pub(super) fn own_session(bench: &mut Bench) -> Result<(), Trouble> {
    let label = label(bench)?;
    if let Some(current) = bench.credential().cloned()
        && current != label
        && !try_login(bench, &current)?
    {
        bench.set_credential(label);
    }
    bench.session()
}

/// Looks which credential works and which canaries are there.
pub(super) fn look(bench: &mut Bench, planted: &Planted) -> Result<State, Trouble> {
    if let Some(password) = &planted.password {
        if try_login(bench, password)? {
            bench.set_credential(password.clone());
            let gone: Vec<String> = planted.alive(bench)?.into_iter().filter_map(|(n, there)| (!there).then_some(n)).collect();
            return Ok(if gone.is_empty() {
                State::Intact
            } else {
                State::Half(format!("the password is still there and gone are: {}", gone.join(", ")))
            });
        }
        let label = label(bench)?;
        if !try_login(bench, &label)? {
            return Ok(State::Half("neither the password that was set nor the label's is taken".to_owned()));
        }
        bench.set_credential(label);
        let alive = still(planted, bench)?;
        return Ok(if alive.is_empty() {
            State::Erased
        } else {
            State::Half(format!("the password is gone and still there are: {}", alive.join(", ")))
        });
    }
    let told = planted.alive(bench)?;
    let there = told.iter().filter(|(_, t)| *t).count();
    Ok(match there {
        0 => State::Erased,
        n if n == told.len() => State::Intact,
        n => State::Half(format!("{n} of {} canaries are still there", told.len())),
    })
}

/// Canaries and tokens that are still there.
pub(super) fn still(planted: &Planted, bench: &mut Bench) -> Result<Vec<String>, Trouble> {
    Ok(planted.alive(bench)?.into_iter().filter_map(|(n, there)| there.then_some(n)).collect())
}

/// What is wrong with the logins of a device that says it was reset: the old password, a universal pair, a session without login, or a label that does not
/// work. Spends fewer tries than the declared lock-out allows, then logs in with the label's credential.
pub(super) fn wrong_logins(bench: &mut Bench, planted: &Planted) -> Result<Vec<String>, Trouble> {
    let mut wrong = Vec::new();
    let bind = login_bind(bench)?;
    if opens_without_login(bench)? {
        wrong.push("the console gives a session without login".to_owned());
    }
    let label = label(bench)?;
    let mut tries: Vec<(String, Credential)> =
        planted.password.iter().map(|p| ("the password from before the reset".to_owned(), p.clone())).collect();
    tries.extend(universal(&label.user).into_iter().map(|c| (format!("the universal pair {}/{}", c.user, c.secret), c)));
    tries.retain(|(_, c)| *c != label);
    // The label's login below is one more try, and the right one clears the count.
    for (about, credential) in tries.iter().take(usize::try_from(bind.tries.saturating_sub(1)).unwrap_or(0)) {
        if try_login(bench, credential)? {
            wrong.push(format!("{about} is taken"));
        }
    }
    if try_login(bench, &label)? {
        bench.set_credential(label);
    } else {
        wrong.push("the label's credential is not taken".to_owned());
    }
    Ok(wrong)
}

/// Whether an empty line, typed by somebody who has not logged in since the last boot, brings up a session.
pub(super) fn opens_without_login(bench: &mut Bench) -> Result<bool, Trouble> {
    let bind = login_bind(bench)?;
    bench.drain()?;
    bench.send_line("")?;
    match bench.expect_any(&[&bind.shell_prompt, &bind.user_prompt, &bind.secret_prompt], Duration::from_secs(2))? {
        Some((0, _)) => Ok(true),
        Some(_) => Ok(false),
        None => Err(Trouble::Unreachable("no prompt on the console".to_owned())),
    }
}

/// The flash reader over a check: each dump is younger than the change before it, or it is no dump.
#[derive(Default)]
pub(super) struct Reader {
    last: Option<Vec<u8>>,
}

impl Reader {
    /// A dump. Leaves the device without power; none where the rig has no reader. The caller has had the device acknowledge a change since the dump before: one that
    /// shows no difference is stale (or the stores are kept elsewhere), and proves nothing.
    pub fn dump(&mut self, bench: &mut Bench) -> Result<Option<Vec<u8>>, Trouble> {
        let Some(now) = dump(bench)? else { return Ok(None) };
        if self.last.as_ref() == Some(&now) {
            return Err(Trouble::NoOpportunity("the flash is read as it was, although the device has acknowledged changes since".to_owned()));
        }
        self.last = Some(now.clone());
        Ok(Some(now))
    }

    /// As [`Reader::dump`], and the device is ready again afterwards.
    pub fn peek(&mut self, bench: &mut Bench) -> Result<Option<Vec<u8>>, Trouble> {
        let dump = self.dump(bench)?;
        if dump.is_some() {
            wake(bench)?;
        }
        Ok(dump)
    }
}

/// A dump, with the proof that the search sees what stands in it: a piece of the image that runs. Leaves the device without power; none where the rig has no
/// reader.
pub(super) fn dump(bench: &mut Bench) -> Result<Option<Vec<u8>>, Trouble> {
    if !bench.has(Capability::Storage) {
        return Ok(None);
    }
    let dump = bench.dump()?;
    let names: Vec<String> = bench.dossier().images().into_iter().map(str::to_owned).collect();
    for name in names {
        let image = bench.image(&name)?;
        let middle = image.len() / 2;
        let Some(piece) = image.get(middle..middle + 24) else { continue };
        let needle = [Needle { name, bytes: piece.to_vec() }];
        if search::search(&dump, &needle).iter().any(|h| h.whole) {
            return Ok(Some(dump));
        }
    }
    Err(Trouble::NoOpportunity("the search does not find the image that stands in the flash: it would find nothing else".to_owned()))
}

/// Switches on again after a dump and waits until the device is ready.
pub(super) fn wake(bench: &mut Bench) -> Result<(), Trouble> {
    bench.power_on()?;
    let within = Duration::from_millis(bench.bind().recovery_within_ms);
    bench.wait_ready(within)?;
    Ok(())
}

/// What a dump still holds of what was planted.
pub(super) fn remains(dump: &[u8], planted: &Planted) -> Vec<Hit> {
    search::search(dump, &planted.needles())
}

/// Hits as one text of bounded length.
pub(super) fn tell(hits: &[Hit]) -> String {
    let mut text = hits.iter().take(8).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if hits.len() > 8 {
        text.push_str(&format!(" and {} more", hits.len() - 8));
    }
    text
}
