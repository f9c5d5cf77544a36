//! A rig file drafted from what is attached to this machine: what could be seen is filled in, what could not stands there as a comment.

use proofbench_channel::Cancel;
use proofbench_drivers::line::{Places, PortInfo, UsbPort, ports};
use std::fmt::Write;

/// What is attached.
#[derive(Debug, Clone, Default)]
pub struct Attached {
    /// Serial ports.
    pub ports: Vec<PortInfo>,
    /// Selector and name of each debug probe.
    pub probes: Vec<(String, String)>,
    /// Why the probes could not be listed, if so.
    pub probes_unknown: Option<String>,
}

impl Attached {
    /// Looks at this machine: opens no port and talks to no device.
    pub fn look() -> Self {
        let (probes, probes_unknown) = match crate::probe::list(&Cancel::new()) {
            Ok(probes) => (probes, None),
            Err(e) => (Vec::new(), Some(e.to_string())),
        };
        Self { ports: ports(&Places::default()), probes, probes_unknown }
    }
}

/// The text of a rig file. It can be read as it is; nothing irreversible is granted in it.
pub fn draft(attached: &Attached, dossier: &str) -> String {
    let mut out = String::from(
        "# Drafted from what was attached. Read it once with the wiring before your eyes; then `proofbench check` this file, and let `proofbench doctor` try it.\n\
         # Every driver and its keys: docs/rig-file.md. Examples with wiring tables: rigs/examples.\n\
         format = 1\n",
    );
    let _ = writeln!(out, "dossier = {}     # folder with device.toml, ics.toml, ixit.toml\n", quoted(dossier));
    let probe = attached.probes.first();
    console(&mut out, &attached.ports, probe.map(|p| p.0.as_str()));
    power(&mut out);
    reset(&mut out, probe.is_some());
    debug(&mut out, attached);
    out.push_str(
        "# [update]                # the way by which images reach the device\n\
         # driver = \"smp\"          # or smp-udp, ymodem, xmodem, http-push, http-pull, command\n\
         # port = { path = \"/dev/serial/by-id/...\" }\n\
         \n\
         [permissions]             # what is not granted here is not done\n\
         flash-write = false       # write the device's flash from outside\n\
         mass-erase = false        # erase the device by the probe: its factory data too\n\
         factory-reset = false     # delete the user's data\n\
         counter-increment = false # raise an anti-rollback counter for good\n\
         power-cut = false         # cut the supply while the device writes\n",
    );
    out
}

/// The port of the probe itself first: on most boards it is wired to the target's UART.
fn console(out: &mut String, ports: &[PortInfo], probe: Option<&str>) {
    let of_probe = |p: &PortInfo| p.usb.as_ref().is_some_and(|u| !u.serial.is_empty() && probe.is_some_and(|s| s.ends_with(&u.serial)));
    let mut ordered: Vec<&PortInfo> = ports.iter().collect();
    ordered.sort_by_key(|p| (!of_probe(p), p.usb.is_none()));
    let Some((first, others)) = ordered.split_first() else {
        out.push_str(
            "# No serial port is attached. [console] makes nearly every check possible.\n\
             # [console]\n# driver = \"serial\"\n# port = { path = \"/dev/ttyUSB0\" }   # or usb-serial, by-id, by-path, rfc2217 = \"host:port\", tcp = \"host:port\"\n# baud = 115200\n\n",
        );
        return;
    };
    let _ = writeln!(out, "[console]\ndriver = \"serial\"\nport = {}   # {}", reference(first, ports), named(first));
    for other in others {
        let _ = writeln!(out, "# port = {}   # {}", reference(other, ports), named(other));
    }
    out.push_str("baud = 115200\n\n");
}

/// The name of a port that is still right tomorrow: serial number (with the interface where the device has several ports), else socket, else node.
fn reference(port: &PortInfo, all: &[PortInfo]) -> String {
    let serial = |p: &PortInfo| p.usb.as_ref().map(|u| u.serial.clone()).filter(|s| !s.is_empty());
    if let (Some(own), Some(usb)) = (serial(port), &port.usb) {
        let shared = all.iter().filter(|p| serial(p).as_ref() == Some(&own)).count() > 1;
        return match usb.interface {
            Some(interface) if shared => format!("{{ usb-serial = {}, interface = {interface} }}", quoted(&own)),
            _ => format!("{{ usb-serial = {} }}", quoted(&own)),
        };
    }
    match &port.by_path {
        Some(by_path) => format!("{{ by-path = {} }}", quoted(by_path)),
        None => format!("{{ path = {} }}", quoted(&port.node.display().to_string())),
    }
}

fn named(port: &PortInfo) -> String {
    let node = port.node.display();
    match &port.usb {
        None => format!("{node}, no USB device"),
        Some(UsbPort { vendor, product, manufacturer, product_name, .. }) => {
            let words = comment(&format!("{manufacturer} {product_name}"));
            format!("now {node}: {vendor:04x}:{product:04x} {}", words.trim())
        }
    }
}

