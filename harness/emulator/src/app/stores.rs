//! What the thermostat remembers: settings and credentials, user data, the usage counter, and the intent of a factory reset.

use super::log::{Key, Log};
use super::seal::{OVERHEAD, Sealer, hmac, same};
use crate::defects::Defect;
use crate::hw::{Hw, Stop};
use crate::layout::{COUNTERS, LIFE_CYCLE, Region, SETTINGS, USER_DATA};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// Most bytes of a setting, a note or a password.
pub const TEXT_MAX: usize = 64;
/// Wrong passwords in a row until the login locks.
pub const TRIES: u32 = 5;

const PASSWORD: Key = 0x10;
const SALT: Key = 0x11;
const FAILS: Key = 0x12;
const TOKEN: Key = 0x20;
const TOKENS: u16 = 4;
const TOKEN_NEXT: Key = 0x28;
const FACTORY_FRESH: Key = 0x30;
const OLD_SECRET: Key = 0x31;
const SERIAL: Key = 0x32;

const SET_UP: Key = 0x40;
const WEB_FAILS: Key = 0x41;
const AUTO_UPDATE: Key = 0x42;
const CONSENT: Key = 0x43;
const NET_UPDATE: Key = 0x44;
const GUEST: Key = 0x45;
const WAS_RESET: Key = 0x46;
const NOTICES_OFF: Key = 0x47;
const KEPT_SESSION: Key = 0x48;

const COUNT: Key = 1;
const INTENT: Key = 2;
const QUICK_CYCLES: Key = 3;

/// Free sectors that only defects use: a search index in UTF-16, and a name kept for a display that draws from right to left.
const INDEX: Region = Region { offset: 0x32000, len: 0x1000 };
const MIRROR: Region = Region { offset: 0x33000, len: 0x1000 };

/// A setting of the shell's `get` and `set`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// As the shell calls it.
    pub name: &'static str,
    /// Never shown, and sealed in flash.
    pub secret: bool,
    /// Before anybody set it.
    pub default: &'static str,
    key: Key,
}

/// All settings.
pub const ALL: [Setting; 5] = [
    Setting { name: "name", secret: false, default: "Thermostat", key: 1 },
    Setting { name: "schedule", secret: false, default: "none", key: 2 },
    Setting { name: "wifi-ssid", secret: false, default: "", key: 3 },
    Setting { name: "wifi-key", secret: true, default: "", key: 4 },
    Setting { name: "mode", secret: false, default: "auto", key: 5 },
];

/// The setting of this name.
pub fn setting(name: &str) -> Option<Setting> {
    ALL.into_iter().find(|s| s.name == name)
}

/// By which way a factory reset was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Shell command.
    Console,
    /// Button held.
    Button,
    /// SMP request.
    Smp,
    /// Local interface.
    Web,
}

/// What happened to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is in flash for good.
    Done,
    /// There is no room.
    Full,
}

/// All stores of the device. User data is read when it is first asked for.
#[derive(Clone)]
pub struct Stores {
    settings: Log,
    counters: Log,
    data: Option<Log>,
    sealer: Sealer,
    /// Defect withdrawal-in-ram.
    consent_in_ram: Option<bool>,
}

impl Stores {
    /// Reads the stores and ends what was interrupted; first of all a factory reset. Says whether it ended one.
    pub fn open(hw: &mut Hw) -> Result<(Self, bool), Stop> {
        let mut counters = Log::mount(hw, COUNTERS)?;
        let route = counters.get(INTENT).and_then(|v| v.first().copied()).unwrap_or(0);
        // defect reset-never-resumes: nobody looks at the intent record at start.
        let resumed = route != 0 && !hw.defect(Defect::ResetNeverResumes);
        if resumed {
            wipe(hw, &mut counters, route)?;
        }
        let mut settings = Log::mount(hw, SETTINGS)?;
        if settings.was_torn() && hw.defect(Defect::SettingsResetOnTorn) {
            settings.set(hw, FACTORY_FRESH, b"1")?;
        }
        let sealer = Self::keys(hw, &mut settings)?;
        Ok((Self { settings, counters, data: None, sealer, consent_in_ram: None }, resumed))
    }

