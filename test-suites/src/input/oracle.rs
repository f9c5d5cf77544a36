//! Whether an input did any harm: a restart that nobody asked for, a tripwire on the console, a device that does not answer, another version, a start that fails.
//!
//! A ping is no oracle: a device that restarts in two seconds answers it. Restarts are seen on the console by the boot line.

use super::chance::Chance;
use super::feed::Feed;
use super::mutate::Case;
use super::shrink::shrink;
use proofbench_runner::{Bench, Trouble};
use std::time::Duration;

/// Inputs between two looks at the device.
const BATCH: usize = 250;
/// A watchdog that is going to bite has bitten by then.
const SETTLE: Duration = Duration::from_millis(1500);
/// Attempts that shrinking may make.
const SHRINK_TRIES: u32 = 48;

/// Harm from which no restart recovers.
const DEAD: &str = "the device does not start any more";

/// What came of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// No harm, after so many inputs.
    Unharmed(usize),
    /// Harm that came again when the input was given again.
    Harmed {
        /// What was wrong with the input.
        how: String,
        /// What it did.
        what: String,
        /// The shortest input that still did it.
        reproducer: Vec<u8>,
    },
    /// Harm that did not come again.
    Once(String),
}

/// Gives all cases to the device. `Err` for troubles of the bench, never for harm.
pub fn campaign(bench: &mut Bench, feed: &mut Feed, cases: &[Case]) -> Result<Outcome, Trouble> {
    let version = version(bench)?;
    feed.arm(bench)?;
    let mut boots = bench.boots_seen();
    for batch in cases.chunks(BATCH) {
        bench.quiet(true);
        let given = give_all(bench, feed, batch);
        bench.quiet(false);
        let remark = given?;
        if let Some((how, what, bytes)) = remark {
            return Ok(Outcome::Harmed { how, what, reproducer: bytes });
        }
        if let Some(what) = harm(bench, boots, &version)? {
            bench.note(&format!("{}: {what}; the input is looked for among {}", feed.name(), batch.len()));
            return single_out(bench, feed, batch, &version, what);
        }
        boots = bench.boots_seen();
    }
    // What was stored must not hurt the next start.
    bench.quiet(false);
    if let Err(t) = bench.power_cycle() {
        return match t {
            Trouble::Unreachable(why) => {
                Ok(Outcome::Harmed { how: "one of the inputs".into(), what: format!("{DEAD}: {why}"), reproducer: Vec::new() })
            }
            other => Err(other),
        };
    }
    if let Some(what) = after_start(bench, &version)? {
        return single_out(bench, feed, cases, &version, what);
    }
    Ok(Outcome::Unharmed(cases.len()))
}

/// How, what and the bytes of an answer that is harm by itself.
type Told = Option<(String, String, Vec<u8>)>;

fn give_all(bench: &mut Bench, feed: &mut Feed, batch: &[Case]) -> Result<Told, Trouble> {
    let boots = bench.boots_seen();
    for case in batch {
        bench.checkpoint()?;
        if let Some(what) = feed.give(bench, case)? {
            return Ok(Some((case.how.clone(), what, case.bytes.clone())));
        }
        // What a device that started anew is given means something else to it: a line becomes a login.
        if bench.boots_seen() != boots {
            break;
        }
    }
    Ok(None)
}

/// The version by the console. A lock that malformed logins brought about is waited for.
fn version(bench: &mut Bench) -> Result<String, Trouble> {
    match bench.ask("version") {
        Err(Trouble::Precondition(_)) => {
            let lock = bench.bind().login.as_ref().map_or(0, |l| l.lockout_ms);
            bench.sleep(Duration::from_millis(lock + lock / 10))?;
            bench.ask("version")
        }
        other => other,
    }
}

/// Values that are stored and hurt the next start: each is given to a device that has just started, which then starts once more. The start that shows
/// that one did no harm is the one after which the next is given.
pub fn poison(bench: &mut Bench, feed: &mut Feed, cases: &[Case]) -> Result<Outcome, Trouble> {
    let version = version(bench)?;
    for (n, case) in cases.iter().enumerate() {
        let case_alone = std::slice::from_ref(case);
        let harm = if n == 0 || feed.wants_new_start() {
            does_harm(bench, feed, case_alone, &version)?
        } else {
            harm_of(bench, feed, case_alone, &version)?
        };
        if let Some(what) = harm {
            if what.starts_with(DEAD) {
                // It cannot be tried again on this device: it is seen once more that it stays dead.
                return match bench.power_cycle() {
                    Err(Trouble::Unreachable(_)) => Ok(Outcome::Harmed { how: case.how.clone(), what, reproducer: case.bytes.clone() }),
                    Ok(_) => Ok(Outcome::Once(what)),
                    Err(other) => Err(other),
                };
            }
            return single_out(bench, feed, case_alone, &version, what);
        }
    }
    Ok(Outcome::Unharmed(cases.len()))
}

