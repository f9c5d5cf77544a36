//! The product's network side: local interface over HTTPS, cloud over MQTT, updates from the maker's server, time, announcement.
//!
//! Faults that it must survive: any bytes from anybody, peers that are silent, slow, gone or false, a link that comes and goes, at any time and in any
//! order. Nothing here waits: each part is a state that an event or a timer moves on.

mod cloud;
mod coap;
mod extra;
mod fetch;
pub(crate) mod http;
mod mdns;
mod mqtt;
mod time;
mod web;

use super::Thermostat;
use super::stores::setting;
use crate::defects::Defect;
use crate::firmware::BootInfo;
use crate::hw::net::{ClientTls, NetIn, SMP_PORT, ServerTls, TlsTerms, TlsVersion, Trust};
use crate::hw::{Hw, MS, Stop};

/// The local interface.
pub const HTTPS: u16 = 8443;
/// Only says where the local interface is.
pub const HTTP: u16 = 8080;
/// The cloud.
pub const CLOUD: (&str, u16) = ("mqtt.th1.example", 8883);
/// The update server.
pub const UPDATES: (&str, u16) = ("updates.th1.example", 8443);
/// The time server.
pub const TIME: (&str, u16) = ("time.th1.example", 123);

/// One second.
const S: u64 = 1000 * MS;
/// An attempt to open that brings no answer is given up.
const OPEN_NS: u64 = 10 * S;

/// RAM of the network side.
#[derive(Debug, Clone, Default)]
pub(super) struct Net {
    pub(super) web: web::Web,
    pub(super) cloud: cloud::Cloud,
    pub(super) fetch: fetch::Fetch,
    pub(super) clock: time::Clock,
    /// When the present link came up; none while it is down.
    pub(super) up_since: Option<u64>,
    /// Twin mdns-often: when the next announcement is due.
    announce_at: Option<u64>,
    /// Defect telnet-at-boot.
    telnet_until: Option<u64>,
}

/// The suites of the product, both ways.
fn terms() -> TlsTerms {
    vec![
        (TlsVersion::Tls12, vec!["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"]),
        (TlsVersion::Tls13, vec!["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"]),
    ]
}

/// How the product secures its own connections. Time is always looked at: without time nothing is opened.
fn client_tls(hw: &Hw, lax: Defect) -> ClientTls {
    let on = |defect: Defect| !hw.defect(defect);
    let trust = Trust {
        name: on(Defect::TlsNameUnchecked),
        time: on(Defect::TlsTimeUnchecked),
        authority: on(Defect::TlsLeafAsCa),
        usage: on(Defect::TlsUsageUnchecked),
        strength: on(Defect::TlsWeakOk),
        alternative_name: on(Defect::TlsCnOk),
        chain: true,
    };
    // defects tls-unverified-*: verification was off while the server was set up, and stayed off.
    let mut terms = terms();
    if hw.defect(Defect::HelloOffersTls10) {
        // defect hello-offers-tls10: the library's default.
        terms.insert(0, (TlsVersion::Tls10, vec!["TLS_RSA_WITH_AES_128_CBC_SHA"]));
    }
    if hw.defect(Defect::HelloUndeclaredSuite) {
        // defect hello-undeclared-suite: the same library, the same default.
        terms[0].1.push("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256");
    }
    if hw.defect(Defect::HelloOtherOrder) {
        // twin hello-other-order: order is taste.
        terms.iter_mut().for_each(|(_, suites)| suites.reverse());
    }
    ClientTls { terms, named: !hw.defect(Defect::HelloWithoutName), trust: if hw.defect(lax) { Trust::NONE } else { trust }, identity: None }
}

/// Brings the network up.
pub(super) fn start(hw: &mut Hw, _info: &BootInfo) {
    hw.open_net();
    let subject = hw.otp().serial.clone();
    let key = super::seal::hmac(&hw.otp().root_key, &[b"https"]);
    let mut taken = terms();
    if hw.defect(Defect::ServerTakesTls10) {
        // defect server-takes-tls10: for the old app.
        taken.insert(0, (TlsVersion::Tls10, vec!["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"]));
    }
    if hw.defect(Defect::ServerUndeclaredSuite) {
        // defect server-undeclared-suite.
        taken[0].1.push("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256");
    }
    hw.net_listen(HTTPS, Some(ServerTls { terms: taken, subject, key }));
    hw.net_listen(HTTP, None);
    hw.net_bind(SMP_PORT);
    if hw.defect(Defect::BootAsksTftp) {
        // defect boot-asks-tftp: the factory's line was never taken out.
        let asked = hw.net_ask("255.255.255.255", 69, b"\0\x01th1.bin\0octet\0");
        hw.net_forget(asked);
    }
}

