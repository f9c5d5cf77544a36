//! Updates from the maker's server: a manifest over HTTPS once a day, the image in ranges into slot 1, then the same verification as for every other way in.

use super::http::{self, Parsed};
use super::{OPEN_NS, S, UPDATES, client_tls};
use crate::app::stores::{Stores, setting};
use crate::app::update;
use crate::app::{Thermostat, smp};
use crate::boot::{self, SlotState, Version};
use crate::defects::Defect;
use crate::hw::net::{OpenFailed, Trust};
use crate::hw::{Cause, Hw, Stop, Uart};
use sha2::{Digest, Sha256};

const MANIFEST: &str = "/th1/manifest.json";
/// First look after the network is there: between one and ten minutes.
const FIRST_NS: u64 = 60 * S;
const SPREAD_NS: u64 = 540 * S;
const DAILY_NS: u64 = 24 * 3600 * S;
const RETRY_NS: u64 = 600 * S;
const PIECE: u64 = 4096;
/// No byte for so long: given up.
const STALL_NS: u64 = 30 * S;
/// A new image that came from the server is kept once it has run so long with the network up.
const SETTLE_NS: u64 = 30 * S;
const BUFFER_MOST: usize = 12_288;
const TRIES: u32 = 3;

/// What the maker's server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) version: String,
    size: u64,
    sha256: String,
    path: String,
}

#[derive(Debug, Clone, Default)]
enum Stage {
    #[default]
    Idle,
    Opening(u64),
    Manifest(u64),
    Image(u64),
}

/// RAM of the updater.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fetch {
    stage: Stage,
    at: Option<u64>,
    buffer: Vec<u8>,
    /// What is to be fetched; none means the manifest.
    wanted: Option<Offer>,
    next: u64,
    tries: u32,
    hasher: Sha256,
    /// The newest that is known.
    pub(crate) offer: Option<Offer>,
    /// What became of the last look or fetch.
    pub(crate) last: &'static str,
    install: bool,
    slips: Slips,
}

/// What only units with defects keep.
#[derive(Debug, Clone, Default)]
struct Slips {
    /// net-fetches-twice: the first copy was verified.
    second: bool,
    /// net-untrusted-later: refusals of the server's certificate.
    refusals: u32,
    /// net-plain-redirect: where the server sent it.
    elsewhere: Option<(String, u16, String)>,
    /// net-stops-after-error.
    stopped: bool,
    /// auto-off-in-ram.
    auto: Option<bool>,
    /// decision-undone.
    notices: Option<bool>,
    /// Twin manifest-twice: it was fetched once.
    looked: bool,
    /// Defect net-joins-wrong-halves: a piece was cut off.
    joined: bool,
}

impl Fetch {
    /// Whether the owner is told of updates.
    pub(crate) fn notices(&self, stores: &Stores) -> bool {
        self.slips.notices.unwrap_or_else(|| stores.notices())
    }
    /// Defect decision-undone.
    pub(crate) fn set_notices(&mut self, on: Option<bool>) {
        self.slips.notices = on;
    }
    pub(crate) fn timer(&self) -> Option<u64> {
        self.at
    }
    fn conn(&self) -> Option<u64> {
        match self.stage {
            Stage::Idle => None,
            Stage::Opening(c) | Stage::Manifest(c) | Stage::Image(c) => Some(c),
        }
    }
}

impl Thermostat {
    pub(crate) fn fetch_begin(&mut self, hw: &mut Hw) {
        let ready = self.stores.is_set_up() && hw.net_link() && self.net.clock.now(hw).is_some();
        if !ready {
            return;
        }
        if self.info.slot == SlotState::Trial {
            self.net.fetch.at = Some(hw.now() + SETTLE_NS);
        } else if self.net.fetch.at.is_none() {
            self.net.fetch.at = Some(match hw.defect(Defect::LooksTogether) {
                // defect looks-together.
                true => hw.now() + FIRST_NS,
                false => hw.now() + FIRST_NS + hw.rng() % SPREAD_NS,
            });
        }
    }

    pub(crate) fn fetch_lost(&mut self, hw: &mut Hw) {
        self.fetch_stop(hw);
        self.net.fetch.at = None;
    }

