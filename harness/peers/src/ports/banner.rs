//! What a service says by itself, and what it answers to one of a few probes.

use super::run;
use crate::Lab;
use bytes::Bytes;
use proofbench_channel::{ChannelError, Wait};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// A device that trickles is read for so many times `quiet`.
const TRICKLE: u32 = 4;

/// A question that makes a kind of service talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probe {
    /// `GET / HTTP/1.0`.
    Http,
    /// A TLS ClientHello for TLS 1.2 and 1.3. Servers answer with a hello, a retry request or an alert.
    Tls,
    /// An MQTT 3.1.1 CONNECT without name or password.
    Mqtt,
    /// CR LF.
    EmptyLine,
}

impl Probe {
    /// All of them, in the order in which they are tried. The empty line is last: many services take it for the start of something.
    pub const ALL: [Self; 4] = [Self::Http, Self::Tls, Self::Mqtt, Self::EmptyLine];

    /// The bytes that are sent.
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::Http => b"GET / HTTP/1.0\r\n\r\n",
            Self::Tls => &CLIENT_HELLO,
            Self::Mqtt => b"\x10\x17\x00\x04MQTT\x04\x02\x00\x1e\x00\x0bproofbench0",
            Self::EmptyLine => b"\r\n",
        }
    }
}

/// RFC 8446, 4.1.2: version 1.2 in the record, both versions in the extension, no key share, so that a server of TLS 1.3 asks for one.
const CLIENT_HELLO: [u8; 105] = {
    let parts: [&[u8]; 10] = [
        // Record and handshake header; their lengths.
        &[0x16, 0x03, 0x01, 0x00, 0x64, 0x01, 0x00, 0x00, 0x60, 0x03, 0x03],
        b"proofbench asks who is listening",
        &[0x00],
        // Suites: three of TLS 1.3, then ECDHE with AES-GCM, and plain RSA for the old.
        &[0x00, 0x10, 0x13, 0x01, 0x13, 0x02, 0x13, 0x03, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x30, 0x00, 0x9c, 0x00, 0x2f],
        &[0x01, 0x00],
        &[0x00, 0x27],
        // supported_groups: x25519, secp256r1, secp384r1.
        &[0x00, 0x0a, 0x00, 0x08, 0x00, 0x06, 0x00, 0x1d, 0x00, 0x17, 0x00, 0x18],
        // signature_algorithms: ECDSA P-256, RSA-PSS, RSA PKCS 1.
        &[0x00, 0x0d, 0x00, 0x08, 0x00, 0x06, 0x04, 0x03, 0x08, 0x04, 0x04, 0x01],
        // supported_versions: 1.3, 1.2.
        &[0x00, 0x2b, 0x00, 0x05, 0x04, 0x03, 0x04, 0x03, 0x03],
        // key_share: none yet.
        &[0x00, 0x33, 0x00, 0x02, 0x00, 0x00],
    ];
    let mut whole = [0; 105];
    let (mut at, mut part) = (0, 0);
    while part < parts.len() {
        let mut byte = 0;
        while byte < parts[part].len() {
            whole[at] = parts[part][byte];
            at += 1;
            byte += 1;
        }
        part += 1;
    }
    assert!(at == whole.len());
    whole
};

/// How banners are taken.
#[derive(Debug, Clone)]
pub struct BannerSetup {
    /// The probes, tried in turn until one is answered. Empty: listen only.
    pub probes: Vec<Probe>,
    /// How long to listen, and to wait for an answer to a probe. A service that goes on talking is read for four times as long at most.
    pub quiet: Duration,
    /// Most bytes that are kept of what it says, and of its answer.
    pub bytes: usize,
    /// Most ports that are asked at once. 0 counts as 1.
    pub at_once: usize,
}

impl Default for BannerSetup {
    fn default() -> Self {
        Self { probes: Probe::ALL.to_vec(), quiet: Duration::from_secs(1), bytes: 4_096, at_once: 16 }
    }
}

