//! The device on its network: the link, the lab as the dossier wants it, requests to the device's own interface, what it does by itself.

use super::act::Did;
use super::{Bench, SLICE};
use crate::text::{escape, fill_in};
use crate::trouble::Trouble;
use proofbench_channel::network::{BrokerConduct, Certificate, ConnId, Dial, Dialled, End, Fault, Front, Lie, Page, Received, Seen, Service, Trade};
use proofbench_channel::{Moment, Wait};
use proofbench_model::bind::{ComBind, Credential, HttpAction, WebBind};
use proofbench_model::dossier::Row;
use std::time::Duration;

/// Bytes of an answer that are read; a device that sends more is cut off.
const ANSWER_MOST: usize = 256 * 1024;
/// Sights that the bench keeps for one check.
const SIGHTS_MOST: usize = 1 << 20;
/// Pause between two looks whether the interface is up.
const LOOK: Duration = Duration::from_millis(100);

/// What came back to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpSeen {
    /// A whole answer.
    Answer(HttpAnswer),
    /// The connection was refused.
    Refused,
    /// TLS did not come about, in these words.
    Unsecured(String),
    /// The connection ended before an answer was whole; what had come.
    Ended(Vec<u8>),
    /// Nothing came in time, or the answer did not become whole; what had come. Never to be read as a refusal.
    Silent(Vec<u8>),
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Status.
    pub status: u16,
    /// Status line and fields, as text.
    pub head: String,
    /// Body.
    pub body: Vec<u8>,
    /// When its last byte came.
    pub at: Moment,
}

impl HttpAnswer {
    /// Status, a space, body: what patterns of bindings look at. Line ends become spaces.
    pub fn line(&self) -> String {
        let body = String::from_utf8_lossy(&self.body).replace(['\r', '\n'], " ");
        format!("{} {body}", self.status)
    }
    /// First field of this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().filter_map(|l| l.split_once(':')).find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim())
    }
}

impl HttpSeen {
    /// In words, for reports; bounded and escaped.
    pub fn words(&self) -> String {
        let cut = |bytes: &[u8]| escape(&bytes[..bytes.len().min(200)]);
        match self {
            HttpSeen::Answer(a) => format!("{} {}", a.status, cut(&a.body)),
            HttpSeen::Refused => "connection refused".to_owned(),
            HttpSeen::Unsecured(why) => format!("no TLS: {why}"),
            HttpSeen::Ended(bytes) => format!("connection ended after {} bytes {}", bytes.len(), cut(bytes)),
            HttpSeen::Silent(bytes) => format!("no whole answer, {} bytes {}", bytes.len(), cut(bytes)),
        }
    }
    /// The status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        if let HttpSeen::Answer(a) = self { Some(a.status) } else { None }
    }
}

/// What a login on the device's own interface led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebLogin {
    /// Logged in; the session.
    In(String),
    /// Refused as wrong, in these words.
    Refused(String),
    /// The declared answer of a locked login.
    Locked(String),
    /// Anything else: no answer, or none that the dossier knows.
    Other(String),
}

impl Bench {
    // ---- the lab ----

    /// Takes the link down and everything of the lab away, and forgets what was seen. No error if the rig has no network.
    pub(super) fn clear_network(&mut self) {
        self.sights.clear();
        self.web_session = None;
        (self.owned, self.set_ups) = (false, 0);
        self.slow_ways.clear();
        let captured = self.tapped.network.as_mut().and_then(|n| n.capture());
        // One capture a check; what went over the network between checks is nobody's.
        if let (Some(bytes), true) = (captured, self.current.is_some()) {
            self.evidence("network.pcapng", &bytes);
        }
        let wait = Wait::until(self.now() + super::ADAPTER, &self.stop.hard);
        let cleared = self.tapped.network.as_mut().map(|n| n.clear(&wait));
        if let Some(Err(e)) = cleared {
            self.note(&format!("the network was not cleared: {}", e.explain()));
        }
    }

    /// `[bind.web]` of `device.toml`.
    pub fn web(&self) -> Result<WebBind, Trouble> {
        self.bind().web.clone().ok_or_else(|| Trouble::IxitMissing("[bind.web] of device.toml".to_owned()))
    }

