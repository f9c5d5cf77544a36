//! What is right and wrong after a power cut: pure functions over what the bench saw.
//!
//! The order is that of the list below: witnesses first (without them a cut is no cut and proves nothing), then liveness, integrity,
//! truthfulness, security, progress. The first failure decides, all are recorded.
//!
//! Legal ends of a disturbance are *whole* [`World`]s: every observable has a value in each, and the device must match one of them in all of
//! them. So a half-done factory reset, or a new image with the old counter, is illegal although each single value would be legal somewhere.
//! Which worlds are still possible follows from the history ([`Facts`]): what the device acknowledged before the cut, and what it showed after
//! an earlier recovery; [`World::next`] says which worlds power cuts alone may lead to.

use super::explore::{Facts, Finding};
use std::collections::BTreeMap;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The cut proves nothing: never a verdict on the device.
    Witness,
    /// Somebody has to act, nothing is lost.
    Minor,
    /// The device or its data is damaged, or it lies about itself.
    Major,
    /// The device is dead or open.
    Critical,
}

/// One question that is asked after every cut.
#[derive(Debug, Clone, Copy)]
pub struct Oracle {
    /// "I1".
    pub id: &'static str,
    /// How bad a failure is.
    pub severity: Severity,
    /// What must hold.
    pub holds: &'static str,
}

const fn oracle(id: &'static str, severity: Severity, holds: &'static str) -> Oracle {
    Oracle { id, severity, holds }
}

/// All oracles, in the order in which they decide.
pub const ORACLES: &[Oracle] = &[
    oracle("W1", Severity::Witness, "power really went: a new boot id and the reset cause of a power-on"),
    oracle("W2", Severity::Witness, "where the cut fell is known"),
    oracle("W3", Severity::Witness, "RAM was really lost"),
    oracle("L1", Severity::Critical, "the device comes up unattended within the declared time, without stopping on the way"),
    oracle("L2", Severity::Major, "it needs no more restarts, and no more storage operations than twice those of an undisturbed run"),
    oracle("L3", Severity::Critical, "a further update and a factory reset still work from the recovered state"),
    oracle("I1", Severity::Critical, "the image in the running slot is one of the maker's, byte by byte"),
    oracle("I2", Severity::Major, "while an image is on trial the one before it is kept"),
    oracle("I3", Severity::Major, "the device's list of images can be read, and exactly one of them is active"),
    oracle("I4", Severity::Major, "each acknowledged write is there, an unacknowledged one is old or new, nothing else changed"),
    oracle("T1", Severity::Major, "the reported version is that of the running image"),
    oracle("T2", Severity::Major, "the reported state (on trial, confirmed) is the one that history allows"),
    oracle("T3", Severity::Major, "what was reported done stays done"),
    oracle("T4", Severity::Major, "an image that was rolled back is not reported as active or confirmed"),
    oracle("S1", Severity::Critical, "the anti-rollback counter never decreases and never runs ahead of the installed image"),
    oracle("S2", Severity::Critical, "no older image runs"),
    oracle("S3", Severity::Critical, "no unsigned and no partial image runs"),
    oracle("S4", Severity::Critical, "debug lock, life cycle, identity and the user's credential are unchanged"),
    oracle("S5", Severity::Critical, "no default and no empty credential works"),
    oracle("P1", Severity::Major, "a confirmed update is never undone"),
    oracle("P2", Severity::Minor, "the update completes or can be offered again"),
    oracle("P3", Severity::Major, "power cycling alone changes nothing"),
];

/// Place of an oracle in the order of decision; unknown ids last.
pub fn rank(id: &str) -> usize {
    ORACLES.iter().position(|o| o.id == id).unwrap_or(ORACLES.len())
}

/// The oracle with this id.
pub fn named(id: &str) -> Option<&'static Oracle> {
    ORACLES.iter().find(|o| o.id == id)
}

/// Whether a finding only says that the cut was no cut.
pub fn is_witness(id: &str) -> bool {
    named(id).is_some_and(|o| o.severity == Severity::Witness)
}

/// What a bench can observe of a device after a boot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Version by the device's own word.
    Version,
    /// Which of the maker's images stands in the running slot, by its bytes: its version, or `unknown`.
    RunningImage,
    /// On trial or confirmed.
    SlotState,
    /// Active version by the update path.
    ActiveImage,
    /// Version of a complete image in the other slot, by its bytes; judged only where a world fixes it.
    OtherImage,
    /// Anti-rollback counter.
    Counter,
    /// Anything that no update, cut or reset may change: debug lock, life cycle, serial number.
    Fixed(String),
    /// A store of the dossier, by its row.
    Store(String),
    /// The monotonic usage counter.
    Count,
    /// Whether the credential of that name opens a session: `works` or `refused`.
    Credential(String),
    /// Whether a well-known or empty credential opens a session.
    DefaultCredential,
    /// Whether the token issued before is still good.
    Token(String),
}

