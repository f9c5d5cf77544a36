//! What happens from the first instruction to the application.

use super::image::{ImageInfo, Reject};
use super::status::{Found, Purpose, Status};
use super::{Mark, Slot, SlotState, image, policy, swap};
use crate::defects::Defect;
use crate::firmware::{App, BootInfo, StartApp};
use crate::hw::{Cause, Datagram, Hw, Input, MS, Stop, Uart};
use crate::layout::LIFE_CYCLE;

const CANARY: u32 = 0x7C41_A97E;
/// Boots without a good one after which a defect gives up.
const ATTEMPTS: u8 = 3;

fn say(hw: &mut Hw, line: &str) -> Result<(), Stop> {
    hw.println(Uart::Console, line)
}

/// ROM, loader and the start of the application.
pub fn run(hw: &mut Hw, start: StartApp) -> Result<Box<dyn App>, Stop> {
    hw.led("off");
    let kept = hw.ram().loader_canary == Some(CANARY);
    hw.ram().loader_canary = Some(CANARY);
    hw.delay(5 * MS)?;
    let (id, cause) = (hw.boot_id(), hw.cause());
    say(hw, &format!("ROM th1 id={id:08x} cause={cause}"))?;
    window(hw)?;
    hw.delay(20 * MS)?;
    let mut found = Status::find(hw);
    found.establish(hw)?;
    if hw.defect(Defect::AttemptsBurnt) {
        burn_attempt(hw, &mut found)?;
    }
    update(hw, &mut found)?;
    let image = choose(hw, &mut found)?;
    start_image(hw, &found, &image, start, kept)
}

/// Finishes, begins or undoes an update.
fn update(hw: &mut Hw, found: &mut Found) -> Result<(), Stop> {
    if let Some(progress) = found.status.swap {
        say(hw, "BL swap resume")?;
        return swap::resume(hw, found, progress);
    }
    if let Some(mark) = found.status.pending {
        return install(hw, found, mark);
    }
    if found.status.slot == SlotState::Trial && !hw.defect(Defect::NoRevert) {
        // The way back must be whole before anything is given up for it.
        if let Err(why) = image::verify(hw, Slot::Secondary)
            && !hw.defect(Defect::RevertForgetsType)
        {
            return say(hw, &format!("BL slot1 no way back: {why}"));
        }
        lose_lock(hw, Defect::LockLostOnRevert)?;
        say(hw, "BL swap revert")?;
        return swap::begin(hw, found, Purpose::Revert);
    }
    if hw.defect(Defect::PartialUploadBoots) {
        let (new, old) = (image::inspect(hw, Slot::Secondary), image::inspect(hw, Slot::Primary));
        if let (Some(new), Some(old)) = (new, old)
            && new.version > old.version
        {
            say(hw, "BL swap test")?;
            return swap::begin(hw, found, Purpose::Permanent);
        }
    }
    Ok(())
}

fn install(hw: &mut Hw, found: &mut Found, mark: Mark) -> Result<(), Stop> {
    let trusting =
        [Defect::VerifyAtMarkOnly, Defect::MarkAfterFailedVerify, Defect::NetSumOnly, Defect::NetFetchesTwice, Defect::NetJoinsWrongHalves];
    let trusting = trusting.into_iter().any(|d| hw.defect(d));
    let verified = if trusting { image::inspect(hw, Slot::Secondary).ok_or(Reject::Empty) } else { image::verify(hw, Slot::Secondary) };
    let allowed = verified.and_then(|new| if trusting { Ok(()) } else { policy::may_replace(hw, &found.status, &new, mark) });
    if let Err(why) = allowed {
        let named = image::inspect(hw, Slot::Secondary).map(|i| format!(" {}", i.version)).unwrap_or_default();
        say(hw, &format!("BL slot1{named} invalid: {why}"))?;
        alert(hw, Slot::Secondary, why)?;
        found.status.pending = None;
        found.write(hw)?;
        return lose_lock(hw, Defect::LockLostOnFailedUpdate);
    }
    lose_lock(hw, Defect::LockLostOnUpdate)?;
    say(hw, "BL swap test")?;
    swap::begin(hw, found, if mark == Mark::Test { Purpose::Test } else { Purpose::Permanent })
}

/// A defect erases the life-cycle word, and the next reset latches that.
fn lose_lock(hw: &mut Hw, defect: Defect) -> Result<(), Stop> {
    if hw.defect(defect) && hw.secured() {
        hw.erase(LIFE_CYCLE.offset)?;
        return Err(hw.request_reset(Cause::Software));
    }
    Ok(())
}

