//! Ports of USB hubs, on trees of files made like sysfs. There is no hub here.
#![allow(clippy::unwrap_used)] // the lint knows test functions, not their helpers

use proofbench_channel::{Cancel, ChannelError, ErrorKind, Power, PowerAsk, PowerSeen, Wait, conformance};
use proofbench_drivers::power::Supply;
use proofbench_drivers::power::usb_hub::{Method, UsbHubSetup, open};
use proofbench_drivers::{RealClock, TimeBase};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// A tree of files made like the kernel's: a USB 2 hub `1-4` and the USB 3 hub `2-4` in the same case, four ports each, tied by `peer` links.
struct FakeSysfs {
    dir: TempDir,
    time: TimeBase,
}

fn fake_sysfs() -> FakeSysfs {
    let fake = FakeSysfs { dir: TempDir::new().unwrap(), time: TimeBase::real() };
    for hub in ["1-4", "2-4"] {
        fake.hub(hub, &format!("{hub}:1.0"), 4);
    }
    for n in 1..=4 {
        symlink(fake.port("2-4", n), fake.port("1-4", n).join("peer")).unwrap();
        symlink(fake.port("1-4", n), fake.port("2-4", n).join("peer")).unwrap();
    }
    fake
}

impl FakeSysfs {
    fn root(&self) -> &Path {
        self.dir.path()
    }

    fn hub(&self, hub: &str, interface: &str, ports: u32) {
        for n in 1..=ports {
            let folder = self.root().join(hub).join(interface).join(format!("{hub}-port{n}"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("disable"), "0\n").unwrap();
        }
        fs::write(self.root().join(hub).join("maxchild"), format!("{ports}\n")).unwrap();
    }

    fn port(&self, hub: &str, n: u32) -> PathBuf {
        self.root().join(hub).join(format!("{hub}:1.0")).join(format!("{hub}-port{n}"))
    }

    fn disabled(&self, hub: &str, n: u32) -> String {
        fs::read_to_string(self.port(hub, n).join("disable")).unwrap().trim().to_owned()
    }

    fn try_open(&self, hub: &str, port: u32, method: Method) -> Result<Box<dyn Power>, ChannelError> {
        let supply = Supply { time: self.time, off_min: Duration::from_millis(10) };
        open(UsbHubSetup { root: self.root().to_path_buf(), hub: hub.to_owned(), port, method, supply })
    }

    fn wait(&self) -> Wait {
        Wait::until(self.time.now() + Duration::from_secs(60), &Cancel::new())
    }
}

/// The error with all that lies beneath.
fn whole(error: &ChannelError) -> String {
    let cause = error.source.as_ref().map_or_else(String::new, |cause| format!(": {cause}"));
    format!("{error}{cause}")
}

#[test]
fn a_port_behaves_as_a_supply() {
    let fake = fake_sysfs();
    for method in [Method::Auto, Method::Sysfs] {
        let mut power = fake.try_open("1-4", 2, method).unwrap();
        conformance::power(&mut *power, &mut RealClock(fake.time)).unwrap();
        assert!(power.describe().contains("could not be asked"), "{}", power.describe());
    }
}

#[test]
fn both_halves_of_a_port_are_switched_whichever_was_named_and_no_other() {
    let fake = fake_sysfs();
    for (named, other) in [("1-4", "2-4"), ("2-4", "1-4")] {
        let mut power = fake.try_open(named, 2, Method::Auto).unwrap();
        power.set(PowerAsk::Off, &fake.wait()).unwrap();
        assert_eq!([fake.disabled(named, 2), fake.disabled(other, 2)], ["1", "1"]);
        assert_eq!([fake.disabled(named, 1), fake.disabled(other, 3)], ["0", "0"]);
        power.set(PowerAsk::On, &fake.wait()).unwrap();
        assert_eq!([fake.disabled(named, 2), fake.disabled(other, 2)], ["0", "0"]);
    }
}

#[test]
fn a_port_has_power_as_long_as_one_half_gives_it() {
    let fake = fake_sysfs();
    let mut power = fake.try_open("1-4", 2, Method::Auto).unwrap();
    power.set(PowerAsk::Off, &fake.wait()).unwrap();
    assert_eq!(power.state(&fake.wait()).unwrap(), PowerSeen::Off);
    fs::write(fake.port("2-4", 2).join("disable"), "0\n").unwrap();
    assert_eq!(power.state(&fake.wait()).unwrap(), PowerSeen::On);
}

#[test]
fn a_hub_without_another_half_and_a_root_hub_work_too() {
    let fake = fake_sysfs();
    fake.hub("3-1", "3-1:1.0", 2);
    fake.hub("usb3", "3-0:1.0", 2);
    for hub in ["3-1", "usb3"] {
        let mut power = fake.try_open(hub, 1, Method::Auto).unwrap();
        conformance::power(&mut *power, &mut RealClock(fake.time)).unwrap();
    }
}

#[test]
fn hubs_and_ports_that_are_not_there_are_told_with_those_that_are() {
    let fake = fake_sysfs();
    fs::create_dir(fake.root().join("1-9")).unwrap();
    fs::write(fake.root().join("1-9/maxchild"), "0\n").unwrap();
    for hub in ["1-5", "", "..", "1-4/..", "/etc"] {
        let error = fake.try_open(hub, 2, Method::Auto).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Disconnected);
        assert!(whole(&error).ends_with("there are 1-4, 2-4"), "{}", whole(&error));
    }
    let error = fake.try_open("1-4", 9, Method::Auto).err().unwrap();
    assert!(error.kind == ErrorKind::Disconnected && whole(&error).contains("it has 4 ports"), "{}", whole(&error));
}

