//! What a bench sees of a device after a boot, by the bindings alone.

use super::oracle::{Key, NO_ANSWER, REFUSED, Seen, UNKNOWN_IMAGE, WORKS};
use super::stimulus::Image;
use proofbench_channel::{Answer, ErrorKind};
use proofbench_model::bind::{Action, Credential, Region};
use proofbench_runner::bench::{Did, LoginResult};
use proofbench_runner::{Bench, Capability, Trouble};
use std::rc::Rc;
use std::time::Duration;

/// Questions whose answers no cut, update or reset may change.
const FIXED: [&str; 3] = ["lock", "life-cycle", "serial"];

/// What an empty store says.
const NOTHING: &str = "(nothing)";

/// A credential under a name that reports may show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// "label", "user", "new".
    pub name: String,
    /// The pair.
    pub pair: Credential,
}

/// Everything that is looked at after a cut. Made once per campaign from the dossier.
#[derive(Debug, Clone, Default)]
pub struct Watchlist {
    /// Questions: key and name in `[bind.ask]`.
    pub asks: Vec<(Key, String)>,
    /// Stores that can be read back.
    pub stores: Vec<(Key, Action)>,
    /// The usage counter.
    pub count: Option<Action>,
    /// Credentials that may be in force, most likely first.
    pub credentials: Vec<Named>,
    /// Pairs that must never work.
    pub defaults: Vec<Credential>,
    /// Tokens: key, action with the token filled in.
    pub tokens: Vec<(Key, Action)>,
    /// Genuine images.
    pub images: Vec<Rc<Image>>,
    /// Running slot and the other slot in the storage image.
    pub slots: (Option<Region>, Option<Region>),
    /// Whether the update path lists images.
    pub update: bool,
}

impl Watchlist {
    /// All that the dossier declares and the rig can reach.
    pub fn of(bench: &Bench, images: &[Rc<Image>]) -> Watchlist {
        let mut list = Watchlist { images: images.to_vec(), ..Watchlist::default() };
        for (key, name) in [(Key::Version, "version"), (Key::SlotState, "slot-state"), (Key::Counter, "counter")] {
            if bench.can_ask(name) {
                list.asks.push((key, name.to_owned()));
            }
        }
        for name in FIXED.into_iter().filter(|n| bench.can_ask(n)) {
            list.asks.push((Key::Fixed(name.to_owned()), name.to_owned()));
        }
        for table in [10, 21] {
            for row in bench.dossier().ixit.rows(table) {
                // A secret is not read back: its value must not get into a journal.
                if let Some(store) = row.store().filter(|s| s.kind != "secret")
                    && let Some(get) = &store.get
                {
                    list.stores.push((Key::Store(row.id.to_string()), get.clone()));
                }
            }
        }
        list.count = bench.bind().act.get("read-count").cloned();
        let label = bench.dossier().device.sample.label.as_ref();
        if let Some(label) = label.filter(|_| bench.bind().login.is_some() && bench.has(Capability::Console)) {
            list.credentials.push(Named { name: "label".to_owned(), pair: label.clone() });
            let guesses = ["admin", ""].map(|secret| Credential { user: label.user.clone(), secret: secret.to_owned() });
            list.defaults.extend(guesses.into_iter().filter(|pair| pair != label));
        }
        list.slots = (bench.bind().regions.get("slot0").copied(), bench.bind().regions.get("slot1").copied());
        list.update = bench.has(Capability::UpdatePath);
        list
    }

    /// Which genuine image stands at the start of a slot.
    pub fn image_in(&self, slot: &[u8]) -> &str {
        self.images.iter().find(|i| slot.starts_with(&i.bytes)).map_or(UNKNOWN_IMAGE, |i| i.version.as_str())
    }

    /// The two slots in a storage content that `read` delivers.
    pub fn look_at_storage(&self, seen: &mut Seen, mut read: impl FnMut(u64, &mut [u8]) -> Result<(), Trouble>) -> Result<(), Trouble> {
        let longest = self.images.iter().map(|i| i.bytes.len()).max().unwrap_or(0);
        for (key, region) in [(Key::RunningImage, self.slots.0), (Key::OtherImage, self.slots.1)] {
            let Some(region) = region else { continue };
            let mut slot = vec![0; longest.min(usize::try_from(region.len).unwrap_or(usize::MAX))];
            if slot.is_empty() {
                continue;
            }
            read(region.offset, &mut slot)?;
            seen.insert(key, self.image_in(&slot).to_owned());
        }
        Ok(())
    }

