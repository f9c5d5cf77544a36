//! What the tests of the device share: images, a small application, a closure over crash states.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use proofbench_channel::{Cancel, CrashSpace, Moment, StateId, Wait};
use proofbench_emulator::boot::{self, Mark};
use proofbench_emulator::firmware::{App, BootInfo};
use proofbench_emulator::hw::{Hw, MS, Stop, Uart};
use proofbench_emulator::layout::{SLOT0, SLOT1};
use proofbench_emulator::{Defects, Medium, Setup, World};
use proofbench_image::{ImageSpec, Seal, SigningKey, Version};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub fn maker() -> SigningKey {
    SigningKey::from_pem(include_str!("../../../../fixtures/keys/maker-ed25519.pem")).unwrap()
}

/// An image of the maker with a payload of this many bytes.
pub fn image(version: &str, counter: u32, payload: usize) -> Vec<u8> {
    image_with(version, counter, payload, 0, &maker())
}

pub fn image_with(version: &str, counter: u32, payload: usize, flags: u8, key: &SigningKey) -> Vec<u8> {
    let version: Version = version.parse().unwrap();
    let mut bytes = [b"TH1A".as_slice(), &[flags]].concat();
    let mut x = u64::from(counter) << 32 | u64::from(version.minor) << 8 | 7;
    while bytes.len() < payload {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.push((x >> 56) as u8);
    }
    let spec = ImageSpec { version, counter: Some(counter), model: Some(b"TH-1".to_vec()), header_size: 0x200, payload: bytes };
    spec.build(&Seal::Signed(key)).unwrap()
}

/// An application for the loader's tests: `t` marks for test, `p` for good, `c` confirms, `s` says how things stand, `h` hangs, `r` restarts.
#[derive(Clone)]
struct Small(BootInfo);

impl App for Small {
    fn on_input(&mut self, hw: &mut Hw, uart: Uart, bytes: &[u8]) -> Result<(), Stop> {
        for byte in bytes {
            let answer = match byte {
                b't' => format!("{:?}", boot::request(hw, Mark::Test)?),
                b'p' => format!("{:?}", boot::request(hw, Mark::Permanent)?),
                b'c' => format!("confirmed {}", boot::confirm(hw)?),
                b's' => {
                    let s = boot::state(hw);
                    format!("state {} {} counter={} pending={:?}", self.0.version, s.slot, s.counter, s.pending)
                }
                b'h' => return Err(Stop::Hang),
                b'r' => return Err(hw.request_reset(proofbench_emulator::Cause::Software)),
                _ => continue,
            };
            hw.println(uart, &answer)?;
        }
        Ok(())
    }
    fn on_button(&mut self, hw: &mut Hw, pressed: bool) -> Result<(), Stop> {
        hw.println(Uart::Console, if pressed { "down" } else { "up" })
    }
    fn boxed_clone(&self) -> Box<dyn App> {
        Box::new(self.clone())
    }
}

pub fn small(hw: &mut Hw, info: &BootInfo) -> Result<Box<dyn App>, Stop> {
    let ram = if info.ram_kept { "kept" } else { "lost" };
    hw.println(Uart::Console, &format!("APP th1 {} {} ram={ram}", info.version, info.slot))?;
    hw.delay(60 * MS)?;
    hw.println(Uart::Console, "APP ready")?;
    Ok(Box::new(Small(info.clone())))
}

pub fn world(defects: &[&str], medium: Medium, delivered: &[u8]) -> World {
    let setup = Setup::new(1, 7, delivered).with_defects(Defects::parse(defects).unwrap()).on(medium);
    World::with_app(&setup, small)
}

pub fn wait() -> Wait {
    Wait::until(Moment(u64::MAX), &Cancel::new())
}

pub fn run(world: &mut World, ms: u64) -> String {
    world.advance(world.now() + ms * MS);
    take(world)
}