    /// The sealing keys; a store without salt gets a new one.
    fn keys(hw: &mut Hw, settings: &mut Log) -> Result<Sealer, Stop> {
        if settings.get(SALT).is_none() {
            let salt: [u8; 16] = hw.random();
            settings.set(hw, SALT, &salt)?;
        }
        Ok(Sealer::new(&hw.otp().root_key, settings.get(SALT).unwrap_or_default()))
    }

    fn put(&mut self, hw: &mut Hw, key: Key, value: &[u8]) -> Result<Stored, Stop> {
        Ok(if self.settings.set(hw, key, value)? { Stored::Done } else { Stored::Full })
    }

    fn put_sealed(&mut self, hw: &mut Hw, key: Key, value: &[u8]) -> Result<Stored, Stop> {
        let sealed = self.sealer.seal(key, hw.random(), value);
        self.put(hw, key, &sealed)
    }

    fn sealed(&self, key: Key) -> Option<Vec<u8>> {
        self.sealer.open(key, self.settings.get(key)?)
    }

    // --- settings -------------------------------------------------------------------------------------------------------------------------

    /// The value of a setting, secret or not.
    pub fn get(&self, hw: &Hw, s: Setting) -> String {
        let stored = self.settings.get(s.key);
        let bytes = match stored {
            None => None,
            Some(v) if s.secret && hw.defect(Defect::SecretBase64) => BASE64_STANDARD.decode(v).ok(),
            Some(v) if s.secret && hw.defect(Defect::SecretPlain) => Some(v.to_vec()),
            // twin crypto-erase: all settings are sealed, so that destroying the salt destroys them all.
            Some(v) if s.secret || hw.defect(Defect::CryptoErase) => self.sealer.open(s.key, v),
            Some(v) => Some(v.to_vec()),
        };
        bytes.and_then(|b| String::from_utf8(b).ok()).unwrap_or_else(|| s.default.to_owned())
    }

    /// Stores a setting.
    pub fn set(&mut self, hw: &mut Hw, s: Setting, value: &str) -> Result<Stored, Stop> {
        let bytes = value.as_bytes();
        if s.secret && hw.defect(Defect::SecretOldCopy) && self.settings.get(s.key).is_some() {
            // defect secret-old-copy: the old secret is kept in clear for an undo, and deleting that leaves it in the log.
            let old = self.get(hw, s);
            self.settings.set(hw, OLD_SECRET, old.as_bytes())?;
            let done = self.put_sealed(hw, s.key, bytes)?;
            self.settings.delete(hw, OLD_SECRET)?;
            return Ok(done);
        }
        if s.name == "name" && hw.defect(Defect::ResetKeepsReversed) {
            // defect reset-keeps-reversed: a mirrored copy for the display, in a sector that no reset knows.
            let mirrored: Vec<u8> = bytes.iter().rev().copied().collect();
            stash(hw, MIRROR, &mirrored)?;
        }
        match s.secret {
            // defect secret-base64: encoding taken for encryption.
            true if hw.defect(Defect::SecretBase64) => self.put(hw, s.key, BASE64_STANDARD.encode(bytes).as_bytes()),
            // defect secret-plain: as it came.
            true if hw.defect(Defect::SecretPlain) => self.put(hw, s.key, bytes),
            false if !hw.defect(Defect::CryptoErase) => self.put(hw, s.key, bytes),
            _ => self.put_sealed(hw, s.key, bytes),
        }
    }

    /// The serial number, which stands in OTP.
    pub fn serial(&self, hw: &Hw) -> String {
        match self.settings.get(SERIAL) {
            Some(own) if hw.defect(Defect::SerialWritable) => String::from_utf8_lossy(own).into_owned(),
            _ => hw.otp().serial.clone(),
        }
    }

    /// Defect serial-writable: a name like any other.
    pub fn set_serial(&mut self, hw: &mut Hw, serial: &str) -> Result<Stored, Stop> {
        self.put(hw, SERIAL, serial.as_bytes())
    }

    // --- credentials ----------------------------------------------------------------------------------------------------------------------

