//! The server: one answer a connection, and a witness of whether it was taken.

use super::PullSetup;
use super::offer::{Offer, range};
use crate::text::shown;
use crate::{TimeBase, runtime};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT_RANGES, ALLOW, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, IF_RANGE, RANGE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use proofbench_channel::{ChannelError, ErrorKind, Moment};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

/// Most connections at a time; the next one waits until one has ended.
const CONNECTIONS_MOST: usize = 32;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);
/// How long a device may take to end its side after the answer.
const FAREWELL: Duration = Duration::from_secs(60);
/// Longest head of a request.
const HEAD_MOST: usize = 16 * 1024;
/// How long a connection may last: a slow device on a slow link.
const CONNECTION: Duration = Duration::from_secs(1800);
/// Most remarks that are kept.
const REMARKS_MOST: usize = 500;

/// What the server and its path share.
pub(super) struct Shared {
    time: TimeBase,
    manifest: String,
    image: String,
    base: Option<String>,
    template: Option<String>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    offer: Option<Offer>,
    /// Which offer it is: what was taken of an earlier one does not count.
    number: u64,
    remarks: Vec<(Moment, String)>,
    left_out: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an image up in the place of the last one, or takes it down.
    pub fn offer(&self, offer: Option<Offer>) {
        let mut state = self.lock();
        state.number += 1;
        state.offer = offer;
    }

    /// Whether an image is up.
    #[cfg(test)]
    pub fn is_up(&self) -> bool {
        self.lock().offer.is_some()
    }

    /// Bytes taken from the first one on.
    pub fn taken(&self) -> u32 {
        self.lock().offer.as_ref().map_or(0, |o| u32::try_from(o.prefix()).unwrap_or(u32::MAX))
    }

    /// Waits until every byte was taken.
    pub async fn whole(&self) {
        loop {
            let changed = self.changed.notified();
            if self.lock().offer.as_ref().is_some_and(Offer::is_whole) {
                return;
            }
            changed.await;
        }
    }

    pub fn remarks(&self) -> Vec<(Moment, String)> {
        let mut state = self.lock();
        let mut remarks = std::mem::take(&mut state.remarks);
        let left_out = std::mem::take(&mut state.left_out);
        if left_out > 0 {
            remarks.push((self.time.now(), format!("{left_out} further requests")));
        }
        remarks
    }

    fn remark(&self, at: Moment, text: String) {
        let mut state = self.lock();
        if state.remarks.len() < REMARKS_MOST {
            state.remarks.push((at, text));
        } else {
            state.left_out += 1;
        }
    }

    /// The answer to a request, and what of which offer it carries.
    fn answer(&self, method: &Method, path: &str, headers: &HeaderMap, here: SocketAddr) -> (Response<Full<Bytes>>, Option<Carried>) {
        let state = self.lock();
        let Some(offer) = state.offer.as_ref().filter(|_| path == self.manifest || path == self.image) else {
            return (plain(StatusCode::NOT_FOUND, "nothing is up here\n"), None);
        };
        if method != Method::GET && method != Method::HEAD {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n");
            response.headers_mut().insert(ALLOW, header("GET, HEAD"));
            return (response, None);
        }
        if path == self.manifest {
            let base = self.base.clone().unwrap_or_else(|| format!("http://{here}"));
            let text = offer.manifest(self.template.as_deref(), &format!("{base}{}", self.image));
            let mut response = plain(StatusCode::OK, &text);
            response.headers_mut().insert(CONTENT_TYPE, header("application/json"));
            return (response, None);
        }
        let length = offer.image.len() as u64;
        let tag = format!("\"{}\"", offer.sha);
        let text = |name| headers.get(name).and_then(|v: &hyper::header::HeaderValue| v.to_str().ok());
        // A range of another image than this one is not what the device means.
        let wanted = if text(IF_RANGE).is_none_or(|t| t == tag) { range(text(RANGE), length) } else { Ok(None) };
        let (status, from, to) = match wanted {
            Ok(None) => (StatusCode::OK, 0, length),
            Ok(Some((from, to))) => (StatusCode::PARTIAL_CONTENT, from, to),
            Err(()) => {
                let mut response = plain(StatusCode::RANGE_NOT_SATISFIABLE, "");
                response.headers_mut().insert(CONTENT_RANGE, header(&format!("bytes */{length}")));
                return (response, None);
            }
        };
        // In bounds: both come from this image's length.
        let part = offer.image.slice(from as usize..to as usize);
        let mut response = Response::new(Full::new(part));
        *response.status_mut() = status;
        let head = response.headers_mut();
        head.insert(CONTENT_TYPE, header("application/octet-stream"));
        head.insert(ACCEPT_RANGES, header("bytes"));
        head.insert(ETAG, header(&tag));
        if status == StatusCode::PARTIAL_CONTENT {
            head.insert(CONTENT_RANGE, header(&format!("bytes {from}-{}/{length}", to - 1)));
        }
        let carried = (method == Method::GET).then_some(Carried { number: state.number, from, to });
        (response, carried)
    }

