//! One connection: its request as it came, its answer, its end, each onto the timeline.

use super::Shared;
use super::answer::{Answer, Asked, Flow, answer, too_long};
use super::page::End;
use crate::accept;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt::Write;
use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

/// Most connections at a time; the next one waits until one has ended.
const CONNECTIONS_MOST: usize = 64;
/// How long the TLS handshake, and then the head of a request, may take.
const HEAD: Duration = Duration::from_secs(10);
/// Longest head of a request.
const HEAD_MOST: usize = 16 * 1024;
/// How long the body of a request may take.
const BODY: Duration = Duration::from_secs(120);
/// How long a device may take to end its side after the answer.
const FAREWELL: Duration = Duration::from_secs(60);
/// How long a connection may last: a slow device on a slow link.
const CONNECTION: Duration = Duration::from_secs(1800);
/// What was written is on its way for so long before a reset would overtake it.
const BEFORE_RESET: Duration = Duration::from_millis(100);
/// Most bytes written at a time.
const PIECE: usize = 16 * 1024;
/// Most characters of a request in words; the bytes are beside them.
const SHOWN: usize = 1000;

type Stream = Either<TcpStream, TlsStream<TcpStream>>;

/// Takes connections until it is dropped, and all of them with it.
pub(super) async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    accept(listener, CONNECTIONS_MOST, |stream, from| serve(stream, from, Arc::clone(&shared))).await;
}

/// What a connection says, under its own name.
#[derive(Debug, Clone)]
struct Witness {
    shared: Arc<Shared>,
    from: SocketAddr,
}

impl Witness {
    fn say(&self, what: &str, bytes: Bytes) {
        self.shared.timeline.add(&self.shared.setup.name, format!("{} {what}", self.from), bytes);
    }
}

async fn serve(stream: TcpStream, from: SocketAddr, shared: Arc<Shared>) {
    let witness = Witness { shared, from };
    witness.say("connected", Bytes::new());
    match timeout(CONNECTION, exchange(stream, &witness)).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => witness.say(&format!("broken off: {}", shown(why.as_bytes())), Bytes::new()),
        Err(_) => witness.say(&format!("broken off: it lasted {} s", CONNECTION.as_secs()), Bytes::new()),
    }
}

/// One request, one answer. The error is what broke it off.
async fn exchange(stream: TcpStream, witness: &Witness) -> Result<(), String> {
    let stream = match &witness.shared.setup.tls {
        None => Either::Left(stream),
        Some(config) => {
            let accepted = timeout(HEAD, TlsAcceptor::from(Arc::clone(config)).accept(stream)).await;
            let stream = accepted.map_err(|_| "TLS handshake: timed out".to_owned())?.map_err(|e| format!("TLS handshake: {e}"))?;
            let tls = stream.get_ref().1;
            let version = tls.protocol_version().map_or_else(String::new, |v| format!("{v:?}"));
            let name = tls.server_name().map_or_else(|| "no name".to_owned(), |n| shown(n.as_bytes()));
            let certificates = tls.peer_certificates().map_or(0, <[_]>::len);
            witness.say(&format!("TLS {version}, {name}, {certificates} certificates of the device"), Bytes::new());
            Either::Right(stream)
        }
    };
    let Some((mut stream, answer, released)) = request(stream, witness).await else { return Ok(()) };
    let mut sent = 0;
    let length = answer.body.len();
    let done = send(&mut stream, &answer, released, witness, &mut sent).await;
    match done {
        Ok(true) => {}
        Ok(false) => return Ok(()),
        Err(e) => return Err(format!("{sent} of {length} body bytes written, {e}")),
    }
    stream.shutdown().await.map_err(|e| format!("{sent} of {length} body bytes written, {e}"))?;
    // A device that closes before it has read everything resets the connection: its clean end means that it took the answer.
    match timeout(FAREWELL, ended(&mut stream)).await {
        Ok(Ok(())) => witness.say(&format!("took all {sent} body bytes"), Bytes::new()),
        Ok(Err(e)) => return Err(format!("{sent} of {length} body bytes written, {e}")),
        Err(_) => return Err(format!("{sent} of {length} body bytes written, the device does not end its side")),
    }
    Ok(())
}

/// What a request gets: the answer, and what releases it from a stall.
type Decided = (Answer, Option<watch::Receiver<()>>);

