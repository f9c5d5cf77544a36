//! From the first instruction of the application to its first prompt.

use super::Thermostat;
use super::shell::Stage;
use super::stores::{Route, Stores, TRIES, setting};
use crate::defects::Defect;
use crate::firmware::BootInfo;
use crate::hw::{Cause, Hw, Input, MS, Stop, Uart};

/// Word that start-up finds again if RAM was kept.
const CANARY: u32 = 0xC0DE_CAFE;
/// Wish of defect reset-says-done-early.
pub(super) const WIPE_LATER: u32 = 0x5749_5045;
/// Set-up of clocks, display and relay.
const INIT_NS: u64 = 60 * MS;
/// Defect power-cycles-reset: as many starts in quick succession.
const QUICK_CYCLES: u32 = 5;
/// Defect power-cycles-reset: after this long a start no longer counts as quick.
pub(super) const SETTLED_NS: u64 = 5_000 * MS;

pub(super) fn start(hw: &mut Hw, info: &BootInfo) -> Result<Thermostat, Stop> {
    let kept = hw.ram().canary == Some(CANARY);
    hw.ram().canary = Some(CANARY);
    let ram = if kept { "kept" } else { "lost" };
    hw.println(Uart::Console, &format!("APP th1 {} {} ram={ram}", info.version, info.slot))?;
    hw.delay(INIT_NS)?;
    if hw.defect(Defect::NetJoinsWrongHalves) && crate::boot::verify(hw, crate::boot::Slot::Primary).is_err() {
        // Code with a hole in it, which a loader that trusted the mark has started.
        return Err(Stop::Crash);
    }
    if hw.defect(Defect::SlowBoot) {
        // twin slow-boot: the display of this series takes its time.
        for _ in 0..4 {
            hw.feed();
            hw.delay(150 * MS)?;
        }
    }
    // defect break-shell: a service technician's way in, left in the product.
    let shell = hw.defect(Defect::BreakShell) && interrupted(hw)
        // defect watchdog-opens-shell: so that the crash can be looked into.
        || hw.defect(Defect::WatchdogOpensShell) && info.cause == Cause::Watchdog;
    hw.feed();
    super::net::start(hw, info);
    let (mut stores, resumed) = Stores::open(hw)?;
    let mut wiped = resumed;
    if hw.defect(Defect::ResetSaysDoneEarly) && std::mem::take(&mut hw.ram().words[0]) == WIPE_LATER && kept {
        stores.factory_reset(hw, Route::Console)?;
    }
    if hw.defect(Defect::BrownoutDefaults) && info.cause == Cause::BrownOut {
        // defect brownout-defaults: a dip is taken for a damaged store.
        stores.default_settings(hw)?;
    }
    if hw.defect(Defect::PowerCyclesReset) && info.cause == Cause::PowerOn {
        // defect power-cycles-reset: the reset gesture of a product without a button.
        let cycles = stores.quick_cycles() + 1;
        stores.set_quick_cycles(hw, cycles % QUICK_CYCLES)?;
        if cycles >= QUICK_CYCLES {
            stores.factory_reset(hw, Route::Console)?;
            wiped = true;
        }
    }
    if wiped {
        hw.println(Uart::Console, "Factory reset: done")?;
    }
    let name = setting("name").map(|s| stores.get(hw, s)).unwrap_or_default();
    if name.contains('%') && hw.defect(Defect::NamePoisonsStart) {
        // defect name-poisons-start: the greeting is made with the name as its format.
        return Err(Stop::Crash);
    }
    extra_log(hw, &stores)?;
    hw.feed();
    let mut app = Thermostat::new(info.clone(), stores, hw.now());
    if app.stores.fails() >= TRIES {
        // Locked when power went: locked again for the whole time.
        app.lock_login(hw.now());
    }
    app.web_start(hw);
    app.open_extra(hw);
    let link = hw.net_link();
    app.on_link(hw, link)?;
    if shell {
        app.stage = Stage::Shell;
    }
    app.show(hw);
    hw.println(Uart::Console, "APP ready")?;
    app.prompt(hw)?;
    Ok(app)
}

/// Whether ctrl-c or a BREAK has come in so far. Looks at a bounded number of chunks.
fn interrupted(hw: &mut Hw) -> bool {
    for _ in 0..16 {
        match hw.poll(Uart::Console) {
            Some(Input::Break) => return true,
            Some(Input::Bytes(bytes)) if bytes.contains(&3) => return true,
            Some(Input::Bytes(_)) => {}
            None => return false,
        }
    }
    false
}

/// What some builds print on top.
fn extra_log(hw: &mut Hw, stores: &Stores) -> Result<(), Stop> {
    let key = setting("wifi-key").map(|s| stores.get(hw, s)).unwrap_or_default();
    if hw.defect(Defect::BootLogKey) {
        // defect boot-log-key: handy while the radio was brought up.
        hw.println(Uart::Console, &format!("NET wifi-key {key}"))?;
    }
    if hw.defect(Defect::MaskedKeyLog) {
        // twin masked-key-log: two characters tell a support line which key is meant, and nobody the key.
        let last: String = key.chars().rev().take(2).collect::<Vec<_>>().into_iter().rev().collect();
        hw.println(Uart::Console, &format!("NET wifi-key ****{last}"))?;
    }
    if hw.defect(Defect::NoisyLog) {
        // twin noisy-log: bytes that a report must not fall over.
        hw.print(Uart::Console, b"DBG ]]> <failure>&amp; \x1b[31mred\x1b[0m \x00 \xff\xfe\xc3( end\r\n")?;
        let mut long = b"DBG ".to_vec();
        long.resize(6000, b'x');
        long.extend(b"\r\n");
        hw.print(Uart::Console, &long)?;
    }
    Ok(())
}
