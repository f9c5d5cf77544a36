//! What an update check starts from: the maker's images, the one that runs, and the proof that a genuine one gets in by this path.

use super::MISUSE;
use super::path::{self, Restarted, Running, Step};
use crate::report::Report;
use proofbench_image::{Format, Image, Version};
use proofbench_model::bind::UpdBind;
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Trouble};
use sha2::{Digest, Sha256};

/// A genuine image of the dossier, checked against what the dossier says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Genuine {
    /// Version, from its header.
    pub version: Version,
    /// Security counter that it carries.
    pub counter: u32,
    /// Hash by which the update path names it.
    pub hash: Vec<u8>,
    /// The file.
    pub bytes: Vec<u8>,
}

impl Genuine {
    /// Reads a file of the maker, of the format that the binding names. What the files of a format that is not read hold is what the binding says.
    pub fn load(bench: &mut Bench, bind: &UpdBind, file: &str) -> Result<Self, Trouble> {
        match format(bind)? {
            Format::Mcuboot => Self::read(bench, file),
            Format::Opaque => {
                let said = bind.images.iter().chain(&bind.others).find(|i| i.file == file);
                let said = said.ok_or_else(|| Trouble::IxitMissing(format!("[UpdMech.bind] others: version and counter of {file}")))?;
                let version = said.version.parse();
                let version = version.map_err(|_| Trouble::IxitAmbiguous(format!("{file}: `{}` is no version such as 1.2.0", said.version)))?;
                let bytes = bench.image(file)?;
                Ok(Self { version, counter: said.counter, hash: Sha256::digest(&bytes).to_vec(), bytes })
            }
        }
    }

    /// Reads an MCUboot image. The laboratory has no key of the maker, but a hash that does not fit shows a damaged dossier.
    fn read(bench: &mut Bench, file: &str) -> Result<Self, Trouble> {
        let bytes = bench.image(file)?;
        let image = Image::parse(&bytes).map_err(|e| Trouble::IxitAmbiguous(format!("{file} is no image: {e}")))?;
        if !image.intact() {
            return Err(Trouble::IxitAmbiguous(format!("{file} is damaged: its hash does not fit")));
        }
        let (version, counter, hash) = (image.header.version, image.counter().unwrap_or(0), image.digest().to_vec());
        Ok(Self { version, counter, hash, bytes })
    }

    /// Whether this is what runs, by every word of the device.
    pub fn runs(&self, running: &Running) -> bool {
        let version = self.version.to_string();
        let hash = running.hash.is_empty() || running.hash == self.hash;
        hash && running.version == version && running.calls_itself(&version)
    }
}

/// The format of a binding's files.
pub(super) fn format(bind: &UpdBind) -> Result<Format, Trouble> {
    Format::named(&bind.format).ok_or_else(|| Trouble::IxitAmbiguous(format!("`{}` is no format of images", bind.format)))
}

/// A device ready for update checks.
pub(super) struct Lab {
    /// The binding of the row that is judged.
    pub bind: UpdBind,
    /// The maker's images, oldest first.
    pub images: Vec<Genuine>,
    /// What ran when the check began.
    pub baseline: Running,
    /// The image that is that.
    pub delivered: Genuine,
    /// Anti-rollback counter when the check began, where the device tells it.
    pub counter: Option<u32>,
}

impl Lab {
    /// Takes stock. The device must run one of the maker's images, confirmed, and say so on every channel.
    pub fn open(bench: &mut Bench, row: &Row) -> Result<Self, Trouble> {
        let bind = row.upd().cloned().ok_or_else(|| Trouble::IxitMissing(format!("binding of row {}", row.id)))?;
        let mut images = Vec::new();
        for file in &bind.images {
            let image = Genuine::load(bench, &bind, &file.file)?;
            if image.version.to_string() != path::spelled(&file.version) || image.counter != file.counter {
                let says = format!("version {} counter {}", file.version, file.counter);
                let is = format!("version {} counter {}", image.version, image.counter);
                return Err(Trouble::IxitAmbiguous(format!("row {}: {} is declared as {says} and holds {is}", row.id, file.file)));
            }
            images.push(image);
        }
        if !images.is_sorted_by(|a, b| a.version < b.version) {
            return Err(Trouble::IxitAmbiguous(format!("row {}: its images are not in order of their versions", row.id)));
        }
        let baseline = path::running(bench)?;
        let Some(delivered) = images.iter().find(|i| i.runs(&baseline)).cloned() else {
            return Err(Trouble::Precondition(format!("what runs, {baseline}, is none of the images of the dossier")));
        };
        if bench.can_ask("slot-state") {
            let state = bench.ask("slot-state")?;
            if state != "confirmed" {
                return Err(Trouble::Precondition(format!("the image that runs is `{state}` and not confirmed")));
            }
        }
        let counter = counter(bench)?;
        Ok(Self { bind, images, baseline, delivered, counter })
    }

    /// Genuine images that may be installed over `over`: newer, and not below its counter; oldest first.
    pub fn newer_than(&self, over: &Genuine) -> Vec<Genuine> {
        let floor = over.counter.max(self.counter.unwrap_or(0));
        self.images.iter().filter(|i| i.version > over.version && i.counter >= floor).cloned().collect()
    }

    /// The next genuine image.
    pub fn next(&self) -> Result<Genuine, Trouble> {
        let next = self.newer_than(&self.delivered).into_iter().next();
        next.ok_or_else(|| Trouble::Precondition(format!("the dossier has no image newer than {}, which runs", self.baseline)))
    }

