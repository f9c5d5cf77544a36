//! What happens on a connection that was taken: web, broker, or nothing but listening.

use super::places::{Up, lock};
use super::visits::{Guest, SIGHT_MOST};
use super::web;
use crate::Timeline;
use crate::mqtt::{Access, Conduct, Heard, Hub, Limits, Watch, Wire, talk};
use proofbench_channel::network::{BrokerConduct, Sight, Trade};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::Packet;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Most bytes of a payload that are kept.
const PAYLOAD_MOST: usize = 65_536;

/// Who ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Device,
    Lab,
}

/// Does the service's trade until the connection is over.
pub(super) async fn ply<S: Wire>(guest: &Guest<'_>, mut stream: S) -> Over {
    match guest.up.live().1 {
        Trade::Web(pages) => web::serve(guest, stream, pages).await,
        Trade::Broker(conduct) => broker(guest, stream, conduct).await,
        Trade::Sink | Trade::Names { .. } | Trade::Time(_) => sink(guest, &mut stream).await,
    }
}

/// Reads until the end, and tells what came.
pub(super) async fn sink(guest: &Guest<'_>, stream: &mut (impl AsyncRead + Unpin)) -> Over {
    let mut bytes = vec![0; SIGHT_MOST];
    while let Ok(n @ 1..) = stream.read(&mut bytes).await {
        guest.see_bytes(&bytes[..n]);
    }
    Over::Device
}

/// Reads until the end, and tells nothing.
pub(super) async fn deaf(stream: &mut (impl AsyncRead + Unpin)) {
    let mut bytes = vec![0; SIGHT_MOST];
    while let Ok(1..) = stream.read(&mut bytes).await {}
}

/// The broker behind a service, made when it is first needed.
pub(super) fn hub(up: &Up, timeline: impl FnOnce() -> Timeline) -> Arc<Hub> {
    let mut hub = lock(&up.hub);
    Arc::clone(hub.get_or_insert_with(|| Arc::new(Hub::new(timeline(), "broker".into(), Access::Open, Limits::default()))))
}

/// As the broker of the peers understands it.
pub(super) fn conduct(told: &BrokerConduct) -> Conduct {
    match told {
        BrokerConduct::Proper => Conduct::Proper,
        BrokerConduct::Refuse(code) => Conduct::Refuse(*code),
        BrokerConduct::NoConnack => Conduct::NoConnack,
        BrokerConduct::NoPublishAck => Conduct::NoPublishAck,
        BrokerConduct::Bytes(bytes) => Conduct::Bytes(bytes.clone().into()),
    }
}

/// Leaves the broker, also when the connection is cut.
struct Seat<'a>(&'a Hub, u64);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.left(self.1, "");
    }
}

async fn broker<S: Wire>(guest: &Guest<'_>, stream: S, told: BrokerConduct) -> Over {
    let quiet = || guest.ground.quiet().timeline;
    let fresh = lock(&guest.up.hub).is_none();
    let hub = hub(&guest.up, quiet);
    if fresh {
        hub.conduct(None, conduct(&told));
    }
    let sights = Arc::clone(&guest.ground.sights);
    let (host, port, conn) = (guest.host.clone(), guest.up.port, guest.conn);
    let watch: Watch = Arc::new(move |heard| {
        for sight in seen(&heard) {
            sights.see(&host, port, conn, sight);
        }
    });
    // More clients than a broker has seats for.
    let Some((number, notify)) = hub.join(guest.from, Some(watch)) else { return Over::Lab };
    let _seat = Seat(&hub, number);
    let (_, by_device) = talk(stream, number, &hub, &notify).await;
    if by_device { Over::Device } else { Over::Lab }
}

/// What a packet is to a check.
fn seen(heard: &Heard<'_>) -> Vec<Sight> {
    match heard {
        Heard::Packet(Packet::Connect(connect), login) => vec![Sight::Connect {
            client: connect.client_id.clone(),
            user: login.user.clone(),
            secret: login.password.as_ref().is_some_and(|p| !p.is_empty()),
        }],
        // Sent again because its acknowledgement was lost, or is owed: it was seen.
        Heard::Packet(Packet::Publish(p), _) if p.dup && p.qos == QoS::ExactlyOnce => Vec::new(),
        Heard::Packet(Packet::Publish(p), _) => {
            vec![Sight::Published { topic: p.topic.clone(), payload: p.payload.iter().copied().take(PAYLOAD_MOST).collect(), retain: p.retain }]
        }
        Heard::Packet(Packet::Subscribe(s), _) => s.filters.iter().map(|f| Sight::Subscribed { filter: f.path.clone() }).collect(),
        Heard::Packet(..) => Vec::new(),
        Heard::Junk(bytes) => vec![Sight::Bytes(bytes.iter().copied().take(SIGHT_MOST).collect())],
    }
}
