//! The lab at the other end of a device's network, on the sockets of this machine: for devices on an interface, in a network namespace, or on loopback.
//!
//! [`HostLab`] is the [`Network`] of real wires; the in-process one of the emulated device keeps the same contract. The parts:
//!
//! | module | what it does |
//! | --- | --- |
//! | `ground` | clock, addresses and ports that everybody shares; how the calling thread waits |
//! | `link`, `rough` | connections through a cable that can be pulled, and over a way that is bad |
//! | `places` | which service is where: names, addresses, listeners |
//! | `visits`, `trade`, `web`, `request` | connections of the device: how they are taken, and what is done on them |
//! | `names` | its datagrams: names, time, announcements |
//! | `calls`, `look`, `own` | connections and questions of the bench to the device |
//! | `secure`, `late`, `identities` | TLS without trust on both sides, and the certificates that are shown |
//! | `sights` | what was seen, in its order |
//! | `wiretap`, `wired` | what went over the sockets, as a capture |
//!
//! **What a device sees of a front that takes nothing.** Nobody but the kernel answers a SYN, so the lab takes the connection first and is seen to. With
//! [`Front::Refuse`] the device's connect succeeds and the connection is reset at once (ECONNRESET, not ECONNREFUSED); with [`Front::Silent`] the
//! connection is there and nothing comes, not a byte, for as long as the device keeps it. Both are told as `Dialled`. A port without any service is refused
//! by the kernel (ECONNREFUSED), and nobody sees who tried.
//!
//! **Which host is meant.** With an address for each host (`many_addresses`, for loopback and labs with a network of their own) the address tells. On one
//! address it is the server name of TLS, the `Host` of a request, the name that was resolved last, or the first service at the port, in this order.
//!
//! **When a certificate was taken.** `Secured` is the end of the handshake. In TLS 1.3 a device can refuse behind it: by an alert, which is told as
//! `Declined` behind the `Secured`, or by saying nothing and ending, as curl does when only the name is wrong. What it then sends, or does not, decides.
//!
//! **Whose packets count.** Those of the device's address; on loopback those of any address of this machine, so nothing else there may talk to the lab.
//! What comes to a service from elsewhere is not served, and counts as lost ([`Network::lost`]): it may have been the device under another address.
//! Calls to a group or to everybody count from the device's address alone, on loopback too.
//!
//! Times in here that are patience with the network (a greeting, a farewell) are real; deadlines of calls and moments of sights are the bench's.
//!
//! Run against, all on loopback: curl 7.88.1, `openssl s_client` of Debian's OpenSSL 3.0, mosquitto_pub and mosquitto_sub 2.0.11, dig 9.18.47, chronyd 4.3.
//! Linux only. Not run on an interface, in a network namespace, or against a real device.

mod calls;
mod ground;
mod identities;
mod late;
mod link;
mod look;
mod names;
mod own;
mod places;
mod request;
mod rough;
mod secure;
mod setup;
mod sights;
mod trade;
mod visits;
mod web;
mod wired;
mod wiretap;

pub use setup::{Cable, HostSetup};

use calls::{Call, Knocked};
use ground::{Ground, Ticks, going_on};
use places::{EVERY, lock, place, plain};
use proofbench_channel::network::{
    Certificate, ConnId, DatagramSeen, Dial, Dialled, End, Fault, Front, Network, PortMap, Received, Secured, Seen, Service, TlsOffer, Trade,
};
use proofbench_channel::{ChannelError, ErrorKind, Wait};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::Publish;
use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use tokio::task::{JoinHandle, JoinSet};

/// The lab on this machine's sockets. Not to be used on a thread of its runtime, which must have threads of its own. Dropping it takes the link down where
/// it can, and every service and connection away.
pub struct HostLab {
    ground: Arc<Ground>,
    cable: Option<Cable>,
    calls: BTreeMap<ConnId, Call>,
    /// Ears for what is called to groups.
    _ears: JoinSet<()>,
    heard: usize,
}

impl HostLab {
    /// Opens the lab with its link down. `Unsupported` for settings that cannot be, `Driver` if its CA cannot be made or read. Addresses are bound when
    /// they are needed.
    pub fn open(setup: HostSetup) -> Result<Self, ChannelError> {
        let (ground, link) = setup.check_and_prepare()?;
        let ground = Arc::new(ground);
        let mut ears = JoinSet::new();
        for (socket, group, port) in names::groups(&ground) {
            ears.spawn_on(names::overhear(Arc::clone(&ground), socket, group, port), &ground.runtime);
        }
        let heard = ears.len();
        Ok(Self { ground, cable: link, calls: BTreeMap::new(), _ears: ears, heard })
    }

    /// The certificate of the lab's CA in PEM: the trust anchor that a device must be given.
    pub fn trust_pem(&self) -> &str {
        self.ground.identities.authority.pem()
    }

