//! The boot loader and the updater of `embassy-boot`: an update is marked, swapped in, tried, confirmed or reverted.
//!
//! The world is the life of one update. While power only goes between operations of the boot loader, exactly one image is legal; while the application
//! marks or confirms, the outcomes with and without that mark are.

use crate::flash::{Chip, Flash};
use crate::image::{Image, mix};
use crate::medium::Medium;
use crate::port::Port;
use crate::subject::{Failed, Finding, Judged, Oracle, Step, Subject, World};
use embassy_boot::{BlockingFirmwareState, BlockingFirmwareUpdater, BootLoader, BootLoaderConfig, FirmwareUpdaterConfig, State};
use std::fmt::Debug;

/// The old image runs; the new one lies ready and nothing says so yet.
const IDLE: World = 0;
/// The application is marking the update.
const MARKING: World = 1;
/// The update is marked: the new image has to run next.
const MARKED: World = 2;
/// The new image runs on trial.
const TRIAL: World = 3;
/// The new image is confirming itself; without that it is reverted.
const CONFIRMING: World = 4;
/// The new image is confirmed: it has to run from now on.
const CONFIRMED: World = 5;
/// The old image runs again, and that cannot change by itself.
const REVERTED: World = 6;

/// The boot loader on a flash of one geometry: words of `W` bytes, pages of `P`, copied `B` bytes at a time, images of `N` pages.
#[derive(Debug, Clone, Copy)]
pub struct Boot<const W: usize, const P: usize, const B: usize, const N: usize> {
    size: &'static str,
    medium: Medium,
}

/// The boot loader subject of this name.
pub fn by_name(size: &str, medium: Medium) -> Option<Box<dyn Subject>> {
    Some(match size {
        "small" => Box::new(Boot::<4, 128, 64, 3> { size: "small", medium }),
        "slot64k" => Box::new(Boot::<8, 4096, 256, 16> { size: "slot64k", medium }),
        "slot64k-4k" => Box::new(Boot::<8, 4096, 4096, 16> { size: "slot64k-4k", medium }),
        _ => return None,
    })
}

/// Byte `at` of image number `image`.
fn byte(image: u64, at: usize) -> u8 {
    mix((image << 32) | at as u64) as u8
}

const OLD: u64 = 1;
const NEW: u64 = 2;
const FURTHER: u64 = 3;

fn failed(what: &str, error: impl Debug) -> Failed {
    Failed::new(format!("{what} said {error:?}"))
}

impl<const W: usize, const P: usize, const B: usize, const N: usize> Boot<W, P, B, N> {
    const SLOT: usize = N * P;
    const STATE: usize = (2 * N + 1) * P;

    fn active(flash: &Flash) -> Port<W, P> {
        Port::part(flash, 0, Self::SLOT)
    }
    fn spare(flash: &Flash) -> Port<W, P> {
        Port::part(flash, Self::SLOT, Self::SLOT + P)
    }
    fn state(flash: &Flash) -> Port<W, P> {
        Port::part(flash, Self::STATE, P)
    }

    fn boot(flash: &Flash) -> Result<State, Failed> {
        let config = BootLoaderConfig { active: Self::active(flash), dfu: Self::spare(flash), state: Self::state(flash) };
        BootLoader::new(config).prepare_boot(&mut [0; B]).map_err(|e| failed("prepare_boot", e))
    }

    fn with_state<T, E: Debug>(
        flash: &Flash,
        what: &str,
        work: impl FnOnce(&mut BlockingFirmwareState<'_, Port<W, P>>) -> Result<T, E>,
    ) -> Result<T, Failed> {
        work(&mut BlockingFirmwareState::new(Self::state(flash), &mut [0; W])).map_err(|e| failed(what, e))
    }

    /// Which image is in the active slot, whole.
    fn running(flash: &Flash) -> Option<u64> {
        let mut bytes = vec![0; Self::SLOT];
        flash.read(0, &mut bytes).ok()?;
        [OLD, NEW, FURTHER].into_iter().find(|image| bytes.iter().enumerate().all(|(at, b)| *b == byte(*image, at)))
    }

    /// What has to work whatever happened: the application takes another image, which then boots and can be confirmed.
    fn further(flash: &Flash) -> Result<(), Failed> {
        let mut aligned = [0; W];
        let config = FirmwareUpdaterConfig { dfu: Self::spare(flash), state: Self::state(flash) };
        let mut updater = BlockingFirmwareUpdater::new(config, &mut aligned);
        for at in (0..Self::SLOT).step_by(P) {
            let part: Vec<u8> = (at..at + P).map(|at| byte(FURTHER, at)).collect();
            updater.write_firmware(at, &part).map_err(|e| failed("write_firmware", e))?;
        }
        updater.mark_updated().map_err(|e| failed("mark_updated", e))?;
        Self::boot(flash)?;
        if Self::running(flash) != Some(FURTHER) {
            return Err(Failed::new("a further update is installed and something else runs".to_owned()));
        }
        Self::with_state(flash, "mark_booted", |s| s.mark_booted())?;
        Self::boot(flash)?;
        if Self::running(flash) == Some(FURTHER) {
            Ok(())
        } else {
            Err(Failed::new("a further update is confirmed and something else runs".to_owned()))
        }
    }

    /// The world after `image` was seen to run in `world`; none if that is illegal.
    fn follows(world: World, image: Option<u64>, report: &State) -> Option<World> {
        let told_old = image == Some(OLD);
        let told_new = image == Some(NEW);
        Some(match world {
            IDLE if told_old => IDLE,
            MARKING if told_old => IDLE,
            MARKING | MARKED if told_new => TRIAL,
            // The swap was done and its trial never began: reverted all the same.
            MARKED if told_old => REVERTED,
            TRIAL | CONFIRMING if told_old => REVERTED,
            // A power cut in the confirmation left it undone, and the boot loader still calls it a trial.
            TRIAL | CONFIRMING if told_new && *report == State::Swap => TRIAL,
            CONFIRMING | CONFIRMED if told_new => CONFIRMED,
            REVERTED if told_old => REVERTED,
            _ => return None,
        })
    }
}

fn name_of(image: Option<u64>) -> &'static str {
    match image {
        Some(OLD) => "the old image",
        Some(NEW) => "the new image",
        Some(_) => "a further image",
        None => "no whole image",
    }
}

