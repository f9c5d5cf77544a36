//! Serial ports of this machine with the identity of the USB devices behind them, read from sysfs.

use std::path::{Path, PathBuf};

/// Most entries of a folder that are looked at.
const ENTRIES_MOST: usize = 4096;
/// Most characters of a text that a device tells of itself.
const TEXT_MOST: usize = 126;

/// Where the kernel and udev tell of serial ports. Tests put a made tree in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// sysfs, `/sys`.
    pub sys: PathBuf,
    /// Device nodes, `/dev`.
    pub dev: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self { sys: PathBuf::from("/sys"), dev: PathBuf::from("/dev") }
    }
}

/// A serial port with hardware behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortInfo {
    /// Its node now, such as `/dev/ttyACM0`.
    pub node: PathBuf,
    /// Name of its link in `/dev/serial/by-id`.
    pub by_id: Option<String>,
    /// Name of its link in `/dev/serial/by-path`.
    pub by_path: Option<String>,
    /// The USB device, if it is one.
    pub usb: Option<UsbPort>,
}

/// The USB side of a serial port. Texts are the device's own: control characters are left out, lengths bounded, absent ones empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsbPort {
    /// Vendor.
    pub vendor: u16,
    /// Product.
    pub product: u16,
    /// Serial number.
    pub serial: String,
    /// Manufacturer in words.
    pub manufacturer: String,
    /// Product in words.
    pub product_name: String,
    /// `bInterfaceNumber` of the interface that the port belongs to.
    pub interface: Option<u8>,
    /// Interface in words.
    pub interface_name: String,
}

/// The serial ports of this machine, ordered by node. Pseudo terminals, virtual consoles and unpopulated UARTs are not among them.
pub fn ports(places: &Places) -> Vec<PortInfo> {
    let by_id = links(&places.dev.join("serial/by-id"));
    let by_path = links(&places.dev.join("serial/by-path"));
    let link_to = |links: &[(String, PathBuf)], node: &Path| {
        let node = node.canonicalize().ok()?;
        links.iter().find(|(_, to)| *to == node).map(|(name, _)| name.clone())
    };
    let ttys = ttys(places).into_iter();
    ttys.map(|t| PortInfo { by_id: link_to(&by_id, &t.node), by_path: link_to(&by_path, &t.node), node: t.node, usb: t.usb }).collect()
}

/// A terminal with hardware behind it.
pub(super) struct Tty {
    pub node: PathBuf,
    pub usb: Option<UsbPort>,
}

/// All of them, ordered by node.
pub(super) fn ttys(places: &Places) -> Vec<Tty> {
    let class = places.sys.join("class/tty");
    let Ok(entries) = std::fs::read_dir(&class) else { return Vec::new() };
    let mut found: Vec<Tty> = entries
        .take(ENTRIES_MOST)
        .flatten()
        .filter_map(|entry| {
            let path = entry.path();
            let device = path.join("device").canonicalize().ok()?;
            // A UART that the kernel provides for but that nothing answers at.
            if text(&path.join("type")) == "0" {
                return None;
            }
            Some(Tty { node: places.dev.join(entry.file_name()), usb: usb_of(&device) })
        })
        .collect();
    found.sort_by(|a, b| a.node.cmp(&b.node));
    found
}

/// From the tty's device up: the interface first, then the device that has a vendor.
fn usb_of(device: &Path) -> Option<UsbPort> {
    let number = |path: PathBuf, radix| u16::from_str_radix(&text(&path), radix).ok();
    let interface = device.ancestors().find(|d| d.join("bInterfaceNumber").exists());
    let usb = interface.unwrap_or(device).ancestors().find(|d| d.join("idVendor").exists())?;
    Some(UsbPort {
        vendor: number(usb.join("idVendor"), 16)?,
        product: number(usb.join("idProduct"), 16)?,
        serial: text(&usb.join("serial")),
        manufacturer: text(&usb.join("manufacturer")),
        product_name: text(&usb.join("product")),
        interface: interface.and_then(|i| number(i.join("bInterfaceNumber"), 16)).and_then(|n| u8::try_from(n).ok()),
        interface_name: interface.map(|i| text(&i.join("interface"))).unwrap_or_default(),
    })
}

/// An attribute's text; empty if there is none.
fn text(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let whole = String::from_utf8_lossy(&bytes);
    whole.trim_end_matches('\n').chars().filter(|c| !c.is_control()).take(TEXT_MOST).collect()
}

