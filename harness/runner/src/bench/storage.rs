//! The flash from outside, and the device's state as a vector.

use super::Bench;
use crate::check::Capability;
use crate::sink::digest;
use crate::text::hex;
use crate::trouble::Trouble;
use proofbench_channel::{Answer, ErrorKind, Wait};
use proofbench_model::bind::Region;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What the device says of itself: every question of the dossier, the update path's slots, digests of the stores it can read back.
pub type StateVector = BTreeMap<String, String>;

/// Entries that differ, as `name: before -> after`. Boot id and reset cause are left out: they are meant to change.
pub fn state_changes(before: &StateVector, after: &StateVector) -> Vec<String> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let text = |v: Option<&String>| v.map_or("(absent)".to_owned(), Clone::clone);
    names
        .into_iter()
        .filter(|n| *n != "boot-id" && *n != "reset-cause" && before.get(*n) != after.get(*n))
        .map(|n| format!("{n}: {} -> {}", text(before.get(n)), text(after.get(n))))
        .collect()
}

/// Medium that a reader may have at most; a reader that claims more is not believed.
const MEDIUM_MOST: u64 = 256 * 1024 * 1024;
/// How long one read of the whole medium may take.
const READ: Duration = Duration::from_secs(600);
/// Pieces in which an image is looked for when it stands nowhere whole (a swap was interrupted).
const PIECE: usize = 512;

impl Bench {
    /// T-STATE: everything that the dossier lets us ask. Secrets are not in it: stores of kind `secret` are left out.
    pub fn state_vector(&mut self) -> Result<StateVector, Trouble> {
        let mut vector = StateVector::new();
        let names: Vec<String> = self.bind().ask.keys().cloned().collect();
        for name in names {
            let value = self.ask(&name)?;
            vector.insert(name, value);
        }
        if self.has(Capability::UpdatePath) {
            let wait = self.wait(super::ADAPTER);
            let text = match self.update()?.state(&wait) {
                // A path that lists nothing says as little as no path.
                Err(e) if e.kind == ErrorKind::Unsupported => None,
                Err(e) => return Err(e.into()),
                Ok(Answer::Accepted(images)) => {
                    let parts = images.iter().map(|i| {
                        let flags = [(i.active, "active"), (i.confirmed, "confirmed"), (i.pending, "pending"), (i.permanent, "permanent")];
                        let flags: Vec<&str> = flags.iter().filter_map(|(on, name)| on.then_some(*name)).collect();
                        format!("slot {} {} {} {}", i.slot, i.version, hex(&i.hash), flags.join(" "))
                    });
                    Some(parts.collect::<Vec<_>>().join("; "))
                }
                Ok(Answer::Refused(why)) => Some(format!("refused: {why}")),
                Ok(Answer::Silent) => return Err(Trouble::Unreachable("no answer on the update path".to_owned())),
            };
            vector.extend(text.map(|text| ("update".to_owned(), text)));
        }
        let stores: Vec<_> = [10, 21]
            .iter()
            .flat_map(|t| self.dossier.ixit.rows(*t))
            .filter_map(|row| row.store().filter(|s| s.kind != "secret").and_then(|s| s.get.clone()).map(|get| (row.id.to_string(), get)))
            .collect();
        for (name, get) in stores {
            let text = match self.perform(&get, &[])? {
                super::Did::Done { value, text } => value.unwrap_or(text),
                super::Did::Refused { text } => format!("refused: {text}"),
                super::Did::Silent => return Err(Trouble::Unreachable(format!("no answer when reading {name}"))),
            };
            vector.insert(format!("store {name}"), digest(text.as_bytes()).0);
        }
        Ok(vector)
    }

    /// Reads the whole flash from outside. The device is switched off first and left off. The reader has to prove itself: one of the maker's images must
    /// stand in a slot region (or most of its pieces somewhere, if a swap is unfinished), and a second read must agree.
    pub fn dump(&mut self) -> Result<Vec<u8>, Trouble> {
        if !self.has(Capability::Storage) {
            return Err(Trouble::Capability(Capability::Storage));
        }
        self.power_off()?;
        let bytes = self.read_medium()?;
        self.reader_control(&bytes)?;
        Ok(bytes)
    }

