//! The debug pins over OpenOCD's `remote_bitbang` protocol: a second, independent host for the same emulated port.
//!
//! One character an operation: `0` to `7` set TCK, TMS, TDI; `R` reads TDO; `r` to `u` set the resets; `Q` ends. For SWD `O` and `o` switch the host's
//! driver, `c` reads SWDIO, `d` to `g` set SWCLK and SWDIO. Others are ignored.

use proofbench_board::bmp::Access;
use proofbench_emulator::debug::Pins;
use std::io::{self, Read, Write};
use std::net::TcpStream;

/// Levels as the host has set them.
#[derive(Debug)]
struct Host {
    clock: bool,
    swdio: bool,
    drives: bool,
}

/// Serves one host until it hangs up (true) or the board is gone (false).
pub fn serve_one(mut stream: TcpStream, access: &mut dyn Access) -> io::Result<bool> {
    stream.set_nodelay(true)?;
    let mut host = Host { clock: false, swdio: true, drives: true };
    let mut received = [0u8; 4096];
    loop {
        let n = stream.read(&mut received)?;
        let mut answers = Vec::new();
        let mut over = n == 0;
        let there = access.with_pins(&mut |pins| {
            for &b in &received[..n] {
                over |= b == b'Q';
                answers.extend(host.carry_out(b, pins));
            }
        });
        stream.write_all(&answers)?;
        if over || !there {
            return Ok(there);
        }
    }
}

impl Host {
    fn carry_out(&mut self, b: u8, pins: &mut dyn Pins) -> Option<u8> {
        let digit = |level: bool| Some(if level { b'1' } else { b'0' });
        match b {
            b'0'..=b'7' => {
                let v = b - b'0';
                self.clock_to(v & 4 != 0, Some(v & 2 != 0), v & 1 != 0, pins);
            }
            b'd'..=b'g' => {
                let v = b - b'd';
                self.swdio = v & 1 != 0;
                self.clock_to(v & 2 != 0, self.drives.then_some(self.swdio), true, pins);
            }
            b'r'..=b'u' => pins.set_nrst((b - b'r') & 1 != 0),
            b'R' => return digit(pins.tdo()),
            b'c' => return digit(if self.drives { self.swdio } else { pins.swdio() }),
            b'O' | b'o' => self.drives = b == b'O',
            _ => {}
        }
        None
    }

    fn clock_to(&mut self, level: bool, tms: Option<bool>, tdi: bool, pins: &mut dyn Pins) {
        if level && !self.clock {
            pins.edge(tms, tdi);
        }
        self.clock = level;
    }
}
