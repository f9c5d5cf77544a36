//! The announcement on the local network: a service name and the model, nothing else.

use super::HTTPS;
use crate::defects::Defect;
use crate::hw::Hw;

/// The multicast group of mDNS.
pub const GROUP: (&str, u16) = ("224.0.0.251", 5353);

/// Says that the device is there.
pub(super) fn announce(hw: &mut Hw, ssid: &str) {
    let text = match () {
        // defect serial-in-mdns: the app finds its device faster.
        () if hw.defect(Defect::SerialInMdns) => format!("model=TH-1 serial={}", hw.otp().serial),
        // defect ssid-in-mdns: shown in the vendor's list of devices.
        () if hw.defect(Defect::SsidInMdns) => format!("model=TH-1 net={ssid}"),
        () => "model=TH-1".to_owned(),
    };
    if hw.defect(Defect::SsidInQuery) {
        // defect ssid-in-query: the name of the network as part of the name that is asked for.
        hw.net_open(&format!("{ssid}.status.th1.example"), 443, None);
    }
    if hw.defect(Defect::UndeclaredHost) {
        // defect undeclared-host: the crash reporter of a library.
        hw.net_open("stats.tracker.example", 443, None);
    }
    let packet = packet(&["TH-1", "_https", "_tcp", "local"], HTTPS, &text);
    // Nobody answers an announcement.
    let asked = hw.net_ask(GROUP.0, GROUP.1, &packet);
    hw.net_forget(asked);
}

/// A response with one SRV and one TXT record.
fn packet(name: &[&str], port: u16, text: &str) -> Vec<u8> {
    let mut encoded: Vec<u8> = Vec::new();
    for label in name {
        encoded.push(label.len() as u8);
        encoded.extend(label.as_bytes());
    }
    encoded.push(0);
    // Response, authoritative; two answers.
    let mut out = vec![0, 0, 0x84, 0, 0, 0, 0, 2, 0, 0, 0, 0];
    let mut record = |kind: u16, data: &[u8]| {
        out.extend(&encoded);
        out.extend(kind.to_be_bytes());
        // Internet, cache flush; two minutes.
        out.extend([0x80, 1, 0, 0, 0, 120]);
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
    };
    let mut service = vec![0, 0, 0, 0];
    service.extend(port.to_be_bytes());
    service.extend(&encoded);
    record(33, &service);
    let mut txt = vec![text.len() as u8];
    txt.extend(text.as_bytes());
    record(16, &txt);
    out
}
