//! A machine of QEMU with real firmware in it: started by the rig, killed as its power cut, reset by QMP, with its serial lines at doors that outlive it
//! and its flash and disks in files of its own.
//!
//! Run against: Debian's QEMU 7.2.22 (`qemu-system-arm`: `mps2-an385` with own firmware, `virt` with Debian's U-Boot). TCG only. Killing the process is the
//! power cut for the processor and its RAM; what the guest had handed to its flash or disk before that moment stays, because the kernel keeps it.

mod crash;
mod disk;
mod parts;
mod process;
mod qmp;

use crate::TimeBase;
use crate::line::{Door, LineAddress};
pub use crash::CrashSetup;
use crash::QemuCrash;
pub use disk::Disk;
use parts::{QemuPower, QemuReset};
use process::Process;
use proofbench_channel::{ChannelError, CrashSpace, ErrorKind, Power, Reset};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// How to run QEMU.
#[derive(Debug, Clone)]
pub struct QemuSetup {
    /// The program: a name that is looked for in `PATH`, or a path.
    pub program: String,
    /// Its arguments: the machine, its memory, what hangs on its lines. `{qemu}` is the machine's folder, `{qemu.NAME}` a
    /// port of [`QemuSetup::ports`] or a value of [`QemuSetup::values`], `{qemu.random}` eight hexadecimal digits, others at each power-on.
    /// The driver adds chardevs, QMP, `-S`, and no display or monitor.
    pub arguments: Vec<String>,
    /// Folder in which it runs: what relative names in the arguments and of disks are relative to.
    pub base: PathBuf,
    /// Names of chardevs, one for each serial line that the bench has: the arguments use them as `-serial chardev:NAME`.
    pub lines: Vec<String>,
    /// Flashes and disks.
    pub disks: Vec<Disk>,
    /// Names of TCP ports of 127.0.0.1 that are kept free for the machine, for forwards of user-mode networking.
    pub ports: Vec<String>,
    /// Numbers by name: what the guest is told at each power-on, as `{qemu.NAME}` in the arguments.
    pub values: BTreeMap<String, u64>,
    /// Which command makes the files that the machine needs; told when one is missing.
    pub made_by: Option<String>,
}

/// A machine that can be switched on. Nothing runs until [`Power::set`]; clones share the process, and the last one to go kills it and removes its folder.
#[derive(Debug, Clone)]
pub struct Qemu {
    dir: PathBuf,
    time: TimeBase,
    doors: BTreeMap<String, Door>,
    ports: BTreeMap<String, u16>,
    process: Rc<RefCell<Process>>,
    /// Keeps the forwarded ports ours.
    _reserved: Rc<Vec<OwnedFd>>,
}

impl Qemu {
    /// Finds QEMU, makes a folder with the machine's flashes and disks as they left the factory, and opens its doors. Does not switch it on.
    pub fn prepare(setup: &QemuSetup) -> Result<Self, ChannelError> {
        let failed = |doing: &str, e: std::io::Error| ChannelError::caused(ErrorKind::Driver, doing, e);
        let program = find_program(&setup.program)?;
        let scratch = tempfile::Builder::new().prefix("qemu-").tempdir().map_err(|e| failed("make a folder for the machine", e))?;
        let dir = scratch.path().to_path_buf();
        for disk in &setup.disks {
            disk.make(&setup.base, &dir, setup.made_by.as_deref())?;
        }
        let mut doors = BTreeMap::new();
        for name in &setup.lines {
            doors.insert(name.clone(), Door::new(&format!("{name} of QEMU"), &dir.join(format!("{name}.sock")))?);
        }
        let (mut ports, mut reserved) = (BTreeMap::new(), Vec::new());
        for name in &setup.ports {
            let (socket, port) = reserve().map_err(|e| failed("find a free TCP port", e))?;
            ports.insert(name.clone(), port);
            reserved.push(socket);
        }
        let monitor = Door::new("QMP", &dir.join("qmp.sock"))?;
        let time = TimeBase::real();
        let arguments = arguments(setup, &dir, &doors, &ports, &monitor);
        let process = Process::new(program, (arguments, setup.values.clone()), setup.base.clone(), monitor, time, scratch);
        Ok(Self { dir, time, doors, ports, process: Rc::new(RefCell::new(process)), _reserved: Rc::new(reserved) })
    }

    /// The machine's folder: its flashes and disks lie in it by their names (`{qemu}` of a rig file).
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The time line that all drivers of this rig share: real time.
    pub fn time(&self) -> TimeBase {
        self.time
    }

    /// A serial line by its name, over all power cycles.
    pub fn line(&self, name: &str) -> Option<LineAddress> {
        self.doors.get(name).cloned().map(LineAddress::Door)
    }

    /// `text` with the machine's folder and ports in the place of `{qemu}` and `{qemu.NAME}`.
    pub fn fill(&self, text: &str) -> String {
        fill(text, &self.dir, &self.ports)
    }

    /// Whether the process runs.
    pub fn powered(&self) -> bool {
        self.process.borrow_mut().alive()
    }

    /// Its supply.
    pub fn power(&self) -> Box<dyn Power> {
        Box::new(QemuPower(Rc::clone(&self.process)))
    }

