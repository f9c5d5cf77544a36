//! Listening to a device that was told to start, byte by byte: the dialogue of the bench knows lines, a wrong baud rate makes none.

use super::words::console::Heard;
use super::{ADAPTER, Doctor};
use crate::check::Capability;
use crate::text::escape;
use crate::trouble::Trouble;
use proofbench_channel::debug::{Protocol, Said, Survey, SurveyJob};
use proofbench_channel::{Answer, Moment};
use proofbench_model::bind::DebugBind;
use std::time::Duration;

/// Bytes of the beginning that are shown.
const FIRST: usize = 60;
/// A stretch of talk is looked for in such steps.
const STEP: Duration = Duration::from_millis(200);
/// A device that is ready at once may still take so long for its first byte.
const PATIENCE_LEAST: Duration = Duration::from_secs(1);
/// How long an answer to an empty line may take.
pub(super) const KNOCK: Duration = Duration::from_millis(500);
/// How long a survey may take, with a slow probe.
const SURVEY: Duration = Duration::from_secs(60);

/// Whether a byte may stand in text. UTF-8 may: its bytes are counted when they are not part of any.
fn odd_bytes(bytes: &[u8]) -> usize {
    let plain = |b: &u8| matches!(b, b'\t' | b'\n' | b'\r' | 0x0c | 0x07 | 0x08 | 0x1b | 0x20..=0x7e);
    bytes.utf8_chunks().map(|c| c.invalid().len() + c.valid().bytes().filter(|b| b.is_ascii() && !plain(b)).count()).sum()
}