    /// Rows of 11-ComMech in which the device is the client, with their bindings.
    pub fn clients(&self) -> Vec<(Row, ComBind)> {
        let rows = self.dossier().ixit.rows(11).iter();
        rows.filter_map(|r| r.com().filter(|c| c.role == "client").map(|c| (r.clone(), c.clone()))).collect()
    }

    /// The service that a client of the device expects, as it expects it: good certificate, honest trade.
    pub fn honest(&self, com: &ComBind) -> Option<Service> {
        let host = com.host.clone()?;
        let trade = match com.protocol.as_str() {
            "mqtt" => Trade::Broker(BrokerConduct::Proper),
            "https" | "http" => Trade::Web(Vec::new()),
            "ntp" => Trade::Time(Lie::Truth),
            "dns" => Trade::Names { alive: true },
            _ => return None,
        };
        let front = if com.tls.is_some() { Front::Tls(Certificate::Good) } else { Front::Plain };
        Some(Service { host, port: com.port, front, trade })
    }

    /// Puts up a service.
    pub fn serve(&mut self, service: &Service) -> Result<(), Trouble> {
        let wait = self.wait(super::ADAPTER);
        Ok(self.network()?.serve(service, &wait)?)
    }

    /// Puts up a resolver, and every service that the device's clients expect, honestly. With `pages` at the web services of that row.
    pub fn serve_declared(&mut self) -> Result<(), Trouble> {
        self.serve(&resolver(true))?;
        for (_, com) in self.clients() {
            if let Some(service) = self.honest(&com).filter(|s| !matches!(s.trade, Trade::Names { .. })) {
                self.serve(&service)?;
            }
        }
        Ok(())
    }

    /// Puts up the service of one client otherwise than honestly.
    pub fn serve_as(&mut self, com: &ComBind, front: Front, trade: Trade) -> Result<(), Trouble> {
        let host = com.host.clone().ok_or_else(|| Trouble::IxitMissing("`host` of a client of 11-ComMech".to_owned()))?;
        self.serve(&Service { host, port: com.port, front, trade })
    }

    /// Lays a fault on the way to the service of one client, in the place of the one that was there; `None` lifts it.
    pub fn disturb(&mut self, com: &ComBind, fault: Option<Fault>) -> Result<(), Trouble> {
        let host = com.host.clone().ok_or_else(|| Trouble::IxitMissing("`host` of a client of 11-ComMech".to_owned()))?;
        let wait = self.wait(super::ADAPTER);
        self.network()?.disturb(&host, com.port, fault, &wait)?;
        let way = (host, com.port);
        if fault.is_some_and(Fault::takes_time) {
            self.slow_ways.insert(way);
        } else {
            self.slow_ways.remove(&way);
        }
        Ok(())
    }

    /// Web pages at the service of one client, with the good certificate where it wants one.
    pub fn serve_pages(&mut self, com: &ComBind, pages: Vec<Page>) -> Result<(), Trouble> {
        let front = if com.tls.is_some() { Front::Tls(Certificate::Good) } else { Front::Plain };
        self.serve_as(com, front, Trade::Web(pages))
    }

    /// Plugs the link in and waits until the device's own interface answers. [`Trouble::Unreachable`] if it does not within the declared time.
    pub fn net_up(&mut self) -> Result<(), Trouble> {
        let web = self.web()?;
        let wait = self.wait(super::ADAPTER);
        self.network()?.link(true, &wait)?;
        let end = self.now() + Duration::from_millis(web.up_within_ms);
        let mut last = String::new();
        loop {
            match self.http(&web.hello, &[])? {
                HttpSeen::Answer(a) if self.matches(&web.hello.expect, &a)?.is_some() => return Ok(()),
                other => last.clone_from(&other.words()),
            }
            if self.now() >= end {
                return Err(Trouble::Unreachable(format!("the device's own interface is not up within {} ms: {last}", web.up_within_ms)));
            }
            self.sleep(LOOK)?;
        }
    }

    /// Pulls the link.
    pub fn net_down(&mut self) -> Result<(), Trouble> {
        let wait = self.wait(super::ADAPTER);
        Ok(self.network()?.link(false, &wait)?)
    }

    // ---- what the device does by itself ----

    /// Everything that was seen since the check began or [`Bench::forget_sights`], oldest first.
    pub fn sights(&self) -> &[Seen] {
        &self.sights
    }

