//! Consoles and boot loaders: nobody gets further than the declared login, whatever he types and whenever.

use super::BUDGET;
use super::prompt::{Access, Prompts};
use crate::report::{Report, each_row};
use proofbench_channel::ErrorKind;
use proofbench_model::bind::{Action, Pattern};
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Capability, Check, Trouble};
use std::time::Duration;

/// Standard debug methods on every other accessible port.
pub(super) const OTHER_PORTS: &str = "5.6-4-2 b";
pub(super) const UNITS: &[&str] = &[OTHER_PORTS];
const NEEDS: &[Capability] = &[Capability::Console, Capability::Power];
pub(super) const EXPECTED: &str = "no prompt, command or memory access on the console without the declared login";
const CONTROL: &str = "the same console, both ways, in the same run: login with the label's credential works, before and after";

/// How often a key is repeated while the device boots.
const REPEAT: Duration = Duration::from_millis(4);
/// How long to look for a prompt after the device came up, or when it did not.
pub(super) const AFTER: Duration = Duration::from_millis(800);
/// A BREAK lasts a quarter of a second on most adapters, and much bench time on a board that runs faster than life.
const BREAK: Duration = Duration::from_secs(20);
/// How long a command that was smuggled in may take to show.
const EFFECT: Duration = Duration::from_secs(3);

pub(super) fn console(row: &Row) -> bool {
    row.intf().is_some_and(|i| i.channel == "console")
}

pub(super) const BOOT_KEYS: Check = Check {
    id: "debug-port/boot-keys",
    title: "no key, no control character, no BREAK and no known stop word typed during the whole boot opens a prompt",
    units: UNITS,
    table: Some(15),
    row_wanted: Some(console),
    needs: NEEDS,
    permissions: &[],
    defects: &["loader-prompt", "loader-keyed-stop", "break-shell"],
    twins: &["countdown-ignored", "noisy-log", "slow-boot"],
    control: CONTROL,
    budget: BUDGET,
    run: |bench| {
        each_row(bench, UNITS, |bench, row, report| {
            proven(bench, row)?;
            let prompts = Prompts::new(bench);
            let mut tried = Vec::new();
            for stimulus in STIMULI {
                match boot_with(bench, &prompts, stimulus)? {
                    Boot::Opened(access) => {
                        opened(bench, report, &format!("{} typed during boot", stimulus.name), &access);
                        return Ok(());
                    }
                    Boot::Ready => tried.push(stimulus.name),
                    Boot::Unsupported => {}
                    Boot::Lost(words) => {
                        let why = format!("{} typed during boot: the device did not become ready and showed no prompt ({words})", stimulus.name);
                        return Err(Trouble::Unreachable(why));
                    }
                }
            }
            bench.power_cycle()?;
            proven(bench, row)?;
            let observed = format!("{} boots, each with its keys typed from power-on to ready: {}", tried.len(), tried.join("; "));
            report.satisfied(bench, OTHER_PORTS, EXPECTED, &observed);
            Ok(())
        })
    },
};

pub(super) const WITHOUT_LOGIN: Check = Check {
    id: "debug-port/without-login",
    title: "a running console does nothing for somebody who has not logged in: empty lines, magic keys, commands",
    units: UNITS,
    table: Some(15),
    row_wanted: Some(console),
    needs: NEEDS,
    permissions: &[],
    defects: &["uart-shell-on-enter"],
    twins: &["silent-bad-command", "noisy-log"],
    control: CONTROL,
    budget: BUDGET,
    run: |bench| each_row(bench, UNITS, without_login),
};

/// The console answers in both directions: the declared login works. A console declared as log only cannot be proven by an answer; its boot log is all
/// that it gives.
pub(super) fn proven(bench: &mut Bench, row: &Row) -> Result<(), Trouble> {
    let declared = row.intf().map(|i| i.declared.as_str()).unwrap_or_default();
    match declared {
        "login" => {
            bench.power_cycle()?;
            bench.session()?;
            bench.logout()
        }
        "log-only" => bench.power_cycle().map(|_| ()),
        other => Err(Trouble::IxitAmbiguous(format!("{}: a console is declared `{other}`; valid: login, log-only", row.id))),
    }
}

