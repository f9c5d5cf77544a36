//! The sections `[power]`, `[reset]` and `[storage]` of benches with supplies, reset lines and flash readers of their own.
#![allow(clippy::unwrap_used)] // the lint knows test functions, not their helpers

use proofbench_channel::{Cancel, Milliamps, Millivolts, PowerAsk, PowerSeen, Wait};
use proofbench_drivers::GpioLine;
use proofbench_drivers::power::snmp::{Cipher, Digest};
use proofbench_drivers::power::usb_hub::Method;
use proofbench_rig::settings::SecretRef;
use proofbench_rig::settings::power::{PowerDriver, command, gpio, scpi, snmp, usb_hub};
use proofbench_rig::settings::reset::{self, ResetDriver};
use proofbench_rig::settings::storage::{self, StorageDriver};
use proofbench_rig::{Device, ResolvedRig, load_dossier};
use rstest::rstest;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn resolve(section: &str, rest: &str) -> Result<ResolvedRig, String> {
    let text = format!("format = 1\ndossier = \"d\"\n[{section}]\n{rest}");
    ResolvedRig::from_text(Path::new("rigs/bench.toml"), &text).map_err(|e| e.to_string())
}

fn power(rest: &str) -> PowerDriver {
    let rig = resolve("power", rest).unwrap_or_else(|e| panic!("{e}"));
    assert!(matches!(rig.device, Device::Real) && rig.lease.is_some());
    rig.drivers.power.unwrap()
}

fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(|w| (*w).to_owned()).collect()
}

const SAID: Duration = Duration::from_millis(1500);
const UNSAID: Duration = Duration::from_secs(5);

#[test]
fn what_is_written_of_a_usb_hub_arrives() {
    let text = "driver = \"usb-hub\"\nhub = \"1-4.2\"\nport = 2\n";
    let made = |method, off_min| PowerDriver::UsbHub(usb_hub::UsbHub { hub: "1-4.2".to_owned(), port: 2, method, off_min });
    assert_eq!(power(text), made(Method::Auto, UNSAID));
    assert_eq!(power(&format!("{text}method = \"request\"\noff-min = \"1500ms\"\n")), made(Method::Request, SAID));
}

#[test]
fn what_is_written_of_a_pdu_arrives() {
    let base = "driver = \"snmp\"\naddress = \"pdu:161\"\nfamily = \"raritan-px2\"\n";
    let made = |outlet: &[u32], asks, off_min| {
        PowerDriver::Snmp(snmp::Snmp { address: "pdu:161".to_owned(), family: "raritan-px2".to_owned(), outlet: outlet.to_vec(), asks, off_min })
    };
    let community = snmp::Community::Value("public".to_owned());
    assert_eq!(power(&format!("{base}outlet = 3\ncommunity = {{ value = \"public\" }}\n")), made(&[3], snmp::Asks::V2c(community.clone()), UNSAID));
    let text = format!("{base}outlet = \"2.3\"\nversion = \"1\"\ncommunity = {{ value = \"public\" }}\noff-min = \"1500ms\"\n");
    assert_eq!(power(&text), made(&[2, 3], snmp::Asks::V1(community), SAID));

    let (a, p) = (SecretRef::Env("A".to_owned()), SecretRef::File("p".to_owned()));
    let v3 = |auth, privacy| snmp::Asks::V3 { user: "bench".to_owned(), auth, privacy };
    let text = format!("{base}outlet = 3\nversion = \"3\"\nuser = \"bench\"\n");
    assert_eq!(power(&text), made(&[3], v3(None, None), UNSAID));
    let text = format!("{text}auth-password = {{ env = \"A\" }}\nprivacy-password = {{ file = \"p\" }}\n");
    assert_eq!(power(&text), made(&[3], v3(Some((Digest::Sha256, a.clone())), Some((Cipher::Aes128, p.clone()))), UNSAID));
    let text = format!("{text}auth = \"sha512\"\nprivacy = \"aes256\"\n");
    assert_eq!(power(&text), made(&[3], v3(Some((Digest::Sha512, a)), Some((Cipher::Aes256, p))), UNSAID));
}

