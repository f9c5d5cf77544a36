//! The map of `sequential-storage`: one key that is never touched, one that is stored and removed again and again.

use crate::flash::{Chip, Flash};
use crate::image::{Image, mix};
use crate::medium::Medium;
use crate::port::{Port, at_once};
use crate::subject::{Failed, Finding, Judged, Oracle, Step, Subject, World};
use std::fmt::Debug;
use std::marker::PhantomData;

/// Bytes of a page. Small, so that pages close and are erased within a few stores; the newer crate asks for a header and three words at least.
const PAGE: usize = 64;
/// Bytes of a value.
const LEN: usize = 8;
/// The key whose value never changes.
const KEPT: u8 = 7;
/// The key that is worked on.
const WORKED: u8 = 1;
/// Different values; an attempt that power ended is followed by one with the next value.
const VALUES: World = 2;
/// "Removed" or "never stored", in the place of the number of a value.
const NOTHING: World = 0xff;

/// The calls of one release. Every call makes a new object without a cache, as after a power-on.
pub trait MapCrate {
    /// Name and version.
    const NAME: &'static str;
    /// The value of a key.
    fn fetch<const W: usize>(flash: &Flash, key: u8) -> Result<Option<Vec<u8>>, Failed>;
    /// Stores a value.
    fn store<const W: usize>(flash: &Flash, key: u8, value: &[u8]) -> Result<(), Failed>;
    /// Removes a key.
    fn remove<const W: usize>(flash: &Flash, key: u8) -> Result<(), Failed>;
}

/// `sequential-storage` 8.0.2.
#[derive(Debug)]
pub struct New;
/// `sequential-storage` 5.0.1.
#[derive(Debug)]
pub struct Old;

pub(super) fn told<T, E: Debug>(what: &str, done: Result<Result<T, E>, String>) -> Result<T, Failed> {
    match done {
        Ok(Ok(out)) => Ok(out),
        Ok(Err(error)) if format!("{error:?}") == "FullStorage" => Err(Failed::Full),
        Ok(Err(error)) => Err(Failed::new(format!("{what} said {error:?}"))),
        Err(waits) => Err(Failed::new(format!("{what}: {waits}"))),
    }
}

type NewMap<const W: usize> = sequential_storage::map::MapStorage<u8, Port<W, PAGE>, NewCache>;
type NewCache = sequential_storage::cache::Cache<
    sequential_storage::cache::Uncached,
    sequential_storage::cache::Uncached,
    sequential_storage::cache::Uncached,
    u8,
>;

impl New {
    fn open<const W: usize>(flash: &Flash) -> NewMap<W> {
        let config = sequential_storage::map::MapConfig::new(0..flash.chip().size as u32);
        sequential_storage::map::MapStorage::new(Port::whole(flash), config, sequential_storage::cache::Cache::new_uncached())
    }
}

impl MapCrate for New {
    const NAME: &'static str = "sequential-storage-8.0.2";
    fn fetch<const W: usize>(flash: &Flash, key: u8) -> Result<Option<Vec<u8>>, Failed> {
        let mut buffer = [0; PAGE];
        let found = at_once(async { Self::open::<W>(flash).fetch_item::<&[u8]>(&mut buffer, &key).await.map(|v| v.map(<[u8]>::to_vec)) });
        told("fetch", found)
    }
    fn store<const W: usize>(flash: &Flash, key: u8, value: &[u8]) -> Result<(), Failed> {
        told("store", at_once(async { Self::open::<W>(flash).store_item::<&[u8]>(&mut [0; PAGE], &key, &value).await }))
    }
    fn remove<const W: usize>(flash: &Flash, key: u8) -> Result<(), Failed> {
        told("remove", at_once(async { Self::open::<W>(flash).remove_item(&mut [0; PAGE], &key).await }))
    }
}

