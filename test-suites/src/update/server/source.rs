//! The lab as the maker's server, and the device that fetches from it.

use super::super::lab::{Genuine, Lab};
use super::super::path;
use proofbench_channel::network::{Page, Seen, Sight};
use proofbench_model::bind::{Action, ComBind, ServerBind};
use proofbench_model::dossier::Row;
use proofbench_runner::bench::{Boot, Did};
use proofbench_runner::{Bench, Trouble};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Pause between two requests to a device that is busy.
const BUSY: Duration = Duration::from_secs(5);

/// What came of an offer by the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fetched {
    /// It did not restart in the declared time.
    Kept {
        /// Whether it asked the server for anything at all. Without that the offer was none.
        asked: bool,
    },
    /// It restarted and was ready.
    Restarted(Boot),
    /// It restarted and was not ready: its last words.
    Dead(String),
}

/// The maker's server, as the dossier describes it.
pub(super) struct Source {
    /// How it is worked.
    pub bind: ServerBind,
    /// How it is reached.
    pub com: ComBind,
}

impl Source {
    pub fn of(bench: &Bench, row: &Row) -> Result<Self, Trouble> {
        let bind = row.upd().and_then(|u| u.server.clone());
        let bind = bind.ok_or_else(|| Trouble::IxitMissing(format!("[UpdMech.bind.server] of row {}", row.id)))?;
        let com = bench.dossier().ixit.rows(11).iter().find(|r| r.id.row == bind.over).and_then(|r| r.com()).cloned();
        let com =
            com.ok_or_else(|| Trouble::IxitMissing(format!("a binding of row {} of 11-ComMech, by which row {} is served", bind.over, row.id)))?;
        Ok(Self { bind, com })
    }

    /// Path of an image.
    pub fn image_path(&self, version: &str) -> String {
        self.bind.image.replace("{version}", version)
    }

    /// A manifest that says so.
    pub fn manifest(&self, version: &str, size: usize, sha256: &str, path: &str) -> Page {
        let text = self.bind.manifest_text.replace("{version}", version).replace("{size}", &size.to_string());
        Page::new(&self.bind.manifest, text.replace("{sha256}", sha256).replace("{path}", path))
    }

    /// Manifest and image, in agreement with each other.
    pub fn pages(&self, version: &str, bytes: &[u8]) -> Vec<Page> {
        let path = self.image_path(version);
        vec![self.manifest(version, bytes.len(), &sum(bytes), &path), Page::new(&path, bytes)]
    }

    /// Offers a genuine image honestly.
    pub fn put(&self, bench: &mut Bench, image: &Genuine) -> Result<(), Trouble> {
        bench.serve_pages(&self.com, self.pages(&dotted(image), &image.bytes))
    }

    /// Offers what runs already: nothing newer.
    pub fn put_nothing(&self, bench: &mut Bench, lab: &Lab) -> Result<(), Trouble> {
        self.put(bench, &lab.delivered)
    }

    /// Longest time until the device looks by itself.
    pub fn next_look(&self) -> Duration {
        Duration::from_millis(self.bind.every_ms.1.max(self.bind.first_look_ms.1))
    }

    /// Longest time from a look to the new image running.
    pub fn install_time(&self) -> Duration {
        Duration::from_millis(self.bind.install_within_ms)
    }

    /// Makes the device look and install where the dossier says how; how long it may then take. A device that is busy is asked again, until `patience` is over.
    pub fn ask(&self, bench: &mut Bench, action: Option<&Action>, patience: Duration) -> Result<Option<Duration>, Trouble> {
        bench.restart_may_come()?;
        let Some(action) = action else { return Ok(Some(self.next_look() + self.install_time())) };
        let end = bench.now() + patience;
        loop {
            // What restarts after this is counted from here: a fetch may be over before the wait for it begins.
            bench.restart_may_come()?;
            match bench.perform(action, &[])? {
                Did::Done { .. } => return Ok(Some(self.install_time())),
                Did::Refused { .. } if bench.now() < end => bench.watch(BUSY)?,
                Did::Refused { .. } => return Ok(None),
                other => return Err(Trouble::Unreachable(format!("asked for an update, the device did not answer: {other:?}"))),
            }
        }
    }

    /// Whether a sight is on the way to this server.
    pub fn here(&self, s: &Seen) -> bool {
        Some(s.host.as_str()) == self.com.host.as_deref() && s.port == self.com.port
    }

