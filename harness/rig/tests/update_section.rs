//! The section `[update]`: which drivers there are, what each needs, and how mistakes are told.

use proofbench_rig::settings::update::UpdateDriver;
use proofbench_rig::{Device, ResolvedRig};
use rstest::rstest;
use std::path::Path;

fn resolve(update: &str) -> Result<UpdateDriver, String> {
    let text = format!("format = 1\ndossier = \"d\"\n[update]\n{update}");
    let rig = ResolvedRig::from_text(Path::new("rigs/bench.toml"), &text).map_err(|e| e.to_string())?;
    assert!(matches!(rig.device, Device::Real));
    Ok(rig.drivers.update.expect("the section is there"))
}

#[test]
fn what_is_written_arrives() {
    assert_eq!(resolve("driver = \"smp-udp\"\naddress = \"th1.local:1337\"\n"), Ok(UpdateDriver::SmpUdp { address: "th1.local:1337".to_owned() }));
}

#[rstest]
#[case::driver("driver = \"smp-tcp\"\n", "rigs/bench.toml:4:10: `smp-tcp`: no driver of this channel; valid: emulator, smp, smp-udp")]
#[case::address_missing(
    "driver = \"smp-udp\"\n",
    "rigs/bench.toml:4:10: `smp-udp`: this driver needs `address`; valid: address = \"192.0.2.7:1337\""
)]
#[case::no_port("driver = \"smp-udp\"\naddress = \"th1.local\"\n", "rigs/bench.toml:5:11: `th1.local`: no address; valid: host:port")]
#[case::unknown("driver = \"smp-udp\"\naddress = \"a:1\"\nbaud = 9600\n", "rigs/bench.toml:6:1: `baud`: unknown field `baud`")]
fn a_mistake_is_told_with_its_place(#[case] update: &str, #[case] message: &str) {
    let e = resolve(update).expect_err("this section is wrong");
    assert!(e.starts_with(message), "{e}\nshould begin with\n{message}");
}
