//! A mistake in a rig file is told with its place, its value and what would be valid; every knob changes something.

use proofbench_drivers::line::{LineAddress, LineSettings};
use proofbench_rig::settings::console::ConsoleDriver;
use proofbench_rig::settings::debug::DebugDriver;
use proofbench_rig::settings::port::{Port, PortAddress};
use proofbench_rig::settings::update::UpdateDriver;
use proofbench_rig::{Capability, Device, Permission, ResolvedRig};
use rstest::rstest;
use std::path::{Path, PathBuf};

fn resolve(text: &str) -> Result<ResolvedRig, String> {
    ResolvedRig::from_text(Path::new("rigs/bench.toml"), text).map_err(|e| e.to_string())
}

const HEAD: &str = "format = 1\ndossier = \"d\"\n";

fn with(rest: &str) -> ResolvedRig {
    resolve(&format!("{HEAD}{rest}")).expect("this file is right")
}

#[rstest]
#[case::syntax("format = \n", "rigs/bench.toml:1:10")]
#[case::missing("format = 1\n", "missing field `dossier`")]
#[case::format("format = 2\ndossier = \"d\"\n", "rigs/bench.toml:1:10: `2`: this program reads rig files of format 1; valid: 1")]
#[case::unknown_section(
    "format = 1\ndossier = \"d\"\n[powr]\ndriver = \"board\"\n",
    "rigs/bench.toml:3:2: `powr`: unknown field `powr`, expected one of"
)]
#[case::unknown_key(
    "format = 1\ndossier = \"d\"\n[console]\ndriver = \"serial\"\n  bauds = 9600\n",
    "rigs/bench.toml:5:3: `bauds`: unknown field `bauds`, expected one of `port`, `baud`, `data-bits`, `parity`, `stop-bits`, `flow`, `dtr`, `rts`"
)]
#[case::wrong_type(
    "format = 1\ndossier = \"d\"\n[console]\ndriver = \"serial\"\nport = { path = \"x\" }\nbaud = \"fast\"\n",
    "rigs/bench.toml:6:8: `fast`: invalid type: string \"fast\", expected u32"
)]
#[case::driver(
    "format = 1\ndossier = \"d\"\n[power]\ndriver = \"hub\"\n",
    "rigs/bench.toml:4:10: `hub`: no driver of this channel; valid: emulator, board"
)]
#[case::driver_missing("format = 1\ndossier = \"d\"\n[power]\n", "rigs/bench.toml:3:1: `[power]`: missing field `driver`")]
#[case::port_missing(
    "format = 1\ndossier = \"d\"\n[console]\ndriver = \"serial\"\n",
    "rigs/bench.toml:4:10: `serial`: this driver needs `port`; valid: port = { usb-serial = \"066BFF504955\" }"
)]
#[case::port_kind(
    "format = 1\ndossier = \"d\"\n[console]\ndriver = \"serial\"\nport = { usb = \"1\" }\n",
    "rigs/bench.toml:5:10: `usb`: unknown field `usb`, expected one of `usb-serial`, `interface`, `by-id`, `by-path`, `path`, `rfc2217`, `tcp`"
)]
#[case::port_unused(
    "format = 1\ndossier = \"d\"\n[console]\ndriver = \"emulator\"\nport = { path = \"x\" }\n",
    "rigs/bench.toml:5:8: `{ path = \"x\" }`: the driver `emulator` does not use `port`"
)]
#[case::baud(
    "format = 1\ndossier = \"d\"\n[console]\ndriver = \"serial\"\nport = { path = \"x\" }\nbaud = 3\n",
    "rigs/bench.toml:6:8: `3`: no baud rate; valid: 50 to 12000000"
)]
#[case::probe(
    "format = 1\ndossier = \"d\"\n[debug]\ndriver = \"probe-rs\"\nprobe = \"stlink\"\n",
    "rigs/bench.toml:5:9: `stlink`: no probe selector; valid: vid:pid:serial"
)]
#[case::probe_missing("format = 1\ndossier = \"d\"\n[debug]\ndriver = \"probe-rs\"\n", "this driver needs `probe`")]
#[case::probe_unused("format = 1\ndossier = \"d\"\n[debug]\ndriver = \"emulator\"\nprobe = \"x\"\n", "does not use `probe`")]
#[case::path_missing("format = 1\ndossier = \"d\"\n[storage]\ndriver = \"file\"\n", "this driver needs `path`")]
#[case::placeholder(
    "format = 1\ndossier = \"d\"\n[storage]\ndriver = \"file\"\npath = \"{bord}/flash.bin\"\n",
    "rigs/bench.toml:5:8: `{bord}/flash.bin`: unknown placeholder {bord}; valid: {board}"
)]
#[case::permission(
    "format = 1\ndossier = \"d\"\n[permissions]\nflash-erase = true\n",
    "rigs/bench.toml:4:1: `flash-erase`: unknown field `flash-erase`, expected one of `flash-write`"
)]
#[case::emulator_unread("format = 1\ndossier = \"d\"\n[emulator]\nunit = 2\n", "so nothing reads [emulator]")]
#[case::board_unread("format = 1\ndossier = \"d\"\n[board]\nspeed = 2\n", "so nothing reads [board]")]
#[case::speed(
    "format = 1\ndossier = \"d\"\n[board]\nspeed = 0\n[power]\ndriver = \"board\"\n",
    "rigs/bench.toml:4:9: `0`: no speed; valid: 0.01 to 1000"
)]
#[case::two_devices(
    "format = 1\ndossier = \"d\"\n[console]\ndriver = \"emulator\"\n[power]\ndriver = \"board\"\n",
    "rigs/bench.toml:6:10: `board`: one rig holds one device"
)]
fn a_mistake_is_told_with_its_place(#[case] text: &str, #[case] message: &str) {
    let e = resolve(text).expect_err("this file is wrong");
    assert!(e.contains(message), "{e}\nshould contain\n{message}");
    assert!(e.starts_with("rigs/bench.toml:"), "{e}");
}

