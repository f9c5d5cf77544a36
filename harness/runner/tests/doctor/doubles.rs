//! Benches that are wired wrongly: wrappers around the channels of the emulated rig, one mistake each.

use proofbench_channel::debug::{DebugPort, Said, Survey, SurveyJob};
use proofbench_channel::{ChannelError, Console, ConsoleRead, ErrorKind, Fixture, Led, Millivolts, Power, PowerAsk, PowerSeen, Reset, Wait};
use proofbench_rig::Rig;
use std::time::Duration;

fn with_console(mut rig: Rig, quirk: impl Fn(Box<dyn Console>) -> Box<dyn Console>) -> Rig {
    rig.channels.console = rig.channels.console.map(quirk);
    rig
}

/// What happens to bytes between device and bench.
struct Line {
    inner: Box<dyn Console>,
    /// Bytes of the device, on their way in.
    inwards: fn(&[u8]) -> Vec<u8>,
    /// Whether the device gets what is written.
    hears: bool,
    /// What another device says once a quarter of a second, and whose answer stands for the device's own.
    other: Option<&'static [u8]>,
}

impl Console for Line {
    fn read(&mut self, into: &mut Vec<u8>, wait: &Wait) -> Result<ConsoleRead, ChannelError> {
        let mut bytes = Vec::new();
        if let Some(other) = self.other {
            // Lets time pass until the next line is due, or to the deadline.
            loop {
                let read = self.inner.read(&mut bytes, wait)?;
                if read == ConsoleRead::Silence {
                    break;
                }
            }
            if wait.until.0 % 1_000_000_000 < 200_000_000 && wait.until.0 > 0 {
                into.extend_from_slice(other);
                return Ok(ConsoleRead::Bytes(wait.until));
            }
            return Ok(ConsoleRead::Silence);
        }
        let read = self.inner.read(&mut bytes, wait)?;
        let bytes = (self.inwards)(&bytes);
        if matches!(read, ConsoleRead::Bytes(_)) && bytes.is_empty() {
            return Ok(ConsoleRead::Silence);
        }
        into.extend_from_slice(&bytes);
        Ok(read)
    }
    fn write(&mut self, bytes: &[u8], wait: &Wait) -> Result<(), ChannelError> {
        if self.hears { self.inner.write(bytes, wait) } else { Ok(()) }
    }
    fn send_break(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        self.inner.send_break(wait)
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// What a receiver at 57600 baud makes of a sender at 115200, or the other way round: each bit of the line is sampled where the receiver believes it.
fn resample(bytes: &[u8], sent: u32, received: u32) -> Vec<u8> {
    let mut line = vec![true; 4];
    for byte in bytes {
        line.push(false);
        line.extend((0..8).map(|n| byte & (1 << n) != 0));
        line.push(true);
    }
    let ratio = f64::from(sent) / f64::from(received);
    let at = |t: f64| line.get(t as usize).copied().unwrap_or(true);
    let (mut t, mut out) = (0.0, Vec::new());
    while (t as usize) < line.len() {
        if at(t) {
            t += 0.1;
            continue;
        }
        let bit = |n: u32| at(t + (f64::from(n) + 0.5) * ratio);
        out.push((0..8).fold(0, |byte, n| byte | (u8::from(bit(n + 1)) << n)));
        t += 9.5 * ratio;
    }
    out
}

fn line(inwards: fn(&[u8]) -> Vec<u8>, hears: bool) -> impl Fn(Box<dyn Console>) -> Box<dyn Console> {
    move |inner| Box::new(Line { inner, inwards, hears, other: None })
}

/// The rig file's baud rate is half the device's.
pub fn baud_too_low(rig: Rig) -> Rig {
    with_console(rig, line(|b| resample(b, 115_200, 57_600), false))
}

/// The rig file's baud rate is twice the device's.
pub fn baud_too_high(rig: Rig) -> Rig {
    with_console(rig, line(|b| resample(b, 115_200, 230_400), false))
}

/// The adapter's TX reaches nothing.
pub fn one_way(rig: Rig) -> Rig {
    with_console(rig, line(<[u8]>::to_vec, false))
}

/// RX and TX exchanged: nothing arrives on either side.
pub fn swapped(rig: Rig) -> Rig {
    with_console(rig, line(|_| Vec::new(), false))
}

/// The port of another device, which talks and does not listen.
pub fn another_port(rig: Rig) -> Rig {
    with_console(rig, |inner| Box::new(Line { inner, inwards: <[u8]>::to_vec, hears: false, other: Some(b"sensor 3: 21.5 C\r\n") }))
}

/// What a supply does differently.
pub struct Supply {
    inner: Box<dyn Power>,
    inverted: bool,
    /// The switch is wired to nothing.
    unwired: bool,
    metered: bool,
    readable: bool,
    off_min: Option<Duration>,
}

impl Supply {
    fn new(inner: Box<dyn Power>) -> Self {
        Self { inner, inverted: false, unwired: false, metered: true, readable: true, off_min: None }
    }
}

fn with_power(mut rig: Rig, change: impl Fn(&mut Supply)) -> Rig {
    rig.channels.power = rig.channels.power.map(|inner| {
        let mut supply = Supply::new(inner);
        change(&mut supply);
        Box::new(supply) as _
    });
    rig
}

impl Power for Supply {
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
        let ask = match (ask, self.inverted) {
            (PowerAsk::On, true) => PowerAsk::Off,
            (PowerAsk::Off, true) => PowerAsk::On,
            (ask, false) => ask,
        };
        if self.unwired && !wait.cancel.is_cancelled() { Ok(()) } else { self.inner.set(ask, wait) }
    }
    fn state(&mut self, wait: &Wait) -> Result<PowerSeen, ChannelError> {
        if !self.readable || self.inverted || self.unwired { Ok(PowerSeen::Unknown) } else { self.inner.state(wait) }
    }
    fn rail(&mut self, wait: &Wait) -> Result<Option<Millivolts>, ChannelError> {
        if self.metered { self.inner.rail(wait) } else { Ok(None) }
    }
    fn off_min(&self) -> Duration {
        self.off_min.unwrap_or_else(|| self.inner.off_min())
    }
    fn dip(&mut self, to: Millivolts, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
        self.inner.dip(to, hold, wait)
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// The switch works in the wrong sense.
pub fn inverted_switch(rig: Rig) -> Rig {
    with_power(rig, |s| s.inverted = true)
}

/// The same, and nobody measures the rail.
pub fn inverted_switch_unmetered(rig: Rig) -> Rig {
    with_power(rig, |s| (s.inverted, s.metered) = (true, false))
}

/// The switch is that of another outlet.
pub fn another_outlet(rig: Rig) -> Rig {
    with_power(rig, |s| s.unwired = true)
}

/// Nobody measures the rail.
pub fn unmetered(rig: Rig) -> Rig {
    with_power(rig, |s| s.metered = false)
}

/// The switch cannot be read back.
pub fn unreadable(rig: Rig) -> Rig {
    with_power(rig, |s| s.readable = false)
}

/// The rig file's off-min is this short.
pub fn off_min(rig: Rig, off_min: Duration) -> Rig {
    with_power(rig, |s| s.off_min = Some(off_min))
}

/// The same without a meter.
pub fn off_min_unmetered(rig: Rig, off_min: Duration) -> Rig {
    with_power(rig, |s| (s.off_min, s.metered) = (Some(off_min), false))
}

/// What a reset line does differently.
struct Wire {
    inner: Box<dyn Reset>,
    inverted: bool,
}

impl Reset for Wire {
    fn pulse(&mut self, _: Duration, wait: &Wait) -> Result<(), ChannelError> {
        // Through a transistor more than one thought of, a pulse lets go and pulls again.
        if self.inverted { self.inner.set(false, wait).and_then(|()| self.inner.set(true, wait)) } else { Ok(()) }
    }
    fn set(&mut self, asserted: bool, wait: &Wait) -> Result<(), ChannelError> {
        if self.inverted { self.inner.set(!asserted, wait) } else { Ok(()) }
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

fn with_reset(mut rig: Rig, inverted: bool) -> Rig {
    rig.channels.reset = rig.channels.reset.map(|inner| Box::new(Wire { inner, inverted }) as _);
    rig
}

/// The line works in the wrong sense.
pub fn inverted_reset(rig: Rig) -> Rig {
    with_reset(rig, true)
}

/// The line reaches nothing.
pub fn unwired_reset(rig: Rig) -> Rig {
    with_reset(rig, false)
}

/// What a probe does differently.
struct Probe {
    inner: Box<dyn DebugPort>,
    change: fn(&mut Survey),
    /// No such probe.
    absent: bool,
    /// Its nRST reaches nothing.
    no_nrst: bool,
}

impl DebugPort for Probe {
    fn begin(&mut self, job: &SurveyJob, wait: &Wait) -> Result<(), ChannelError> {
        if self.absent {
            return Err(ChannelError::new(ErrorKind::Disconnected, "open the probe 0483:374b:0666"));
        }
        self.inner.begin(job, wait)
    }
    fn finish(&mut self, wait: &Wait) -> Result<Survey, ChannelError> {
        let mut survey = self.inner.finish(wait)?;
        (self.change)(&mut survey);
        Ok(survey)
    }
    fn pulse_reset(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        if self.absent {
            return Err(ChannelError::new(ErrorKind::Disconnected, "open the probe 0483:374b:0666"));
        }
        if self.no_nrst { Ok(()) } else { self.inner.pulse_reset(wait) }
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

fn with_probe(mut rig: Rig, absent: bool, no_nrst: bool, change: fn(&mut Survey)) -> Rig {
    rig.channels.debug = rig.channels.debug.map(|inner| Box::new(Probe { inner, change, absent, no_nrst }) as _);
    rig
}

/// No such probe.
pub fn absent_probe(rig: Rig) -> Rig {
    with_probe(rig, true, false, |_| ())
}

/// SWDIO and SWCLK swapped: acknowledges are garbage.
pub fn swapped_probe(rig: Rig) -> Rig {
    with_probe(rig, false, false, |s| (s.dpidr, s.self_test, s.aps) = (Said::Protocol, None, Vec::new()))
}

/// The probe measures no target voltage.
pub fn probe_without_target(rig: Rig) -> Rig {
    with_probe(rig, false, false, |s| (s.dpidr, s.self_test, s.aps, s.vtref_mv) = (Said::NoAck, None, Vec::new(), Some(3)))
}

/// The probe's driver reads back something else than it wrote.
pub fn unfit_probe(rig: Rig) -> Rig {
    with_probe(rig, false, false, |s| s.self_test = Some(false))
}

/// The probe's nRST reaches nothing.
pub fn probe_without_nrst(rig: Rig) -> Rig {
    with_probe(rig, false, true, |_| ())
}

/// A fixture that sees no light and has a button of another name.
struct OtherFixture(Box<dyn Fixture>);

impl Fixture for OtherFixture {
    fn button(&mut self, name: &str, pressed: bool, wait: &Wait) -> Result<(), ChannelError> {
        if name == "front" {
            return self.0.button("reset", pressed, wait);
        }
        Err(ChannelError::new(ErrorKind::Unsupported, format!("press button `{name}` (there is `front`)")))
    }
    fn led(&mut self, _: &Wait) -> Result<Led, ChannelError> {
        Ok(Led::Dark)
    }
    fn describe(&self) -> String {
        self.0.describe()
    }
}

/// Another fixture than the dossier thinks of.
pub fn other_fixture(mut rig: Rig) -> Rig {
    rig.channels.fixture = rig.channels.fixture.map(|inner| Box::new(OtherFixture(inner)) as _);
    rig
}
