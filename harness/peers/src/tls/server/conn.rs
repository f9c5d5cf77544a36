//! One connection of the server, from its first byte to its end.

use super::super::certs::Flaw;
use super::super::hello::{ClientHello, HelloReader};
use super::super::names;
use super::super::wire::ALERT;
use super::{Handshake, Met, TlsSetup, lock, remember};
use crate::Timeline;
use bytes::Bytes;
use rustls::{AlertDescription, HandshakeKind, ServerConfig};
use std::collections::VecDeque;
use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// Most application data that goes onto the timeline.
const DATA_SHOWN_MOST: usize = 4096;
/// Most bytes that are read behind the first ones; they are only counted.
const DATA_MOST: u64 = 64 << 20;

/// A behaviour that is ready to be used.
#[derive(Debug)]
pub(super) enum Acts {
    Serve(Flaw, Arc<ServerConfig>),
    Close,
    Stall,
    Plain(Bytes),
    Alert(u8),
}

/// What the connections of a server share.
#[derive(Debug)]
pub(super) struct Ground {
    pub timeline: Timeline,
    pub setup: TlsSetup,
    pub acts: Mutex<Arc<Acts>>,
    pub met: Mutex<VecDeque<Met>>,
}

struct Connection<'a> {
    ground: &'a Ground,
    number: u64,
}

pub(super) async fn serve(stream: TcpStream, from: SocketAddr, number: u64, acts: Arc<Acts>, ground: Arc<Ground>) {
    let flaw = match &*acts {
        Acts::Serve(flaw, _) => Some(*flaw),
        _ => None,
    };
    remember(&mut lock(&ground.met), Met { number, flaw, handshake: Handshake::Open, data: 0, alert: None, ended: false });
    let connection = Connection { ground: &ground, number };
    connection.tell(format!("from {from}"), &[]);
    connection.run(stream, &acts).await;
    connection.note(|met| met.ended = true);
}

