//! A bench on the emulated thermostat with its dossier, for tests and benchmarks of the suites.

use proofbench_channel::ChannelError;
use proofbench_drivers::Channels;
use proofbench_drivers::emulated::{EmulatedSetup, open};
use proofbench_model::Profile;
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
pub struct Rig {
    /// Whether storage states can be rebuilt.
    pub crash_space: bool,
    /// A bench fault on one of the channels.
    pub fault: Option<&'static str>,
}

impl Rig {
    /// Every channel, all of them sound.
    pub const WHOLE: Rig = Rig { crash_space: true, fault: None };
}

/// Folder of the thermostat's dossier.
pub fn dossier_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/devices/thermostat")
}

/// The emulated device with the image that this folder of images says is delivered.
fn channels(dir: &Path, defects: &[&str], faults: Vec<String>, seed: u64) -> Result<Channels, ChannelError> {
    let image: Arc<[u8]> = std::fs::read(dir.join("images/1.2.0.bin")).expect("the delivered image is there").into();
    let defects = defects.iter().map(|d| (*d).to_owned()).collect();
    open(&EmulatedSetup { unit: 1, seed, image, defects, faults, medium: None })
}

/// A running device on a bench that grants everything and journals nothing.
pub fn bench(defects: &[&str], rig: Rig) -> Bench {
    bench_with_images(&dossier_dir(), defects, rig)
}

/// As [`bench`], with the images of another folder in the place of the thermostat's own.
pub fn bench_with_images(images: &Path, defects: &[&str], rig: Rig) -> Bench {
    let dir = images.to_owned();
    let mut dossier: Dossier = load_dossier(&dossier_dir()).expect("the thermostat's dossier is sound");
    dossier.dir.clone_from(&dir);
    let dossier = Arc::new(dossier);
    let faults = rig.fault.map(str::to_owned).into_iter().collect();
    let mut own = channels(&dir, defects, faults, 1).expect("the defects are known");
    if !rig.crash_space {
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
        profile: Profile::Ci,
    };
    let mut bench = Bench::new(setup).expect("the patterns of the dossier are sound");
    bench.quiet(true);
    bench.power_on().expect("the supply takes the command");
    bench.wait_ready(Duration::from_secs(60)).expect("the device comes up");
    bench
}
