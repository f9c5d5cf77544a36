//! The board's place on its network: addresses of its own on loopback, one block a rig, and the cable between it and the lab.

use super::process::Process;
use proofbench_channel::{Cancel, ChannelError, Moment, Wait};
use serde_json::json;
use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// How long the board may take to work its cable, in bench time.
const CABLE: Duration = Duration::from_secs(30);
/// Where moved ports begin, and how many rigs have their own: below the ports that kernels give out by themselves.
const MOVED: u16 = 20_000;
const RIGS: u16 = 10_000;

/// One rig's addresses: a /24 of loopback that no other rig of this machine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The lab's usual address; .16 and on are those of hosts that it stands in for.
    pub lab: Ipv4Addr,
    /// The device's.
    pub device: Ipv4Addr,
    /// What is added to ports below 1024, which only the superuser may open.
    pub low_ports: u16,
    /// PEM file with the CA that the device is to trust; read at each power-on.
    pub trust: PathBuf,
}

impl Segment {
    /// The segment of the rig to which the machine has given this TCP port. Ports that are given out are above 1023, so 127.0.0.0/22 stays free.
    pub(super) fn new(port: u16, dir: &Path) -> Self {
        let [high, low] = port.to_be_bytes();
        let address = |last| Ipv4Addr::new(127, high, low, last);
        Self { lab: address(1), device: address(2), low_ports: MOVED + port % RIGS, trust: dir.join("lab-ca.pem") }
    }
}

/// Works the cable: it stays as it is over power cycles.
pub(super) fn pull(process: &Rc<RefCell<Process>>, up: bool) -> Result<(), ChannelError> {
    let mut process = process.borrow_mut();
    process.cable = up;
    let until: Moment = process.time.now() + CABLE;
    let wait = Wait::until(until, &Cancel::new());
    match process.link() {
        Some(link) => link.ask(&json!({ "do": "link", "up": up }), &wait).map(drop),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rigs_have_no_address_in_common() {
        let (a, b) = (Segment::new(40_001, Path::new("a")), Segment::new(40_002, Path::new("b")));
        assert_eq!(a.lab.octets()[..3], a.device.octets()[..3]);
        assert_ne!(a.lab.octets()[..3], b.lab.octets()[..3]);
        assert_ne!(a.low_ports, b.low_ports);
    }
}