    /// Forgets what was seen so far, what waits in the driver included.
    pub fn forget_sights(&mut self) -> Result<(), Trouble> {
        let wait = self.wait(Duration::ZERO);
        self.network()?.seen(&wait)?;
        self.sights.clear();
        Ok(())
    }

    /// Lets time pass until the lab sees something for which `wanted` says so; how many sights there were before it, or nothing at the deadline.
    /// All sights are kept.
    pub fn watch_for(&mut self, within: Duration, mut wanted: impl FnMut(&Seen) -> bool) -> Result<Option<usize>, Trouble> {
        let end = self.now() + within;
        self.idly(end, |bench| {
            let wait = bench.wait(end.since(bench.now()).min(SLICE));
            let network = bench.network()?;
            let seen = network.seen(&wait)?;
            if network.lost() > 0 {
                return Err(Trouble::Harness(format!("the lab lost {} sights", network.lost())));
            }
            let from = bench.sights.len();
            if from + seen.len() > SIGHTS_MOST {
                return Err(Trouble::Budget(format!("the device did more than {SIGHTS_MOST} things on the network")));
            }
            let found = seen.iter().position(&mut wanted);
            bench.sights.extend(seen);
            match found {
                Some(n) => Ok(Some(Some(from + n))),
                None if bench.now() >= end => Ok(Some(None)),
                None => Ok(None),
            }
        })
    }

    /// Lets time pass and keeps what the lab sees.
    pub fn watch(&mut self, d: Duration) -> Result<(), Trouble> {
        self.watch_for(d, |_| false).map(drop)
    }

    // ---- requests to the device ----

    /// Opens a connection, sends these bytes and reads one answer. The connection is closed afterwards.
    pub fn http_bytes(&mut self, dial: &Dial, bytes: &[u8], within: Duration) -> Result<HttpSeen, Trouble> {
        let wait = self.wait(within);
        let conn = match self.network()?.connect(dial, &wait)? {
            Dialled::Open(conn, _) => conn,
            Dialled::Refused => return Ok(HttpSeen::Refused),
            Dialled::Unsecured(why) => return Ok(HttpSeen::Unsecured(why)),
            Dialled::Silent => return Ok(HttpSeen::Silent(Vec::new())),
        };
        let seen = self.http_on(conn, bytes, within);
        self.network()?.close(conn, End::Fin)?;
        seen
    }

    /// Sends these bytes on an open connection and reads one answer.
    pub fn http_on(&mut self, conn: ConnId, bytes: &[u8], within: Duration) -> Result<HttpSeen, Trouble> {
        let wait = self.wait(within);
        if !self.network()?.send(conn, bytes, &wait)? {
            return Ok(HttpSeen::Ended(Vec::new()));
        }
        self.http_answer(conn, bytes.starts_with(b"HEAD "), &wait)
    }

    /// Reads one answer from an open connection on which a request is out already.
    pub fn http_read(&mut self, conn: ConnId, within: Duration) -> Result<HttpSeen, Trouble> {
        let wait = self.wait(within);
        self.http_answer(conn, false, &wait)
    }

    /// Reads one answer from an open connection.
    fn http_answer(&mut self, conn: ConnId, head_only: bool, wait: &Wait) -> Result<HttpSeen, Trouble> {
        let mut got = Vec::new();
        loop {
            let received = self.network()?.receive(conn, &mut got, wait)?;
            let (at, ended) = match received {
                Received::Bytes(at) => (at, false),
                Received::Closed(at) | Received::Reset(at) => (at, true),
                Received::Silence => return Ok(HttpSeen::Silent(got)),
            };
            if let Some(answer) = answer(&got, ended, head_only, at) {
                return Ok(HttpSeen::Answer(answer));
            }
            if ended {
                return Ok(HttpSeen::Ended(got));
            }
            if got.len() > ANSWER_MOST {
                return Ok(HttpSeen::Silent(got));
            }
        }
    }

    /// Makes the request of a binding, as somebody without a session, or with the session that is given as parameter `session`.
    pub fn http(&mut self, h: &HttpAction, params: &[(&str, &str)]) -> Result<HttpSeen, Trouble> {
        let (dial, bytes) = self.request(h, params)?;
        self.http_bytes(&dial, &bytes, Duration::from_millis(h.within_ms))
    }

