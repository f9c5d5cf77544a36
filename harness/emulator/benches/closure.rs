//! Figures of the crash-state space: recovery boots and cut edges a CPU-second, and whole closures. `cargo bench -p proofbench-emulator`.
//!
//! Prints figures and asserts none: a time says something about the machine, too.

#![allow(clippy::unwrap_used)] // a benchmark that cannot go on ends

#[path = "../tests/device/common.rs"]
mod common;

use common::*;
use proofbench_channel::CrashSpace;
use proofbench_emulator::{Medium, Setup, World};
use std::hint::black_box;
use std::time::Instant;

fn boots() {
    let delivered = image("1.2.0", 1, 11_000);
    for (name, mut w) in
        [("loader and small application", world(&[], Medium::SpiNor, &delivered)), ("the product", World::new(&Setup::new(1, 1, &delivered)))]
    {
        let start = Instant::now();
        let n = 5_000;
        for _ in 0..n {
            w.set_power(true);
            black_box(run(&mut w, 200));
            power_off(&mut w);
        }
        println!("boot to ready, {name}: {:.0} a second", f64::from(n) / start.elapsed().as_secs_f64());
    }
}

fn edges() {
    let (old, new) = (image("1.2.0", 1, 60_000), image("1.3.0", 2, 60_000));
    for medium in [Medium::SpiNor, Medium::Ecc64] {
        let mut w = world(&[], medium, &old);
        mark(&mut w, &new, "t");
        w.record().unwrap();
        power_on(&mut w);
        power_off(&mut w);
        let ops = w.stop().unwrap().len();
        for torn in [false, true] {
            let (mut edges, start) = (0u64, Instant::now());
            for _ in 0..50 {
                let kept = w.rebuild(torn, &mut |_, _, digest| {
                    edges += 1;
                    black_box(digest);
                    false
                });
                black_box(kept.unwrap());
            }
            println!("rebuild {medium}, torn {torn}: {ops} operations, {:.0} edges a second", edges as f64 / start.elapsed().as_secs_f64());
        }
    }
}

fn closures() {
    for (payload, torn, cap) in [(11_000, 0, u64::MAX), (11_000, 1, u64::MAX), (63_000, 0, u64::MAX), (63_000, 1, u64::MAX)] {
        let (old, new) = (image("1.2.0", 1, payload), image("1.3.0", 2, payload));
        let mut w = world(&[], Medium::SpiNor, &old);
        mark(&mut w, &new, "t");
        let start = Instant::now();
        let c = closure(&mut w, torn, true, cap, &[&old, &new]);
        let took = start.elapsed().as_secs_f64();
        println!(
            "closure of an update of {payload} B, {torn} torn: {} images, {} edges, {} boots, {} in {took:.2} s ({:.0} boots, {:.0} edges a second)",
            c.images,
            c.edges,
            c.boots,
            if c.complete { "COMPLETE" } else { "CAPPED" },
            c.boots as f64 / took,
            c.edges as f64 / took
        );
    }
}

fn main() {
    boots();
    edges();
    closures();
}
