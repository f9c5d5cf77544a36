//! Wrappers around every channel: each exchange goes into the transcript and the journal, a request before it is sent.

use crate::sink::Sink;
use crate::text::{escape, hex};
use crate::transcript::Transcript;
use proofbench_channel::debug::{DebugPort, Survey, SurveyJob};
use proofbench_channel::{
    Answer, ChannelError, Chunk, Clock, Console, ConsoleRead, ErrorKind, Fixture, Fleet, ImageState, Intake, Led, Milliamps, Millivolts, Moment,
    Network, Power, PowerAsk, PowerSeen, Reset, SmpReply, SmpRequest, Storage, UpdatePath, Wait,
};
use proofbench_rig::Channels;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

mod fleet;
mod network;

/// What the wrappers of one bench share.
pub(crate) struct Core {
    pub clock: RefCell<Box<dyn Clock>>,
    pub sink: RefCell<Box<dyn Sink>>,
    pub transcript: RefCell<Transcript>,
    /// Exchanges are counted, not journalled one by one.
    pub quiet: Cell<bool>,
    /// Exchanges not journalled.
    pub counted: Cell<u64>,
    /// What the console is about to send is a secret.
    pub hush: Cell<bool>,
    /// The last thing that makes the device start again.
    pub stimulus: Cell<Option<Moment>>,
    /// Whether the rig grants writing the flash: enforced here, whatever a check declares.
    pub flash_write: bool,
    /// Buttons that are held.
    pub held: RefCell<Vec<String>>,
    /// A survey was begun and not finished.
    pub surveying: Cell<bool>,
}

pub(crate) type Shared = Rc<Core>;

impl Core {
    pub fn now(&self) -> Moment {
        self.clock.borrow().now()
    }

    fn log(&self, channel: &'static str, direction: char, bytes: &[u8]) {
        let now = self.now();
        self.transcript.borrow_mut().add(now, channel, direction, bytes);
        if self.quiet.get() {
            self.counted.set(self.counted.get() + 1);
            return;
        }
        let text = escape(bytes);
        let (sent, got) = if direction == '<' { (None, Some(text.as_str())) } else { (Some(text.as_str()), None) };
        self.sink.borrow_mut().exchange(now, channel, sent, got);
    }

    fn asked(&self, channel: &'static str, what: &str) {
        self.log(channel, '>', what.as_bytes());
    }

    fn answered(&self, channel: &'static str, what: impl FnOnce() -> String) {
        self.log(channel, '<', what().as_bytes());
    }

    fn outcome<T>(&self, channel: &'static str, result: &Result<T, ChannelError>, text: impl FnOnce(&T) -> String) {
        match result {
            Ok(v) => self.answered(channel, || text(v)),
            Err(e) => self.answered(channel, || format!("bench error: {e}")),
        }
    }

    /// What a channel saw on its own account, with its own moments: they may lie before the last entry.
    fn remarked(&self, channel: &'static str, remarks: Vec<(Moment, String)>) {
        for (at, text) in remarks {
            self.transcript.borrow_mut().add(at, channel, '!', text.as_bytes());
            if self.quiet.get() {
                self.counted.set(self.counted.get() + 1);
            } else {
                self.sink.borrow_mut().note(self.now(), &format!("{channel}: at {:.3} s {text}", at.since(Moment(0)).as_secs_f64()));
            }
        }
    }

    fn restarting(&self) {
        self.stimulus.set(Some(self.now()));
    }
}

/// Puts a tap on every channel.
pub(crate) fn tap(channels: Channels, sink: Box<dyn Sink>, flash_write: bool) -> (Shared, Tapped) {
    let core = Rc::new(Core {
        clock: RefCell::new(channels.clock),
        sink: RefCell::new(sink),
        transcript: RefCell::default(),
        quiet: Cell::new(false),
        counted: Cell::new(0),
        hush: Cell::new(false),
        stimulus: Cell::new(None),
        flash_write,
        held: RefCell::default(),
        surveying: Cell::new(false),
    });
    macro_rules! wrap {
        ($channel:expr, $trait:ident) => {
            $channel.map(|inner| Box::new(Tap { core: core.clone(), inner }) as Box<dyn $trait>)
        };
    }
    let tapped = Tapped {
        console: wrap!(channels.console, Console),
        power: wrap!(channels.power, Power),
        reset: wrap!(channels.reset, Reset),
        debug: wrap!(channels.debug, DebugPort),
        fixture: wrap!(channels.fixture, Fixture),
        storage: wrap!(channels.storage, Storage),
        update: wrap!(channels.update, UpdatePath),
        network: wrap!(channels.network, Network),
        fleet: wrap!(channels.fleet, Fleet),
        crash: channels.crash,
    };
    (core, tapped)
}

/// The channels of a bench, tapped. The crash space is not: it is the campaign's inner loop and says itself what it did.
pub(crate) struct Tapped {
    pub console: Option<Box<dyn Console>>,
    pub power: Option<Box<dyn Power>>,
    pub reset: Option<Box<dyn Reset>>,
    pub debug: Option<Box<dyn DebugPort>>,
    pub fixture: Option<Box<dyn Fixture>>,
    pub storage: Option<Box<dyn Storage>>,
    pub update: Option<Box<dyn UpdatePath>>,
    pub network: Option<Box<dyn Network>>,
    pub fleet: Option<Box<dyn Fleet>>,
    pub crash: Option<Box<dyn proofbench_channel::CrashSpace>>,
}

