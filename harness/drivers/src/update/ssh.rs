//! An update path over SSH: the update stack of a Linux board (RAUC, SWUpdate, a maker's own tool) worked by command lines on the device.
//!
//! Each request is one run of OpenSSH's client with one command line of the rig file. `install` gets the image on its standard input and ends when the
//! updater has taken or refused it; it writes the slot that does not run and need not start it. The other lines are `state`, `try`, `keep`, `erase` and
//! `restart`; `{hash}` in `try` and `keep` is the hash of the image that is meant, in hexadecimal, and nothing for the one that runs. A line that the rig
//! file does not have is `Unsupported`.
//!
//! | how the client ends | answer |
//! | --- | --- |
//! | code 0 | accepted |
//! | another code but 255 | refused; the last line of its complaint is the device's word |
//! | 255, or not at all until the deadline | silent: nobody knows what became of the request |
//! | 255 with a complaint about key or host key | an error of the bench: the device was never asked |
//!
//! `state` prints a line for each image, read by a pattern with the groups `slot`, `version`, `hash`, `active`, `confirmed`, `pending`, `permanent` and
//! `bootable`; of the last five it counts whether they took part. Lines that do not match are passed over; a state without any image is an error, so that a
//! pattern that does not fit is not an empty device.
//!
//! The client runs without the user's own configuration, without a terminal and without passwords; the key is a file. Where the rig file names no file of
//! known hosts any host key is taken: right on a lab's own wire, wrong elsewhere.
//!
//! Run against: OpenSSH 9.2's client with dropbear 2022.83 and RAUC 1.8 on the Linux-class device in QEMU; in tests with programs in the client's place.

use super::{Remarks, cannot, end_of, unhex, whole};
use crate::TimeBase;
use crate::child::{Finished, Program};
use crate::text::shown;
use proofbench_channel::{Answer, ChannelError, Chunk, ErrorKind, ImageState, Intake, Moment, SmpReply, SmpRequest, UpdatePath, Wait};
use regex::bytes::{Captures, Regex};
use std::path::PathBuf;
use std::time::Duration;

/// Most images that a state may list.
const IMAGES_MOST: usize = 16;
/// Longest that the client tries to connect.
const CONNECT_S: u32 = 10;
/// After so many seconds without a word of the device's server, asked for three times, the client ends.
const ALIVE_S: u32 = 5;

/// The command lines, each run by the shell of the device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lines {
    /// Lists the images.
    pub state: String,
    /// Takes an image on standard input.
    pub install: String,
    /// Starts an image once at the next boot.
    pub try_once: Option<String>,
    /// Keeps an image.
    pub keep: Option<String>,
    /// Empties the slot that does not run.
    pub erase: Option<String>,
    /// Restarts the device.
    pub restart: Option<String>,
}

/// A device that is reached by SSH.
#[derive(Debug, Clone)]
pub struct SshSetup {
    /// The client: `ssh`, looked for in `PATH`.
    pub client: PathBuf,
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Account.
    pub user: String,
    /// File of the private key; readable by its owner only, or the client does not use it.
    pub key: PathBuf,
    /// File of known hosts; without one any host key is taken.
    pub known_hosts: Option<PathBuf>,
    /// What to say.
    pub lines: Lines,
    /// How a line of `state` is read.
    pub image: String,
    /// Longest real time of an installation.
    pub install_within: Duration,
    /// Longest real time of any other request.
    pub within: Duration,
    /// The rig's time line.
    pub time: TimeBase,
}

/// An update path over SSH. Connects to nothing yet. `Driver` if the pattern is none or has no groups `slot` and `version`.
pub fn open(setup: SshSetup) -> Result<Box<dyn UpdatePath>, ChannelError> {
    let image = super::pattern(&setup.image)?;
    for group in ["slot", "version"] {
        if !image.capture_names().flatten().any(|name| name == group) {
            return Err(ChannelError::caused(ErrorKind::Driver, "read the pattern of images", format!("it has no group `{group}`")));
        }
    }
    let remarks = Remarks::new(setup.time);
    Ok(Box::new(SshPath { setup, image, remarks }))
}