    /// Whether this is the present secret of `admin`: the user's, or that of the label until there is one.
    pub fn password_is(&self, hw: &Hw, secret: &str) -> bool {
        // Left behind by settings-reset-on-torn and reset-default-password: a universal default.
        if self.settings.get(FACTORY_FRESH).is_some() && self.settings.get(PASSWORD).is_none() {
            return secret == "admin";
        }
        // twin password-hashed: a salted hash needs no sealing.
        let stored = if hw.defect(Defect::PasswordHashed) { self.settings.get(PASSWORD).map(<[u8]>::to_vec) } else { self.sealed(PASSWORD) };
        match stored.as_deref().and_then(|v| v.split_at_checked(16)) {
            Some((salt, hash)) => same(&hmac(salt, &[secret.as_bytes()]), hash),
            None => same(secret.as_bytes(), hw.otp().label_secret.as_bytes()),
        }
    }

    /// Replaces the secret of `admin`.
    pub fn set_password(&mut self, hw: &mut Hw, secret: &str) -> Result<Stored, Stop> {
        let salt: [u8; 16] = hw.random();
        let mut value = salt.to_vec();
        value.extend(hmac(&salt, &[secret.as_bytes()]));
        if hw.defect(Defect::PasswordHashed) { self.put(hw, PASSWORD, &value) } else { self.put_sealed(hw, PASSWORD, &value) }
    }

    /// Wrong secrets since the last right one.
    pub fn fails(&self) -> u32 {
        number(self.settings.get(FAILS))
    }

    /// Remembers it. Nothing is written if nothing changes.
    pub fn set_fails(&mut self, hw: &mut Hw, fails: u32) -> Result<(), Stop> {
        if fails != self.fails() {
            self.put(hw, FAILS, &fails.to_le_bytes())?;
        }
        Ok(())
    }

    /// A new token; the oldest of four goes.
    pub fn new_token(&mut self, hw: &mut Hw) -> Result<String, Stop> {
        let token = hex(&hw.random::<16>());
        let slot = number(self.settings.get(TOKEN_NEXT)) as u16 % TOKENS;
        if hw.defect(Defect::SecretBase64) {
            self.put(hw, TOKEN + slot, BASE64_STANDARD.encode(&token).as_bytes())?;
        } else {
            self.put_sealed(hw, TOKEN + slot, token.as_bytes())?;
        }
        self.put(hw, TOKEN_NEXT, &(u32::from(slot) + 1).to_le_bytes())?;
        Ok(token)
    }

    /// Whether this token is alive.
    pub fn token_is_good(&self, hw: &Hw, token: &str) -> bool {
        let encoded = hw.defect(Defect::SecretBase64);
        (TOKEN..TOKEN + TOKENS).any(|key| {
            let stored = if encoded { self.settings.get(key).and_then(|v| BASE64_STANDARD.decode(v).ok()) } else { self.sealed(key) };
            stored.is_some_and(|t| same(&t, token.as_bytes()))
        })
    }

    /// The unit's own token for the app, in the place of the built-in one: other after every factory reset, because the salt is.
    pub fn app_token(&self, hw: &Hw) -> String {
        hex(&hmac(&hw.otp().root_key, &[b"app", self.settings.get(SALT).unwrap_or_default()])[..16])
    }

    // --- the network side -----------------------------------------------------------------------------------------------------------------

