//! The poll loop: real time in, wires in, flash and wires out.

use crate::clock::{DeviceClock, Leave};
use crate::console::Console;
use crate::crowd::Crowd;
use crate::device::Device;
use crate::doors::{Doors, Numbers};
use crate::fixture::Client;
use crate::flashfile::FlashFile;
use crate::net::Net;
use crate::net::setup::NetSetup;
use crate::probes::Server;
use crate::pty::Pty;
use crate::{bitbang, bmp, pyocd, smp};
use proofbench_emulator::{Setup, Uart, World};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Pause between two looks at a device that does something, and at one that has been quiet for [`QUIET`].
const BUSY_TICK: Duration = Duration::from_micros(500);
const IDLE_TICK: Duration = Duration::from_millis(10);
/// Pause while the bench waits and is behind: it catches up any moment, and the wires do not tell of it.
const CATCH_UP_TICK: Duration = Duration::from_micros(100);
const QUIET: Duration = Duration::from_millis(200);
/// How long nothing must have been heard, or said but on the console, before time is passed over: whoever listens has heard the last of it.
const SETTLED: Duration = Duration::from_millis(1);
/// Things in a row that happen without a word while time is passed over.
const SILENT_MOST: u32 = 1000;
/// Shorter than the pause between a reset and the first instruction after it.
const SLICE_NS: u64 = 900_000;
/// Most fixture connections at once.
const CLIENTS_MOST: usize = 8;

/// What the board says of itself when it is ready: one line on standard output, and `board.json`.
#[derive(Debug, Clone, Serialize)]
pub struct Ready {
    /// Process: the device's own, or its supervisor's.
    pub pid: u32,
    /// The console's terminal; of a switched board the link to it, which comes and goes with the power.
    pub console: PathBuf,
    /// The update port's terminal, likewise.
    pub update: PathBuf,
    /// The other ports.
    #[serde(flatten)]
    pub ports: Numbers,
    /// TCP port of the power switch, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch: Option<u16>,
}

/// How the board stands on its bench.
#[derive(Debug, Clone)]
pub struct Bench {
    /// Folder of its ports and its flash.
    pub dir: PathBuf,
    /// Device seconds a real second.
    pub speed: f64,
    /// Whether the button is held from the start.
    pub button: bool,
    /// Whether the reset line is held from the start.
    pub nrst: bool,
    /// Its place on its network, if it has one.
    pub net: Option<NetSetup>,
    /// Account of the time that is passed over while device and bench are idle; none is.
    pub clock: Option<PathBuf>,
}

/// Who ends the board when he ends himself.
#[derive(Debug)]
pub enum Parent {
    /// Nobody.
    Nobody,
    /// Whoever holds the other end of standard input.
    Pipe,
    /// The supervisor, who also works the supply over this connection.
    Supervisor(UnixStream),
}

/// The device and its wires.
pub struct Board {
    device: Device,
    clock: DeviceClock,
    flash: FlashFile,
    console: Console,
    update: Pty,
    doors: Doors,
    net: Option<Net>,
    bmp: Server<bmp::Session>,
    bitbang: Server<bitbang::Session>,
    pyocd: Server<pyocd::Session>,
    clients: Vec<Client<TcpStream>>,
    parent: Parent,
    supervisor: Option<Client<UnixStream>>,
    ran: bool,
    /// When something was last heard, or said on other wires than the console.
    moved: Instant,
    crowd: Crowd,
}

impl Board {
    /// Makes the folder's flash if it is not there, as the device left the factory.
    pub fn provision(dir: &Path, setup: &Setup) -> io::Result<FlashFile> {
        FlashFile::open(&dir.join("flash.bin"), World::new(setup).flash())
    }

