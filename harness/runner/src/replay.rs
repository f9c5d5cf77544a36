//! The line that repeats exactly one power cut: `power-loss/install@cut=17` or `power-loss/install@cut=17,tear=prefix-8`.

use proofbench_channel::Tear;
use proofbench_model::CheckId;

/// What to replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The check.
    pub check: CheckId,
    /// The cut: operation and tear; none repeats the whole check.
    pub cut: Option<(u32, Tear)>,
}

/// A text that names nothing to replay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names nothing to replay: {why}; valid: power-loss/install, power-loss/install@cut=17, power-loss/install@cut=17,tear=prefix-8")]
pub struct BadReplay {
    text: String,
    why: String,
}

/// The line for one cut of a check.
pub fn spec(check: &str, at: u32, tear: Tear) -> String {
    let tear = match tear {
        Tear::Before => return format!("{check}@cut={at}"),
        Tear::Prefix(n) => format!("prefix-{n}"),
        Tear::HalfBits => "half-bits".to_owned(),
        Tear::Bits(seed) => format!("bits-{seed}"),
        Tear::EraseFirstHalf => "erase-first-half".to_owned(),
        Tear::EraseLastHalf => "erase-last-half".to_owned(),
        Tear::EraseZero => "erase-zero".to_owned(),
        Tear::DropUnflushed(seed) => format!("drop-unflushed-{seed}"),
    };
    format!("{check}@cut={at},tear={tear}")
}

fn tear(text: &str) -> Option<Tear> {
    let number = |prefix: &str| text.strip_prefix(prefix).and_then(|n| n.parse().ok());
    Some(match text {
        "before" => Tear::Before,
        "half-bits" => Tear::HalfBits,
        "erase-first-half" => Tear::EraseFirstHalf,
        "erase-last-half" => Tear::EraseLastHalf,
        "erase-zero" => Tear::EraseZero,
        _ => number("prefix-")
            .map(Tear::Prefix)
            .or_else(|| number("bits-").map(Tear::Bits))
            .or_else(|| number("drop-unflushed-").map(Tear::DropUnflushed))?,
    })
}

/// Reads such a line.
pub fn parse(text: &str) -> Result<Replay, BadReplay> {
    let bad = |why: String| BadReplay { text: text.to_owned(), why };
    let (check, rest) = text.split_once('@').map_or((text, None), |(c, r)| (c, Some(r)));
    let check: CheckId = check.parse().map_err(|e| bad(format!("{e}")))?;
    let Some(rest) = rest else { return Ok(Replay { check, cut: None }) };
    let (mut at, mut torn) = (None, Tear::Before);
    for part in rest.split(',') {
        match part.split_once('=') {
            Some(("cut", n)) => at = Some(n.parse().map_err(|_| bad(format!("`{n}` is no operation number")))?),
            Some(("tear", t)) => torn = tear(t).ok_or_else(|| bad(format!("`{t}` is no tear")))?,
            _ => return Err(bad(format!("`{part}` is neither cut= nor tear="))),
        }
    }
    let at = at.ok_or_else(|| bad("the cut is missing".to_owned()))?;
    Ok(Replay { check, cut: Some((at, torn)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Tear::Before)]
    #[case(Tear::Prefix(8))]
    #[case(Tear::HalfBits)]
    #[case(Tear::Bits(3))]
    #[case(Tear::EraseFirstHalf)]
    #[case(Tear::EraseLastHalf)]
    #[case(Tear::EraseZero)]
    #[case(Tear::DropUnflushed(9))]
    fn what_is_printed_can_be_replayed(#[case] tear: Tear) {
        let back = parse(&spec("power-loss/install", 17, tear)).unwrap();
        assert_eq!(back, Replay { check: "power-loss/install".parse().unwrap(), cut: Some((17, tear)) });
    }

    #[rstest]
    #[case("power-loss/install@cut=x", "no operation number")]
    #[case("power-loss/install@tear=half-bits", "the cut is missing")]
    #[case("power-loss/install@cut=1,tear=soft", "no tear")]
    #[case("install", "no check")]
    #[case("power-loss/install@17", "neither cut= nor tear=")]
    fn what_is_wrong_is_named(#[case] text: &str, #[case] why: &str) {
        let e = parse(text).unwrap_err().to_string();
        assert!(e.contains(why), "{e}");
    }
}