    fn took(&self, carried: &Carried) {
        let mut state = self.lock();
        if state.number == carried.number
            && let Some(offer) = &mut state.offer
        {
            offer.take(carried.from, carried.to);
        }
        drop(state);
        self.changed.notify_waiters();
    }
}

/// Bytes of an offer in an answer.
#[derive(Debug, Clone, Copy)]
struct Carried {
    number: u64,
    from: u64,
    to: u64,
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *response.status_mut() = status;
    response
}

/// Text of ours as a header's value.
fn header(text: &str) -> hyper::header::HeaderValue {
    hyper::header::HeaderValue::from_str(text).unwrap_or(hyper::header::HeaderValue::from_static(""))
}

/// The listening server. Dropping it ends it and every connection; the port is free again then.
pub(super) struct Server {
    pub shared: Arc<Shared>,
    pub address: SocketAddr,
    listening: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(setup: &PullSetup) -> Result<Self, ChannelError> {
        let runtime = runtime::handle()?;
        let failed = |e: io::Error| {
            let kind = match e.kind() {
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => ErrorKind::Refused,
                io::ErrorKind::AddrNotAvailable => ErrorKind::Disconnected,
                _ => ErrorKind::Driver,
            };
            ChannelError::caused(kind, format!("listen at {}", setup.listen), e)
        };
        let listener = runtime.block_on(TcpListener::bind(setup.listen)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            time: setup.time,
            manifest: setup.manifest.clone(),
            image: setup.image.clone(),
            base: setup.base.as_ref().map(|b| b.trim_end_matches('/').to_owned()),
            template: setup.template.clone(),
            state: Mutex::default(),
            changed: Notify::new(),
        });
        let listening = runtime.spawn(listen(listener, Arc::clone(&shared)));
        Ok(Self { shared, address, listening: Some(listening) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let (Some(listening), Ok(runtime)) = (self.listening.take(), runtime::handle()) {
            listening.abort();
            let _ = runtime.block_on(listening);
        }
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS_MOST {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, from)) => drop(connections.spawn(serve(stream, from, Arc::clone(&shared)))),
            // Out of handles, or a connection that ended before it was taken: neither is helped by haste.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, from: SocketAddr, shared: Arc<Shared>) {
    let said = Arc::new(Mutex::new(None));
    let end = match tokio::time::timeout(CONNECTION, exchange(stream, &shared, Arc::clone(&said))).await {
        Ok(end) => end,
        Err(_) => Err("it lasted too long".to_owned()),
    };
    let Some((at, what, carried)) = said.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    let outcome = match (&end, &carried) {
        (Ok(()), Some(_)) => "taken".to_owned(),
        (Ok(()), None) => "answered".to_owned(),
        (Err(why), _) => format!("broken off: {why}"),
    };
    shared.remark(at, format!("{from} {what}: {outcome}"));
    if let (Ok(()), Some(carried)) = (end, carried) {
        shared.took(&carried);
    }
}

type Said = Arc<Mutex<Option<(Moment, String, Option<Carried>)>>>;

/// One request, one answer, and the device's end of the connection behind it.
async fn exchange(stream: TcpStream, shared: &Arc<Shared>, said: Said) -> Result<(), String> {
    let here = stream.local_addr().map_err(|e| e.to_string())?;
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let at = shared.time.now();
        let path = request.uri().path();
        let (response, carried) = shared.answer(request.method(), path, request.headers(), here);
        let range = request.headers().get(RANGE).map(|r| format!(" {}", shown(r.as_bytes()))).unwrap_or_default();
        let what = format!("{} {}{range} -> {}", shown(request.method().as_str().as_bytes()), shown(path.as_bytes()), response.status().as_u16());
        *said.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, what, carried));
        async move { Ok::<_, Infallible>(response) }
    });
    let mut builder = http1::Builder::new();
    builder.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_MOST);
    let parts = builder.serve_connection(TokioIo::new(stream), service).without_shutdown().await.map_err(|e| e.to_string())?;
    let mut stream = parts.io.into_inner();
    // What the device's kernel has not handed over yet when it closes makes the end a reset and not an end.
    stream.shutdown().await.map_err(|e| e.to_string())?;
    let ended = async {
        let mut rest = [0; 1024];
        loop {
            match stream.read(&mut rest).await {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(e) => return Err(e.to_string()),
            }
        }
    };
    tokio::time::timeout(FAREWELL, ended).await.unwrap_or_else(|_| Err("the device does not end its side".to_owned()))
}