    /// Defect telnet-after-reset: the flag that its reset script sets.
    pub fn was_reset(&self) -> bool {
        self.flag(WAS_RESET)
    }
    /// Whether an owner has set the device up.
    pub fn is_set_up(&self) -> bool {
        self.flag(SET_UP)
    }
    /// An owner has.
    pub fn set_set_up(&mut self, hw: &mut Hw) -> Result<(), Stop> {
        self.set_flag(hw, SET_UP, true)
    }
    /// Wrong secrets on the local interface since the last right one.
    pub fn web_fails(&self) -> u32 {
        number(self.settings.get(WEB_FAILS))
    }
    /// Remembers it. Nothing is written if nothing changes.
    pub fn set_web_fails(&mut self, hw: &mut Hw, fails: u32) -> Result<(), Stop> {
        if fails != self.web_fails() {
            self.put(hw, WEB_FAILS, &fails.to_le_bytes())?;
        }
        Ok(())
    }
    /// Whether updates are installed without asking.
    pub fn auto_update(&self) -> bool {
        self.flag(AUTO_UPDATE)
    }
    /// The owner decided.
    pub fn set_auto_update(&mut self, hw: &mut Hw, on: bool) -> Result<(), Stop> {
        self.set_flag(hw, AUTO_UPDATE, on)
    }
    /// Whether the owner is told of updates.
    pub fn notices(&self) -> bool {
        !self.flag(NOTICES_OFF)
    }
    /// The owner decided.
    pub fn set_notices(&mut self, hw: &mut Hw, on: bool) -> Result<(), Stop> {
        self.set_flag(hw, NOTICES_OFF, !on)
    }
    /// Defect session-survives-reset: the session that the app keeps.
    pub fn kept_session(&self) -> Option<&[u8]> {
        self.settings.get(KEPT_SESSION)
    }
    /// It begins.
    pub fn keep_session(&mut self, hw: &mut Hw, token: &str) -> Result<(), Stop> {
        self.put(hw, KEPT_SESSION, token.as_bytes()).map(drop)
    }
    /// Whether telemetry may be sent.
    pub fn telemetry_allowed(&self) -> bool {
        self.consent_in_ram.unwrap_or_else(|| self.consent().0)
    }
    /// Defect withdrawal-in-ram.
    pub fn set_consent_in_ram(&mut self, given: bool) {
        self.consent_in_ram = Some(given);
    }
    /// The owner's word on telemetry, and when it was given, in seconds since 1970 (0: unknown).
    pub fn consent(&self) -> (bool, u64) {
        match self.settings.get(CONSENT).and_then(|v| v.split_first()) {
            Some((given, at)) => (*given == 1, at.try_into().map_or(0, u64::from_le_bytes)),
            None => (false, 0),
        }
    }
    /// The owner decided.
    pub fn set_consent(&mut self, hw: &mut Hw, given: bool, at: u64) -> Result<(), Stop> {
        let mut record = vec![u8::from(given)];
        record.extend(at.to_le_bytes());
        self.consent_in_ram = None;
        self.put(hw, CONSENT, &record).map(drop)
    }
    /// Whether the image on trial came from the maker's server.
    pub fn net_update(&self) -> bool {
        self.flag(NET_UPDATE)
    }
    /// It did, or that is settled.
    pub fn set_net_update(&mut self, hw: &mut Hw, on: bool) -> Result<(), Stop> {
        self.set_flag(hw, NET_UPDATE, on)
    }
    /// Whether this is the guest's secret.
    pub fn guest_is(&self, secret: &str) -> bool {
        self.sealed(GUEST).is_some_and(|v| v.split_at_checked(16).is_some_and(|(salt, hash)| same(&hmac(salt, &[secret.as_bytes()]), hash)))
    }
    /// Whether there is one.
    pub fn has_guest(&self) -> bool {
        self.settings.get(GUEST).is_some()
    }
    /// Gives the guest a secret.
    pub fn set_guest(&mut self, hw: &mut Hw, secret: &str) -> Result<Stored, Stop> {
        let salt: [u8; 16] = hw.random();
        let mut value = salt.to_vec();
        value.extend(hmac(&salt, &[secret.as_bytes()]));
        self.put_sealed(hw, GUEST, &value)
    }
    fn flag(&self, key: Key) -> bool {
        self.settings.get(key) == Some(&[1])
    }
    fn set_flag(&mut self, hw: &mut Hw, key: Key, on: bool) -> Result<(), Stop> {
        if on != self.flag(key) {
            self.put(hw, key, &[u8::from(on)])?;
        }
        Ok(())
    }

    // --- user data ------------------------------------------------------------------------------------------------------------------------

    fn data(&mut self, hw: &mut Hw) -> Result<&mut Log, Stop> {
        let log = match self.data.take() {
            Some(log) => log,
            None => {
                let mut log = Log::mount(hw, USER_DATA)?;
                if hw.defect(Defect::CryptoErase) {
                    // What the present keys cannot open belongs to somebody before.
                    let dead: Vec<Key> = log.entries().filter(|(k, v)| self.sealer.open(*k, v).is_none()).map(|(k, _)| k).collect();
                    dead.into_iter().for_each(|k| log.forget(k));
                }
                log
            }
        };
        Ok(self.data.insert(log))
    }

