//! The reproducer of a finding: which operations were interrupted, boot after boot, and what each left behind.
//!
//! Written as `17`, `17:half-bits`, `17/0:prefix-8`: the cut in the stimulus first, then one cut per following boot.

use proofbench_channel::Tear;
use std::fmt;
use std::str::FromStr;

/// One loss of power: the index of the storage operation it hit, counted from the start of that recording, and what was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cut {
    /// Operation index; for a clean cut the operations before it are complete and the one at `at` did nothing.
    pub at: u32,
    /// What the interrupted operation left.
    pub tear: Tear,
}

/// A chain of cuts, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace(pub Vec<Cut>);

/// A text that is no trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no chain of cuts; valid ones look like `17`, `17:half-bits` or `17:prefix-8/3`")]
pub struct BadTrace(pub String);

/// Name of a tear in reproducers.
pub fn tear_name(tear: Tear) -> String {
    match tear {
        Tear::Before => "before".to_owned(),
        Tear::Prefix(n) => format!("prefix-{n}"),
        Tear::HalfBits => "half-bits".to_owned(),
        Tear::Bits(seed) => format!("bits-{seed}"),
        Tear::EraseFirstHalf => "erase-first-half".to_owned(),
        Tear::EraseLastHalf => "erase-last-half".to_owned(),
        Tear::EraseZero => "erase-zero".to_owned(),
        Tear::DropUnflushed(seed) => format!("drop-unflushed-{seed}"),
    }
}

/// The tear of a name.
pub fn tear_named(name: &str) -> Option<Tear> {
    let number = |prefix: &str| name.strip_prefix(prefix).and_then(|n| n.parse().ok());
    Some(match name {
        "before" => Tear::Before,
        "half-bits" => Tear::HalfBits,
        "erase-first-half" => Tear::EraseFirstHalf,
        "erase-last-half" => Tear::EraseLastHalf,
        "erase-zero" => Tear::EraseZero,
        _ => {
            if let Some(n) = number("prefix-") {
                Tear::Prefix(n)
            } else if let Some(n) = number("bits-") {
                Tear::Bits(n)
            } else {
                Tear::DropUnflushed(number("drop-unflushed-")?)
            }
        }
    })
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at)?;
        if self.tear.is_clean() { Ok(()) } else { write!(f, ":{}", tear_name(self.tear)) }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, cut) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("/")?;
            }
            write!(f, "{cut}")?;
        }
        Ok(())
    }
}

impl FromStr for Trace {
    type Err = BadTrace;
    fn from_str(s: &str) -> Result<Self, BadTrace> {
        let bad = || BadTrace(s.to_owned());
        let one = |part: &str| {
            let (at, tear) = part.split_once(':').unwrap_or((part, "before"));
            Some(Cut { at: at.parse().ok()?, tear: tear_named(tear)? })
        };
        s.split('/').map(|part| one(part).ok_or_else(bad)).collect::<Result<Vec<_>, _>>().map(Trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("17")]
    #[case("0")]
    #[case("17:half-bits")]
    #[case("17:prefix-8/3")]
    #[case("4:bits-77/0:erase-zero/9")]
    #[case("1:drop-unflushed-3/2:erase-first-half/3:erase-last-half")]
    fn a_trace_reads_back_as_it_was_written(#[case] text: &str) {
        assert_eq!(text.parse::<Trace>().unwrap().to_string(), text);
    }

    #[rstest]
    #[case("")]
    #[case("x")]
    #[case("1//2")]
    #[case("1:torn")]
    #[case("1:prefix-x")]
    fn a_text_that_is_no_trace_is_refused_with_its_text(#[case] text: &str) {
        assert!(text.parse::<Trace>().unwrap_err().to_string().contains(&format!("`{text}`")));
    }
}