    /// Its crash states, where its flash keeps a log. The setup's file is relative to the machine's folder.
    pub fn crash(&self, setup: &CrashSetup) -> Result<Box<dyn CrashSpace>, ChannelError> {
        let setup = CrashSetup { file: self.dir.join(&setup.file), ..setup.clone() };
        Ok(Box::new(QemuCrash::new(&setup, Rc::clone(&self.process))?))
    }

    /// Its reset line.
    pub fn reset(&self) -> Box<dyn Reset> {
        Box::new(QemuReset(Rc::clone(&self.process)))
    }
}

fn fill(text: &str, dir: &Path, ports: &BTreeMap<String, u16>) -> String {
    let mut text = text.replace("{qemu}", &dir.display().to_string());
    for (name, port) in ports {
        text = text.replace(&format!("{{qemu.{name}}}"), &port.to_string());
    }
    text
}

/// The whole command line. QEMU connects to the doors while it starts, before the guest's first instruction.
fn arguments(setup: &QemuSetup, dir: &Path, doors: &BTreeMap<String, Door>, ports: &BTreeMap<String, u16>, monitor: &Door) -> Vec<String> {
    let mut all: Vec<String> = ["-display", "none", "-monitor", "none", "-S"].map(str::to_owned).to_vec();
    let chardev = |id: &str, path: &Path| ["-chardev".to_owned(), format!("socket,id={id},path={}", path.display())];
    for (name, door) in doors {
        all.extend(chardev(name, door.path()));
    }
    all.extend(chardev("proofbench-qmp", monitor.path()));
    all.extend(["-mon", "chardev=proofbench-qmp,mode=control"].map(str::to_owned));
    all.extend(setup.arguments.iter().map(|a| fill(a, dir, ports)));
    all
}

/// A TCP port that the kernel gives to nobody by itself as long as the socket lives. Nobody listens on it until QEMU does, which binds it for sharing.
fn reserve() -> std::io::Result<(OwnedFd, u16)> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    let address = SocketAddrV4::try_from(getsockname(&socket)?)?;
    Ok((socket, address.port()))
}

/// The program by name or path. One that is missing is told with the Debian package that has it.
fn find_program(program: &str) -> Result<PathBuf, ChannelError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut tried = match program.contains('/') {
        true => vec![PathBuf::from(program)],
        false => std::env::split_paths(&path).map(|folder| folder.join(program)).collect(),
    };
    tried.retain(|p| p.is_file());
    tried.into_iter().next().ok_or_else(|| {
        let doing = format!("find {program}, which is not installed here (Debian: apt-get install {})", package(program));
        ChannelError::new(ErrorKind::Driver, doing)
    })
}

/// The Debian package that has this emulator (Debian 12).
fn package(program: &str) -> &'static str {
    let name = program.rsplit('/').next().unwrap_or(program);
    match name.strip_prefix("qemu-system-").unwrap_or(name) {
        "arm" | "aarch64" => "qemu-system-arm",
        "x86_64" | "i386" => "qemu-system-x86",
        "mips" | "mipsel" | "mips64" | "mips64el" => "qemu-system-mips",
        "ppc" | "ppc64" => "qemu-system-ppc",
        "sparc" | "sparc64" => "qemu-system-sparc",
        _ => "qemu-system-misc",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test that cannot go on fails
mod tests {
    use super::*;

    fn setup(program: &str) -> QemuSetup {
        QemuSetup {
            program: program.to_owned(),
            arguments: ["-drive", "file={qemu}/env,format=raw", "-netdev", "user,id=n,hostfwd=tcp:127.0.0.1:{qemu.ssh}-:22"]
                .map(str::to_owned)
                .to_vec(),
            base: PathBuf::from("."),
            lines: vec!["console".to_owned()],
            disks: vec![],
            ports: vec!["ssh".to_owned()],
            values: BTreeMap::new(),
            made_by: None,
        }
    }

    #[test]
    fn an_emulator_that_is_not_installed_is_told_with_its_package() {
        let e = Qemu::prepare(&setup("qemu-system-riscv99")).unwrap_err().explain();
        assert_eq!(e, "find qemu-system-riscv99, which is not installed here (Debian: apt-get install qemu-system-misc): driver failed");
        let e = Qemu::prepare(&setup("/nowhere/qemu-system-aarch64")).unwrap_err().explain();
        assert!(e.contains("(Debian: apt-get install qemu-system-arm)"), "{e}");
    }

    #[test]
    fn the_folder_and_ports_are_filled_in() {
        let qemu = Qemu::prepare(&setup("/bin/true")).unwrap();
        let (dir, port) = (qemu.dir().display().to_string(), qemu.ports["ssh"]);
        assert_eq!(qemu.fill("{qemu}/env and {qemu.ssh}"), format!("{dir}/env and {port}"));
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused));
        assert!(qemu.line("console").is_some() && qemu.line("other").is_none());
        assert!(!qemu.powered());
    }

    #[test]
    fn the_folder_goes_with_the_last_handle() {
        let qemu = Qemu::prepare(&setup("/bin/true")).unwrap();
        let (dir, power) = (qemu.dir().to_path_buf(), qemu.power());
        drop(qemu);
        assert!(dir.exists());
        drop(power);
        assert!(!dir.exists());
    }
}