/// Reads a request, says it, and decides on its answer. `None`: it is not whole, which is said too.
async fn request(stream: Stream, witness: &Witness) -> Option<(Stream, Answer, Option<watch::Receiver<()>>)> {
    let raw = Arc::new(Mutex::new(BytesMut::new()));
    let (given, mut taken) = mpsc::channel(1);
    let service = service_fn(|request| {
        let (given, raw, witness) = (given.clone(), Arc::clone(&raw), witness.clone());
        Box::pin(async move {
            let _ = given.try_send(decide(request, &raw, &witness).await);
            // The answer does not go through hyper.
            pending::<Result<Response<Empty<Bytes>>, Infallible>>().await
        })
    });
    let mut builder = http1::Builder::new();
    builder.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_MOST);
    let mut connection = builder.serve_connection(TokioIo::new(Recorded { stream, raw: Arc::clone(&raw) }), service);
    let decided: Option<Decided> = tokio::select! {
        biased;
        Some(decided) = taken.recv() => decided,
        end = poll_fn(|cx| connection.poll_without_shutdown(cx)) => {
            // hyper has answered what it could not read.
            let read = std::mem::take(&mut *raw.lock().unwrap_or_else(PoisonError::into_inner)).freeze();
            let why = end.map_or_else(|e| e.to_string(), |()| "the device ended it".to_owned());
            witness.say(&format!("no whole request, {} bytes: {}", read.len(), shown(why.as_bytes())), read);
            None
        }
    };
    let (answer, released) = decided?;
    Some((connection.into_parts().io.into_inner().stream, answer, released))
}

async fn decide(request: Request<Incoming>, raw: &Mutex<BytesMut>, witness: &Witness) -> Option<Decided> {
    let (parts, body) = request.into_parts();
    let mut what = format!("{} {} {:?}", parts.method, parts.uri, parts.version);
    for (name, value) in &parts.headers {
        let _ = write!(what, "; {name}: {}", value.as_bytes().escape_ascii());
    }
    let mut head = raw.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(end) = head.windows(4).position(|w| w == b"\r\n\r\n") {
        head.truncate(end + 4);
    }
    witness.say(&shown(what.as_bytes()), head.freeze());
    let most = witness.shared.setup.body_most;
    let mut collected = BytesMut::new();
    let read = timeout(BODY, collect(body, most, &mut collected)).await;
    let collected = collected.freeze();
    match &read {
        Ok(Ok(true)) if collected.is_empty() => {}
        Ok(Ok(true)) => witness.say(&format!("body of {} bytes", collected.len()), collected),
        Ok(Ok(false)) => witness.say(&format!("body of more than {most} bytes"), collected),
        Ok(Err(why)) => witness.say(&format!("body broken off after {} bytes: {}", collected.len(), shown(why.as_bytes())), collected),
        Err(_) => witness.say(&format!("body of {} bytes, unfinished after {} s", collected.len(), BODY.as_secs()), collected),
    }
    let (answer, released) = match read {
        Ok(Ok(true)) => {
            let asked = Asked { method: parts.method, headers: parts.headers };
            let mut slots = witness.shared.slots();
            let mut slot = slots.get_mut(parts.uri.path());
            let answer = answer(&asked, slot.as_deref().map(|s| &s.page), slot.as_deref().map_or(0, |s| s.answered));
            if let Some(slot) = slot.as_deref_mut().filter(|_| answer.counts) {
                slot.answered = slot.answered.saturating_add(1);
            }
            let released = slot.filter(|_| matches!(answer.flow, Flow::Stall { .. })).map(|s| s.released.subscribe());
            (answer, released)
        }
        Ok(Ok(false)) => (too_long(&parts.method), None),
        Ok(Err(_)) | Err(_) => return None,
    };
    witness.say(&format!("answered {}, {} body bytes, {:?}", answer.status, answer.body.len(), answer.flow), Bytes::new());
    Some((answer, released))
}

/// Reads a body. `false`: it is longer than `most`, and cut there.
async fn collect(mut body: Incoming, most: usize, into: &mut BytesMut) -> Result<bool, String> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| e.to_string())?;
        let Some(data) = frame.data_ref() else { continue };
        let room = most - into.len();
        into.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Sends the answer. `false`: it is over with the connection, as it was told to be. `sent` counts body bytes that the kernel took.
