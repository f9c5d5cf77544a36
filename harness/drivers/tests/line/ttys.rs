//! Serial ports of this machine, as far as pseudo terminals can be that.

use crate::bench::{Heard, PATIENCE, chain, every_byte, hear, hear_bytes, open, setup, within};
use proofbench_channel::conformance;
use proofbench_channel::{Cancel, Console, ConsoleRead, ErrorKind, Wait};
use proofbench_drivers::RealClock;
use proofbench_drivers::line::{self, ControlLine, Flow, LineAddress, LineConsole, LineSettings, LineSetup, Parity, Places};
use proofbench_testkit::Pty;
use rstest::rstest;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

fn at(path: &Path) -> LineSetup {
    setup(LineAddress::Path(path.to_path_buf()))
}

#[test]
fn a_serial_console_conforms() {
    let device = Pty::new();
    let setup = at(device.node());
    device.echo();
    let mut console = open(&setup);
    assert_eq!(console.describe(), format!("{} 115200 8N1", setup.address));
    conformance::console(&mut console, &mut RealClock(setup.time), b"state\r", b"state\r").unwrap();
}

#[test]
fn every_byte_passes_unchanged_both_ways() {
    let device = Pty::new();
    let setup = at(device.node());
    let mut console = open(&setup);
    let all = every_byte();
    console.write(&all, &within(setup.time, PATIENCE)).unwrap();
    assert_eq!(device.receive_exactly(all.len()), all);
    device.send(&all);
    assert_eq!(hear_bytes(&mut console, setup.time, all.len()), all);
}

/// The last words, then, while the console waits for more, the plug pulled and another terminal under the same name.
fn replug_in_a_wait(first: Pty, setup: LineSetup, plug_in: impl FnOnce() -> Pty + Send + 'static) -> Heard {
    let mut console = open(&setup);
    let (pull, pulled) = std::sync::mpsc::channel();
    let device = std::thread::spawn(move || {
        first.send(b"last words");
        // A terminal that hangs up throws away what nobody has taken from it yet, so somebody must have.
        pulled.recv().unwrap();
        drop(first);
        let second = plug_in();
        second.send(b"first words");
        second
    });
    let heard = hear(&mut console, setup.time, |h| {
        if h.bytes == b"last words" && h.gone.is_empty() {
            pull.send(()).unwrap();
        }
        h.bytes.ends_with(b"first words")
    });
    // Both directions work on the new terminal.
    let second = device.join().unwrap();
    console.write(b"hello", &within(setup.time, PATIENCE)).unwrap();
    assert_eq!(second.receive_exactly(5), b"hello");
    heard
}

#[test]
fn a_port_unplugged_in_mid_wait_comes_back_under_another_name() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("console");
    let first = Pty::at(&link);
    let setup = at(&link);
    let heard = replug_in_a_wait(first, setup, move || Pty::at(&link));
    assert_eq!(String::from_utf8_lossy(&heard.bytes), "last wordsfirst words");
    assert_eq!(heard.gone, [10], "the loss is told once, after the last byte and before the next");
}

/// A made sysfs with a USB adapter whose port has this name, and a `/dev` in which the name leads to this terminal.
fn plug_into_fake_tree(places: &Places, tty: &str, pty: &Pty) {
    let _ = fs::remove_dir_all(&places.sys);
    let _ = fs::remove_dir_all(&places.dev);
    let interface = places.sys.join("devices/usb1/1-4/1-4:1.0");
    fs::create_dir_all(interface.join(tty)).unwrap();
    for (key, value) in [("idVendor", "0403\n"), ("idProduct", "6001\n"), ("serial", "FT0001\n")] {
        fs::write(places.sys.join("devices/usb1/1-4").join(key), value).unwrap();
    }
    fs::write(interface.join("bInterfaceNumber"), "00\n").unwrap();
    fs::create_dir_all(places.dev.join("serial")).unwrap();
    symlink(pty.node(), places.dev.join(tty)).unwrap();
    let class = places.sys.join("class/tty").join(tty);
    fs::create_dir_all(&class).unwrap();
    symlink(interface.join(tty), class.join("device")).unwrap();
}

#[test]
fn an_adapter_known_by_its_serial_number_is_found_under_its_next_name() {
    let dir = tempfile::tempdir().unwrap();
    let places = Places { sys: dir.path().join("fake-sys"), dev: dir.path().join("fake-dev") };
    let first = Pty::new();
    plug_into_fake_tree(&places, "ttyUSB0", &first);
    let address = LineAddress::Usb { serial: "FT0001".to_owned(), interface: Some(0) };
    let setup = LineSetup { places: places.clone(), ..setup(address) };
    assert_eq!(line::ports(&places)[0].node, places.dev.join("ttyUSB0"));
    let heard = replug_in_a_wait(first, setup, move || {
        let second = Pty::new();
        plug_into_fake_tree(&places, "ttyUSB1", &second);
        second
    });
    assert_eq!((String::from_utf8_lossy(&heard.bytes).as_ref(), heard.gone.as_slice()), ("last wordsfirst words", &[10][..]));
}

