//! Connections that the bench opens to the device.

use super::ground::{Ground, going_on};
use super::link::{Ended, Line};
use super::places::lock;
use super::secure;
use crate::capture::Side;
use crate::mqtt::Wire;
use crate::tls::names::shown;
use proofbench_channel::network::{ConnId, Dial, Dialled, End, Received};
use proofbench_channel::{ChannelError, ErrorKind, Moment, Wait};
use rustls::pki_types::ServerName;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Most bytes that one call of `receive` appends.
const RECEIVE_MOST: usize = 65_536;
/// Bytes that nobody has read; more stay in the kernel.
const UNREAD_MOST: usize = 1 << 20;
/// Pieces that wait to be sent while the cable is pulled.
const ORDERS_MOST: usize = 64;
/// How long a device that cannot be reached is left alone before it is asked again.
const AGAIN: Duration = Duration::from_millis(200);
/// How long the end of a connection is waited for when the bench ends it.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is told to the task of a connection.
enum Order {
    Bytes(Vec<u8>, oneshot::Sender<bool>),
    End(End),
}

/// What has come.
#[derive(Default)]
struct Arrived {
    pieces: VecDeque<(Moment, Vec<u8>)>,
    waiting: usize,
    ended: Option<(Moment, End)>,
}

#[derive(Default)]
struct Shared {
    arrived: Mutex<Arrived>,
    came: Notify,
    taken: Notify,
}

