//! Rules of supplies and reset lines.

use super::{Outcome, cancelled, given_up, rule, within, works};
use crate::{Clock, Console, ConsoleRead, Power, PowerAsk, PowerSeen, Reset};
use std::time::Duration;

const TIME: Duration = Duration::from_secs(60);

/// A supply; the device is left without power.
pub fn power(power: &mut dyn Power, clock: &mut dyn Clock) -> Outcome {
    rule(!power.describe().is_empty(), "a supply says what it is", "nothing")?;
    rule(!power.off_min().is_zero(), "a rail needs time to fall", power.off_min())?;
    for ask in [PowerAsk::Off, PowerAsk::Off, PowerAsk::On, PowerAsk::On, PowerAsk::Off] {
        works(power.set(ask, &within(clock, TIME)), "switching works, to the present state too")?;
        let expected = if ask == PowerAsk::On { PowerSeen::On } else { PowerSeen::Off };
        let seen = works(power.state(&within(clock, TIME)), "reading the switch back works")?;
        rule(seen == expected || seen == PowerSeen::Unknown, "the switch reports what it was told, or Unknown", (ask, seen))?;
    }
    cancelled(power.set(PowerAsk::On, &given_up(clock)))?;
    let seen = works(power.state(&within(clock, TIME)), "reading the switch back works")?;
    rule(seen != PowerSeen::On, "a cancelled On does not switch", seen)?;

    works(power.set(PowerAsk::On, &within(clock, TIME)), "switching on works")?;
    settle(power, clock)?;
    let high = works(power.rail(&within(clock, TIME)), "measuring works")?;
    let drawn = works(power.current(&within(clock, TIME)), "measuring the current works")?;
    works(power.set(PowerAsk::Off, &within(clock, TIME)), "switching off works")?;
    settle(power, clock)?;
    let low = works(power.rail(&within(clock, TIME)), "measuring without power works")?;
    let idle = works(power.current(&within(clock, TIME)), "measuring the current without power works")?;
    rule(high.is_some() == low.is_some(), "a meter is there or not", (high, low))?;
    rule(low.is_none() || low < high, "a metered rail falls with the supply", (high, low))?;
    rule(drawn.is_some() == idle.is_some(), "an ammeter is there or not", (drawn, idle))?;
    rule(idle <= drawn, "without power nothing more is drawn than with it", (drawn, idle))
}

fn settle(power: &dyn Power, clock: &mut dyn Clock) -> Outcome {
    let wait = within(clock, power.off_min());
    works(clock.sleep_until(&wait), "sleeping works")
}

/// A reset line, on a device that runs, is quiet, and says `greeting` whenever it starts.
pub fn reset(reset: &mut dyn Reset, console: &mut dyn Console, clock: &mut dyn Clock, greeting: &[u8]) -> Outcome {
    const QUIET: Duration = Duration::from_millis(300);
    rule(!reset.describe().is_empty(), "a reset line says what it is", "nothing")?;
    works(reset.pulse(Duration::from_millis(10), &within(clock, TIME)), "pulsing works")?;
    greeted(console, clock, greeting)?;

    works(reset.set(true, &within(clock, TIME)), "holding works")?;
    let mut bytes = Vec::new();
    // What was on its way when the line went low may still arrive.
    while works(console.read(&mut bytes, &within(clock, QUIET)), "reading works")? != ConsoleRead::Silence {}
    bytes.clear();
    let read = works(console.read(&mut bytes, &within(clock, QUIET)), "reading works")?;
    rule(read == ConsoleRead::Silence, "a device held in reset says nothing", (read, String::from_utf8_lossy(&bytes)))?;
    works(reset.set(false, &within(clock, TIME)), "releasing works")?;
    greeted(console, clock, greeting)?;
    cancelled(reset.set(true, &given_up(clock)))?;
    cancelled(reset.pulse(Duration::from_millis(10), &given_up(clock)))
}

fn greeted(console: &mut dyn Console, clock: &mut dyn Clock, greeting: &[u8]) -> Outcome {
    let until = within(clock, TIME);
    let mut bytes = Vec::new();
    while !bytes.windows(greeting.len().max(1)).any(|w| w == greeting) {
        let read = works(console.read(&mut bytes, &until), "reading works")?;
        rule(read != ConsoleRead::Silence, "a device that was reset starts again", String::from_utf8_lossy(&bytes))?;
    }
    Ok(())
}
