//! The write-log sweep against killing at random times, on the MCU rig: `cargo run --release -p proofbench-rig --example qemu-sweep -- [--cuts N] [--states N]
//! [--state AT TEAR]`.
//!
//! The act is an update at its most delicate: the start at which embassy-boot swaps the slots, then the confirmation. Sweep: its flash operations are
//! recorded once; the flash is rebuilt after each of them, clean and torn; every distinct content is booted, by as many machines as there are cores.
//! Random: the same act, killed at times drawn from its length. Both are judged alike: the device comes up, runs the old or the new image and no other, says
//! the same version on the console and over SMP, and takes a further update (a sample of states).

use proofbench_channel::{Answer, Cancel, Chunk, ConsoleRead, Intake, Moment, PowerAsk, StateId, Tear, Wait};
use proofbench_drivers::Channels;
use proofbench_rig::ResolvedRig;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const RIG: &str = "rigs/qemu-mcu.toml";
const IMAGES: &str = "target/firmware/mcu/images";
const OLD: &str = "1.2.0";
const NEW: &str = "1.3.0";
const FURTHER: &str = "1.4.0";
/// Longest start with everything that the boot loader may have to finish; wall clock, on a busy machine.
const UP: Duration = Duration::from_secs(60);
/// One state in so many is asked for a further update.
const FURTHER_EVERY: usize = 25;

struct Bench(Channels);

impl Bench {
    fn open(root: &Path) -> Outcome<Self> {
        let rig = ResolvedRig::load(&root.join(RIG))?;
        let dossier = Arc::new(rig.load_dossier()?);
        Ok(Self(rig.open(dossier, 1, "qemu-sweep")?.channels))
    }

    fn wait(&self, span: Duration) -> Wait {
        Wait::until(self.0.clock.now() + span, &Cancel::new())
    }

    fn switch(&mut self, ask: PowerAsk) -> Outcome<()> {
        let wait = self.wait(UP);
        Ok(self.0.power.as_mut().ok_or("no supply")?.set(ask, &wait)?)
    }

    fn crash(&mut self) -> Outcome<&mut dyn proofbench_channel::CrashSpace> {
        Ok(&mut **self.0.crash.as_mut().ok_or("no crash space")?)
    }

    /// Reads the console until the application is there. The version of its banner, or why it never came.
    fn ready(&mut self) -> Outcome<Result<String, String>> {
        let wait = self.wait(UP);
        let console = self.0.console.as_mut().ok_or("no console")?;
        let mut heard = Vec::new();
        loop {
            let read = console.read(&mut heard, &wait)?;
            let text = String::from_utf8_lossy(&heard);
            if let Some(end) = text.find("APP ready") {
                let banner = text[..end].rfind("APP mcu ").map(|at| text[at + 8..].split(' ').next().unwrap_or_default().to_owned());
                return Ok(banner.ok_or_else(|| "no banner".to_owned()));
            }
            if let Some(line) = text.lines().find(|l| l.starts_with("BL alert")) {
                return Ok(Err(line.to_owned()));
            }
            if read == ConsoleRead::Silence || heard.len() > 1 << 16 {
                return Ok(Err(format!("not ready; last line `{}`", text.lines().last().unwrap_or_default().escape_default())));
            }
        }
    }

    fn drain(&mut self) -> Outcome<()> {
        let now = Wait { until: Moment(0), ..self.wait(UP) };
        let console = self.0.console.as_mut().ok_or("no console")?;
        let mut heard = Vec::new();
        while console.read(&mut heard, &now)? != ConsoleRead::Silence {}
        Ok(())
    }

    /// Power on, old words of the console forgotten.
    fn start(&mut self) -> Outcome<Result<String, String>> {
        self.drain()?;
        self.switch(PowerAsk::On)?;
        self.ready()
    }

