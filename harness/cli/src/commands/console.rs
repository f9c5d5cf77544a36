//! `console`: the device's console by hand, as a terminal or as a pipe.
//!
//! A terminal passes everything on as it is, in both directions; Ctrl-] ends it. A pipe sends its lines one by one, each when the device has come to rest
//! after the one before, with the line's end as the key Enter sends it. What the device sends reaches the terminal unchanged: a device that is not
//! trusted is better looked at through a pipe into a file.

mod paper;
mod terminal;

use crate::args::ConsoleArgs;
use crate::commands::by_hand::Hand;
use crate::exit::Exit;
use anyhow::{Context, Result, anyhow};
use paper::Paper;
use proofbench_channel::{ConsoleRead, ErrorKind, Moment};
use proofbench_rig::Capability;
use proofbench_runner::Trouble;
use std::io::{IsTerminal, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::Duration;
use terminal::Raw;

/// The key that ends a terminal: Ctrl-].
const END: u8 = 0x1d;
/// A terminal looks at its keyboard as often as this.
const TURN: Duration = Duration::from_millis(20);
/// A pipe's next line is sent when the device has said nothing for so long, or has not come to rest for [`RESTLESS`].
const REST: Duration = Duration::from_millis(150);
const RESTLESS: Duration = Duration::from_secs(3);
/// A pipe whose input has ended ends when the device has said nothing for so long.
const QUIET: Duration = Duration::from_millis(500);
/// How long a write may take.
const WRITE: Duration = Duration::from_secs(5);

/// The whole of it.
pub fn console(args: &ConsoleArgs) -> Result<Exit> {
    let log = match &args.log {
        Some(path) => Some(std::fs::File::create(path).with_context(|| format!("create {}", path.display()))?),
        None => None,
    };
    // A device of the rig's own has no power unless this command gives it some.
    let mut hand = Hand::take(args.rig.as_deref(), Capability::Console, &[Capability::Power], "proofbench console")?;
    let mut paper = Paper::new(std::io::stdout(), log, args.stamp);
    let result = talk(&mut hand, args, &mut paper);
    if hand.own_device {
        hand.bench.make_safe();
    }
    hand.leave_as_found()?;
    paper.finish().context("write down what the device said")?;
    match result {
        Ok(()) => Ok(Exit::Good),
        Err(t) if t.is_cancelled() => Ok(Exit::Good),
        Err(t) => Err(anyhow!(t.explain())),
    }
}

fn talk(hand: &mut Hand, args: &ConsoleArgs, paper: &mut Paper) -> Result<(), Trouble> {
    let what = hand.bench.console()?.describe();
    let terminal = std::io::stdin().is_terminal();
    let ends = if terminal { "; Ctrl-] ends" } else { "" };
    eprintln!("proofbench: {}: {what}{ends}", hand.name);
    if hand.own_device && hand.bench.has(Capability::Power) {
        eprintln!("proofbench: the device of this rig lives only as long as this command: its supply is switched on");
        // Straight at the switch: what the device says from its first byte on is for the person, not for the boot watch.
        let wait = hand.bench.wait(WRITE);
        hand.bench.power()?.set(proofbench_channel::PowerAsk::On, &wait)?;
    }
    let begun = hand.bench.now();
    let mut talk = Talk { hand, paper, begun, until: args.until.map(|d| begun + d), scratch: Vec::new() };
    if terminal { talk.terminal() } else { talk.pipe() }
}

/// What came from the keyboard or the pipe.
enum Typed {
    Bytes(Vec<u8>),
    End,
}

fn typed() -> Receiver<Typed> {
    let (tell, told) = channel();
    // Reading standard input knows no deadline; the thread ends with the input, or with the process.
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut part = [0; 1024];
        loop {
            let typed = match stdin.read(&mut part) {
                Ok(0) | Err(_) => Typed::End,
                Ok(n) => Typed::Bytes(part[..n].to_vec()),
            };
            let end = matches!(typed, Typed::End);
            if tell.send(typed).is_err() || end {
                return;
            }
        }
    });
    told
}

struct Talk<'a> {
    hand: &'a mut Hand,
    paper: &'a mut Paper,
    begun: Moment,
    until: Option<Moment>,
    scratch: Vec<u8>,
}

