//! One output line of a GPIO chip, held for as long as its channel lives.
//!
//! Opening takes the line as it is and drives nothing: nobody else can take it from then on. It is driven from the first time that it is set. When the
//! channel is dropped the kernel gives the line back, and what it does then is the chip's own matter: some keep the level, some let it float. A rig
//! that must stay off or released after the program has ended needs a resistor that says so.

use crate::text::shown;
use gpiocdev::chip::{Chip, chips};
use gpiocdev::line::Value;
use gpiocdev::request::{Config, Request};
use proofbench_channel::{ChannelError, ErrorKind};
use std::path::{Path, PathBuf};

/// Who holds the line, for `gpioinfo`.
const CONSUMER: &str = "proofbench";

/// Which line, and which level means active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpioLine {
    /// Chip, such as `/dev/gpiochip0`.
    pub chip: PathBuf,
    /// Line of the chip, 0 for the first.
    pub line: u32,
    /// Whether low means active.
    pub active_low: bool,
}

impl GpioLine {
    pub(crate) fn describe(&self) -> String {
        format!("line {} of {}, active {}", self.line, self.chip.display(), if self.active_low { "low" } else { "high" })
    }
}

/// How a line is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drive {
    /// High and low.
    PushPull,
    /// Low, and let go: others may pull the line too.
    OpenDrain,
}

/// A line that is held.
pub(crate) struct Held {
    line: GpioLine,
    drive: Drive,
    request: Request,
    driven: bool,
}

impl Held {
    /// Takes the line. A chip or line that is not there is `Disconnected` and names those that are; a line that somebody holds is `Refused` and
    /// names who.
    pub fn take(line: &GpioLine, drive: Drive) -> Result<Self, ChannelError> {
        let doing = format!("take {}", line.describe());
        let chip = Chip::from_path(&line.chip).map_err(|e| missing(&doing, &e.to_string(), &chips().unwrap_or_default()))?;
        let lines = chip.info().map_err(|e| ChannelError::caused(ErrorKind::Driver, &doing, e))?.num_lines;
        if line.line >= lines {
            return Err(ChannelError::caused(ErrorKind::Disconnected, doing, format!("it has lines 0 to {}", lines.saturating_sub(1))));
        }
        let info = chip.line_info(line.line).map_err(|e| ChannelError::caused(ErrorKind::Driver, &doing, e))?;
        if info.used {
            let why = format!("`{}` holds it", shown(info.consumer.as_bytes()));
            return Err(ChannelError::caused(ErrorKind::Refused, doing, why));
        }
        let mut builder = Request::builder();
        builder.with_consumer(CONSUMER).on_chip(&line.chip).with_line(line.line).as_is();
        if line.active_low {
            builder.as_active_low();
        }
        let request = builder.request().map_err(|e| ChannelError::caused(ErrorKind::Refused, doing, e))?;
        Ok(Self { line: line.clone(), drive, request, driven: false })
    }

    /// Drives the line.
    pub fn set(&mut self, active: bool, doing: &str) -> Result<(), ChannelError> {
        let value = if active { Value::Active } else { Value::Inactive };
        let done = if self.driven {
            self.request.set_value(self.line.line, value)
        } else {
            // From as it was to an output that has the right level from its first moment.
            let mut config = Config::default();
            config.with_line(self.line.line).as_output(value);
            if self.line.active_low {
                config.as_active_low();
            }
            if self.drive == Drive::OpenDrain {
                config.with_drive(gpiocdev::line::Drive::OpenDrain);
            }
            self.request.reconfigure(&config)
        };
        done.map_err(|e| ChannelError::caused(ErrorKind::Driver, doing, e))?;
        self.driven = true;
        Ok(())
    }

    /// The level that the chip reads at the line, which for an output is at least the one that it drives.
    pub fn get(&mut self, doing: &str) -> Result<bool, ChannelError> {
        let value = self.request.value(self.line.line).map_err(|e| ChannelError::caused(ErrorKind::Driver, doing, e))?;
        Ok(value == Value::Active)
    }

    pub fn line(&self) -> &GpioLine {
        &self.line
    }
}

fn missing(doing: &str, why: &str, there: &[PathBuf]) -> ChannelError {
    let there = match there {
        [] => "there is no GPIO chip here".to_owned(),
        chips => format!("there are {}", chips.iter().map(|c| Path::display(c).to_string()).collect::<Vec<_>>().join(", ")),
    };
    ChannelError::caused(ErrorKind::Disconnected, doing, format!("{why}; {there}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_that_is_not_there_is_named_with_those_that_are() {
        let line = GpioLine { chip: "/dev/no-gpiochip".into(), line: 3, active_low: true };
        let error = Held::take(&line, Drive::PushPull).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Disconnected);
        assert!(error.doing.contains("line 3 of /dev/no-gpiochip, active low"), "{}", error.doing);
        let why = missing("take", "no such chip", &["/dev/gpiochip0".into(), "/dev/gpiochip1".into()]).source.unwrap().to_string();
        assert_eq!(why, "no such chip; there are /dev/gpiochip0, /dev/gpiochip1");
        assert!(missing("take", "no such chip", &[]).source.unwrap().to_string().ends_with("there is no GPIO chip here"));
    }

    #[test]
    fn a_file_that_is_no_chip_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = GpioLine { chip: file.path().into(), line: 0, active_low: false };
        let error = Held::take(&line, Drive::OpenDrain).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Disconnected, "{error:?}");
    }
}