    /// Adds a note.
    pub fn add_note(&mut self, hw: &mut Hw, text: &str) -> Result<Stored, Stop> {
        let sealer = self.sealer.clone();
        let log = self.data(hw)?;
        let key = log.entries().next_back().map_or(0, |(k, _)| k.wrapping_add(1));
        let value = if hw.defect(Defect::CryptoErase) { sealer.seal(key, hw.random(), text.as_bytes()) } else { text.as_bytes().to_vec() };
        if !log.has_room(value.len()) {
            return Ok(Stored::Full);
        }
        if hw.defect(Defect::UserdataInPlace) {
            // defect userdata-in-place: the only copy is erased, then written.
            log.rewrite_in_place(hw, key, &value)?;
        } else {
            log.set(hw, key, &value)?;
        }
        if hw.defect(Defect::UserdataUtf16) {
            // defect userdata-utf16: a search index beside the store.
            let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            stash(hw, INDEX, &wide)?;
        }
        Ok(Stored::Done)
    }

    /// All notes, oldest first.
    pub fn notes(&mut self, hw: &mut Hw) -> Result<Vec<String>, Stop> {
        let sealer = self.sealer.clone();
        let sealed = hw.defect(Defect::CryptoErase);
        let text = |k: Key, v: &[u8]| if sealed { sealer.open(k, v) } else { Some(v.to_vec()) };
        let log = self.data(hw)?;
        Ok(log.entries().filter_map(|(k, v)| text(k, v)).map(|v| String::from_utf8_lossy(&v).into_owned()).collect())
    }

    // --- counters -------------------------------------------------------------------------------------------------------------------------

    /// The usage counter.
    pub fn count(&self) -> u32 {
        number(self.counters.get(COUNT))
    }

    /// Raises the usage counter for good and returns it.
    pub fn count_up(&mut self, hw: &mut Hw) -> Result<u32, Stop> {
        let next = self.count().saturating_add(1);
        if hw.defect(Defect::CountInPlace) {
            // defect count-in-place: erase, then write.
            self.counters.rewrite_in_place(hw, COUNT, &next.to_le_bytes())?;
        } else {
            self.counters.set(hw, COUNT, &next.to_le_bytes())?;
        }
        Ok(next)
    }

    /// Used by defect power-cycles-reset: power-on starts in quick succession, this one included.
    pub fn set_quick_cycles(&mut self, hw: &mut Hw, cycles: u32) -> Result<(), Stop> {
        self.counters.set(hw, QUICK_CYCLES, &cycles.to_le_bytes()).map(drop)
    }

    /// What `set_quick_cycles` left.
    pub fn quick_cycles(&self) -> u32 {
        number(self.counters.get(QUICK_CYCLES))
    }

    // --- factory reset --------------------------------------------------------------------------------------------------------------------

    /// Erases everything that its users put into the device: intent first, then the wipe, then the intent is cleared. A cut in between
    /// is made good at the next start, before anything else is read.
    pub fn factory_reset(&mut self, hw: &mut Hw, route: Route) -> Result<(), Stop> {
        let code = route as u8 + 1;
        self.counters.set(hw, INTENT, &[code])?;
        wipe(hw, &mut self.counters, code)?;
        self.reopen(hw)
    }

    /// Defect brownout-defaults: settings alone go back to defaults.
    pub fn default_settings(&mut self, hw: &mut Hw) -> Result<(), Stop> {
        self.settings.wipe(hw)?;
        self.reopen(hw)
    }

    fn reopen(&mut self, hw: &mut Hw) -> Result<(), Stop> {
        self.settings = Log::mount(hw, SETTINGS)?;
        self.data = None;
        self.sealer = Self::keys(hw, &mut self.settings)?;
        Ok(())
    }
}