    /// Where the resolver is to be found once it is served at port 53: address and port of this machine.
    pub fn resolver(&self) -> std::net::SocketAddr {
        self.real(53)
    }

    /// Where a port of the lab is on its usual address: ports below 1024 are moved where the setup says so.
    pub fn real(&self, port: u16) -> std::net::SocketAddr {
        (self.ground.lab, self.ground.real(port)).into()
    }

    /// Waits for the ends of tasks that were told to end.
    fn gone(&self, tasks: Vec<JoinHandle<()>>) {
        self.ground.runtime.block_on(async {
            for task in tasks {
                // Aborted, which is no news.
                let _ = task.await;
            }
        });
    }

    fn pull(&mut self, up: bool) -> Result<(), ChannelError> {
        self.cable.as_mut().map_or(Ok(()), |cable| cable(up))
    }

    fn sweep(&mut self) {
        self.calls.clear();
        let tasks = self.ground.table().clear();
        self.gone(tasks);
        self.ground.sights.clear();
    }
}

impl Network for HostLab {
    /// Without a cable that can be pulled the link cannot be taken down: `Unsupported`.
    fn link(&mut self, up: bool, wait: &Wait) -> Result<(), ChannelError> {
        going_on(wait, "switch the device's link")?;
        if !up && self.cable.is_none() {
            return Err(ChannelError::new(ErrorKind::Unsupported, "pull the device's link: the rig names no way to"));
        }
        // The lab lets go before the cable is out, and listens before it is in: what a device says at once is heard.
        let before = self.ground.cable.send_replace(up);
        self.pull(up).inspect_err(|_| {
            self.ground.cable.send_replace(before);
        })
    }

    fn connect(&mut self, dial: &Dial, wait: &Wait) -> Result<Dialled, ChannelError> {
        let (dialled, call) = self.ground.call(dial, wait)?;
        if let (Dialled::Open(conn, _), Some(call)) = (&dialled, call) {
            self.calls.insert(*conn, call);
        }
        Ok(dialled)
    }

    /// `Timeout` if the device does not take the bytes: some may have gone.
    fn send(&mut self, conn: ConnId, bytes: &[u8], wait: &Wait) -> Result<bool, ChannelError> {
        self.calls.get(&conn).map_or(Ok(false), |call| self.ground.send(call, bytes, wait))
    }

    fn receive(&mut self, conn: ConnId, into: &mut Vec<u8>, wait: &Wait) -> Result<Received, ChannelError> {
        let Some(call) = self.calls.get(&conn) else { return Ok(Received::Closed((self.ground.ticks.now)())) };
        self.ground.receive(call, into, wait)
    }

    fn close(&mut self, conn: ConnId, end: End) -> Result<(), ChannelError> {
        if let Some(call) = self.calls.remove(&conn) {
            self.ground.end(call, end);
        }
        Ok(())
    }

    fn scan(&mut self, ports: &[RangeInclusive<u16>], wait: &Wait) -> Result<PortMap, ChannelError> {
        self.ground.ports(ports, wait)
    }

    fn datagram(&mut self, port: u16, bytes: &[u8], wait: &Wait) -> Result<DatagramSeen, ChannelError> {
        self.ground.ask(port, bytes, wait)
    }

    fn tls_offer(&mut self, port: u16, wait: &Wait) -> Result<TlsOffer, ChannelError> {
        let ground = Arc::clone(&self.ground);
        let to = ground.at_device(port);
        let doing = format!("scan TLS at {to}");
        going_on(wait, &doing)?;
        let unknown = || TlsOffer { unknown: look::all_versions(), ..TlsOffer::default() };
        // What refuses a connection takes no version of TLS.
        match ground.within(wait, &doing, ground.knock(to, 0))?.transpose()? {
            Some(Knocked::Refused) => return Ok(TlsOffer::default()),
            Some(Knocked::Open(_)) => {}
            None => return Ok(unknown()),
        }
        let shown = self.shown(port, wait)?;
        match ground.offer(to, shown, wait) {
            Err(e) if e.kind == ErrorKind::Timeout => Ok(unknown()),
            other => other,
        }
    }

