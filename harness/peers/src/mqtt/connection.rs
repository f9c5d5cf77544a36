//! Connections: bytes in, bytes out, TLS around them, and how they end.

use super::hub::{Hub, Next};
use super::outbox::Out;
use super::text;
use super::wire::{self, Taken};
use bytes::{Bytes, BytesMut};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a TLS handshake, and then a CONNECT, may take.
const GREETING: Duration = Duration::from_secs(10);
/// How long a client may take to take one packet.
const WRITE: Duration = Duration::from_secs(30);
/// How long, and how much, is read of a client that is being closed.
const FAREWELL: Duration = Duration::from_secs(5);
const FAREWELL_MOST: usize = 1 << 20;
/// Least room for what is read at a time.
const READ: usize = 4096;
/// Most things that are sent before there is a look at what comes in.
const BURST: usize = 32;

/// A stream over TCP.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {
    /// Has the end of the connection be a reset.
    fn reset(&self) -> io::Result<()>;
}

impl Wire for TcpStream {
    fn reset(&self) -> io::Result<()> {
        self.set_zero_linger()
    }
}

impl<S: Wire> Wire for TlsStream<S> {
    fn reset(&self) -> io::Result<()> {
        self.get_ref().0.reset()
    }
}

/// How a connection ends.
enum End {
    /// By the client, or for its silence.
    Gone(String),
    /// By the broker, in order.
    Close(String),
    /// By the broker, with a reset.
    Reset,
}

pub(super) async fn listen(listener: TcpListener, hub: Arc<Hub>, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                if let Some((number, notify)) = hub.join(from, None) {
                    connections.spawn(serve(stream, number, Arc::clone(&hub), notify, tls.clone()));
                }
            }
            // Out of handles, or a connection that ended before it was taken: neither is helped by haste.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, number: u64, hub: Arc<Hub>, notify: Arc<Notify>, tls: Option<TlsAcceptor>) {
    let _ = stream.set_nodelay(true);
    let how = match tls {
        None => talk(stream, number, &hub, &notify).await.0,
        Some(acceptor) => match timeout(GREETING, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                tell_tls(&stream, number, &hub);
                talk(stream, number, &hub, &notify).await.0
            }
            Ok(Err(e)) => format!("TLS handshake failed: {}", text::shown(&e.to_string())),
            Err(_) => "TLS handshake takes too long".to_owned(),
        },
    };
    hub.left(number, &how);
}

/// Says what was agreed on and who the client is. A certificate that is there was taken by the caller's verifier.
fn tell_tls(stream: &TlsStream<TcpStream>, number: u64, hub: &Hub) {
    let tls = stream.get_ref().1;
    let version = tls.protocol_version().map_or("?".to_owned(), |v| format!("{v:?}"));
    let suite = tls.negotiated_cipher_suite().map_or("?".to_owned(), |s| format!("{:?}", s.suite()));
    let Some(certificate) = tls.peer_certificates().and_then(<[_]>::first) else {
        return hub.tell(number, format!("{version} {suite}, no client certificate"), Bytes::new());
    };
    hub.certified(number);
    let subject =
        x509_parser::parse_x509_certificate(certificate).map_or("that cannot be read".to_owned(), |(_, c)| text::shown(&c.subject().to_string()));
    let what = format!("{version} {suite}, client certificate with SHA-256 {}, subject {subject}", text::sha256(certificate));
    hub.tell(number, what, Bytes::copy_from_slice(certificate));
}

/// Talks until the end. How it ended, and whether the client ended it.
pub(crate) async fn talk<S: Wire>(mut stream: S, number: u64, hub: &Hub, notify: &Notify) -> (String, bool) {
    let mut buffer = BytesMut::new();
    let end = exchange(&mut stream, &mut buffer, number, hub, notify).await;
    if !buffer.is_empty() {
        hub.tell(number, "got no more than a part of a packet", wire::told(&buffer));
    }
    match end {
        End::Gone(how) => (how, true),
        End::Close(how) => {
            let _ = timeout(FAREWELL, farewell(&mut stream)).await;
            (how, false)
        }
        End::Reset => match stream.reset() {
            Ok(()) => ("reset as told".to_owned(), false),
            Err(e) => (format!("closed, not reset: {e}"), false),
        },
    }
}

/// Packets in and out until the end.
async fn exchange<S: Wire>(stream: &mut S, buffer: &mut BytesMut, number: u64, hub: &Hub, notify: &Notify) -> End {
    let mut deadline = Some(Instant::now() + GREETING);
    let mut readable = true;
    loop {
        let (mut idle, mut taken) = (true, false);
        match if readable { wire::take(buffer, hub.limits.packet) } else { Taken::Nothing } {
            Taken::Nothing => {}
            Taken::Packet(got) => {
                taken = true;
                match hub.got(number, *got) {
                    Next::On => {}
                    Next::Ended => return End::Gone("ended by DISCONNECT".to_owned()),
                    Next::Reset => return End::Reset,
                }
                deadline = hub.keep_alive(number).map(|d| Instant::now() + d);
            }
            Taken::Bad(bad) => {
                buffer.clear();
                readable = false;
                hub.bad(number, bad);
            }
        }
        for _ in 0..BURST {
            let (out, more) = hub.next(number);
            idle &= !more;
            match out {
                None => break,
                Some(Out::Close(why)) => return End::Close(why),
                Some(Out::Reset) => return End::Reset,
                Some(Out::Send { what, bytes }) => {
                    if let Err(how) = write(stream, &bytes).await {
                        return End::Gone(how);
                    }
                    if let Some(what) = what {
                        hub.tell(number, what, bytes);
                    }
                }
            }
        }
        if deadline.is_some_and(|d| d <= Instant::now()) {
            return End::Close(match hub.has_asked(number) {
                true => "closed: its keep alive ran out".to_owned(),
                false => "closed: no CONNECT came in time".to_owned(),
            });
        }
        // What has come is looked at to its end before more is read: its end is not the end of the connection, and it is less than a packet and a read.
        if taken {
            continue;
        }
        buffer.reserve(READ);
        tokio::select! {
            biased;
            read = stream.read_buf(buffer), if readable => match read {
                Ok(0) => return End::Gone("ended by the client without DISCONNECT".to_owned()),
                Ok(_) => {}
                Err(e) => return End::Gone(broken(&e)),
            },
            () = std::future::ready(()), if !idle => {}
            () = notify.notified() => {}
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {}
        }
    }
}

async fn write<S: Wire>(stream: &mut S, bytes: &[u8]) -> Result<(), String> {
    let writing = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    match timeout(WRITE, writing).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(e)) => Err(broken(&e)),
        Err(_) => Err("closed: it does not take what it is sent".to_owned()),
    }
}

fn broken(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "reset by the client".to_owned(),
        io::ErrorKind::UnexpectedEof => "ended by the client without DISCONNECT and without the end of TLS".to_owned(),
        _ => format!("broken: {}", text::shown(&e.to_string())),
    }
}

/// Ends our side and waits for the other one: what is not read when a socket is closed makes the end a reset, and that takes away what was sent last.
async fn farewell<S: Wire>(stream: &mut S) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = [0; READ];
    let mut left = FAREWELL_MOST;
    loop {
        match stream.read(&mut rest).await? {
            0 => return Ok(()),
            n if n >= left => return Ok(()),
            n => left -= n,
        }
    }
}