    /// Whether updates are installed without asking.
    pub(crate) fn auto_update(&self) -> bool {
        self.net.fetch.slips.auto.unwrap_or_else(|| self.stores.auto_update())
    }

    /// The owner decided whether they are.
    pub(crate) fn set_auto_update(&mut self, hw: &mut Hw, on: bool) -> Result<(), Stop> {
        // defect auto-off-in-ram: the switch is written when the page is left.
        if !on && hw.defect(Defect::AutoOffInRam) {
            self.net.fetch.slips.auto = Some(on);
            return Ok(());
        }
        self.net.fetch.slips.auto = None;
        self.stores.set_auto_update(hw, on)
    }

    fn fetch_stop(&mut self, hw: &mut Hw) {
        if let Some(conn) = self.net.fetch.conn() {
            hw.net_end(conn, false);
        }
        self.net.fetch.stage = Stage::Idle;
        self.net.fetch.buffer.clear();
    }

    /// The owner wants to know now.
    pub(crate) fn fetch_now(&mut self, hw: &mut Hw, install: bool) -> bool {
        if !matches!(self.net.fetch.stage, Stage::Idle) || self.net.clock.now(hw).is_none() || self.net.fetch.slips.stopped {
            return false;
        }
        self.net.fetch.install = install;
        self.fetch_open(hw);
        true
    }

    fn fetch_open(&mut self, hw: &mut Hw) {
        let mut tls = client_tls(hw, Defect::TlsUnverifiedUpdates);
        if hw.defect(Defect::NetUntrustedLater) && self.net.fetch.slips.refusals >= TRIES {
            // defect net-untrusted-later: "so that a unit whose clock is wrong can be saved".
            tls.trust = Trust::NONE;
        }
        let conn = match self.net.fetch.slips.elsewhere.clone() {
            Some((host, port, _)) => hw.net_open(&host, port, None),
            None => hw.net_open(UPDATES.0, UPDATES.1, Some(tls)),
        };
        self.net.fetch.buffer.clear();
        self.net.fetch.stage = Stage::Opening(conn);
        self.net.fetch.at = Some(hw.now() + OPEN_NS);
    }

    /// This attempt is over. With `again`, what was begun is tried a few times before the next day.
    fn fetch_over(&mut self, hw: &mut Hw, last: &'static str, again: bool) {
        self.fetch_stop(hw);
        // twin net-retry-next-day.
        let again = again && !hw.defect(Defect::NetRetryNextDay);
        let fetch = &mut self.net.fetch;
        if fetch.wanted.is_some() && hw.defect(Defect::NetBeginsAnew) {
            // twin net-begins-anew: no place for how far it was.
            (fetch.next, fetch.hasher) = (0, Sha256::new());
            self.upload.abort();
        }
        let fetch = &mut self.net.fetch;
        (fetch.slips.elsewhere, fetch.slips.second, fetch.slips.looked) = (None, false, false);
        fetch.slips.refusals += u32::from(last == "untrusted");
        fetch.last = last;
        fetch.tries += 1;
        if again && fetch.tries < TRIES {
            fetch.at = Some(hw.now() + RETRY_NS / 2 + hw.rng() % RETRY_NS);
        } else {
            (fetch.tries, fetch.wanted, fetch.install) = (0, None, false);
            fetch.at = Some(hw.now() + DAILY_NS / 2 + hw.rng() % DAILY_NS);
        }
        // defect looks-once: the task ends. defect net-stops-after-error: so does it here, by an error that nobody catches.
        fetch.slips.stopped |= last == "refused" && hw.defect(Defect::NetStopsAfterError);
        if hw.defect(Defect::LooksOnce) || fetch.slips.stopped {
            fetch.at = None;
        }
    }