/// The wipe of a factory reset, from any state of the stores.
fn wipe(hw: &mut Hw, counters: &mut Log, route: u8) -> Result<(), Stop> {
    let kept = |key: Key, hw: &Hw| match key {
        GUEST => hw.defect(Defect::GuestSurvivesReset),          // defect guest-survives-reset
        KEPT_SESSION => hw.defect(Defect::SessionSurvivesReset), // defect session-survives-reset
        SALT if hw.defect(Defect::GuestSurvivesReset) => true,
        SALT => hw.defect(Defect::ResetKeepsWifi) || hw.defect(Defect::ResetKeepsTokens) || hw.defect(Defect::ResetKeepsPassword),
        3 | 4 => hw.defect(Defect::ResetKeepsWifi),                // defect reset-keeps-wifi
        TOKEN..=TOKEN_NEXT => hw.defect(Defect::ResetKeepsTokens), // defect reset-keeps-tokens
        PASSWORD => hw.defect(Defect::ResetKeepsPassword),         // defect reset-keeps-password
        _ => false,
    };
    if hw.defect(Defect::ResetFlagFirst) {
        // defect reset-flag-first: a cut from here on leaves a half-wiped device that thinks it is finished.
        counters.set(hw, INTENT, &[0])?;
    }
    let mut settings = Log::mount(hw, SETTINGS)?;
    if hw.defect(Defect::ResetMarksDeleted) {
        // defect reset-marks-deleted: entries get a deletion mark, the bytes stay.
        for key in settings.entries().map(|(k, _)| k).filter(|k| *k != SALT).collect::<Vec<_>>() {
            settings.delete(hw, key)?;
        }
        let mut data = Log::mount(hw, USER_DATA)?;
        for key in data.entries().map(|(k, _)| k).collect::<Vec<_>>() {
            data.delete(hw, key)?;
        }
        return counters.set(hw, INTENT, &[0]).map(drop);
    }
    if hw.defect(Defect::CryptoErase) {
        // twin crypto-erase: what is left in flash is sealed, and the key is gone with the salt.
        settings.forget(SALT);
        settings.forget(FAILS);
        (SET_UP..=KEPT_SESSION).for_each(|key| settings.forget(key));
        settings.compact_twice(hw)?;
        return counters.set(hw, INTENT, &[0]).map(drop);
    }
    let keep: Vec<(Key, Vec<u8>)> = settings.entries().filter(|(k, _)| kept(*k, hw)).map(|(k, v)| (k, v.to_vec())).collect();
    settings.wipe(hw)?;
    for (key, value) in keep {
        settings.set(hw, key, &value)?;
    }
    // defects reset-keeps-userdata, and reset-button-half: that route was written by somebody else.
    let half =
        hw.defect(Defect::ResetButtonHalf) && route == Route::Button as u8 + 1 || hw.defect(Defect::ResetWebHalf) && route == Route::Web as u8 + 1;
    if !half && !hw.defect(Defect::ResetKeepsUserdata) {
        Log::create(hw, USER_DATA)?;
    }
    if hw.defect(Defect::ResetDefaultPassword) {
        // defect reset-default-password: back to `admin` and not to the label.
        settings.set(hw, FACTORY_FRESH, b"1")?;
    }
    if hw.defect(Defect::ResetUnlocksDebug) {
        // defect reset-unlocks-debug: the life-cycle word counts as a setting.
        hw.erase(LIFE_CYCLE.offset)?;
    }
    if hw.defect(Defect::TelnetAfterReset) {
        settings.set(hw, WAS_RESET, &[1])?;
    }
    counters.set(hw, INTENT, &[0])?;
    Ok(())
}

/// The settings as the factory leaves them: the salt of the first owner, and nothing else.
pub fn factory_settings(root_key: &[u8]) -> Vec<u8> {
    super::log::factory_bank(&[(SALT, &hmac(root_key, &[b"first salt"])[..16])])
}

/// Appends to a sector that belongs to nobody (defects only).
fn stash(hw: &mut Hw, region: Region, bytes: &[u8]) -> Result<(), Stop> {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().div_ceil(32) * 32, 0xFF);
    let len = padded.len() as u32;
    let free = (region.offset..region.end()).step_by(32).find(|at| at + len <= region.end() && hw.is_blank(*at, len));
    let at = match free {
        Some(at) => at,
        None => {
            hw.erase(region.offset)?;
            region.offset
        }
    };
    hw.write(at, &padded)
}

fn number(value: Option<&[u8]>) -> u32 {
    value.and_then(|v| v.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

const _: () = assert!(super::log::VALUE_MAX >= TEXT_MAX + OVERHEAD && super::log::VALUE_MAX >= TEXT_MAX.div_ceil(3) * 4);