fn phase(world: World) -> &'static str {
    ["idle", "while marking", "marked", "after the trial boot", "while confirming", "confirmed", "reverted"].get(world as usize).unwrap_or(&"?")
}

impl<const W: usize, const P: usize, const B: usize, const N: usize> Subject for Boot<W, P, B, N> {
    fn name(&self) -> String {
        format!("embassy-boot-0.7.0/{}/{}", self.size, self.medium.name)
    }
    fn chip(&self) -> Chip {
        Chip { medium: self.medium, word: W, page: P, size: Self::STATE + P }
    }
    fn start(&self) -> Result<(Image, World), Failed> {
        let flash = Flash::new(self.chip(), self.chip().erased());
        for (image, base) in [(OLD, 0), (NEW, Self::SLOT)] {
            for at in (0..Self::SLOT).step_by(W) {
                let word: Vec<u8> = (at..at + W).map(|at| byte(image, at)).collect();
                flash.write(base + at, &word).map_err(|e| failed("the flash", e))?;
            }
        }
        Self::with_state(&flash, "mark_booted", |s| s.mark_booted())?;
        Ok((flash.image(), IDLE))
    }
    fn recover(&self, flash: &Flash) -> Result<(), Failed> {
        Self::boot(flash).map(|_| ())
    }
    fn judge(&self, flash: &Flash, world: World) -> Judged {
        let image = Self::running(flash);
        let report = match Self::with_state(flash, "get_state", |s| s.get_state()) {
            Ok(report) => report,
            Err(failed) => return Judged { findings: vec![Finding::new(Oracle::Truth, failed.to_string())], world: None },
        };
        let Some(next) = Self::follows(world, image, &report) else {
            let oracle = if world == CONFIRMED && image == Some(OLD) { Oracle::Downgrade } else { Oracle::OldOrNew };
            let detail = format!("{}: {} runs, state {report:?}", phase(world), name_of(image));
            return Judged { findings: vec![Finding::classed(oracle, detail)], world: None };
        };
        let mut findings = Vec::new();
        if (world, next) == (MARKED, REVERTED) {
            findings.push(Finding::new(Oracle::Progress, "a marked update was swapped in and reverted without a trial"));
        }
        let honest = match next {
            IDLE | CONFIRMED => State::Boot,
            TRIAL => State::Swap,
            _ => State::Revert,
        };
        if report != honest {
            let detail = format!("{}: {} runs, and the state says {report:?} where {honest:?} is true", phase(world), name_of(image));
            findings.push(Finding::classed(Oracle::Truth, detail));
        }
        // An unconfirmed image takes no update by design: it confirms first.
        let confirmed = if next == TRIAL { Self::with_state(flash, "mark_booted", |s| s.mark_booted()) } else { Ok(()) };
        if let Err(failed) = confirmed.and_then(|()| Self::further(flash)) {
            findings.push(Finding::classed(Oracle::FurtherWrite, format!("{}: {failed}", phase(world))));
        }
        Judged { findings, world: Some(next) }
    }
    fn tell(&self, flash: &Flash) -> String {
        format!("{}, state {:?}", name_of(Self::running(flash)), Self::with_state(flash, "get_state", |s| s.get_state()))
    }
    fn next(&self, world: World) -> Option<Step> {
        match world {
            IDLE => Some(Step { in_flight: MARKING, done: MARKED }),
            TRIAL => Some(Step { in_flight: CONFIRMING, done: CONFIRMED }),
            _ => None,
        }
    }
    fn act(&self, flash: &Flash, world: World) -> Result<(), Failed> {
        match world {
            IDLE => Self::with_state(flash, "mark_updated", |s| s.mark_updated()),
            _ => Self::with_state(flash, "mark_booted", |s| s.mark_booted()),
        }
    }
}