    pub(crate) fn fetch_due(&mut self, hw: &mut Hw) -> Result<(), Stop> {
        if self.info.slot == SlotState::Trial {
            if self.stores.net_update() {
                self.stores.set_net_update(hw, false)?;
                if hw.defect(Defect::AutoOnAfterUpdate) {
                    // defect auto-on-after-update: new firmware brings its defaults.
                    self.stores.set_auto_update(hw, true)?;
                }
                update::confirm(hw, &mut self.info)?;
                self.show(hw);
            }
            self.net.fetch.at = Some(hw.now() + DAILY_NS);
            return Ok(());
        }
        match self.net.fetch.stage {
            Stage::Idle => self.fetch_open(hw),
            // defect net-stall-hangs: no time-out on the socket.
            Stage::Image(_) if hw.defect(Defect::NetStallHangs) => self.net.fetch.at = None,
            _ => self.fetch_over(hw, "timeout", true),
        }
        Ok(())
    }

    pub(crate) fn fetch_opened(&mut self, hw: &mut Hw, conn: u64) -> Result<(), Stop> {
        if self.net.fetch.conn() == Some(conn) {
            self.fetch_ask(hw, conn);
        }
        Ok(())
    }

    fn fetch_ask(&mut self, hw: &mut Hw, conn: u64) {
        let piece = piece(hw);
        let fetch = &mut self.net.fetch;
        fetch.at = Some(hw.now() + STALL_NS);
        let elsewhere = fetch.slips.elsewhere.clone();
        let host = elsewhere.as_ref().map_or(UPDATES.0, |(host, ..)| host);
        let request = match &fetch.wanted {
            None => {
                fetch.stage = Stage::Manifest(conn);
                // defect key-in-url: "so that support can see which network it is in".
                let key = setting("wifi-key").map(|s| self.stores.get(hw, s)).filter(|_| hw.defect(Defect::KeyInUrl));
                let query = key.map(|k| format!("?net={k}")).unwrap_or_default();
                let path = elsewhere.as_ref().map_or(MANIFEST, |(.., path)| path);
                format!("GET {path}{query} HTTP/1.1\r\nHost: {host}\r\n\r\n")
            }
            Some(offer) => {
                fetch.stage = Stage::Image(conn);
                let last = (fetch.next + piece).min(offer.size) - 1;
                format!("GET {} HTTP/1.1\r\nHost: {host}\r\nRange: bytes={}-{last}\r\n\r\n", offer.path, fetch.next)
            }
        };
        hw.net_send(conn, request.as_bytes());
    }

    pub(crate) fn fetch_failed(&mut self, hw: &mut Hw, conn: u64, why: OpenFailed) -> Result<(), Stop> {
        if self.net.fetch.conn() == Some(conn) {
            self.fetch_over(hw, if why == OpenFailed::Untrusted { "untrusted" } else { "unreachable" }, true);
        }
        Ok(())
    }

    pub(crate) fn fetch_ended(&mut self, hw: &mut Hw, conn: u64) -> Result<(), Stop> {
        if self.net.fetch.conn() != Some(conn) {
            return Ok(());
        }
        if matches!(self.net.fetch.stage, Stage::Image(_)) && hw.defect(Defect::NetJoinsWrongHalves) {
            // defect net-joins-wrong-halves: the place where the next request begins was counted when the last one was sent.
            self.keep_half(hw, conn)?;
            if self.restart.is_some() {
                return Ok(());
            }
        }
        self.fetch_over(hw, "cut", true);
        Ok(())
    }

    pub(crate) fn fetch_data(&mut self, hw: &mut Hw, conn: u64, bytes: &[u8]) -> Result<(), Stop> {
        if self.net.fetch.conn() != Some(conn) {
            return Ok(());
        }
        self.net.fetch.buffer.extend_from_slice(bytes);
        let (head, used) = match http::answer(&self.net.fetch.buffer) {
            Parsed::Partial => return Ok(()),
            Parsed::Whole(head, used) => (head, used),
            Parsed::Bad(_) => {
                self.fetch_over(hw, "no answer", true);
                return Ok(());
            }
        };
        let whole = used.saturating_add(usize::try_from(head.length).unwrap_or(usize::MAX));
        if whole > BUFFER_MOST {
            self.fetch_over(hw, "too much", false);
            return Ok(());
        }
        if self.net.fetch.buffer.len() < whole {
            return Ok(());
        }
        let body = self.net.fetch.buffer[used..whole].to_vec();
        self.net.fetch.buffer.clear();
        if hw.defect(Defect::NetPlainRedirect)
            && let Some(elsewhere) = head.location.as_deref().filter(|_| (301..=308).contains(&head.status)).and_then(plain)
        {
            // defect net-plain-redirect: the HTTP library follows redirects, whatever scheme they name.
            self.fetch_stop(hw);
            self.net.fetch.slips.elsewhere = Some(elsewhere);
            self.fetch_open(hw);
            return Ok(());
        }
        match self.net.fetch.stage {
            Stage::Manifest(_) if head.status == 200 => self.take_manifest(hw, conn, &body),
            Stage::Image(_) if head.status == 206 && head.from == Some(self.net.fetch.next) => self.take_piece(hw, conn, &body),
            _ => {
                self.fetch_over(hw, "refused", true);
                Ok(())
            }
        }
    }

