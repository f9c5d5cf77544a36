//! `proofbench-board`: one emulated thermostat on real wires. Starting it is power on, killing it is power off.

use clap::Parser;
use proofbench_board::run::{Bench, Board, Ready};
use proofbench_emulator::{Defects, Setup};
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs one emulated thermostat on real wires: terminals DIR/console and DIR/update, flash in DIR/flash.bin, a debug probe (Black Magic Probe
/// protocol) and a fixture on TCP. Prints one line of JSON when it is ready and runs until it is killed.
#[derive(Debug, Parser)]
#[command(name = "proofbench-board", version)]
struct Args {
    /// Folder for terminals and flash.
    #[arg(long)]
    dir: PathBuf,
    /// Unit number: serial number, secrets and factory data follow from it.
    #[arg(long, default_value_t = 1)]
    unit: u32,
    /// Seed of all chance.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Device seconds a real second.
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// A built-in defect or twin, by name; may be repeated.
    #[arg(long)]
    defect: Vec<String>,
    /// The delivered image.
    #[arg(long)]
    image: PathBuf,
    /// TCP port of the debug probe; 0 picks one.
    #[arg(long, default_value_t = 0)]
    debug_port: u16,
    /// Makes the flash file if it is not there, and ends.
    #[arg(long)]
    provision: bool,
    /// Ends when standard input ends, so that no board outlives its bench.
    #[arg(long)]
    parent_pipe: bool,
    /// Holds the button from the start.
    #[arg(long)]
    button: bool,
    /// Holds the reset line from the start.
    #[arg(long)]
    nrst: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.01..=1000.0).contains(&speed) { Ok(speed) } else { Err("must be 0.01 to 1000".to_owned()) }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("proofbench-board: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let image = std::fs::read(&args.image).map_err(|e| format!("{}: {e}", args.image.display()))?;
    let setup = Setup::new(args.unit, args.seed, &image).with_defects(Defects::parse(&args.defect)?);
    std::fs::create_dir_all(&args.dir).map_err(|e| format!("{}: {e}", args.dir.display()))?;
    if args.provision {
        Board::provision(&args.dir, &setup)?;
        return Ok(());
    }
    let bench = Bench {
        dir: args.dir.clone(),
        speed: args.speed,
        debug_port: args.debug_port,
        parent_pipe: args.parent_pipe,
        button: args.button,
        nrst: args.nrst,
    };
    let (board, ready) = Board::new(&bench, &setup)?;
    announce(&args.dir, &ready)?;
    Ok(board.run()?)
}

/// One line for who started us, and the same in a file for everybody else.
fn announce(dir: &std::path::Path, ready: &Ready) -> Result<(), Box<dyn Error>> {
    let text = serde_json::to_string(ready)?;
    let fresh = dir.join("board.json.new");
    std::fs::write(&fresh, &text)?;
    std::fs::rename(&fresh, dir.join("board.json"))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}