#[test]
fn what_is_written_of_a_bench_supply_arrives() {
    let base = "driver = \"scpi\"\naddress = \"psu:5025\"\nchannel = 2\nvolts = 5\namps = 0.25\n";
    let made = |model: &str, protect, off_min| {
        PowerDriver::Scpi(scpi::Scpi {
            address: "psu:5025".to_owned(),
            model: model.to_owned(),
            channel: 2,
            volts: Millivolts(5000),
            amps: Milliamps(250),
            protect,
            off_min,
        })
    };
    assert_eq!(power(base), made("generic", false, UNSAID));
    assert_eq!(power(&format!("{base}model = \"rigol-dp800\"\novercurrent = \"trip\"\noff-min = \"1500ms\"\n")), made("rigol-dp800", true, SAID));
}

#[test]
fn what_is_written_of_lines_and_programs_arrives() {
    let line = |active_low| GpioLine { chip: "/dev/gpiochip0".into(), line: 17, active_low };
    let text = "driver = \"gpio\"\nchip = \"/dev/gpiochip0\"\nline = 17\n";
    assert_eq!(power(text), PowerDriver::Gpio(gpio::Gpio { line: line(false), off_min: UNSAID }));
    let low = "active-low = true\noff-min = \"1500ms\"\n";
    assert_eq!(power(&format!("{text}{low}")), PowerDriver::Gpio(gpio::Gpio { line: line(true), off_min: SAID }));

    let text = "driver = \"command\"\non = [\"sw\", \"1\"]\noff = [\"sw\", \"0\"]\n";
    let made = |state: Option<&[&str]>, deadline, off_min| {
        let (on, off, state) = (words(&["sw", "1"]), words(&["sw", "0"]), state.map(words));
        PowerDriver::Command(command::Command { on, off, state, deadline, off_min })
    };
    assert_eq!(power(text), made(None, Duration::from_secs(10), UNSAID));
    let more = "state = [\"sw\"]\ndeadline = \"2s\"\noff-min = \"1500ms\"\n";
    assert_eq!(power(&format!("{text}{more}")), made(Some(&["sw"]), Duration::from_secs(2), SAID));
}

#[test]
fn what_is_written_of_reset_lines_and_flash_readers_arrives() {
    let reset = |rest: &str| resolve("reset", rest).unwrap_or_else(|e| panic!("{e}")).drivers.reset.unwrap();
    let line = GpioLine { chip: "/dev/gpiochip1".into(), line: 27, active_low: true };
    let text = "driver = \"gpio\"\nchip = \"/dev/gpiochip1\"\nline = 27\nactive-low = true\n";
    assert_eq!(reset(text), ResetDriver::Gpio(reset::gpio::Gpio { line }));
    let made = reset::scpi::Scpi { address: "io:5025".to_owned(), assert: "A".to_owned(), release: "B".to_owned() };
    assert_eq!(reset("driver = \"scpi\"\naddress = \"io:5025\"\nassert = \"A\"\nrelease = \"B\"\n"), ResetDriver::Scpi(made));
    let made = |deadline| ResetDriver::Command(reset::command::Command { assert: words(&["nrst", "0"]), release: words(&["nrst", "1"]), deadline });
    let text = "driver = \"command\"\nassert = [\"nrst\", \"0\"]\nrelease = [\"nrst\", \"1\"]\n";
    assert_eq!(reset(text), made(Duration::from_secs(10)));
    assert_eq!(reset(&format!("{text}deadline = \"1m\"\n")), made(Duration::from_secs(60)));

    let storage = |rest: &str| resolve("storage", rest).unwrap_or_else(|e| panic!("{e}")).drivers.storage.unwrap();
    let made = |length, mux: bool, deadline| {
        let (attach, detach) = (mux.then(|| words(&["mux", "host"])), mux.then(|| words(&["mux", "dut"])));
        StorageDriver::Command(storage::command::Command {
            length,
            read: words(&["r", "{file}"]),
            write: words(&["w", "{file}"]),
            attach,
            detach,
            deadline,
        })
    };
    let text = "driver = \"command\"\nread = [\"r\", \"{file}\"]\nwrite = [\"w\", \"{file}\"]\n";
    assert_eq!(storage(&format!("{text}length = 65536\n")), made(65_536, false, Duration::from_secs(300)));
    let mux = "attach = [\"mux\", \"host\"]\ndetach = [\"mux\", \"dut\"]\ndeadline = \"30s\"\n";
    assert_eq!(storage(&format!("{text}{mux}length = \"4MiB\"\n")), made(4 << 20, true, Duration::from_secs(30)));
}