/// An answer to a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The question.
    pub probe: Probe,
    /// The first bytes of the answer, raw.
    pub bytes: Bytes,
}

/// What a service said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Banner {
    /// Where.
    pub at: SocketAddr,
    /// What it said before anybody asked, raw.
    pub said: Bytes,
    /// The first probe that was answered.
    pub answered: Option<Answered>,
    /// Connections that were not made or broke, and why, in the kernel's words. An empty banner with entries here is no silent service.
    pub trouble: Vec<String>,
}

/// Asks every one of these ports, and returns in their order. A service that speaks first is asked on the same connection, with an empty line only, if that
/// is among the probes; a silent one on a new connection for each probe after the first. `Timeout` or `Cancelled` if `wait` ends first; then all
/// connections are closed.
pub fn banners(lab: &Lab, ports: &[SocketAddr], setup: &BannerSetup, wait: &Wait) -> Result<Vec<Banner>, ChannelError> {
    let (ports, setup) = (ports.to_vec(), Arc::new(setup.clone()));
    let mut found = run(lab, wait, "ask services who they are", async move {
        let room = Arc::new(Semaphore::new(setup.at_once.max(1)));
        let mut asking = JoinSet::new();
        for (n, at) in ports.into_iter().enumerate() {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { break };
            let setup = Arc::clone(&setup);
            asking.spawn(async move {
                let banner = ask(at, &setup).await;
                drop(place);
                (n, banner)
            });
        }
        asking.join_all().await
    })?;
    found.sort_unstable_by_key(|(n, _)| *n);
    Ok(found.into_iter().map(|(_, banner)| banner).collect())
}

async fn ask(at: SocketAddr, setup: &BannerSetup) -> Banner {
    let mut banner = Banner { at, said: Bytes::new(), answered: None, trouble: vec![] };
    let mut link = connect(&mut banner, setup).await;
    if let Some(stream) = &mut link {
        banner.said = listen(stream, setup, &mut banner.trouble).await;
    }
    let spoke = !banner.said.is_empty();
    for &probe in setup.probes.iter().filter(|p| !spoke || **p == Probe::EmptyLine) {
        let stream = match link.take() {
            Some(stream) => Some(stream),
            None => connect(&mut banner, setup).await,
        };
        let Some(mut stream) = stream else { return banner };
        if let Err(e) = stream.write_all(probe.bytes()).await {
            banner.trouble.push(format!("send {probe:?}: {e}"));
            continue;
        }
        let bytes = listen(&mut stream, setup, &mut banner.trouble).await;
        if !bytes.is_empty() {
            banner.answered = Some(Answered { probe, bytes });
            return banner;
        }
    }
    banner
}

async fn connect(banner: &mut Banner, setup: &BannerSetup) -> Option<TcpStream> {
    match timeout_at(Instant::now() + setup.quiet, TcpStream::connect(banner.at)).await {
        Ok(Ok(stream)) if stream.local_addr().ok() == stream.peer_addr().ok() => banner.trouble.push("connect: it met itself".to_owned()),
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(e)) => banner.trouble.push(format!("connect: {e}")),
        Err(_) => banner.trouble.push("connect: no answer".to_owned()),
    }
    None
}

/// Reads until it is quiet, ends, or has said enough.
async fn listen(stream: &mut TcpStream, setup: &BannerSetup, trouble: &mut Vec<String>) -> Bytes {
    let last = Instant::now() + setup.quiet * TRICKLE;
    let mut said = Vec::new();
    let mut part = [0; 1_024];
    while said.len() < setup.bytes {
        let most = part.len().min(setup.bytes - said.len());
        match timeout_at(last.min(Instant::now() + setup.quiet), stream.read(&mut part[..most])).await {
            Ok(Ok(0)) | Err(_) => break,
            Ok(Ok(n)) => said.extend_from_slice(&part[..n]),
            Ok(Err(e)) => {
                trouble.push(format!("read: {e}"));
                break;
            }
        }
    }
    said.into()
}
