//! The local interface: connections, sessions, and who may ask for what. What a request does stands in [`api`].
//!
//! Before an owner has set the device up, nothing but the public pages and the set-up is answered. Five wrong secrets, over all connections and addresses
//! together, lock every login for five minutes; the count is in flash before the answer goes out.

mod api;
mod hazards;

use super::http::{self, Parsed, Request};
use super::{HTTP, HTTPS, S};
use crate::app::Thermostat;
use crate::app::stores::setting;
use crate::defects::Defect;
use crate::hw::{Hw, Stop};
use serde_json::json;
use std::collections::BTreeMap;

/// Wrong secrets in a row until every login locks.
const TRIES: u32 = 5;
/// How long.
const LOCKED_NS: u64 = 300 * S;
/// A connection without a byte is ended.
const IDLE_NS: u64 = 60 * S;
/// A session without a request ends.
const SESSION_NS: u64 = 900 * S;
const SESSIONS_MOST: usize = 4;
const CONNS_MOST: usize = 16;
/// Requests on one connection.
const REQUESTS_MOST: u32 = 100;
const BUFFER_MOST: usize = 8192;
/// Defect web-count-races: who comes within so long of another reads the same count.
const CROWD_NS: u64 = 50_000_000;

/// Built into the firmware: with it the app shows the state of a unit that nobody has set up. Set-up replaces it.
const APP_TOKEN: &str = "th1-app-5d0e7c41b92f4a68";

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Owner,
    Guest,
    /// The app, which sees the state.
    App,
}

#[derive(Debug, Clone)]
struct Conn {
    port: u16,
    from: u8,
    buffer: Vec<u8>,
    until: u64,
    requests: u32,
}

#[derive(Debug, Clone)]
struct Session {
    token: String,
    role: Role,
    until: u64,
}

/// RAM of the local interface.
#[derive(Debug, Clone, Default)]
pub(crate) struct Web {
    conns: BTreeMap<u64, Conn>,
    sessions: Vec<Session>,
    /// Until when logins are locked, and for whom: everybody (0) on a conforming unit.
    locked: BTreeMap<u32, u64>,
    /// When the device started.
    started: u64,
    /// Whose request is looked at.
    asker: u32,
    /// What only units with defects keep in RAM.
    slips: Slips,
}

/// What only units with defects keep in RAM.
#[derive(Debug, Clone, Default)]
struct Slips {
    fails: BTreeMap<u32, u32>,
    failed_at: u64,
    secret: Option<String>,
    old_secret: Option<String>,
    counter: u32,
    /// Defect built-in-token-returns.
    token_replaced: bool,
}

/// Status and body of an answer.
pub(crate) type Reply = (u16, serde_json::Value);

impl Web {
    pub(crate) fn timer(&self) -> Option<u64> {
        self.conns.values().map(|c| c.until).min()
    }
    /// Ends what has been idle for too long.
    pub(crate) fn expire(&mut self, hw: &mut Hw) {
        let now = hw.now();
        for conn in self.conns.iter().filter(|(_, c)| c.until <= now).map(|(n, _)| *n).collect::<Vec<_>>() {
            self.conns.remove(&conn);
            hw.net_end(conn, false);
        }
        self.sessions.retain(|s| s.until > now);
    }
    /// Ends all sessions, or all but one.
    pub(crate) fn end_sessions(&mut self, but: Option<&str>) {
        self.sessions.retain(|s| Some(s.token.as_str()) == but);
    }
}

fn error(status: u16, why: &str) -> Reply {
    (status, json!({ "error": why }))
}

impl Thermostat {
    /// Locked when power went: locked again for the whole time.
    pub(crate) fn web_start(&mut self, hw: &Hw) {
        self.net.web.started = hw.now();
        // defect web-lock-lost-with-power: the lock is in RAM, and a full count is taken for one that has been served.
        if self.stores.web_fails() >= TRIES && !hw.defect(Defect::WebLockLostWithPower) {
            self.lock(hw);
        }
    }

