//! Locks against guessing.
//!
//! Purpose: 5.1-5-2 b (attempts are limited as declared). Procedure: wrong secrets until the device says that logins are locked; the right secret while they
//! are, at nine tenths of the declared time, and afterwards; then everything that may take the count away, each after all tries but one. Verdict: VIOLATED if
//! more wrong secrets are answered than declared, if the right one is taken during the lock, or if something takes the count away. Control: the right secret
//! logs in before and after, and a wrong one is refused. A lock that lasts longer than declared is no violation.

use super::{BUDGET, Declared, NEEDS, clear, owner, web_login, wrong};
use crate::report::{Report, each_row};
use proofbench_channel::network::Dial;
use proofbench_model::dossier::Row;
use proofbench_runner::bench::WebLogin;
use proofbench_runner::{Bench, Check, Permission, Trouble};
use std::time::Duration;

pub(super) const B: &str = "5.1-5-2 b";

/// Row 7.
pub const LOCK: Check = Check {
    id: "credentials/lock",
    title: "logins lock after the declared number of tries, for the declared time, for everybody",
    units: &[B],
    table: Some(1),
    row_wanted: Some(web_login),
    needs: NEEDS,
    permissions: &[],
    defects: &["web-no-lock", "web-lock-short", "web-right-secret-while-locked", "web-fifty-tries"],
    twins: &["web-lock-longer", "slow-boot", "noisy-log", "lock-stored-from-second", "closes-after-answer"],
    control: "the right secret logs in before and after, a wrong one is refused",
    budget: BUDGET,
    run: |bench| each_row(bench, &[B], lock),
};

/// Row 8.
pub const CLEARED: Check = Check {
    id: "credentials/count-kept",
    title: "nothing that a guesser can do takes the count of wrong secrets away",
    units: &[B],
    table: Some(1),
    row_wanted: Some(web_login),
    needs: NEEDS,
    permissions: &[Permission::PowerCut],
    defects: &["web-count-in-ram", "web-count-per-address", "web-count-per-header", "web-lock-lost-with-power"],
    twins: &["web-lock-longer", "slow-boot", "lock-stored-from-second"],
    control: "without anything in between, the same tries lock the login; the right secret logs in afterwards",
    budget: BUDGET,
    run: |bench| each_row(bench, &[B], cleared),
};

fn declared(row: &Row) -> Result<Declared, Trouble> {
    row.auth().map_or_else(|| Err(Trouble::IxitMissing("a binding of 1-AuthMech".to_owned())), Declared::of)
}

/// One wrong secret; whether it was compared (`true`) or logins are locked.
fn guess(bench: &mut Bench, n: u32, from: u8) -> Result<bool, Trouble> {
    let wrong = wrong(bench, n)?;
    match bench.web_login_from(&wrong, from)? {
        WebLogin::Refused(_) => Ok(true),
        WebLogin::Locked(_) => Ok(false),
        WebLogin::In(_) => Err(Trouble::IxitAmbiguous("a secret that nobody set logs in".to_owned())),
        WebLogin::Other(words) => Err(Trouble::NoOpportunity(format!("a login was answered in a way that the dossier does not know: {words}"))),
    }
}

/// Whether the right secret is taken now.
fn taken(bench: &mut Bench) -> Result<bool, Trouble> {
    let right = owner(bench)?;
    match bench.web_login(&right)? {
        WebLogin::In(_) => Ok(true),
        WebLogin::Locked(_) | WebLogin::Refused(_) => Ok(false),
        WebLogin::Other(words) => Err(Trouble::NoOpportunity(format!("a login was answered in a way that the dossier does not know: {words}"))),
    }
}

fn lock(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let declared = declared(row)?;
    bench.at_home()?;
    clear(bench, &declared)?;
    let expected = format!("at most {} wrong secrets are compared, then no secret is taken for {:?}", declared.tries, declared.lock);
    let mut compared = 0;
    // The lock begins somewhere between the sending of the last secret that was compared and the answer that tells of the lock.
    let mut earliest = bench.now();
    loop {
        if compared > declared.tries {
            report.violated(bench, B, &expected, &format!("{compared} wrong secrets in a row were answered as wrong"));
            return clear(bench, &declared);
        }
        let before = bench.now();
        if !guess(bench, compared, 0)? {
            break;
        }
        earliest = before;
        compared += 1;
    }
    let (mut wrongs, mut looks) = (Vec::new(), 0u32);
    for tenths in [0, 5, 9] {
        let left = (earliest + declared.lock * tenths / 10).since(bench.now());
        bench.sleep(left)?;
        let taken = taken(bench)?;
        let since = bench.now().since(earliest);
        // An answer that comes after the declared time may be that of a login which is rightly open again.
        if since >= declared.lock {
            break;
        }
        looks += 1;
        if taken {
            wrongs.push(format!("the right secret was taken at most {since:?} after the lock began"));
            break;
        }
    }
    if looks == 0 {
        return Err(Trouble::NoOpportunity(format!("no answer came within the {:?} of the lock", declared.lock)));
    }
    bench.sleep(declared.lock / 4)?;
    clear(bench, &declared)?;
    bench.strength(format!("{compared} wrong secrets, the right one {looks} times during the lock, at 0, 5 and 9 tenths of it, and after it"));
    if wrongs.is_empty() {
        report.satisfied(bench, B, &expected, &format!("{compared} wrong secrets compared; locked at each look, open afterwards"));
    } else {
        report.violated(bench, B, &expected, &wrongs.join("; "));
    }
    Ok(())
}