    /// Questions the running device. What it does not answer is [`NO_ANSWER`]; only faults of the bench are errors.
    pub fn ask(&self, bench: &mut Bench) -> Result<Seen, Trouble> {
        let mut seen = Seen::new();
        self.log_in(bench, &mut seen)?;
        for (key, name) in &self.asks {
            let answer = unanswered(bench.ask(name))?;
            seen.insert(key.clone(), answer);
        }
        let reads = self.stores.iter().chain(self.count.as_ref().map(|a| (Key::Count, a.clone())).iter()).cloned().collect::<Vec<_>>();
        for (key, get) in reads {
            // A store that lists nothing says nothing: silence is a value here, and legal only where it was so before. A line that met a prompt just coming
            // up is silent once; an empty store is silent again.
            let did = match bench.perform(&get, &[]) {
                Ok(Did::Silent) => bench.perform(&get, &[]),
                other => other,
            };
            seen.insert(key, unanswered(did.map(|d| if d == Did::Silent { NOTHING.to_owned() } else { value_of(d) }))?);
        }
        for (key, check) in &self.tokens {
            let did = bench.perform(check, &[]);
            let works = did.map(|d| match d {
                Did::Done { .. } => WORKS.to_owned(),
                Did::Refused { .. } => REFUSED.to_owned(),
                Did::Silent => NO_ANSWER.to_owned(),
            });
            seen.insert(key.clone(), unanswered(works)?);
        }
        if self.update {
            let wait = bench.wait(Duration::from_secs(5));
            let active = match bench.update()?.state(&wait) {
                Ok(Answer::Accepted(list)) => {
                    let mut active = list.iter().filter(|i| i.active);
                    match (active.next(), active.next()) {
                        (Some(one), None) => self
                            .images
                            .iter()
                            .find(|i| i.is_listed_as(&one.hash, &one.version))
                            .map_or_else(|| one.version.clone(), |i| i.version.clone()),
                        (None, _) => "none".to_owned(),
                        _ => "several".to_owned(),
                    }
                }
                Ok(Answer::Refused(_) | Answer::Silent) => NO_ANSWER.to_owned(),
                Err(e) if matches!(e.kind, ErrorKind::Timeout) => NO_ANSWER.to_owned(),
                // A path that lists nothing says as little as no path.
                Err(e) if e.kind == ErrorKind::Unsupported => return Ok(seen),
                Err(e) => return Err(e.into()),
            };
            seen.insert(Key::ActiveImage, active);
        }
        Ok(seen)
    }

    /// Tries the default pairs first, so that the session that stays is the user's; then the credentials that may be in force.
    fn log_in(&self, bench: &mut Bench, seen: &mut Seen) -> Result<(), Trouble> {
        if self.credentials.is_empty() {
            return Ok(());
        }
        let mut default = REFUSED;
        for pair in &self.defaults {
            match attempt(bench, pair)? {
                Some(LoginResult::In) => default = WORKS,
                Some(_) => {}
                None => default = NO_ANSWER,
            }
        }
        seen.insert(Key::DefaultCredential, default.to_owned());
        let mut open = false;
        for c in &self.credentials {
            // Once one works the others must not: they are tried as well, the working one last of all.
            let result = match attempt(bench, &c.pair)? {
                Some(LoginResult::In) => WORKS,
                Some(LoginResult::Refused) => REFUSED,
                Some(LoginResult::LockedOut | LoginResult::NoPrompt) | None => NO_ANSWER,
            };
            open |= result == WORKS;
            seen.insert(Key::Credential(c.name.clone()), result.to_owned());
            if result == WORKS {
                bench.set_credential(c.pair.clone());
            }
        }
        if open && self.credentials.len() > 1 {
            unanswered(bench.session().map(|()| String::new()))?;
        }
        Ok(())
    }
}

fn attempt(bench: &mut Bench, pair: &Credential) -> Result<Option<LoginResult>, Trouble> {
    match bench.login(pair) {
        Ok(result) => Ok(Some(result)),
        Err(Trouble::Unreachable(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

fn value_of(did: Did) -> String {
    match did {
        Did::Done { value, text } => value.unwrap_or(text),
        Did::Refused { text } => format!("refused: {text}"),
        Did::Silent => NO_ANSWER.to_owned(),
    }
}

/// The device's silence is what it did; a fault of the bench stays an error.
fn unanswered(result: Result<String, Trouble>) -> Result<String, Trouble> {
    match result {
        Err(Trouble::Unreachable(_) | Trouble::Precondition(_)) => Ok(NO_ANSWER.to_owned()),
        other => other,
    }
}