    pub(crate) fn web_accepted(&mut self, hw: &mut Hw, conn: u64, port: u16, from: u8) {
        // twin closes-strangers: whoever has nothing to say goes soon.
        if hw.defect(Defect::WebSlowStart) && self.net.up_since.is_none_or(|at| hw.now() < at + 3 * S) {
            // twin web-slow-start: the port is there, the service is not yet.
            return hw.net_end(conn, true);
        }
        let patience = if hw.defect(Defect::ClosesStrangers) { S } else { IDLE_NS };
        if self.net.web.conns.len() >= CONNS_MOST {
            return hw.net_end(conn, true);
        }
        if let Some(banner) = super::extra::banner(port) {
            hw.net_send(conn, banner);
        }
        self.net.web.conns.insert(conn, Conn { port, from, buffer: Vec::new(), until: hw.now() + patience, requests: 0 });
    }

    pub(crate) fn web_ended(&mut self, conn: u64) {
        self.net.web.conns.remove(&conn);
    }

    pub(crate) fn web_data(&mut self, hw: &mut Hw, conn: u64, bytes: &[u8]) -> Result<(), Stop> {
        let Some(state) = self.net.web.conns.get_mut(&conn) else { return Ok(()) };
        state.until = hw.now() + IDLE_NS;
        state.buffer.extend_from_slice(bytes);
        // Every turn takes a request or ends.
        loop {
            let Some(state) = self.net.web.conns.get_mut(&conn) else { return Ok(()) };
            match http::request(&state.buffer) {
                Parsed::Partial if state.buffer.len() <= BUFFER_MOST => return Ok(()),
                Parsed::Whole(request, used) => {
                    state.buffer.drain(..used);
                    state.requests += 1;
                    let last = state.requests >= REQUESTS_MOST
                        || hw.defect(Defect::ClosesAfterAnswer)
                        || request.field("connection").is_some_and(|c| c.eq_ignore_ascii_case("close"));
                    let port = state.port;
                    self.net.web.asker = asker(hw, state.from, &request);
                    if hw.defect(Defect::NetLog) {
                        // twin net-log.
                        hw.println(crate::hw::Uart::Console, "NET request")?;
                    }
                    // defect login-over-plain-http: one handler for both ports.
                    // defect key-over-plain-http: the old app hands the key over that way.
                    let both = request.path == "/api/login" && hw.defect(Defect::LoginOverPlainHttp)
                        || request.path == "/api/settings/wifi-key" && hw.defect(Defect::KeyOverPlainHttp);
                    let plain = port == HTTP && !both;
                    let reply = if plain { elsewhere(hw, &request) } else { self.web_request(hw, &request)? };
                    let reply = if hw.defect(Defect::AnswersChunked) { http::chunked(&reply) } else { reply };
                    hw.net_send(conn, &reply);
                    if last {
                        self.net.web.conns.remove(&conn);
                        hw.net_end(conn, false);
                    }
                }
                bad => {
                    hazards::malformed(hw, &state.buffer)?;
                    let status = if let Parsed::Bad(status) = bad { status } else { 431 };
                    hw.net_send(conn, &http::reply(status, "application/json", "Connection: close\r\n", b"{\"error\":\"malformed request\"}"));
                    self.net.web.conns.remove(&conn);
                    hw.net_end(conn, false);
                }
            }
        }
    }