    /// Wires the board; power comes with [`Board::run`]. Each start has its own chance, drawn from the seed and the number of starts.
    pub fn new(bench: &Bench, setup: &Setup, doors: Doors, parent: Parent) -> io::Result<(Self, Ready)> {
        let flash = Self::provision(&bench.dir, setup)?;
        let starts = count_start(&bench.dir.join("starts"))?;
        let mut setup = setup.clone();
        setup.seed ^= starts.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut world = World::new(&setup);
        world.set_flash(flash.image());
        world.keep_flash_ops(true);
        world.set_button(bench.button);
        let mut device = Device::new(world, bench.speed);
        device.set_nrst_fixture(bench.nrst);
        let net = bench.net.clone().map(Net::new).transpose().map_err(io::Error::other)?;
        if let Some(net) = &bench.net {
            device.wire_network(net.link_up);
        }
        let clock = DeviceClock::new(bench.speed, bench.clock.as_deref())?;
        let console = Console::new(Pty::new(&bench.dir.join("console"))?);
        let update = Pty::new(&bench.dir.join("update"))?;
        let ready = Ready {
            pid: std::process::id(),
            console: console.pty.node().to_path_buf(),
            update: update.node().to_path_buf(),
            ports: doors.numbers()?,
            switch: None,
        };
        let (parent, supervisor) = match parent {
            Parent::Supervisor(link) => (Parent::Nobody, Some(Client::new(link))),
            other => (other, None),
        };
        let board = Self {
            device,
            clock,
            flash,
            console,
            update,
            doors,
            net,
            bmp: Server::default(),
            bitbang: Server::default(),
            pyocd: Server::default(),
            clients: Vec::new(),
            parent,
            supervisor,
            ran: false,
            moved: Instant::now(),
            crowd: Crowd::default(),
        };
        Ok((board, ready))
    }

    /// Power on, until the process is killed or its bench is gone; then the terminals' names are taken away.
    pub fn run(mut self) -> io::Result<()> {
        let ended = self.go_on();
        self.console.pty.unlink();
        self.update.unlink();
        ended
    }

    fn go_on(&mut self) -> io::Result<()> {
        self.device.world.set_power(true);
        self.clock.begin();
        let mut last_busy = Instant::now();
        loop {
            if self.advance(self.clock.now())? {
                last_busy = Instant::now();
            }
            let leave = self.clock.leave();
            let heard = match leave {
                Some(leave) if !self.is_owed(&leave) => self.pass_over(leave)?,
                Some(_) => self.listen(CATCH_UP_TICK)?,
                None => self.listen(if last_busy.elapsed() < QUIET { BUSY_TICK } else { IDLE_TICK })?,
            };
            match heard {
                Heard::Nothing => {}
                Heard::Something => (last_busy, self.moved) = (Instant::now(), Instant::now()),
                Heard::End => return Ok(()),
            }
        }
    }

    /// Whether somebody is behind: an answer is expected, something was on the wires only just, or what went over the console has not arrived. Who reads late
    /// stamps late, and who is typed to late does late what he was to do.
    fn is_owed(&mut self, leave: &Leave) -> bool {
        let crowd = self.crowd.factor();
        let console = leave.is_level(self.console.pty.said(), self.console.pty.taken());
        !console || self.moved.elapsed() < SETTLED * crowd || self.net.as_ref().is_some_and(|net| net.owed(crowd))
    }

    /// Passes idle time over, as far as the bench lets it, until something is heard, or the device does something that is seen outside.
    fn pass_over(&mut self, mut leave: Leave) -> io::Result<Heard> {
        for _ in 0..SILENT_MOST {
            // What the bench did before it gave this leave is on the wires by now.
            let heard = self.listen(Duration::ZERO)?;
            if heard != Heard::Nothing {
                return Ok(heard);
            }
            let next = self.device.world.next_at();
            if !self.clock.skip_to(next, &leave) {
                break;
            }
            self.advance(self.clock.now())?;
            match self.clock.leave() {
                Some(further) if !self.is_owed(&further) => leave = further,
                _ => break,
            }
        }
        self.listen(CATCH_UP_TICK)
    }

    /// Lets the device catch up with real time, in slices in which no reset can hide. Says whether it did anything.
    fn advance(&mut self, until: u64) -> io::Result<bool> {
        let mut busy = false;
        loop {
            // Nothing hides before the next thing that happens.
            let nothing_before = self.device.world.next_at().unwrap_or(until);
            let next = until.min(self.device.world.now().saturating_add(SLICE_NS).max(nothing_before));
            self.device.world.advance(next);
            busy |= self.deliver()?;
            if next >= until {
                return Ok(busy);
            }
        }
    }

    /// Brings flash file and ports to the device's present. Says whether the device did anything.
    fn deliver(&mut self) -> io::Result<bool> {
        let now = self.device.world.now();
        let ops = self.device.world.take_flash_ops();
        let mut busy = !ops.is_empty();
        let mut moved = false;
        self.flash.begin(ops);
        busy |= self.flash.follow(now)?;
        self.settle_if_stopped()?;
        while let Some((_, bytes)) = self.device.world.take(Uart::Console) {
            self.console.say(&bytes)?;
            busy = true;
        }
        while let Some((_, bytes)) = self.device.world.take(Uart::Update) {
            self.update.send(&bytes)?;
            moved = true;
        }
        moved |= self.net.as_mut().is_some_and(|net| net.turn(&mut self.device.world));
        moved |= smp::deliver(&self.doors.smp_udp, self.net.as_ref().and_then(Net::smp), &mut self.device.world);
        if moved {
            self.moved = Instant::now();
        }
        Ok(busy || moved)
    }