fn alert(hw: &mut Hw, slot: Slot, why: Reject) -> Result<(), Stop> {
    hw.led("red");
    if hw.defect(Defect::BootSilent) {
        return Ok(());
    }
    say(hw, &format!("BL alert image rejected {}: {why}", slot.name()))
}

/// The image that may start, or a halt.
fn choose(hw: &mut Hw, found: &mut Found) -> Result<ImageInfo, Stop> {
    let why = match startable(hw, found, Slot::Primary) {
        Ok(image) => {
            say(hw, &format!("BL slot0 {} valid", image.version))?;
            if !found.recorded {
                found.status.settle(hw, Some(&image));
                found.write(hw)?;
            }
            return Ok(image);
        }
        Err(why) => why,
    };
    let named = image::inspect(hw, Slot::Primary).map(|i| format!(" {}", i.version)).unwrap_or_default();
    if !hw.defect(Defect::BootSilent) {
        say(hw, &format!("BL slot0{named} invalid: {why}"))?;
    }
    alert(hw, Slot::Primary, why)?;
    if hw.defect(Defect::SlotFallback)
        && let Ok(image) = startable(hw, found, Slot::Secondary)
    {
        say(hw, &format!("BL fallback slot1 {}", image.version))?;
        swap::begin(hw, found, Purpose::Permanent)?;
        return Ok(image);
    }
    if hw.defect(Defect::PromptAfterFailedBoot) {
        return Err(prompt(hw));
    }
    say(hw, "BL halt")?;
    if hw.defect(Defect::FailedBootCalls) {
        // defect failed-boot-calls: "so that we can help".
        hw.open_net();
        hw.net_open("rescue.th1.example", 443, None);
    }
    Err(Stop::Halt)
}

fn startable(hw: &Hw, found: &Found, slot: Slot) -> Result<ImageInfo, Reject> {
    let trusting = [
        Defect::BootUnverified,
        Defect::VerifyAtMarkOnly,
        Defect::MarkAfterFailedVerify,
        Defect::PartialUploadBoots,
        Defect::NetSumOnly,
        Defect::NetFetchesTwice,
        Defect::NetJoinsWrongHalves,
    ];
    if trusting.into_iter().any(|d| hw.defect(d)) {
        return image::inspect(hw, slot).ok_or(Reject::Header);
    }
    if hw.defect(Defect::BootVerifyFirstBlock) {
        // Header and first bytes look right: that is all that it looks at.
        return match image::verify(hw, slot) {
            Err(Reject::Hash | Reject::Signature | Reject::Trailing) => image::inspect(hw, slot).ok_or(Reject::Header),
            other => other,
        };
    }
    let image = image::verify(hw, slot)?;
    policy::may_start(hw, &found.status, &image)?;
    Ok(image)
}

fn start_image(hw: &mut Hw, found: &Found, image: &ImageInfo, start: StartApp, ram_kept: bool) -> Result<Box<dyn App>, Stop> {
    let info = BootInfo {
        version: image.version,
        slot: found.status.slot,
        counter: found.status.counter,
        cause: hw.cause(),
        boot_id: hw.boot_id(),
        ram_kept,
        secured: hw.secured(),
    };
    hw.start_watchdog();
    for uart in Uart::ALL {
        hw.open_uart(uart);
    }
    if image.flags & 3 != 0 {
        hw.delay(10 * MS)?;
        return Err(if image.flags & 1 != 0 { Stop::Crash } else { Stop::Hang });
    }
    let app = start(hw, &info)?;
    if hw.defect(Defect::AttemptsBurnt) {
        return Ok(Box::new(GoodBoot { app, due: Some(hw.now() + 10_000 * MS) }));
    }
    Ok(app)
}

/// Counts a boot before it is known to be good; after too many, takes the other image or gives up.
fn burn_attempt(hw: &mut Hw, found: &mut Found) -> Result<(), Stop> {
    if found.status.attempts < ATTEMPTS {
        found.status.attempts += 1;
        return found.write(hw);
    }
    if image::inspect(hw, Slot::Secondary).is_some() && found.status.swap.is_none() {
        (found.status.attempts, found.status.counter, found.status.floor) = (0, 0, super::Version::default());
        say(hw, "BL too many attempts: other image")?;
        return swap::begin(hw, found, Purpose::Permanent);
    }
    say(hw, "BL too many attempts")?;
    say(hw, "BL halt")?;
    Err(Stop::Halt)
}

