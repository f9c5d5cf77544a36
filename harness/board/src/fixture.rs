//! The fixture's socket: a finger on the button, an eye on the indicator, a hand on the reset line, on the supply and on the network's cable. One JSON object a line in each
//! direction. The supervisor of a switched board speaks it too, over its own connection.

use crate::device::Device;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::time::Duration;

/// Longest request line.
const LINE_MOST: usize = 4096;

/// What can be asked.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Request {
    /// Presses or releases a button.
    Button { name: String, pressed: bool },
    /// Looks at the indicator.
    Led,
    /// Drives nRST.
    Nrst { asserted: bool },
    /// Lowers the supply for so long.
    Dip { to_mv: u32, hold_ms: u64 },
    /// Measures the rail.
    Rail,
    /// Switches the supply.
    Supply { on: bool },
    /// Sets how long the rail takes to the brown-out level once it is let go, in bench time.
    Discharge { ms: u64 },
    /// Feeds the rail past the supply.
    BackFeed { mv: u32 },
    /// Plugs the network's cable in or pulls it.
    Link { up: bool },
    /// Counts the BREAKs that firmware has taken from the console.
    Breaks,
}

#[derive(Debug, Default, Serialize)]
struct Response {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    led: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rail_mv: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breaks: Option<u32>,
}

/// Carries out one request.
fn carry_out(line: &[u8], device: &mut Device) -> Response {
    let request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(e) => return Response { error: Some(e.to_string()), ..Response::default() },
    };
    let mut response = Response::default();
    let world = &mut device.world;
    match request {
        Request::Button { name, pressed } if name == "reset" => world.set_button(pressed),
        Request::Button { name, .. } => response.error = Some(format!("there is no button `{name}`, only `reset`")),
        Request::Led => response.led = Some(world.led()),
        Request::Nrst { asserted } => device.set_nrst_fixture(asserted),
        Request::Dip { to_mv, hold_ms } => world.dip(to_mv, hold_ms),
        Request::Rail => response.rail_mv = Some(world.rail_mv()),
        Request::Supply { on } => world.set_power(on),
        Request::Discharge { ms } => {
            let span = device.scaled(Duration::from_millis(ms));
            device.world.set_discharge(span);
        }
        Request::BackFeed { mv } => world.set_back_feed(mv),
        Request::Link { up } if !device.set_link(up) => response.error = Some("this board has no network: start it with --net".to_owned()),
        Request::Link { .. } => {}
        Request::Breaks => response.breaks = Some(device.breaks()),
    }
    response
}

/// One client.
#[derive(Debug)]
pub struct Client<S> {
    /// Its connection, non-blocking.
    pub stream: S,
    line: Vec<u8>,
}

impl<S: Read + Write> Client<S> {
    /// Takes a non-blocking connection over.
    pub fn new(stream: S) -> Self {
        Self { stream, line: Vec::new() }
    }

    /// Carries out what has arrived. False: the client has gone, or talks nonsense without end.
    pub fn serve(&mut self, device: &mut Device) -> bool {
        let mut arrived = [0; 1024];
        let n = match self.stream.read(&mut arrived) {
            Ok(0) => return false,
            Ok(n) => n,
            Err(e) => return e.kind() == io::ErrorKind::WouldBlock,
        };
        for &byte in &arrived[..n] {
            if byte != b'\n' {
                self.line.push(byte);
                if self.line.len() > LINE_MOST {
                    return false;
                }
                continue;
            }
            let response = carry_out(&self.line, device);
            self.line.clear();
            let Ok(mut text) = serde_json::to_vec(&response) else { return false };
            text.push(b'\n');
            // A client that does not read its short answers has itself to blame.
            if self.stream.write_all(&text).is_err() {
                return false;
            }
        }
        true
    }
}
