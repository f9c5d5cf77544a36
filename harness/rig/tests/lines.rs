//! Byte lines of a rig file: every kind of port with its settings, the reset line of the console's port, and how mistakes are told.

use proofbench_channel::{Cancel, Wait};
use proofbench_drivers::line::{ControlLine, Flow, LineAddress, LineSettings, Parity};
use proofbench_rig::ResolvedRig;
use proofbench_rig::settings::console::ConsoleDriver;
use proofbench_rig::settings::port::{Port, PortAddress};
use proofbench_rig::settings::reset::ResetDriver;
use proofbench_rig::settings::reset::lines::Lines;
use proofbench_rig::settings::update::UpdateDriver;
use proofbench_testkit::Peer;
use rstest::rstest;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

fn resolve(sections: &str) -> Result<ResolvedRig, String> {
    let text = format!("format = 1\ndossier = \"d\"\n{sections}");
    ResolvedRig::from_text(Path::new("rigs/bench.toml"), &text).map_err(|e| e.to_string())
}

fn console(keys: &str) -> Result<Port, String> {
    match resolve(&format!("[console]\ndriver = \"serial\"\n{keys}"))?.drivers.console {
        Some(ConsoleDriver::Serial(port)) => Ok(port),
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case("usb-serial = \"S1\"", LineAddress::Usb { serial: "S1".to_owned(), interface: None })]
#[case("usb-serial = \"S1\", interface = 2", LineAddress::Usb { serial: "S1".to_owned(), interface: Some(2) })]
#[case("by-id = \"usb-ST_1-if02\"", LineAddress::ById("usb-ST_1-if02".to_owned()))]
#[case("by-path = \"pci-0000:00:14.0-usb-0:4:1.2\"", LineAddress::ByPath("pci-0000:00:14.0-usb-0:4:1.2".to_owned()))]
#[case("path = \"/dev/ttyUSB0\"", LineAddress::Path("/dev/ttyUSB0".into()))]
#[case("rfc2217 = \"lab:4001\"", LineAddress::Rfc2217("lab:4001".parse().expect("an address")))]
#[case("tcp = \"[::1]:4001\"", LineAddress::Tcp("[::1]:4001".parse().expect("an address")))]
fn every_kind_of_port_arrives_in_both_sections(#[case] port: &str, #[case] address: LineAddress) {
    let rig =
        resolve(&format!("[console]\ndriver = \"serial\"\nport = {{ {port} }}\n[update]\ndriver = \"smp\"\nport = {{ {port} }}\n")).expect("a rig");
    let line = Port { address: PortAddress::Line(address), settings: LineSettings::default() };
    assert_eq!(rig.drivers.console, Some(ConsoleDriver::Serial(line.clone())));
    assert_eq!(rig.drivers.update, Some(UpdateDriver::Smp(line)));
    assert!(rig.lease.is_some(), "a device that the rig does not start is leased");
}

#[rstest]
#[case("baud = 9600", LineSettings { baud: 9600, ..LineSettings::default() })]
#[case("data-bits = 7", LineSettings { data_bits: 7, ..LineSettings::default() })]
#[case("parity = \"none\"", LineSettings::default())]
#[case("parity = \"even\"", LineSettings { parity: Parity::Even, ..LineSettings::default() })]
#[case("parity = \"odd\"", LineSettings { parity: Parity::Odd, ..LineSettings::default() })]
#[case("stop-bits = 2", LineSettings { stop_bits: 2, ..LineSettings::default() })]
#[case("flow = \"none\"", LineSettings::default())]
#[case("flow = \"hardware\"", LineSettings { flow: Flow::Hardware, ..LineSettings::default() })]
#[case("flow = \"software\"", LineSettings { flow: Flow::Software, ..LineSettings::default() })]
#[case("dtr = true", LineSettings { dtr: Some(true), ..LineSettings::default() })]
#[case("rts = false", LineSettings { rts: Some(false), ..LineSettings::default() })]
fn every_setting_arrives(#[case] key: &str, #[case] settings: LineSettings) {
    assert_eq!(console(&format!("port = {{ path = \"x\" }}\n{key}\n")).expect("a port").settings, settings);
}

#[rstest]
#[case::no_kind("port = {}", "5:8: `{}`: a port is exactly one of these; valid: usb-serial = \"066BFF504955\", by-id = \"usb-...\", by-path")]
#[case::two_kinds("port = { path = \"x\", tcp = \"a:1\" }", "5:8: `{ path = \"x\", tcp = \"a:1\" }`: a port is exactly one of these")]
#[case::interface("port = { path = \"x\", interface = 1 }", "5:34: `1`: `interface` belongs to `usb-serial`")]
#[case::no_serial("port = { usb-serial = \"\" }", "5:23: no serial number; valid: as `proofbench list ports` shows it")]
#[case::no_link("port = { by-id = \"/dev/serial/by-id/x\" }", "5:18: `/dev/serial/by-id/x`: no name of a link; valid: a name in /dev/serial/by-id")]
#[case::no_server("port = { rfc2217 = \"lab\" }", "5:20: `lab`: no address; valid: host:port")]
#[case::no_port("port = { tcp = \"lab:0\" }", "5:16: `lab:0`: no address")]
#[case::data_bits("port = { path = \"x\" }\ndata-bits = 9", "6:13: `9`: no number of data bits; valid: 5 to 8")]
#[case::stop_bits("port = { path = \"x\" }\nstop-bits = 3", "6:13: `3`: no number of stop bits; valid: 1 or 2")]
#[case::parity("port = { path = \"x\" }\nparity = \"mark\"", "6:10: `mark`: unknown variant `mark`, expected one of `none`, `even`, `odd`")]
#[case::flow("port = { path = \"x\" }\nflow = \"rts\"", "6:8: `rts`: unknown variant `rts`, expected one of `none`, `hardware`, `software`")]
#[case::driven_twice("port = { path = \"x\" }\nflow = \"hardware\"\nrts = true", "7:7: `true`: with flow = \"hardware\" the port drives RTS itself")]
#[case::raw_baud("port = { tcp = \"a:1\" }\nbaud = 9600", "6:8: `9600`: raw TCP carries bytes only: nothing can be made of `baud`")]
#[case::raw_line("port = { tcp = \"a:1\" }\ndtr = false", "6:7: `false`: raw TCP carries bytes only: nothing can be made of `dtr`")]
fn a_mistake_in_a_port_is_told_with_its_place(#[case] keys: &str, #[case] message: &str) {
    let e = console(&format!("{keys}\n")).expect_err("this port is wrong");
    assert!(e.starts_with(&format!("rigs/bench.toml:{message}")), "{e}\nshould begin with\nrigs/bench.toml:{message}");
}

fn reset(console: &str, keys: &str) -> Result<Option<ResetDriver>, String> {
    resolve(&format!("[reset]\ndriver = \"serial-lines\"\n{keys}\n{console}\n")).map(|r| r.drivers.reset)
}

const SERIAL: &str = "[console]\ndriver = \"serial\"\nport = { rfc2217 = \"a:1\" }";

#[rstest]
#[case("line = \"rts\"", ControlLine::Rts, true)]
#[case("line = \"dtr\"\nactive = \"asserted\"", ControlLine::Dtr, true)]
#[case("line = \"rts\"\nactive = \"cleared\"", ControlLine::Rts, false)]
fn a_line_of_the_consoles_port_resets(#[case] keys: &str, #[case] line: ControlLine, #[case] held_by: bool) {
    assert_eq!(reset(SERIAL, keys), Ok(Some(ResetDriver::SerialLines(Lines { line, held_by }))));
}

#[rstest]
#[case::no_line(SERIAL, "", "4:10: `serial-lines`: this driver needs `line`; valid: line = \"rts\"")]
#[case::wrong_line(SERIAL, "line = \"cts\"", "5:8: `cts`: unknown variant `cts`, expected `rts` or `dtr`")]
#[case::wrong_level(SERIAL, "line = \"rts\"\nactive = \"low\"", "6:10: `low`: unknown variant `low`, expected `asserted` or `cleared`")]
#[case::no_console(
    "",
    "line = \"rts\"",
    "4:10: `serial-lines`: this driver drives a line of the console's port; valid: [console] with driver = \"serial\""
)]
#[case::raw(
    "[console]\ndriver = \"serial\"\nport = { tcp = \"a:1\" }",
    "line = \"rts\"",
    "4:10: `serial-lines`: the console's port is raw TCP, which has no control lines"
)]
#[case::flow(
    "[console]\ndriver = \"serial\"\nport = { path = \"x\" }\nflow = \"hardware\"",
    "line = \"rts\"",
    "4:10: `serial-lines`: the console's flow control uses RTS; valid: line = \"dtr\""
)]
#[case::held(
    "[console]\ndriver = \"serial\"\nport = { path = \"x\" }\nrts = true",
    "line = \"rts\"",
    "4:10: `serial-lines`: [console] says rts = true, which holds the device in reset while the console is open; valid: [console] rts = false, or nothing"
)]
fn a_mistake_in_a_reset_line_is_told_with_its_place(#[case] console: &str, #[case] keys: &str, #[case] message: &str) {
    let e = reset(console, keys).expect_err("this rig is wrong");
    assert!(e.starts_with(&format!("rigs/bench.toml:{message}")), "{e}\nshould begin with\nrigs/bench.toml:{message}");
}