    fn install(&mut self, image: &[u8]) -> Outcome<Result<(), String>> {
        let total = u32::try_from(image.len())?;
        let wait = self.wait(UP);
        let update = self.0.update.as_mut().ok_or("no update path")?;
        let Intake::Pieces(piece) = update.intake() else { return Err("the update path takes no pieces".into()) };
        let mut at = 0;
        while at < image.len() {
            let data = &image[at..(at + piece).min(image.len())];
            let chunk = Chunk { offset: u32::try_from(at)?, data, total: (at == 0).then_some(total), sha: None };
            match update.chunk(&chunk, &wait)? {
                Answer::Accepted(next) if next as usize > at => at = next as usize,
                other => return Ok(Err(format!("piece at {at}: {other:?}"))),
            }
        }
        let images = match update.state(&wait)? {
            Answer::Accepted(images) => images,
            other => return Ok(Err(format!("{other:?}"))),
        };
        let Some(other) = images.iter().find(|i| i.slot == 1) else { return Ok(Err("nothing in the other slot".to_owned())) };
        Ok(match update.mark(Some(&other.hash), false, &wait)? {
            Answer::Accepted(_) => Ok(()),
            no => Err(format!("{no:?}")),
        })
    }

    /// Starts what is in the flash and judges it. What the device is afterwards, or what is wrong with it.
    fn judge(&mut self, further: Option<&[u8]>) -> Outcome<Result<String, String>> {
        let verdict = self.look(further);
        self.switch(PowerAsk::Off)?;
        verdict
    }

    fn look(&mut self, further: Option<&[u8]>) -> Outcome<Result<String, String>> {
        let banner = match self.start()? {
            Ok(banner) => banner,
            Err(why) => return Ok(Err(why)),
        };
        let wait = self.wait(UP);
        let update = self.0.update.as_mut().ok_or("no update path")?;
        let images = match update.state(&wait)? {
            Answer::Accepted(images) => images,
            other => return Ok(Err(format!("the image list: {other:?}"))),
        };
        let Some(active) = images.iter().find(|i| i.active) else { return Ok(Err("no active image".to_owned())) };
        let (version, trial) = (active.version.clone(), !active.confirmed);
        if version != banner || (version != OLD && version != NEW) {
            return Ok(Err(format!("runs {version}, says {banner}")));
        }
        if version == OLD && trial {
            return Ok(Err("the old image is called a trial".to_owned()));
        }
        if let Some(image) = further {
            if trial {
                update.mark(None, true, &wait)?;
            }
            if let Err(why) = self.install(image)? {
                return Ok(Err(format!("no further update: {why}")));
            }
            self.switch(PowerAsk::Off)?;
            match self.start()? {
                Ok(v) if v == FURTHER => {}
                other => return Ok(Err(format!("after a further update: {other:?}"))),
            }
        }
        Ok(Ok(format!("{version} {}", if trial { "trial" } else { "confirmed" })))
    }
}

fn image(root: &Path, version: &str) -> Outcome<Vec<u8>> {
    let path = root.join(IMAGES).join(format!("{version}.bin"));
    std::fs::read(&path).map_err(|e| format!("{}: {e} (`fixtures/firmware/mcu/build` makes it)", path.display()).into())
}

/// What a campaign saw.
#[derive(Default)]
struct Tally {
    states: usize,
    ends: BTreeMap<String, usize>,
    defects: BTreeMap<String, Vec<String>>,
}

impl Tally {
    fn count(&mut self, name: String, verdict: Result<String, String>) {
        self.states += 1;
        match verdict {
            Ok(end) => *self.ends.entry(end).or_default() += 1,
            Err(why) => self.defects.entry(why).or_default().push(name),
        }
    }

    fn print(&self, name: &str, took: Duration, distinct: usize) {
        let minutes = took.as_secs_f64() / 60.0;
        let bad: usize = self.defects.values().map(Vec::len).sum();
        println!(
            "{name}: {} cuts judged in {:.1} s, {:.0} a minute, {distinct} distinct contents, {:.0} of them a minute, {bad} bad",
            self.states,
            took.as_secs_f64(),
            self.states as f64 / minutes,
            distinct as f64 / minutes
        );
        for (end, n) in &self.ends {
            println!("    {n:5} {end}");
        }
        for (why, names) in &self.defects {
            println!("  BAD {:3} {why}: {}", names.len(), names.iter().take(6).cloned().collect::<Vec<_>>().join(", "));
        }
    }
}

