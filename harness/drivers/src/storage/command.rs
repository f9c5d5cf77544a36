//! A flash reader or SD mux worked by the user's own programs.
//!
//! `read` fills a file with the medium's bytes, `write` puts the bytes of a file onto the medium; both name that file by the placeholder `{file}`:
//!
//! - `["flashrom", "-p", "ch341a_spi", "-r", "{file}"]`: without more placeholders every access is the whole medium, and a write of a few bytes is
//!   a read, a change and a write of all of it;
//! - `["dd", "if=/dev/disk/by-id/usb-sdmux", "of={file}", "iflag=skip_bytes,count_bytes,fullblock", "skip={offset}", "count={length}"]`: with
//!   `{offset}` (and `{length}`, for `read` a must) only the bytes that are asked for.
//!
//! `attach` runs before each access (the medium goes to the host, the device loses it), `detach` after it, also when the access failed or was
//! cancelled: a medium that is left with the host is a device that does not boot. `detach` has its own deadline and cannot be cancelled.
//! A read that does not fill the file exactly is an error; one that goes on past the end is killed. Nothing is kept between two accesses.
//!
//! Run against: programs made by the tests over a file, among them ones that fail, hang, stop early and flood. Not run against `flashrom`, an SD mux
//! or any flash chip.

use crate::TimeBase;
use crate::child::Program;
use crate::text::shown;
use proofbench_channel::{Cancel, ChannelError, ErrorKind, Storage, Wait};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The programs and the medium.
pub struct CommandSetup {
    /// Bytes of the medium.
    pub length: u64,
    /// Fills `{file}`.
    pub read: Program,
    /// Writes from `{file}`.
    pub write: Program,
    /// Run before each access.
    pub attach: Option<Program>,
    /// Run after each access.
    pub detach: Option<Program>,
    /// Whether the device has power now: then every access is `Refused`.
    pub powered: Box<dyn Fn() -> bool>,
    /// The rig's time line.
    pub time: TimeBase,
}

/// How often the size of a file that is being filled is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// A reader behind these programs. Nothing is run here. An error if an argument vector is empty or its placeholders make no sense.
pub fn open(setup: CommandSetup) -> Result<Box<dyn Storage>, ChannelError> {
    let wrong =
        |key: &str, why: &str| Err(ChannelError::caused(ErrorKind::Driver, format!("open a flash reader by command: `{key}`"), why.to_owned()));
    for (key, program) in
        [("read", Some(&setup.read)), ("write", Some(&setup.write)), ("attach", setup.attach.as_ref()), ("detach", setup.detach.as_ref())]
    {
        let Some(program) = program else { continue };
        program.named(key)?;
        let has = |what| placeholder(program, what);
        match key {
            "read" | "write" if !has(FILE) => return wrong(key, "no argument holds `{file}`"),
            "read" if has(OFFSET) != has(LENGTH) => return wrong(key, "it has one of `{offset}` and `{length}`; a part of the medium takes both"),
            "write" if has(LENGTH) && !has(OFFSET) => return wrong(key, "it has `{length}` without `{offset}`"),
            "attach" | "detach" if has(FILE) || has(OFFSET) || has(LENGTH) => return wrong(key, "it takes no placeholders"),
            _ => {}
        }
    }
    if setup.length == 0 || usize::try_from(setup.length).is_err() {
        return Err(ChannelError::caused(
            ErrorKind::Driver,
            "open a flash reader by command",
            format!("no length of a medium: {} bytes", setup.length),
        ));
    }
    Ok(Box::new(CommandStorage(setup)))
}

const FILE: &str = "{file}";
const OFFSET: &str = "{offset}";
const LENGTH: &str = "{length}";

fn placeholder(program: &Program, what: &str) -> bool {
    program.argv.iter().any(|a| a.contains(what))
}

struct CommandStorage(CommandSetup);

impl CommandStorage {
    fn allow(&self, doing: &str, offset: u64, len: usize, wait: &Wait) -> Result<(), ChannelError> {
        let doing = format!("{doing} {len} bytes at 0x{offset:x} of a medium by command");
        wait.check(self.0.time.now(), &doing)?;
        if offset.checked_add(len as u64).is_none_or(|end| end > self.0.length) {
            return Err(ChannelError::caused(ErrorKind::Refused, doing, format!("the medium has {} bytes", self.0.length)));
        }
        if (self.0.powered)() {
            return Err(ChannelError::caused(ErrorKind::Refused, doing, "the device has power"));
        }
        Ok(())
    }

    /// The access between `attach` and `detach`. The first error counts.
    fn attached<T>(&self, wait: &Wait, access: impl FnOnce() -> Result<T, ChannelError>) -> Result<T, ChannelError> {
        let time = self.0.time;
        let attached = self.0.attach.as_ref().map_or(Ok(()), |p| p.done(&[], time, wait).map(drop));
        let done = attached.and_then(|()| access());
        let detached = self.0.detach.as_ref().map_or(Ok(()), |p| {
            // Its own deadline is in the program; the wait's may be over.
            let wait = Wait::until(time.now() + p.deadline.mul_f64(time.speed()), &Cancel::new());
            p.done(&[], time, &wait).map(drop)
        });
        done.and_then(|value| detached.map(|()| value))
    }