struct Tap<T: ?Sized> {
    core: Shared,
    inner: Box<T>,
}

impl Console for Tap<dyn Console> {
    fn read(&mut self, into: &mut Vec<u8>, wait: &Wait) -> Result<ConsoleRead, ChannelError> {
        let before = into.len();
        let read = self.inner.read(into, wait)?;
        match read {
            // Journalled when something is made of it; the transcript has every byte.
            ConsoleRead::Bytes(at) => self.core.transcript.borrow_mut().add(at, "console", '<', &into[before..]),
            ConsoleRead::Gone => self.core.transcript.borrow_mut().add(self.core.now(), "console", '!', b"port is gone"),
            ConsoleRead::Silence => {}
        }
        Ok(read)
    }
    fn write(&mut self, bytes: &[u8], wait: &Wait) -> Result<(), ChannelError> {
        if self.core.hush.get() {
            self.core.asked("console", "(a secret)");
        } else {
            self.core.log("console", '>', bytes);
        }
        self.inner.write(bytes, wait)
    }
    fn send_break(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        self.core.asked("console", "(break)");
        self.inner.send_break(wait)
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

impl Power for Tap<dyn Power> {
    fn set(&mut self, ask: PowerAsk, wait: &Wait) -> Result<(), ChannelError> {
        self.core.asked("power", if ask == PowerAsk::On { "on" } else { "off" });
        self.core.restarting();
        let done = self.inner.set(ask, wait);
        if let Err(e) = &done {
            self.core.answered("power", || format!("bench error: {e}"));
        }
        done
    }
    fn state(&mut self, wait: &Wait) -> Result<PowerSeen, ChannelError> {
        let seen = self.inner.state(wait);
        self.core.outcome("power", &seen, |s| format!("state {s:?}"));
        seen
    }
    fn rail(&mut self, wait: &Wait) -> Result<Option<Millivolts>, ChannelError> {
        let rail = self.inner.rail(wait);
        self.core.outcome("power", &rail, |r| match r {
            Some(mv) => format!("rail {} mV", mv.0),
            None => "rail not metered".to_owned(),
        });
        rail
    }
    fn current(&mut self, wait: &Wait) -> Result<Option<Milliamps>, ChannelError> {
        let current = self.inner.current(wait);
        self.core.outcome("power", &current, |c| match c {
            Some(ma) => format!("current {} mA", ma.0),
            None => "current not metered".to_owned(),
        });
        current
    }
    fn off_min(&self) -> Duration {
        self.inner.off_min()
    }
    fn dip(&mut self, to: Millivolts, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
        self.core.asked("power", &format!("dip to {} mV for {hold:?}", to.0));
        self.core.restarting();
        self.inner.dip(to, hold, wait)
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

impl Reset for Tap<dyn Reset> {
    fn pulse(&mut self, hold: Duration, wait: &Wait) -> Result<(), ChannelError> {
        self.core.asked("reset", &format!("pulse {hold:?}"));
        self.core.restarting();
        self.inner.pulse(hold, wait)
    }
    fn set(&mut self, asserted: bool, wait: &Wait) -> Result<(), ChannelError> {
        self.core.asked("reset", if asserted { "assert" } else { "release" });
        self.core.restarting();
        self.inner.set(asserted, wait)
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

impl DebugPort for Tap<dyn DebugPort> {
    fn begin(&mut self, job: &SurveyJob, wait: &Wait) -> Result<(), ChannelError> {
        self.core.asked("debug", &format!("survey {}", serde_json::to_string(job).unwrap_or_default()));
        if job.restarts() {
            self.core.restarting();
        }
        let begun = self.inner.begin(job, wait);
        // What did not begin cannot be finished: a probe that is not there must not make the rig unsafe.
        self.core.surveying.set(begun.is_ok());
        begun
    }
    fn finish(&mut self, wait: &Wait) -> Result<Survey, ChannelError> {
        let survey = self.inner.finish(wait);
        self.core.surveying.set(false);
        self.core.outcome("debug", &survey, |s| serde_json::to_string(s).unwrap_or_default());
        survey
    }
    fn pulse_reset(&mut self, wait: &Wait) -> Result<(), ChannelError> {
        self.core.asked("debug", "pulse nRST");
        self.core.restarting();
        self.inner.pulse_reset(wait)
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

impl Fixture for Tap<dyn Fixture> {
    fn button(&mut self, name: &str, pressed: bool, wait: &Wait) -> Result<(), ChannelError> {
        self.core.asked("fixture", &format!("{} {name}", if pressed { "press" } else { "release" }));
        let mut held = self.core.held.borrow_mut();
        held.retain(|h| h != name);
        if pressed {
            held.push(name.to_owned());
        }
        drop(held);
        let done = self.inner.button(name, pressed, wait);
        // A button that does not exist is not held; one whose press failed otherwise may be.
        if done.as_ref().is_err_and(|e| e.kind == ErrorKind::Unsupported) {
            self.core.held.borrow_mut().retain(|h| h != name);
        }
        done
    }
    fn led(&mut self, wait: &Wait) -> Result<Led, ChannelError> {
        let led = self.inner.led(wait);
        self.core.outcome("fixture", &led, |l| match l {
            Led::Dark => "led dark".to_owned(),
            Led::Lit(how) => format!("led {how}"),
        });
        led
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

impl Storage for Tap<dyn Storage> {
    fn len(&self) -> u64 {
        self.inner.len()
    }
    fn read(&mut self, offset: u64, into: &mut [u8], wait: &Wait) -> Result<(), ChannelError> {
        self.core.asked("storage", &format!("read {offset:#x}+{:#x}", into.len()));
        let done = self.inner.read(offset, into, wait);
        self.core.outcome("storage", &done, |()| "done".to_owned());
        done
    }
    fn write(&mut self, offset: u64, bytes: &[u8], wait: &Wait) -> Result<(), ChannelError> {
        self.core.asked("storage", &format!("write {offset:#x}+{:#x} sha256 {}", bytes.len(), crate::sink::digest(bytes).0));
        let done = if self.core.flash_write {
            self.inner.write(offset, bytes, wait)
        } else {
            Err(ChannelError::new(ErrorKind::Refused, "write the flash without the rig's grant `flash-write`"))
        };
        self.core.outcome("storage", &done, |()| "done".to_owned());
        done
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

fn said<T>(answer: &Answer<T>, text: impl FnOnce(&T) -> String) -> String {
    match answer {
        Answer::Accepted(v) => text(v),
        Answer::Refused(why) => format!("refused: {why}"),
        Answer::Silent => "silent".to_owned(),
    }
}

fn images(list: &[ImageState]) -> String {
    let mut out = String::from("images");
    for i in list {
        let flags: String = [(i.active, " active"), (i.confirmed, " confirmed"), (i.pending, " pending"), (i.permanent, " permanent")]
            .iter()
            .filter_map(|(on, name)| on.then_some(*name))
            .collect();
        out.push_str(&format!(" [slot {} {} {}{flags}]", i.slot, i.version, hex(&i.hash)));
    }
    out
}

impl UpdatePath for Tap<dyn UpdatePath> {
    fn state(&mut self, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        self.core.asked("update", "state");
        let answer = self.inner.state(wait);
        self.core.remarked("update", self.inner.remarks());
        self.core.outcome("update", &answer, |a| said(a, |l| images(l)));
        answer
    }
    fn chunk(&mut self, chunk: &Chunk<'_>, wait: &Wait) -> Result<Answer<u32>, ChannelError> {
        let total = chunk.total.map(|t| format!(" of {t}")).unwrap_or_default();
        self.core.asked("update", &format!("chunk {}+{}{total}", chunk.offset, chunk.data.len()));
        let answer = self.inner.chunk(chunk, wait);
        self.core.remarked("update", self.inner.remarks());
        self.core.outcome("update", &answer, |a| said(a, |n| format!("next {n}")));
        answer
    }
    fn intake(&self) -> Intake {
        self.inner.intake()
    }
    fn longest(&self, bytes: usize) -> Duration {
        self.inner.longest(bytes)
    }
    fn mark(&mut self, hash: Option<&[u8]>, confirm: bool, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        let what = if confirm { "confirm" } else { "test" };
        self.core.asked("update", &format!("{what} {}", hash.map_or_else(|| "running".to_owned(), hex)));
        let answer = self.inner.mark(hash, confirm, wait);
        self.core.remarked("update", self.inner.remarks());
        self.core.outcome("update", &answer, |a| said(a, |l| images(l)));
        answer
    }
    fn erase(&mut self, wait: &Wait) -> Result<Answer<()>, ChannelError> {
        self.core.asked("update", "erase");
        let answer = self.inner.erase(wait);
        self.core.remarked("update", self.inner.remarks());
        self.core.outcome("update", &answer, |a| said(a, |()| "done".to_owned()));
        answer
    }
    fn restart(&mut self, wait: &Wait) -> Result<Answer<()>, ChannelError> {
        self.core.asked("update", "restart");
        self.core.restarting();
        let answer = self.inner.restart(wait);
        self.core.remarked("update", self.inner.remarks());
        self.core.outcome("update", &answer, |a| said(a, |()| "done".to_owned()));
        answer
    }
    fn smp(&mut self, request: &SmpRequest, wait: &Wait) -> Result<Answer<SmpReply>, ChannelError> {
        self.core.asked("update", &format!("smp group {} id {} write {} {:?}", request.group, request.id, request.write, request.body));
        let answer = self.inner.smp(request, wait);
        self.core.remarked("update", self.inner.remarks());
        self.core.outcome("update", &answer, |a| said(a, |r| format!("{r:?}")));
        answer
    }
    /// Everything is journalled here; nothing is left for the caller.
    fn remarks(&mut self) -> Vec<(Moment, String)> {
        Vec::new()
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}
