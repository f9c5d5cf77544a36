//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use proofbench_model::{FamilyId, Scheme};
use std::path::PathBuf;
use std::time::Duration;

/// Hardware-in-the-loop tests of one device, per provision of ETSI EN 303 645, assessed by the method of ETSI TS 103 701.
#[derive(Debug, Parser)]
#[command(name = "proofbench", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 nothing failed; 1 a FAIL or an invalid ICS; 2 no FAIL, something INCONCLUSIVE; 3 bad input or nothing to run. \
    Of doctor, power and reset: 0 all well; 1 the bench does not do what it is asked; 2 something could not be told; 3 bad input.";

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
    /// Write a first version of a file for people to complete.
    Init {
        /// Which file.
        #[command(subcommand)]
        what: Init,
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
    /// Evaluate recorded results again; no rig is needed.
    ///
    /// With another ICS or IXIT the new evaluation is kept in assessments/<n>/ of the run folder, with what went in, who made it and when; the run's journal
    /// and its first evaluation stay as they are, and `verify` covers both. An IXIT may change words: rows and bindings that the rig acted on must be the same.
    Assess {
        /// The run folder.
        run: PathBuf,
        /// Another ICS (ics.toml).
        #[arg(long)]
        ics: Option<PathBuf>,
        /// Another IXIT (ixit.toml).
        #[arg(long)]
        ixit: Option<PathBuf>,
        /// Who makes the evaluation, for its record [default: the account's name].
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// Why, for its record.
        #[arg(long, value_name = "TEXT", default_value = "")]
        why: String,
        /// Which status table validates the ICS.
        #[arg(long, value_enum, default_value_t = MethodArg::Ts103701)]
        method: MethodArg,
        /// Another profile than that of the run (`list profiles`).
        #[arg(long, value_name = "NAME", value_parser = Scheme::find)]
        profile: Option<&'static Scheme>,
    },
    /// Show what changed between two runs, say of two firmware versions: better, worse, new, gone, and what they were made with.
    ///
    /// Exit code 1 if something is VIOLATED that was not, or the ICS became invalid; 2 if something is UNRESOLVED that was not, or is gone; else 0.
    Compare {
        /// The older run folder.
        old: PathBuf,
        /// The newer run folder.
        new: PathBuf,
        /// Failures that are expected, each with a reason: they do not decide the exit code, and are printed all the same.
        #[arg(long, value_name = "FILE")]
        baseline: Option<PathBuf>,
    },
    /// Make one assessment of partial runs of one device on several rigs. Dossier and device must be the same; no FAIL is lost.
    Merge {
        /// The run folders.
        #[arg(required = true, num_args = 2..)]
        runs: Vec<PathBuf>,
        /// Folder of the merged run; it must not exist yet.
        #[arg(long)]
        out: PathBuf,
    },
    /// ICS and IXIT as tables for a spreadsheet, and back.
    Dossier {
        /// Which way.
        #[command(subcommand)]
        what: DossierWay,
    },
    /// Check that a run folder is whole: journal chain, evidence digests, reports equal to what the journal gives, every later evaluation likewise.
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
    /// Examine a bench: is it wired as its rig file says, and if not, what is wrong and what to try? Leaves it safe.
    ///
    /// Steps that the rig file does not grant are not done, and said. Exit code 0 all well; 1 something is wrong; 2 something could not be told; 3 bad
    /// input.
    Doctor(DoctorArgs),
    /// Talk to the device's console by hand: a terminal, or a pipe whose lines are sent one by one as the device comes to rest.
    Console(ConsoleArgs),
    /// Switch or read the supply by hand. `power on` leaves it on.
    Power {
        /// What to do.
        what: PowerArg,
        /// Rig file; the emulated thermostat if none is given.
        #[arg(long)]
        rig: Option<PathBuf>,
    },
    /// Pulse the reset line by hand, or hold it.
    Reset {
        /// Hold it for so long ("2s", "500ms"); without a length until Enter, the end of the input or Ctrl-C.
        #[arg(long, num_args = 0..=1, value_parser = time_span)]
        hold: Option<Option<Duration>>,
        /// Rig file; the emulated thermostat if none is given.
        #[arg(long)]
        rig: Option<PathBuf>,
    },
    /// Look at a debug port by hand: what is seen, how much access that is, and what it does not prove. Nothing is unlocked or erased.
    Probe(ProbeArgs),
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

/// `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Rig file; the emulated thermostat if none is given.
    #[arg(long)]
    pub rig: Option<PathBuf>,
    /// Dossier folder; the rig file's own if none is given.
    #[arg(long)]
    pub dossier: Option<PathBuf>,
    /// One JSON object at the end instead of lines.
    #[arg(long)]
    pub json: bool,
}

/// `console`.
#[derive(Debug, Args)]
pub struct ConsoleArgs {
    /// Rig file; the emulated thermostat if none is given.
    #[arg(long)]
    pub rig: Option<PathBuf>,
    /// Bench time, in seconds since the start, before every line of the device.
    #[arg(long)]
    pub stamp: bool,
    /// Keep what the device says in this file as well.
    #[arg(long)]
    pub log: Option<PathBuf>,
    /// End after this bench time ("5s"). Without it a terminal ends with Ctrl-], a pipe when its input has ended and the device has come to rest.
    #[arg(long = "for", value_parser = time_span)]
    pub until: Option<Duration>,
}

