//! Hub class requests of USB 2.0 (11.24) and USB 3.2 (10.16), sent by `nusb`, and what a hub's descriptor says of its switches.

use super::super::word;
use super::sysfs::Port;
use crate::{TimeBase, runtime};
use nusb::transfer::{ControlIn, ControlOut, ControlType, Recipient, TransferError};
use nusb::{Device, MaybeFuture, Speed};
use proofbench_channel::{ChannelError, ErrorKind, PowerAsk, PowerSeen, Wait};
use std::time::Duration;

const GET_STATUS: u8 = 0;
const CLEAR_FEATURE: u8 = 1;
const SET_FEATURE: u8 = 3;
const GET_DESCRIPTOR: u8 = 6;
const PORT_POWER: u16 = 8;
/// Descriptor types of a USB 2 and of a USB 3 hub, as `wValue`.
const HUB: u16 = 0x2900;
const SUPER_SPEED_HUB: u16 = 0x2a00;
/// How long a hub may take to answer, in real time.
const ANSWER: Duration = Duration::from_secs(1);

/// What a hub's descriptor says of switching the power of its ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switching {
    /// All ports at once.
    Ganged,
    /// Each port by itself.
    Single,
    /// Not at all.
    None,
}

impl Switching {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Ganged => "switches all its ports at once",
            Self::Single => "switches each port by itself",
            Self::None => "cannot switch the power of its ports",
        }
    }
}

/// Reads the logical power switching mode (`wHubCharacteristics`, bits 0 and 1) from the bytes of a hub descriptor; `None` if they are none.
pub fn switching(descriptor: &[u8]) -> Option<Switching> {
    // bDescLength, bDescriptorType, bNbrPorts, wHubCharacteristics.
    let [length, kind, ports, characteristics, _, ..] = *descriptor else { return None };
    if usize::from(length) > descriptor.len() || length < 7 || !matches!(kind, 0x29 | 0x2a) || ports == 0 {
        return None;
    }
    Some(match characteristics & 0b11 {
        0b00 => Switching::Ganged,
        0b01 => Switching::Single,
        _ => Switching::None,
    })
}

/// Power and over-current of a port, from the four bytes that it answers to `GetStatus`; `None` if they are fewer.
fn status(bytes: &[u8], super_speed: bool) -> Option<PowerSeen> {
    let [low, high, _, _] = *bytes else { return None };
    let status = u16::from_le_bytes([low, high]);
    let power = if super_speed { 1 << 9 } else { 1 << 8 };
    Some(match (status & 1 << 3 != 0, status & power != 0) {
        (true, _) => PowerSeen::Tripped("over-current at the hub's port".to_owned()),
        (false, true) => PowerSeen::On,
        (false, false) => PowerSeen::Off,
    })
}

/// What the hub of this name says of its switches. Asked once, when a channel is opened.
pub(super) fn describe(hub: &Port) -> Result<Switching, ChannelError> {
    let doing = format!("read the descriptor of USB hub {}", hub.hub());
    let device = device(hub, &doing)?;
    let (value, length) = if is_super_speed(&device) { (SUPER_SPEED_HUB, 12) } else { (HUB, 71) };
    let request = ControlIn { control_type: ControlType::Class, recipient: Recipient::Device, request: GET_DESCRIPTOR, value, index: 0, length };
    let bytes = device.control_in(request, ANSWER).wait().map_err(|e| failed(&doing, e))?;
    switching(&bytes).ok_or_else(|| ChannelError::caused(ErrorKind::Protocol, doing, format!("its {} bytes are no hub descriptor", bytes.len())))
}

/// What the hub says of this port.
pub(super) fn state(port: &Port, time: TimeBase, wait: &Wait) -> Result<PowerSeen, ChannelError> {
    let doing = format!("ask for port {} of USB hub {}", port.number(), port.hub());
    let (port, inner) = (port.clone(), doing.clone());
    runtime::offload(time, wait, &doing, move || {
        let device = device(&port, &inner)?;
        let request = ControlIn {
            control_type: ControlType::Class,
            recipient: Recipient::Other,
            request: GET_STATUS,
            value: 0,
            index: index(&port),
            length: 4,
        };
        let bytes = device.control_in(request, ANSWER).wait().map_err(|e| failed(&inner, e))?;
        status(&bytes, is_super_speed(&device)).ok_or_else(|| ChannelError::new(ErrorKind::Protocol, inner))
    })
}

