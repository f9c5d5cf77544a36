//! The board's fixture socket: button, indicator, reset line.

use super::process::Process;
use crate::{RealClock, TimeBase};
use proofbench_channel::{ChannelError, Clock, ErrorKind, Fixture, Led, Reset, Wait};
use serde::Deserialize;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::{ErrorKind as IoKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::rc::Rc;
use std::time::Duration;

/// Longest answer line.
const ANSWER_MOST: usize = 4096;

/// What the board answers; what was not asked is absent.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Answer {
    error: Option<String>,
    led: Option<String>,
    pub(super) rail_mv: Option<u32>,
}

/// A connection to the socket.
#[derive(Debug)]
pub(super) struct Link {
    stream: TcpStream,
    time: TimeBase,
}

impl Link {
    pub(super) fn new(port: u16, time: TimeBase) -> Result<Self, ChannelError> {
        let connect = || -> std::io::Result<TcpStream> {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let stream = connect().map_err(|e| ChannelError::caused(ErrorKind::Driver, "reach the board's fixture", e))?;
        Ok(Self { stream, time })
    }

    /// One request, one answer line.
    pub(super) fn ask(&mut self, request: &Value, wait: &Wait) -> Result<Answer, ChannelError> {
        let doing = "ask the board's fixture";
        let failed = |e: std::io::Error| ChannelError::caused(ErrorKind::Disconnected, doing, e);
        let mut line = request.to_string().into_bytes();
        line.push(b'\n');
        self.stream.write_all(&line).map_err(failed)?;
        line.clear();
        while !line.ends_with(b"\n") {
            let slice = self.time.slice(wait, doing)?.max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(slice)).map_err(failed)?;
            let mut part = [0; 256];
            match self.stream.read(&mut part) {
                Ok(0) => return Err(ChannelError::new(ErrorKind::Disconnected, doing)),
                Ok(n) => line.extend_from_slice(&part[..n]),
                Err(e) if matches!(e.kind(), IoKind::WouldBlock | IoKind::TimedOut | IoKind::Interrupted) => {}
                Err(e) => return Err(failed(e)),
            }
            if line.len() > ANSWER_MOST {
                return Err(ChannelError::new(ErrorKind::Protocol, doing));
            }
        }
        let answer: Answer = serde_json::from_slice(&line).map_err(|e| ChannelError::caused(ErrorKind::Protocol, doing, e))?;
        match answer.error {
            Some(why) => Err(ChannelError::caused(ErrorKind::Unsupported, doing, why)),
            None => Ok(answer),
        }
    }
}

/// Button and indicator. A button can be held while the power is off; it is then held from the first moment of power.
pub(super) struct BoardFixture(pub(super) Rc<RefCell<Process>>);

impl Fixture for BoardFixture {
    fn button(&mut self, name: &str, pressed: bool, wait: &Wait) -> Result<(), ChannelError> {
        if name != "reset" {
            return Err(ChannelError::new(ErrorKind::Unsupported, format!("press button `{name}` (there is `reset`)")));
        }
        let mut process = self.0.borrow_mut();
        wait.check(process.time.now(), "work the board's button")?;
        if let Some(link) = process.link() {
            link.ask(&json!({ "do": "button", "name": name, "pressed": pressed }), wait)?;
        }
        process.button = pressed;
        Ok(())
    }

    fn led(&mut self, wait: &Wait) -> Result<Led, ChannelError> {
        let mut process = self.0.borrow_mut();
        wait.check(process.time.now(), "look at the board's indicator")?;
        let Some(link) = process.link() else { return Ok(Led::Dark) };
        Ok(match link.ask(&json!({ "do": "led" }), wait)?.led.as_deref() {
            None | Some("off") => Led::Dark,
            Some(lit) => Led::Lit(lit.to_owned()),
        })
    }

    fn describe(&self) -> String {
        "button and indicator of the board process".to_owned()
    }
}

/// The reset line.
pub(super) struct BoardReset(pub(super) Rc<RefCell<Process>>);

impl Reset for BoardReset {
    fn pulse(&mut self, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
        self.set(true, wait)?;
        let time = self.0.borrow().time;
        let held = RealClock(time).sleep_until(&Wait::until(time.now() + hold, &wait.cancel));
        // A line that was pulled is let go, cancelled or not; that takes no longer than a moment.
        let release = Wait::until(time.now() + Duration::from_secs(10), &Default::default());
        self.set(false, &release)?;
        held
    }

    fn set(&mut self, asserted: bool, wait: &Wait) -> Result<(), ChannelError> {
        let mut process = self.0.borrow_mut();
        wait.check(process.time.now(), "drive the board's reset line")?;
        if let Some(link) = process.link() {
            link.ask(&json!({ "do": "nrst", "asserted": asserted }), wait)?;
        }
        process.nrst = asserted;
        Ok(())
    }

    fn describe(&self) -> String {
        "nRST of the board process".to_owned()
    }
}