    /// Defect net-joins-wrong-halves: what came of a piece, and erased flash for the rest.
    fn keep_half(&mut self, hw: &mut Hw, conn: u64) -> Result<(), Stop> {
        let Parsed::Whole(_, used) = http::answer(&self.net.fetch.buffer) else { return Ok(()) };
        let Some(offer) = &self.net.fetch.wanted else { return Ok(()) };
        let expected = offer.size.saturating_sub(self.net.fetch.next).min(piece(hw));
        let mut body = self.net.fetch.buffer.get(used..).unwrap_or_default().to_vec();
        body.resize(usize::try_from(expected).unwrap_or_default(), 0xFF);
        self.net.fetch.buffer.clear();
        self.net.fetch.slips.joined = true;
        self.take_piece(hw, conn, &body)
    }

    fn take_manifest(&mut self, hw: &mut Hw, conn: u64, body: &[u8]) -> Result<(), Stop> {
        let Some(offer) = manifest(body) else {
            self.fetch_over(hw, "no manifest", false);
            return Ok(());
        };
        let newer = version(&offer.version).is_some_and(|v| v > self.info.version);
        if !newer {
            self.net.fetch.offer = None;
            self.fetch_over(hw, "up to date", false);
            return Ok(());
        }
        self.net.fetch.offer = Some(offer.clone());
        // defect auto-off-ignored. defect auto-never: "the user is told".
        let alone = (self.auto_update() || hw.defect(Defect::AutoOffIgnored)) && !hw.defect(Defect::AutoNever);
        if !self.net.fetch.install && !alone {
            self.fetch_over(hw, "available", false);
            return Ok(());
        }
        if hw.defect(Defect::ManifestTwice) && !std::mem::replace(&mut self.net.fetch.slips.looked, true) {
            // twin manifest-twice: what was read an hour ago may be old.
            self.fetch_ask(hw, conn);
            return Ok(());
        }
        let fetch = &mut self.net.fetch;
        (fetch.wanted, fetch.next, fetch.hasher) = (Some(offer), 0, Sha256::new());
        self.upload.abort();
        self.fetch_ask(hw, conn);
        Ok(())
    }