/// Switches this port.
pub(super) fn switch(port: &Port, ask: PowerAsk, time: TimeBase, wait: &Wait) -> Result<(), ChannelError> {
    let doing = format!("switch port {} of USB hub {} {}", port.number(), port.hub(), word(ask));
    let (port, inner) = (port.clone(), doing.clone());
    runtime::offload(time, wait, &doing, move || {
        let request = ControlOut {
            control_type: ControlType::Class,
            recipient: Recipient::Other,
            request: if ask == PowerAsk::On { SET_FEATURE } else { CLEAR_FEATURE },
            value: PORT_POWER,
            index: index(&port),
            data: &[],
        };
        device(&port, &inner)?.control_out(request, ANSWER).wait().map_err(|e| failed(&inner, e))
    })
}

fn index(port: &Port) -> u16 {
    u16::try_from(port.number()).unwrap_or(u16::MAX)
}

fn is_super_speed(device: &Device) -> bool {
    matches!(device.speed(), Some(Speed::Super | Speed::SuperPlus))
}

fn device(port: &Port, doing: &str) -> Result<Device, ChannelError> {
    let (bus, address) = port.address()?;
    let gone = |e: nusb::Error| {
        ChannelError::caused(if e.kind() == nusb::ErrorKind::PermissionDenied { ErrorKind::Refused } else { ErrorKind::Disconnected }, doing, e)
    };
    let found = nusb::list_devices().wait().map_err(gone)?.find(|d| d.busnum() == bus && d.device_address() == address);
    let info = found.ok_or_else(|| ChannelError::new(ErrorKind::Disconnected, doing))?;
    info.open().wait().map_err(gone)
}

fn failed(doing: &str, e: TransferError) -> ChannelError {
    let kind = match e {
        TransferError::Disconnected => ErrorKind::Disconnected,
        TransferError::Cancelled => ErrorKind::Timeout,
        TransferError::Stall => ErrorKind::Refused,
        _ => ErrorKind::Driver,
    };
    ChannelError::caused(kind, doing, e)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a hub with four ports, with these characteristics.
    fn descriptor(characteristics: u8) -> Vec<u8> {
        vec![9, 0x29, 4, characteristics, 0, 50, 100, 0, 0xff]
    }

    #[test]
    fn a_descriptor_says_how_a_hub_switches() {
        // Over-current mode and think time stand in the same byte and change nothing.
        assert_eq!(switching(&descriptor(0b1110_0001)), Some(Switching::Single));
        assert_eq!(switching(&descriptor(0b0000_0000)), Some(Switching::Ganged));
        assert_eq!(switching(&descriptor(0b0000_0010)), Some(Switching::None));
        assert_eq!(switching(&descriptor(0b0000_0011)), Some(Switching::None));
        assert_eq!(switching(&[12, 0x2a, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0]), Some(Switching::Single));
    }

    #[test]
    fn bytes_that_are_no_hub_descriptor_say_nothing() {
        assert_eq!(switching(&[]), None);
        assert_eq!(switching(&descriptor(1)[..8]), None, "cut short");
        assert_eq!(switching(&[9, 0x01, 4, 1, 0, 0, 0, 0, 0]), None, "another descriptor");
        assert_eq!(switching(&[9, 0x29, 0, 1, 0, 0, 0, 0, 0]), None, "a hub without ports");
        assert_eq!(switching(&[5, 0x29, 4, 1, 0]), None, "too short to be one");
    }

    #[test]
    fn a_port_says_power_in_another_bit_on_a_usb_3_hub() {
        assert_eq!(status(&[0x03, 0x01, 0, 0], false), Some(PowerSeen::On));
        assert_eq!(status(&[0x03, 0x01, 0, 0], true), Some(PowerSeen::Off));
        assert_eq!(status(&[0xa0, 0x02, 0, 0], true), Some(PowerSeen::On));
        assert!(matches!(status(&[0x08, 0x01, 0, 0], false), Some(PowerSeen::Tripped(_))));
        assert_eq!(status(&[0x08, 0x01], false), None);
    }
}
