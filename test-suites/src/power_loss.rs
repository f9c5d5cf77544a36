//! Power-loss resilience: whatever the device is doing when its power goes, it comes back by itself, whole, truthful, and no weaker than before.
//!
//! One campaign, two strengths, chosen by what the rig can do and always said: **closure** where the rig can rebuild storage states (every cut at every
//! storage operation, any number of times, torn ones too), **sampled** elsewhere. Before either means anything, six devices broken on purpose must have
//! been caught by the same code ([`controls`]).
//!
//! Units: 5.9-1-2 b and 5.9-2-2 b (the resilience mechanisms act as declared; function comes back in the same or a better state), 5.3-2-2 b where an update
//! is interrupted (an interruption is no way to misuse it), 5.11-1-2 b and c where the deletion of the user's data is.

pub mod campaign;
mod chatter;
mod checks;
pub mod content;
pub mod controls;
pub mod explore;
pub mod observe;
pub mod oracle;
pub mod plans;
pub mod sampled;
pub mod stimulus;
pub mod trace;

use plans::Act;
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Capability, Check, Permission, Trouble};
use std::time::Duration;

/// Resilience only.
const OUTAGE: &[&str] = &["5.9-1-2 b", "5.9-2-2 b"];
/// An update that is interrupted.
const UPDATE: &[&str] = &["5.9-1-2 b", "5.9-2-2 b", "5.3-2-2 b"];
/// A deletion that is interrupted.
const DELETION: &[&str] = &["5.9-1-2 b", "5.9-2-2 b", "5.11-1-2 b", "5.11-1-2 c"];

const CONTROL: &str = "six devices broken on purpose are caught by the same campaign in the same run; the undisturbed act works; a finding is made again through the power path";

/// Bench time is virtual where a closure runs: a year of it costs seconds. Sampled campaigns bound themselves.
const CLOSURE_TIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// Rows that a power cut bears on: outages of the supply, and what a campaign interrupts: updates piece by piece, deletions at the device.
fn against_power(row: &Row) -> bool {
    row.res().is_some_and(|b| b.outage == "power") || row.upd().is_some_and(|b| b.via != "server") || row.del().is_some()
}

macro_rules! check {
    ($id:literal, $title:literal, $units:expr, $needs:expr, $permissions:expr, $defects:expr, $twins:expr, $run:expr) => {
        Check {
            id: $id,
            title: $title,
            units: $units,
            table: Some(23),
            row_wanted: Some(against_power),
            needs: $needs,
            permissions: $permissions,
            defects: $defects,
            twins: $twins,
            control: CONTROL,
            budget: CLOSURE_TIME,
            run: $run,
        }
    };
}

const BASIC: &[Capability] = &[Capability::Console, Capability::Power];
const WITH_UPDATE: &[Capability] = &[Capability::Console, Capability::Power, Capability::UpdatePath];
const CUT: &[Permission] = &[Permission::PowerCut];

/// The suite, in the order in which it runs: cheap ones first.
pub const CHECKS: &[Check] = &[
    check!(
        "power-loss/idle",
        "Power cuts while the device starts and rests",
        OUTAGE,
        BASIC,
        CUT,
        &["attempts-burnt", "power-cycles-reset"],
        &["slow-boot", "noisy-log"],
        |b| { checks::run(b, Act::Idle, OUTAGE, "a device that loses power while it starts or rests comes up with everything unchanged") }
    ),
    check!(
        "power-loss/chatter",
        "Fast power cycling changes nothing",
        OUTAGE,
        BASIC,
        CUT,
        &["attempts-burnt", "power-cycles-reset"],
        &["slow-boot"],
        chatter
    ),
    check!(
        "power-loss/settings",
        "Power cuts while settings are written",
        OUTAGE,
        BASIC,
        CUT,
        &["settings-reset-on-torn", "settings-gc-loses", "ack-lost-after-two-cuts", "report-before-commit", "no-flush-commit"],
        &["password-hashed", "silent-bad-command"],
        |b| checks::run(b, Act::Settings, OUTAGE, "each acknowledged setting is kept, an unacknowledged one is old or new, all others are unchanged")
    ),
    check!(
        "power-loss/user-data",
        "Power cuts while user data is written",
        OUTAGE,
        BASIC,
        CUT,
        &["userdata-in-place"],
        &["silent-bad-command"],
        |b| { checks::run(b, Act::UserData, OUTAGE, "what the user entered and the device acknowledged is kept") }
    ),
    check!(
        "power-loss/credential",
        "Power cuts while the credential is changed",
        OUTAGE,
        BASIC,
        CUT,
        &["settings-reset-on-torn"],
        &["password-hashed"],
        |b| checks::run(b, Act::Credential, OUTAGE, "the old or the new credential works, never both, and never a default one")
    ),
    check!(
        "power-loss/counter",
        "Power cuts while a monotonic counter is raised",
        OUTAGE,
        BASIC,
        &[Permission::PowerCut, Permission::CounterIncrement],
        &["count-in-place"],
        &[],
        |b| checks::run(b, Act::Counter, OUTAGE, "the counter never goes back and never jumps")
    ),
    check!(
        "power-loss/install",
        "Power cuts while an update is taken",
        UPDATE,
        WITH_UPDATE,
        CUT,
        &["partial-upload-boots"],
        &["size-refused-early"],
        |b| { checks::run(b, Act::Install, UPDATE, "the old image runs until the new one is whole and asked for; a new upload works afterwards") }
    ),
    check!(
        "power-loss/swap",
        "Power cuts while images are exchanged and the new one starts for the first time",
        UPDATE,
        WITH_UPDATE,
        CUT,
        &["swap-magic-nonatomic", "counter-early", "loader-static", "swap-in-place"],
        &["slow-copy", "late-refusal", "slot-fallback"],
        |b| checks::run(b, Act::Swap, UPDATE, "the old or the new image runs, whole and truthfully reported, after any number of cuts")
    ),
    check!(
        "power-loss/revert",
        "Power cuts while an unconfirmed image is taken back",
        UPDATE,
        WITH_UPDATE,
        CUT,
        &["revert-forgets-type", "revert-stuck"],
        &["slow-copy"],
        |b| checks::run(b, Act::Revert, UPDATE, "the old image runs again, the rejected one does not come back, and a further update works")
    ),
    check!(
        "power-loss/confirm",
        "Power cuts while an update is confirmed",
        UPDATE,
        WITH_UPDATE,
        &[Permission::PowerCut, Permission::CounterIncrement],
        &["lie-revert"],
        &[],
        |b| checks::run(b, Act::Confirm, UPDATE, "the update is kept or taken back, whole and truthfully reported; once acknowledged it stays")
    ),
    check!(
        "power-loss/factory-reset",
        "Power cuts while the user's data is deleted",
        DELETION,
        BASIC,
        &[Permission::PowerCut, Permission::FactoryReset],
        &["reset-flag-first", "reset-never-resumes"],
        &["crypto-erase"],
        |b| checks::deletions(
            b,
            DELETION,
            OUTAGE,
            "nothing is deleted or everything is; once acknowledged everything is; no default credential comes up"
        )
    ),
];

fn chatter(bench: &mut Bench) -> Result<(), Trouble> {
    let result = chatter::run(bench, OUTAGE);
    bench.quiet(false);
    result
}
