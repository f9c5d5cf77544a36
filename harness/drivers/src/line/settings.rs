//! How a byte line is driven: speed, frame, flow control, levels of its control lines.

use std::fmt;

/// Parity of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// None.
    None,
    /// Even.
    Even,
    /// Odd.
    Odd,
}

/// Flow control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// None.
    None,
    /// RTS/CTS.
    Hardware,
    /// XON/XOFF.
    Software,
}

/// A control line that a host drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlLine {
    /// Data terminal ready.
    Dtr,
    /// Request to send.
    Rts,
}

impl ControlLine {
    pub(super) const ALL: [ControlLine; 2] = [ControlLine::Dtr, ControlLine::Rts];
}

impl fmt::Display for ControlLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ControlLine::Dtr => "DTR",
            ControlLine::Rts => "RTS",
        })
    }
}

/// Settings of a byte line. Raw TCP has none: nothing here is used there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineSettings {
    /// Baud rate.
    pub baud: u32,
    /// Data bits, 5 to 8.
    pub data_bits: u8,
    /// Parity.
    pub parity: Parity,
    /// Stop bits, 1 or 2.
    pub stop_bits: u8,
    /// Flow control.
    pub flow: Flow,
    /// DTR while the line is open, `true` is asserted. None leaves it to the operating system, or the server's, which assert it.
    pub dtr: Option<bool>,
    /// RTS, in the same way.
    pub rts: Option<bool>,
}

impl LineSettings {
    /// This rate, 8 data bits, no parity, 1 stop bit, no flow control, control lines as the operating system leaves them.
    pub fn baud(baud: u32) -> Self {
        Self { baud, ..Self::default() }
    }
}

impl Default for LineSettings {
    /// 115200 8N1.
    fn default() -> Self {
        Self { baud: 115_200, data_bits: 8, parity: Parity::None, stop_bits: 1, flow: Flow::None, dtr: None, rts: None }
    }
}

impl fmt::Display for LineSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parity = match self.parity {
            Parity::None => 'N',
            Parity::Even => 'E',
            Parity::Odd => 'O',
        };
        write!(f, "{} {}{parity}{}", self.baud, self.data_bits, self.stop_bits)?;
        match self.flow {
            Flow::None => {}
            Flow::Hardware => f.write_str(" RTS/CTS")?,
            Flow::Software => f.write_str(" XON/XOFF")?,
        }
        for (line, level) in [(ControlLine::Dtr, self.dtr), (ControlLine::Rts, self.rts)] {
            match level {
                None => {}
                Some(true) => write!(f, " {line} asserted")?,
                Some(false) => write!(f, " {line} cleared")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_say_everything_that_was_chosen() {
        assert_eq!(LineSettings::baud(9600).to_string(), "9600 8N1");
        let all =
            LineSettings { baud: 57_600, data_bits: 7, parity: Parity::Even, stop_bits: 2, flow: Flow::Hardware, dtr: Some(true), rts: Some(false) };
        assert_eq!(all.to_string(), "57600 7E2 RTS/CTS DTR asserted RTS cleared");
    }
}