#[test]
fn a_missing_file_is_named() {
    let e = ResolvedRig::load(Path::new("no/such/rig.toml")).unwrap_err().to_string();
    assert!(e.starts_with("read no/such/rig.toml: "), "{e}");
}

#[test]
fn capabilities_are_the_sections() {
    assert!(with("").capabilities().is_empty());
    for (section, capability) in [
        ("console", Capability::Console),
        ("power", Capability::Power),
        ("reset", Capability::Reset),
        ("debug", Capability::DebugPort),
        ("fixture", Capability::Fixture),
        ("storage", Capability::Storage),
        ("update", Capability::UpdatePath),
        ("crash", Capability::CrashSpace),
    ] {
        assert_eq!(with(&format!("[{section}]\ndriver = \"emulator\"\n")).capabilities(), [capability], "{section}");
    }
}

#[rstest]
#[case("flash-write", Permission::FlashWrite)]
#[case("mass-erase", Permission::MassErase)]
#[case("factory-reset", Permission::FactoryReset)]
#[case("counter-increment", Permission::CounterIncrement)]
#[case("power-cut", Permission::PowerCut)]
#[case("debug-reset", Permission::DebugReset)]
fn an_act_is_granted_by_its_name_alone(#[case] key: &str, #[case] permission: Permission) {
    assert_eq!(permission.as_str(), key);
    let granted = with(&format!("[permissions]\n{key} = true\n")).permissions;
    for p in Permission::ALL {
        assert_eq!(granted.grants(p), p == permission, "{p}");
    }
}

#[test]
fn paths_are_relative_to_the_rig_file() {
    let rig = with("lease = \"x.lease\"\n[storage]\ndriver = \"file\"\npath = \"flash.bin\"\n");
    assert_eq!(rig.dossier, PathBuf::from("rigs/d"));
    assert_eq!(rig.lease, Some(PathBuf::from("rigs/x.lease")));
}

#[test]
fn a_real_device_is_leased_and_an_own_one_is_not() {
    assert!(with("[storage]\ndriver = \"file\"\npath = \"flash.bin\"\n").lease.is_some());
    assert!(with("[power]\ndriver = \"emulator\"\n").lease.is_none());
    assert!(with("[power]\ndriver = \"board\"\n").lease.is_none());
}