    /// A reset or a dip may have cut an operation short; the world knows how it ended.
    fn settle_if_stopped(&mut self) -> io::Result<()> {
        let runs = self.device.world.is_running();
        if self.ran && !runs {
            self.flash.settle(self.device.world.flash())?;
        }
        self.ran = runs;
        Ok(())
    }

    /// Waits for the wires, at most one tick, and hands over what they carry.
    fn listen(&mut self, tick: Duration) -> io::Result<Heard> {
        let ready = self.poll(tick)?;
        let device = &mut self.device;
        let mut heard = false;
        if ready[PARENT] {
            if self.supervisor.as_mut().is_some_and(|s| !s.serve(device)) {
                return Ok(Heard::End);
            }
            if matches!(self.parent, Parent::Pipe) && io::stdin().read(&mut [0; 64]).map_or(true, |n| n == 0) {
                return Ok(Heard::End);
            }
            heard = true;
        }
        if ready[CONSOLE] {
            heard |= self.console.serve(device)?;
        }
        if ready[UPDATE] {
            let mut arrived = [0; 4096];
            self.update.flush()?;
            if device.takes_more(Uart::Update) {
                let n = self.update.read(&mut arrived)?;
                device.world.write(Uart::Update, &arrived[..n]);
                heard |= n > 0;
            }
        }
        if ready[PROBES] {
            heard |= self.bmp.serve(&mut device.world);
            heard |= self.bitbang.serve(&mut device.world);
            heard |= self.pyocd.serve(&mut device.world);
        }
        if ready[FIXTURE] {
            self.clients.retain_mut(|client| client.serve(device));
            heard = true;
        }
        if ready[NET] {
            heard |= self.net.as_mut().is_some_and(|net| net.serve(&mut device.world));
        }
        if ready[DOORS] {
            heard |= smp::serve(&self.doors.smp_udp, 0, &mut device.world);
            self.console.accept(&self.doors.raw, &self.doors.rfc2217);
            self.bmp.accept(&self.doors.debug, &mut device.world);
            self.bitbang.accept(&self.doors.bitbang, &mut device.world);
            self.pyocd.accept(&self.doors.pyocd, &mut device.world);
            if let Ok((stream, _)) = self.doors.fixture.accept()
                && self.clients.len() < CLIENTS_MOST
            {
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                self.clients.push(Client::new(stream));
            }
        }
        self.settle_if_stopped()?;
        Ok(if heard { Heard::Something } else { Heard::Nothing })
    }

    /// Which groups of wires want something.
    fn poll(&self, tick: Duration) -> io::Result<[bool; GROUPS]> {
        let stdin = rustix::stdio::stdin();
        let mut fds = Vec::with_capacity(32);
        let mut ends = [0; GROUPS];
        match (&self.parent, &self.supervisor) {
            (Parent::Pipe, _) => fds.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN)),
            (_, Some(supervisor)) => fds.push(PollFd::new(&supervisor.stream, PollFlags::IN)),
            _ => {}
        }
        ends[PARENT] = fds.len();
        self.console.poll_fds(self.device.takes_more(Uart::Console), &mut fds);
        ends[CONSOLE] = fds.len();
        fds.push(self.update.poll_fd(self.device.takes_more(Uart::Update)));
        ends[UPDATE] = fds.len();
        fds.extend([self.bmp.poll_fd(), self.bitbang.poll_fd(), self.pyocd.poll_fd()].into_iter().flatten());
        ends[PROBES] = fds.len();
        fds.extend(self.clients.iter().map(|c| PollFd::new(&c.stream, PollFlags::IN)));
        ends[FIXTURE] = fds.len();
        if let Some(net) = &self.net {
            net.poll_fds(&self.device.world, &mut fds);
        }
        ends[NET] = fds.len();
        fds.extend(self.doors.fds().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        ends[DOORS] = fds.len();
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(tick.subsec_nanos()) };
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        let mut from = 0;
        Ok(ends.map(|end| {
            let ready = fds[from..end].iter().any(|fd| !fd.revents().is_empty());
            from = end;
            ready
        }))
    }
}

/// Groups of wires, in the order of the poll.
const PARENT: usize = 0;
const CONSOLE: usize = 1;
const UPDATE: usize = 2;
const PROBES: usize = 3;
const FIXTURE: usize = 4;
const NET: usize = 5;
const DOORS: usize = 6;
const GROUPS: usize = 7;

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