async fn send(stream: &mut Stream, answer: &Answer, released: Option<watch::Receiver<()>>, witness: &Witness, sent: &mut u64) -> io::Result<bool> {
    stream.write_all(&answer.head).await?;
    let body = &answer.body[..];
    // A length of this content fits, for a slice's does.
    let upto = |after: u64| body.split_at(usize::try_from(after).unwrap_or(usize::MAX).min(body.len()));
    match answer.flow {
        Flow::Whole => write(stream, body, sent).await?,
        Flow::Stall { after } => {
            let (first, rest) = upto(after);
            write(stream, first, sent).await?;
            witness.say(&format!("stalled after {sent} of {} body bytes", body.len()), Bytes::new());
            let release = async {
                match released {
                    // The page is gone, and nobody can release it any more.
                    Some(mut released) => released.changed().await.or(Err(())),
                    None => Err(()),
                }
            };
            tokio::select! {
                Ok(()) = release => {}
                end = ended(stream) => {
                    end?;
                    witness.say(&format!("ended its side in the stall, {sent} of {} body bytes written", body.len()), Bytes::new());
                    return Ok(false);
                }
            }
            witness.say("released", Bytes::new());
            write(stream, rest, sent).await?;
        }
        Flow::Slow { rate } => {
            // Ten pieces a second, as long as a piece has a byte.
            let piece = (rate / 10).max(1);
            for part in body.chunks(piece as usize) {
                write(stream, part, sent).await?;
                tokio::time::sleep(Duration::from_secs_f64(f64::from(piece) / f64::from(rate))).await;
            }
        }
        Flow::Cut { after, end } => {
            write(stream, upto(after).0, sent).await?;
            cut(stream, end).await?;
            witness.say(&format!("cut after {sent} of {} body bytes, {end:?}", body.len()), Bytes::new());
            if end == End::Fin {
                // The rest that the device sends is taken, for an unread byte would turn the end into a reset.
                let _ = timeout(FAREWELL, ended(stream)).await;
            }
            return Ok(false);
        }
        Flow::Endless => {
            // Short ones are put together, for a byte at a time would be much work for nothing.
            let piece = match body.len() {
                0 => Cow::Owned(vec![0; PIECE]),
                short @ 1..PIECE => Cow::Owned(body.repeat(PIECE / short)),
                _ => Cow::Borrowed(body),
            };
            loop {
                write(stream, &piece, sent).await?;
            }
        }
    }
    stream.flush().await?;
    Ok(true)
}

async fn cut(stream: &mut Stream, end: End) -> io::Result<()> {
    let tcp = match stream {
        Either::Left(tcp) => tcp,
        Either::Right(tls) => tls.get_mut().0,
    };
    match end {
        End::Fin => tcp.shutdown().await,
        End::Reset => {
            tokio::time::sleep(BEFORE_RESET).await;
            tcp.set_zero_linger()
        }
    }
}

/// Writes, and counts what went out: to the kernel, over TLS to the session in front of it.
async fn write(stream: &mut Stream, bytes: &[u8], sent: &mut u64) -> io::Result<()> {
    for piece in bytes.chunks(PIECE) {
        let mut left = piece;
        while !left.is_empty() {
            let n = stream.write(left).await?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            *sent += n as u64;
            left = &left[n..];
        }
        // TLS keeps what it was given until then.
        stream.flush().await?;
    }
    stream.flush().await
}

/// The device's end of its side. What it sends before is not looked at.
async fn ended(stream: &mut Stream) -> io::Result<()> {
    let mut rest = [0; 1024];
    loop {
        match stream.read(&mut rest).await {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // Many a device ends TLS without saying so.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(e) => return Err(e),
        }
    }
}

/// Text that the device had a hand in: escaped, and cut.
fn shown(bytes: &[u8]) -> String {
    let mut text = bytes[..bytes.len().min(SHOWN)].escape_ascii().to_string();
    if bytes.len() > SHOWN {
        text.push_str("...");
    }
    text
}

/// A stream whose first bytes are kept as they came.
struct Recorded {
    stream: Stream,
    raw: Arc<Mutex<BytesMut>>,
}

impl AsyncRead for Recorded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let mut raw = self.raw.lock().unwrap_or_else(PoisonError::into_inner);
        let new = &buf.filled()[before..];
        let room = HEAD_MOST.saturating_sub(raw.len());
        raw.extend_from_slice(&new[..new.len().min(room)]);
        drop(raw);
        polled
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
