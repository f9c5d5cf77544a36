//! The emulated device as a process of its own (`proofbench-board`): killing it is the power cut.
//!
//! Run against: the board process, which is what it is for. It drives no hardware.

mod fixture;
mod network;
mod process;

use crate::line::{self, LineAddress, LineSettings, LineSetup};
use crate::{Channels, RealClock, TimeBase, file, smp};
use fixture::{BoardFixture, BoardReset};
pub use network::Segment;
use process::{BoardPower, Process};
use proofbench_channel::{ChannelError, ErrorKind, Fixture, Power, Reset};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};
use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// How to run the board process.
#[derive(Debug, Clone)]
pub struct BoardSetup {
    /// Folder for its ports and its flash; `None` makes a temporary one, removed when the last channel is dropped.
    pub dir: Option<PathBuf>,
    /// The program; `None` looks at `PROOFBENCH_BOARD`, then beside the running executable and in the folder above.
    pub program: Option<PathBuf>,
    /// Unit number.
    pub unit: u32,
    /// Chance.
    pub seed: u64,
    /// Device seconds a real second.
    pub speed: f64,
    /// Delivered image, a file.
    pub image: PathBuf,
    /// Names of built-in defects and twins.
    pub defects: Vec<String>,
    /// Whether it has a network.
    pub network: bool,
}

/// A board that can be switched on. Nothing runs until [`Power::set`]; clones share the process, and the last one to go kills it.
#[derive(Debug, Clone)]
pub struct Board {
    dir: PathBuf,
    time: TimeBase,
    debug_port: u16,
    segment: Option<Segment>,
    process: Rc<RefCell<Process>>,
    /// Keeps the probe's port ours while there is no device to listen on it.
    _reserved: Rc<OwnedFd>,
}

impl Board {
    /// Prepares the folder with a flash as it left the factory, unless it has one. Does not switch the board on.
    pub fn prepare(setup: &BoardSetup) -> Result<Self, ChannelError> {
        let failed = |doing: &str, e: std::io::Error| ChannelError::caused(ErrorKind::Driver, doing, e);
        let program = find_program(setup.program.as_deref())?;
        let (dir, scratch) = match &setup.dir {
            Some(dir) => (dir.clone(), None),
            None => {
                let scratch = tempfile::Builder::new().prefix("proofbench-").tempdir().map_err(|e| failed("make a folder for the board", e))?;
                (scratch.path().to_path_buf(), Some(scratch))
            }
        };
        let (reserved, debug_port) = reserve().map_err(|e| failed("find a free TCP port", e))?;
        std::fs::create_dir_all(&dir).map_err(|e| failed("make the board's folder", e))?;
        let account = dir.join("clock");
        let time = TimeBase::skipping(setup.speed, &account).map_err(|e| failed("make the account of the board's clock", e))?;
        let segment = setup.network.then(|| Segment::new(debug_port, &dir));
        let process = Process::new(program, &dir, debug_port, setup, (time, &account), segment.as_ref(), scratch);
        process.provision()?;
        Ok(Self { dir, time, debug_port, segment, process: Rc::new(RefCell::new(process)), _reserved: Rc::new(reserved) })
    }

    /// The folder: `console`, `update`, `flash.bin` lie in it (`{board}` of a rig file).
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// TCP port of its debug probe on 127.0.0.1, the same over power cycles (`{board.debug}` of a rig file).
    pub fn debug_port(&self) -> u16 {
        self.debug_port
    }

    /// The time line that all drivers of this rig share: device time.
    pub fn time(&self) -> TimeBase {
        self.time
    }

    /// Its place on its network, if it has one.
    pub fn segment(&self) -> Option<&Segment> {
        self.segment.as_ref()
    }

    /// Plugs its network cable in or pulls it; it stays so over power cycles.
    pub fn set_cable(&self, up: bool) -> Result<(), ChannelError> {
        network::pull(&self.process, up)
    }

    /// Whether the process runs.
    pub fn powered(&self) -> bool {
        self.process.borrow_mut().alive()
    }

    /// Its supply.
    pub fn power(&self) -> Result<Box<dyn Power>, ChannelError> {
        Ok(Box::new(BoardPower::new(Rc::clone(&self.process))))
    }

    /// Its reset line.
    pub fn reset(&self) -> Result<Box<dyn Reset>, ChannelError> {
        Ok(Box::new(BoardReset(Rc::clone(&self.process))))
    }

    /// Its button and LED.
    pub fn fixture(&self) -> Result<Box<dyn Fixture>, ChannelError> {
        Ok(Box::new(BoardFixture(Rc::clone(&self.process))))
    }

    /// Every channel of the board with the drivers that `rigs/board.toml` names, but for the debug port, which the worker serves.
    pub fn channels(&self) -> Result<Channels, ChannelError> {
        let port = |name: &str, baud| LineSetup::new(LineAddress::Path(self.dir.join(name)), LineSettings::baud(baud), self.time);
        let board = self.clone();
        let mut all = Channels::new(Box::new(RealClock(self.time)));
        all.console = Some(line::open(&port("console", 115_200).as_console())?);
        all.power = Some(self.power()?);
        all.reset = Some(self.reset()?);
        all.fixture = Some(self.fixture()?);
        all.storage = Some(file::open(&self.dir.join("flash.bin"), Box::new(move || board.powered()))?);
        all.update = Some(smp::open_serial(&port("update", 1_000_000))?);
        Ok(all)
    }
}

/// A TCP port that nobody else is given as long as the socket lives. Nobody listens on it, so callers are refused; the board, which binds it for sharing
/// as well, listens at each power-on, so that the probe's address outlives power cycles.
fn reserve() -> std::io::Result<(OwnedFd, u16)> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    let address = SocketAddrV4::try_from(getsockname(&socket)?)?;
    Ok((socket, address.port()))
}

/// The program, where the setup, the environment or the neighbourhood of this executable say it is.
fn find_program(given: Option<&Path>) -> Result<PathBuf, ChannelError> {
    const NAME: &str = "proofbench-board";
    let mut tried = Vec::new();
    if let Some(given) = given {
        tried.push(given.to_path_buf());
    } else if let Some(named) = std::env::var_os("PROOFBENCH_BOARD") {
        tried.push(PathBuf::from(named));
    } else if let Ok(own) = std::env::current_exe() {
        tried.extend(own.ancestors().skip(1).take(2).map(|folder| folder.join(NAME)));
    }
    if let Some(found) = tried.iter().find(|p| p.is_file()) {
        return Ok(found.clone());
    }
    let places: Vec<String> = tried.iter().map(|p| p.display().to_string()).collect();
    let doing = format!("find {NAME} (looked for {}; `cargo build -p {NAME}` makes it, PROOFBENCH_BOARD names it)", places.join(", "));
    Err(ChannelError::new(ErrorKind::Driver, doing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_port_refuses_callers_and_is_given_to_nobody_who_does_not_share() {
        let (_socket, port) = reserve().unwrap();
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused));
        assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_err_and(|e| e.kind() == std::io::ErrorKind::AddrInUse));
    }

    #[test]
    fn a_program_that_is_not_there_is_named_with_what_helps() {
        let error = find_program(Some(Path::new("/nowhere/proofbench-board"))).unwrap_err().to_string();
        assert!(error.contains("/nowhere/proofbench-board") && error.contains("cargo build -p proofbench-board"), "{error}");
    }
}
