//! The poll loop: real time in, wires in, flash and wires out.

use crate::fixture::Client;
use crate::flashfile::FlashFile;
use crate::{bmp, pty::Pty};
use proofbench_emulator::{Setup, Uart, World};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Pause between two looks at a device that does something, and at one that has been quiet for [`QUIET`].
const BUSY_TICK: Duration = Duration::from_micros(500);
const IDLE_TICK: Duration = Duration::from_millis(10);
const QUIET: Duration = Duration::from_millis(200);
/// Shorter than the pause between a reset and the first instruction after it.
const SLICE_NS: u64 = 900_000;
/// Most fixture connections at once.
const CLIENTS_MOST: usize = 8;

/// What the board says of itself when it is ready: one line on standard output, and `board.json`.
#[derive(Debug, Clone, Serialize)]
pub struct Ready {
    /// Process.
    pub pid: u32,
    /// TCP port of the debug probe on 127.0.0.1.
    pub debug: u16,
    /// TCP port of the fixture on 127.0.0.1.
    pub fixture: u16,
    /// The console's terminal.
    pub console: PathBuf,
    /// The update port's terminal.
    pub update: PathBuf,
}

/// How the board stands on its bench.
#[derive(Debug, Clone)]
pub struct Bench {
    /// Folder of its ports and its flash.
    pub dir: PathBuf,
    /// Device seconds a real second.
    pub speed: f64,
    /// TCP port of the probe; 0 picks one.
    pub debug_port: u16,
    /// Whether the end of standard input ends the board: the bench that started it is gone.
    pub parent_pipe: bool,
    /// Whether the button is held from the start.
    pub button: bool,
    /// Whether the reset line is held from the start.
    pub nrst: bool,
}

/// The device and its wires.
pub struct Board {
    world: World,
    flash: FlashFile,
    ports: [(Uart, Pty); 2],
    debug: TcpListener,
    host: Option<(TcpStream, bmp::Session)>,
    fixture: TcpListener,
    clients: Vec<Client>,
    parent_pipe: bool,
    speed: f64,
    ran: bool,
}

impl Board {
    /// Makes the folder's flash if it is not there, as the device left the factory.
    pub fn provision(dir: &Path, setup: &Setup) -> io::Result<FlashFile> {
        FlashFile::open(&dir.join("flash.bin"), World::new(setup).flash())
    }

    /// Wires the board; power comes with [`Board::run`]. Each start has its own chance, drawn from the seed and the number of starts.
    pub fn new(bench: &Bench, setup: &Setup) -> io::Result<(Self, Ready)> {
        let flash = Self::provision(&bench.dir, setup)?;
        let starts = count_start(&bench.dir.join("starts"))?;
        let mut setup = setup.clone();
        setup.seed ^= starts.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut world = World::new(&setup);
        world.set_flash(flash.image());
        world.keep_flash_ops(true);
        world.set_button(bench.button);
        world.set_nrst(bench.nrst);
        let ports = [(Uart::Console, Pty::new(&bench.dir.join("console"))?), (Uart::Update, Pty::new(&bench.dir.join("update"))?)];
        let debug = TcpListener::bind((Ipv4Addr::LOCALHOST, bench.debug_port))?;
        debug.set_nonblocking(true)?;
        let fixture = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        fixture.set_nonblocking(true)?;
        let ready = Ready {
            pid: std::process::id(),
            debug: debug.local_addr()?.port(),
            fixture: fixture.local_addr()?.port(),
            console: ports[0].1.node().to_path_buf(),
            update: ports[1].1.node().to_path_buf(),
        };
        let (clients, parent_pipe, speed) = (Vec::new(), bench.parent_pipe, bench.speed);
        Ok((Self { world, flash, ports, debug, host: None, fixture, clients, parent_pipe, speed, ran: false }, ready))
    }

