//! One HTTP request: on a thread of its own, bounded in time and size, and stopped in the middle of its body when nobody waits for it any more.

use super::{PushSetup, authorization, shown_url, url_trouble};
use crate::text::shown;
use crate::{Secret, TimeBase, runtime};
use proofbench_channel::{ChannelError, ErrorKind, Wait};
use std::io::{self, Read};
use std::net::ToSocketAddrs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};
use ureq::{Agent, Error, SendBody, Timeout};

/// Longest text of an answer that is read.
const TEXT_MOST: u64 = 1 << 20;
/// Longest head of an answer.
const HEAD_MOST: usize = 16 * 1024;
/// How long connecting may take at one attempt.
const CONNECT_MOST: Duration = Duration::from_secs(5);
/// No request runs longer, whatever its caller's deadline.
const REQUEST_MOST: Duration = Duration::from_secs(3600);

/// What is asked.
pub(super) struct Request {
    pub url: String,
    /// PUT instead of POST, for an image.
    pub put: bool,
    /// The body; without one it is a GET.
    pub image: Option<Arc<[u8]>>,
    /// Its content type.
    pub kind: String,
}

impl Request {
    pub fn verb(&self) -> &'static str {
        match (&self.image, self.put) {
            (None, _) => "GET",
            (Some(_), true) => "PUT",
            (Some(_), false) => "POST",
        }
    }
}

/// What came of it.
pub(super) enum Met {
    /// The device answered.
    Answer { status: u16, text: Vec<u8> },
    /// Nobody was there: nothing was sent.
    Nobody(String),
    /// The connection broke off; the device may have got all of it, or nothing.
    Broken(String),
    /// No answer until the deadline.
    Late,
}

/// The way to one device.
pub(super) struct Http {
    agent: Agent,
    authorization: Option<Secret>,
    /// Held while a request is on its way.
    turn: Arc<Mutex<()>>,
    /// Whether the device's name was ever found: one that is lost again is a device that is away.
    known: Arc<AtomicBool>,
}

/// Tells the thread that its caller has gone.
struct Caller(Arc<AtomicBool>);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A body that ends in an error when its caller has gone.
struct Body {
    image: Arc<[u8]>,
    at: usize,
    gone: Arc<AtomicBool>,
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.gone.load(Ordering::SeqCst) {
            return Err(io::Error::other("given up"));
        }
        let left = &self.image[self.at..];
        // In small parts, so that giving up is noticed soon.
        let n = left.len().min(into.len()).min(16 * 1024);
        into[..n].copy_from_slice(&left[..n]);
        self.at += n;
        Ok(n)
    }
}

impl Http {
    pub fn new(setup: &PushSetup) -> Result<Self, ChannelError> {
        let wrong = |what: &str, why: &str| ChannelError::caused(ErrorKind::Driver, what.to_owned(), why.to_owned());
        for url in [Some(&setup.url), setup.state.as_ref().map(|s| &s.url)].into_iter().flatten() {
            if let Some(why) = url_trouble(url) {
                // Not shown: somebody may have written a password into it.
                return Err(wrong("use the device's URL", &format!("{why}; valid: http://192.0.2.7/update")));
            }
            if url.starts_with("https:") && setup.trusted.is_none() {
                return Err(wrong(&format!("use {}", shown_url(url)), "it needs the certificate that is to be trusted"));
            }
        }
        let authorization = authorization(&setup.auth);
        if authorization.as_deref().is_some_and(|a| ureq::http::HeaderValue::from_str(a).is_err()) {
            return Err(wrong("use the credentials", "they hold characters that HTTP does not carry"));
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .max_idle_connections(0)
            .max_response_header_size(HEAD_MOST)
            .user_agent("proofbench");
        if let Some(pem) = &setup.trusted {
            let mut certificates: Vec<Certificate<'static>> = Vec::new();
            for item in parse_pem(pem) {
                match item {
                    Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
                    Ok(_) => {}
                    Err(e) => return Err(wrong("read the certificates to be trusted", &e.to_string())),
                }
            }
            if certificates.is_empty() {
                return Err(wrong("read the certificates to be trusted", "there is none"));
            }
            let tls = TlsConfig::builder()
                .provider(TlsProvider::Rustls)
                .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .root_certs(RootCerts::new_with_certs(&certificates))
                .build();
            config = config.tls_config(tls);
        }
        Ok(Self { agent: config.build().into(), authorization: authorization.map(Secret::new), turn: Arc::default(), known: Arc::default() })
    }

    /// One attempt. An error is one of the bench.
    pub fn exchange(&self, request: &Request, time: TimeBase, wait: &Wait, doing: &str) -> Result<Met, ChannelError> {
        let gone = Arc::new(AtomicBool::new(false));
        let _caller = Caller(Arc::clone(&gone));
        let (agent, turn, authorization) = (self.agent.clone(), Arc::clone(&self.turn), self.authorization.clone());
        let (url, put, image, kind) = (request.url.clone(), request.put, request.image.clone(), request.kind.clone());
        let at_most = time.left(wait.until).min(REQUEST_MOST);
        let known = Arc::clone(&self.known);
        let words = doing.to_owned();
        let met = runtime::offload(time, wait, doing, move || {
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            if gone.load(Ordering::SeqCst) {
                return Ok(Met::Late);
            }
            match look_up(&url) {
                Ok(()) => known.store(true, Ordering::SeqCst),
                Err(why) if known.load(Ordering::SeqCst) => return Ok(Met::Nobody(why)),
                Err(why) => return Err(ChannelError::caused(ErrorKind::Driver, words, why)),
            }
            let body = image.map(|image| Body { image, at: 0, gone });
            match answer(&agent, &url, put, body, &kind, authorization.as_ref(), at_most) {
                Ok((status, text)) => Ok(Met::Answer { status, text }),
                Err(e) => met(&e, words),
            }
        });
        match met {
            Err(e) if e.kind == ErrorKind::Timeout => Ok(Met::Late),
            other => other,
        }
    }
}

/// Finds the device's name. The library does so again, but does not tell this failure from a connection that broke off.
fn look_up(url: &str) -> Result<(), String> {
    let Some(authority) = url.parse::<ureq::http::Uri>().ok().and_then(|u| u.into_parts().authority) else { return Ok(()) };
    let host = authority.host().trim_matches(['[', ']']);
    match (host, authority.port_u16().unwrap_or(80)).to_socket_addrs().map(|mut all| all.next()) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err("its name has no address".to_owned()),
        Err(e) => Err(shown(e.to_string().as_bytes())),
    }
}