    /// The request of a binding as bytes, and where it goes.
    pub fn request(&self, h: &HttpAction, params: &[(&str, &str)]) -> Result<(Dial, Vec<u8>), Trouble> {
        let unclear = |name: String| Trouble::IxitAmbiguous(format!("request {} {} asks for `{name}`, which nobody gives", h.method, h.path));
        let web = self.web()?;
        let path = fill_in(&h.path, params).map_err(unclear)?;
        let body = h.body.as_ref().map(|b| fill_in(b, params)).transpose().map_err(unclear)?.unwrap_or_default();
        let session = match params.iter().find(|(n, _)| *n == "session") {
            Some(_) => format!("{}\r\n", fill_in(&web.session, params).map_err(unclear)?),
            None => String::new(),
        };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let head = format!("{} {path} HTTP/1.1\r\nHost: device\r\n{session}{kind}Content-Length: {}\r\n\r\n", h.method, body.len());
        let port = h.port.unwrap_or(web.port);
        Ok((Dial { port, tls: h.tls, from: 0 }, [head.into_bytes(), body.into_bytes()].concat()))
    }

    /// What a pattern of a binding finds in an answer: nothing, or its group `value` where it has one.
    pub fn matches(&mut self, pattern: &proofbench_model::bind::Pattern, answer: &HttpAnswer) -> Result<Option<Option<String>>, Trouble> {
        let regex = self.patterns.get(pattern).map_err(Trouble::IxitAmbiguous)?;
        let line = answer.line();
        Ok(regex.captures(line.as_bytes()).map(|c| c.name("value").map(|m| String::from_utf8_lossy(m.as_bytes()).into_owned())))
    }

    pub(super) fn perform_http(&mut self, h: &HttpAction, params: &[(&str, &str)]) -> Result<Did, Trouble> {
        let kept = self.web_session.clone();
        let session = if h.login { Some(self.web_session()?) } else { None };
        let reused = session.is_some() && kept == self.web_session;
        let given = params;
        let mut params = params.to_vec();
        if let Some(session) = &session {
            params.push(("session", session));
        }
        if h.restarts {
            self.core.stimulus.set(Some(self.now()));
            self.watch.mark();
        }
        let HttpSeen::Answer(answer) = self.http(h, &params)? else { return Ok(Did::Silent) };
        let text = escape(answer.line().as_bytes());
        if let Some(value) = self.matches(&h.expect, &answer)? {
            return Ok(Did::Done { value, text });
        }
        let refused = match &h.refuse {
            Some(refuse) => self.matches(refuse, &answer)?.is_some(),
            None => false,
        };
        if refused {
            Ok(Did::Refused { text })
        } else if reused {
            // Sessions end by themselves, and nothing says when: a new one is tried once.
            self.forget_web_session();
            self.perform_http(h, given)
        } else {
            Err(Trouble::IxitAmbiguous(format!("the answer to {} {} is neither the declared one nor the declared refusal: {text}", h.method, h.path)))
        }
    }

    /// Tries to log in on the device's own interface.
    pub fn web_login(&mut self, c: &Credential) -> Result<WebLogin, Trouble> {
        self.web_login_from(c, 0)
    }

    /// As [`Bench::web_login`], from another of the lab's addresses.
    pub fn web_login_from(&mut self, c: &Credential, from: u8) -> Result<WebLogin, Trouble> {
        let web = self.web()?;
        let (dial, bytes) = self.request(&web.login, &[("user", &c.user), ("secret", &c.secret)])?;
        let seen = self.http_bytes(&Dial { from, ..dial }, &bytes, Duration::from_millis(web.login.within_ms))?;
        self.login_outcome(&web, &seen)
    }

    /// What an answer to a login means, by the dossier.
    pub fn login_outcome(&mut self, web: &WebBind, seen: &HttpSeen) -> Result<WebLogin, Trouble> {
        let words = seen.words();
        let HttpSeen::Answer(answer) = seen else { return Ok(WebLogin::Other(words)) };
        if let Some(Some(session)) = self.matches(&web.login.expect, answer)? {
            return Ok(WebLogin::In(session));
        }
        if let Some(locked) = &web.locked
            && self.matches(locked, answer)?.is_some()
        {
            return Ok(WebLogin::Locked(words));
        }
        match &web.login.refuse {
            Some(refuse) if self.matches(refuse, answer)?.is_some() => Ok(WebLogin::Refused(words)),
            _ => Ok(WebLogin::Other(words)),
        }
    }