    /// The bytes from `offset`, by a program that fills a file with them or with the whole medium.
    fn fetch(&self, offset: u64, into: &mut [u8], wait: &Wait) -> Result<(), ChannelError> {
        let part = placeholder(&self.0.read, OFFSET);
        let (from, len) = if part { (offset, into.len() as u64) } else { (0, self.0.length) };
        let name = self.0.read.name();
        let failed = |e| ChannelError::caused(ErrorKind::Driver, format!("read what `{name}` fetched"), e);
        let folder = tempfile::Builder::new().prefix("proofbench-").tempdir().map_err(failed)?;
        let path = folder.path().join("medium.bin");
        let program = filled_in(&self.0.read, &path, from, len)?;
        let flooded = AtomicBool::new(false);
        let over = AtomicBool::new(false);
        let stop = Cancel::new();
        let inner = Wait { until: wait.until, cancel: stop.clone() };
        let done = std::thread::scope(|scope| {
            // A program that never stops writing must not fill the disk.
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    if std::fs::metadata(&path).is_ok_and(|m| m.len() > len) {
                        flooded.store(true, Ordering::SeqCst);
                    }
                    if flooded.load(Ordering::SeqCst) || wait.cancel.is_cancelled() {
                        stop.cancel();
                        return;
                    }
                    std::thread::park_timeout(LOOK);
                }
            });
            let done = program.done(&[], self.0.time, &inner);
            over.store(true, Ordering::SeqCst);
            done
        });
        let wrong = |got: String| ChannelError::caused(ErrorKind::Protocol, format!("run `{name}`"), format!("it filled {got} of {len} bytes"));
        if flooded.load(Ordering::SeqCst) && !wait.cancel.is_cancelled() {
            return Err(wrong("more than all".to_owned()));
        }
        done?;
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(wrong("none".to_owned())),
            Err(e) => return Err(failed(e)),
        };
        let got = file.metadata().map_err(failed)?.len();
        if got != len {
            return Err(wrong(got.to_string()));
        }
        let skip = offset - from;
        std::io::copy(&mut (&mut file).take(skip), &mut std::io::sink()).map_err(failed)?;
        file.read_exact(into).map_err(failed)
    }

    fn put(&self, offset: u64, bytes: &[u8], wait: &Wait) -> Result<(), ChannelError> {
        let name = self.0.write.name();
        let failed = |e| ChannelError::caused(ErrorKind::Driver, format!("prepare what `{name}` writes"), e);
        let folder = tempfile::Builder::new().prefix("proofbench-").tempdir().map_err(failed)?;
        let path = folder.path().join("medium.bin");
        std::fs::write(&path, bytes).map_err(failed)?;
        filled_in(&self.0.write, &path, offset, bytes.len() as u64)?.done(&[], self.0.time, wait).map(drop)
    }
}

/// The program with its placeholders filled in, once: what is filled in is not searched again.
fn filled_in(program: &Program, file: &Path, offset: u64, length: u64) -> Result<Program, ChannelError> {
    let Some(file) = file.to_str() else {
        let doing = format!("name a file for `{}`", program.name());
        return Err(ChannelError::caused(
            ErrorKind::Driver,
            doing,
            format!("the folder for temporary files is not UTF-8: {}", shown(file.as_os_str().as_encoded_bytes())),
        ));
    };
    let fill = |argument: &String| argument.replace(OFFSET, &offset.to_string()).replace(LENGTH, &length.to_string()).replace(FILE, file);
    Ok(Program { argv: program.argv.iter().map(fill).collect(), ..program.clone() })
}

impl Storage for CommandStorage {
    fn len(&self) -> u64 {
        self.0.length
    }

    fn read(&mut self, offset: u64, into: &mut [u8], wait: &Wait) -> Result<(), ChannelError> {
        self.allow("read", offset, into.len(), wait)?;
        self.attached(wait, || self.fetch(offset, into, wait))
    }

    fn write(&mut self, offset: u64, bytes: &[u8], wait: &Wait) -> Result<(), ChannelError> {
        self.allow("write", offset, bytes.len(), wait)?;
        self.attached(wait, || {
            if placeholder(&self.0.write, OFFSET) {
                return self.put(offset, bytes, wait);
            }
            let mut whole = vec![0; usize::try_from(self.0.length).unwrap_or(0)];
            self.fetch(0, &mut whole, wait)?;
            // `allow` has seen that the bytes lie within the medium.
            let from = usize::try_from(offset).unwrap_or(0);
            whole[from..from + bytes.len()].copy_from_slice(bytes);
            self.put(0, &whole, wait)
        })
    }

    fn describe(&self) -> String {
        format!("flash reader by command: {} bytes, read `{}`, write `{}`", self.0.length, self.0.read.name(), self.0.write.name())
    }
}
