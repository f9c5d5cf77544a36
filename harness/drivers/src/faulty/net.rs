//! Faults of the network: a cable that is not in, a lab that goes on with what it did first, a lab that sees nothing.

use super::not_cancelled;
use proofbench_channel::network::{ConnId, DatagramSeen, Dial, Dialled, End, Fault, Network, PortMap, Received, Seen, Service, TlsOffer};
use proofbench_channel::{ChannelError, Clock, Wait};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// What is wrong.
enum Wrong {
    /// The link never comes up, and the switch says that it did.
    DeadLink,
    /// A service that is up is not changed any more, and the lab says that it was.
    Stale(BTreeSet<(String, u16)>),
    /// Services work, and nothing of what the device does is reported.
    Deaf(Box<dyn Clock>),
}

/// A network with a fault.
pub struct FaultyNetwork {
    inner: Box<dyn Network>,
    wrong: Wrong,
}

impl FaultyNetwork {
    /// The cable is not in.
    pub fn dead_link(inner: Box<dyn Network>) -> Self {
        Self { inner, wrong: Wrong::DeadLink }
    }
    /// The lab goes on with what it did first.
    pub fn stale(inner: Box<dyn Network>) -> Self {
        Self { inner, wrong: Wrong::Stale(BTreeSet::new()) }
    }
    /// The lab sees nothing; it still takes its time.
    pub fn deaf(inner: Box<dyn Network>, clock: Box<dyn Clock>) -> Self {
        Self { inner, wrong: Wrong::Deaf(clock) }
    }
}

impl Network for FaultyNetwork {
    fn link(&mut self, up: bool, wait: &Wait) -> Result<(), ChannelError> {
        self.inner.link(up && !matches!(self.wrong, Wrong::DeadLink), wait)
    }
    fn connect(&mut self, dial: &Dial, wait: &Wait) -> Result<Dialled, ChannelError> {
        self.inner.connect(dial, wait)
    }
    fn send(&mut self, conn: ConnId, bytes: &[u8], wait: &Wait) -> Result<bool, ChannelError> {
        self.inner.send(conn, bytes, wait)
    }
    fn receive(&mut self, conn: ConnId, into: &mut Vec<u8>, wait: &Wait) -> Result<Received, ChannelError> {
        self.inner.receive(conn, into, wait)
    }
    fn close(&mut self, conn: ConnId, end: End) -> Result<(), ChannelError> {
        self.inner.close(conn, end)
    }
    fn scan(&mut self, ports: &[RangeInclusive<u16>], wait: &Wait) -> Result<PortMap, ChannelError> {
        self.inner.scan(ports, wait)
    }
    fn datagram(&mut self, port: u16, bytes: &[u8], wait: &Wait) -> Result<DatagramSeen, ChannelError> {
        self.inner.datagram(port, bytes, wait)
    }
    fn tls_offer(&mut self, port: u16, wait: &Wait) -> Result<TlsOffer, ChannelError> {
        self.inner.tls_offer(port, wait)
    }
    fn serve(&mut self, service: &Service, wait: &Wait) -> Result<(), ChannelError> {
        if let Wrong::Stale(up) = &mut self.wrong
            && !up.insert((service.host.clone(), service.port))
        {
            return not_cancelled(wait);
        }
        self.inner.serve(service, wait)
    }
    fn withdraw(&mut self, host: &str, port: u16, wait: &Wait) -> Result<(), ChannelError> {
        if matches!(self.wrong, Wrong::Stale(_)) {
            return not_cancelled(wait);
        }
        self.inner.withdraw(host, port, wait)
    }
    fn disturb(&mut self, host: &str, port: u16, fault: Option<Fault>, wait: &Wait) -> Result<(), ChannelError> {
        if matches!(self.wrong, Wrong::Stale(_)) {
            return not_cancelled(wait);
        }
        self.inner.disturb(host, port, fault, wait)
    }
    fn publish(&mut self, topic: &str, payload: &[u8], retain: bool, wait: &Wait) -> Result<u32, ChannelError> {
        self.inner.publish(topic, payload, retain, wait)
    }
    fn seen(&mut self, wait: &Wait) -> Result<Vec<Seen>, ChannelError> {
        if let Wrong::Deaf(clock) = &mut self.wrong {
            clock.sleep_until(wait)?;
            return Ok(Vec::new());
        }
        self.inner.seen(wait)
    }
    fn capture(&mut self) -> Option<Vec<u8>> {
        self.inner.capture()
    }
    fn clear(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        if let Wrong::Stale(up) = &mut self.wrong {
            up.clear();
        }
        self.inner.clear(wait)
    }
    fn lost(&self) -> u64 {
        self.inner.lost()
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}
