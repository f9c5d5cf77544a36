//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Hardware-in-the-loop tests of one device, per provision of ETSI EN 303 645, assessed by the method of ETSI TS 103 701.
#[derive(Debug, Parser)]
#[command(name = "proofbench", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 nothing failed; 1 a FAIL or an invalid ICS; 2 no FAIL, something INCONCLUSIVE; 3 bad input or nothing to run.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Test a device and write a run folder.
    Run(RunArgs),
    /// Show what would become of every unit and check, without touching the rig.
    Plan(SelectArgs),
    /// List what there is.
    List {
        /// What to list.
        what: Listed,
    },
    /// Read rig files and dossier folders and say what is wrong with them, without touching hardware.
    Check {
        /// Rig files (*.toml) or dossier folders.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Explain a provision, a test unit or a check.
    Explain {
        /// `5.3-2`, `5.3-2-2 b`, `update/genuine`.
        what: String,
    },
    /// Make a report of a run once more.
    Report {
        /// The run folder.
        run: PathBuf,
        /// The report's kind.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
        /// Which JUnit.
        #[arg(long, value_enum, default_value_t = DialectArg::Extended)]
        dialect: DialectArg,
        /// One test case per unit, or one per provision.
        #[arg(long, value_enum, default_value_t = Per::Unit)]
        per: Per,
    },
    /// Evaluate recorded results again, with another ICS if given; no rig is needed.
    Assess {
        /// The run folder.
        run: PathBuf,
        /// Another ICS.
        #[arg(long)]
        ics: Option<PathBuf>,
        /// Which status table validates the ICS.
        #[arg(long, value_enum, default_value_t = MethodArg::Ts103701)]
        method: MethodArg,
        /// How pending questions count.
        #[arg(long, value_enum)]
        profile: Option<ProfileArg>,
    },
    /// Check that a run folder is whole: journal chain, evidence digests, reports equal to what the journal gives.
    Verify {
        /// The run folder.
        run: PathBuf,
    },
    /// Repeat one check of a run, at exactly one power cut if the address says so: `power-loss/swap@cut=17`.
    Replay {
        /// The run folder.
        run: PathBuf,
        /// The address that a failure printed.
        address: String,
        /// Another rig than that of the run.
        #[arg(long)]
        rig: Option<PathBuf>,
    },
    /// Prove the checks: each against the conforming device, its twins, its defects, and under bench faults.
    Prove {
        /// Only checks that match (`update/*`).
        #[arg(long = "check")]
        checks: Vec<String>,
        /// Write the detection table to fixtures/expected instead of comparing with it.
        #[arg(long)]
        write: bool,
    },
}

/// Which checks.
#[derive(Debug, Args, Clone)]
pub struct SelectArgs {
    /// Rig file; the emulated thermostat if none is given.
    #[arg(long)]
    pub rig: Option<PathBuf>,
    /// Dossier folder; the rig file's own if none is given.
    #[arg(long)]
    pub dossier: Option<PathBuf>,
    /// Only these suites.
    #[arg(long = "suite")]
    pub suites: Vec<String>,
    /// Only checks that bear on these provisions.
    #[arg(long = "provision")]
    pub provisions: Vec<String>,
    /// Only checks whose id matches (`update/*`).
    #[arg(long = "check")]
    pub checks: Vec<String>,
    /// How pending questions and budgets count.
    #[arg(long, value_enum, default_value_t = ProfileArg::Ci)]
    pub profile: ProfileArg,
}

/// `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Which checks.
    #[command(flatten)]
    pub select: SelectArgs,
    /// Run folder; it must not exist yet.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Seed of everything that chance decides.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// `list`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Listed {
    /// Our checks, with what they bear on and catch.
    Checks,
    /// The 68 provisions.
    Provisions,
    /// The 226 test units.
    Units,
    /// The defects, twins and controls of the emulated device.
    Defects,
}

/// `report`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Format {
    /// JUnit XML.
    Junit,
    /// The summary.
    Text,
    /// The ICS with the findings of its check.
    Ics,
    /// The whole assessment.
    Json,
}

/// JUnit dialects.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum DialectArg {
    /// With properties.
    Extended,
    /// Valid against the schema of the Jenkins xunit plugin.
    Strict,
}

/// Rows of a JUnit report.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Per {
    /// A test case per unit and IXIT row.
    Unit,
    /// Always the same 68 provisions.
    Provision,
}

/// Status tables.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum MethodArg {
    /// TS 103 701 Annex A.3.
    #[value(name = "ts103701")]
    Ts103701,
    /// EN 303 645 Annex B.
    #[value(name = "en303645")]
    EnAnnexB,
}

/// Profiles.
#[derive(Debug, Clone, Copy, ValueEnum, PartialEq, Eq)]
pub enum ProfileArg {
    /// Unanswered questions of persons are INCONCLUSIVE.
    Certify,
    /// They are shown as pending and do not decide the exit code.
    Ci,
}