    /// A live session of the owner, made with the credential in force.
    pub fn web_session(&mut self) -> Result<String, Trouble> {
        if let Some((session, boots)) = &self.web_session
            && *boots == self.watch.total_boots
        {
            return Ok(session.clone());
        }
        let web = self.web()?;
        let secret = self.credential.clone().ok_or_else(|| Trouble::IxitMissing("[sample] label of device.toml".to_owned()))?;
        match self.web_login(&Credential { user: web.user, secret: secret.secret })? {
            WebLogin::In(session) => {
                self.web_session = Some((session.clone(), self.watch.total_boots));
                Ok(session)
            }
            WebLogin::Refused(words) | WebLogin::Locked(words) | WebLogin::Other(words) => {
                Err(Trouble::Precondition(format!("no login on the device's own interface with the credential in force: {words}")))
            }
        }
    }

    /// Forgets the owner's session, so that the next request logs in anew.
    pub fn forget_web_session(&mut self) {
        self.web_session = None;
    }

    /// Whether this check has set the device up.
    pub fn is_owned(&self) -> bool {
        self.owned
    }

    /// Sets a factory-fresh device up with a secret of the rig's own and these answers to the decisions of table 26 (row id, option); decisions that are
    /// not named get their first option. Sessions and logins use the new secret from here on.
    pub fn set_up(&mut self, answers: &[(&str, &str)]) -> Result<(), Trouble> {
        match self.try_set_up(answers, None)? {
            (true, _) => Ok(()),
            (false, words) => Err(Trouble::Precondition(format!("the device was not set up: {words}"))),
        }
    }

    /// The request that sets up another unit of the model, with its own label, and where it goes. Decisions get their first options.
    pub fn set_up_bytes(&mut self, user: &str, label: &str) -> Result<(Dial, Vec<u8>), Trouble> {
        let set_up = self.web()?.set_up.ok_or_else(|| Trouble::IxitMissing("`set-up` of [bind.web] of device.toml".to_owned()))?;
        let secret = format!("Pb-{:016x}", self.seed());
        let mut given = vec![("user".to_owned(), user.to_owned()), ("label".to_owned(), label.to_owned()), ("secret".to_owned(), secret)];
        for row in self.dossier.ixit.rows(26) {
            let Some(dec) = row.dec().filter(|d| d.asked_at_set_up) else { continue };
            let param = dec.param.clone().unwrap_or_else(|| row.id.row.to_ascii_lowercase());
            given.extend(dec.options.first().map(|v| (param, v.clone())));
        }
        let params: Vec<(&str, &str)> = given.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        self.request(&set_up, &params)
    }

    /// As [`Bench::set_up`], but without the answer to the decision `but`, as if nobody had asked for it. Whether the device went on, and what it said.
    pub fn try_set_up(&mut self, answers: &[(&str, &str)], but: Option<&str>) -> Result<(bool, String), Trouble> {
        let web = self.web()?;
        let mut set_up = web.set_up.ok_or_else(|| Trouble::IxitMissing("`set-up` of [bind.web] of device.toml".to_owned()))?;
        let label = self.dossier.device.sample.label.clone().ok_or_else(|| Trouble::IxitMissing("[sample] label of device.toml".to_owned()))?;
        // Another one each time: what an earlier owner knew must not open the device of the next.
        self.set_ups += 1;
        let secret = format!("Pb-{:016x}-{}", self.seed(), self.set_ups);
        let mut given = vec![("user".to_owned(), label.user), ("label".to_owned(), label.secret), ("secret".to_owned(), secret.clone())];
        let mut missing = None;
        for row in self.dossier.ixit.rows(26) {
            let Some(dec) = row.dec().filter(|d| d.asked_at_set_up) else { continue };
            let param = dec.param.clone().unwrap_or_else(|| row.id.row.to_ascii_lowercase());
            if Some(row.id.row.as_str()) == but {
                missing = Some(param);
                continue;
            }
            let chosen = answers.iter().find(|(n, _)| *n == row.id.row).map(|(_, v)| (*v).to_owned());
            given.extend(chosen.or_else(|| dec.options.first().cloned()).map(|v| (param, v)));
        }
        if let (Some(missing), Some(body)) = (missing, &set_up.body) {
            let left = left_out(body, &missing);
            set_up.body = Some(left.ok_or_else(|| Trouble::IxitAmbiguous(format!("the body of set-up is no JSON object with one {{{missing}}}")))?);
        }
        let params: Vec<(&str, &str)> = given.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let seen = self.http(&set_up, &params)?;
        let words = seen.words();
        let HttpSeen::Answer(answer) = &seen else { return Err(Trouble::Unreachable(format!("set-up was not answered: {words}"))) };
        if self.matches(&set_up.expect, answer)?.is_none() {
            return Ok((false, words));
        }
        self.set_credential(Credential { user: web.user, secret });
        self.web_session = None;
        self.owned = true;
        Ok((true, words))
    }