struct SshPath {
    setup: SshSetup,
    image: Regex,
    remarks: Remarks,
}

/// Complaints of the client that are about the bench and not about the device.
const BENCH: [&str; 6] = [
    "Permission denied",
    "Host key verification failed",
    "UNPROTECTED PRIVATE KEY FILE",
    "REMOTE HOST IDENTIFICATION HAS CHANGED",
    "Could not resolve hostname",
    "Bad configuration option",
];

/// The last line that says anything.
fn last_words(finished: &Finished) -> String {
    let last = |text: &str| text.rsplit(['\n', ';']).map(str::trim).find(|l| !l.is_empty()).map(|l| shown(l.as_bytes()));
    last(&finished.stderr).or_else(|| last(&String::from_utf8_lossy(&finished.stdout))).unwrap_or_else(|| finished.status.clone())
}

impl SshPath {
    fn program(&self, deadline: Duration) -> Program {
        let s = &self.setup;
        let known = s.known_hosts.as_ref().map_or_else(|| "/dev/null".to_owned(), |p| p.display().to_string());
        let strict = if s.known_hosts.is_some() { "yes" } else { "no" };
        let mut argv = vec![s.client.display().to_string(), "-F".to_owned(), "none".to_owned(), "-T".to_owned()];
        for option in [
            "BatchMode=yes".to_owned(),
            "IdentitiesOnly=yes".to_owned(),
            "LogLevel=ERROR".to_owned(),
            format!("StrictHostKeyChecking={strict}"),
            format!("UserKnownHostsFile={known}"),
            format!("ConnectTimeout={CONNECT_S}"),
            format!("ServerAliveInterval={ALIVE_S}"),
        ] {
            argv.extend(["-o".to_owned(), option]);
        }
        let key = s.key.display().to_string();
        argv.extend(["-p".to_owned(), s.port.to_string(), "-i".to_owned(), key, "-l".to_owned(), s.user.clone(), s.host.clone()]);
        Program { argv, dir: None, deadline }
    }

    /// Runs one line on the device; what it printed if it ended well.
    fn say(&mut self, line: &str, input: &[u8], deadline: Duration, wait: &Wait) -> Result<Answer<Vec<u8>>, ChannelError> {
        let doing = || format!("run `{}` on {}", shown(line.as_bytes()), self.setup.host);
        let finished = match self.program(deadline).run(&[line], input, self.setup.time, wait) {
            Ok(finished) => finished,
            Err(e) if e.kind == ErrorKind::Timeout => {
                self.remarks.add(format!("`{}` has not ended in its time", shown(line.as_bytes())));
                return Ok(Answer::Silent);
            }
            Err(e) => return Err(e),
        };
        if finished.success {
            return Ok(Answer::Accepted(finished.stdout));
        }
        if finished.code != Some(255) {
            return Ok(Answer::Refused(last_words(&finished)));
        }
        if BENCH.iter().any(|b| finished.stderr.contains(b)) {
            return Err(ChannelError::caused(ErrorKind::Driver, doing(), finished.stderr));
        }
        self.remarks.add(format!("`{}` was not answered: {}", shown(line.as_bytes()), last_words(&finished)));
        Ok(Answer::Silent)
    }

    fn images(&mut self, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        let (line, within) = (self.setup.lines.state.clone(), self.setup.within);
        let printed = match self.say(&line, b"", within, wait)? {
            Answer::Accepted(printed) => printed,
            Answer::Refused(words) => return Ok(Answer::Refused(words)),
            Answer::Silent => return Ok(Answer::Silent),
        };
        let wrong = |why: String| ChannelError::caused(ErrorKind::Protocol, format!("read what `{line}` prints"), why);
        let images: Result<Vec<ImageState>, String> = self.image.captures_iter(&printed).take(IMAGES_MOST).map(|c| image(&c)).collect();
        let images = images.map_err(wrong)?;
        if images.is_empty() {
            return Err(wrong(format!("the pattern `{}` finds no image in `{}`", self.setup.image, shown(printed.trim_ascii()))));
        }
        Ok(Answer::Accepted(images))
    }