impl Key {
    /// The oracle that owns a wrong value under this key.
    fn oracle(&self) -> &'static str {
        match self {
            Key::Version => "T1",
            Key::RunningImage => "I1",
            Key::SlotState => "T2",
            Key::ActiveImage => "T4",
            Key::OtherImage => "I2",
            Key::Counter => "S1",
            Key::Fixed(_) | Key::Credential(_) | Key::Token(_) => "S4",
            Key::Store(_) | Key::Count => "I4",
            Key::DefaultCredential => "S5",
        }
    }

    /// The key in words.
    pub fn text(&self) -> String {
        match self {
            Key::Version => "reported version".to_owned(),
            Key::RunningImage => "image in the running slot".to_owned(),
            Key::SlotState => "reported state".to_owned(),
            Key::ActiveImage => "active image by the update path".to_owned(),
            Key::OtherImage => "image in the other slot".to_owned(),
            Key::Counter => "anti-rollback counter".to_owned(),
            Key::Fixed(name) => name.clone(),
            Key::Store(row) => format!("store {row}"),
            Key::Count => "usage counter".to_owned(),
            Key::Credential(name) => format!("credential {name}"),
            Key::DefaultCredential => "default credential".to_owned(),
            Key::Token(row) => format!("token {row}"),
        }
    }
}

/// Observed values. A key that could not be asked is absent; one that the device did not answer holds [`NO_ANSWER`].
pub type Seen = BTreeMap<Key, String>;

/// The device was up and did not answer this question.
pub const NO_ANSWER: &str = "(no answer)";
/// Value of [`Key::RunningImage`] where no image of the maker matches.
pub const UNKNOWN_IMAGE: &str = "unknown";
/// A credential opens a session.
pub const WORKS: &str = "works";
/// A credential is refused.
pub const REFUSED: &str = "refused";

/// One whole legal end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct World {
    /// In words: "the old image runs".
    pub name: String,
    /// Legal values per key; keys that are absent are not judged in this world.
    pub values: BTreeMap<Key, Vec<String>>,
    /// Worlds, this one mostly included, that power cuts and boots alone may lead to.
    pub next: Facts,
}

impl World {
    /// This world with one more key.
    pub fn with(mut self, key: Key, values: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.values.insert(key, values.into_iter().map(Into::into).collect());
        self
    }

    /// Keys whose seen value is not legal here.
    fn differs<'a>(&'a self, seen: &'a Seen) -> impl Iterator<Item = (&'a Key, &'a str, &'a [String])> {
        self.values.iter().filter_map(move |(key, legal)| {
            let value = seen.get(key)?;
            (!legal.contains(value)).then_some((key, value.as_str(), legal.as_slice()))
        })
    }
}

/// Genuine images: version and the counter value that each carries.
pub type Genuine = BTreeMap<String, u32>;

/// The legal ends of one disturbance.
#[derive(Debug, Clone, Default)]
pub struct Story {
    /// At most 32 worlds; [`Facts`] are sets of them.
    pub worlds: Vec<World>,
    /// The maker's images, for oracles that compare reports with each other.
    pub genuine: Genuine,
}

impl Story {
    /// A set of worlds by number.
    pub fn set(worlds: &[usize]) -> Facts {
        worlds.iter().fold(0, |set, w| set | (1 << w))
    }

    /// Judges what was seen against the worlds that are still legal; gives the objections in order and the worlds that may follow.
    /// A story without worlds (a second round, whose start nobody measured) only asks what needs no history.
    pub fn judge(&self, seen: &Seen, facts: Facts) -> (Vec<Finding>, Facts) {
        let mut findings = self.cross_checks(seen);
        let legal = || self.worlds.iter().enumerate().filter(|(i, _)| facts & (1 << i) != 0).map(|(_, w)| w);
        let matching = legal().filter(|w| w.differs(seen).next().is_none());
        let next = matching.fold(0, |set, w| set | w.next);
        if next == 0 && !self.worlds.is_empty() {
            findings.extend(self.objections(seen, facts));
        }
        findings.sort_by_key(|f| rank(f.oracle));
        findings.dedup_by(|a, b| a.oracle == b.oracle && a.detail == b.detail);
        // After a finding the rest of the path is judged from the same set: one defect must not hide the next.
        (findings, if next == 0 { facts } else { next })
    }

