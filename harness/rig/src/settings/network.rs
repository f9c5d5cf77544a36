//! `[network]`: the lab at the other end of the device's network.

use super::{Place, Section, Settings, TimeSpan, Wiring};
use crate::error::RigFileError;
use proofbench_channel::{Cancel, ChannelError, ErrorKind, Moment, Network, Wait};
use proofbench_drivers::boardproc::Board;
use proofbench_drivers::child::Program;
use proofbench_drivers::{TimeBase, runtime};
use proofbench_peers::lab::{Cable, HostLab, HostSetup};
use proofbench_peers::tls::certs::Authority;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use toml::Spanned;

/// A program that has not worked the cable by then hangs, unless the rig file says otherwise.
const DEADLINE: Duration = Duration::from_secs(10);
const DEADLINE_MOST: Duration = Duration::from_secs(600);

/// Drivers of networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkDriver {
    /// The emulated device's link, in this process.
    Emulator,
    /// Loopback, with the board process at the other end.
    Board,
    /// Sockets of this machine.
    Host(Host),
}

/// A network that this machine is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The device.
    pub device: IpAddr,
    /// This machine, as the device reaches it.
    pub lab: Ipv4Addr,
    /// What is added to ports below 1024.
    pub low_ports: u16,
    /// Whether the addresses from `lab` + 16 on are this machine's too.
    pub many_addresses: bool,
    /// The CA that the device trusts: certificate and PKCS #8 key, PEM files.
    pub authority: Option<(String, String)>,
    /// Programs that plug the cable in and pull it.
    pub link: Option<(Vec<String>, Vec<String>)>,
    /// Longest time that each may take.
    pub deadline: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    device: Spanned<String>,
    lab: Spanned<String>,
    #[serde(default)]
    low_ports: Option<Spanned<u16>>,
    #[serde(default)]
    many_addresses: bool,
    #[serde(default)]
    ca: Option<AuthorityFiles>,
    #[serde(default)]
    link: Option<LinkPrograms>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorityFiles {
    certificate: String,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkPrograms {
    up: Spanned<Vec<String>>,
    down: Spanned<Vec<String>>,
    #[serde(default)]
    deadline: Option<Spanned<TimeSpan>>,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "device = \"192.0.2.20\"\nlab = \"192.0.2.1\"";
}

impl NetworkDriver {
    pub(crate) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        match section.driver() {
            "emulator" => section.nothing().map(|()| Self::Emulator),
            "board" => section.nothing().map(|()| Self::Board),
            "host" => Host::read(section).map(Self::Host),
            _ => Err(section.no_driver(&["emulator", "board", "host"])),
        }
    }

    /// Whose network it is.
    pub fn wiring(&self) -> Wiring {
        match self {
            Self::Emulator => Wiring::Emulator,
            Self::Board => Wiring::Board,
            Self::Host(_) => Wiring::Real,
        }
    }

    pub(crate) fn open(&self, place: &Place<'_>) -> Result<Option<Box<dyn Network>>, ChannelError> {
        match self {
            Self::Emulator => Ok(None),
            Self::Board => board(place.board.ok_or_else(none)?).map(Some),
            Self::Host(host) => host.open(place).map(Some),
        }
    }
}

impl Host {
    fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        let device =
            keys.device.get_ref().parse().map_err(|_| section.error(keys.device.span(), "no IP address", &["192.0.2.20", "2001:db8::20"]))?;
        let lab = keys.lab.get_ref().parse().map_err(|_| section.error(keys.lab.span(), "no IPv4 address of this machine", &["192.0.2.1"]))?;
        let low_ports = keys.low_ports.as_ref().map_or(Ok(0), |n| section.within(n, 1024..=64_511, "place for ports below 1024", "1024 to 64511"))?;
        let mut deadline = DEADLINE;
        let link = match keys.link {
            None => None,
            Some(programs) => {
                deadline = programs.deadline.map_or(Ok(DEADLINE), |span| section.span(&span, DEADLINE_MOST))?;
                Some((section.argv(&programs.up)?, section.argv(&programs.down)?))
            }
        };
        Ok(Self {
            device,
            lab,
            low_ports,
            many_addresses: keys.many_addresses,
            authority: keys.ca.map(|files| (files.certificate, files.key)),
            link,
            deadline,
        })
    }

    fn open(&self, place: &Place<'_>) -> Result<Box<dyn Network>, ChannelError> {
        let authority = match &self.authority {
            Some((certificate, key)) => Some(authority(&place.path(certificate), &place.path(key))?),
            None => None,
        };
        let link = self.link.as_ref().map(|(up, down)| {
            let (up, down) = (place.program(up, self.deadline), place.program(down, self.deadline));
            cable(up, down, self.deadline, place.time)
        });
        let setup = setup(place.time, self.device, self.lab)?;
        let lab = HostLab::open(HostSetup { low_ports: self.low_ports, many_addresses: self.many_addresses, link, authority, ..setup })?;
        Ok(Box::new(lab))
    }
}