impl Talk<'_> {
    /// Reads for at most this long; says whether bytes came.
    fn read(&mut self, time: Duration) -> Result<bool, Trouble> {
        let wait = self.hand.bench.wait(time);
        self.scratch.clear();
        let read = self.hand.bench.console()?.read(&mut self.scratch, &wait)?;
        match read {
            ConsoleRead::Bytes(at) => {
                self.paper.write(at.since(self.begun), &self.scratch);
                Ok(true)
            }
            ConsoleRead::Silence => Ok(false),
            ConsoleRead::Gone => {
                eprintln!("proofbench: the port went away; waiting for it to come back");
                Ok(false)
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        if bytes.is_empty() {
            return Ok(());
        }
        let wait = self.hand.bench.wait(WRITE);
        match self.hand.bench.console()?.write(bytes, &wait) {
            // What is typed at a port that is not there is lost, as with any terminal; the port may come back.
            Err(e) if e.kind == ErrorKind::Disconnected => {
                eprintln!("proofbench: {e}");
                Ok(())
            }
            done => Ok(done?),
        }
    }

    fn over(&self) -> bool {
        self.until.is_some_and(|until| self.hand.bench.now() >= until) || self.paper.closed()
    }

    fn terminal(&mut self) -> Result<(), Trouble> {
        let keys = typed();
        // Set back when this is dropped, whatever happens.
        let _raw = Raw::enter().map_err(|e| Trouble::Harness(format!("set the terminal to raw: {e}")))?;
        while !self.over() {
            match keys.try_recv() {
                Ok(Typed::Bytes(bytes)) => match bytes.iter().position(|b| *b == END) {
                    Some(end) => return self.write(&bytes[..end]),
                    None => self.write(&bytes)?,
                },
                Ok(Typed::End) | Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) => {}
            }
            if !self.read(TURN)? && self.hand.virtual_time {
                // Virtual time passes at the person's pace.
                std::thread::sleep(TURN);
            }
        }
        Ok(())
    }

    fn pipe(&mut self) -> Result<(), Trouble> {
        let input = typed();
        let (mut waiting, mut ended) = (Vec::new(), false);
        loop {
            let quiet = self.rest(if ended && waiting.is_empty() { QUIET } else { REST })?;
            if self.over() || (ended && waiting.is_empty() && self.until.is_none() && quiet) {
                return Ok(());
            }
            if let Some(line) = next_line(&mut waiting, ended) {
                self.write(&line)?;
                continue;
            }
            if ended {
                continue;
            }
            match input.recv_timeout(TURN) {
                Ok(Typed::Bytes(bytes)) => waiting.extend_from_slice(&bytes),
                Ok(Typed::End) | Err(RecvTimeoutError::Disconnected) => ended = true,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Reads until nothing came for `quiet`; says whether that was so before time was up.
    fn rest(&mut self, quiet: Duration) -> Result<bool, Trouble> {
        let most = self.hand.bench.now() + RESTLESS;
        loop {
            let left = self.until.map_or(quiet, |until| until.since(self.hand.bench.now()).min(quiet));
            if !self.read(left)? {
                return Ok(true);
            }
            if self.hand.bench.now() >= most || self.over() {
                return Ok(false);
            }
        }
    }
}

/// The next line to send, its end exchanged for what the key Enter sends. `last`: nothing follows, so a line without an end is whole.
fn next_line(waiting: &mut Vec<u8>, last: bool) -> Option<Vec<u8>> {
    match waiting.iter().position(|b| *b == b'\n') {
        Some(end) => {
            let rest = waiting.split_off(end + 1);
            let mut line = std::mem::replace(waiting, rest);
            line.truncate(end);
            if line.last() != Some(&b'\r') {
                line.push(b'\r');
            }
            Some(line)
        }
        None if last && !waiting.is_empty() => Some(std::mem::take(waiting)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_pipe_end_as_the_key_enter_ends_them() {
        let mut waiting = b"admin\nstate\r\n\nrest".to_vec();
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut waiting, false) {
            lines.push(line);
        }
        assert_eq!(lines, [b"admin\r".to_vec(), b"state\r".to_vec(), b"\r".to_vec()]);
        assert_eq!(next_line(&mut waiting, true), Some(b"rest".to_vec()), "what has no end is sent as it is");
        assert_eq!(next_line(&mut waiting, true), None);
    }
}
