//! QMP: one JSON object a line over a stream. Only a handful of commands are needed, and their answers are looked at no further than whether they are errors.

use crate::TimeBase;
use crate::text::shown;
use proofbench_channel::{ChannelError, ErrorKind, Wait};
use serde_json::{Value, json};
use std::io::{ErrorKind as IoKind, Read, Write};
use std::os::unix::net::UnixStream;

/// Longest line that QEMU may say.
const LINE_MOST: usize = 256 * 1024;
/// Most events passed over while an answer is waited for.
const EVENTS_MOST: usize = 10_000;

/// A connection to the monitor of one machine.
#[derive(Debug)]
pub(super) struct Qmp {
    stream: UnixStream,
    arrived: Vec<u8>,
    time: TimeBase,
}

impl Qmp {
    /// Takes the greeting and leaves the mode in which only capabilities are negotiated.
    pub fn new(stream: UnixStream, time: TimeBase, wait: &Wait) -> Result<Self, ChannelError> {
        let mut qmp = Self { stream, arrived: Vec::new(), time };
        let greeting = qmp.line("hear QEMU's greeting", wait)?;
        if greeting.get("QMP").is_none() {
            return Err(ChannelError::new(ErrorKind::Protocol, "hear QEMU's greeting"));
        }
        qmp.execute("qmp_capabilities", wait)?;
        Ok(qmp)
    }

    /// One command without arguments, and its answer. `Refused` with QEMU's words if it says no.
    pub fn execute(&mut self, command: &str, wait: &Wait) -> Result<Value, ChannelError> {
        let doing = format!("tell QEMU `{command}`");
        let mut line = json!({ "execute": command }).to_string();
        line.push('\n');
        self.stream.write_all(line.as_bytes()).map_err(|e| ChannelError::caused(ErrorKind::Disconnected, &doing, e))?;
        for _ in 0..EVENTS_MOST {
            let mut answer = self.line(&doing, wait)?;
            if let Some(error) = answer.get("error") {
                let why = error.get("desc").and_then(Value::as_str).unwrap_or("no reason given");
                return Err(ChannelError::caused(ErrorKind::Refused, doing, shown(why.as_bytes())));
            }
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
        }
        Err(ChannelError::caused(ErrorKind::Protocol, doing, "events without end and no answer"))
    }

    fn line(&mut self, doing: &str, wait: &Wait) -> Result<Value, ChannelError> {
        loop {
            if let Some(end) = self.arrived.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.arrived.drain(..=end).collect();
                return serde_json::from_slice(&line).map_err(|e| ChannelError::caused(ErrorKind::Protocol, doing, e));
            }
            if self.arrived.len() > LINE_MOST {
                return Err(ChannelError::caused(ErrorKind::Protocol, doing, "a line without end"));
            }
            // A timeout of zero would mean none at all.
            let slice = self.time.slice(wait, doing)?.max(std::time::Duration::from_millis(1));
            let failed = |e| ChannelError::caused(ErrorKind::Disconnected, doing, e);
            self.stream.set_read_timeout(Some(slice)).map_err(failed)?;
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ChannelError::caused(ErrorKind::Disconnected, doing, "QEMU has gone")),
                Ok(n) => self.arrived.extend_from_slice(&buffer[..n]),
                Err(e) if matches!(e.kind(), IoKind::WouldBlock | IoKind::TimedOut | IoKind::Interrupted) => {}
                Err(e) => return Err(failed(e)),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test that cannot go on fails
mod tests {
    use super::*;
    use proofbench_channel::Cancel;
    use std::time::Duration;

    const GREETING: &[u8] = b"{\"QMP\": {\"version\": {}, \"capabilities\": []}}\n{\"return\": {}}\n";

    fn qmp(said: &[u8]) -> (Result<Qmp, ChannelError>, UnixStream, Wait) {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(said).unwrap();
        let time = TimeBase::real();
        let wait = Wait::until(time.now() + Duration::from_secs(30), &Cancel::new());
        (Qmp::new(near, time, &wait), far, wait)
    }

    #[test]
    fn events_are_passed_over_and_a_refusal_is_told_in_its_words() {
        let (qmp, mut far, wait) = qmp(GREETING);
        let mut qmp = qmp.unwrap();
        far.write_all(b"{\"event\": \"RESET\", \"data\": {}}\n{\"return\": {\"running\": true}}\n").unwrap();
        assert_eq!(qmp.execute("query-status", &wait).unwrap(), json!({ "running": true }));
        far.write_all(b"{\"error\": {\"class\": \"GenericError\", \"desc\": \"no \\u001b[0m such thing\"}}\n".as_slice()).unwrap();
        let e = qmp.execute("system_reset", &wait).unwrap_err();
        assert_eq!(e.kind, ErrorKind::Refused);
        assert!(e.explain().contains("no \\u{1b}[0m such thing"), "{}", e.explain());
    }

    #[test]
    fn one_who_goes_or_speaks_another_language_is_told_apart() {
        for (said, kind) in [(&b"hello\n"[..], ErrorKind::Protocol), (b"{\"a\": 1}\n", ErrorKind::Protocol), (b"{", ErrorKind::Disconnected)] {
            let (near, mut far) = UnixStream::pair().unwrap();
            far.write_all(said).unwrap();
            drop(far);
            let time = TimeBase::real();
            let wait = Wait::until(time.now() + Duration::from_secs(30), &Cancel::new());
            assert_eq!(Qmp::new(near, time, &wait).unwrap_err().kind, kind);
        }
    }

    #[test]
    fn a_line_without_end_ends() {
        let (near, mut far) = UnixStream::pair().unwrap();
        std::thread::spawn(move || while far.write_all(&[b' '; 4096]).is_ok() {});
        let time = TimeBase::real();
        let wait = Wait::until(time.now() + Duration::from_secs(30), &Cancel::new());
        assert_eq!(Qmp::new(near, time, &wait).unwrap_err().kind, ErrorKind::Protocol);
    }
}