    /// How often the device asked for the manifest since the sights were forgotten, and how often for something else: the image.
    pub fn requests(&self, bench: &Bench) -> (usize, usize) {
        let targets = bench.sights().iter().filter(|s| self.here(s));
        let targets = targets
            .filter_map(|s| if let Sight::Request { target, .. } = &s.sight { Some(target.split('?').next().unwrap_or(target)) } else { None });
        let (manifests, rest): (Vec<&str>, Vec<&str>) = targets.partition(|t| *t == self.bind.manifest);
        (manifests.len(), rest.len())
    }

    /// Has the device fetch what the server offers, and waits for what comes of it.
    pub fn fetch(&self, bench: &mut Bench) -> Result<Fetched, Trouble> {
        bench.net_up()?;
        bench.forget_sights()?;
        let patience = self.next_look() + self.install_time();
        let Some(within) = self.ask(bench, self.bind.install.as_ref().or(self.bind.look.as_ref()), patience)? else {
            return Ok(Fetched::Kept { asked: false });
        };
        self.await_restart(bench, within)
    }

    /// Waits for a restart.
    pub fn await_restart(&self, bench: &mut Bench, within: Duration) -> Result<Fetched, Trouble> {
        let boot = bench.try_ready(within)?;
        bench.watch(Duration::ZERO)?;
        bench.watch(Duration::ZERO)?;
        Ok(match boot {
            Some(boot) => Fetched::Restarted(boot),
            None if bench.boot_seen().boots > 0 => Fetched::Dead(path::last_words(bench)),
            None => Fetched::Kept { asked: self.requests(bench) != (0, 0) },
        })
    }

    /// The positive control: a genuine newer image is fetched, runs, and stays. Every shortfall is [`Trouble::NoOpportunity`].
    pub fn control(&self, bench: &mut Bench, lab: &mut Lab, image: &Genuine) -> Result<(), Trouble> {
        self.put(bench, image)?;
        let fetched = self.fetch(bench)?;
        self.settled(bench, lab, image, &fetched)
    }

    /// That a genuine image runs now and stays.
    pub fn settled(&self, bench: &mut Bench, lab: &mut Lab, image: &Genuine, fetched: &Fetched) -> Result<(), Trouble> {
        let lost = |what: String| Trouble::NoOpportunity(format!("the genuine image {} was not installed from the server: {what}", image.version));
        match fetched {
            Fetched::Restarted(_) => {}
            Fetched::Kept { asked: false } => return Err(lost("the device did not ask the server".to_owned())),
            Fetched::Kept { asked: true } => return Err(lost(format!("no restart in the declared time; {}", self.outcome(bench)?))),
            Fetched::Dead(words) => return Err(lost(words.clone())),
        }
        let running = path::running(bench)?;
        if !image.runs(&running) {
            return Err(lost(format!("{running} runs")));
        }
        self.settle(bench)?;
        lab.rebase(bench, image)
    }

    /// The control after the offers, as [`Lab::control_again`].
    pub fn control_again(&self, bench: &mut Bench, lab: &mut Lab, image: &Genuine) -> Result<Option<String>, Trouble> {
        let first = match self.control(bench, lab, image) {
            Ok(()) => return Ok(None),
            Err(Trouble::NoOpportunity(first)) => first,
            Err(other) => return Err(other),
        };
        match self.control(bench, lab, image) {
            Ok(()) => Err(Trouble::NoOpportunity(format!("the genuine image went in again only at the second try; at first: {first}"))),
            Err(Trouble::NoOpportunity(second)) => Ok(Some(format!("afterwards, at two tries: {second}"))),
            Err(other) => Err(other),
        }
    }

    /// Gives a new image the time in which the device makes it stay.
    fn settle(&self, bench: &mut Bench) -> Result<(), Trouble> {
        bench.net_up()?;
        if !bench.can_ask("slot-state") {
            return bench.watch(self.install_time());
        }
        let end = bench.now() + self.install_time();
        while bench.ask("slot-state")? != "confirmed" {
            if bench.now() >= end {
                return Err(Trouble::NoOpportunity("the new image was not confirmed in the declared time".to_owned()));
            }
            bench.watch(BUSY)?;
        }
        Ok(())
    }

    /// What the device says of its last look, in words; empty where the dossier gives no way to ask.
    pub fn outcome(&self, bench: &mut Bench) -> Result<String, Trouble> {
        let Some(action) = &self.bind.outcome else { return Ok(String::new()) };
        Ok(match bench.perform(action, &[])? {
            Did::Done { value: Some(word), .. } => format!("the device says `{word}`"),
            other => format!("{other:?}"),
        })
    }
}

/// SHA-256, hex.
pub(super) fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// The version as manifests spell it: without a build number of 0.
pub(super) fn dotted(image: &Genuine) -> String {
    let text = image.version.to_string();
    text.strip_suffix("+0").unwrap_or(&text).to_owned()
}
