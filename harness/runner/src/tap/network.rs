//! The network, tapped: what the bench asked and what came, with the device's bytes cut and escaped by the transcript.

use super::Tap;
use proofbench_channel::network::{
    BrokerConduct, ConnId, DatagramSeen, Dial, Dialled, End, Fault, Network, PortMap, Received, Seen, Service, Sight, TlsOffer, Trade,
};
use proofbench_channel::{ChannelError, Wait};
use std::ops::RangeInclusive;

const NAME: &str = "network";
/// Bytes of one exchange that are written down. The checks see all of them.
const SHOWN: usize = 4096;

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]).into_owned();
    if bytes.len() > SHOWN { format!("{text} ... {} bytes in all", bytes.len()) } else { text }
}

fn trade(trade: &Trade) -> String {
    match trade {
        Trade::Web(pages) => format!("web with {} pages", pages.len()),
        Trade::Broker(BrokerConduct::Bytes(bytes)) => {
            let cut = bytes.len().min(64);
            format!(
                "broker that sends {} bytes of its own after CONNACK: {:02x?}{}",
                bytes.len(),
                &bytes[..cut],
                if cut < bytes.len() { " ..." } else { "" }
            )
        }
        other => format!("{other:?}"),
    }
}

fn sight(seen: &Seen) -> String {
    let what = match &seen.sight {
        Sight::Request { method, target, head, body } => format!("{method} {target}\n{head}\n{}", shown(body)),
        Sight::Published { topic, payload, retain } => format!("published {topic} retain {retain} {}", shown(payload)),
        Sight::Bytes(bytes) => format!("bytes {}", shown(bytes)),
        Sight::Datagram(bytes) => format!("datagram {}", shown(bytes)),
        other => format!("{other:?}"),
    };
    format!("unit {} to {}:{} #{}: {what}", seen.unit, seen.host, seen.port, seen.conn)
}

impl Network for Tap<dyn Network> {
    fn link(&mut self, up: bool, wait: &Wait) -> Result<(), ChannelError> {
        self.core.asked(NAME, if up { "link up" } else { "link down" });
        let done = self.inner.link(up, wait);
        if let Err(e) = &done {
            self.core.answered(NAME, || format!("bench error: {e}"));
        }
        done
    }
    fn connect(&mut self, dial: &Dial, wait: &Wait) -> Result<Dialled, ChannelError> {
        let tls = if dial.tls { " with TLS" } else { "" };
        self.core.asked(NAME, &format!("connect to port {}{tls} from address {}", dial.port, dial.from));
        let dialled = self.inner.connect(dial, wait);
        self.core.outcome(NAME, &dialled, |d| format!("{d:?}"));
        dialled
    }
    fn send(&mut self, conn: ConnId, bytes: &[u8], wait: &Wait) -> Result<bool, ChannelError> {
        if self.core.hush.get() {
            self.core.asked(NAME, &format!("#{} (a secret)", conn.0));
        } else {
            self.core.asked(NAME, &format!("#{} {}", conn.0, shown(bytes)));
        }
        let sent = self.inner.send(conn, bytes, wait);
        if !matches!(sent, Ok(true)) {
            self.core.outcome(NAME, &sent, |_| "not sent: the connection has ended".to_owned());
        }
        sent
    }
    fn receive(&mut self, conn: ConnId, into: &mut Vec<u8>, wait: &Wait) -> Result<Received, ChannelError> {
        let before = into.len();
        let received = self.inner.receive(conn, into, wait);
        self.core.outcome(NAME, &received, |r| match r {
            Received::Bytes(_) => format!("#{} {}", conn.0, shown(&into[before..])),
            other => format!("#{} {other:?}", conn.0),
        });
        received
    }
    fn close(&mut self, conn: ConnId, end: End) -> Result<(), ChannelError> {
        self.core.asked(NAME, &format!("#{} end {end:?}", conn.0));
        self.inner.close(conn, end)
    }
    fn scan(&mut self, ports: &[RangeInclusive<u16>], wait: &Wait) -> Result<PortMap, ChannelError> {
        self.core.asked(NAME, &format!("scan {ports:?}"));
        let map = self.inner.scan(ports, wait);
        self.core.outcome(NAME, &map, |m| {
            format!("open {:?}, {} closed, {} silent, {} not the device's", m.open, m.closed, m.silent.len(), m.not_ours.len())
        });
        map
    }
    fn datagram(&mut self, port: u16, bytes: &[u8], wait: &Wait) -> Result<DatagramSeen, ChannelError> {
        self.core.asked(NAME, &format!("datagram to port {port}: {}", shown(bytes)));
        let seen = self.inner.datagram(port, bytes, wait);
        self.core.outcome(NAME, &seen, |s| match s {
            DatagramSeen::Answer(bytes) => format!("answer {}", shown(bytes)),
            other => format!("{other:?}"),
        });
        seen
    }
    fn tls_offer(&mut self, port: u16, wait: &Wait) -> Result<TlsOffer, ChannelError> {
        self.core.asked(NAME, &format!("what TLS does port {port} take"));
        let offer = self.inner.tls_offer(port, wait);
        self.core.outcome(NAME, &offer, |o| format!("{o:?}"));
        offer
    }
    fn serve(&mut self, service: &Service, wait: &Wait) -> Result<(), ChannelError> {
        self.core.asked(NAME, &format!("serve {}:{} {:?} {}", service.host, service.port, service.front, trade(&service.trade)));
        let done = self.inner.serve(service, wait);
        if let Err(e) = &done {
            self.core.answered(NAME, || format!("bench error: {e}"));
        }
        done
    }
    fn withdraw(&mut self, host: &str, port: u16, wait: &Wait) -> Result<(), ChannelError> {
        self.core.asked(NAME, &format!("withdraw {host}:{port}"));
        self.inner.withdraw(host, port, wait)
    }
    fn disturb(&mut self, host: &str, port: u16, fault: Option<Fault>, wait: &Wait) -> Result<(), ChannelError> {
        self.core.asked(NAME, &format!("on the way to {host}:{port}: {}", fault.map_or("no fault".to_owned(), |f| format!("{f:?}"))));
        let done = self.inner.disturb(host, port, fault, wait);
        if let Err(e) = &done {
            self.core.answered(NAME, || format!("bench error: {e}"));
        }
        done
    }
    fn publish(&mut self, topic: &str, payload: &[u8], retain: bool, wait: &Wait) -> Result<u32, ChannelError> {
        self.core.asked(NAME, &format!("publish {topic} retain {retain} {}", shown(payload)));
        let count = self.inner.publish(topic, payload, retain, wait);
        self.core.outcome(NAME, &count, |n| format!("to {n} subscriptions"));
        count
    }
    fn seen(&mut self, wait: &Wait) -> Result<Vec<Seen>, ChannelError> {
        let seen = self.inner.seen(wait)?;
        for one in &seen {
            self.core.answered(NAME, || sight(one));
        }
        Ok(seen)
    }
    fn capture(&mut self) -> Option<Vec<u8>> {
        self.inner.capture()
    }
    fn clear(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        self.inner.clear(wait)
    }
    fn lost(&self) -> u64 {
        self.inner.lost()
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}