impl Thermostat {
    pub(super) fn on_net_event(&mut self, hw: &mut Hw, what: NetIn) -> Result<(), Stop> {
        match what {
            NetIn::Link(up) => self.on_link(hw, up)?,
            NetIn::Accepted { conn, port, from } => self.web_accepted(hw, conn, port, from),
            NetIn::Datagram { port, peer, bytes } => self.on_extra_datagram(hw, port, peer, &bytes),
            NetIn::Opened(conn) => {
                self.cloud_opened(hw, conn)?;
                self.fetch_opened(hw, conn)?;
            }
            NetIn::Failed(conn, why) => {
                self.cloud_failed(hw, conn, why)?;
                self.fetch_failed(hw, conn, why)?;
            }
            NetIn::Data(conn, bytes) => {
                self.web_data(hw, conn, &bytes)?;
                self.cloud_data(hw, conn, &bytes)?;
                self.fetch_data(hw, conn, &bytes)?;
                self.time_data(hw, conn, &bytes)?;
            }
            NetIn::Ended(conn) => {
                self.web_ended(conn);
                self.cloud_ended(hw, conn)?;
                self.fetch_ended(hw, conn)?;
            }
        }
        self.restart_if_asked(hw)
    }

    fn restart_if_asked(&mut self, hw: &mut Hw) -> Result<(), Stop> {
        match self.restart.take() {
            // The answer goes out before the restart.
            Some(cause) => {
                hw.delay(50 * MS)?;
                Err(hw.request_reset(cause))
            }
            None => Ok(()),
        }
    }

    /// The link came or went, or the device was set up while it was there.
    pub(super) fn on_link(&mut self, hw: &mut Hw, up: bool) -> Result<(), Stop> {
        self.net.up_since = up.then_some(hw.now());
        if up {
            let ssid = setting("wifi-ssid").map(|s| self.stores.get(hw, s)).unwrap_or_default();
            mdns::announce(hw, &ssid);
            self.net.announce_at = hw.defect(Defect::MdnsOften).then(|| hw.now() + 120 * S);
            self.time_begin(hw);
            self.cloud_begin(hw);
            self.fetch_begin(hw);
        } else {
            self.cloud_lost(hw);
            self.fetch_lost(hw);
        }
        Ok(())
    }

    pub(super) fn net_timer(&self) -> Option<u64> {
        self.net.up_since?;
        [self.net.telnet_until, self.net.announce_at, self.net.cloud.timer(), self.net.fetch.timer(), self.net.clock.timer(), self.net.web.timer()]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn on_net_timer(&mut self, hw: &mut Hw) -> Result<(), Stop> {
        let due = |at: Option<u64>, hw: &Hw| at.is_some_and(|at| at <= hw.now());
        self.close_extra(hw);
        if due(self.net.announce_at, hw) {
            let ssid = setting("wifi-ssid").map(|s| self.stores.get(hw, s)).unwrap_or_default();
            mdns::announce(hw, &ssid);
            self.net.announce_at = Some(hw.now() + 120 * S);
        }
        if due(self.net.clock.timer(), hw) {
            self.time_due(hw)?;
        }
        if due(self.net.cloud.timer(), hw) {
            self.cloud_due(hw)?;
        }
        if due(self.net.fetch.timer(), hw) {
            self.fetch_due(hw)?;
        }
        if due(self.net.web.timer(), hw) {
            self.net.web.expire(hw);
        }
        self.restart_if_asked(hw)
    }
}

/// A moment somewhere in the next `span` nanoseconds, from the device's own chance.
fn somewhere(hw: &mut Hw, span: u64) -> u64 {
    let chance = hw.rng();
    hw.now() + if span == 0 { 0 } else { chance % span }
}
