//! Which checks a command means: suites, provisions, id patterns.

use anyhow::{Result, bail};
use proofbench_model::{CheckId, ProvisionId, UnitId};
use proofbench_runner::check::Check;

/// `*` stands for any run of characters, `?` for one; everything else for itself.
pub fn glob(pattern: &str, text: &str) -> bool {
    let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut pi, mut ti) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while ti < t.len() {
        if pi < p.len() && (p[pi] == '?' || (p[pi] == t[ti] && p[pi] != '*')) {
            pi += 1;
            ti += 1;
        } else if pi < p.len() && p[pi] == '*' {
            back = Some((pi, ti));
            pi += 1;
        } else if let Some((star, from)) = back {
            back = Some((star, from + 1));
            pi = star + 1;
            ti = from + 1;
        } else {
            return false;
        }
    }
    p[pi..].iter().all(|c| *c == '*')
}

/// What the user asked for. Empty lists mean everything.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Suite names.
    pub suites: Vec<String>,
    /// Provision ids.
    pub provisions: Vec<String>,
    /// Id patterns.
    pub checks: Vec<String>,
}

impl Selection {
    /// Whether everything is meant.
    pub fn is_everything(&self) -> bool {
        self.suites.is_empty() && self.provisions.is_empty() && self.checks.is_empty()
    }

    /// The checks that are meant, in their order. A word that matches nothing is an error that names what would.
    pub fn of(&self, all: &[&'static Check]) -> Result<Vec<&'static Check>> {
        let mut suites: Vec<&str> = all.iter().map(|c| c.suite()).collect();
        suites.dedup();
        for suite in &self.suites {
            if !suites.contains(&suite.as_str()) {
                bail!("--suite {suite}: there is no such suite; the suites are {}", suites.join(", "));
            }
        }
        for provision in &self.provisions {
            let id: ProvisionId = provision.parse().map_err(|e| anyhow::anyhow!("--provision: {e}"))?;
            if !all.iter().any(|c| bears_on(c, &id)) {
                bail!("--provision {provision}: no check bears on it; `list checks` shows what each bears on");
            }
        }
        for pattern in &self.checks {
            if !all.iter().any(|c| glob(pattern, c.id)) {
                bail!("--check {pattern}: no check matches; `list checks` shows their ids");
            }
        }
        let meant = |c: &Check| {
            (self.suites.is_empty() || self.suites.iter().any(|s| s == c.suite()))
                && (self.provisions.is_empty() || self.provisions.iter().filter_map(|p| p.parse().ok()).any(|p| bears_on(c, &p)))
                && (self.checks.is_empty() || self.checks.iter().any(|p| glob(p, c.id)))
        };
        let chosen: Vec<_> = all.iter().copied().filter(|c| meant(c)).collect();
        if chosen.is_empty() {
            bail!("no check fits all of --suite, --provision and --check together");
        }
        Ok(chosen)
    }
}

fn bears_on(check: &Check, provision: &ProvisionId) -> bool {
    check.units.iter().filter_map(|u| u.parse::<UnitId>().ok()).any(|u| u.provision() == *provision)
}

/// The check of that id. An unknown id is an error that names the nearest.
pub fn by_id(all: &[&'static Check], id: &str) -> Result<&'static Check> {
    if let Some(check) = all.iter().find(|c| c.id == id) {
        return Ok(check);
    }
    if let Err(e) = id.parse::<CheckId>() {
        bail!("{e}");
    }
    let suite = id.split('/').next().unwrap_or_default();
    let near: Vec<&str> = all.iter().filter(|c| c.suite() == suite).map(|c| c.id).collect();
    bail!("there is no check `{id}`; {}", if near.is_empty() { "`list checks` shows them".to_owned() } else { format!("that suite has {}", near.join(", ")) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("update/*", "update/genuine", true)]
    #[case("*", "update/genuine", true)]
    #[case("*/gen*e", "update/genuine", true)]
    #[case("update/genuin?", "update/genuine", true)]
    #[case("update", "update/genuine", false)]
    #[case("reset/*", "update/genuine", false)]
    #[case("", "x", false)]
    #[case("**x", "aax", true)]
    fn patterns_match_whole_ids(#[case] pattern: &str, #[case] text: &str, #[case] matches: bool) {
        assert_eq!(glob(pattern, text), matches);
    }
}
