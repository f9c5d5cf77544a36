//! A port of a USB hub that can switch the power of its ports one by one.
//!
//! Two methods:
//!
//! - `sysfs`: the kernel's `disable` file of the port (Linux 6.0 and later). The kernel takes the device away and clears the port's power. It does so
//!   for every hub, also for those that cannot switch: there the file says off and the board goes on running.
//! - `request`: hub class requests (`SetFeature`, `ClearFeature` of `PORT_POWER`) by `nusb`. The kernel does not know of it and may switch the port on
//!   again when it resets the hub.
//!
//! `auto` takes the first where the file is there, else the second. A USB 3 hub is two hubs in one case, and a port has power as long as either half
//! gives it: the other half's port is found by the `peer` link of the port's folder and switched too.
//!
//! `state` is what the kernel or the hub says of the port, both halves together. Whether the hub's electronics switch at all is in its descriptor,
//! which `open` reads where it may and refuses the hub if it says no; where it may not, the description says so. No hub is a witness of its own
//! switching: cheap ones claim to and have no switch on the board.
//!
//! Run against: trees of files made like sysfs (`fake_sysfs` of the tests) and descriptors made by the tests. The requests by `nusb` have never been
//! run: not against a hub of any maker, nor has the method `sysfs`.

mod request;
mod sysfs;

pub use request::{Switching, switching};
pub use sysfs::Place;

use super::{Supply, word};
use proofbench_channel::{ChannelError, ErrorKind, Millivolts, Power, PowerAsk, PowerSeen, Wait};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use sysfs::Port;

/// Where the kernel shows USB devices.
pub const SYSFS: &str = "/sys/bus/usb/devices";

/// How the port is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// By sysfs where the kernel has the file, else by requests.
    #[default]
    Auto,
    /// By the kernel's file.
    Sysfs,
    /// By hub class requests.
    Request,
}

/// Which port.
#[derive(Debug, Clone)]
pub struct UsbHubSetup {
    /// Folder of USB devices, [`SYSFS`] but for tests.
    pub root: PathBuf,
    /// Hub as the kernel names it: `1-4`, `1-4.2`, or `usb1` for the ports of the computer itself.
    pub hub: String,
    /// Port, 1 for the first.
    pub port: u32,
    /// How.
    pub method: Method,
    /// What every supply has.
    pub supply: Supply,
}

/// A supply behind this port. The hub is looked for, nothing is switched. A hub or port that is not there is `Disconnected` and names those that are;
/// a hub that says that it cannot switch single ports is `Unsupported`.
pub fn open(setup: UsbHubSetup) -> Result<Box<dyn Power>, ChannelError> {
    let place = Place { root: setup.root.clone(), hub: setup.hub.clone(), port: setup.port };
    let ports = place.find()?;
    let by_sysfs = match setup.method {
        Method::Auto => ports.iter().all(Port::has_switch),
        Method::Sysfs => true,
        Method::Request => false,
    };
    if setup.method == Method::Sysfs {
        ports.iter().try_for_each(Port::must_have_switch)?;
    }
    let mut can = Some(());
    for port in &ports {
        match request::describe(port) {
            Ok(Switching::Single) => {}
            Ok(other) => {
                let doing = format!("switch {}", place.describe());
                let why = format!("hub {} says that it {}", port.hub(), other.words());
                return Err(ChannelError::caused(ErrorKind::Unsupported, doing, why));
            }
            // A hub that may not be asked may be able all the same.
            Err(e) if by_sysfs && e.kind != ErrorKind::Protocol => can = None,
            Err(e) => return Err(e),
        }
    }
    Ok(Box::new(UsbHubPower { place, by_sysfs, said_able: can.is_some(), supply: setup.supply }))
}

struct UsbHubPower {
    place: Place,
    by_sysfs: bool,
    said_able: bool,
    supply: Supply,
}

impl UsbHubPower {
    fn seen(&self, wait: &Wait) -> Result<PowerSeen, ChannelError> {
        let doing = format!("read {}", self.place.describe());
        wait.check(self.supply.time.now(), &doing)?;
        let ports = self.place.find()?;
        if self.by_sysfs {
            // One half that is on is power on the port.
            let on = ports.iter().map(Port::is_on).collect::<Result<Vec<bool>, _>>()?;
            return Ok(if on.contains(&true) { PowerSeen::On } else { PowerSeen::Off });
        }
        let mut seen = PowerSeen::Off;
        for port in ports {
            match request::state(&port, self.supply.time, wait)? {
                PowerSeen::Off => {}
                other => seen = other,
            }
        }
        Ok(seen)
    }
}

impl Power for UsbHubPower {
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
        let doing = format!("switch {} {}", self.place.describe(), word(ask));
        wait.check(self.supply.time.now(), &doing)?;
        for port in self.place.find()? {
            if self.by_sysfs {
                port.switch(ask)?;
            } else {
                request::switch(&port, ask, self.supply.time, wait)?;
            }
        }
        self.supply.taken(ask, wait, &doing, |wait| self.seen(wait))
    }

    fn state(&mut self, wait: &Wait) -> Result<PowerSeen, ChannelError> {
        self.seen(wait)
    }

    fn rail(&mut self, _: &Wait) -> Result<Option<Millivolts>, ChannelError> {
        Ok(None)
    }

    fn off_min(&self) -> Duration {
        self.supply.off_min
    }

    fn dip(&mut self, _: Millivolts, _: Duration, _: &Wait) -> Result<(), ChannelError> {
        Err(ChannelError::new(ErrorKind::Unsupported, "dip a port of a USB hub"))
    }

    fn describe(&self) -> String {
        let method = if self.by_sysfs { "sysfs" } else { "hub requests" };
        let able = if self.said_able { "" } else { "; whether the hub can switch could not be asked" };
        format!("{} by {method}{able}", self.place.describe())
    }
}