#[test]
fn what_a_driver_gives_as_an_example_is_right() {
    for (section, drivers) in
        [("power", ["usb-hub", "snmp", "scpi", "gpio", "command"].as_slice()), ("reset", &["gpio", "scpi", "command"]), ("storage", &["command"])]
    {
        for driver in drivers {
            let error = resolve(section, &format!("driver = \"{driver}\"\n")).unwrap_err();
            let example = error.split_once("; valid: ").unwrap_or_else(|| panic!("{error}")).1;
            resolve(section, &format!("driver = \"{driver}\"\n{example}\n")).unwrap_or_else(|e| panic!("{e}"));
        }
    }
}

#[rstest]
#[case::driver("power", "driver = \"apc\"\n", "4:10: `apc`: no driver of this channel; valid: emulator, board, qemu, usb-hub, ")]
#[case::hub("power", "driver = \"usb-hub\"\nhub = \"hub1\"\nport = 2\n", "5:7: `hub1`: no USB hub; valid: bus and ports")]
#[case::port("power", "driver = \"usb-hub\"\nhub = \"1-4\"\nport = 0\n", "6:8: `0`: no port of a hub; valid: 1 to 255")]
#[case::method(
    "power",
    "driver = \"usb-hub\"\nhub = \"1-4\"\nport = 2\nmethod = \"uhubctl\"\n",
    "7:10: `uhubctl`: unknown variant `uhubctl`, expected one of `auto`, `sysfs`, `request`"
)]
#[case::off_min("power", "driver = \"usb-hub\"\nhub = \"1-4\"\nport = 2\noff-min = \"0s\"\n", "7:11: `0s`: no span of time that makes sense here")]
#[case::family(
    "power",
    "driver = \"snmp\"\naddress = \"p:161\"\noutlet = 3\nfamily = \"apc\"\ncommunity = { value = \"c\" }\n",
    "7:10: `apc`: no family of PDUs; valid: apc-rpdu2, apc-rpdu, apc-masterswitch, raritan-px2, servertech-sentry4"
)]
#[case::outlet(
    "power",
    "driver = \"snmp\"\naddress = \"p:161\"\noutlet = \"1.2.3\"\nfamily = \"raritan-px2\"\ncommunity = { value = \"c\" }\n",
    "6:10: `1.2.3`: no outlet of the family `raritan-px2`; valid: a number, or 2 numbers"
)]
#[case::outlet_text(
    "power",
    "driver = \"snmp\"\naddress = \"p:161\"\noutlet = \"A3\"\nfamily = \"raritan-px2\"\ncommunity = { value = \"c\" }\n",
    "6:10: `A3`: invalid value: string \"A3\", expected the number of an outlet"
)]
#[case::no_community(
    "power",
    "driver = \"snmp\"\naddress = \"p:161\"\noutlet = 3\nfamily = \"apc-rpdu2\"\n",
    "4:10: `snmp`: version 2c needs `community`; valid: community = { env = \"PDU_COMMUNITY\" }"
)]
#[case::version(
    "power",
    "driver = \"snmp\"\naddress = \"p:161\"\noutlet = 3\nfamily = \"apc-rpdu2\"\nversion = \"2\"\n",
    "8:11: `2`: no version of SNMP; valid: 1, 2c, 3"
)]
#[case::v3_community(
    "power",
    "driver = \"snmp\"\naddress = \"p:161\"\noutlet = 3\nfamily = \"apc-rpdu2\"\nversion = \"3\"\ncommunity = { value = \"c\" }\nuser = \"u\"\n",
    "9:13: `{ value = \"c\" }`: version 3 does not use `community`"
)]
#[case::v2_user(
    "power",
    "driver = \"snmp\"\naddress = \"p:161\"\noutlet = 3\nfamily = \"apc-rpdu2\"\ncommunity = { value = \"c\" }\nuser = \"u\"\n",
    "9:8: `u`: version 2c does not use `user`"
)]
#[case::v3_password(
    "power",
    "driver = \"snmp\"\naddress = \"p:161\"\noutlet = 3\nfamily = \"apc-rpdu2\"\nversion = \"3\"\nuser = \"u\"\nauth = \"sha256\"\n",
    "10:8: `sha256`: `auth` needs `auth-password`; valid: auth-password = { env = \"PDU_AUTH\" }"
)]
#[case::v3_privacy(
    "power",
    "driver = \"snmp\"\naddress = \"p:161\"\noutlet = 3\nfamily = \"apc-rpdu2\"\nversion = \"3\"\nuser = \"u\"\nprivacy-password = { env = \"P\" }\n",
    "10:20: `{ env = \"P\" }`: privacy needs authentication"
)]
#[case::model(
    "power",
    "driver = \"scpi\"\naddress = \"p:5025\"\nchannel = 1\nvolts = 5\namps = 1\nmodel = \"dp832\"\n",
    "9:9: `dp832`: no model of a supply; valid: generic, rigol-dp800"
)]
#[case::channel(
    "power",
    "driver = \"scpi\"\naddress = \"p:5025\"\nchannel = 3\nvolts = 5\namps = 1\nmodel = \"siglent-spd3303x\"\n",
    "6:11: `3`: no output of this model; valid: 1 to 2"
)]
#[case::volts("power", "driver = \"scpi\"\naddress = \"p:5025\"\nchannel = 1\nvolts = -5\namps = 1\n", "7:9: `-5`: no voltage; valid: 0.001 to 1000")]
#[case::trip(
    "power",
    "driver = \"scpi\"\naddress = \"p:5025\"\nchannel = 1\nvolts = 5\namps = 1\nmodel = \"siglent-spd3303x\"\novercurrent = \"trip\"\n",
    "10:15: `trip`: the model `siglent-spd3303x` has no protection that trips; valid: limit"
)]
#[case::address("reset", "driver = \"scpi\"\naddress = \"io\"\nassert = \"A\"\nrelease = \"B\"\n", "5:11: `io`: no address; valid: host:port")]
#[case::question("reset", "driver = \"scpi\"\naddress = \"io:1\"\nassert = \"A?\"\nrelease = \"B\"\n", "6:10: `A?`: no single command")]
#[case::argv("reset", "driver = \"command\"\nassert = []\nrelease = [\"b\"]\n", "5:10: `[]`: no program; valid: [")]
#[case::shell_line(
    "power",
    "driver = \"command\"\non = \"sw 1\"\noff = [\"sw\"]\n",
    "5:6: `sw 1`: invalid type: string \"sw 1\", expected a sequence"
)]
#[case::gpio("reset", "driver = \"gpio\"\nchip = \"/dev/gpiochip0\"\nline = -1\n", "6:8: `-1`: invalid value: integer `-1`, expected u32")]
#[case::length(
    "storage",
    "driver = \"command\"\nlength = \"4MB\"\nread = [\"{file}\"]\nwrite = [\"{file}\"]\n",
    "5:10: `4MB`: invalid value: string"
)]
#[case::empty(
    "storage",
    "driver = \"command\"\nlength = 0\nread = [\"{file}\"]\nwrite = [\"{file}\"]\n",
    "5:10: `0`: no length of a medium; valid: 1 to 1GiB"
)]
#[case::no_file("storage", "driver = \"command\"\nlength = 9\nread = [\"r\"]\nwrite = [\"{file}\"]\n", "6:8: `[\"r\"]`: no argument holds `{file}`")]
#[case::half(
    "storage",
    "driver = \"command\"\nlength = 9\nread = [\"{file}{offset}\"]\nwrite = [\"{file}\"]\n",
    "6:8: `[\"{file}{offset}\"]`: a part"
)]
#[case::half_written("storage", "driver = \"command\"\nlength = 9\nread = [\"{file}\"]\nwrite = [\"{file}{length}\"]\n", "7:9: ")]
#[case::attach("storage", "driver = \"command\"\nlength = 9\nread = [\"{file}\"]\nwrite = [\"{file}\"]\nattach = [\"{file}\"]\n", "8:10: ")]
fn a_mistake_is_told_with_its_place(#[case] section: &str, #[case] rest: &str, #[case] message: &str) {
    let error = resolve(section, rest).expect_err("this section is wrong");
    let place = error.strip_prefix("rigs/bench.toml:").unwrap_or_else(|| panic!("{error}"));
    assert!(place.starts_with(message), "{error}\nshould begin with\n{message}");
}