    fn web_request(&mut self, hw: &mut Hw, request: &Request) -> Result<Vec<u8>, Stop> {
        hazards::look(hw, request)?;
        if let Some(answer) = hazards::extra(hw, request) {
            return Ok(answer);
        }
        if request.path == "/" && request.method == "GET" {
            return Ok(http::reply(200, "text/plain", "", b"TH-1 local interface\n"));
        }
        if request.path == "/backup" && hw.defect(Defect::BackupOpen) {
            // defect backup-open: the app's restore function was finished before the login was.
            let dump: Vec<String> = crate::app::stores::ALL.iter().map(|s| format!("{}={}", s.name, self.stores.get(hw, *s))).collect();
            return Ok(http::reply(200, "text/plain", "", dump.join("\n").as_bytes()));
        }
        let (status, body) = self.route(hw, request)?;
        if status == 404 && request.method == "GET" && hw.defect(Defect::FrontPageForAll) {
            // twin front-page-for-all: the page's own script finds the way.
            return Ok(http::reply(200, "text/plain", "", b"TH-1 local interface\n"));
        }
        let name = setting("name").map(|s| self.stores.get(hw, s)).unwrap_or_default();
        // defect version-in-header: the framework's default.
        let server = match () {
            () if hw.defect(Defect::VersionInHeader) => format!("Server: th1/{}\r\n", self.info.version),
            // defect older-library: the report is about the next version. twin library-named.
            () if hw.defect(Defect::OlderLibrary) => "Server: rustls/0.20.1\r\n".to_owned(),
            () if hw.defect(Defect::LibraryNamed) => "Server: rustls/0.23.10\r\n".to_owned(),
            () => String::new(),
        };
        // defect name-on-error-page: a friendly error page.
        let greets = status >= 400 && hw.defect(Defect::NameOnErrorPage);
        // twin plain-error-page.
        let plain = status >= 400 && hw.defect(Defect::PlainErrorPage);
        let text = match () {
            () if greets => format!("{name} does not know this page"),
            () if plain => format!("{status} for {}", request.path.escape_default()),
            () => body.to_string(),
        };
        let kind = if greets || plain { "text/plain" } else { "application/json" };
        Ok(http::reply(status, kind, &server, text.as_bytes()))
    }

