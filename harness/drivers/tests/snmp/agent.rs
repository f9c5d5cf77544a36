//! Debian's snmpd with the outlets of `snmp_pdu.py`, on a port and with a configuration of its own, without privileges.

use proofbench_channel::{Cancel, ChannelError, Power, Wait};
use proofbench_drivers::Secret;
use proofbench_drivers::TimeBase;
use proofbench_drivers::power::Supply;
use proofbench_drivers::power::snmp::{Access, Cipher, Digest, SnmpSetup, V3, open};
use proofbench_testkit::{Peer, find, fixture, free_udp_port, python};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

pub const WRITE: &str = "write-community";
pub const READ: &str = "read-community";
pub const AUTH: &str = "secret-of-authentication";
pub const PRIVACY: &str = "secret-of-privacy";

pub struct Agent {
    pub time: TimeBase,
    pub port: u16,
    dir: TempDir,
    peer: Option<Peer>,
}

pub fn within(time: TimeBase) -> Wait {
    Wait::until(time.now() + Duration::from_secs(60), &Cancel::new())
}

/// The error with all that lies beneath.
pub fn whole(error: &ChannelError) -> String {
    let cause = error.source.as_ref().map_or_else(String::new, |cause| format!(": {cause}"));
    format!("{error}{cause}")
}

impl Agent {
    /// An address where nobody is.
    pub fn nowhere() -> Self {
        Self { time: TimeBase::real(), port: free_udp_port(), dir: TempDir::new().unwrap(), peer: None }
    }

    /// An agent whose PDU has these options. `None` where none is installed.
    pub fn start(pdu: &[&str]) -> Option<Self> {
        let (snmpd, python) = (find("snmpd")?, python(&[])?);
        // The agent looks for its programs in no path.
        let python = if python.is_absolute() { python } else { find(&python.display().to_string())? };
        let mut agent = Self::nowhere();
        let script = fixture("fixtures/peers/snmp_pdu.py");
        let relay = agent.dir.path().join("relay");
        let program = format!("{} {} --relay {} {}", python.display(), script.display(), relay.display(), pdu.join(" "));
        let conf = format!(
            "rwcommunity {WRITE} 127.0.0.1\nrocommunity {READ} 127.0.0.1\n\
             createUser bench SHA-256 {AUTH} AES {PRIVACY}\nrwuser bench authpriv\n\
             createUser signs SHA-256 {AUTH}\nrwuser signs authnopriv\n\
             pass_persist .1.3.6.1.4.1.318 {program}\npass_persist .1.3.6.1.4.1.1718 {program}\npass_persist .1.3.6.1.4.1.13742 {program}\n"
        );
        std::fs::write(agent.dir.path().join("snmpd.conf"), conf).unwrap();
        std::fs::write(&relay, "off").unwrap();
        agent.peer = Some(agent.run(&snmpd));
        Some(agent)
    }

    fn run(&self, snmpd: &std::path::Path) -> Peer {
        let conf = self.dir.path().join("snmpd.conf");
        let mut command = Command::new(snmpd);
        command.args(["-f", "-Lo", "-I", "-smux", "-C", "-c"]).arg(conf).arg(format!("udp:127.0.0.1:{}", self.port));
        // Names of objects are not asked for, and nothing outside this folder is written.
        command.env("MIBS", "").env("SNMP_PERSISTENT_DIR", self.dir.path().join("var"));
        let mut peer = Peer::start(&mut command);
        peer.wait_for_line("NET-SNMP version");
        peer
    }

    /// Ends it.
    pub fn kill(&mut self) {
        self.peer.as_mut().unwrap().kill();
    }

    /// Starts it again on the same port.
    pub fn restart(&mut self) {
        self.peer = Some(self.run(&find("snmpd").unwrap()));
    }

    /// What the relay behind outlet 3 really is.
    pub fn relay(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("relay")).unwrap()
    }

    pub fn v2c(&self) -> Access {
        Access::V2c(Secret::new(WRITE))
    }

    pub fn v3(&self) -> Access {
        let privacy = Some((Cipher::Aes128, Secret::new(PRIVACY)));
        Access::V3(V3 { user: "bench".to_owned(), auth: Some((Digest::Sha256, Secret::new(AUTH))), privacy })
    }

    pub fn open(&self, family: &str, outlet: u32, access: Access) -> Box<dyn Power> {
        self.try_open(family, vec![outlet], access).unwrap()
    }

    pub fn try_open(&self, family: &str, outlet: Vec<u32>, access: Access) -> Result<Box<dyn Power>, ChannelError> {
        let supply = Supply { time: self.time, off_min: Duration::from_millis(10) };
        open(SnmpSetup { address: format!("127.0.0.1:{}", self.port), access, family: family.to_owned(), outlet, supply })
    }
}