/// A rig file in a folder of its own, with programs beside it.
fn opened(text: &str) -> (tempfile::TempDir, Result<proofbench_rig::Rig, String>) {
    let dir = tempfile::TempDir::new().unwrap();
    let dossier = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/devices/thermostat");
    let file = dir.path().join("bench.toml");
    std::fs::write(&file, format!("format = 1\ndossier = \"{}\"\n{text}", dossier.display())).unwrap();
    let rig = ResolvedRig::load(&file).unwrap();
    let opened = rig.open(Arc::new(load_dossier(&dossier).unwrap()), 1, "a test").map_err(|e| e.to_string());
    (dir, opened)
}

#[test]
fn programs_run_in_the_folder_of_the_rig_file() {
    let (dir, rig) = opened(
        "[power]\ndriver = \"command\"\non = [\"sh\", \"-c\", \"printf on > power\"]\noff = [\"sh\", \"-c\", \"printf off > power\"]\nstate = [\"cat\", \"power\"]\n\
         [reset]\ndriver = \"command\"\nassert = [\"touch\", \"held\"]\nrelease = [\"rm\", \"held\"]\n\
         [storage]\ndriver = \"command\"\nlength = 8\nread = [\"cp\", \"medium\", \"{file}\"]\nwrite = [\"cp\", \"{file}\", \"medium\"]\n",
    );
    let mut channels = rig.unwrap_or_else(|e| panic!("{e}")).channels;
    let wait = || Wait::until(proofbench_channel::Moment(u64::MAX), &Cancel::new());
    let power = channels.power.as_mut().unwrap();
    power.set(PowerAsk::On, &wait()).unwrap();
    assert_eq!(power.state(&wait()).unwrap(), PowerSeen::On);
    assert_eq!(std::fs::read(dir.path().join("power")).unwrap(), b"on");
    channels.reset.as_mut().unwrap().set(true, &wait()).unwrap();
    assert!(dir.path().join("held").exists());
    std::fs::write(dir.path().join("medium"), "01234567").unwrap();
    let storage = channels.storage.as_mut().unwrap();
    storage.write(2, b"xy", &wait()).unwrap();
    assert_eq!((storage.len(), std::fs::read(dir.path().join("medium")).unwrap().as_slice()), (8, b"01xy4567".as_slice()));
}

