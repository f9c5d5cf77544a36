//! The fixture's socket: a finger on the button, an eye on the indicator, a hand on the reset line and on the supply's knob. One JSON object
//! a line in each direction.

use proofbench_emulator::World;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::net::TcpStream;

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
}

#[derive(Debug, Default, Serialize)]
struct Response {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    led: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rail_mv: Option<u32>,
}

/// Carries out one request.
fn carry_out(line: &[u8], world: &mut World) -> Response {
    let request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(e) => return Response { error: Some(e.to_string()), ..Response::default() },
    };
    let mut response = Response::default();
    match request {
        Request::Button { name, pressed } if name == "reset" => world.set_button(pressed),
        Request::Button { name, .. } => response.error = Some(format!("there is no button `{name}`, only `reset`")),
        Request::Led => response.led = Some(world.led()),
        Request::Nrst { asserted } => world.set_nrst(asserted),
        Request::Dip { to_mv, hold_ms } => world.dip(to_mv, hold_ms),
        Request::Rail => response.rail_mv = Some(world.rail_mv()),
    }
    response
}

/// One client.
pub struct Client {
    /// Its connection, non-blocking.
    pub stream: TcpStream,
    line: Vec<u8>,
}

impl Client {
    /// Takes a connection over.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, line: Vec::new() })
    }

    /// Carries out what has arrived. False: the client has gone, or talks nonsense without end.
    pub fn serve(&mut self, world: &mut World) -> bool {
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
            let response = carry_out(&self.line, world);
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