/// `power`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PowerArg {
    /// Switch on, and leave it on.
    On,
    /// Switch off and make the rig safe.
    Off,
    /// Off for the rig's minimum, then on.
    Cycle,
    /// Ask nothing; read switch and rail.
    State,
}

/// A length of time as rig files spell it.
fn time_span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no length of time; valid: 250ms, 2s, 1m 30s");
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let time = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(time).map_err(|_| wrong())
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
    /// Who reads the result, of which provisions it speaks, what a pending question means: certify, ci, uk-psti, en303645-v3 (`list profiles`).
    #[arg(long, value_name = "NAME", default_value = "ci", value_parser = Scheme::find)]
    pub profile: &'static Scheme,
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

/// `init`.
#[derive(Debug, Subcommand)]
pub enum Init {
    /// A rig file, drafted from the serial ports and debug probes that are attached. Opens no port.
    Rig {
        /// File to write; it must not exist yet. Standard output if none is given.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Folder of the device's dossier, relative to the rig file.
        #[arg(long, default_value = "my-product")]
        dossier: String,
    },
    /// A commented skeleton of device.toml, ics.toml and ixit.toml, made from the catalogue. It answers nothing: `check` names what is missing.
    Dossier {
        /// Folder to write into; it must have none of the files yet.
        dir: PathBuf,
    },
}

/// `dossier`.
#[derive(Debug, Subcommand)]
pub enum DossierWay {
    /// Write ics.csv, conditions.csv, empty.csv and one file per IXIT table below ixit/ (RFC 4180, UTF-8).
    Export {
        /// The dossier folder.
        dossier: PathBuf,
        /// Which tables.
        #[arg(long, value_enum, default_value_t = Tables::Csv)]
        format: Tables,
        /// Folder to write; it must be empty or not exist yet.
        #[arg(long)]
        out: PathBuf,
    },
    /// Read such tables and write ics.toml and ixit.toml.
    Import {
        /// The folder of tables.
        tables: PathBuf,
        /// Folder to write into; it must have neither file yet.
        #[arg(long)]
        out: PathBuf,
    },
}

/// Kinds of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tables {
    /// Comma-separated values.
    Csv,
    /// The same with a byte-order mark, without which Excel does not read UTF-8.
    Xlsx,
}

/// `list`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Listed {
    /// Our checks, with what they bear on and catch.
    Checks,
    /// The 68 provisions.
    Provisions,
    /// The profiles: what --profile takes.
    Profiles,
    /// The 226 test units.
    Units,
    /// The defects, twins and controls of the emulated device.
    Defects,
    /// The serial ports of this machine, as a rig file names them.
    Ports,
    /// The debug probes of this machine.
    Probes,
}

/// `probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// Rig file; the emulated thermostat if neither it nor a probe is given. Addresses and the known word come from its dossier.
    #[arg(long, conflicts_with = "probe")]
    pub rig: Option<PathBuf>,
    /// A bare probe, as `list probes` shows it: VID:PID[:SERIAL].
    #[arg(long, value_name = "SELECTOR")]
    pub probe: Option<String>,
    /// Protocol.
    #[arg(long, value_enum, default_value_t = ProtocolArg::Swd)]
    pub protocol: ProtocolArg,
    /// When and how to attach. `under-reset` and `cold-plug` restart the device; `power-on` needs its supply switched.
    #[arg(long, value_enum, default_value_t = AttachArg::Running)]
    pub attach: AttachArg,
    /// A word of RAM [default: the dossier's, or 0x20000000].
    #[arg(long, value_name = "ADDR", value_parser = word)]
    pub ram: Option<u32>,
    /// A word of flash [default: the dossier's, or 0].
    #[arg(long, value_name = "ADDR", value_parser = word)]
    pub flash: Option<u32>,
    /// What stands at that flash address, from the firmware's image [default: the dossier's]. Without it nothing proves that this is the right wire.
    #[arg(long, value_name = "WORD", value_parser = word)]
    pub known: Option<u32>,
    /// Highest access port to look at [default: the dossier's, or 255].
    #[arg(long, value_name = "N")]
    pub max_ap: Option<u8>,
    /// How long to poll with `--attach power-on`, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub poll: u64,
    /// Ask a core that is within reach to reset the device, and try once more what was refused. On a rig it takes the permission `debug-reset`.
    #[arg(long)]
    pub software_reset: bool,
    /// Chip family whose lock is explained [default: the dossier's].
    #[arg(long, value_name = "NAME")]
    pub family: Option<FamilyId>,
    /// The whole survey as JSON.
    #[arg(long)]
    pub json: bool,
}

fn word(text: &str) -> Result<u32, String> {
    let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |hex| (hex, 16));
    u32::from_str_radix(digits, radix).map_err(|_| format!("`{text}` is no 32-bit number; valid: 0x20000000, 8192"))
}

/// Wire protocols.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ProtocolArg {
    /// Serial wire debug.
    Swd,
    /// JTAG.
    Jtag,
    /// SWD after a dormant-state wake sequence.
    Dormant,
}

/// Attach conditions.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum AttachArg {
    /// While the application runs.
    Running,
    /// With nRST held.
    UnderReset,
    /// Polling from before power-on.
    PowerOn,
    /// With SWCLK low at the release of nRST.
    ColdPlug,
}

/// `report`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Format {
    /// JUnit XML.
    Junit,
    /// One page for people: HTML that stands alone.
    Html,
    /// The summary.
    Text,
    /// The ICS with the findings of its check.
    Ics,
    /// What became of each provision and unit: executed and by which check, human, not applicable, not covered and why.
    Coverage,
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
