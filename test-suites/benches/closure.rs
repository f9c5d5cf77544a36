//! Figures of the power-loss closure as a check runs it: through the bench, with its console, its oracles and its journal. `cargo bench -p proofbench-suites`.
//!
//! The update fills its 64 KiB slot and is copied in steps of 256 bytes. Figures are printed and none is asserted: a time says something about the
//! machine, too. Goals: clean cuts COMPLETE in under 0.5 CPU-s, one torn operation in under 60 CPU-s, 1 000 000 edges and 5 000 boots a CPU-second.

#![allow(clippy::unwrap_used)] // a benchmark that cannot go on ends

#[path = "../tests/reference/mod.rs"]
mod reference;

use proofbench_image::{ImageSpec, Seal, SigningKey};
use proofbench_suites::power_loss::campaign;
use proofbench_suites::power_loss::controls;
use proofbench_suites::power_loss::explore::Limits;
use proofbench_suites::power_loss::plans::Act;
use reference::{Rig, bench, bench_with_images, dossier_dir};
use std::path::Path;
use std::time::Instant;

/// CPU seconds of this process so far; wall time where the system does not tell.
struct Stopwatch(Instant, Option<f64>);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now(), cpu_seconds())
    }
    fn seconds(&self) -> f64 {
        match (self.1, cpu_seconds()) {
            (Some(from), Some(to)) => to - from,
            _ => self.0.elapsed().as_secs_f64(),
        }
        .max(0.001)
    }
}

fn cpu_seconds() -> Option<f64> {
    // utime and stime are fields 14 and 15, in ticks of 10 ms; the name in field 2 may hold spaces.
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / 100.0)
}

/// The maker's images, each as large as fits into a slot.
fn full_slot(folder: &Path) {
    let key = SigningKey::from_pem(&std::fs::read_to_string(dossier_dir().join("../../keys/maker-ed25519.pem")).unwrap()).unwrap();
    let dossier = proofbench_rig::load_dossier(&dossier_dir()).unwrap();
    let upd = dossier.ixit.rows(7).iter().find_map(|r| r.upd()).unwrap();
    std::fs::create_dir(folder.join("images")).unwrap();
    for image in &upd.images {
        let mut payload = b"TH1A\0".to_vec();
        let mut n = u64::from(image.counter) << 32 | image.version.bytes().map(u64::from).sum::<u64>();
        while payload.len() < 64_500 {
            n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            payload.push((n >> 56) as u8);
        }
        let spec = ImageSpec {
            version: image.version.parse().unwrap(),
            counter: Some(image.counter),
            model: Some(b"TH-1".to_vec()),
            header_size: 0x200,
            payload,
        };
        std::fs::write(folder.join(&image.file), spec.build(&Seal::Signed(&key)).unwrap()).unwrap();
    }
}

fn closure(what: &str, act: Act, images: &Path, torn: bool, cap: usize) {
    let mut bench = bench_with_images(images, &[], Rig::WHOLE);
    let plan = act.plan(&mut bench).unwrap();
    let limits = Limits { images: cap, judgements: 10_000, torn, twice_torn: 0, ..Limits::default() };
    let (watch, wall) = (Stopwatch::start(), Instant::now());
    let outcome = campaign::run(&mut bench, &plan, limits, None).unwrap();
    let (cpu, wall) = (watch.seconds(), wall.elapsed().as_secs_f64());
    let stats = &outcome.explored.stats;
    println!(
        "{what}, {}: {} images, {} edges, {} boots, depth {}, {} in {cpu:.2} CPU-s ({wall:.2} s): {:.0} edges/s, {:.0} boots/s; {} findings",
        if torn { "one torn operation" } else { "clean cuts" },
        stats.images,
        stats.edges,
        stats.boots,
        stats.depth,
        stats.capped.as_ref().map_or("COMPLETE".to_owned(), |why| format!("CAPPED {why}")),
        stats.edges as f64 / cpu,
        stats.boots as f64 / cpu,
        outcome.explored.findings.len()
    );
}

fn main() {
    // `cargo test --benches` passes arguments of the test harness: then one small closure shows that the benchmark runs.
    let quick = !std::env::args().any(|a| a == "--bench");
    let own = dossier_dir();
    closure("update of 12 KiB", Act::Swap, &own, false, usize::MAX);
    if quick {
        return;
    }
    closure("update of 12 KiB", Act::Swap, &own, true, usize::MAX);
    let folder = tempfile::tempdir().unwrap();
    full_slot(folder.path());
    closure("update of a full 64 KiB slot", Act::Swap, folder.path(), false, usize::MAX);
    closure("update of a full 64 KiB slot", Act::Swap, folder.path(), true, usize::MAX);
    closure("settings", Act::Settings, &own, true, usize::MAX);
    let watch = Stopwatch::start();
    let caught = controls::results(&mut bench(&[], Rig::WHOLE)).unwrap();
    println!(
        "negative controls: {} of {} caught in {:.2} CPU-s",
        caught.iter().filter(|c| c.caught.is_some()).count(),
        caught.len(),
        watch.seconds()
    );
}
