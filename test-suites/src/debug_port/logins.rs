//! Pairs of user name and secret that everybody knows.

use super::BUDGET;
use super::console::{OTHER_PORTS, console};
use crate::report::{Report, each_row};
use proofbench_model::bind::Credential;
use proofbench_model::dossier::Row;
use proofbench_runner::bench::LoginResult;
use proofbench_runner::{Bench, Capability, Check, Trouble};
use std::time::Duration;

/// Factory passwords are what the declared generator makes.
const FACTORY_PASSWORDS: &str = "5.1-1-2 c";
const NEEDS: &[Capability] = &[Capability::Console, Capability::Power];
const DEFECTS: &[&str] = &["default-login", "support-account", "root-empty"];
const CONTROL: &str = "a wrong secret is refused and the label's credential logs in, before and after, in the same run";

/// User, secret. From lists of default credentials, the most common first; the last ones are service accounts of our own experience.
pub(crate) const KNOWN: &[(&str, &str)] = &[
    ("admin", "admin"),
    ("root", ""),
    ("root", "root"),
    ("admin", ""),
    ("admin", "password"),
    ("admin", "1234"),
    ("admin", "12345678"),
    ("root", "admin"),
    ("root", "toor"),
    ("user", "user"),
    ("guest", "guest"),
    ("support", "support"),
    ("service", "service"),
    ("test", "test"),
    ("debug", "debug"),
    ("factory", "factory"),
];

pub(super) const KNOWN_LOGINS: Check = Check {
    id: "debug-port/known-logins",
    title: "no known pair of user name and secret opens the console",
    units: &[OTHER_PORTS],
    table: Some(15),
    row_wanted: Some(|row| console(row) && row.intf().is_some_and(|i| i.declared == "login")),
    needs: NEEDS,
    permissions: &[],
    defects: DEFECTS,
    twins: &["silent-bad-command"],
    control: CONTROL,
    budget: BUDGET,
    run: |bench| {
        each_row(bench, &[OTHER_PORTS], |bench, _row, report| {
            judge(bench, report, OTHER_PORTS, "no session on the console but with the owner's credential")
        })
    },
};

pub(super) const KNOWN_PAIRS: Check = Check {
    id: "debug-port/universal-passwords",
    title: "the pre-installed secret is the label's and none that every unit knows",
    units: &[FACTORY_PASSWORDS],
    table: Some(1),
    row_wanted: Some(console_mechanism),
    needs: NEEDS,
    permissions: &[],
    defects: DEFECTS,
    twins: &["silent-bad-command"],
    control: CONTROL,
    budget: BUDGET,
    run: |bench| {
        each_row(bench, &[FACTORY_PASSWORDS], |bench, _row, report| {
            bench.strength(format!("one unit, {} known pairs; units are not compared with each other", KNOWN.len()));
            judge(bench, report, FACTORY_PASSWORDS, "the factory secret is individual to the unit: the label's works and no known pair does")
        })
    },
};

fn console_mechanism(row: &Row) -> bool {
    row.auth().is_some_and(|a| a.over == "console")
}

fn judge(bench: &mut Bench, report: &mut Report, unit: &'static str, expected: &str) -> Result<(), Trouble> {
    // One answer serves both checks: the tries at the login are a budget that the device declares.
    let open = bench.once("debug-port: known pairs that log in", known_pairs_that_work)?;
    if open.is_empty() {
        report.satisfied(
            bench,
            unit,
            expected,
            &format!("{} known pairs refused; a wrong secret refused; the label's credential logs in", KNOWN.len()),
        );
    } else {
        let pairs = open.iter().map(|(u, s)| format!("`{u}` with secret `{s}`")).collect::<Vec<_>>().join(", ");
        report.violated(bench, unit, expected, &format!("logged in as {pairs}; the label's credential works as well, a wrong secret does not"));
    }
    Ok(())
}

fn known_pairs_that_work(bench: &mut Bench) -> Result<Vec<(String, String)>, Trouble> {
    let label = bench.dossier().device.sample.label.clone().ok_or_else(|| Trouble::IxitMissing("[sample] label of device.toml".to_owned()))?;
    bench.power_cycle()?;
    let mut tries = Tries::new(bench)?;
    // Control: the console can tell right from wrong.
    tries.must_open(bench, &label)?;
    let wrong = Credential { user: label.user.clone(), secret: format!("{}x", label.secret) };
    if tries.attempt(bench, &wrong)? != LoginResult::Refused {
        return Err(Trouble::NoOpportunity("a wrong secret was not refused: the login tells nothing".to_owned()));
    }
    let mut open = Vec::new();
    for (user, secret) in KNOWN {
        let pair = Credential { user: (*user).to_owned(), secret: (*secret).to_owned() };
        if pair == label {
            open.push((pair.user, pair.secret));
            continue;
        }
        match tries.attempt(bench, &pair)? {
            LoginResult::In => open.push((pair.user, pair.secret)),
            LoginResult::Refused => {}
            LoginResult::LockedOut => return Err(Trouble::Precondition(format!("locked out while trying `{user}`, within the declared tries"))),
            LoginResult::NoPrompt => return Err(Trouble::Unreachable(format!("no login prompt when trying `{user}`"))),
        }
    }
    tries.must_open(bench, &label)?;
    Ok(open)
}

/// The tries that the declaration allows before a lock-out; the rig stays below by a good login, or by waiting.
struct Tries {
    allowed: u32,
    spent: u32,
    lockout: Duration,
}

impl Tries {
    fn new(bench: &Bench) -> Result<Self, Trouble> {
        let login = bench.bind().login.as_ref().ok_or_else(|| Trouble::IxitMissing("[bind.login] of device.toml".to_owned()))?;
        Ok(Self { allowed: login.tries.max(1), spent: 0, lockout: Duration::from_millis(login.lockout_ms) })
    }

    fn attempt(&mut self, bench: &mut Bench, pair: &Credential) -> Result<LoginResult, Trouble> {
        if self.spent >= self.allowed {
            // A good login clears the count where the device works like that; where it does not, the wait does.
            if let Some(label) = bench.dossier().device.sample.label.clone() {
                bench.login(&label)?;
            }
            bench.sleep(self.lockout)?;
            self.spent = 0;
        }
        let result = bench.login(pair)?;
        if result != LoginResult::In {
            self.spent += 1;
        }
        Ok(result)
    }

    fn must_open(&mut self, bench: &mut Bench, label: &Credential) -> Result<(), Trouble> {
        match bench.login(label)? {
            LoginResult::In => {
                self.spent = 0;
                Ok(())
            }
            other => Err(Trouble::NoOpportunity(format!("the label's credential does not log in: {other:?}"))),
        }
    }
}
