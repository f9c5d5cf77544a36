//! A bench on the emulated thermostat with its dossier, for tests and benchmarks of the suites.

use proofbench_channel::ChannelError;
use proofbench_drivers::Channels;
use proofbench_drivers::emulated::{EmulatedSetup, open};
use proofbench_model::dossier::Dossier;
use proofbench_rig::{Permissions, load_dossier};
use proofbench_runner::Bench;
use proofbench_runner::bench::{BenchSetup, ReferenceFactory, ReferenceRig, Stop};
use proofbench_runner::sink::NullSink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What kind of rig the device stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rig {
    /// Every channel.
    Whole,
    /// A flash reader, but no way to rebuild storage states.
    NoCrashSpace,
    /// Every channel, one of them with this bench fault.
    Faulty(&'static str),
}

/// Folder of the thermostat's dossier.
pub fn dossier_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/devices/thermostat")
}

fn channels(dir: &Path, defects: &[&str], faults: Vec<String>, seed: u64) -> Result<Channels, ChannelError> {
    let image: Arc<[u8]> = std::fs::read(dir.join("images/1.2.0.bin")).expect("the delivered image is a fixture").into();
    let defects = defects.iter().map(|d| (*d).to_owned()).collect();
    open(&EmulatedSetup { unit: 1, seed, image, defects, faults, medium: None })
}

/// A running device on a bench that grants everything and journals nothing.
pub fn bench(defects: &[&str], rig: Rig) -> Bench {
    let dir = dossier_dir();
    let dossier: Arc<Dossier> = Arc::new(load_dossier(&dir).expect("the thermostat's dossier is sound"));
    let faults = if let Rig::Faulty(name) = rig { vec![name.to_owned()] } else { Vec::new() };
    let mut own = channels(&dir, defects, faults, 1).expect("the defects are known");
    if rig == Rig::NoCrashSpace {
        own.crash = None;
    }
    let for_reference = dossier.clone();
    let factory = ReferenceFactory::new(move |defects, seed| {
        Ok(ReferenceRig { channels: channels(&dir, defects, Vec::new(), seed)?, dossier: for_reference.clone() })
    });
    let setup = BenchSetup {
        channels: own,
        permissions: Permissions::all(),
        dossier,
        sink: Box::new(NullSink),
        seed: 1,
        stop: Stop::default(),
        reference: Some(factory),
        only_cut: None,
    };
    let mut bench = Bench::new(setup).expect("the patterns of the dossier are sound");
    bench.quiet(true);
    bench.power_on().expect("the supply takes the command");
    bench.wait_ready(Duration::from_secs(60)).expect("the device comes up");
    bench
}
