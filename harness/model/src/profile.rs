//! Profiles as data: who reads a result, of which provisions it speaks, of which edition, and what of that is verified.
//!
//! Each is a file in `data/profiles`; `--profile` takes their names. A profile decides no verdict of a unit, a case or a group: it says which groups the
//! overall verdict is about, whether there may be one, and what a person's pending answer means for the exit code.

use crate::ids::ProvisionId;
use crate::verdict::Profile;
use serde::Deserialize;
use std::sync::OnceLock;

/// The files, in the order in which they are listed.
const FILES: [(&str, &str); 4] = [
    ("certify.toml", include_str!("../data/profiles/certify.toml")),
    ("ci.toml", include_str!("../data/profiles/ci.toml")),
    ("uk-psti.toml", include_str!("../data/profiles/uk-psti.toml")),
    ("en303645-v3.toml", include_str!("../data/profiles/en303645-v3.toml")),
];

/// What a pending answer of a person means for the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pending {
    /// It is INCONCLUSIVE and exits so.
    Inconclusive,
    /// It is shown, and does not decide.
    Shown,
}

/// A profile.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheme {
    /// Its name on the command line.
    pub name: String,
    /// What it is for.
    pub title: String,
    /// What a pending answer means.
    pub pending: Pending,
    /// The provisions that it speaks of; all if empty.
    #[serde(default)]
    pub scope: Vec<ProvisionId>,
    /// Another edition of EN 303 645 than the one that is tested: results are shown provision by provision of it.
    #[serde(default)]
    pub edition: Option<String>,
    /// Why it gives no overall verdict, where it gives none.
    #[serde(default)]
    pub no_verdict: Option<String>,
    /// What a reader must know; what is not verified says so.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Scheme {
    /// All of them. Parsed on first use.
    pub fn all() -> &'static [Scheme] {
        static ALL: OnceLock<Vec<Scheme>> = OnceLock::new();
        ALL.get_or_init(|| {
            let parse =
                |(file, text): (&str, &str)| toml::from_str(text).unwrap_or_else(|e| panic!("the profile {file} that is part of the program: {e}"));
            FILES.into_iter().map(parse).collect()
        })
    }

    /// The one of that name; otherwise a message with the names that there are.
    pub fn find(name: &str) -> Result<&'static Scheme, String> {
        Self::all().iter().find(|s| s.name == name).ok_or_else(|| {
            let names: Vec<&str> = Self::all().iter().map(|s| s.name.as_str()).collect();
            format!("unknown profile `{name}`; valid: {} (`list profiles` says what they are)", names.join(", "))
        })
    }

    /// The text of a profile's file, for digests.
    pub fn text(&self) -> &'static str {
        let position = Self::all().iter().position(|s| s.name == self.name);
        position.map_or("", |i| FILES[i].1)
    }

    /// Whether it speaks of a provision.
    pub fn speaks_of(&self, provision: &ProvisionId) -> bool {
        self.scope.is_empty() || self.scope.contains(provision)
    }

    /// How its readers count a pending answer, as checks and reports know it.
    pub fn reader(&self) -> Profile {
        match self.pending {
            Pending::Inconclusive => Profile::Certify,
            Pending::Shown => Profile::Ci,
        }
    }

    /// The plain profile of a reader, for records that name none.
    pub fn of_reader(reader: Profile) -> &'static Scheme {
        let name = if reader == Profile::Certify { "certify" } else { "ci" };
        Self::find(name).expect("both are part of the program")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn every_profile_is_read_has_a_name_of_its_own_and_names_provisions_that_exist() {
        for (i, scheme) in Scheme::all().iter().enumerate() {
            assert_eq!(FILES[i].0, format!("{}.toml", scheme.name));
            assert_eq!(scheme.text(), FILES[i].1);
            assert!(scheme.scope.iter().all(|p| Catalogue::load().provision(p).is_some()), "{}", scheme.name);
        }
        let told = Scheme::find("psti").unwrap_err();
        assert!(told.contains("`psti`; valid: certify, ci, uk-psti, en303645-v3"), "{told}");
    }

    #[test]
    fn a_profile_of_another_edition_gives_no_overall_verdict_and_says_what_is_not_verified() {
        for scheme in Scheme::all().iter().filter(|s| s.edition.is_some()) {
            assert!(scheme.no_verdict.is_some(), "{}", scheme.name);
            assert!(scheme.notes.iter().any(|n| n.starts_with("NOT VERIFIED")), "{}", scheme.name);
        }
    }
}