#[test]
fn a_port_that_is_not_there_is_gone_until_it_appears() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("console");
    let setup = at(&link);
    let mut console = open(&setup);
    let mut bytes = Vec::new();
    assert_eq!(console.read(&mut bytes, &within(setup.time, PATIENCE)).unwrap(), ConsoleRead::Gone);
    let e = console.write(b"lost", &within(setup.time, Duration::from_millis(100))).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Disconnected, "{}", chain(&e));
    let device = Pty::at(&link);
    console.write(b"heard", &within(setup.time, PATIENCE)).unwrap();
    assert_eq!(device.receive_exactly(5), b"heard", "what was given up is not sent later");
}

#[test]
fn a_port_that_somebody_holds_is_refused_and_free_once_it_is_let_go() {
    let device = Pty::new();
    let setup = at(device.node());
    let first = open(&setup);
    let e = LineConsole::open(&setup).err().expect("refused");
    assert_eq!(e.kind, ErrorKind::Refused, "{}", chain(&e));
    drop(first);
    open(&setup);
}

#[rstest]
#[case(LineSettings { parity: Parity::Even, ..LineSettings::default() }, "parity: asked for Even, the port keeps None")]
#[case(LineSettings { data_bits: 7, ..LineSettings::default() }, "data bits: asked for Seven, the port keeps Eight")]
fn a_setting_that_the_port_does_not_take_is_named(#[case] settings: LineSettings, #[case] words: &str) {
    // The kernel says yes to these on a pseudo terminal and keeps what it had.
    let device = Pty::new();
    let setup = LineSetup { settings, ..at(device.node()) };
    let e = LineConsole::open(&setup).err().expect("refused");
    assert_eq!(e.kind, ErrorKind::Refused);
    assert!(chain(&e).contains(words), "{}", chain(&e));
}

#[test]
fn settings_that_a_pseudo_terminal_has_are_taken() {
    let device = Pty::new();
    let settings = LineSettings { baud: 9600, stop_bits: 2, flow: Flow::Software, ..LineSettings::default() };
    let setup = LineSetup { settings, ..at(device.node()) };
    assert!(open(&setup).describe().ends_with("9600 8N2 XON/XOFF"));
}

#[test]
fn lines_that_a_pseudo_terminal_lacks_are_unsupported() {
    let device = Pty::new();
    let plain = at(device.node());
    let e = LineConsole::open(&LineSetup { settings: LineSettings { dtr: Some(false), ..LineSettings::default() }, ..plain.clone() });
    let e = e.err().expect("no DTR");
    assert_eq!(e.kind, ErrorKind::Unsupported);
    assert!(chain(&e).contains("a pseudo terminal has no DTR"), "{}", chain(&e));

    let mut console = open(&plain);
    let wait = within(plain.time, PATIENCE);
    let e = console.send_break(&wait).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Unsupported);
    let e = console.lines().reset(ControlLine::Rts, true).err().expect("no RTS");
    assert_eq!(e.kind, ErrorKind::Unsupported);
    assert!(chain(&e).contains("a pseudo terminal has no RTS"), "{}", chain(&e));
    // The console works on after all these.
    console.write(b"alive", &wait).unwrap();
    assert_eq!(device.receive_exactly(5), b"alive");
}

#[test]
fn a_device_that_babbles_is_held_up_at_the_limit_and_loses_nothing() {
    const KEPT_MOST: usize = 4 * 1024 * 1024;
    // What the kernel holds on both sides of a terminal, with plenty to spare.
    const KERNEL_MOST: usize = 1024 * 1024;
    let device = Pty::new();
    let setup = at(device.node());
    let mut console = open(&setup);
    let babble: Vec<u8> = (0u32..4 * 1024 * 1024).flat_map(u32::to_le_bytes).collect();
    // Stuck is what has not moved for so long; a machine that pauses longer only makes the figure smaller.
    let sent = device.send_until_stuck(&babble, Duration::from_secs(2));
    assert!(sent <= KEPT_MOST + KERNEL_MOST, "{sent} bytes were taken from a device that nobody reads");
    let rest = std::thread::spawn(move || {
        device.send(&babble[sent..]);
        (device, babble)
    });
    let heard = hear_bytes(&mut console, setup.time, 16 * 1024 * 1024);
    let (_device, babble) = rest.join().unwrap();
    assert!(heard == babble, "{} bytes, not those that were sent", heard.len());
}

#[test]
fn a_write_is_given_up_at_its_deadline_when_the_device_takes_nothing() {
    let device = Pty::new();
    let setup = at(device.node());
    let mut console = open(&setup);
    let e = console.write(&vec![b'x'; 1024 * 1024], &within(setup.time, Duration::from_millis(200))).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Timeout, "{}", chain(&e));
    // What was given up is dropped: the next bytes follow what the kernel had.
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        while !all.ends_with(b"end") {
            all.extend(device.receive());
        }
        all
    });
    console.write(b"end", &within(setup.time, PATIENCE)).unwrap();
    let all = reader.join().unwrap();
    assert!(all.len() < 1024 * 1024, "{} bytes", all.len());
}

#[test]
fn a_cancelled_wait_ends() {
    let device = Pty::new();
    let setup = at(device.node());
    let mut console = open(&setup);
    let cancel = Cancel::new();
    let wait = Wait::until(setup.time.now() + Duration::from_secs(3600), &cancel);
    let waiting = std::thread::spawn(move || console.read(&mut Vec::new(), &wait).unwrap_err().kind);
    cancel.cancel();
    assert_eq!(waiting.join().unwrap(), ErrorKind::Cancelled);
}
