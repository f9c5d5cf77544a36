//! Canaries: unique strings in every place that a user can write to, and credentials that are known to work, by the bindings of tables 1, 10 and 21.

use super::search::Needle;
use proofbench_model::RowId;
use proofbench_model::bind::{Action, AuthBind, Credential, StoreBind};
use proofbench_runner::bench::{Did, LoginResult};
use proofbench_runner::{Bench, Trouble};

/// Letters and digits without those that a parser, a shell or an eye might change.
const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789";
/// Length of a canary: 115 bits, and short enough for most fields.
const LEN: usize = 20;

/// One store with its canary.
#[derive(Debug, Clone)]
pub(crate) struct Canary {
    pub row: RowId,
    pub bind: StoreBind,
    pub value: String,
}

/// Everything that was planted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Planted {
    pub stores: Vec<Canary>,
    /// The password that was set, with its user.
    pub password: Option<Credential>,
    /// Tokens that were made and found good, each with how to use it.
    pub tokens: Vec<(RowId, String, AuthBind)>,
    /// Rows that were to be planted and have no binding for it, by reason.
    pub skipped: Vec<String>,
}

/// Deterministic text: same run, same canaries; another salt, another text.
pub(super) fn text(seed: u64, salt: &str) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(format!("{seed:016x} {salt}").as_bytes());
    digest.iter().take(LEN).map(|b| char::from(ALPHABET[usize::from(*b) % ALPHABET.len()])).collect()
}

impl Planted {
    /// Plants in these rows (`table/row`), and reads back what can be read back: the data exist, and differ from the defaults. `round` tells the canaries of
    /// one planting from those of the next.
    pub fn plant(bench: &mut Bench, rows: &[String], round: &str) -> Result<Self, Trouble> {
        super::state::own_session(bench)?;
        let mut planted = Planted::default();
        let seed = bench.seed();
        for name in rows {
            let id: RowId = name.parse().map_err(|e| Trouble::IxitAmbiguous(format!("{e}")))?;
            let Some(row) = bench.dossier().ixit.row(&id).cloned() else {
                return Err(Trouble::IxitMissing(format!("row {name}")));
            };
            if let Some(auth) = row.auth().cloned() {
                planted.credential(bench, &id, auth, &text(seed, &format!("{name} {round}")))?;
            } else if let Some(store) = row.store().cloned() {
                planted.store(bench, &id, store, text(seed, &format!("{name} {round}")))?;
            } else {
                planted.skipped.push(format!("{name} has no binding"));
            }
        }
        // The password last: every other step logged in with the one before.
        planted.prove(bench)?;
        Ok(planted)
    }

    fn store(&mut self, bench: &mut Bench, id: &RowId, bind: StoreBind, value: String) -> Result<(), Trouble> {
        let Some(set) = bind.set.clone() else {
            self.skipped.push(format!("{id} has no `set` in its binding"));
            return Ok(());
        };
        match bench.perform(&set, &[("value", &value)])? {
            Did::Done { .. } => {}
            Did::Refused { text } => return Err(Trouble::Precondition(format!("{id} does not take `{value}`: {text}"))),
            Did::Silent => return Err(Trouble::Unreachable(format!("no answer when {id} was set"))),
        }
        let canary = Canary { row: id.clone(), bind, value };
        if canary.shows(bench)? == Some(false) {
            return Err(Trouble::NoOpportunity(format!("{id} was set and does not read back: nothing shows that the canary is there")));
        }
        self.stores.push(canary);
        Ok(())
    }

    fn credential(&mut self, bench: &mut Bench, id: &RowId, auth: AuthBind, secret: &str) -> Result<(), Trouble> {
        if let Some(issue) = &auth.issue {
            let token = match bench.perform(issue, &[])? {
                Did::Done { value: Some(token), .. } => token,
                other => return Err(Trouble::Precondition(format!("{id} gave no token: {other:?}"))),
            };
            self.tokens.push((id.clone(), token, auth));
            return Ok(());
        }
        let Some(change) = &auth.change else {
            self.skipped.push(format!("{id} has neither `change` nor `issue` in its binding"));
            return Ok(());
        };
        let user = bench.credential().map(|c| c.user.clone()).unwrap_or_default();
        match bench.perform(change, &[("secret", secret)])? {
            Did::Done { .. } => {}
            other => return Err(Trouble::Precondition(format!("the secret of {id} could not be changed: {other:?}"))),
        }
        let new = Credential { user, secret: secret.to_owned() };
        bench.set_credential(new.clone());
        self.password = Some(new);
        Ok(())
    }