/// A connection to the device.
pub(super) struct Call {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Wire for TlsStream<Line> {
    fn reset(&self) -> io::Result<()> {
        self.get_ref().0.reset()
    }
}

/// What came of knocking.
pub(super) enum Knocked {
    Open(TcpStream),
    Refused,
}

impl Ground {
    /// Opens a TCP connection, as soon as the device can be reached. From another address than the usual one: `Unsupported` where this machine has none.
    pub(super) async fn knock(&self, to: SocketAddr, from: u8) -> Result<Knocked, ChannelError> {
        let doing = || format!("connect to {to} from address {from} of the lab");
        loop {
            self.up().await;
            let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
            let socket = socket.map_err(|e| ChannelError::caused(ErrorKind::Driver, doing(), e))?;
            if to.is_ipv4() {
                let own = self.own(from).ok_or_else(|| ChannelError::new(ErrorKind::Unsupported, doing()))?;
                let kind = if from == 0 { ErrorKind::Disconnected } else { ErrorKind::Unsupported };
                socket.bind((own, 0).into()).map_err(|e| ChannelError::caused(kind, doing(), e))?;
            } else if from != 0 {
                return Err(ChannelError::new(ErrorKind::Unsupported, doing()));
            }
            match socket.connect(to).await {
                // On one's own address a connection can meet itself.
                Ok(stream) if stream.local_addr().ok() == stream.peer_addr().ok() => {}
                Ok(stream) => return Ok(Knocked::Open(stream)),
                Err(e) => match e.kind() {
                    io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => return Ok(Knocked::Refused),
                    io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::TimedOut | io::ErrorKind::NetworkDown => {}
                    _ => return Err(ChannelError::caused(ErrorKind::Driver, doing(), e)),
                },
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// The lab's own address of this number.
    pub(super) fn own(&self, number: u8) -> Option<Ipv4Addr> {
        let [a, b, c, d] = self.lab.octets();
        Some(Ipv4Addr::new(a, b, c, d.checked_add(number)?))
    }

    /// See [`proofbench_channel::Network::connect`].
    pub(super) fn call(&self, dial: &Dial, wait: &Wait) -> Result<(Dialled, Option<Call>), ChannelError> {
        let to = self.at_device(dial.port);
        let doing = format!("connect to {to}");
        going_on(wait, &doing)?;
        let client = if dial.tls { Some(secure::client().map_err(|e| ChannelError::caused(ErrorKind::Driver, &doing, e))?) } else { None };
        let opened = self.within(wait, &doing, async {
            let stream = match self.knock(to, dial.from).await? {
                Knocked::Refused => return Ok(Err(Dialled::Refused)),
                Knocked::Open(stream) => stream,
            };
            let tape = self.wiretap.tape(&stream, Side::Client);
            let line = Line::new(stream, tape, self.cable.subscribe());
            let ended = line.ended();
            let Some(config) = client else { return Ok(Ok((Stream::Plain(Box::new(line)), ended, None))) };
            match TlsConnector::from(config).connect(name(to.ip()), line).await {
                Ok(stream) => {
                    let secured = secure::secured(stream.get_ref().1);
                    Ok(Ok((Stream::Tls(Box::new(stream)), ended, Some(secured))))
                }
                Err(e) => Ok(Err(Dialled::Unsecured(match secure::alert(&e) {
                    Some(alert) => format!("alert {alert}"),
                    None => shown(e.to_string().as_bytes()),
                }))),
            }
        })?;
        Ok(match opened {
            None => (Dialled::Silent, None),
            Some(Err(e)) => return Err(e),
            Some(Ok(Err(dialled))) => (dialled, None),
            Some(Ok(Ok((stream, ended, secured)))) => {
                let call = match stream {
                    Stream::Plain(line) => self.start(*line, ended),
                    Stream::Tls(stream) => self.start(*stream, ended),
                };
                (Dialled::Open(ConnId(self.number()), secured), Some(call))
            }
        })
    }

    fn start<S: Wire + 'static>(&self, stream: S, ended: Ended) -> Call {
        let shared = Arc::new(Shared::default());
        let (orders, told) = mpsc::channel(ORDERS_MOST);
        let now = Arc::clone(&self.ticks.now);
        let task = self.runtime.spawn(attend(stream, ended, Arc::clone(&shared), told, move || now()));
        Call { shared, orders, task: Some(task) }
    }

    /// See [`proofbench_channel::Network::send`].
    pub(super) fn send(&self, call: &Call, bytes: &[u8], wait: &Wait) -> Result<bool, ChannelError> {
        let doing = "send to the device";
        going_on(wait, doing)?;
        if lock(&call.shared.arrived).ended.is_some() {
            return Ok(false);
        }
        let (tell, told) = oneshot::channel();
        let done = self.within(wait, doing, async {
            if call.orders.send(Order::Bytes(bytes.to_vec(), tell)).await.is_err() {
                return false;
            }
            // While the cable is pulled it waits in the order of its sending.
            if self.is_up() { told.await.unwrap_or(false) } else { true }
        })?;
        done.ok_or_else(|| ChannelError::new(ErrorKind::Timeout, doing))
    }

    /// See [`proofbench_channel::Network::receive`].
    pub(super) fn receive(&self, call: &Call, into: &mut Vec<u8>, wait: &Wait) -> Result<Received, ChannelError> {
        let shared = &call.shared;
        let found = self.within(wait, "receive from the device", async {
            loop {
                let came = shared.came.notified();
                tokio::pin!(came);
                came.as_mut().enable();
                if let Some(found) = lock(&shared.arrived).take(into) {
                    shared.taken.notify_waiters();
                    return found;
                }
                came.await;
            }
        })?;
        Ok(found.unwrap_or(Received::Silence))
    }

    /// See [`proofbench_channel::Network::close`].
    pub(super) fn end(&self, mut call: Call, end: End) {
        // A task that is gone, or does not come to it: dropping it ends the connection.
        let told = call.orders.try_send(Order::End(end)).is_ok();
        match call.task.take_if(|_| told) {
            Some(mut task) if self.is_up() => {
                let _ = self.runtime.block_on(async { tokio::time::timeout(FAREWELL, &mut task).await });
                task.abort();
            }
            // The device hears of it when the cable is in again, or when the lab is gone.
            _ => {}
        }
    }
}

enum Stream {
    Plain(Box<Line>),
    Tls(Box<TlsStream<Line>>),
}

/// No name is known of the device: its address stands for it, and is not sent.
fn name(device: IpAddr) -> ServerName<'static> {
    ServerName::IpAddress(device.into())
}

impl Arrived {
    fn take(&mut self, into: &mut Vec<u8>) -> Option<Received> {
        let mut last = None;
        let mut room = RECEIVE_MOST;
        while let Some((at, bytes)) = self.pieces.pop_front() {
            if bytes.len() > room {
                self.pieces.push_front((at, bytes));
                break;
            }
            room -= bytes.len();
            self.waiting -= bytes.len();
            into.extend_from_slice(&bytes);
            last = Some(at);
        }
        last.map(Received::Bytes).or(self.ended.map(|(at, end)| match end {
            End::Fin => Received::Closed(at),
            End::Reset => Received::Reset(at),
        }))
    }
}

async fn attend<S: Wire>(stream: S, ended: Ended, shared: Arc<Shared>, told: mpsc::Receiver<Order>, now: impl Fn() -> Moment) {
    let (mut reading, mut writing) = split(stream);
    let end = tokio::select! {
        end = write(&mut writing, told) => end,
        () = read(&mut reading, &ended, &shared, now) => End::Fin,
    };
    let mut stream = reading.unsplit(writing);
    match end {
        End::Fin => drop(stream.shutdown().await),
        End::Reset => drop(stream.reset()),
    }
}

/// Takes what comes, to the end and beyond: the bench may still have something to say, or to end.
async fn read<S: Wire>(stream: &mut ReadHalf<S>, ended: &Ended, shared: &Shared, now: impl Fn() -> Moment) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let taken = shared.taken.notified();
        tokio::pin!(taken);
        taken.as_mut().enable();
        if lock(&shared.arrived).waiting >= UNREAD_MOST {
            taken.await;
            continue;
        }
        let end = match stream.read(&mut bytes).await {
            Ok(n @ 1..) => {
                let mut arrived = lock(&shared.arrived);
                arrived.waiting += n;
                arrived.pieces.push_back((now(), bytes[..n].to_vec()));
                drop(arrived);
                shared.came.notify_waiters();
                continue;
            }
            Ok(_) => End::Fin,
            // Many a device ends TLS without saying so; what broke otherwise is no end in order.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => ended.get().unwrap_or(End::Fin),
            Err(_) => End::Reset,
        };
        lock(&shared.arrived).ended.get_or_insert((now(), end));
        shared.came.notify_waiters();
        return std::future::pending().await;
    }
}

/// Does what it is told, in order.
async fn write<S: Wire>(stream: &mut WriteHalf<S>, mut told: mpsc::Receiver<Order>) -> End {
    while let Some(order) = told.recv().await {
        match order {
            Order::Bytes(bytes, done) => {
                let sent = async {
                    stream.write_all(&bytes).await?;
                    stream.flush().await
                };
                // Who gave up waiting does not want to know.
                let _ = done.send(sent.await.is_ok());
            }
            Order::End(end) => return end,
        }
    }
    End::Fin
}
