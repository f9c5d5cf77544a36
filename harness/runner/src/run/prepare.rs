//! Preamble and postamble of every check: safe state, reference content of the flash, boot, identity; and afterwards the same once more.

use super::{Progress, Runner};
use crate::check::{Capability, Permission};
use crate::trouble::Trouble;
use proofbench_channel::Wait;
use proofbench_model::journal::Event;
use proofbench_model::{EvidenceId, Reason};
use std::time::Duration;

/// The flash as it was when the run began.
pub(super) enum Reference {
    /// Not looked at yet.
    NotTaken,
    /// Cannot be had or must not be written back.
    None,
    /// The content, and where it is kept.
    Content(Vec<u8>, EvidenceId),
}

/// How the rig was found after a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Health {
    /// The device came up over the same path, witnessed.
    Good,
    /// It did not. With the reference content restored that is no doing of the device.
    Bad {
        /// What was seen.
        why: String,
        /// Whether that is surely the rig's fault: its channels failed, or the device held its reference content.
        rig: bool,
    },
    /// Nobody looked: the check did not begin, or the run was stopped at once.
    Unknown,
}

impl Health {
    pub fn problem(&self) -> Option<&str> {
        match self {
            Health::Bad { why, .. } => Some(why),
            Health::Good | Health::Unknown => None,
        }
    }
}

/// Unit of comparison and writing when content is restored: the smallest sector we know.
const BLOCK: usize = 4096;
const WRITE: Duration = Duration::from_secs(600);

impl Runner {
    /// Reads the flash before the first check, where it may be written back. Without that, devices keep what checks did to them.
    pub fn take_reference(&mut self, progress: &mut dyn Progress) {
        self.reference = Reference::None;
        let b = &mut self.bench;
        if !b.has(Capability::Storage) || !b.has(Capability::Power) || !b.granted(Permission::FlashWrite) {
            return;
        }
        b.shield(true);
        let content = b.dump();
        b.shield(false);
        match content {
            Ok(bytes) => {
                let evidence = self.bench.evidence("flash at the start of the run", &bytes);
                self.reference = Reference::Content(bytes, evidence);
            }
            Err(t) => {
                let text = format!("the flash is not restored between checks: {}", t.explain());
                self.bench.note(&text);
                progress.note(&text);
            }
        }
    }

    /// Before a check: safe state, restored flash, boot, identity.
    pub fn prepare(&mut self) -> Result<(), Trouble> {
        self.safe_state();
        if let Some(why) = &self.quarantine {
            return Err(Trouble::RigFault(why.clone()));
        }
        self.bench.shield(true);
        let ready = self.restore().and_then(|_| self.boot()).and_then(|()| self.identity());
        self.bench.shield(false);
        ready
    }

    /// After a check: safe state, restored flash, boot over the same path, safe state.
    pub fn postamble(&mut self) -> Health {
        self.safe_state();
        self.bench.shield(true);
        let health = match self.restore() {
            Err(t) => Health::Bad { why: t.explain(), rig: true },
            Ok(restored) => match self.boot() {
                Ok(()) => Health::Good,
                Err(t) => Health::Bad { rig: restored || t.reason() == Reason::RigFault, why: t.explain() },
            },
        };
        self.bench.shield(false);
        self.safe_state();
        if let Some(why) = &self.quarantine {
            return Health::Bad { why: why.clone(), rig: true };
        }
        health
    }

    /// After a check that did not begin, or when the run is stopped at once.
    pub fn abandon(&mut self) -> Health {
        self.safe_state();
        Health::Unknown
    }

    /// Brings the flash back to its reference content, block by block, and reads it back. Says whether it holds it now.
    fn restore(&mut self) -> Result<bool, Trouble> {
        let Reference::Content(reference, evidence) = &self.reference else { return Ok(false) };
        self.bench.power_off()?;
        let present = self.bench.read_medium()?;
        if present == *reference {
            return Ok(true);
        }
        if present.len() != reference.len() {
            return Err(Trouble::RigFault(format!("the medium had {} bytes and has {} now", reference.len(), present.len())));
        }
        let mut at = 0;
        while at < reference.len() {
            let block = |at: usize| at..reference.len().min(at + BLOCK);
            if present[block(at)] == reference[block(at)] {
                at += BLOCK;
                continue;
            }
            let from = at;
            while at < reference.len() && present[block(at)] != reference[block(at)] {
                at += BLOCK;
            }
            let to = at.min(reference.len());
            let wait: Wait = self.bench.wait(WRITE);
            self.bench.storage()?.write(from as u64, &reference[from..to], &wait)?;
        }
        if self.bench.read_medium()? != *reference {
            return Err(Trouble::RigFault("the flash does not hold what was written into it".to_owned()));
        }
        self.bench.event(Event::Restored { what: "flash".to_owned(), evidence: evidence.clone() });
        Ok(true)
    }

    /// Brings the device up, with a witness of the boot where the rig can give one.
    fn boot(&mut self) -> Result<(), Trouble> {
        let b = &mut self.bench;
        if !b.has(Capability::Console) {
            return Ok(());
        }
        if b.has(Capability::Power) {
            // Only that it booted is asked here: what the device says of the cause is for checks to judge.
            let before = b.last_boot_id().map(str::to_owned);
            b.power_off()?;
            b.power_on()?;
            let boot = b.wait_ready(Duration::from_millis(b.bind().recovery_within_ms))?;
            if boot.id.is_empty() || before.as_deref() == Some(boot.id.as_str()) {
                return Err(Trouble::RigFault(format!("the supply was cycled and no new boot was seen (boot id `{}`)", boot.id)));
            }
        } else if b.has(Capability::Reset) || b.has(Capability::DebugPort) {
            b.reset_pulse()?;
        }
        Ok(())
    }

    /// The device on the bench is the one of the dossier, with firmware that the dossier knows.
    fn identity(&mut self) -> Result<(), Trouble> {
        let serial = self.bench.ask("serial")?;
        let sample = self.bench.dossier().device.sample.serial.clone();
        if serial != sample {
            return Err(Trouble::Precondition(format!("the device on the bench has serial number `{serial}`, the dossier's sample is `{sample}`")));
        }
        if !self.bench.can_ask("version") {
            return Ok(());
        }
        let version = self.bench.ask("version")?;
        let dossier = self.bench.dossier();
        let delivered = &dossier.device.identification.firmware;
        let known = || dossier.ixit.rows(7).iter().filter_map(|r| r.upd()).flat_map(|u| &u.images).any(|i| same_version(&i.version, &version));
        let restored = matches!(self.reference, Reference::Content(..));
        if same_version(delivered, &version) || (!restored && known()) {
            return Ok(());
        }
        Err(Trouble::Precondition(format!("the device runs version `{version}`, the dossier says `{delivered}`")))
    }
}

/// Equal, or equal but for a build number that one of them leaves out.
pub(crate) fn same_version(declared: &str, reported: &str) -> bool {
    declared == reported || (!declared.contains('+') && reported.split('+').next() == Some(declared))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("1.2.0", "1.2.0+0", true)]
    #[case("1.2.0", "1.2.0", true)]
    #[case("1.2.0+1", "1.2.0+0", false)]
    #[case("1.2", "1.2.0", false)]
    fn a_build_number_may_be_left_out(#[case] declared: &str, #[case] reported: &str, #[case] same: bool) {
        assert_eq!(same_version(declared, reported), same);
    }
}
