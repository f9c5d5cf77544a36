//! TCP connections to servers of byte lines: opened within a time, without delay for small writes, given up when the other machine has died.

use super::NetAddress;
use proofbench_channel::{ChannelError, ErrorKind};
use rustix::net::sockopt;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// Longest time for a connection to come up, names looked up.
const CONNECT: Duration = Duration::from_secs(3);
/// A connection without traffic is asked for a sign of life after so long,
const ALIVE_IDLE: Duration = Duration::from_secs(10);
/// again after so long,
const ALIVE_AGAIN: Duration = Duration::from_secs(5);
/// and given up after so many questions without an answer.
const ALIVE_TRIES: u32 = 3;
/// Bytes that the other machine does not acknowledge for so long end the connection.
const UNANSWERED_MS: u32 = 25_000;

/// Connects. Whatever stands in the way is `Disconnected`: the server may come.
pub(super) async fn connect(address: &NetAddress, doing: &str) -> Result<TcpStream, ChannelError> {
    let lost = |e: io::Error| ChannelError::caused(ErrorKind::Disconnected, doing, e);
    let connecting = TcpStream::connect((address.host(), address.port()));
    let stream = tokio::time::timeout(CONNECT, connecting).await.map_err(|_| lost(io::ErrorKind::TimedOut.into()))?.map_err(lost)?;
    stream.set_nodelay(true).map_err(lost)?;
    // A cable pulled on the way says nothing: without these a dead server would look like a silent device for ever.
    let alive = || -> rustix::io::Result<()> {
        sockopt::set_socket_keepalive(&stream, true)?;
        sockopt::set_tcp_keepidle(&stream, ALIVE_IDLE)?;
        sockopt::set_tcp_keepintvl(&stream, ALIVE_AGAIN)?;
        sockopt::set_tcp_keepcnt(&stream, ALIVE_TRIES)?;
        sockopt::set_tcp_user_timeout(&stream, UNANSWERED_MS)
    };
    alive().map_err(|e| lost(e.into()))?;
    Ok(stream)
}
