//! The database `ekv`: transactions of two keys beside one that is never touched.

use super::map::{shown, told};
use crate::flash::{Chip, Flash, FlashError};
use crate::image::{Image, mix};
use crate::medium::Medium;
use crate::port::at_once;
use crate::subject::{Failed, Finding, Judged, Oracle, Step, Subject, World};
use ekv::config::{ALIGN, PAGE_SIZE};
use ekv::flash::PageID;
use ekv::{Config, Database, ReadError};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;

const KEPT: &[u8] = b"kept";
/// Both are written by each transaction, in the order in which the crate wants them.
const PAIR: [&[u8]; 2] = [b"left", b"right"];

/// The flash as `ekv` asks for it.
struct Pages(Flash);

impl Pages {
    fn place(&self, page: PageID, offset: usize) -> usize {
        page.index() * PAGE_SIZE + offset
    }
}

impl ekv::flash::Flash for Pages {
    type Error = FlashError;
    fn page_count(&self) -> usize {
        self.0.chip().size / PAGE_SIZE
    }
    async fn erase(&mut self, page: PageID) -> Result<(), FlashError> {
        let at = self.place(page, 0);
        self.0.erase(at, at + PAGE_SIZE)
    }
    async fn read(&mut self, page: PageID, offset: usize, into: &mut [u8]) -> Result<(), FlashError> {
        self.0.read(self.place(page, offset), into)
    }
    async fn write(&mut self, page: PageID, offset: usize, bytes: &[u8]) -> Result<(), FlashError> {
        self.0.write(self.place(page, offset), bytes)
    }
}

/// The seed is one and the same at each power-on: it only spreads wear, and chance has no place here.
fn open(flash: &Flash) -> Database<Pages, NoopRawMutex> {
    let mut config = Config::default();
    config.random_seed = 0;
    Database::new(Pages(flash.clone()), config)
}

fn read(flash: &Flash, key: &[u8]) -> Result<Option<Vec<u8>>, Failed> {
    let mut buffer = [0; 16];
    let done = at_once(async {
        let database = open(flash);
        let transaction = database.read_transaction().await;
        transaction.read(key, &mut buffer).await
    });
    match done {
        Ok(Ok(len)) => Ok(buffer.get(..len).map(<[u8]>::to_vec)),
        Ok(Err(ReadError::KeyNotFound)) => Ok(None),
        Ok(Err(error)) => Err(Failed::new(format!("read said {error:?}"))),
        Err(waits) => Err(Failed::new(waits)),
    }
}

fn write(flash: &Flash, pairs: &[(&[u8], Vec<u8>)]) -> Result<(), Failed> {
    let done = at_once(async {
        let database = open(flash);
        let mut transaction = database.write_transaction().await;
        for (key, value) in pairs {
            transaction.write(key, value).await.map_err(|e| format!("write: {e:?}"))?;
        }
        transaction.commit().await.map_err(|e| format!("commit: {e:?}"))
    });
    told("a transaction", done)
}

/// What a read gave, for a reader.
fn one(found: &Result<Option<Vec<u8>>, Failed>) -> String {
    found.as_ref().map_or_else(Failed::to_string, shown)
}

/// The value that transaction `n` writes to key number `key` of the pair.
fn value(n: World, key: usize) -> Vec<u8> {
    mix(n * 2 + key as u64).to_le_bytes().to_vec()
}

fn pair(n: World) -> Vec<(&'static [u8], Vec<u8>)> {
    PAIR.iter().enumerate().map(|(i, key)| (*key, value(n, i))).collect()
}

/// A database under transactions.
#[derive(Debug, Clone, Copy)]
pub struct Transactions {
    medium: Medium,
    number: World,
    pages: usize,
}

/// The database subject of this name.
pub fn by_name(work: &str, medium: Medium, pages: &str) -> Option<Box<dyn Subject>> {
    let number = work.strip_prefix("transactions-")?.parse().ok().filter(|n| (1..1000).contains(n))?;
    let pages = pages.strip_prefix('p')?.parse().ok().filter(|n| (8..=16).contains(n))?;
    Some(Box::new(Transactions { medium, number, pages }))
}

/// World: twice the number of acknowledged transactions, plus one while the next is in flight.
impl Subject for Transactions {
    fn name(&self) -> String {
        format!("ekv-1.0.0/transactions-{}/{}/p{}", self.number, self.medium.name, self.pages)
    }
    fn chip(&self) -> Chip {
        Chip { medium: self.medium, word: ALIGN, page: PAGE_SIZE, size: PAGE_SIZE * self.pages }
    }
    fn start(&self) -> Result<(Image, World), Failed> {
        let flash = Flash::new(self.chip(), self.chip().erased());
        told("format", at_once(async { open(&flash).format().await }))?;
        write(&flash, &[(KEPT, value(500, 0))])?;
        write(&flash, &pair(0))?;
        Ok((flash.image(), 0))
    }
    fn recover(&self, flash: &Flash) -> Result<(), Failed> {
        told("mount", at_once(async { open(flash).mount().await }))
    }
    fn judge(&self, flash: &Flash, world: World) -> Judged {
        let legal = [world / 2, world / 2 + world % 2];
        let found = PAIR.map(|key| read(flash, key));
        let mut findings = Vec::new();
        if read(flash, KEPT) != Ok(Some(value(500, 0))) {
            findings.push(Finding::new(Oracle::Others, format!("the untouched key holds {}", one(&read(flash, KEPT)))));
        }
        let holds = |n: World| found.iter().enumerate().all(|(i, v)| *v == Ok(Some(value(n, i))));
        let Some(now) = legal.into_iter().find(|n| holds(*n)) else {
            let legal = legal.map(|n| [0, 1].map(|i| shown(&Some(value(n, i)))).join(" "));
            let held = found.iter().map(one).collect::<Vec<_>>().join(" ");
            findings.push(Finding::new(Oracle::OldOrNew, format!("the pair holds {held}; legal are {}", legal.join(" and "))));
            return Judged { findings, world: None };
        };
        let further = write(flash, &pair(99));
        if further.is_err() || PAIR.iter().enumerate().any(|(i, key)| read(flash, key) != Ok(Some(value(99, i)))) {
            findings.push(Finding::new(Oracle::FurtherWrite, format!("a further transaction: {further:?}")));
        }
        let world = findings.is_empty().then_some(now * 2);
        Judged { findings, world }
    }
    fn tell(&self, flash: &Flash) -> String {
        PAIR.map(|key| one(&read(flash, key))).join(" ")
    }
    fn next(&self, world: World) -> Option<Step> {
        (world / 2 < self.number).then_some(Step { in_flight: world + 1, done: world + 2 })
    }
    fn act(&self, flash: &Flash, world: World) -> Result<(), Failed> {
        write(flash, &pair(world / 2 + 1))
    }
}