struct State {
    name: String,
    bytes: Vec<u8>,
}

/// The flash before the swap, the length of the act, and every distinct crash state of it.
fn record(bench: &mut Bench, new: &[u8]) -> Outcome<(Vec<u8>, Duration, usize, Vec<State>)> {
    let wait = bench.wait(Duration::from_secs(600));
    bench.start()?.map_err(|why| format!("the delivered device does not start: {why}"))?;
    bench.install(new)?.map_err(|why| format!("the update is not taken: {why}"))?;
    bench.switch(PowerAsk::Off)?;
    let pending = bench.crash()?.save(&wait)?;
    bench.crash()?.record()?;
    let began = Instant::now();
    bench.start()?.map_err(|why| format!("undisturbed, the update does not start: {why}"))?;
    let update = bench.0.update.as_mut().ok_or("no update path")?;
    let Answer::Accepted(_) = update.mark(None, true, &wait)? else { return Err("the update is not confirmed".into()) };
    let length = began.elapsed();
    bench.switch(PowerAsk::Off)?;
    let left = bench.crash()?.save(&wait)?;
    let ops = bench.crash()?.stop()?.len();
    let (mut seen, mut last) = (BTreeSet::new(), 0);
    let kept = bench.crash()?.rebuild(true, &mut |_, tear, digest| {
        if tear == Tear::Before {
            last = digest;
        }
        seen.insert(digest)
    })?;
    let crash = bench.crash()?;
    // The recorder is right if all of its operations make what the machine has left.
    if last != crash.digest(left) {
        return Err("the log does not explain the flash".into());
    }
    let read = |state: StateId| -> Outcome<Vec<u8>> {
        let mut bytes = vec![0; 256 * 1024];
        crash.read(state, 0, &mut bytes)?;
        Ok(bytes)
    };
    let base = read(pending)?;
    let states =
        kept.into_iter().map(|(at, tear, state)| Ok(State { name: format!("{at} {tear:?}"), bytes: read(state)? })).collect::<Outcome<Vec<_>>>()?;
    Ok((base, length, ops, states))
}

fn put(bench: &mut Bench, bytes: &[u8]) -> Outcome<()> {
    let wait = bench.wait(UP);
    Ok(bench.0.storage.as_mut().ok_or("no storage")?.write(0, bytes, &wait)?)
}

/// Boots each state once, on all cores.
fn sweep(root: &Path, states: &[State], further: &[u8], workers: usize) -> Outcome<Tally> {
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        let work = || -> Outcome<()> {
            let mut bench = Bench::open(root)?;
            loop {
                let n = next.fetch_add(1, Ordering::SeqCst);
                let Some(state) = states.get(n) else { return Ok(()) };
                put(&mut bench, &state.bytes)?;
                let verdict = bench.judge((n % FURTHER_EVERY == 0).then_some(further))?;
                tally.lock().map_err(|_| "another worker has failed")?.count(state.name.clone(), verdict);
            }
        };
        let all: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        all.into_iter().try_for_each(|w| w.join().map_err(|_| "a worker has failed")?)
    })?;
    Ok(tally.into_inner().map_err(|_| "a worker has failed")?)
}