    fn serve(&mut self, service: &Service, wait: &Wait) -> Result<(), ChannelError> {
        let doing = format!("serve {} at port {}", service.host, service.port);
        going_on(wait, &doing)?;
        if let Some(low) = self.ground.stands_for(service.port) {
            let why = format!("this port stands for port {low} here");
            return Err(ChannelError::caused(ErrorKind::Unsupported, doing, io::Error::other(why)));
        }
        if let (Front::Tls(certificate), false) = (service.front, service.host == EVERY) {
            // Made now, so that the device does not wait for it.
            let made = self.ground.identities.config(certificate, &plain(&service.host), (self.ground.unix)());
            made.map_err(|e| ChannelError::caused(ErrorKind::Driver, &doing, e))?;
        } else if let Front::Tls(certificate @ (Certificate::WeakKey | Certificate::Sha1)) = service.front {
            let made = self.ground.identities.config(certificate, "proofbench.invalid", (self.ground.unix)());
            made.map_err(|e| ChannelError::caused(ErrorKind::Driver, &doing, e))?;
        }
        let (opened, tasks) = {
            let mut table = self.ground.table();
            let up = place(&mut table, service);
            if let Trade::Broker(conduct) = &service.trade {
                trade::hub(&up, || self.ground.quiet().timeline).conduct(None, trade::conduct(conduct));
            }
            let cut = matches!(service.front, Front::Refuse | Front::Silent | Front::HangUp);
            let mut tasks = if cut { table.cut(&up.host, up.port) } else { Vec::new() };
            let opened = table.open(&self.ground);
            if opened.is_err() {
                table.services.retain(|s| !Arc::ptr_eq(s, &up));
            }
            tasks.extend(table.close(&self.ground));
            (opened, tasks)
        };
        self.gone(tasks);
        opened.map_err(|e| {
            let kind = match e.kind() {
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => ErrorKind::Refused,
                io::ErrorKind::AddrNotAvailable => ErrorKind::Disconnected,
                _ => ErrorKind::Driver,
            };
            ChannelError::caused(kind, doing, e)
        })
    }

    fn withdraw(&mut self, host: &str, port: u16, wait: &Wait) -> Result<(), ChannelError> {
        going_on(wait, "withdraw a service")?;
        let host = if host == EVERY { EVERY.to_owned() } else { plain(host) };
        let tasks = {
            let mut table = self.ground.table();
            table.services.retain(|s| (&s.host, s.port) != (&host, port));
            let mut tasks = table.cut(&host, port);
            tasks.extend(table.close(&self.ground));
            tasks
        };
        self.gone(tasks);
        Ok(())
    }

    fn disturb(&mut self, host: &str, port: u16, fault: Option<Fault>, wait: &Wait) -> Result<(), ChannelError> {
        let doing = format!("lay a fault on the way to {host} at port {port}");
        going_on(wait, &doing)?;
        let host = if host == EVERY { EVERY.to_owned() } else { plain(host) };
        let done = self.ground.table().disturb(&host, port, fault);
        done.ok_or_else(|| ChannelError::caused(ErrorKind::Unsupported, doing, io::Error::other("datagrams go there")))
    }

    /// Goes to sessions; one that the device keeps while it has no connection is one of them.
    fn publish(&mut self, topic: &str, payload: &[u8], retain: bool, wait: &Wait) -> Result<u32, ChannelError> {
        going_on(wait, "publish to the device")?;
        let services = self.ground.table().services.clone();
        let mut message = Publish::new(topic, QoS::AtMostOnce, payload);
        message.retain = retain;
        let brokers = services.iter().filter(|s| matches!(lock(&s.live).1, Trade::Broker(_)));
        let reached: usize = brokers.filter_map(|s| lock(&s.hub).clone()).map(|hub| hub.publish(&message)).sum();
        Ok(u32::try_from(reached).unwrap_or(u32::MAX))
    }

    fn seen(&mut self, wait: &Wait) -> Result<Vec<Seen>, ChannelError> {
        self.ground.sights.take(wait)
    }

    fn capture(&mut self) -> Option<Vec<u8>> {
        self.ground.wiretap.take()
    }

    fn clear(&mut self, _wait: &Wait) -> Result<(), ChannelError> {
        self.ground.cable.send_replace(false);
        let pulled = self.pull(false);
        self.sweep();
        pulled
    }

    fn lost(&self) -> u64 {
        self.ground.sights.lost()
    }

    fn describe(&self) -> String {
        let ground = &self.ground;
        let mut words = format!("lab at {} on this machine's sockets, device at {}", ground.lab, ground.device);
        if ground.many {
            words += ", an address for each host";
        }
        if ground.low_ports > 0 {
            words += &format!(", ports below 1024 from {} on", ground.low_ports);
        }
        if self.cable.is_none() {
            words += ", link fixed";
        }
        words + &format!(", {} ears for groups", self.heard)
    }
}

impl HostLab {
    /// What a handshake with a port of the device ends in.
    fn shown(&mut self, port: u16, wait: &Wait) -> Result<Option<Secured>, ChannelError> {
        let dialled = self.connect(&Dial::tls(port), wait)?;
        let Dialled::Open(conn, secured) = dialled else { return Ok(None) };
        self.close(conn, End::Fin)?;
        Ok(secured)
    }
}

impl Drop for HostLab {
    fn drop(&mut self) {
        self.ground.cable.send_replace(false);
        // The last resort: who wants to know whether it worked calls `clear`.
        let _ = self.pull(false);
        self.calls.clear();
        drop(self.ground.table().clear());
    }
}