    /// The positive control: a genuine newer image goes in by this path and runs; then the device goes back to what it ran before, so that the control
    /// uses nothing up. Where no trial is declared it stays, and becomes the baseline.
    pub fn control(&mut self, bench: &mut Bench, image: &Genuine) -> Result<(), Trouble> {
        self.try_image(bench, image)?;
        if !self.bind.trial {
            return self.rebase(bench, image);
        }
        self.go_back(bench)
    }

    /// The control with the next genuine image.
    pub fn control_next(&mut self, bench: &mut Bench) -> Result<(), Trouble> {
        let next = self.next()?;
        self.control(bench, &next)
    }

    /// The control after the offers: the same genuine image, by the same path. `Some` says in words that it no longer goes in, at two tries, although it
    /// did before: the offers had a lasting effect. A single failure is a disturbance and decides nothing.
    pub fn control_again(&mut self, bench: &mut Bench, image: &Genuine) -> Result<Option<String>, Trouble> {
        let first = match self.control(bench, image) {
            Ok(()) => return Ok(None),
            Err(Trouble::NoOpportunity(first)) => first,
            Err(other) => return Err(other),
        };
        match self.control(bench, image) {
            Ok(()) => Err(Trouble::NoOpportunity(format!("the genuine image went in again only at the second try; at first: {first}"))),
            Err(Trouble::NoOpportunity(second)) => Ok(Some(format!("afterwards, at two tries: {second}"))),
            Err(other) => Err(other),
        }
    }

    /// The end of a check on 5.3-2-2 b that has found nothing wrong: the control once more, then the observation.
    pub fn conclude(&mut self, bench: &mut Bench, report: &mut Report, image: &Genuine, expected: &str, observed: &str) -> Result<(), Trouble> {
        match self.control_again(bench, image)? {
            Some(what) => report.violated(bench, MISUSE, expected, &what),
            None => report.satisfied(bench, MISUSE, expected, observed),
        }
        Ok(())
    }

    /// Uploads, marks for trial, restarts; the image must run. Every shortfall is [`Trouble::NoOpportunity`] with the step's answer.
    pub fn try_image(&self, bench: &mut Bench, image: &Genuine) -> Result<(), Trouble> {
        let lost = |step: &str, answer: &dyn std::fmt::Display| {
            Trouble::NoOpportunity(format!("the genuine image {} did not get in: {step}: {answer}", image.version))
        };
        match path::upload(bench, &image.bytes)? {
            Step::Done => {}
            other => return Err(lost("upload", &other)),
        }
        match path::mark(bench, Some(&image.hash), false)? {
            Step::Done => {}
            other => return Err(lost("mark for trial", &other)),
        }
        match path::restart(bench)? {
            Restarted::Ready(_) => {}
            Restarted::NotReady(words) => return Err(lost("restart", &words)),
        }
        let running = path::running(bench)?;
        if !image.runs(&running) {
            return Err(lost("after the restart", &format!("{running} runs")));
        }
        Ok(())
    }

    /// Restarts without confirming, until the baseline runs again.
    pub fn go_back(&self, bench: &mut Bench) -> Result<(), Trouble> {
        if let Restarted::NotReady(words) = path::restart(bench)? {
            return Err(Trouble::Precondition(format!("not ready after a trial that nobody confirmed: {words}")));
        }
        let running = path::running(bench)?;
        if running != self.baseline {
            return Err(Trouble::Precondition(format!("a trial that nobody confirmed did not end: {running} runs, not {}", self.baseline)));
        }
        Ok(())
    }

    /// Tries an image and keeps it: the baseline from now on. Raises the anti-rollback counter for good where the device has one.
    pub fn install(&mut self, bench: &mut Bench, image: &Genuine) -> Result<(), Trouble> {
        self.try_image(bench, image)?;
        match path::mark(bench, None, true)? {
            Step::Done => {}
            other => return Err(Trouble::NoOpportunity(format!("the genuine image {} could not be confirmed: {other}", image.version))),
        }
        if let Restarted::NotReady(words) = path::restart(bench)? {
            return Err(Trouble::NoOpportunity(format!("the genuine image {} did not start again after it was confirmed: {words}", image.version)));
        }
        self.rebase(bench, image)
    }

    /// The image runs: it is the baseline from now on.
    pub fn rebase(&mut self, bench: &mut Bench, image: &Genuine) -> Result<(), Trouble> {
        let running = path::running(bench)?;
        if !image.runs(&running) {
            return Err(Trouble::NoOpportunity(format!("{running} runs and not the genuine image {}", image.version)));
        }
        self.baseline = running;
        self.delivered = image.clone();
        self.counter = counter(bench)?;
        Ok(())
    }
}

/// The anti-rollback counter, where the device tells it.
pub(super) fn counter(bench: &mut Bench) -> Result<Option<u32>, Trouble> {
    if !bench.can_ask("counter") {
        return Ok(None);
    }
    let text = bench.ask("counter")?;
    text.parse().map(Some).map_err(|_| Trouble::IxitAmbiguous(format!("the question `counter` is answered by `{text}`, which is no number")))
}

/// A counter in words.
pub(super) fn told(counter: Option<u32>) -> String {
    counter.map_or_else(|| "not told".to_owned(), |c| c.to_string())
}
