//! A supply switched by the user's own programs, as labgrid's external power driver does.
//!
//! `on` and `off` are programs that end with code 0 when the switch has been told. `state`, where there is one, prints one of
//!
//! - a word: `on`, `off` or `unknown`;
//! - a JSON object: `{"on": true, "millivolts": 5010, "milliamps": 120}`. `on` may be `null` (unknown); the others may be left out; `"tripped": "why"`
//!   says that protection cut the supply. Other keys are refused, so that a misspelt one is not an ammeter that is not there.
//!
//! Anything else is an error that shows what was printed. A program that fails is an error with its complaint; one that hangs is killed at its
//! deadline with all that it started. Arguments are shown in errors: a secret belongs into a file that the program reads.
//!
//! Run against: programs made by the tests, among them ones that fail, hang, flood and are missing, and programs that switch the board process. Not
//! run against a power switch.

use super::{Supply, word};
use crate::child::Program;
use crate::text::shown;
use proofbench_channel::{ChannelError, ErrorKind, Milliamps, Millivolts, Power, PowerAsk, PowerSeen, Wait};
use serde::Deserialize;
use std::time::Duration;

/// The programs.
#[derive(Debug, Clone)]
pub struct CommandSetup {
    /// Run for on.
    pub on: Program,
    /// Run for off.
    pub off: Program,
    /// Run to read the switch back.
    pub state: Option<Program>,
    /// What every supply has.
    pub supply: Supply,
}

/// A supply behind these programs. Nothing is run here; an empty argument vector is an error.
pub fn open(setup: CommandSetup) -> Result<Box<dyn Power>, ChannelError> {
    for (name, program) in [("on", Some(&setup.on)), ("off", Some(&setup.off)), ("state", setup.state.as_ref())] {
        if let Some(program) = program {
            program.named(name)?;
        }
    }
    Ok(Box::new(CommandPower(setup)))
}

struct CommandPower(CommandSetup);

/// What a state program printed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Printed {
    on: Option<bool>,
    #[serde(default)]
    millivolts: Option<u32>,
    #[serde(default)]
    milliamps: Option<u32>,
    #[serde(default)]
    tripped: Option<String>,
}

impl Printed {
    fn read(stdout: &[u8]) -> Result<Self, String> {
        let bare = |on| Self { on, millivolts: None, milliamps: None, tripped: None };
        let text = stdout.trim_ascii();
        match text {
            b"on" => return Ok(bare(Some(true))),
            b"off" => return Ok(bare(Some(false))),
            b"unknown" => return Ok(bare(None)),
            _ => {}
        }
        let wrong = |why: &str| {
            let valid = r#"on, off, unknown, or JSON such as {"on": true, "millivolts": 5010, "milliamps": 120}"#;
            format!("it printed `{}`{why}; valid: {valid}", shown(text))
        };
        // `on` must be there, though it may be null: serde alone would take its absence for null.
        let value: serde_json::Value = serde_json::from_slice(text).map_err(|_| wrong(""))?;
        if value.get("on").is_none() {
            return Err(wrong(", which does not say `on`"));
        }
        serde_json::from_value(value).map_err(|e| wrong(&format!(": {}", shown(e.to_string().as_bytes()))))
    }

    fn seen(&self) -> PowerSeen {
        match (&self.tripped, self.on) {
            (Some(why), _) => PowerSeen::Tripped(shown(why.as_bytes())),
            (None, Some(true)) => PowerSeen::On,
            (None, Some(false)) => PowerSeen::Off,
            (None, None) => PowerSeen::Unknown,
        }
    }
}

impl CommandPower {
    fn printed(&self, wait: &Wait) -> Result<Option<Printed>, ChannelError> {
        let Some(program) = &self.0.state else { return Ok(None) };
        let finished = program.done(&[], self.0.supply.time, wait)?;
        let doing = || format!("read the supply's state by `{}`", program.name());
        Printed::read(&finished.stdout).map(Some).map_err(|why| ChannelError::caused(ErrorKind::Protocol, doing(), why))
    }
}

impl Power for CommandPower {
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
        let program = if ask == PowerAsk::On { &self.0.on } else { &self.0.off };
        program.done(&[], self.0.supply.time, wait)?;
        let doing = format!("switch {} by `{}`", word(ask), program.name());
        self.0.supply.taken(ask, wait, &doing, |wait| Ok(self.printed(wait)?.map_or(PowerSeen::Unknown, |p| p.seen())))
    }

    fn state(&mut self, wait: &Wait) -> Result<PowerSeen, ChannelError> {
        Ok(self.printed(wait)?.map_or(PowerSeen::Unknown, |p| p.seen()))
    }

    fn rail(&mut self, wait: &Wait) -> Result<Option<Millivolts>, ChannelError> {
        Ok(self.printed(wait)?.and_then(|p| p.millivolts).map(Millivolts))
    }

    fn current(&mut self, wait: &Wait) -> Result<Option<Milliamps>, ChannelError> {
        Ok(self.printed(wait)?.and_then(|p| p.milliamps).map(Milliamps))
    }

    fn off_min(&self) -> Duration {
        self.0.supply.off_min
    }

    fn dip(&mut self, _: Millivolts, _: Duration, _: &Wait) -> Result<(), ChannelError> {
        Err(ChannelError::new(ErrorKind::Unsupported, "dip a supply that is switched by command"))
    }

    fn describe(&self) -> String {
        let state = self.0.state.as_ref().map_or("not read back".to_owned(), |p| format!("read back by `{}`", p.name()));
        format!("supply by command: on `{}`, off `{}`, {state}", self.0.on.name(), self.0.off.name())
    }
}