impl MapCrate for Old {
    const NAME: &'static str = "sequential-storage-5.0.1";
    fn fetch<const W: usize>(flash: &Flash, key: u8) -> Result<Option<Vec<u8>>, Failed> {
        use sequential_storage_old::{cache::NoCache, map::fetch_item};
        let (mut port, mut buffer) = (Port::<W, PAGE>::whole(flash), [0; PAGE]);
        let found = at_once(async {
            let item = fetch_item::<u8, &[u8], _>(&mut port, 0..flash.chip().size as u32, &mut NoCache::new(), &mut buffer, &key).await;
            item.map(|v| v.map(<[u8]>::to_vec))
        });
        told("fetch", found)
    }
    fn store<const W: usize>(flash: &Flash, key: u8, value: &[u8]) -> Result<(), Failed> {
        use sequential_storage_old::{cache::NoCache, map::store_item};
        let mut port = Port::<W, PAGE>::whole(flash);
        let range = 0..flash.chip().size as u32;
        told("store", at_once(async { store_item(&mut port, range, &mut NoCache::new(), &mut [0; PAGE], &key, &value).await }))
    }
    fn remove<const W: usize>(flash: &Flash, key: u8) -> Result<(), Failed> {
        use sequential_storage_old::{cache::NoCache, map::remove_item};
        let mut port = Port::<W, PAGE>::whole(flash);
        let range = 0..flash.chip().size as u32;
        told("remove", at_once(async { remove_item(&mut port, range, &mut NoCache::new(), &mut [0; PAGE], &key).await }))
    }
}

/// A map of one release under stores, and removals if asked.
pub struct Map<C, const W: usize> {
    medium: Medium,
    pages: usize,
    removes: bool,
    /// Acknowledged pieces of work after which an exploration ends.
    stores: World,
    seed: u64,
    code: PhantomData<C>,
}

/// Word and number of pages out of `w4x3`.
pub(super) fn geometry(name: &str) -> Option<(&str, usize)> {
    let (word, pages) = name.split_once('x')?;
    Some((word, pages.parse().ok().filter(|n| (2..=64).contains(n))?))
}

/// The map subject of this name.
pub fn by_name(store: &str, work: &str, medium: Medium, words: &str, seed: u64) -> Option<Box<dyn Subject>> {
    let (kind, stores) = work.split_once('-')?;
    let (removes, stores) = (kind == "remove", stores.parse().ok().filter(|n| (1..1000).contains(n))?);
    if !removes && kind != "store" {
        return None;
    }
    let (words, pages) = geometry(words)?;
    Some(match (store, words) {
        ("sequential-storage-8.0.2", "w1") => Box::new(Map::<New, 1> { medium, pages, removes, stores, seed, code: PhantomData }),
        ("sequential-storage-8.0.2", "w4") => Box::new(Map::<New, 4> { medium, pages, removes, stores, seed, code: PhantomData }),
        ("sequential-storage-5.0.1", "w1") => Box::new(Map::<Old, 1> { medium, pages, removes, stores, seed, code: PhantomData }),
        ("sequential-storage-5.0.1", "w4") => Box::new(Map::<Old, 4> { medium, pages, removes, stores, seed, code: PhantomData }),
        _ => return None,
    })
}