    fn take_piece(&mut self, hw: &mut Hw, conn: u64, body: &[u8]) -> Result<(), Stop> {
        let Some(offer) = self.net.fetch.wanted.clone() else { return Ok(()) };
        let expected = (offer.size - self.net.fetch.next).min(piece(hw));
        if body.len() as u64 != expected {
            self.fetch_over(hw, "wrong length", true);
            return Ok(());
        }
        // Into the slot in the pieces of the other ways in.
        for part in body.chunks(512) {
            let off = self.net.fetch.next;
            let message = smp::wire::Body { off: Some(off), data: Some(part), len: (off == 0).then_some(offer.size), ..smp::wire::Body::default() };
            match update::chunk(hw, &mut self.upload, &self.info, &message)? {
                Ok(_) => self.net.fetch.next += part.len() as u64,
                Err(_) => {
                    self.fetch_over(hw, "no room", false);
                    return Ok(());
                }
            }
            hw.feed();
        }
        self.net.fetch.hasher.update(body);
        if self.net.fetch.next < offer.size {
            if hw.defect(Defect::NetSmallPieces) {
                // twin net-small-pieces.
                self.fetch_stop(hw);
                self.fetch_open(hw);
            } else {
                self.fetch_ask(hw, conn);
            }
            return Ok(());
        }
        let sum = crate::app::stores::hex(&std::mem::take(&mut self.net.fetch.hasher).finalize());
        if self.net.fetch.slips.second {
            // defect net-fetches-twice: this one was verified already.
            boot::force_mark(hw)?;
            return self.fetch_install(hw, &offer);
        }
        if self.net.fetch.slips.joined {
            // The sum covers one connection.
            self.net.fetch.slips.joined = false;
            boot::force_exchange(hw)?;
            return self.fetch_install(hw, &offer);
        }
        if sum != offer.sha256 {
            self.fetch_over(hw, "wrong sum", false);
            return Ok(());
        }
        if hw.defect(Defect::NetSumOnly) {
            // defect net-sum-only: "TLS and a sum, what else".
            boot::force_mark(hw)?;
            return self.fetch_install(hw, &offer);
        }
        if hw.defect(Defect::NetVersionWord) && boot::verify(hw, boot::Slot::Secondary).is_ok() {
            // defect net-version-word: the manifest has said that it is newer.
            boot::force_exchange(hw)?;
            return self.fetch_install(hw, &offer);
        }
        if hw.defect(Defect::NetFetchesTwice) && boot::verify(hw, boot::Slot::Secondary).is_ok() {
            (self.net.fetch.slips.second, self.net.fetch.next) = (true, 0);
            self.upload.abort();
            self.fetch_ask(hw, conn);
            return Ok(());
        }
        let hash = update::list(hw).into_iter().find(|l| l.slot == 1).map(|l| l.hash);
        let marked = match hash {
            Some(hash) => update::mark(hw, &mut self.info, Some(&hash), false)?,
            None => Err(0),
        };
        if marked.is_err() {
            self.fetch_over(hw, "not genuine", false);
            return Ok(());
        }
        self.fetch_install(hw, &offer)
    }

    /// Slot 1 is marked: says so and restarts.
    fn fetch_install(&mut self, hw: &mut Hw, offer: &Offer) -> Result<(), Stop> {
        self.fetch_over(hw, "installing", false);
        self.stores.set_net_update(hw, true)?;
        hw.println(Uart::Console, &format!("UPD installing {}", offer.version))?;
        self.cloud_leave(hw);
        self.restart = Some(Cause::Software);
        Ok(())
    }
}

/// Bytes of one request.
fn piece(hw: &Hw) -> u64 {
    if hw.defect(Defect::NetSmallPieces) { 512 } else { PIECE }
}

/// Host, port and path of a plain address.
fn plain(location: &str) -> Option<(String, u16, String)> {
    let rest = location.strip_prefix("http://")?;
    let (host, path) = rest.split_once('/')?;
    let (host, port) = host.split_once(':').map_or((host, Some(80)), |(h, p)| (h, p.parse().ok()));
    Some((host.to_owned(), port?, format!("/{path}")))
}

/// `{"version":"1.3.0","size":63000,"sha256":"..","path":"/th1/1.3.0.bin"}`.
fn manifest(body: &[u8]) -> Option<Offer> {
    let Ok(serde_json::Value::Object(map)) = serde_json::from_slice(body) else { return None };
    let text = |key: &str| map.get(key).and_then(|v| v.as_str()).filter(|s| s.len() <= 128).map(str::to_owned);
    let path = text("path").filter(|p| p.starts_with('/') && p.bytes().all(|b| b.is_ascii_graphic()))?;
    let size = map.get("size").and_then(serde_json::Value::as_u64).filter(|n| (1..=1 << 20).contains(n))?;
    Some(Offer { version: text("version")?, size, sha256: text("sha256")?, path })
}

fn version(text: &str) -> Option<Version> {
    let mut parts = text.split('.').map(|p| if p.bytes().all(|b| b.is_ascii_digit()) { p.parse::<u16>().ok() } else { None });
    let (major, minor, revision) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() {
        return None;
    }
    Some(Version { major: u8::try_from(major).ok()?, minor: u8::try_from(minor).ok()?, revision, build: 0 })
}