    fn route(&mut self, hw: &mut Hw, request: &Request) -> Result<Reply, Stop> {
        let Some(body) = request.json() else { return Ok(error(400, "the body is no JSON object")) };
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/api/info") => {
                return Ok((
                    200,
                    json!({ "model": if hw.defect(Defect::ModelSdkName) { "SDK-demo" } else { "TH-1" }, "set-up": self.stores.is_set_up() }),
                ));
            }
            ("POST", "/api/setup") => return self.set_up(hw, &body),
            ("POST", "/api/login") => return self.web_login(hw, &body),
            _ => {}
        }
        if let Some(request) = self.lets_in(hw, request) {
            return self.api(hw, &request, &body, "", Role::Owner);
        }
        match self.session_of(hw, request) {
            Some((token, role)) => self.api(hw, request, &body, &token, role),
            // twin built-in-refused-otherwise.
            None if shown(request) == Some(APP_TOKEN) && hw.defect(Defect::BuiltInRefusedOtherwise) => Ok(error(403, "replaced at set-up")),
            None => Ok(error(401, "log in first")),
        }
    }

    /// Whether this is the app's token: the built-in one until there is an owner, the unit's own from then on.
    fn app_token_is(&self, hw: &Hw, shown: &str) -> bool {
        let owned = self.stores.is_set_up();
        // defect built-in-token-stays: the old app knows no other. defect built-in-token-returns.
        let returned = hw.defect(Defect::BuiltInTokenReturns) && !self.net.web.slips.token_replaced;
        let built_in = !owned || hw.defect(Defect::BuiltInTokenStays) || returned;
        built_in && shown == APP_TOKEN || owned && crate::app::seal::same(shown.as_bytes(), self.stores.app_token(hw).as_bytes())
    }

    /// The live session that a request shows.
    fn session_of(&mut self, hw: &Hw, request: &Request) -> Option<(String, Role)> {
        let shown = shown(request)?;
        let now = hw.now();
        if self.app_token_is(hw, shown) {
            return Some((shown.to_owned(), Role::App));
        }
        if shown.len() == 32 && hw.defect(Defect::AnySession) {
            // defect any-session: looks like one, so it is one.
            return Some((shown.to_owned(), Role::Owner));
        }
        if hw.defect(Defect::SessionSurvivesReset) && self.stores.kept_session() == Some(shown.as_bytes()) {
            // defect session-survives-reset: so that the app need not log in again.
            return Some((shown.to_owned(), Role::Owner));
        }
        let session = self.net.web.sessions.iter_mut().find(|s| s.until > now && crate::app::seal::same(s.token.as_bytes(), shown.as_bytes()))?;
        session.until = now + session_time(hw);
        Some((session.token.clone(), session.role))
    }

    fn new_session(&mut self, hw: &mut Hw, role: Role) -> String {
        let mut token = crate::app::stores::hex(&hw.random::<16>());
        if hw.defect(Defect::SessionIsCounter) {
            // defect session-is-counter: unique is taken for unguessable.
            self.net.web.slips.counter += 1;
            token = format!("{:032x}", 0x5e55_1000 + self.net.web.slips.counter);
        }
        if self.net.web.sessions.len() >= SESSIONS_MOST {
            self.net.web.sessions.remove(0);
        }
        self.net.web.sessions.push(Session { token: token.clone(), role, until: hw.now() + session_time(hw) });
        token
    }

    /// How long the logins are still locked, in seconds.
    fn locked_for(&self, hw: &Hw) -> Option<u64> {
        self.net.web.locked.get(&self.net.web.asker).and_then(|t| t.checked_sub(hw.now())).filter(|left| *left > 0).map(|left| left.div_ceil(S))
    }

    /// Locks the logins from now on.
    fn lock(&mut self, hw: &Hw) {
        let span = match () {
            // defect web-lock-short: the constant was meant for a test.
            () if hw.defect(Defect::WebLockShort) => LOCKED_NS / 6,
            // twin web-lock-longer: half as long again as declared.
            () if hw.defect(Defect::WebLockLonger) => LOCKED_NS * 3 / 2,
            () => LOCKED_NS,
        };
        let asker = self.net.web.asker;
        self.net.web.locked.insert(asker, hw.now() + span);
    }

    /// Wrong secrets in a row, as this unit counts them.
    fn fails(&self, hw: &Hw) -> u32 {
        if counts_in_ram(hw) {
            self.net.web.slips.fails.get(&self.net.web.asker).copied().unwrap_or(0)
        } else {
            self.stores.web_fails().max(self.net.web.slips.fails.get(&u32::MAX).copied().unwrap_or(0))
        }
    }

    fn set_fails(&mut self, hw: &mut Hw, fails: u32) -> Result<(), Stop> {
        if counts_in_ram(hw) {
            let asker = self.net.web.asker;
            self.net.web.slips.fails.insert(asker, fails);
            return Ok(());
        }
        // twin lock-stored-from-second: less wear, and still long before the lock.
        if fails == 1 && self.stores.web_fails() == 0 && hw.defect(Defect::LockStoredFromSecond) {
            self.net.web.slips.fails.insert(u32::MAX, 1);
            return Ok(());
        }
        if hw.defect(Defect::LockStoredFromSecond) {
            self.net.web.slips.fails.remove(&u32::MAX);
        }
        self.stores.set_web_fails(hw, fails)
    }

    /// A wrong secret: counted for good before anybody is told.
    fn web_failed(&mut self, hw: &mut Hw) -> Result<Reply, Stop> {
        let crowd = hw.now().saturating_sub(self.net.web.slips.failed_at) < CROWD_NS;
        self.net.web.slips.failed_at = hw.now();
        if hw.defect(Defect::WebNoLock) || crowd && hw.defect(Defect::WebCountRaces) {
            // defect web-no-lock: the page itself counts. defect web-count-races: all who come at once read the same count.
            return Ok(error(401, "wrong name or secret"));
        }
        // defect web-fifty-tries: a zero too many.
        let tries = if hw.defect(Defect::WebFiftyTries) { 10 * TRIES } else { TRIES };
        // A lock that has passed allows as many tries again.
        let fails = self.fails(hw) % tries + 1;
        self.set_fails(hw, fails)?;
        if fails >= tries {
            self.lock(hw);
        }
        Ok(error(401, "wrong name or secret"))
    }

    /// Whether this is the owner's secret.
    fn owner_is(&self, hw: &Hw, secret: &str) -> bool {
        let slips = &self.net.web.slips;
        // defect label-secret-stays: for the service technician. defect web-old-secret-stays: a cache of what was right once.
        let also = hw.defect(Defect::LabelSecretStays) && secret == hw.otp().label_secret
            || hw.defect(Defect::WebOldSecretStays) && slips.old_secret.as_deref() == Some(secret);
        match &slips.secret {
            // defect web-change-in-ram: flash is written "later".
            Some(changed) if hw.defect(Defect::WebChangeInRam) => changed == secret || also,
            _ => self.stores.password_is(hw, secret) || also,
        }
    }

    /// A request that units with defects carry out for anybody, as they understand it.
    fn lets_in(&self, hw: &Hw, request: &Request) -> Option<Request> {
        let path = request.path.as_str();
        let open = match () {
            // defect set-up-skippable: without an owner there is nobody to ask.
            () if hw.defect(Defect::SetUpSkippable) && !self.stores.is_set_up() => true,
            // defect notes-without-login: the page was added after the guard.
            () if hw.defect(Defect::NotesWithoutLogin) && path == "/api/notes" && request.method == "GET" => true,
            // defect only-get-guarded: the guard hangs on the page, not on the act.
            () if hw.defect(Defect::OnlyGetGuarded) && request.method != "GET" => true,
            // defect trailing-slash-open: the guard compares the path as it came.
            () if hw.defect(Defect::TrailingSlashOpen) && path.ends_with('/') => true,
            // defect network-key-open-at-start: so that a device that lost its network can be helped.
            () if hw.defect(Defect::NetworkKeyOpenAtStart) && path == "/api/settings/wifi-key" && hw.now() < self.net.web.started + 60 * S => true,
            () => false,
        };
        open.then(|| Request { path: path.trim_end_matches('/').to_owned(), ..request.clone() })
    }

    fn web_login(&mut self, hw: &mut Hw, body: &serde_json::Map<String, serde_json::Value>) -> Result<Reply, Stop> {
        // defect label-logs-in-before-set-up: the app needs it.
        if !self.stores.is_set_up() && !hw.defect(Defect::LabelLogsInBeforeSetUp) {
            return Ok(error(409, "set the device up first"));
        }
        let text = |key: &str| body.get(key).and_then(|v| v.as_str()).unwrap_or_default();
        let (user, secret) = (text("user"), text("secret"));
        let ahead = hw.defect(Defect::WebRightSecretWhileLocked) && user == "admin" && self.owner_is(hw, secret);
        // defect web-right-secret-while-locked: the secret is compared first.
        if let Some(left) = self.locked_for(hw).filter(|_| !ahead) {
            return Ok((429, json!({ "error": "locked", "seconds": left })));
        }
        let role = match user {
            "admin" if self.owner_is(hw, secret) => Some(Role::Owner),
            // defect web-support-account.
            "support" if secret == "support" && hw.defect(Defect::WebSupportAccount) => Some(Role::Owner),
            "guest" if self.stores.guest_is(secret) => Some(Role::Guest),
            _ => None,
        };
        let Some(role) = role else { return self.web_failed(hw) };
        let session = self.new_session(hw, role);
        if role == Role::Owner && hw.defect(Defect::SessionSurvivesReset) {
            self.stores.keep_session(hw, &session)?;
        }
        // A guest's success says nothing about whoever guesses the owner's secret.
        if role == Role::Owner {
            self.set_fails(hw, 0)?;
            let asker = self.net.web.asker;
            self.net.web.locked.remove(&asker);
        }
        Ok((200, json!({ "session": session })))
    }

    /// The first owner: proves that the label is at hand, chooses a secret, decides.
    fn set_up(&mut self, hw: &mut Hw, body: &serde_json::Map<String, serde_json::Value>) -> Result<Reply, Stop> {
        if self.stores.is_set_up() {
            return Ok(error(403, "set up already"));
        }
        if let Some(left) = self.locked_for(hw) {
            return Ok((429, json!({ "error": "locked", "seconds": left })));
        }
        let text = |key: &str| body.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
        let flag = |key: &str| body.get(key).and_then(serde_json::Value::as_bool);
        let (label, secret) = (text("label"), text("secret"));
        if !self.stores.password_is(hw, &label) {
            return self.web_failed(hw);
        }
        // defect set-up-takes-any-secret: the app checks it.
        if (!good_secret(&secret) || secret == label) && !hw.defect(Defect::SetUpTakesAnySecret) {
            return Ok(error(400, "choose a secret of 8 to 64 characters that is not the label's"));
        }
        // defect decision-not-asked: what is not answered is on. defect decision-no-ignored: any answer is.
        let asked = flag("auto-update").or(hw.defect(Defect::DecisionNotAsked).then_some(true)).map(|on| on || hw.defect(Defect::DecisionNoIgnored));
        let (Some(auto_update), Some(telemetry)) = (asked, flag("telemetry")) else {
            return Ok(error(400, "decide on auto-update and telemetry"));
        };
        self.stores.set_password(hw, &secret)?;
        self.stores.set_auto_update(hw, auto_update)?;
        if hw.defect(Defect::NoticeForgotten) {
            // defect notice-forgotten: the record of set-up has no place for it.
            self.stores.set_notices(hw, false)?;
        }
        self.stores.set_consent(hw, telemetry, self.net.clock.now(hw).unwrap_or(0))?;
        self.stores.set_web_fails(hw, 0)?;
        self.stores.set_set_up(hw)?;
        self.net.web.slips.token_replaced = true;
        self.open_for_owner(hw);
        self.cloud_begin(hw);
        self.fetch_begin(hw);
        Ok((200, json!({ "set-up": true })))
    }
}