#[test]
fn settings_of_the_devices_arrive() {
    let text = "[emulator]\nunit = 7\nmedium = \"ecc-64\"\ndefects = [\"a\"]\nfaults = [\"b\"]\n[power]\ndriver = \"emulator\"\n";
    let Device::Emulator(e) = with(text).with_defects(&["c"]).with_faults(&["d"]).device else { panic!("an emulator") };
    assert_eq!((e.unit, e.medium.as_deref()), (7, Some("ecc-64")));
    assert_eq!((e.defects, e.faults), (vec!["a".to_owned(), "c".into()], vec!["b".to_owned(), "d".into()]));

    let text = "[board]\nunit = 7\nspeed = 4\nprogram = \"p\"\ndefects = [\"a\"]\nfaults = [\"b\"]\n[power]\ndriver = \"board\"\n";
    let Device::Board(b) = with(text).device else { panic!("a board") };
    assert_eq!((b.unit, *b.speed.get_ref(), b.program.as_deref()), (7, 4.0, Some("p")));
    assert_eq!((b.defects, b.faults), (vec!["a".to_owned()], vec!["b".to_owned()]));
}

#[test]
fn ports_and_probes_arrive() {
    let rig = with(
        "[console]\ndriver = \"serial\"\nport = { path = \"/dev/ttyX\" }\n[update]\ndriver = \"smp\"\nport = { path = \"u\" }\nbaud = 9600\n\
         [debug]\ndriver = \"probe-rs\"\nprobe = \"0483:374b:S\"\n",
    );
    let port = |path: &str, baud| Port { address: PortAddress::Line(LineAddress::Path(path.into())), settings: LineSettings::baud(baud) };
    assert_eq!(rig.drivers.console, Some(ConsoleDriver::Serial(port("/dev/ttyX", 115_200))));
    assert_eq!(rig.drivers.update, Some(UpdateDriver::Smp(port("u", 9600))));
    assert_eq!(rig.drivers.debug, Some(DebugDriver::ProbeRs { probe: "0483:374b:S".to_owned() }));
    assert!(matches!(rig.device, Device::Real));
}

#[test]
fn an_address_of_the_network_that_is_none_is_told_with_its_place_and_with_one_that_is() {
    let text = "format = 1\ndossier = \"d\"\n[network]\ndriver = \"host\"\nlab = \"192.0.2.1\"\ndevice = \"192.0.2.999\"\n";
    let error = ResolvedRig::from_text(Path::new("rig.toml"), text).expect_err("no address").to_string();
    assert!(error.contains("rig.toml:6") && error.contains("192.0.2.999") && error.contains("192.0.2.20"), "{error}");
}

#[rstest]
#[case("emulated.toml", 10)]
#[case("board.toml", 9)]
fn the_rigs_of_the_tree_resolve(#[case] name: &str, #[case] channels: usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rigs").join(name);
    let rig = ResolvedRig::load(&path).expect("a rig of the tree");
    assert_eq!(rig.capabilities().len(), channels);
    assert!(rig.permissions.grants(Permission::FlashWrite) && !rig.permissions.grants(Permission::MassErase));
    assert!(rig.dossier.ends_with("fixtures/devices/thermostat"));
}

#[test]
fn the_example_rigs_resolve_and_grant_nothing_that_cannot_be_undone() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rigs/examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the examples") {
        let path = entry.expect("an entry").path();
        let rig = ResolvedRig::load(&path).unwrap_or_else(|e| panic!("{e}"));
        assert!(matches!(rig.device, Device::Real), "{}", path.display());
        assert!(rig.capabilities().contains(&Capability::Console) && rig.capabilities().contains(&Capability::Power), "{}", path.display());
        assert!(!rig.permissions.grants(Permission::MassErase) && !rig.permissions.grants(Permission::CounterIncrement), "{}", path.display());
        seen += 1;
    }
    assert_eq!(seen, 6);
}