    /// Power on, until the process is killed or its bench is gone.
    pub fn run(mut self) -> io::Result<()> {
        self.world.set_power(true);
        let start = Instant::now();
        let mut last_busy = start;
        loop {
            let now = Duration::try_from_secs_f64(start.elapsed().as_secs_f64() * self.speed).unwrap_or(Duration::MAX);
            if self.advance(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))? {
                last_busy = Instant::now();
            }
            let tick = if last_busy.elapsed() < QUIET { BUSY_TICK } else { IDLE_TICK };
            match self.listen(tick)? {
                Heard::Nothing => {}
                Heard::Something => last_busy = Instant::now(),
                Heard::End => return Ok(()),
            }
        }
    }

    /// Lets the device catch up with real time, in slices in which no reset can hide. Says whether it did anything.
    fn advance(&mut self, until: u64) -> io::Result<bool> {
        let mut busy = false;
        loop {
            let next = until.min(self.world.now().saturating_add(SLICE_NS));
            self.world.advance(next);
            busy |= self.deliver()?;
            if next >= until {
                return Ok(busy);
            }
        }
    }

    /// Brings flash file and ports to the device's present. Says whether the device did anything.
    fn deliver(&mut self) -> io::Result<bool> {
        let now = self.world.now();
        let ops = self.world.take_flash_ops();
        let mut busy = !ops.is_empty();
        self.flash.begin(ops);
        busy |= self.flash.follow(now)?;
        self.settle_if_stopped()?;
        for (uart, pty) in &mut self.ports {
            while let Some((_, bytes)) = self.world.take(*uart) {
                pty.send(&bytes)?;
                busy = true;
            }
        }
        Ok(busy)
    }

    /// A reset or a dip may have cut an operation short; the world knows how it ended.
    fn settle_if_stopped(&mut self) -> io::Result<()> {
        let runs = self.world.is_running();
        if self.ran && !runs {
            self.flash.settle(self.world.flash())?;
        }
        self.ran = runs;
        Ok(())
    }

    /// Waits for the wires, at most one tick, and hands over what they carry.
    fn listen(&mut self, tick: Duration) -> io::Result<Heard> {
        let ready = self.poll(tick)?;
        let mut heard = Heard::Nothing;
        if ready.parent && std::io::stdin().read(&mut [0; 64]).map_or(true, |n| n == 0) {
            return Ok(Heard::End);
        }
        let mut arrived = [0; 4096];
        for (uart, pty) in &mut self.ports {
            pty.flush()?;
            let n = pty.read(&mut arrived)?;
            if n > 0 {
                self.world.write(*uart, &arrived[..n]);
                heard = Heard::Something;
            }
        }
        if self.serve_debug(&mut arrived) {
            heard = Heard::Something;
        }
        while let Ok((stream, _)) = self.fixture.accept() {
            if self.clients.len() < CLIENTS_MOST {
                self.clients.push(Client::new(stream)?);
            }
        }
        if ready.clients {
            let world = &mut self.world;
            self.clients.retain_mut(|client| client.serve(world));
            heard = Heard::Something;
        }
        self.settle_if_stopped()?;
        Ok(heard)
    }

    /// One host at a time has the probe. A new one takes over from one that has left without a word.
    fn serve_debug(&mut self, arrived: &mut [u8]) -> bool {
        while let Ok((stream, _)) = self.debug.accept() {
            if stream.set_nonblocking(true).is_ok() && stream.set_nodelay(true).is_ok() {
                self.host = Some((stream, bmp::Session::default()));
            }
        }
        let Some((stream, session)) = &mut self.host else { return false };
        match stream.read(arrived) {
            Ok(0) => self.host = None,
            Ok(n) => {
                let mut answers = String::new();
                session.feed(&arrived[..n], &mut self.world, &mut answers);
                if stream.write_all(answers.as_bytes()).is_err() {
                    self.host = None;
                }
                return true;
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.host = None,
        }
        false
    }

    fn poll(&self, tick: Duration) -> io::Result<Readiness> {
        let stdin = rustix::stdio::stdin();
        let mut fds = Vec::with_capacity(6 + self.clients.len());
        for (_, pty) in &self.ports {
            let flags = if pty.is_behind() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            fds.push(PollFd::from_borrowed_fd(pty.fd(), flags));
        }
        fds.push(PollFd::new(&self.debug, PollFlags::IN));
        fds.push(PollFd::new(&self.fixture, PollFlags::IN));
        if let Some((stream, _)) = &self.host {
            fds.push(PollFd::new(stream, PollFlags::IN));
        }
        let clients = fds.len();
        fds.extend(self.clients.iter().map(|c| PollFd::new(&c.stream, PollFlags::IN)));
        let parent = fds.len();
        if self.parent_pipe {
            fds.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN));
        }
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(tick.subsec_nanos()) };
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        let ready = |range: &[PollFd<'_>]| range.iter().any(|f| !f.revents().is_empty());
        Ok(Readiness { clients: ready(&fds[clients..parent]), parent: ready(&fds[parent..]) })
    }
}

struct Readiness {
    clients: bool,
    parent: bool,
}

#[derive(PartialEq)]
enum Heard {
    Nothing,
    Something,
    End,
}

/// Counts this start in a file beside the flash: it is the bench's memory and not the device's.
fn count_start(path: &Path) -> io::Result<u64> {
    let before = std::fs::read_to_string(path).ok().and_then(|t| t.trim().parse().ok()).unwrap_or(0u64);
    let starts = before.wrapping_add(1);
    let mut file = std::fs::File::create(path)?;
    writeln!(file, "{starts}")?;
    Ok(starts)
}