    /// The device on the network with an owner, and the lab as it is declared: what most checks of the network begin with. A device that this check has
    /// set up already is not set up again.
    pub fn at_home(&mut self) -> Result<(), Trouble> {
        self.serve_declared()?;
        self.net_up()?;
        if self.owned { Ok(()) } else { self.set_up(&[]) }
    }

    /// The device was reset to its factory state: it has no owner, and its credential is the label's.
    pub fn disowned(&mut self) {
        (self.owned, self.web_session) = (false, None);
        self.credential = self.dossier.device.sample.label.clone();
        self.session = None;
    }
}

/// A JSON object, as a template, without the member that a parameter fills.
fn left_out(body: &str, param: &str) -> Option<String> {
    let hole = format!("{{{param}}}");
    let inner = body.trim().strip_prefix('{')?.strip_suffix('}')?;
    let (kept, gone): (Vec<&str>, Vec<&str>) = inner.split(',').partition(|member| !member.contains(&hole));
    (gone.len() == 1).then(|| format!("{{{}}}", kept.join(",")))
}

/// The lab's resolver.
pub fn resolver(alive: bool) -> Service {
    Service { host: "resolver".to_owned(), port: 53, front: Front::Plain, trade: Trade::Names { alive } }
}

/// An answer, if it is whole.
fn answer(bytes: &[u8], ended: bool, head_only: bool, at: Moment) -> Option<HttpAnswer> {
    let end = bytes.windows(4).take(65_536).position(|w| w == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let rest = &bytes[end + 4..];
    let field =
        |name: &str| head.lines().filter_map(|l| l.split_once(':')).find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim().to_owned());
    if head_only || status == 204 || status == 304 {
        return Some(HttpAnswer { status, head, body: Vec::new(), at });
    }
    let body = match field("content-length").map(|l| l.parse::<usize>()) {
        Some(Ok(length)) => rest.get(..length)?.to_vec(),
        Some(Err(_)) => return None,
        None if field("transfer-encoding").is_some_and(|e| e.eq_ignore_ascii_case("chunked")) => unchunked(rest)?,
        // Without a length the end of the connection is the end of the answer.
        None if ended => rest.to_vec(),
        None => return None,
    };
    Some(HttpAnswer { status, head, body, at })
}

/// A whole chunked body.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|w| w == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok().filter(|n| *n <= ANSWER_MOST)?;
        rest = rest.get(line + 2..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, ended: bool) -> Option<String> {
        answer(text.as_bytes(), ended, false, Moment(0)).map(|a| a.line())
    }

    #[test]
    fn answers_are_whole_by_length_by_chunks_or_by_the_end_of_the_connection() {
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", false).as_deref(), Some("200 ab"));
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", true), None);
        assert_eq!(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", false).as_deref(), Some("200 ab"));
        assert_eq!(read("HTTP/1.0 200 OK\r\n\r\na\nb", false), None);
        assert_eq!(read("HTTP/1.0 200 OK\r\n\r\na\nb", true).as_deref(), Some("200 a b"));
        assert_eq!(read("HTTP/1.1 204 No Content\r\n\r\n", false).as_deref(), Some("204 "));
        assert_eq!(read("garbage\r\n\r\n", true), None);
    }
}