fn power(out: &mut String) {
    out.push_str(
        "# How the supply is switched cannot be seen from here. Without [power] no check can cut it.\n\
         # [power]\n\
         # driver = \"usb-hub\"      # hub = \"1-4\", port = 2\n\
         # driver = \"tasmota-mqtt\" # broker = \"host:1883\", topic = \"plug1\"; tasmota-http and shelly: url = \"http://host\"\n\
         # driver = \"snmp\"         # address = \"host:161\", family = \"apc-rpdu2\", outlet = 3, community = { env = \"NAME\" }\n\
         # driver = \"scpi\"         # address = \"host:5025\", channel = 1, volts = 5.0, amps = 0.5\n\
         # driver = \"gpio\"         # chip = \"/dev/gpiochip0\", line = 17\n\
         # driver = \"command\"      # on = [\"./switch\", \"on\"], off = [\"./switch\", \"off\"]\n\
         # off-min = \"2s\"          # `proofbench doctor` measures it\n\n",
    );
}

fn reset(out: &mut String, probe: bool) {
    if probe {
        out.push_str("[reset]\ndriver = \"probe\"          # nRST of the probe below; is the wire connected?\n\n");
    } else {
        out.push_str("# [reset]\n# driver = \"serial-lines\"  # line = \"rts\" or \"dtr\" of the console's port; or gpio, scpi, command\n\n");
    }
}

fn debug(out: &mut String, attached: &Attached) {
    if let Some(why) = &attached.probes_unknown {
        let _ = writeln!(out, "# Debug probes could not be listed: {}", comment(why));
    }
    let Some((first, others)) = attached.probes.split_first() else {
        out.push_str(
            "# No debug probe was found.\n# [debug]\n# driver = \"probe-rs\"\n# probe = \"vid:pid:serial\"   # `proofbench list probes`\n\n",
        );
        return;
    };
    let _ = writeln!(out, "[debug]\ndriver = \"probe-rs\"\nprobe = {}   # {}", quoted(&first.0), comment(&first.1));
    for (selector, name) in others {
        let _ = writeln!(out, "# probe = {}   # {}", quoted(selector), comment(name));
    }
    out.push('\n');
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// What a device says of itself, on the one line of a comment.
fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::console::ConsoleDriver;
    use crate::settings::debug::DebugDriver;
    use crate::{Permission, ResolvedRig};
    use std::path::{Path, PathBuf};

    fn port(node: &str, serial: &str, interface: u8) -> PortInfo {
        PortInfo {
            node: PathBuf::from(node),
            by_id: None,
            by_path: Some("pci-0000:00:14.0-usb-0:2:1.0-port0".to_owned()),
            usb: Some(UsbPort {
                vendor: 0x0483,
                product: 0x374b,
                serial: serial.to_owned(),
                manufacturer: "ST\nformat = 2".to_owned(),
                product_name: "\"STLink\"".to_owned(),
                interface: Some(interface),
                interface_name: String::new(),
            }),
        }
    }

    fn resolved(attached: &Attached) -> (String, ResolvedRig) {
        let text = draft(attached, "my \"product\"");
        let rig = ResolvedRig::from_text(Path::new("rigs/new.toml"), &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        (text, rig)
    }

    #[test]
    fn a_draft_with_nothing_attached_is_a_rig_file_that_grants_nothing() {
        let (_, rig) = resolved(&Attached::default());
        assert!(rig.capabilities().is_empty());
        assert!(Permission::ALL.into_iter().all(|p| !rig.permissions.grants(p)));
        assert!(rig.dossier.ends_with("my \"product\""));
    }

    #[test]
    fn the_console_is_the_probes_own_port() {
        let attached = Attached {
            ports: vec![port("/dev/ttyUSB0", "", 0), port("/dev/ttyACM0", "066B", 2), port("/dev/ttyACM1", "066B", 4)],
            probes: vec![("0483:374b:066B".to_owned(), "STLink\nV2-1".to_owned())],
            probes_unknown: None,
        };
        let (text, rig) = resolved(&attached);
        assert!(
            text.contains("\nport = { usb-serial = \"066B\", interface = 2 }   # now /dev/ttyACM0: 0483:374b ST format = 2 \"STLink\""),
            "{text}"
        );
        assert!(text.contains("\n# port = { by-path = \"pci-0000:00:14.0-usb-0:2:1.0-port0\" }   # now /dev/ttyUSB0"), "{text}");
        assert!(matches!(rig.drivers.console, Some(ConsoleDriver::Serial(_))));
        assert_eq!(rig.drivers.debug, Some(DebugDriver::ProbeRs { probe: "0483:374b:066B".to_owned() }));
    }
}
