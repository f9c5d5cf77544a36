//! The probe of `[debug]` as reset line: what the rig file may say, and what it may not.

use proofbench_rig::settings::reset::ResetDriver;
use proofbench_rig::{Capability, Device, ResolvedRig};
use rstest::rstest;
use std::path::Path;

const HEAD: &str = "format = 1\ndossier = \"d\"\n[reset]\ndriver = \"probe\"\n";

fn resolve(rest: &str) -> Result<ResolvedRig, String> {
    ResolvedRig::from_text(Path::new("rigs/bench.toml"), &format!("{HEAD}{rest}")).map_err(|e| e.to_string())
}

#[rstest]
#[case::real("[debug]\ndriver = \"probe-rs\"\nprobe = \"0483:374b:066BFF504955\"\n", false)]
#[case::board("[debug]\ndriver = \"probe-rs\"\nprobe = \"1d50:6018:127.0.0.1:{board.debug}\"\n", true)]
fn nrst_of_the_probe_is_a_reset_line_of_what_the_probe_is_wired_to(#[case] debug: &str, #[case] board: bool) {
    let rig = resolve(debug).expect("this file is right");
    assert_eq!(rig.drivers.reset, Some(ResetDriver::Probe));
    assert_eq!(rig.capabilities(), [Capability::Reset, Capability::DebugPort]);
    assert_eq!(matches!(rig.device, Device::Board(_)), board);
}

#[rstest]
#[case::no_probe("", "rigs/bench.toml:4:10: `probe`: the reset line is nRST of a debug probe, and [debug] names none; valid: [debug] with driver")]
#[case::emulated_probe("[debug]\ndriver = \"emulator\"\n", "names none")]
#[case::key("line = 3\n", "the driver `probe` does not use `line`")]
fn a_reset_line_without_its_probe_is_refused(#[case] rest: &str, #[case] told: &str) {
    let error = resolve(rest).expect_err("refused");
    assert!(error.contains(told), "{error}");
}