/// Names of a folder's links with what they lead to.
fn links(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<(String, PathBuf)> =
        entries.take(ENTRIES_MOST).flatten().filter_map(|e| Some((e.file_name().to_str()?.to_owned(), e.path().canonicalize().ok()?))).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::LineAddress;
    use proofbench_channel::ErrorKind;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A made tree, in the kernel's shape: an ST-Link with one port, a bridge with two ports behind `usb-serial`, a UART that is there, one that is not.
    fn fake_tree() -> (tempfile::TempDir, Places) {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { sys: dir.path().join("fake-sys"), dev: dir.path().join("fake-dev") };
        let put = |path: &str, text: &str| {
            let path = places.sys.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        };
        let usb = |at: &str, [vendor, product, serial, name]: [&str; 4]| {
            let attributes = [("idVendor", vendor), ("idProduct", product), ("serial", serial), ("product", name), ("manufacturer", "Maker")];
            for (key, value) in attributes {
                put(&format!("devices/usb1/{at}/{key}"), value);
            }
        };
        let tty = |name: &str, device: &str| {
            let real = places.sys.join("devices").join(device);
            fs::create_dir_all(&real).unwrap();
            let class = places.sys.join("class/tty").join(name);
            fs::create_dir_all(&class).unwrap();
            symlink(real, class.join("device")).unwrap();
            fs::create_dir_all(&places.dev).unwrap();
            fs::write(places.dev.join(name), "").unwrap();
        };
        usb("1-4", ["0483", "374b", "066BFF504955", "STM32 \u{1b}[31mSTLink"]);
        put("devices/usb1/1-4/1-4:1.2/bInterfaceNumber", "02");
        put("devices/usb1/1-4/1-4:1.2/interface", "ST-Link VCP Ctrl");
        tty("ttyACM0", "usb1/1-4/1-4:1.2");
        usb("1-5", ["10c4", "ea70", "0001", "CP2105"]);
        for n in 0..2 {
            put(&format!("devices/usb1/1-5/1-5:1.{n}/bInterfaceNumber"), &format!("0{n}"));
            tty(&format!("ttyUSB{n}"), &format!("usb1/1-5/1-5:1.{n}/ttyUSB{n}"));
        }
        tty("ttyS0", "pnp0/00:01");
        put("class/tty/ttyS0/type", "4");
        tty("ttyS1", "platform/serial8250");
        put("class/tty/ttyS1/type", "0");
        fs::create_dir_all(places.sys.join("class/tty/tty0")).unwrap();
        fs::create_dir_all(places.dev.join("serial/by-id")).unwrap();
        symlink("../../ttyACM0", places.dev.join("serial/by-id/usb-ST_066BFF504955-if02")).unwrap();
        (dir, places)
    }

    #[test]
    fn ports_are_listed_with_the_identity_of_their_usb_devices() {
        let (_dir, places) = fake_tree();
        let ports = ports(&places);
        let names: Vec<_> = ports.iter().map(|p| p.node.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["ttyACM0", "ttyS0", "ttyUSB0", "ttyUSB1"], "no virtual console, no UART without hardware");
        assert_eq!(ports[0].by_id.as_deref(), Some("usb-ST_066BFF504955-if02"));
        assert_eq!(ports[0].by_path, None);
        let st = ports[0].usb.as_ref().unwrap();
        assert_eq!((st.vendor, st.product, st.interface), (0x0483, 0x374b, Some(2)));
        assert_eq!((st.serial.as_str(), st.interface_name.as_str()), ("066BFF504955", "ST-Link VCP Ctrl"));
        assert_eq!(st.product_name, "STM32 [31mSTLink", "no control character of a device's reaches a terminal");
        assert_eq!(ports[1].usb, None);
        assert_eq!(ports[3].usb.as_ref().unwrap().interface, Some(1));
    }

    #[test]
    fn a_port_is_found_by_the_serial_number_of_its_device() {
        let (_dir, places) = fake_tree();
        let find = |serial: &str, interface| LineAddress::Usb { serial: serial.to_owned(), interface }.node(&places);
        assert_eq!(find("066BFF504955", None).unwrap(), Some(places.dev.join("ttyACM0")));
        assert_eq!(find("066BFF504955", Some(2)).unwrap(), Some(places.dev.join("ttyACM0")));
        assert_eq!(find("066BFF504955", Some(0)).unwrap(), None);
        assert_eq!(find("066BFF50495", None).unwrap(), None, "a part of a serial number is another one");
        assert_eq!(find("0001", Some(1)).unwrap(), Some(places.dev.join("ttyUSB1")));
        let e = find("0001", None).unwrap_err();
        assert_eq!(e.kind, ErrorKind::Refused);
        let cause = e.source.unwrap().to_string();
        assert!(cause.contains("ttyUSB0 (interface 0)") && cause.contains("ttyUSB1 (interface 1)"), "{cause}");
    }

    #[test]
    fn a_machine_without_sysfs_has_no_ports() {
        let places = Places { sys: PathBuf::from("/nowhere"), dev: PathBuf::from("/nowhere") };
        assert_eq!(ports(&places), []);
    }
}