/// The user's programs as a cable.
fn cable(up: Program, down: Program, deadline: Duration, time: TimeBase) -> Cable {
    Box::new(move |plugged| {
        let program = if plugged { &up } else { &down };
        let until: Moment = time.now() + deadline.mul_f64(time.speed());
        program.done(&[], time, &Wait::until(until, &Cancel::new())).map(drop)
    })
}

fn authority(certificate: &Path, key: &Path) -> Result<Authority, ChannelError> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|e| ChannelError::caused(ErrorKind::Driver, format!("read {} of the lab's CA", path.display()), e))
    };
    let (certificate_pem, key_pem) = (read(certificate)?, read(key)?);
    let doing = format!("use {} and {} as the lab's CA", certificate.display(), key.display());
    Authority::from_pem(&certificate_pem, &key_pem, SystemTime::now()).map_err(|e| ChannelError::caused(ErrorKind::Refused, doing, e))
}

/// What every lab on this machine has in common: the rig's time line, on which the time of day goes on from now.
fn setup(time: TimeBase, device: IpAddr, lab: Ipv4Addr) -> Result<HostSetup, ChannelError> {
    let (day, origin) = (SystemTime::now(), time.now());
    Ok(HostSetup {
        runtime: runtime::handle()?.clone(),
        now: Arc::new(move || time.now()),
        left: Arc::new(move |until| time.left(until)),
        unix: Arc::new(move || day + time.now().since(origin)),
        device,
        lab,
        low_ports: 0,
        many_addresses: false,
        link: None,
        authority: None,
    })
}

fn none() -> ChannelError {
    ChannelError::new(ErrorKind::Unsupported, "open the network of a board that has none")
}

/// The lab of a board: addresses of its own on loopback, and its CA given to the board.
pub(super) fn board(board: &Board) -> Result<Box<dyn Network>, ChannelError> {
    let segment = board.segment().cloned().ok_or_else(none)?;
    let time = board.time();
    let pulled = board.clone();
    let setup = setup(time, segment.device.into(), segment.lab)?;
    let lab = HostLab::open(HostSetup {
        low_ports: segment.low_ports,
        many_addresses: true,
        link: Some(Box::new(move |up| pulled.set_cable(up))),
        ..setup
    })?;
    let doing = || format!("give the board the lab's CA as {}", segment.trust.display());
    std::fs::write(&segment.trust, lab.trust_pem()).map_err(|e| ChannelError::caused(ErrorKind::Driver, doing(), e))?;
    Ok(Box::new(lab))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proofbench_channel::network::Dial;
    use proofbench_channel::network::Dialled;

    fn place(base: &Path) -> Place<'_> {
        Place { base, board: None, qemu: None, time: TimeBase::real(), lines: None }
    }

    fn host() -> Host {
        Host {
            device: Ipv4Addr::new(127, 3, 3, 2).into(),
            lab: Ipv4Addr::new(127, 3, 3, 1),
            low_ports: 21_000,
            many_addresses: true,
            authority: None,
            link: None,
            deadline: DEADLINE,
        }
    }

    #[test]
    fn the_cable_is_worked_by_the_users_programs_and_their_failure_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let touch = |name: &str| vec!["touch".to_owned(), name.to_owned()];
        let mut lab = Host { link: Some((touch("up"), touch("down"))), ..host() }.open(&place(dir.path())).unwrap();
        let wait = Wait::until(Moment::default() + Duration::from_secs(3600), &Cancel::new());
        lab.link(true, &wait).unwrap();
        assert!(dir.path().join("up").exists() && !dir.path().join("down").exists());
        lab.link(false, &wait).unwrap();
        assert!(dir.path().join("down").exists());
        let broken = Host { link: Some((vec!["false".to_owned()], touch("down"))), ..host() };
        let mut lab = broken.open(&place(dir.path())).unwrap();
        assert!(lab.link(true, &wait).is_err());
    }

    #[test]
    fn a_port_of_a_host_on_loopback_that_nobody_opened_refuses() {
        let dir = tempfile::tempdir().unwrap();
        let mut lab = host().open(&place(dir.path())).unwrap();
        let wait = Wait::until(Moment::default() + Duration::from_secs(3600), &Cancel::new());
        lab.link(true, &wait).unwrap();
        assert_eq!(lab.connect(&Dial::plain(8080), &wait).unwrap(), Dialled::Refused);
    }

    #[test]
    fn a_ca_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host { authority: Some(("ca.pem".to_owned(), "ca.key".to_owned())), ..host() };
        let Err(error) = host.open(&place(dir.path())) else { panic!("a CA from nowhere") };
        assert!(error.to_string().contains("ca.pem"), "{error}");
    }
}
