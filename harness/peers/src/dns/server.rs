//! Datagrams and connections of the resolver.

use super::Shared;
use super::reply::{Over, reply};
use crate::accept;
use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

/// Most connections at a time; the next one waits until one has ended.
const CONNECTIONS_MOST: usize = 32;
/// Most queries of a connection.
const QUERIES_MOST: usize = 1000;
/// How long a query, or the taking of an answer, may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest datagram.
const DATAGRAM_MOST: usize = 65_535;

/// Answers datagrams until it is dropped.
pub(super) async fn datagrams(socket: UdpSocket, other: UdpSocket, shared: Arc<Shared>) {
    let mut buffer = vec![0; DATAGRAM_MOST];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                let Some((bytes, elsewhere)) = shared.answer(&buffer[..length], from, Over::Udp) else { continue };
                let through = if elsewhere { &other } else { &socket };
                if let Err(e) = through.send_to(&bytes, from).await {
                    shared.say(format!("{from} cannot be answered: {e}"), Bytes::new());
                }
            }
            // A port that was closed meanwhile; haste does not help.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Takes connections until it is dropped, and all of them with it.
pub(super) async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    accept(listener, CONNECTIONS_MOST, |stream, from| serve(stream, from, Arc::clone(&shared))).await;
}

async fn serve(stream: TcpStream, from: SocketAddr, shared: Arc<Shared>) {
    shared.say(format!("{from} TCP connected"), Bytes::new());
    if let Err(e) = exchange(stream, from, &shared).await {
        shared.say(format!("{from} TCP broken off: {e}"), Bytes::new());
    }
}

async fn exchange(mut stream: TcpStream, from: SocketAddr, shared: &Shared) -> io::Result<()> {
    for _ in 0..QUERIES_MOST {
        let Some(query) = timeout(PATIENCE, query(&mut stream)).await?? else { return Ok(()) };
        let Some((bytes, _)) = shared.answer(&query, from, Over::Tcp) else { continue };
        let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
        let framed = [&length.to_be_bytes()[..], &bytes].concat();
        timeout(PATIENCE, stream.write_all(&framed)).await??;
    }
    Ok(())
}

/// The next query; `None` at the end of the device's side.
async fn query(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 2];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..]).await?;
    let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut query).await?;
    Ok(Some(query))
}

impl Shared {
    fn say(&self, what: String, bytes: Bytes) {
        self.timeline.add(&self.name, what, bytes);
    }

    /// The answer to a query and whether it goes out elsewhere; both sides are said.
    fn answer(&self, query: &[u8], from: SocketAddr, over: Over) -> Option<(Vec<u8>, bool)> {
        let reply = reply(&self.told(), query, over);
        let over = if over == Over::Udp { "UDP" } else { "TCP" };
        self.say(format!("{from} {over} asks {}", reply.asked), Bytes::copy_from_slice(query));
        self.say(format!("{from} {over} {}", reply.said), reply.bytes.as_deref().map(Bytes::copy_from_slice).unwrap_or_default());
        reply.bytes.map(|b| (b, reply.elsewhere))
    }
}