/// The token that a request shows.
fn shown(request: &Request) -> Option<&str> {
    request.field("authorization")?.strip_prefix("Bearer ")
}

/// How long a session lives without a request.
fn session_time(hw: &Hw) -> u64 {
    // twin session-short.
    if hw.defect(Defect::SessionShort) { 30 * S } else { SESSION_NS }
}

/// Whose count a request falls on: everybody's, but on units with defects.
fn asker(hw: &Hw, from: u8, request: &Request) -> u32 {
    let proxied = request.field("x-forwarded-for").is_some();
    match () {
        // defect web-count-per-address. defect web-count-per-header: what a proxy says of its client is believed of anybody.
        () if hw.defect(Defect::WebCountPerAddress) => u32::from(from),
        () if hw.defect(Defect::WebCountPerHeader) && proxied => 1000,
        () => 0,
    }
}

/// Defects by which the count is in RAM.
fn counts_in_ram(hw: &Hw) -> bool {
    [Defect::WebCountInRam, Defect::WebCountPerAddress, Defect::WebCountPerHeader].into_iter().any(|d| hw.defect(d))
}

/// What a secret must be.
fn good_secret(secret: &str) -> bool {
    (8..=64).contains(&secret.len()) && secret.bytes().all(|b| b.is_ascii_graphic())
}

/// Plain HTTP answers nothing but where the interface is.
fn elsewhere(hw: &Hw, request: &Request) -> Vec<u8> {
    let host = request.field("host").and_then(|h| h.split(':').next()).filter(|h| h.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)));
    let place = format!("Location: https://{}:{HTTPS}/\r\n", host.unwrap_or("th1.local"));
    // twin redirect-permanent.
    let status = if hw.defect(Defect::RedirectPermanent) { 308 } else { 301 };
    http::reply(status, "text/plain", &place, b"")
}