    /// Why none of the legal worlds is the one seen: the differences from the nearest.
    fn objections(&self, seen: &Seen, facts: Facts) -> Vec<Finding> {
        let legal: Vec<&World> = self.worlds.iter().enumerate().filter(|(i, _)| facts & (1 << i) != 0).map(|(_, w)| w).collect();
        let Some(nearest) = legal.iter().min_by_key(|w| w.differs(seen).count()) else {
            return vec![Finding { oracle: "T3", detail: "no end is legal after this history".to_owned() }];
        };
        let names: Vec<&str> = legal.iter().map(|w| w.name.as_str()).collect();
        // A world that is no longer in the set but would fit: what was done has come undone.
        let undone = self.worlds.iter().enumerate().find(|(i, w)| facts & (1 << i) == 0 && w.differs(seen).next().is_none());
        nearest
            .differs(seen)
            .map(|(key, value, legal_values)| {
                let oracle = match (key, undone) {
                    (Key::RunningImage, _) if value == UNKNOWN_IMAGE => "I1",
                    (Key::RunningImage | Key::Version | Key::SlotState | Key::ActiveImage, Some(_)) => "P1",
                    (Key::RunningImage | Key::Version, _) if self.is_older(value, legal_values) => "S2",
                    // Whole and the maker's, but not what this history leaves: what was reported done (or refused) has not stayed so.
                    (Key::RunningImage, None) | (Key::Store(_) | Key::Count, Some(_)) => "T3",
                    (Key::Version, None) if seen.get(&Key::RunningImage).map(String::as_str) == Some(value) => "T3",
                    _ => key.oracle(),
                };
                let history = match undone {
                    Some((_, w)) => format!("; this is \"{}\", which is over", w.name),
                    None => String::new(),
                };
                Finding {
                    oracle,
                    detail: format!("{} is `{value}`, legal is `{}` ({}){history}", key.text(), legal_values.join("` or `"), names.join(" or ")),
                }
            })
            .collect()
    }

    /// Whether `image` is a genuine one that carries a lower counter than every legal one.
    fn is_older(&self, image: &str, legal: &[String]) -> bool {
        let lowest = legal.iter().filter_map(|v| self.genuine.get(v)).min();
        matches!((self.genuine.get(image), lowest), (Some(has), Some(lowest)) if has < lowest)
    }