/// Kills at random moments of the act, on all cores, until `cuts` are done or the time is over. How many contents were distinct, too.
fn random(root: &Path, base: &[u8], length: Duration, cuts: usize, most: Duration, further: &[u8], workers: usize) -> Outcome<(Tally, usize)> {
    let (next, tally, seen) = (AtomicUsize::new(0), Mutex::new(Tally::default()), Mutex::new(BTreeSet::new()));
    let until = Instant::now() + most;
    std::thread::scope(|scope| {
        let work = || -> Outcome<()> {
            let mut bench = Bench::open(root)?;
            loop {
                let n = next.fetch_add(1, Ordering::SeqCst);
                if n >= cuts || Instant::now() > until {
                    return Ok(());
                }
                put(&mut bench, base)?;
                bench.drain()?;
                bench.switch(PowerAsk::On)?;
                // Numbered moments, spread by the golden ratio.
                let moment = length.mul_f64((n as f64 * 0.618_033_988_749_895).fract());
                let moment = bench.wait(moment);
                bench.0.clock.sleep_until(&moment)?;
                bench.switch(PowerAsk::Off)?;
                let wait = bench.wait(UP);
                let crash = bench.crash()?;
                let left = crash.save(&wait)?;
                seen.lock().map_err(|_| "another worker has failed")?.insert(crash.digest(left));
                crash.forget_except(&[]);
                let verdict = bench.judge((n % FURTHER_EVERY == 0).then_some(further))?;
                tally.lock().map_err(|_| "another worker has failed")?.count(format!("kill {n}"), verdict);
            }
        };
        let all: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        all.into_iter().try_for_each(|w| w.join().map_err(|_| "a worker has failed")?)
    })?;
    let distinct = seen.into_inner().map_err(|_| "a worker has failed")?.len();
    Ok((tally.into_inner().map_err(|_| "a worker has failed")?, distinct))
}

fn main() -> Outcome<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let (mut cuts, mut most, mut only) = (usize::MAX, usize::MAX, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(word) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--cuts" => cuts = value()?.parse()?,
            "--states" => most = value()?.parse()?,
            "--state" => only = Some(format!("{} {}", value()?, value()?)),
            _ => return Err(format!("`{word}`: --cuts N, --states N or --state AT TEAR").into()),
        }
    }
    let workers = std::thread::available_parallelism()?.get();
    let (new, further) = (image(&root, NEW)?, image(&root, FURTHER)?);
    let mut bench = Bench::open(&root)?;
    let mut boots = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        bench.start()?.map_err(|why| format!("the delivered device does not start: {why}"))?;
        boots.push(began.elapsed());
        bench.switch(PowerAsk::Off)?;
    }
    boots.sort();
    println!("boot: {:.2} s from power-on to ready, median of {}", boots[boots.len() / 2].as_secs_f64(), boots.len());
    let began = Instant::now();
    let (base, length, ops, mut states) = record(&mut bench, &new)?;
    drop(bench);
    println!(
        "act: {:.2} s, {ops} operations, {} distinct states, recorded and rebuilt in {:.1} s",
        length.as_secs_f64(),
        states.len(),
        began.elapsed().as_secs_f64()
    );
    if let Some(only) = &only {
        states.retain(|s| s.name == *only);
        if states.is_empty() {
            return Err(format!("no state `{only}`").into());
        }
    }
    // A part is spread over the whole.
    let all = states.len();
    if most < all {
        let mut n = 0;
        states.retain(|_| {
            n += 1;
            (n * most) / all != ((n - 1) * most) / all
        });
    }
    let began = Instant::now();
    let swept = sweep(&root, &states, &further, workers)?;
    let took = began.elapsed();
    swept.print("sweep", took, swept.states);
    let mut bad: usize = swept.defects.values().map(Vec::len).sum();
    if only.is_none() && cuts > 0 {
        let began = Instant::now();
        let (killed, distinct) = random(&root, &base, length, cuts, took, &further, workers)?;
        let span = began.elapsed();
        killed.print("random", span, distinct);
        let rate = |n: usize, t: Duration| n as f64 / t.as_secs_f64();
        println!(
            "ratio: {:.2} distinct states of the sweep to one of random kills, per time",
            rate(swept.states, took) / rate(distinct.max(1), span)
        );
        bad += killed.defects.values().map(Vec::len).sum::<usize>();
    }
    if bad > 0 {
        return Err(format!("{bad} bad states").into());
    }
    Ok(())
}