    fn done(&mut self, line: Option<String>, what: &str, wait: &Wait) -> Result<Answer<()>, ChannelError> {
        let Some(line) = line else { return cannot(what, "an SSH path without a line for it") };
        let within = self.setup.within;
        Ok(yes(self.say(&line, b"", within, wait)?, ()))
    }
}

/// The same answer with another value.
fn yes<T>(answer: Answer<Vec<u8>>, value: T) -> Answer<T> {
    match answer {
        Answer::Accepted(_) => Answer::Accepted(value),
        Answer::Refused(words) => Answer::Refused(words),
        Answer::Silent => Answer::Silent,
    }
}

/// One image of a state.
fn image(c: &Captures<'_>) -> Result<ImageState, String> {
    let text = |name: &str| c.name(name).map(|m| shown(m.as_bytes())).unwrap_or_default();
    let slot = text("slot").parse().map_err(|_| format!("its slot `{}` is no number", text("slot")))?;
    let hash = unhex(&text("hash")).ok_or_else(|| format!("its hash `{}` is not hexadecimal", text("hash")))?;
    let flag = |name: &str| c.name(name).is_some();
    Ok(ImageState {
        slot,
        version: text("version"),
        hash,
        active: flag("active"),
        confirmed: flag("confirmed"),
        pending: flag("pending"),
        permanent: flag("permanent"),
        bootable: flag("bootable"),
    })
}

impl UpdatePath for SshPath {
    fn state(&mut self, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        self.images(wait)
    }

    fn chunk(&mut self, chunk: &Chunk<'_>, wait: &Wait) -> Result<Answer<u32>, ChannelError> {
        let image = whole(chunk, "SSH")?;
        let (line, within) = (self.setup.lines.install.clone(), self.setup.install_within);
        Ok(yes(self.say(&line, image, within, wait)?, end_of(image)))
    }

    fn intake(&self) -> Intake {
        Intake::Whole
    }

    fn longest(&self, _: usize) -> Duration {
        self.setup.install_within.mul_f64(self.setup.time.speed())
    }

    fn mark(&mut self, hash: Option<&[u8]>, confirm: bool, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        let hash: String = hash.unwrap_or_default().iter().map(|b| format!("{b:02x}")).collect();
        let lines = &self.setup.lines;
        let (line, what) = if confirm { (&lines.keep, "keep an image") } else { (&lines.try_once, "try an image") };
        let line = line.as_ref().map(|l| l.replace("{hash}", &hash).trim_end().to_owned());
        match self.done(line, what, wait)? {
            Answer::Accepted(()) => self.images(wait),
            Answer::Refused(words) => Ok(Answer::Refused(words)),
            Answer::Silent => Ok(Answer::Silent),
        }
    }

    fn erase(&mut self, wait: &Wait) -> Result<Answer<()>, ChannelError> {
        self.done(self.setup.lines.erase.clone(), "erase a slot", wait)
    }

    fn restart(&mut self, wait: &Wait) -> Result<Answer<()>, ChannelError> {
        self.done(self.setup.lines.restart.clone(), "restart the device", wait)
    }

    fn smp(&mut self, _: &SmpRequest, _: &Wait) -> Result<Answer<SmpReply>, ChannelError> {
        cannot("send an SMP request", "SSH")
    }

    fn remarks(&mut self) -> Vec<(Moment, String)> {
        self.remarks.take()
    }

    fn describe(&self) -> String {
        format!("update path over SSH, {}@{}:{}", self.setup.user, self.setup.host, self.setup.port)
    }
}

#[cfg(test)]
mod tests;