/// What a guesser does before his last try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trick {
    Nothing,
    PowerCycle,
    Restart,
    OtherAddress,
    ForgedHeader,
    PowerCycleWhenLocked,
}

fn cleared(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let declared = declared(row)?;
    bench.at_home()?;
    let expected = format!("the count of {} wrong secrets is kept, whatever is done in between", declared.tries);
    let (mut worked, mut tried) = (Vec::new(), Vec::new());
    let tricks = [Trick::Nothing, Trick::PowerCycle, Trick::Restart, Trick::OtherAddress, Trick::ForgedHeader, Trick::PowerCycleWhenLocked];
    for trick in tricks {
        clear(bench, &declared)?;
        let Some(open) = play(bench, &declared, trick)? else { continue };
        match (trick, open) {
            (Trick::Nothing, true) => return Err(Trouble::NoOpportunity("the tries lock nothing even without a trick".to_owned())),
            (_, true) => worked.push(format!("{trick:?}")),
            (_, false) => {}
        }
        tried.push(format!("{trick:?}"));
    }
    clear(bench, &declared)?;
    bench.strength(format!("tricks: {}", tried.join(", ")));
    if worked.is_empty() {
        report.satisfied(bench, B, &expected, "the login was locked after the same number of tries each time");
    } else {
        report.violated(bench, B, &expected, &format!("after all tries the right secret was still taken: {}", worked.join(", ")));
    }
    Ok(())
}

/// All tries but one, the trick, the last try; whether the right secret is taken then. Nothing if this bench cannot play the trick.
fn play(bench: &mut Bench, declared: &Declared, trick: Trick) -> Result<Option<bool>, Trouble> {
    let when_locked = trick == Trick::PowerCycleWhenLocked;
    let first = if when_locked { declared.tries } else { declared.tries - 1 };
    for n in 0..first {
        if !guess(bench, n, 0)? {
            break;
        }
    }
    match trick {
        Trick::Nothing => {}
        Trick::PowerCycle | Trick::PowerCycleWhenLocked => {
            bench.power_cycle()?;
            bench.net_up()?;
        }
        Trick::Restart => {
            if !bench.can_act("reboot") {
                return Ok(None);
            }
            bench.act("reboot")?;
            bench.net_up()?;
        }
        Trick::OtherAddress => match guess(bench, 90, 1) {
            // The last try comes from there, and so does the owner: an address of its own must not have a count of its own.
            Ok(_) => return from_elsewhere(bench).map(Some),
            Err(Trouble::Channel(e)) if e.kind == proofbench_channel::ErrorKind::Unsupported => return Ok(None),
            Err(other) => return Err(other),
        },
        Trick::ForgedHeader => return forged(bench).map(Some),
    }
    if !when_locked {
        guess(bench, 99, 0)?;
    }
    taken(bench).map(Some)
}

fn from_elsewhere(bench: &mut Bench) -> Result<bool, Trouble> {
    let right = owner(bench)?;
    Ok(matches!(bench.web_login_from(&right, 1)?, WebLogin::In(_)))
}

/// The last try and the right secret, as if a proxy had sent them for somebody else.
fn forged(bench: &mut Bench) -> Result<bool, Trouble> {
    let web = bench.web()?;
    let mut last = false;
    for credential in [wrong(bench, 98)?, owner(bench)?] {
        let (dial, bytes) = bench.request(&web.login, &[("user", &credential.user), ("secret", &credential.secret)])?;
        let text = String::from_utf8_lossy(&bytes).replacen("\r\n", "\r\nX-Forwarded-For: 203.0.113.9\r\n", 1);
        let seen = bench.http_bytes(&Dial { from: 0, ..dial }, text.as_bytes(), Duration::from_secs(5))?;
        last = matches!(bench.login_outcome(&web, &seen)?, WebLogin::In(_));
    }
    Ok(last)
}
