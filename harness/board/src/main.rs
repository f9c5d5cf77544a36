//! `proofbench-board`: one emulated thermostat on real wires. Starting it is power on, killing it is power off; with `--switched` it stays, and has a
//! power switch of its own.

use clap::Parser;
use proofbench_board::doors::Doors;
use proofbench_board::net::setup::NetSetup;
use proofbench_board::run::{Bench, Board, Parent, Ready};
use proofbench_board::supervisor::{Supervisor, Switched};
use proofbench_emulator::{Defects, Setup};
use std::error::Error;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Runs one emulated thermostat on real wires: terminals DIR/console and DIR/update, flash in DIR/flash.bin; on 127.0.0.1 the console over RFC 2217 and raw
/// TCP, debug probes (Black Magic Probe, OpenOCD's remote_bitbang, pyOCD's remote probe), SMP over UDP and a fixture. With --net, its own network interface
/// too, at an address of its own. Prints one line of JSON with the ports when it is ready, writes it to DIR/board.json, and runs until it is killed.
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
    /// Stays while the device's power comes and goes: off at first, switched by lines (`on`, `off`, `state`, `rail`, ...) on the TCP port `switch`.
    #[arg(long, conflicts_with_all = ["provision", "supervised"])]
    switched: bool,
    /// Of a switched board: power on at first.
    #[arg(long, requires = "switched")]
    on: bool,
    /// Of a switched board: milliseconds from switching off to the brown-out level; the device runs on until then.
    #[arg(long, requires = "switched", default_value_t = 0, value_name = "MS", value_parser = clap::value_parser!(u64).range(..=600_000))]
    slow_rail: u64,
    /// The device's process of a switched board: standard input is the supervisor's socket.
    #[arg(long, hide = true)]
    supervised: bool,
    /// Holds the button from the start.
    #[arg(long)]
    button: bool,
    /// Holds the reset line from the start.
    #[arg(long)]
    nrst: bool,
    /// File of 16 bytes on which bench and board keep account of idle time that is passed over: what was, and how far it may go.
    #[arg(long, value_name = "FILE", conflicts_with = "switched")]
    clock: Option<PathBuf>,
    #[command(flatten)]
    net: NetArgs,
}

/// The device's network.
#[derive(Debug, clap::Args)]
struct NetArgs {
    /// The device's own IPv4 address, one of this machine's, such as 127.77.0.2. Without it the board has no network.
    #[arg(long, value_name = "ADDR", requires = "gateway")]
    net: Option<Ipv4Addr>,
    /// The lab's IPv4 address: the resolver is there.
    #[arg(long, value_name = "ADDR", requires = "net")]
    gateway: Option<Ipv4Addr>,
    /// Added to every port below 1024, the device's own and those that it calls, for users who may not open them.
    #[arg(long, value_name = "N", requires = "net", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=64_000))]
    low_ports: u16,
    /// PEM file with the CA that stands for the maker's. If it is not there, nobody is trusted.
    #[arg(long, value_name = "FILE", requires = "net")]
    trust: Option<PathBuf>,
    /// The cable is in from the start.
    #[arg(long, requires = "net")]
    link_up: bool,
}

impl NetArgs {
    fn setup(&self) -> Option<NetSetup> {
        let (address, gateway) = (self.net?, self.gateway?);
        Some(NetSetup { address, gateway, low_ports: self.low_ports, trust: self.trust.clone(), link_up: self.link_up })
    }
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
    if args.switched {
        return supervise(args, &setup);
    }
    let bench =
        Bench { dir: args.dir.clone(), speed: args.speed, button: args.button, nrst: args.nrst, net: args.net.setup(), clock: args.clock.clone() };
    if args.supervised {
        let mut link = UnixStream::from(rustix::io::dup(rustix::stdio::stdin())?);
        let doors = Doors::take_over(&link)?;
        let (board, _) = Board::new(&bench, &setup, doors, Parent::Supervisor(link.try_clone()?))?;
        link.write_all(b"{}\n")?;
        link.set_nonblocking(true)?;
        return Ok(board.run()?);
    }
    let parent = if args.parent_pipe { Parent::Pipe } else { Parent::Nobody };
    let (board, ready) = Board::new(&bench, &setup, Doors::bind(args.debug_port)?, parent)?;
    announce(&args.dir, &ready)?;
    Ok(board.run()?)
}

fn supervise(args: &Args, setup: &Setup) -> Result<(), Box<dyn Error>> {
    // A setup that is wrong is told now, and not at the first power-on.
    Board::provision(&args.dir, setup)?;
    let mut arguments = Vec::new();
    let mut say = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    say("--dir", args.dir.display().to_string());
    say("--unit", args.unit.to_string());
    say("--seed", args.seed.to_string());
    say("--speed", args.speed.to_string());
    say("--image", args.image.display().to_string());
    for defect in &args.defect {
        say("--defect", defect.clone());
    }
    if let Some(net) = args.net.setup() {
        say("--net", net.address.to_string());
        say("--gateway", net.gateway.to_string());
        say("--low-ports", net.low_ports.to_string());
        if let Some(trust) = net.trust {
            say("--trust", trust.display().to_string());
        }
    }
    arguments.extend([("--button", args.button), ("--nrst", args.nrst)].into_iter().filter(|(_, held)| *held).map(|(name, _)| name.to_owned()));
    let switched = Switched {
        dir: args.dir.clone(),
        arguments,
        debug_port: args.debug_port,
        parent_pipe: args.parent_pipe,
        slow_rail: Duration::from_millis(args.slow_rail),
        link: args.net.net.map(|_| args.net.link_up),
    };
    let (mut supervisor, ready) = Supervisor::new(switched)?;
    if args.on {
        supervisor.switch_on()?;
    }
    announce(&args.dir, &ready)?;
    Ok(supervisor.run()?)
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
