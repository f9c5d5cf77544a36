//! What the update path, the fixture and the sample's identity say.

use super::Finding;
use crate::run::prepare::same_version;
use proofbench_channel::{Answer, ImageState, Led};
use std::collections::BTreeMap;

/// The update path of a device that runs, asked what it holds.
pub(in crate::doctor) fn update(answer: &Answer<Vec<ImageState>>, delivered: &str) -> Finding {
    match answer {
        Answer::Silent => Finding::wrong(
            "no answer on the update path",
            &[
                "RX and TX swapped, or not connected",
                "wrong port or baud rate: is it the console's?",
                "the device serves updates only at times: after a button, in its boot loader",
            ],
        ),
        Answer::Refused(why) => Finding::wrong(format!("the device refuses to say what it holds: {why}"), &[]),
        Answer::Accepted(images) => match images.iter().find(|i| i.active) {
            None => Finding::wrong("the device answers and calls no image active", &["another device, or a boot loader that waits"]),
            Some(image) if same_version(delivered, &image.version) => Finding::ok(format!("answers; runs {}, as delivered", image.version)),
            Some(image) => Finding::wrong(
                format!("answers; runs {}, and the dossier's delivered version is {delivered}", image.version),
                &["another unit, or one that was updated: install the delivered image, or correct `firmware` in device.toml"],
            ),
        },
    }
}

/// The answer to a question on identity, against the dossier's.
pub(in crate::doctor) fn identity(what: &str, said: &str, declared: &str, same: bool) -> Finding {
    if same {
        return Finding::ok(format!("{what} {said}, as in the dossier"));
    }
    let advice = "another unit is on the bench, or [sample] and `firmware` of device.toml are another unit's";
    Finding::wrong(format!("{what} on the bench is {said}, in the dossier {declared}"), &[advice])
}

/// The indicator of a device that is ready. `meanings`: the dossier's colours by meaning.
pub(in crate::doctor) fn led(seen: &Led, meanings: &BTreeMap<String, String>) -> Finding {
    match seen {
        Led::Lit(how) => match meanings.iter().find(|(_, m)| *m == how) {
            Some((meaning, _)) => Finding::ok(format!("sees the LED {how}: `{meaning}` in the dossier")),
            None if meanings.is_empty() => Finding::ok(format!("sees the LED {how}")),
            None => Finding::wrong(
                format!("sees the LED {how}, which the dossier does not name"),
                &["`led` in device.toml", "light from elsewhere on the sensor"],
            ),
        },
        Led::Dark if meanings.get("normal").is_none_or(|m| m == "off" || m == "dark") => Finding::ok("sees the LED dark"),
        Led::Dark => Finding::wrong("sees no light, and the dossier declares one for a device that runs", &["the sensor does not look at the LED"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;
    use rstest::rstest;

    fn image(version: &str, active: bool) -> ImageState {
        ImageState { slot: 0, version: version.to_owned(), hash: vec![], active, confirmed: true, pending: false, permanent: false, bootable: true }
    }

    #[rstest]
    #[case::good(Answer::Accepted(vec![image("1.2.0+0", true)]), Outcome::Ok, "runs 1.2.0+0, as delivered")]
    #[case::other(Answer::Accepted(vec![image("1.3.0", true)]), Outcome::Wrong, "delivered version is 1.2.0")]
    #[case::none(Answer::Accepted(vec![image("1.2.0", false)]), Outcome::Wrong, "no image active")]
    #[case::silent(Answer::Silent, Outcome::Wrong, "no answer")]
    #[case::refused(Answer::Refused("busy".into()), Outcome::Wrong, "busy")]
    fn an_update_path_is_told_by_its_answer(#[case] answer: Answer<Vec<ImageState>>, #[case] outcome: Outcome, #[case] words: &str) {
        let finding = update(&answer, "1.2.0");
        assert_eq!(finding.outcome, outcome, "{finding:?}");
        assert!(finding.seen.contains(words), "{finding:?}");
    }

    #[rstest]
    #[case::named(Led::Lit("green".into()), true, Outcome::Ok)]
    #[case::unnamed(Led::Lit("blue".into()), true, Outcome::Wrong)]
    #[case::dark(Led::Dark, true, Outcome::Wrong)]
    #[case::dark_and_nothing_declared(Led::Dark, false, Outcome::Ok)]
    fn an_indicator_is_held_against_the_dossier(#[case] seen: Led, #[case] declared: bool, #[case] outcome: Outcome) {
        let meanings = if declared { BTreeMap::from([("normal".to_owned(), "green".to_owned())]) } else { BTreeMap::new() };
        assert_eq!(led(&seen, &meanings).outcome, outcome);
    }

    #[test]
    fn another_unit_is_told() {
        let finding = identity("the serial number", "TH1-0002", "TH1-0001", false);
        assert_eq!(finding.outcome, Outcome::Wrong);
        assert!(finding.seen.contains("TH1-0002") && finding.seen.contains("TH1-0001"));
    }
}