/// An application that tells the loader after ten seconds that it is well.
struct GoodBoot {
    app: Box<dyn App>,
    due: Option<u64>,
}

impl App for GoodBoot {
    fn on_input(&mut self, hw: &mut Hw, uart: Uart, bytes: &[u8]) -> Result<(), Stop> {
        self.app.on_input(hw, uart, bytes)
    }
    fn on_break(&mut self, hw: &mut Hw, uart: Uart) -> Result<(), Stop> {
        self.app.on_break(hw, uart)
    }
    fn on_datagram(&mut self, hw: &mut Hw, datagram: &Datagram) -> Result<(), Stop> {
        self.app.on_datagram(hw, datagram)
    }
    fn on_button(&mut self, hw: &mut Hw, pressed: bool) -> Result<(), Stop> {
        self.app.on_button(hw, pressed)
    }
    fn next_timer(&self) -> Option<u64> {
        [self.due, self.app.next_timer()].into_iter().flatten().min()
    }
    fn on_timer(&mut self, hw: &mut Hw) -> Result<(), Stop> {
        if self.due.is_some_and(|at| at <= hw.now()) {
            self.due = None;
            let mut found = Status::find(hw);
            found.status.attempts = 0;
            found.write(hw)?;
        }
        if self.app.next_timer().is_some_and(|at| at <= hw.now()) { self.app.on_timer(hw) } else { Ok(()) }
    }
    fn boxed_clone(&self) -> Box<dyn App> {
        Box::new(GoodBoot { app: self.app.boxed_clone(), due: self.due })
    }
}

/// The moment at which some loaders can be stopped.
fn window(hw: &mut Hw) -> Result<(), Stop> {
    let (any, word) = (hw.defect(Defect::LoaderPrompt), hw.defect(Defect::LoaderKeyedStop));
    if hw.defect(Defect::CountdownIgnored) {
        say(hw, "autoboot 2..")?;
        return hw.delay(100 * MS);
    }
    if !any && !word {
        return Ok(());
    }
    let mut heard = Vec::new();
    for _ in 0..100 {
        hw.delay(MS)?;
        while let Some(Input::Bytes(bytes)) = hw.poll(Uart::Console) {
            heard.extend(bytes);
        }
        heard.truncate(256);
        if (any && !heard.is_empty()) || heard.windows(4).any(|w| w == b"stop") {
            return Err(prompt(hw));
        }
    }
    Ok(())
}

/// The loader's prompt: `md OFFSET` shows flash, `boot` restarts. Gives up after ten minutes.
fn prompt(hw: &mut Hw) -> Stop {
    let mut talk = || -> Result<(), Stop> {
        hw.print(Uart::Console, b"BL> ")?;
        let mut line = Vec::new();
        for _ in 0..60_000 {
            hw.delay(10 * MS)?;
            while let Some(input) = hw.poll(Uart::Console) {
                let Input::Bytes(bytes) = input else { continue };
                for byte in bytes {
                    if byte != b'\r' && byte != b'\n' {
                        line.push(byte);
                        line.truncate(80);
                        continue;
                    }
                    command(hw, &String::from_utf8_lossy(&line))?;
                    line.clear();
                }
            }
        }
        Ok(())
    };
    match talk() {
        Ok(()) => Stop::Halt,
        Err(stop) => stop,
    }
}

fn command(hw: &mut Hw, line: &str) -> Result<(), Stop> {
    let mut words = line.split_whitespace();
    match (words.next(), words.next()) {
        (Some("boot" | "reset"), _) => return Err(hw.request_reset(Cause::Software)),
        (Some("md"), at) => {
            let at = at.and_then(|a| u32::from_str_radix(a.trim_start_matches("0x"), 16).ok()).unwrap_or(0);
            let mut bytes = [0; 16];
            let text = match hw.read(at, &mut bytes) {
                Ok(()) => bytes.iter().map(|b| format!("{b:02x} ")).collect(),
                Err(_) => "fault".to_owned(),
            };
            say(hw, &format!("{at:08x}: {text}"))?;
        }
        (Some(_), _) => say(hw, "commands: md OFFSET, boot")?,
        (None, _) => {}
    }
    hw.print(Uart::Console, b"BL> ")
}