    /// What must be dead later is known to be alive now.
    fn prove(&self, bench: &mut Bench) -> Result<(), Trouble> {
        if let Some(password) = &self.password {
            match bench.login(password)? {
                LoginResult::In => {}
                other => return Err(Trouble::NoOpportunity(format!("the password that was just set does not work: {other:?}"))),
            }
        }
        for (id, token, auth) in &self.tokens {
            if let Some(check) = &auth.check
                && !bench.perform(check, &[("token", token)])?.is_done()
            {
                return Err(Trouble::NoOpportunity(format!("the token that {id} just gave is not good")));
            }
        }
        Ok(())
    }

    /// What to look for in a dump.
    pub(super) fn needles(&self) -> Vec<Needle> {
        let mut needles: Vec<Needle> = self.stores.iter().map(|c| Needle { name: c.row.to_string(), bytes: c.value.clone().into_bytes() }).collect();
        needles.extend(self.password.iter().map(|p| Needle { name: "password".to_owned(), bytes: p.secret.clone().into_bytes() }));
        needles.extend(self.tokens.iter().map(|(id, t, _)| Needle { name: format!("token of {id}"), bytes: t.clone().into_bytes() }));
        needles
    }

    /// In words, for observations.
    pub fn summary(&self) -> String {
        let stores: Vec<String> = self.stores.iter().map(|c| c.row.to_string()).collect();
        let password = if self.password.is_some() { ", a new password" } else { "" };
        format!("canaries in {}{password}, {} token(s)", stores.join(", "), self.tokens.len())
    }

    /// Which canaries and credentials the device still shows or takes, asked over its interfaces with the session in force; `tell` of each whether it is still there. Those
    /// that cannot be asked are left out.
    pub fn alive(&self, bench: &mut Bench) -> Result<Vec<(String, bool)>, Trouble> {
        let mut all = Vec::new();
        for canary in &self.stores {
            if let Some(there) = canary.shows(bench)? {
                all.push((canary.row.to_string(), there));
            }
        }
        for (id, token, auth) in &self.tokens {
            let Some(check) = &auth.check else { continue };
            match bench.perform(check, &[("token", token)])? {
                Did::Done { .. } => all.push((format!("token of {id}"), true)),
                Did::Refused { .. } => all.push((format!("token of {id}"), false)),
                Did::Silent => return Err(Trouble::Unreachable(format!("no answer when the token of {id} was used"))),
            }
        }
        Ok(all)
    }
}

impl Canary {
    /// Whether the device shows it; `None` if it cannot be asked.
    pub fn shows(&self, bench: &mut Bench) -> Result<Option<bool>, Trouble> {
        let Some(get) = &self.bind.get else { return Ok(None) };
        Ok(Some(read(bench, get, &self.row)?.contains(&self.value)))
    }
}

/// Everything that the device says to a question: the answer and what follows it.
pub(super) fn read(bench: &mut Bench, get: &Action, row: &RowId) -> Result<String, Trouble> {
    let mut said = match bench.perform(get, &[])? {
        Did::Done { text, .. } | Did::Refused { text } => text,
        Did::Silent => return Err(Trouble::Unreachable(format!("no answer when {row} was read"))),
    };
    if matches!(get, Action::Console(_)) {
        let rest = bench.drain()?;
        said.push('\n');
        said.push_str(&String::from_utf8_lossy(&rest));
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canaries_repeat_with_their_run_and_differ_in_everything_else() {
        assert_eq!(text(7, "21/name 0"), text(7, "21/name 0"));
        let all = [text(7, "21/name 0"), text(7, "21/name 1"), text(7, "21/notes 0"), text(8, "21/name 0")];
        for (i, a) in all.iter().enumerate() {
            assert_eq!(a.len(), LEN);
            assert!(a.bytes().all(|b| b.is_ascii_alphanumeric()));
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
    }
}