/// A value for a reader.
pub(super) fn shown(value: &Option<Vec<u8>>) -> String {
    value.as_ref().map_or_else(|| "nothing".to_owned(), |bytes| bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// What a fetch gave, for a reader.
fn fetched(found: &Result<Option<Vec<u8>>, Failed>) -> String {
    found.as_ref().map_or_else(Failed::to_string, shown)
}

/// What was acknowledged last, what was tried last, and how often anything was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    held: World,
    tried: World,
    stores: World,
}

impl Told {
    fn of(world: World) -> Self {
        Self { held: world & 0xff, tried: (world >> 8) & 0xff, stores: world >> 16 }
    }
    fn world(self) -> World {
        self.held | (self.tried << 8) | (self.stores << 16)
    }
}

impl<C: MapCrate, const W: usize> Map<C, W> {
    fn value(&self, n: World) -> Option<Vec<u8>> {
        (n != NOTHING).then(|| mix(self.seed.wrapping_mul(1000) + n).to_le_bytes()[..LEN].to_vec())
    }

    /// What is tried after `tried`: the next value, with a removal at the end of each round if the subject removes.
    fn after(&self, tried: World) -> World {
        match tried {
            NOTHING => 0,
            n if n + 1 < VALUES => n + 1,
            _ if self.removes => NOTHING,
            _ => 0,
        }
    }

    fn further(&self, flash: &Flash, kept: &Option<Vec<u8>>) -> Option<Finding> {
        let value = mix(self.seed ^ 0xf00d).to_le_bytes().to_vec();
        let stored = C::store::<W>(flash, WORKED, &value);
        let found = C::fetch::<W>(flash, WORKED);
        if stored.is_err() || found != Ok(Some(value)) {
            return Some(Finding::new(Oracle::FurtherWrite, format!("a further store gave {stored:?}, and then the key holds {}", fetched(&found))));
        }
        let others = C::fetch::<W>(flash, KEPT);
        (others.as_ref().ok() != Some(kept))
            .then(|| Finding::new(Oracle::Others, format!("after a further store the untouched key holds {}", fetched(&others))))
    }
}

impl<C: MapCrate, const W: usize> Subject for Map<C, W> {
    fn name(&self) -> String {
        let work = if self.removes { "remove" } else { "store" };
        format!("{}/{work}-{}/{}/w{W}x{}/seed={}", C::NAME, self.stores, self.medium.name, self.pages, self.seed)
    }
    fn chip(&self) -> Chip {
        Chip { medium: self.medium, word: W, page: PAGE, size: PAGE * self.pages }
    }
    fn start(&self) -> Result<(Image, World), Failed> {
        let flash = Flash::new(self.chip(), self.chip().erased());
        C::store::<W>(&flash, KEPT, &self.value(200).unwrap_or_default())?;
        Ok((flash.image(), Told { held: NOTHING, tried: NOTHING, stores: 0 }.world()))
    }
    fn recover(&self, flash: &Flash) -> Result<(), Failed> {
        C::fetch::<W>(flash, WORKED).map(|_| ())
    }
    fn judge(&self, flash: &Flash, world: World) -> Judged {
        let told = Told::of(world);
        let kept = self.value(200);
        let found = C::fetch::<W>(flash, WORKED);
        let mut findings = Vec::new();
        let others = C::fetch::<W>(flash, KEPT);
        if others.as_ref().ok() != Some(&kept) {
            findings.push(Finding::new(Oracle::Others, format!("the untouched key holds {}; legal is {}", fetched(&others), shown(&kept))));
        }
        let legal = [told.held, told.tried];
        let seen = legal.into_iter().find(|n| found.as_ref().ok() == Some(&self.value(*n)));
        let Some(held) = seen else {
            let detail = format!("the key holds {}; legal are {}", fetched(&found), legal.map(|n| shown(&self.value(n))).join(" and "));
            let class = match &found {
                Ok(None) => "nothing",
                Ok(Some(_)) => "a third value",
                Err(_) => "an error",
            };
            findings.push(Finding { oracle: Oracle::OldOrNew, class: class.to_owned(), detail });
            return Judged { findings, world: None };
        };
        findings.extend(self.further(flash, &kept));
        let stores = told.stores + World::from(told.held != held);
        let world = findings.is_empty().then_some(Told { held, tried: told.tried, stores }.world());
        Judged { findings, world }
    }
    fn tell(&self, flash: &Flash) -> String {
        C::fetch::<W>(flash, WORKED).map_or_else(|failed| failed.to_string(), |value| shown(&value))
    }
    fn next(&self, world: World) -> Option<Step> {
        let told = Told::of(world);
        let tried = self.after(told.tried);
        let in_flight = Told { tried, ..told }.world();
        (told.stores < self.stores).then_some(Step { in_flight, done: Told { held: tried, tried, stores: told.stores + 1 }.world() })
    }
    fn act(&self, flash: &Flash, world: World) -> Result<(), Failed> {
        match self.value(self.after(Told::of(world).tried)) {
            Some(value) => C::store::<W>(flash, WORKED, &value),
            None => C::remove::<W>(flash, WORKED),
        }
    }
}