#[test]
fn a_bench_whose_adapters_are_not_there_is_told_by_its_section() {
    let hub = "[power]\ndriver = \"usb-hub\"\nhub = \"250-4\"\nport = 2\n";
    let gpio = "[reset]\ndriver = \"gpio\"\nchip = \"/dev/no-gpiochip\"\nline = 2\n";
    let snmp =
        "[power]\ndriver = \"snmp\"\naddress = \"127.0.0.1:1\"\nfamily = \"apc-rpdu2\"\noutlet = 3\ncommunity = { env = \"PROOFBENCH_NOT_SET\" }\n";
    for (text, says) in [(hub, "open [power]: "), (gpio, "open [reset]: "), (snmp, "$PROOFBENCH_NOT_SET")] {
        let error = opened(text).1.err().unwrap();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn adapters_that_are_asked_later_are_opened_without_a_word() {
    // Nothing listens at these addresses: a bench that is off can still be opened, and is told by the first call.
    let snmp = "driver = \"snmp\"\naddress = \"127.0.0.1:1\"\nfamily = \"apc-rpdu2\"\noutlet = 3\ncommunity = { value = \"write-community\" }\n";
    let scpi = "driver = \"scpi\"\naddress = \"127.0.0.1:1\"\nchannel = 1\nvolts = 5\namps = 1\n";
    for (text, says) in [(snmp, "outlet 3 of 127.0.0.1:1 (apc-rpdu2, SNMPv2c)"), (scpi, "output 1 of 127.0.0.1:1 (generic), 5000 mV")] {
        let described = opened(&format!("[power]\n{text}")).1.unwrap_or_else(|e| panic!("{e}")).channels.describe();
        assert!(described[0].1.contains(says), "{described:?}");
        assert!(!described[0].1.contains("write-community"), "{described:?}");
    }
}