impl Doctor<'_> {
    /// Listens until the device is ready, stops, or has had its time: the declared recovery time once it has said its boot line, twice its declared start
    /// time before.
    pub(super) fn listen(&mut self, begun: Moment) -> Result<Heard, Trouble> {
        let (ready, recovery) = self.declared();
        let patience = (2 * ready).max(PATIENCE_LEAST);
        let mut heard = Heard::default();
        let mut first = Vec::new();
        loop {
            if let Some(boot) = self.b.try_ready(Duration::ZERO)? {
                heard.ready = Some(boot.took);
                heard.boots = boot.boots;
                heard.cause = boot.first_cause;
                heard.ram_lost = boot.first_ram_lost;
                heard.last = boot.log.last().cloned().unwrap_or_default();
                self.learn_greeting(&boot.log);
                break;
            }
            let seen = self.b.boot_seen();
            heard.boots = seen.boots;
            let stopped = seen.tripwire.clone();
            let end = begun + if heard.boots > 0 { recovery } else { patience };
            if stopped.is_some() || self.b.now() >= end {
                heard.tripwire = stopped;
                heard.cause.clone_from(&seen.first_cause);
                heard.last = seen.log.last().cloned().unwrap_or_default();
                heard.ram_lost = seen.first_ram.as_ref().zip(self.b.bind().ram.as_ref()).map(|(word, bind)| *word == bind.lost);
                break;
            }
            let stretch = self.b.hear(end.min(self.b.now() + STEP))?;
            heard.bytes += stretch.len();
            heard.odd += odd_bytes(&stretch);
            if first.len() < FIRST {
                first.extend_from_slice(&stretch);
            }
            if heard.booted.is_none() {
                heard.booted = self.b.boot_seen().booted_at.map(|at| at.since(begun));
            }
        }
        first.truncate(FIRST);
        heard.first = escape(first.trim_ascii());
        heard.port_gone = self.b.port_is_gone();
        heard.waited = self.b.now().since(begun);
        Ok(heard)
    }

    /// Declared times to ready: undisturbed, and with work to finish.
    pub(super) fn declared(&self) -> (Duration, Duration) {
        let bind = self.b.bind();
        (Duration::from_millis(bind.ready_within_ms), Duration::from_millis(bind.recovery_within_ms))
    }

    /// What stands before the part of the boot line that changes.
    fn learn_greeting(&mut self, log: &[String]) {
        let Some(line) = log.first() else { return };
        let pattern = regex::Regex::new(&self.b.bind().boot_id.0).ok();
        let changing = pattern.and_then(|p| p.captures(line)?.name("value").map(|m| m.range()));
        let part = match changing {
            Some(range) if range.start >= 3 => &line[..range.start],
            Some(_) => return,
            None => line.as_str(),
        };
        // Escaped bytes are not what the device sends.
        if !part.contains('\\') && part.len() >= 3 {
            self.device.greeting = Some(part.as_bytes().to_vec());
        }
    }

    /// What the device says to an empty line; empty if nothing, or only the adapter's echo.
    pub(super) fn knock(&mut self) -> Result<Vec<u8>, Trouble> {
        self.b.drain()?;
        self.b.send_line("")?;
        let answer = self.b.hear(self.b.now() + KNOCK)?;
        Ok(if answer == b"\r" { Vec::new() } else { answer })
    }

    /// The debug binding of the dossier, and whether it declares the port to be disabled.
    pub(super) fn debug_bind(&self) -> Option<(DebugBind, bool)> {
        self.b.dossier().ixit.rows(15).iter().filter_map(|r| r.intf()).find_map(|i| i.debug.clone().map(|d| (d, i.declared == "disabled")))
    }

    /// One survey of the port as it is, with what the dossier says of addresses.
    pub(super) fn survey(&mut self, protocol: Protocol, max_ap: Option<u8>) -> Result<Survey, Trouble> {
        let job = self.survey_job(protocol, max_ap);
        let wait = self.b.wait(SURVEY);
        self.b.debug()?.begin(&job, &wait)?;
        Ok(self.b.debug()?.finish(&wait)?)
    }

    /// `max_ap`: no access port above it is looked at; none leaves it to the dossier.
    pub(super) fn survey_job(&mut self, protocol: Protocol, max_ap: Option<u8>) -> SurveyJob {
        let bind = self.debug_bind().map(|(b, _)| b);
        let delivered = proofbench_rig::delivered_image(self.b.dossier()).map(str::to_owned);
        let image = delivered.and_then(|file| self.b.image(&file).ok());
        let word = |at: u32| {
            let at = usize::try_from(at).ok()?;
            image.as_ref()?.get(at..)?.first_chunk().map(|w| u32::from_le_bytes(*w))
        };
        let (ram, flash) = bind.as_ref().map_or((0x2000_0000, 0), |b| (b.ram, b.flash));
        let known = bind.as_ref().and_then(|b| word(b.flash_in_image)).filter(|w| *w != 0 && *w != u32::MAX);
        let most = bind.as_ref().map_or(3, |b| b.max_ap);
        SurveyJob { max_ap: most.min(max_ap.unwrap_or(u8::MAX)), ..SurveyJob::new(protocol, ram, flash, known) }
    }

    /// Whether the debug port says anything of itself now. An adapter that fails is no answer: on many benches it goes with the board's power.
    pub(super) fn debug_answers(&mut self) -> Result<bool, Trouble> {
        if !self.has(Capability::DebugPort) {
            return Ok(false);
        }
        match self.survey(self.first_protocol(), Some(0)) {
            Ok(survey) => Ok(matches!(survey.dpidr, Said::Value(_))),
            Err(t) if t.is_cancelled() => Err(t),
            Err(_) => Ok(false),
        }
    }

    /// The first protocol that the dossier declares.
    pub(super) fn first_protocol(&self) -> Protocol {
        let jtag = self.debug_bind().is_some_and(|(b, _)| b.protocols.first().is_some_and(|p| p == "jtag"));
        if jtag { Protocol::Jtag } else { Protocol::Swd }
    }

    /// Whether the update path says anything within this time.
    pub(super) fn update_answers(&mut self, within: Duration) -> Result<bool, Trouble> {
        if !self.has(Capability::UpdatePath) {
            return Ok(false);
        }
        let wait = self.b.wait(within);
        match self.b.update()?.state(&wait).map_err(Trouble::from) {
            Ok(answer) => Ok(answer != Answer::Silent),
            Err(t) if t.is_cancelled() => Err(t),
            Err(_) => Ok(false),
        }
    }

    /// Millivolts of the rail, where it is metered.
    pub(super) fn rail(&mut self) -> Result<Option<u32>, Trouble> {
        if !self.has(Capability::Power) {
            return Ok(None);
        }
        let wait = self.b.wait(ADAPTER);
        let rail = self.b.power()?.rail(&wait)?.map(|mv| mv.0);
        self.device.metered |= rail.is_some();
        Ok(rail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::text(b"ROM th1\r\n\x1b[0mlogin: ", 0)]
    #[case::utf8("23 °C\n".as_bytes(), 0)]
    #[case::garbage(b"\x00\x80\xf8ab\x01", 4)]
    fn bytes_that_are_no_text_are_counted(#[case] bytes: &[u8], #[case] odd: usize) {
        assert_eq!(odd_bytes(bytes), odd);
    }
}