impl Connection<'_> {
    fn tell(&self, what: String, bytes: &[u8]) {
        let ground = self.ground;
        ground.timeline.add(&ground.setup.peer, format!("connection {}: {what}", self.number), Bytes::copy_from_slice(bytes));
    }

    fn note(&self, change: impl FnOnce(&mut Met)) {
        if let Some(met) = lock(&self.ground.met).iter_mut().find(|m| m.number == self.number) {
            change(met);
        }
    }

    async fn run(&self, mut stream: TcpStream, acts: &Acts) {
        let mut reader = HelloReader::default();
        let hello = match timeout(self.ground.setup.patience, hello(&mut stream, &mut reader)).await {
            Ok(hello) => hello,
            Err(_) => Err("the patience is over".to_owned()),
        };
        match &hello {
            Ok(hello) => self.tell(hello.words(), reader.raw()),
            Err(why) => {
                self.tell(format!("no ClientHello: {why}"), reader.raw());
                self.note(|met| met.handshake = Handshake::NoHello(why.clone()));
            }
        }
        if hello.is_ok() && !matches!(acts, Acts::Serve(..)) {
            self.note(|met| met.handshake = Handshake::NotServed);
        }
        let (said, bytes): (_, &[u8]) = match (acts, &hello) {
            (Acts::Serve(flaw, config), Ok(_)) => return self.handshake(stream, reader.raw().to_vec(), *flaw, config).await,
            (Acts::Plain(bytes), _) => ("answered in the clear", bytes),
            (Acts::Alert(description), Ok(_)) => ("refused by alert", &[ALERT, 3, 3, 0, 2, 2, *description]),
            (Acts::Stall, Ok(_)) => {
                self.tell("no answer is given".to_owned(), &[]);
                return self.rest(stream, false).await;
            }
            (Acts::Close, Ok(_)) | (_, Err(_)) => ("closed", &[]),
        };
        let sent = timeout(self.ground.setup.patience, async {
            stream.write_all(bytes).await?;
            stream.shutdown().await
        });
        let how = match sent.await {
            Ok(Ok(())) => said.to_owned(),
            Ok(Err(e)) => format!("{said}, which did not arrive: {e}"),
            Err(_) => format!("{said}, which the device does not take"),
        };
        self.tell(how, bytes);
        self.rest(stream, false).await;
    }

    async fn handshake(&self, stream: TcpStream, first: Vec<u8>, flaw: Flaw, config: &Arc<ServerConfig>) {
        let (read, write) = stream.into_split();
        // The library gets the hello as if nobody had read it before.
        let stream = tokio::io::join(Cursor::new(first).chain(read), write);
        let accepted = timeout(self.ground.setup.patience, TlsAcceptor::from(Arc::clone(config)).accept(stream)).await;
        let handshake = match &accepted {
            Err(_) => Handshake::Failed("the patience is over".to_owned()),
            Ok(Err(e)) => alert_of(e).map_or_else(|| Handshake::Failed(reason(e)), Handshake::Alert),
            Ok(Ok(stream)) => {
                let (_, session) = stream.get_ref();
                Handshake::Done {
                    version: session.protocol_version().map_or(0, u16::from),
                    suite: session.negotiated_cipher_suite().map_or(0, |s| s.suite().into()),
                    certificates: session.peer_certificates().map_or(0, <[_]>::len),
                    resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
                }
            }
        };
        let served = format!("with certificate {}", flaw.id());
        let said = match &handshake {
            Handshake::Done { version, suite, certificates, resumed } => {
                let kind = if *resumed { "resumed" } else { "done" };
                let (version, suite) = (names::version(*version), names::suite(*suite));
                format!("handshake {kind} {served}: {version} {suite}, {certificates} certificates of the device")
            }
            Handshake::Alert(description) => format!("handshake failed {served}: the device sent alert {}", names::alert(*description)),
            Handshake::Failed(why) => format!("handshake failed {served}: {why}"),
            Handshake::Open | Handshake::NoHello(_) | Handshake::NotServed => String::new(),
        };
        let own = match &accepted {
            Ok(Ok(stream)) => stream.get_ref().1.peer_certificates().and_then(<[_]>::first).map(|c| c.to_vec()),
            _ => None,
        };
        self.note(|met| met.handshake = handshake);
        self.tell(said, own.as_deref().unwrap_or_default());
        if let Ok(Ok(stream)) = accepted {
            self.rest(stream, true).await;
        }
    }

    /// Reads what comes until the device ends its side. Behind a handshake it is application data: it counts, and is answered once.
    async fn rest(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, served: bool) {
        let mut count = 0;
        let end = match timeout(self.ground.setup.patience, self.read(&mut stream, served, &mut count)).await {
            Ok(Ok(())) => "the device ended it".to_owned(),
            Ok(Err(e)) => match alert_of(&e) {
                Some(description) => {
                    self.note(|met| met.alert = Some(description));
                    format!("the device sent alert {}", names::alert(description))
                }
                None => reason(&e),
            },
            Err(_) => "the patience is over".to_owned(),
        };
        let what = if served { "bytes of application data" } else { "further bytes" };
        self.tell(format!("ended: {end}; {count} {what}"), &[]);
    }

    async fn read(&self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin), served: bool, count: &mut u64) -> io::Result<()> {
        let mut bytes = [0; DATA_SHOWN_MOST];
        loop {
            let n = stream.read(&mut bytes).await?;
            if n == 0 {
                return Ok(());
            }
            let first = *count == 0;
            *count += n as u64;
            if served {
                self.note(|met| met.data += n as u64);
            }
            if first {
                let what = if served { "application data" } else { "something" };
                self.tell(format!("{what} came, its first {n} bytes"), bytes.get(..n).unwrap_or_default());
                if served && !self.ground.setup.answer.is_empty() {
                    stream.write_all(&self.ground.setup.answer).await?;
                    stream.shutdown().await?;
                }
            }
            if *count > DATA_MOST {
                return Err(io::Error::other("more came than is read"));
            }
        }
    }
}

/// The device's hello, or why there is none.
async fn hello(stream: &mut TcpStream, reader: &mut HelloReader) -> Result<ClientHello, String> {
    let mut bytes = [0; 4096];
    loop {
        let room = bytes.len().min(reader.room());
        let space = bytes.get_mut(..room).filter(|s| !s.is_empty()).ok_or("it does not end")?;
        let n = stream.read(space).await.map_err(|e| e.to_string())?;
        if n == 0 {
            return Err("the device ended the connection".to_owned());
        }
        if let Some(hello) = reader.feed(space.get(..n).unwrap_or_default()).map_err(|e| e.to_string())? {
            return Ok(hello);
        }
    }
}

/// The alert by which the other side ended it, if it did.
fn alert_of(e: &io::Error) -> Option<u8> {
    match e.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(AlertDescription::CloseNotify) => None,
        rustls::Error::AlertReceived(description) => Some((*description).into()),
        _ => None,
    }
}

/// Why it failed, in the words of the library: they may hold some of the device's.
fn reason(e: &io::Error) -> String {
    names::shown(e.to_string().as_bytes())
}
