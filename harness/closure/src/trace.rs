//! A chain of power cuts as one line of text, the whole of what a replay needs.

use crate::medium::Tear;
use std::fmt;
use std::str::FromStr;

/// A power cut: at which flash operation of this power-on, and what it left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Operations that were done before, recovery and work together; equal to their number: after the last.
    pub at: u32,
    /// What was left of operation `at`.
    pub tear: Tear,
}

/// A subject and the cuts that it goes through, one power-on each; a last power-on without a cut follows.
///
/// As text: `SUBJECT@cut=3,tear=before;cut=0,tear=prefix-7`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Name of the subject.
    pub subject: String,
    /// The cuts in order.
    pub cuts: Vec<Cut>,
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@", self.subject)?;
        for (i, cut) in self.cuts.iter().enumerate() {
            write!(f, "{}cut={},tear={}", if i == 0 { "" } else { ";" }, cut.at, cut.tear)?;
        }
        Ok(())
    }
}

impl FromStr for Trace {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let (subject, cuts) = s.trim().split_once('@').ok_or("a replay line is SUBJECT@cut=N,tear=T;...")?;
        let mut trace = Trace { subject: subject.to_owned(), cuts: Vec::new() };
        for part in cuts.split(';').filter(|p| !p.is_empty()) {
            let (at, tear) =
                part.strip_prefix("cut=").and_then(|rest| rest.split_once(",tear=")).ok_or_else(|| format!("`{part}` is not cut=N,tear=T"))?;
            let at = at.parse().map_err(|_| format!("`{at}` is not the number of an operation"))?;
            trace.cuts.push(Cut { at, tear: tear.parse()? });
        }
        Ok(trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_as_it_was_printed() {
        let line = "map/nor@cut=3,tear=before;cut=0,tear=prefix-7";
        let trace: Trace = line.parse().unwrap();
        assert_eq!(trace.cuts.len(), 2);
        assert_eq!(trace.to_string(), line);
        assert_eq!("map/nor@".parse::<Trace>().unwrap().cuts, []);
    }

    #[test]
    fn a_broken_line_says_which_part_is_wrong() {
        assert!("map/nor".parse::<Trace>().unwrap_err().contains("SUBJECT@"));
        assert!("a@cut=x,tear=before".parse::<Trace>().unwrap_err().contains("`x`"));
        assert!("a@cut=1".parse::<Trace>().unwrap_err().contains("`cut=1`"));
    }
}