#[test]
fn an_open_rig_resets_its_device_by_the_line_of_its_console() {
    let Some(python) = proofbench_testkit::python(&["serial"]) else { return };
    let fixture = proofbench_testkit::fixture;
    let mut server = Peer::start(Command::new(python).arg(fixture("fixtures/peers/rfc2217_server.py")));
    let (port, dir) = (server.ready(), tempfile::tempdir().expect("a folder"));
    let dossier = fixture("fixtures/devices/thermostat");
    let text = format!(
        "format = 1\ndossier = \"{}\"\n[console]\ndriver = \"serial\"\nport = {{ rfc2217 = \"127.0.0.1:{port}\" }}\nbaud = 19200\n\
         [reset]\ndriver = \"serial-lines\"\nline = \"rts\"\n",
        dossier.display()
    );
    let resolved = ResolvedRig::from_text(&dir.path().join("rig.toml"), &text).expect("a rig");
    let dossier = Arc::new(proofbench_rig::load_dossier(&resolved.dossier).expect("a dossier"));
    let mut rig = resolved.open(dossier, 1, "a test").unwrap_or_else(|e| panic!("{e}"));
    server.wait_for_line("baud 19200");
    server.wait_for_line("RTS 0");
    let wait = Wait::until(rig.channels.clock.now() + Duration::from_secs(60), &Cancel::new());
    rig.channels.reset.as_mut().expect("a reset line").pulse(Duration::from_millis(1), &wait).expect("a pulse");
    server.wait_for_line("RTS 1");
    server.wait_for_line("RTS 0");
}
