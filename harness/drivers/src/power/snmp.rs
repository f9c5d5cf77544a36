//! An outlet of a power distribution unit, switched and read back by SNMP v1, v2c or v3.
//!
//! The families of outlets are data: `data/pdu-families.toml`. `set` writes the family's control object and then reads the state object until it
//! says what was asked and no command is pending; `state` reads afresh each time. A request that is not answered within two seconds is sent again,
//! four times at most: switching on or off twice is the same as once. An agent says nothing at all to a community it does not know, to a version it does
//! not speak and to an address it does not allow, so these look like a PDU that is not there: the error says so.
//!
//! Cancelled or late, a call may leave the outlet switched: the datagram is on its way. A PDU can lie, as any switch.
//!
//! Run against: Debian's `snmpd` 5.9.3 whose outlets are `fixtures/peers/snmp_pdu.py`, by v1, v2c and v3 (SHA-256 and AES-128), with the board
//! process behind an outlet too. Not run against a PDU of any maker.

mod family;
mod session;

pub use family::{Control, Family, More, State, families, family};
pub use session::{Access, Cipher, Digest, V3};

use super::{Report, Supply, word};
use family::{Reading, oid};
use proofbench_channel::{ChannelError, ErrorKind, Millivolts, Power, PowerAsk, PowerSeen, Wait};
use session::Session;
use snmp2::Oid;
use std::time::Duration;

/// Which outlet, and how it is reached.
#[derive(Debug, Clone)]
pub struct SnmpSetup {
    /// `host:port` of the agent; 161 is the usual port.
    pub address: String,
    /// Version and who asks.
    pub access: Access,
    /// Name of the family.
    pub family: String,
    /// The outlet's number, or all indices of the family's table.
    pub outlet: Vec<u32>,
    /// What every supply has.
    pub supply: Supply,
}

/// A supply behind this outlet. Nothing is sent here. A family, index or combination of protocols that does not exist is an error.
pub fn open(setup: SnmpSetup) -> Result<Box<dyn Power>, ChannelError> {
    let family = family(&setup.family)?;
    let index = family.index(&setup.outlet)?;
    let more = family.more.as_ref().map(|m| oid(&m.oid, &index).map(|oid| (m.object.clone(), oid))).transpose()?;
    Ok(Box::new(SnmpPower {
        name: index.iter().map(u32::to_string).collect::<Vec<_>>().join("."),
        control: (family.control.object.clone(), oid(&family.control.oid, &index)?),
        state: (family.state.object.clone(), oid(&family.state.oid, &index)?),
        more,
        family,
        session: Session::new(setup.address, setup.access, setup.supply.time)?,
        supply: setup.supply,
    }))
}

/// An object with its name.
type Object = (String, Oid<'static>);

struct SnmpPower {
    name: String,
    family: &'static Family,
    control: Object,
    state: Object,
    more: Option<Object>,
    session: Session,
    supply: Supply,
}

impl SnmpPower {
    fn reading(&mut self, wait: &Wait) -> Result<Reading, ChannelError> {
        let doing = format!("read outlet {} of {}", self.name, self.session.address());
        let objects: Vec<Object> = [Some(&self.state), self.more.as_ref()].into_iter().flatten().cloned().collect();
        let values = self.session.get(&objects, &doing, wait)?;
        match values.as_slice() {
            [state, more @ ..] => Ok(self.family.reading(*state, more.first().copied())),
            [] => Err(ChannelError::new(ErrorKind::Protocol, doing)),
        }
    }
}

impl Power for SnmpPower {
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
        let doing = format!("switch outlet {} of {} {}", self.name, self.session.address(), word(ask));
        let value = if ask == PowerAsk::On { self.family.control.on } else { self.family.control.off };
        self.session.set(&self.control, value, &doing, wait)?;
        let supply = self.supply;
        supply.taken(ask, wait, &doing, |wait| {
            Ok(match self.reading(wait)? {
                Reading::Says(seen) => Report::Says(seen),
                Reading::Pending => Report::Busy,
            })
        })
    }

    fn state(&mut self, wait: &Wait) -> Result<PowerSeen, ChannelError> {
        Ok(match self.reading(wait)? {
            Reading::Says(seen) => seen,
            // On its way to what somebody asked, and nobody knows where it is now.
            Reading::Pending => PowerSeen::Unknown,
        })
    }

    fn rail(&mut self, _: &Wait) -> Result<Option<Millivolts>, ChannelError> {
        // What an outlet measures is the mains side.
        Ok(None)
    }

    fn off_min(&self) -> Duration {
        self.supply.off_min
    }

    fn dip(&mut self, _: Millivolts, _: Duration, _: &Wait) -> Result<(), ChannelError> {
        Err(ChannelError::new(ErrorKind::Unsupported, "dip an outlet of a PDU"))
    }

    fn describe(&self) -> String {
        format!("outlet {} of {} ({}, {})", self.name, self.session.address(), self.family.name, self.session.version())
    }
}
