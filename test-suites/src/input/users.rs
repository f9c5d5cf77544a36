//! Input of users: console and local interface.
//!
//! Purpose: 5.13-1-2 a (unexpected input is validated: format, value, number, order). Procedure, per row of 27-UserIntf: genuine inputs first, then each of
//! them in every malformed variant of the list and in as many more by chance as the profile says, with the owner's session where the row wants it. Verdict:
//! VIOLATED by harm that came again when the input was given again: a restart, a tripwire, no answer, another version, a start that fails, a path served that
//! leaves the tree. Control: the genuine inputs do no harm, the device answers before and after.

use super::BUDGET;
use super::feed::{Feed, SESSION};
use super::http::{Genuine, variants};
use super::mutate::{Case, lines};
use super::oracle::{Outcome, by_chance, campaign, poison};
use crate::report::{Report, each_row};
use crate::text::shown;
use proofbench_model::dossier::Row;
use proofbench_model::{Profile, Reason};
use proofbench_runner::{Bench, Capability, Check, Trouble};

pub(super) const A: &str = "5.13-1-2 a";
const EXPECTED: &str = "no input restarts, stops or changes the device, now or at its next start";

/// Rows 82, 86, 87 and 89.
pub const INTERFACES: Check = Check {
    id: "input/user-interfaces",
    title: "malformed input of users does no harm",
    units: &[A],
    table: Some(27),
    row_wanted: Some(|row| row.input().is_some()),
    needs: &[Capability::Console, Capability::Power, Capability::Network],
    permissions: &[],
    defects: &[
        "http-length-overflow",
        "http-header-overflow",
        "http-traversal",
        "json-nesting",
        "json-null",
        "name-reaches-shell",
        "name-poisons-start",
        "console-line-overflow",
        "console-format-string",
    ],
    twins: &[
        "closes-strangers",
        "plain-error-page",
        "silent-bad-command",
        "slow-boot",
        "noisy-log",
        "net-log",
        "answers-chunked",
        "closes-after-answer",
        "session-short",
    ],
    control: "genuine inputs do no harm, and console and local interface answer before and after",
    budget: BUDGET,
    run: |bench| each_row(bench, &[A], judge),
};

/// Most inputs that are followed by a start of their own.
const POISON_MOST: usize = 80;

/// Inputs by chance for each interface.
pub(super) fn count(bench: &Bench) -> usize {
    if bench.profile() == Profile::Certify { 4000 } else { 400 }
}

pub(super) fn judge(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let Some(bind) = row.input().cloned() else { return Ok(()) };
    bench.at_home()?;
    bench.allow_tripwires(true);
    let (mut inputs, mut told) = (0, Vec::new());
    for mut feed in Feed::of(bench, &bind)? {
        feed.arm(bench)?;
        let (genuine, mut cases) = cases(&feed, &bind.seeds);
        if genuine.is_empty() {
            return Err(Trouble::IxitAmbiguous(format!("`seeds` of {}: none of them is an input of this kind", row.id)));
        }
        let control: Vec<Case> = genuine.iter().map(|g| Case { how: "genuine".to_owned(), bytes: g.clone() }).collect();
        if let Outcome::Harmed { what, .. } | Outcome::Once(what) = campaign(bench, &mut feed, &control)? {
            return Err(Trouble::NoOpportunity(format!("genuine inputs harm the device already: {what}")));
        }
        // A packet of the broker costs the device a connection: chance would take days.
        if !matches!(feed, Feed::Packet { .. }) {
            cases.extend(by_chance(&genuine, bench.seed(), count(bench)));
        }
        // Texts that mean something in another language are looked at one by one over a start each.
        let texts: Vec<Case> = cases.iter().filter(|c| c.how.contains('"')).take(POISON_MOST).cloned().collect();
        let mut outcome = campaign(bench, &mut feed, &cases)?;
        if let (Outcome::Unharmed(n), false) = (&outcome, matches!(feed, Feed::Packet { .. })) {
            let before = *n;
            outcome = match poison(bench, &mut feed, &texts)? {
                Outcome::Unharmed(more) => Outcome::Unharmed(before + more),
                other => other,
            };
        }
        match outcome {
            Outcome::Unharmed(n) => inputs += n,
            Outcome::Once(what) => told.push(format!("{}: {what}", feed.name())),
            Outcome::Harmed { how, what, reproducer } => {
                bench.evidence("reproducer.bin", &reproducer);
                let words = format!("{} input ({how}): {what}; {} bytes that do it: {}", feed.name(), reproducer.len(), shown(&reproducer, 200));
                report.violated(bench, A, EXPECTED, &words);
                return Ok(());
            }
        }
    }
    bench.strength(format!("{inputs} malformed inputs, seed {}", bench.seed()));
    if told.is_empty() {
        report.satisfied(bench, A, EXPECTED, &format!("{inputs} malformed inputs did no harm"));
    } else {
        report.unresolved(bench, A, Reason::NoOpportunity, &format!("seen once and not again: {}", told.join("; ")));
    }
    Ok(())
}

/// Genuine inputs as bytes, and the malformed ones of the lists.
fn cases(feed: &Feed, seeds: &[String]) -> (Vec<Vec<u8>>, Vec<Case>) {
    let made = |pairs: Vec<(String, Vec<u8>)>| pairs.into_iter().map(|(how, bytes)| Case { how, bytes });
    let (mut genuine, mut cases) = (Vec::new(), Vec::new());
    for seed in seeds {
        match feed {
            Feed::Http { .. } => {
                let Some(request) = Genuine::read(seed) else { continue };
                genuine.push(request.bytes(SESSION));
                cases.extend(made(variants(&request, SESSION)));
            }
            Feed::Console { .. } => {
                genuine.push(seed.clone().into_bytes());
                cases.extend(lines(seed));
            }
            Feed::Message { .. } => {
                genuine.push(seed.clone().into_bytes());
                if let Ok(serde_json::Value::Object(map)) = serde_json::from_str(seed) {
                    cases.extend(made(super::json::variants(&map)));
                }
            }
            Feed::Packet { .. } => {
                // Nothing more than the CONNACK is genuine.
                genuine.push(Vec::new());
                cases.extend(super::apis::packets());
            }
            Feed::Datagram { .. } => {
                let Some(bytes) = super::apis::hex(seed) else { continue };
                cases.extend(super::apis::datagrams(&bytes));
                genuine.push(bytes);
            }
        }
    }
    (genuine, cases)
}