fn answer(
    agent: &Agent,
    url: &str,
    put: bool,
    body: Option<Body>,
    kind: &str,
    authorization: Option<&Secret>,
    at_most: Duration,
) -> Result<(u16, Vec<u8>), Error> {
    let authorization = authorization.map(Secret::reveal);
    let response = match body {
        None => {
            let get = agent.get(url).config().timeout_global(Some(at_most)).timeout_connect(Some(CONNECT_MOST)).build();
            authorization.into_iter().fold(get, |get, a| get.header("Authorization", a)).call()?
        }
        Some(body) => {
            let send = if put { agent.put(url) } else { agent.post(url) };
            let send = send.config().timeout_global(Some(at_most)).timeout_connect(Some(CONNECT_MOST)).build();
            let send = authorization.into_iter().fold(send, |send, a| send.header("Authorization", a));
            // Without a length the body would go in parts of HTTP's own, which small devices do not put together.
            let send = send.header("Content-Type", kind).header("Content-Length", body.image.len().to_string());
            send.send(SendBody::from_owned_reader(body))?
        }
    };
    let status = response.status().as_u16();
    let mut text = Vec::new();
    // The status is the answer; a text that breaks off is shorter, and no error.
    let _ = response.into_body().into_reader().take(TEXT_MOST).read_to_end(&mut text);
    Ok((status, text))
}

/// What an error of the library says of the device, or of the bench.
fn met(error: &Error, doing: String) -> Result<Met, ChannelError> {
    let text = || shown(error.to_string().as_bytes());
    let failed = |kind, why| Err(ChannelError::caused(kind, doing, why));
    match error {
        Error::Io(e) if e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
            failed(ErrorKind::Refused, format!("its TLS is not trusted: {}", text()))
        }
        Error::Io(e) => {
            let why = shown(e.to_string().as_bytes());
            match e.kind() {
                io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable => Ok(Met::Nobody(why)),
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown | io::ErrorKind::AddrNotAvailable => {
                    failed(ErrorKind::Disconnected, why)
                }
                io::ErrorKind::PermissionDenied => failed(ErrorKind::Refused, why),
                _ => Ok(Met::Broken(why)),
            }
        }
        Error::ConnectionFailed => Ok(Met::Nobody(text())),
        Error::Timeout(Timeout::Connect) => Ok(Met::Nobody("no connection in its time".to_owned())),
        Error::Timeout(Timeout::Resolve) | Error::HostNotFound => failed(ErrorKind::Driver, "its name is not known".to_owned()),
        Error::Timeout(_) => Ok(Met::Late),
        Error::Protocol(_) | Error::LargeResponseHeader(..) => failed(ErrorKind::Protocol, format!("its answer is no HTTP: {}", text())),
        Error::Rustls(_) | Error::Tls(_) => failed(ErrorKind::Refused, format!("its TLS is not trusted: {}", text())),
        // Not the error's text: it could hold the URL.
        _ => failed(ErrorKind::Driver, "the request cannot be made".to_owned()),
    }
}