/// What is wrong with the device now, if anything.
fn harm(bench: &mut Bench, boots: u64, version: &str) -> Result<Option<String>, Trouble> {
    bench.sleep(SETTLE)?;
    let said = bench.drain()?;
    if bench.boots_seen() != boots {
        let seen = bench.boot_seen();
        return Ok(Some(format!("the device restarted by itself, cause {}", seen.cause)));
    }
    if let Some(line) = &bench.boot_seen().tripwire {
        return Ok(Some(format!("the console says: {line}")));
    }
    drop(said);
    after_start(bench, version)
}

/// Whether console and local interface answer, with the same version as before.
fn after_start(bench: &mut Bench, version: &str) -> Result<Option<String>, Trouble> {
    match bench.net_up() {
        Ok(()) => {}
        Err(Trouble::Unreachable(why)) => return Ok(Some(why)),
        Err(other) => return Err(other),
    }
    match self::version(bench) {
        Ok(now) if now == version => Ok(None),
        Ok(now) => Ok(Some(format!("the version was {version} and is {now}"))),
        Err(Trouble::Unreachable(why)) => Ok(Some(format!("the console does not answer: {why}"))),
        Err(other) => Err(other),
    }
}

/// Gives inputs again, one by one and each to a device that has just started, until one does harm again; then makes it shorter.
fn single_out(bench: &mut Bench, feed: &mut Feed, batch: &[Case], version: &str, first: String) -> Result<Outcome, Trouble> {
    // Halving finds a single culprit in few starts; chance of order plays no part.
    let mut suspects: &[Case] = batch;
    while suspects.len() > 1 {
        let (a, b) = suspects.split_at(suspects.len() / 2);
        if does_harm(bench, feed, a, version)?.is_some() {
            suspects = a;
        } else if does_harm(bench, feed, b, version)?.is_some() {
            suspects = b;
        } else {
            return Ok(Outcome::Once(format!("{first}; no half of the {} inputs before it did it again", batch.len())));
        }
    }
    let Some(case) = suspects.first() else { return Ok(Outcome::Once(first)) };
    let Some(what) = does_harm(bench, feed, suspects, version)? else {
        return Ok(Outcome::Once(format!("{first}; {} alone did not do it again", case.how)));
    };
    let how = case.how.clone();
    let reproducer = shrink(&case.bytes, SHRINK_TRIES, |bytes| {
        does_harm(bench, feed, &[Case { how: how.clone(), bytes: bytes.to_vec() }], version).map(|w| w.is_some())
    })?;
    // The device is left in working order.
    start(bench)?;
    Ok(Outcome::Harmed { how: case.how.clone(), what, reproducer })
}

fn start(bench: &mut Bench) -> Result<(), Trouble> {
    bench.power_cycle()?;
    bench.net_up()
}

/// Whether these inputs do harm to a device that has just started, at once or at its next start.
fn does_harm(bench: &mut Bench, feed: &mut Feed, cases: &[Case], version: &str) -> Result<Option<String>, Trouble> {
    start(bench)?;
    harm_of(bench, feed, cases, version)
}

/// As [`does_harm`], of a device that has started already. Without harm it has just started again, and answers.
fn harm_of(bench: &mut Bench, feed: &mut Feed, cases: &[Case], version: &str) -> Result<Option<String>, Trouble> {
    feed.arm(bench)?;
    let boots = bench.boots_seen();
    bench.quiet(true);
    let given = give_all(bench, feed, cases);
    bench.quiet(false);
    // An input that costs the device its life costs the connection too.
    match given {
        Ok(Some((_, what, _))) => return Ok(Some(what)),
        Ok(None) | Err(Trouble::NoOpportunity(_)) => {}
        Err(other) => return Err(other),
    }
    if let Some(what) = harm(bench, boots, version)? {
        return Ok(Some(what));
    }
    match bench.power_cycle() {
        Ok(_) => after_start(bench, version),
        Err(Trouble::Unreachable(why)) => Ok(Some(format!("{DEAD}: {why}"))),
        Err(other) => Err(other),
    }
}

/// So many inputs changed by chance from genuine ones.
pub fn by_chance(genuine: &[Vec<u8>], seed: u64, count: usize) -> Vec<Case> {
    let mut chance = Chance::new(seed);
    (0..count).map(|n| super::mutate::by_chance(&genuine[n % genuine.len().max(1)], &mut chance)).collect()
}