#[test]
fn a_hub_that_is_unplugged_is_disconnected_and_used_again_when_it_is_back() {
    let fake = fake_sysfs();
    let mut power = fake.try_open("1-4", 2, Method::Auto).unwrap();
    fs::rename(fake.root().join("1-4"), fake.root().join("gone")).unwrap();
    for error in [power.set(PowerAsk::Off, &fake.wait()).unwrap_err(), power.state(&fake.wait()).unwrap_err()] {
        assert_eq!(error.kind, ErrorKind::Disconnected, "{}", whole(&error));
    }
    fs::rename(fake.root().join("gone"), fake.root().join("1-4")).unwrap();
    power.set(PowerAsk::Off, &fake.wait()).unwrap();
}

#[test]
fn a_kernel_without_the_file_is_told_and_the_other_method_is_tried() {
    let fake = fake_sysfs();
    fs::remove_file(fake.port("1-4", 2).join("disable")).unwrap();
    let error = fake.try_open("1-4", 2, Method::Sysfs).err().unwrap();
    assert!(error.kind == ErrorKind::Unsupported && whole(&error).contains("older than 6.0"), "{}", whole(&error));
    // The other method asks the hub, which is not there.
    for method in [Method::Auto, Method::Request] {
        let error = fake.try_open("1-4", 2, method).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Disconnected, "{}", whole(&error));
    }
}

#[test]
fn a_file_that_may_not_be_written_is_refused_with_the_rule_that_helps() {
    // A file of the kernel that nobody may write, the superuser included.
    let kernels = Path::new("/sys/kernel/uevent_seqnum");
    if !kernels.exists() {
        eprintln!("skipped: no sysfs here");
        return;
    }
    let fake = fake_sysfs();
    let file = fake.port("1-4", 2).join("disable");
    fs::remove_file(&file).unwrap();
    symlink(kernels, &file).unwrap();
    let error = fake.try_open("1-4", 2, Method::Sysfs).unwrap().set(PowerAsk::Off, &fake.wait()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(whole(&error).contains("udev rule") && whole(&error).contains("*-port*/disable"), "{}", whole(&error));
}

#[test]
fn a_file_that_says_neither_is_not_guessed_at() {
    let fake = fake_sysfs();
    let mut power = fake.try_open("1-4", 2, Method::Auto).unwrap();
    fs::write(fake.port("2-4", 2).join("disable"), "maybe\n").unwrap();
    assert_eq!(power.state(&fake.wait()).unwrap_err().kind, ErrorKind::Protocol);
}

#[test]
fn a_peer_link_that_leads_to_no_port_is_an_error() {
    let fake = fake_sysfs();
    let link = fake.port("1-4", 2).join("peer");
    fs::remove_file(&link).unwrap();
    symlink(fake.root(), &link).unwrap();
    assert_eq!(fake.try_open("1-4", 2, Method::Auto).err().unwrap().kind, ErrorKind::Protocol);
}
