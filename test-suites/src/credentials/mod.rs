//! Suite `credentials`: logins over the network (5.1), what can be done without one (5.5-4, 5.5-5), and secrets that set-up replaces (5.4-3).

mod access;
mod built_in;
mod change;
mod defaults;
mod found;
mod guesses;
mod lock;
mod machine;

use proofbench_model::bind::{AuthBind, Credential};
use proofbench_model::dossier::Row;
use proofbench_runner::bench::WebLogin;
use proofbench_runner::{Bench, Capability, Check, Trouble};
use std::time::Duration;

/// Longest bench time of a check here: locks are waited for.
const BUDGET: Duration = Duration::from_secs(24 * 3600);
const NEEDS: &[Capability] = &[Capability::Console, Capability::Power, Capability::Network];

pub(crate) use access::guest;
pub(crate) use change::{alive, probe};

/// Rows of 1-AuthMech that are logins on the device's own interface.
fn web_login(row: &Row) -> bool {
    row.auth().is_some_and(|a| a.over == "web")
}

/// The checks, in the order in which they run.
pub const CHECKS: &[Check] = &[
    found::FOUND,
    defaults::SET_UP_FIRST,
    defaults::KNOWN_PAIRS,
    defaults::CHANNEL,
    machine::MACHINE,
    built_in::REPLACED,
    access::MATRIX,
    access::STATES,
    change::CHANGE,
    lock::LOCK,
    lock::CLEARED,
    guesses::PARALLEL,
];

/// What a row declares about guessing.
struct Declared {
    tries: u32,
    lock: Duration,
}

impl Declared {
    fn of(auth: &AuthBind) -> Result<Self, Trouble> {
        match (auth.tries, auth.lockout_ms) {
            (Some(tries), Some(ms)) if tries > 0 => Ok(Self { tries, lock: Duration::from_millis(ms) }),
            _ => Err(Trouble::IxitMissing("`tries` and `lockout-ms` of a login on the device's own interface".to_owned())),
        }
    }
}

/// The owner's credential as the interface wants it.
pub(crate) fn owner(bench: &Bench) -> Result<Credential, Trouble> {
    let user = bench.web()?.user;
    let secret = bench.credential().map(|c| c.secret.clone());
    let secret = secret.ok_or_else(|| Trouble::IxitMissing("[sample] label of device.toml".to_owned()))?;
    Ok(Credential { user, secret })
}

/// A secret of the owner's account that is surely wrong; another one each time.
fn wrong(bench: &Bench, n: u32) -> Result<Credential, Trouble> {
    Ok(Credential { user: bench.web()?.user, secret: format!("wrong-{n}-{:08x}", bench.seed() as u32) })
}

/// Makes sure that the right secret logs in, which also takes earlier failures away; a lock that an earlier step brought about is waited for.
fn clear(bench: &mut Bench, declared: &Declared) -> Result<(), Trouble> {
    let right = owner(bench)?;
    for _ in 0..4 {
        match bench.web_login(&right)? {
            WebLogin::In(_) => return Ok(()),
            WebLogin::Locked(_) => bench.sleep(declared.lock + declared.lock / 10)?,
            WebLogin::Refused(words) | WebLogin::Other(words) => {
                return Err(Trouble::NoOpportunity(format!("the right secret does not log in: {words}")));
            }
        }
    }
    Err(Trouble::NoOpportunity(format!("the right secret does not log in more than {:?} after the lock began", declared.lock * 4)))
}