    /// Oracles that need no history: reports that contradict each other or the image that runs.
    fn cross_checks(&self, seen: &Seen) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut object = |oracle, detail: String| findings.push(Finding { oracle, detail });
        let get = |key: &Key| seen.get(key).map(String::as_str);
        for (key, value) in seen {
            if value == NO_ANSWER {
                object("L1", format!("the device is up and does not say its {}", key.text()));
            }
        }
        let running = get(&Key::RunningImage).filter(|v| *v != UNKNOWN_IMAGE);
        if get(&Key::RunningImage) == Some(UNKNOWN_IMAGE) {
            object("I1", "the running slot holds none of the maker's images".to_owned());
        }
        if let (Some(image), Some(version)) = (running, get(&Key::Version))
            && image != version
            && version != NO_ANSWER
        {
            object("T1", format!("image {image} runs and version {version} is reported"));
        }
        let version = running.or(get(&Key::Version));
        if let (Some(carried), Some(stored)) = (version.and_then(|v| self.genuine.get(v)), get(&Key::Counter).and_then(|c| c.parse::<u32>().ok()))
            && stored > *carried
        {
            object("S1", format!("the stored counter {stored} has run ahead of the installed image, which carries {carried}"));
        }
        if get(&Key::DefaultCredential) == Some(WORKS) {
            object("S5", "a default or empty credential opens a session".to_owned());
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn world(name: &str, version: &str, state: &str, counter: &[&str], next: &[usize]) -> World {
        World { name: name.to_owned(), next: Story::set(next), ..World::default() }
            .with(Key::RunningImage, [version])
            .with(Key::Version, [version])
            .with(Key::SlotState, [state])
            .with(Key::Counter, counter.iter().copied())
            .with(Key::DefaultCredential, [REFUSED])
    }

    /// Old, new on trial, new confirmed: a trial may go back, a confirmed one may not.
    fn story() -> Story {
        Story {
            worlds: vec![
                world("old", "1.0", "confirmed", &["1"], &[0, 1]),
                world("trial", "2.0", "trial", &["1"], &[0, 1]),
                world("new", "2.0", "confirmed", &["2"], &[2]),
            ],
            genuine: [("0.9".to_owned(), 0), ("1.0".to_owned(), 1), ("2.0".to_owned(), 2)].into(),
        }
    }

    fn seen(image: &str, version: &str, state: &str, counter: &str) -> Seen {
        [
            (Key::RunningImage, image.to_owned()),
            (Key::Version, version.to_owned()),
            (Key::SlotState, state.to_owned()),
            (Key::Counter, counter.to_owned()),
            (Key::DefaultCredential, REFUSED.to_owned()),
        ]
        .into()
    }

    #[rstest]
    #[case::old(seen("1.0", "1.0", "confirmed", "1"), 0b111, 0b011)]
    #[case::trial(seen("2.0", "2.0", "trial", "1"), 0b111, 0b011)]
    #[case::confirmed_narrows_what_may_follow(seen("2.0", "2.0", "confirmed", "2"), 0b111, 0b100)]
    fn a_legal_end_has_no_finding_and_bounds_what_may_follow(#[case] seen: Seen, #[case] facts: Facts, #[case] next: Facts) {
        assert_eq!(story().judge(&seen, facts), (vec![], next));
    }

    #[rstest]
    #[case::mixed(seen("unknown", "2.0", "trial", "1"), 0b111, "I1")]
    #[case::wrong_version_reported(seen("2.0", "1.0", "trial", "1"), 0b111, "T1")]
    #[case::trial_reported_confirmed(seen("2.0", "2.0", "confirmed", "1"), 0b111, "T2")]
    #[case::counter_ahead_of_the_image(seen("1.0", "1.0", "confirmed", "2"), 0b111, "S1")]
    #[case::counter_gone_back(seen("2.0", "2.0", "confirmed", "0"), 0b100, "S1")]
    #[case::older_than_both(seen("0.9", "0.9", "confirmed", "0"), 0b111, "S2")]
    #[case::confirmed_update_undone(seen("1.0", "1.0", "confirmed", "1"), 0b100, "S1")]
    fn an_illegal_end_names_the_oracle_that_decides(#[case] seen: Seen, #[case] facts: Facts, #[case] oracle: &str) {
        let (findings, _) = story().judge(&seen, facts);
        assert!(findings.iter().any(|f| f.oracle == oracle), "{findings:?}");
    }

    #[test]
    fn going_back_after_confirmation_is_named_as_undone() {
        let (findings, next) = story().judge(&seen("1.0", "1.0", "confirmed", "1"), 0b100);
        assert!(findings.iter().any(|f| f.oracle == "P1" && f.detail.contains("\"old\", which is over")), "{findings:?}");
        assert_eq!(next, 0b100, "the path is judged on from the same set");
    }

    #[test]
    fn a_mixture_of_two_legal_worlds_is_illegal_although_each_value_is_legal_somewhere() {
        let store = |row: &str| Key::Store(row.to_owned());
        let before = World { name: "before".to_owned(), next: 0b11, ..World::default() }.with(store("10/A"), ["x"]).with(store("21/B"), ["y"]);
        let after = World { name: "after".to_owned(), next: 0b10, ..World::default() }.with(store("10/A"), ["none"]).with(store("21/B"), ["none"]);
        let story = Story { worlds: vec![before, after], genuine: Genuine::new() };
        let half: Seen = [(store("10/A"), "none".to_owned()), (store("21/B"), "y".to_owned())].into();
        let (findings, _) = story.judge(&half, 0b11);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].oracle, "I4");
    }

    #[test]
    fn a_default_credential_that_works_is_found_whatever_the_world_says_of_it() {
        let mut s = seen("1.0", "1.0", "confirmed", "1");
        s.insert(Key::DefaultCredential, WORKS.to_owned());
        let (findings, _) = story().judge(&s, 0b111);
        assert_eq!(findings[0].oracle, "S5");
    }

    #[test]
    fn a_question_without_an_answer_is_no_legal_value() {
        let mut s = seen("1.0", "1.0", "confirmed", "1");
        s.insert(Key::Counter, NO_ANSWER.to_owned());
        let (findings, _) = story().judge(&s, 0b111);
        assert_eq!(findings[0].oracle, "L1");
    }

    #[test]
    fn a_key_that_the_bench_cannot_ask_is_not_judged() {
        let mut s = seen("1.0", "1.0", "confirmed", "1");
        s.remove(&Key::Counter);
        assert_eq!(story().judge(&s, 0b111).0, vec![]);
    }

    #[test]
    fn every_key_has_an_oracle_of_the_list_and_the_list_has_no_id_twice() {
        let keys = [
            Key::Version,
            Key::RunningImage,
            Key::SlotState,
            Key::ActiveImage,
            Key::OtherImage,
            Key::Counter,
            Key::Fixed("lock".to_owned()),
            Key::Store("10/A".to_owned()),
            Key::Count,
            Key::Credential("user".to_owned()),
            Key::DefaultCredential,
            Key::Token("1/A".to_owned()),
        ];
        for key in keys {
            assert!(named(key.oracle()).is_some(), "{key:?}");
        }
        let ids: std::collections::BTreeSet<_> = ORACLES.iter().map(|o| o.id).collect();
        assert_eq!(ids.len(), ORACLES.len());
    }
}
