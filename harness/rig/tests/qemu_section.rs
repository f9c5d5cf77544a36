//! `[qemu]` of a rig file: what is wired to the machine, and how mistakes are told.

use proofbench_rig::settings::console::ConsoleDriver;
use proofbench_rig::settings::port::PortAddress;
use proofbench_rig::{Capability, Device, ResolvedRig};
use rstest::rstest;
use std::path::Path;

const MACHINE: &str = "[qemu]\nprogram = \"qemu-system-arm\"\narguments = [\"-M\", \"virt\", \"-drive\", \"file={qemu}/env,if=pflash\", \
    \"-netdev\", \"user,id=n,hostfwd=tcp:127.0.0.1:{qemu.ssh}-:22\"]\nlines = [\"console\", \"update\"]\nports = [\"ssh\"]\n\
    [qemu.disks.env]\nsize = \"64MiB\"\nerased = true\n";
const WIRED: &str = "[console]\ndriver = \"serial\"\nport = { qemu = \"console\" }\n[power]\ndriver = \"qemu\"\n[reset]\ndriver = \"qemu\"\n\
    [storage]\ndriver = \"file\"\npath = \"{qemu}/env\"\n[update]\ndriver = \"smp\"\nport = { qemu = \"update\" }\n";

fn resolve(sections: &str) -> Result<ResolvedRig, String> {
    let text = format!("format = 1\ndossier = \"d\"\n{sections}");
    ResolvedRig::from_text(Path::new("rigs/bench.toml"), &text).map_err(|e| e.to_string())
}

#[test]
fn a_machine_is_a_device_of_the_rigs_own() {
    let rig = resolve(&format!("{MACHINE}{WIRED}")).expect("a rig");
    assert!(matches!(rig.device, Device::Qemu(_)) && rig.lease.is_none());
    assert_eq!(rig.capabilities(), [Capability::Console, Capability::Power, Capability::Reset, Capability::Storage, Capability::UpdatePath]);
    let Some(ConsoleDriver::Serial(port)) = rig.drivers.console else { panic!("a line") };
    assert_eq!(port.address, PortAddress::Qemu("console".to_owned()));
}

#[rstest]
#[case::no_machine(WIRED.to_owned(), "4:10: `serial`: console is wired to a machine of QEMU, and there is no [qemu]; valid: [qemu] with program")]
#[case::not_wired(MACHINE.to_owned(), "no section is wired to the machine, so nothing reads [qemu]")]
#[case::two_devices(
    format!("{MACHINE}{WIRED}[fixture]\ndriver = \"board\"\n"),
    "one rig holds one device: fixture is wired to another one than the machine of [qemu]"
)]
#[case::line(
    format!("{MACHINE}{}", WIRED.replace("\"console\" }", "\"con\" }")),
    "[qemu] has no line `con`; valid: console, update"
)]
#[case::shared_line(
    format!("{MACHINE}{}", WIRED.replace("{ qemu = \"update\" }", "{ qemu = \"console\" }")),
    "`smp`: the line `console` is the console's already"
)]
#[case::line_settings(
    format!("{MACHINE}{}", WIRED.replace("\"console\" }", "\"console\" }\nbaud = 9600")),
    "`9600`: a line of QEMU carries bytes only: nothing can be made of `baud`; valid: leave it out"
)]
#[case::line_reset(
    format!("{MACHINE}{}", WIRED.replace("[reset]\ndriver = \"qemu\"", "[reset]\ndriver = \"serial-lines\"\nline = \"rts\"")),
    "a line of QEMU has no control lines; valid: driver = \"qemu\""
)]
#[case::placeholder(format!("{}{WIRED}", MACHINE.replace("{qemu.ssh}", "{qemu.web}")), "unknown placeholder {qemu.web}; valid: {qemu}, {qemu.random}, {qemu.ssh}")]
#[case::own_option(format!("{}{WIRED}", MACHINE.replace("\"virt\"", "\"virt\", \"-S\"")), "`-S`: the driver gives this option, or cannot work with it")]
#[case::name(format!("{}{WIRED}", MACHINE.replace("[\"ssh\"]", "[\"/x\"]")), "`/x`: no name; valid: a letter, then letters")]
#[case::twice(format!("{}{WIRED}", MACHINE.replace("[\"ssh\"]", "[\"ssh\", \"env\"]")), "the name stands here twice")]
#[case::empty_disk(format!("{}{WIRED}", MACHINE.replace("size = \"64MiB\"\n", "")), "`env`: a disk needs what is in it, or a size")]
#[case::no_size(format!("{}{WIRED}", MACHINE.replace("64MiB", "0")), "`0`: no size of a disk; valid: 1 byte to 64GiB")]
#[case::unknown(format!("{}{WIRED}", MACHINE.replace("erased", "erasd")), "unknown field `erasd`, expected one of `from`, `size`, `erased`")]
fn mistakes_are_told_with_their_place(#[case] sections: String, #[case] expected: &str) {
    let e = resolve(&sections).expect_err("a mistake");
    assert!(e.starts_with("rigs/bench.toml:") && e.contains(expected), "{e}");
}