    pub(crate) fn read_medium(&mut self) -> Result<Vec<u8>, Trouble> {
        let wait = self.wait(READ);
        let storage = self.storage()?;
        let len = storage.len();
        if len == 0 || len > MEDIUM_MOST {
            return Err(Trouble::RigFault(format!("the flash reader claims a medium of {len} bytes")));
        }
        let mut bytes = vec![0; usize::try_from(len).map_err(|_| Trouble::RigFault("medium larger than memory".to_owned()))?];
        storage.read(0, &mut bytes, &wait)?;
        Ok(bytes)
    }

    /// The control of a flash reader. The device has no power.
    pub(crate) fn reader_control(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let slots: Vec<Region> = self.bind().regions.iter().filter(|(n, _)| n.starts_with("slot")).map(|(_, r)| *r).collect();
        if slots.is_empty() {
            return Err(Trouble::IxitMissing("[bind.regions] slot0 of device.toml: the flash reader has no control without it".to_owned()));
        }
        let names: Vec<String> = self.dossier.images().into_iter().map(str::to_owned).collect();
        if names.is_empty() {
            return Err(Trouble::IxitMissing("images of the maker: the flash reader has no control without them".to_owned()));
        }
        let mut images: Vec<Arc<[u8]>> = Vec::with_capacity(names.len());
        for name in &names {
            images.push(self.image_shared(name)?);
        }
        if !images.iter().any(|image| stands_in(bytes, &slots, image)) && !images.iter().any(|image| in_pieces(bytes, image)) {
            return Err(Trouble::RigFault("the flash reader's control failed: none of the maker's images is in what it read".to_owned()));
        }
        let first = slots[0];
        let (Ok(from), Ok(len)) = (usize::try_from(first.offset), usize::try_from(first.len)) else {
            return Err(Trouble::IxitAmbiguous("[bind.regions] slot beyond the medium".to_owned()));
        };
        let Some(once) = bytes.get(from..from.saturating_add(len)) else {
            return Err(Trouble::IxitAmbiguous("[bind.regions] slot beyond the medium".to_owned()));
        };
        let mut again = vec![0; len];
        let wait: Wait = self.wait(READ);
        self.storage()?.read(first.offset, &mut again, &wait)?;
        if again != once {
            return Err(Trouble::RigFault("the flash reader reads the same place differently".to_owned()));
        }
        Ok(())
    }

    /// A named area of a dump.
    pub fn region<'a>(&self, dump: &'a [u8], name: &str) -> Result<&'a [u8], Trouble> {
        let region = self.bind().regions.get(name).ok_or_else(|| Trouble::IxitMissing(format!("[bind.regions] {name} of device.toml")))?;
        let from = usize::try_from(region.offset).unwrap_or(usize::MAX);
        let to = from.saturating_add(usize::try_from(region.len).unwrap_or(usize::MAX));
        dump.get(from..to).ok_or_else(|| Trouble::IxitAmbiguous(format!("[bind.regions] {name} lies beyond the medium")))
    }
}

fn stands_in(bytes: &[u8], slots: &[Region], image: &[u8]) -> bool {
    slots.iter().any(|slot| {
        let from = usize::try_from(slot.offset).unwrap_or(usize::MAX);
        !image.is_empty() && bytes.get(from..).is_some_and(|b| b.starts_with(image))
    })
}

/// Whether more than half of the image's pieces stand somewhere at a multiple of the piece's length. Uniform pieces say nothing.
fn in_pieces(bytes: &[u8], image: &[u8]) -> bool {
    let there: BTreeSet<&[u8]> = bytes.chunks_exact(PIECE).collect();
    let pieces = || image.chunks_exact(PIECE).filter(|p| p.iter().any(|b| *b != p[0]));
    let total = pieces().count();
    total > 0 && pieces().filter(|p| there.contains(p)).count() * 2 > total
}