pub fn take(world: &mut World) -> String {
    world.take(Uart::Console).map(|(_, b)| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
}

/// On, and everything that is printed until the device is ready or stands still.
pub fn power_on(world: &mut World) -> String {
    world.set_power(true);
    let mut log = String::new();
    for _ in 0..400 {
        log += &run(world, 50);
        if log.contains("APP ready") || log.contains("BL halt") {
            break;
        }
    }
    log
}

pub fn power_off(world: &mut World) {
    world.set_power(false);
    world.advance(world.now() + 20 * MS);
    take(world);
}

pub fn say(world: &mut World, byte: &str) -> String {
    world.write(Uart::Console, byte.as_bytes());
    run(world, 200)
}

/// Puts an image into slot 1, as an upload would have left it.
pub fn stage(world: &mut World, image: &[u8]) {
    let mut slot = vec![0xFF; SLOT1.len as usize];
    slot[..image.len()].copy_from_slice(image);
    assert!(world.write_flash(SLOT1.offset, &slot));
}

/// Stages, marks with `t` or `p`, and switches off.
pub fn mark(world: &mut World, image: &[u8], how: &str) -> String {
    stage(world, image);
    power_on(world);
    let answer = say(world, how);
    power_off(world);
    answer
}

/// What a boot came to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcome {
    pub ready: bool,
    pub version: String,
    pub slot: String,
    pub whole: bool,
}

#[derive(Debug, Default)]
pub struct Closure {
    pub images: usize,
    pub edges: u64,
    pub boots: u64,
    pub complete: bool,
    pub outcomes: BTreeMap<Outcome, u64>,
}

fn outcome(world: &World, log: &str, known: &[&[u8]]) -> Outcome {
    let app = log.lines().find_map(|l| l.strip_prefix("APP th1 ")).unwrap_or_default();
    let mut words = app.split(' ');
    let (version, slot) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let whole = known.iter().any(|image| {
        let mut there = vec![0; image.len()];
        world.flash().copy_to(SLOT0.offset, &mut there);
        there == *image
    });
    Outcome { ready: log.contains("APP ready"), version, slot, whole }
}

/// Every storage content that any number of clean cuts and at most `torn` torn operations can leave in boots from the present content, and in
/// the confirmation (if `confirm`) of a trial that boots. At most `cap` boots.
pub fn closure(world: &mut World, torn: u32, confirm: bool, cap: u64, known: &[&[u8]]) -> Closure {
    let mut c = Closure::default();
    let mut best: BTreeMap<u128, u32> = BTreeMap::new();
    let first = world.save(&wait()).unwrap();
    best.insert(world.digest(first), 0);
    let mut queue: VecDeque<(StateId, u32)> = VecDeque::from([(first, 0)]);
    let mut finals: BTreeSet<u128> = BTreeSet::new();
    while let Some((state, cost)) = queue.pop_front() {
        if c.boots >= cap {
            return c;
        }
        let digest = world.digest(state);
        if best[&digest] < cost {
            continue;
        }
        world.load(state, &wait()).unwrap();
        world.record().unwrap();
        c.boots += 1;
        world.set_power(true);
        let log = run(world, 20_000);
        *c.outcomes.entry(outcome(world, &log, known)).or_default() += 1;
        let trial = log.contains(" trial ");
        if confirm && trial && finals.insert(world.flash().digest()) {
            say(world, "c");
        }
        power_off(world);
        world.stop().unwrap();
        let edges = &mut c.edges;
        let kept = world
            .rebuild(cost < torn, &mut |_, tear, digest| {
                *edges += 1;
                let price = cost + u32::from(!tear.is_clean());
                let known = best.get(&digest).copied();
                if known.is_some_and(|k| k <= price) {
                    return false;
                }
                best.insert(digest, price);
                true
            })
            .unwrap();
        for (_, tear, id) in kept {
            if tear.is_clean() {
                queue.push_front((id, cost));
            } else {
                queue.push_back((id, cost + 1));
            }
        }
        if c.boots % 256 == 0 {
            let live: Vec<StateId> = queue.iter().map(|(id, _)| *id).collect();
            world.forget_except(&live);
        }
    }
    c.complete = true;
    c.images = best.len();
    c
}