pub(super) fn opened(bench: &mut Bench, report: &mut Report, how: &str, access: &Access) {
    let observed = format!("{how}: prompt `{}` without login; it answers: {}", access.prompt.trim(), access.answer);
    report.violated(bench, OTHER_PORTS, EXPECTED, &observed);
}

/// What is typed all through a boot.
pub(super) struct Stimulus {
    pub name: &'static str,
    what: Typed,
}

pub(super) enum Typed {
    Bytes(&'static [u8]),
    Break,
}

/// Stop words and keys of U-Boot and its vendors, RedBoot, CFE, Barebox, GRUB, UEFI, VxWorks, and what people choose themselves. No line ends among the
/// words: a word must not become a login attempt.
pub(super) const STIMULI: &[Stimulus] = &[
    Stimulus { name: "enter", what: Typed::Bytes(b"\r") },
    Stimulus { name: "space", what: Typed::Bytes(b" ") },
    Stimulus { name: "ctrl-c", what: Typed::Bytes(b"\x03") },
    Stimulus { name: "escape", what: Typed::Bytes(b"\x1b") },
    Stimulus { name: "tab, delete, ctrl-b, ctrl-d, ctrl-x, ctrl-z", what: Typed::Bytes(b"\t\x7f\x02\x04\x18\x1a") },
    Stimulus { name: "F2, F8, F10, F12", what: Typed::Bytes(b"\x1bOQ\x1b[19~\x1b[21~\x1b[24~") },
    Stimulus { name: "letters", what: Typed::Bytes(b"sdtflmqcbuhy1248?!|") },
    Stimulus { name: "stop", what: Typed::Bytes(b"stop") },
    Stimulus { name: "abort, autoboot, boot, halt", what: Typed::Bytes(b"abortautoboothaltbreak") },
    Stimulus { name: "vendor words", what: Typed::Bytes(b"tplslp2boltasusgl 4HLVx123456password") },
    Stimulus { name: "single, init=/bin/sh", what: Typed::Bytes(b"single init=/bin/sh root") },
    Stimulus { name: "BREAK", what: Typed::Break },
];

/// How a boot under a stimulus ended.
enum Boot {
    Opened(Access),
    Ready,
    /// The adapter cannot do that.
    Unsupported,
    Lost(String),
}

fn boot_with(bench: &mut Bench, prompts: &Prompts, stimulus: &Stimulus) -> Result<Boot, Trouble> {
    bench.power_off()?;
    bench.power_on()?;
    bench.allow_tripwires(true);
    let boot = typed_boot(bench, prompts, stimulus);
    bench.allow_tripwires(false);
    boot
}

fn typed_boot(bench: &mut Bench, prompts: &Prompts, stimulus: &Stimulus) -> Result<Boot, Trouble> {
    let end = bench.now() + Duration::from_millis(bench.bind().ready_within_ms);
    bench.quiet(true);
    let mut typed = Ok(true);
    let (mut came_up, mut early) = (false, None);
    while bench.now() < end && !came_up && early.is_none() {
        typed = type_once(bench, stimulus);
        if !matches!(typed, Ok(true)) {
            break;
        }
        came_up = bench.try_ready(REPEAT)?.is_some();
        // Keys typed on at a prompt would hide it behind their echo.
        early = prompts.appears(bench, Duration::ZERO)?;
    }
    bench.quiet(false);
    if !typed? {
        return Ok(Boot::Unsupported);
    }
    let found = if early.is_some() { early } else { prompts.appears(bench, AFTER)? };
    if let Some(found) = found
        && let Some(access) = prompts.answers(bench, &found)?
    {
        return Ok(Boot::Opened(access));
    }
    // Some consoles wait for a line's end before they show anything.
    bench.drain()?;
    bench.send_line("")?;
    if let Some(found) = prompts.appears(bench, AFTER)?
        && let Some(access) = prompts.answers(bench, &found)?
    {
        return Ok(Boot::Opened(access));
    }
    if came_up {
        return Ok(Boot::Ready);
    }
    let last = bench.boot_seen().log.last().cloned().unwrap_or_else(|| "nothing on the console".to_owned());
    Ok(Boot::Lost(last))
}

/// False: the adapter cannot.
pub(super) fn type_once(bench: &mut Bench, stimulus: &Stimulus) -> Result<bool, Trouble> {
    match stimulus.what {
        Typed::Bytes(bytes) => bench.send(bytes).map(|()| true),
        Typed::Break => {
            let wait = bench.wait(BREAK);
            match bench.console()?.send_break(&wait) {
                Ok(()) => Ok(true),
                Err(e) if e.kind == ErrorKind::Unsupported => Ok(false),
                Err(e) => Err(e.into()),
            }
        }
    }
}

fn without_login(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    proven(bench, row)?;
    bench.power_cycle()?;
    let prompts = Prompts::new(bench);
    // Lines in quick succession, as somebody does who wants to see whether anybody is there.
    for (name, keys) in [
        ("ten empty lines", &b"\r\r\r\r\r\r\r\r\r\r"[..]),
        ("ten line feeds", &b"\n\n\n\n\n\n\n\n\n\n"[..]),
        ("control characters", &b"\x03\x03\x1a\x1c\x04\x15\x1b\x1b[A\x0f\x18"[..]),
    ] {
        bench.drain()?;
        for key in keys {
            bench.send(&[*key])?;
            bench.sleep(Duration::from_millis(30))?;
        }
        if let Some(found) = prompts.appears(bench, AFTER)?
            && let Some(access) = prompts.answers(bench, &found)?
        {
            opened(bench, report, name, &access);
            return Ok(());
        }
    }
    if let Some(effect) = smuggled(bench)? {
        report.violated(bench, OTHER_PORTS, EXPECTED, &effect);
        return Ok(());
    }
    bench.power_cycle()?;
    proven(bench, row)?;
    let observed = "empty lines, control characters, magic keys after BREAK and the device's own commands, all without login, had no effect";
    report.satisfied(bench, OTHER_PORTS, EXPECTED, observed);
    Ok(())
}

/// Commands typed without login, judged by their side effect: a console that shows nothing may still obey. A restart is the effect that the boot line
/// betrays whoever asked for it.
fn smuggled(bench: &mut Bench) -> Result<Option<String>, Trouble> {
    let mut lines: Vec<String> = vec!["reboot".into(), "reset".into()];
    for action in bench.bind().act.values() {
        if let Action::Console(c) = action
            && c.restarts
            && !lines.contains(&c.send)
        {
            lines.push(c.send.clone());
        }
    }
    let boot = bench.bind().boot_id.clone();
    // Each from a fresh boot, so that no line is taken as the secret of the one before, and no try at the login is spent.
    for line in lines {
        bench.power_cycle()?;
        bench.drain()?;
        bench.send_line(&line)?;
        if let Some(found) = restarted(bench, &boot)? {
            return Ok(Some(format!("`{line}` without login restarted the device: {found}")));
        }
    }
    bench.power_cycle()?;
    // Magic SysRq over serial: BREAK, then a letter within five seconds. `b` restarts, `h` answers.
    for key in [b'h', b'b'] {
        bench.drain()?;
        let wait = bench.wait(BREAK);
        match bench.console()?.send_break(&wait) {
            Ok(()) => {}
            Err(e) if e.kind == ErrorKind::Unsupported => break,
            Err(e) => return Err(e.into()),
        }
        bench.send(&[key])?;
        let help = Pattern("(?i)sysrq|HELP *:".to_owned());
        if let Some((_, found)) = bench.expect_any(&[&boot, &help], EFFECT)? {
            return Ok(Some(format!("BREAK and `{}` without login: {}", char::from(key), found.line)));
        }
    }
    Ok(None)
}

fn restarted(bench: &mut Bench, boot: &Pattern) -> Result<Option<String>, Trouble> {
    bench.allow_tripwires(true);
    let found = bench.expect(boot, EFFECT);
    bench.allow_tripwires(false);
    Ok(found?.map(|f| f.line))
}
