//! `driver = "xmodem"` and `driver = "ymodem"`: a boot loader on a serial line.

use super::super::port::{FlowWord, ParityWord, Port, PortRef, PortSettings};
use super::super::{Place, Section, Settings, TimeSpan};
use super::pattern;
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, UpdatePath};
use proofbench_drivers::line;
use proofbench_drivers::update::modem::{ModemSetup, Protocol, Step as Going, Verdict, open};
use serde::Deserialize;
use std::time::Duration;
use toml::Spanned;

/// How long a loader may take to answer a line, and to give its verdict.
const WITHIN: Duration = Duration::from_secs(10);
/// The longest of either.
const WITHIN_MOST: Duration = Duration::from_secs(3600);
/// Most steps into a loader.
const STEPS_MOST: usize = 50;
/// Longest name of an image.
const NAME_MOST: usize = 64;

/// A boot loader.
#[derive(Debug, Clone, PartialEq)]
pub struct Modem {
    /// Its line.
    pub port: Port,
    /// What it speaks.
    pub protocol: Protocol,
    /// The way into it.
    pub enter: Vec<Step>,
    /// What it prints when it took an image.
    pub success: Option<String>,
    /// What it prints when it did not.
    pub failure: Option<String>,
    /// How long it may think about it.
    pub verdict_within: Duration,
}

/// A step of the way into a loader.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Sent.
    pub send: Option<String>,
    /// Waited for: a pattern.
    pub expect: Option<String>,
    /// How long.
    pub within: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    port: Spanned<PortRef>,
    baud: Option<Spanned<u32>>,
    data_bits: Option<Spanned<u8>>,
    parity: Option<Spanned<ParityWord>>,
    stop_bits: Option<Spanned<u8>>,
    flow: Option<Spanned<FlowWord>>,
    dtr: Option<Spanned<bool>>,
    rts: Option<Spanned<bool>>,
    block: Option<Spanned<u32>>,
    name: Option<Spanned<String>>,
    #[serde(default)]
    enter: Vec<Spanned<StepKeys>>,
    success: Option<Spanned<String>>,
    failure: Option<Spanned<String>>,
    verdict_within: Option<Spanned<TimeSpan>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct StepKeys {
    send: Option<Spanned<String>>,
    expect: Option<Spanned<String>>,
    within: Option<Spanned<TimeSpan>>,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "port = { usb-serial = \"066BFF504955\" }\nenter = [{ send = \"loady\\r\", expect = \"Ready for binary\" }]";
}

impl Modem {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        let line = PortSettings {
            port: keys.port,
            baud: keys.baud,
            data_bits: keys.data_bits,
            parity: keys.parity,
            stop_bits: keys.stop_bits,
            flow: keys.flow,
            dtr: keys.dtr,
            rts: keys.rts,
        };
        let port = line.check(section)?;
        let ymodem = section.driver() == "ymodem";
        let long = match &keys.block {
            None => ymodem,
            Some(block) if [128, 1024].contains(block.get_ref()) => *block.get_ref() == 1024,
            Some(block) => return Err(section.error(block.span(), "no size of a block", &["128", "1024"])),
        };
        let protocol = match (&keys.name, ymodem) {
            (Some(name), false) => return Err(section.error(name.span(), "XMODEM tells no name", &["driver = \"ymodem\""])),
            (_, false) => Protocol::Xmodem { long },
            (name, true) => Protocol::Ymodem { name: name.as_ref().map_or(Ok("image.bin".to_owned()), |n| file_name(section, n))?, long },
        };
        if keys.enter.len() > STEPS_MOST {
            return Err(section.wrong(format!("{} steps into the loader", keys.enter.len()), &[&format!("at most {STEPS_MOST}")]));
        }
        if let Some(span) = &keys.verdict_within
            && keys.success.is_none()
            && keys.failure.is_none()
        {
            return Err(section.error(span.span(), "there is no verdict to wait for", &["`success`, `failure` or both beside it"]));
        }
        Ok(Self {
            port,
            protocol,
            enter: keys.enter.iter().map(|step| Step::read(section, step)).collect::<Result<_, _>>()?,
            success: keys.success.map(|p| pattern(section, &p)).transpose()?,
            failure: keys.failure.map(|p| pattern(section, &p)).transpose()?,
            verdict_within: keys.verdict_within.map_or(Ok(WITHIN), |s| section.span(&s, WITHIN_MOST))?,
        })
    }

    pub(super) fn open(&self, place: &Place<'_>) -> Result<Box<dyn UpdatePath>, ChannelError> {
        let made = |text: &Option<String>| text.as_deref().map(proofbench_drivers::update::pattern).transpose();
        let mut enter = Vec::new();
        for step in &self.enter {
            enter.push(Going { send: step.send.as_ref().map(|s| s.as_bytes().to_vec()), expect: made(&step.expect)?, within: step.within });
        }
        let verdict = Verdict { success: made(&self.success)?, failure: made(&self.failure)?, within: self.verdict_within };
        let setup = ModemSetup { protocol: self.protocol.clone(), enter, verdict, baud: self.port.settings.baud, time: place.time };
        Ok(open(line::open(&self.port.setup(place))?, setup))
    }
}

impl Step {
    fn read(section: &Section<'_>, keys: &Spanned<StepKeys>) -> Result<Self, RigFileError> {
        let StepKeys { send, expect, within } = keys.get_ref();
        if send.is_none() && expect.is_none() {
            return Err(section.error(
                keys.span(),
                "a step sends something, waits for something, or both",
                &["{ send = \"loady\\r\", expect = \"Ready\" }"],
            ));
        }
        if let (Some(within), None) = (within, expect) {
            return Err(section.error(within.span(), "this step waits for nothing", &["`expect` beside it"]));
        }
        Ok(Self {
            send: send.as_ref().map(|s| s.get_ref().clone()),
            expect: expect.as_ref().map(|p| pattern(section, p)).transpose()?,
            within: within.as_ref().map_or(Ok(WITHIN), |s| section.span(s, WITHIN_MOST))?,
        })
    }
}

fn file_name(section: &Section<'_>, name: &Spanned<String>) -> Result<String, RigFileError> {
    let text = name.get_ref();
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    if text.is_empty() || text.len() > NAME_MOST || !plain {
        let valid = format!("1 to {NAME_MOST} printable characters without blanks and slashes, such as firmware.bin");
        return Err(section.error(name.span(), "no name of a file", &[&valid]));
    }
    Ok(text.clone())
}
