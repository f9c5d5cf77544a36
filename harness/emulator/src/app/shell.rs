//! Login and shell on the console.

use super::line::Typed;
use super::stores::{Route, Stored, TEXT_MAX, TRIES, setting};
use super::{Thermostat, update};
use crate::defects::Defect;
use crate::hw::{Cause, Hw, MS, Stop, Uart};

/// How long the login stays locked.
const LOCKED_NS: u64 = 10_000 * MS;
/// Shortest password.
const PASSWORD_MIN: usize = 8;

/// What the console waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    User,
    Secret(String),
    Shell,
}

impl Thermostat {
    /// Bytes from the console. What is typed is echoed, secrets are not.
    pub(super) fn on_console(&mut self, hw: &mut Hw, bytes: &[u8]) -> Result<(), Stop> {
        let mut echo = Vec::new();
        for byte in bytes {
            let typed = self.editor.push(*byte);
            let hidden = matches!(self.stage, Stage::Secret(_));
            match typed {
                Typed::Char(b) if !hidden => echo.push(b),
                Typed::Erased if !hidden => echo.extend(b"\x08 \x08"),
                Typed::Nothing | Typed::Char(_) | Typed::Erased => {}
                Typed::Interrupt => {
                    if self.stage != Stage::Shell {
                        self.stage = Stage::User;
                    }
                    echo.extend(b"^C\r\n");
                    echo.extend(self.prompt_text().bytes());
                }
                Typed::Line(line) => {
                    echo.extend(b"\r\n");
                    hw.print(Uart::Console, &std::mem::take(&mut echo))?;
                    self.on_line(hw, line)?;
                    self.prompt(hw)?;
                }
            }
        }
        hw.print(Uart::Console, &echo)
    }

    fn prompt_text(&self) -> &'static str {
        match self.stage {
            Stage::User => "login: ",
            Stage::Secret(_) => "password: ",
            Stage::Shell => "th1> ",
        }
    }

    pub(super) fn prompt(&self, hw: &mut Hw) -> Result<(), Stop> {
        hw.print(Uart::Console, self.prompt_text().as_bytes())
    }

    fn on_line(&mut self, hw: &mut Hw, line: Option<String>) -> Result<(), Stop> {
        match std::mem::replace(&mut self.stage, Stage::User) {
            Stage::User => {
                let user = line.unwrap_or_default();
                self.empty_lines = if user.is_empty() { self.empty_lines + 1 } else { 0 };
                if self.empty_lines >= 3 && hw.defect(Defect::UartShellOnEnter) {
                    // defect uart-shell-on-enter: "please press Enter to activate this console".
                    self.stage = Stage::Shell;
                } else if !user.is_empty() {
                    self.stage = Stage::Secret(user);
                }
                Ok(())
            }
            Stage::Secret(user) => self.log_in(hw, &user, &line.unwrap_or_default()),
            Stage::Shell => {
                self.stage = Stage::Shell;
                match line {
                    Some(line) => self.command(hw, line.trim()),
                    // defect console-line-overflow: what does not fit is written all the same.
                    None if hw.defect(Defect::ConsoleLineOverflow) => Err(Stop::Crash),
                    None => hw.println(Uart::Console, "ERR line too long or not text"),
                }
            }
        }
    }

    fn log_in(&mut self, hw: &mut Hw, user: &str, secret: &str) -> Result<(), Stop> {
        if let Some(left) = self.locked_until.and_then(|t| t.checked_sub(hw.now())).filter(|left| *left > 0) {
            return hw.println(Uart::Console, &format!("Locked for {} s", left.div_ceil(1000 * MS)));
        }
        let right = user == "admin" && self.stores.password_is(hw, secret)
            || (user, secret) == ("admin", "admin") && hw.defect(Defect::DefaultLogin)
            || (user, secret) == ("support", "support") && hw.defect(Defect::SupportAccount)
            || (user, secret) == ("root", "") && hw.defect(Defect::RootEmpty);
        // A lock that has passed allows as many tries again.
        let before = self.stores.fails() % TRIES;
        self.locked_until = None;
        if right {
            self.stores.set_fails(hw, 0)?;
            self.stage = Stage::Shell;
            return Ok(());
        }
        // Counted for good before the answer: a cut between the two must not buy a try.
        self.stores.set_fails(hw, before + 1)?;
        if before + 1 < TRIES {
            return hw.println(Uart::Console, "Login incorrect");
        }
        self.lock_login(hw.now());
        hw.println(Uart::Console, &format!("Locked for {} s", LOCKED_NS / MS / 1000))
    }

    /// Locks the login from now on; also at start, if it was locked when power went.
    pub(super) fn lock_login(&mut self, now: u64) {
        self.locked_until = Some(now + LOCKED_NS);
    }

    fn command(&mut self, hw: &mut Hw, line: &str) -> Result<(), Stop> {
        if line.contains("%n") && hw.defect(Defect::ConsoleFormatString) {
            // defect console-format-string: the line goes to the log as it is.
            return Err(Stop::Crash);
        }
        let (word, rest) = line.split_once(' ').map_or((line, ""), |(w, r)| (w, r.trim()));
        let answer = match (word, rest) {
            ("", _) => return Ok(()),
            ("state", "") => self.state_line(hw),
            ("get", key) => self.get(hw, key),
            ("set", rest) => match rest.split_once(' ') {
                Some((key, value)) => match self.set(hw, key, value.trim())? {
                    Some(answer) => answer,
                    None => return Ok(()),
                },
                None => "ERR usage: set KEY VALUE".into(),
            },
            ("data", "list") => {
                for (i, note) in self.stores.notes(hw)?.iter().enumerate() {
                    hw.println(Uart::Console, &format!("data[{i}]={note}"))?;
                }
                "OK".into()
            }
            ("data", rest) => match rest.split_once(' ') {
                Some(("add", text)) if text.len() <= TEXT_MAX => told(self.stores.add_note(hw, text.trim())?),
                Some(("add", _)) => format!("ERR longer than {TEXT_MAX} bytes"),
                _ => "ERR usage: data add TEXT | data list".into(),
            },
            ("passwd", new) if (PASSWORD_MIN..=TEXT_MAX).contains(&new.len()) && !new.contains(' ') => told(self.stores.set_password(hw, new)?),
            ("passwd", _) => format!("ERR password must have {PASSWORD_MIN} to {TEXT_MAX} characters and no space"),
            ("token", "new") => format!("token={}", self.stores.new_token(hw)?),
            ("token", rest) => match rest.split_once(' ') {
                Some(("check", token)) if self.stores.token_is_good(hw, token.trim()) => "OK".into(),
                Some(("check", _)) => "ERR bad token".into(),
                _ => "ERR usage: token new | token check TOKEN".into(),
            },
            ("count", "") => format!("count={}", self.stores.count()),
            ("count", "inc") => format!("count={}", self.stores.count_up(hw)?),
            ("confirm", "") => {
                if hw.defect(Defect::ReportBeforeCommit) {
                    self.report_early(hw)?;
                    return update::confirm(hw, &mut self.info);
                }
                update::confirm(hw, &mut self.info)?;
                self.show(hw);
                "OK".into()
            }
            ("factory-reset", "") => return self.reset_from_console(hw),
            ("reboot", "") => return Err(hw.request_reset(Cause::Software)),
            ("hang", "") => {
                // The test hook of the diagnosis menu: the main loop never comes back, and nobody feeds the watchdog.
                hw.println(Uart::Console, "OK")?;
                hw.drain(Uart::Console)?;
                return Err(Stop::Hang);
            }
            ("exit", "") => {
                self.stage = Stage::User;
                return Ok(());
            }
            ("sensors", "") => {
                let mut list = "sensors=temperature".to_owned();
                // defect microphone-listed: for a product that listens, on the same board. twin footprint-named.
                list += if hw.defect(Defect::MicrophoneListed) { ",microphone" } else { "" };
                list += if hw.defect(Defect::FootprintNamed) { ",humidity:not-fitted" } else { "" };
                list
            }
            ("help", "") => "state get set data passwd token count sensors confirm factory-reset reboot hang exit".into(),
            // twin silent-bad-command: an unknown line leaves no trace.
            _ if hw.defect(Defect::SilentBadCommand) => return Ok(()),
            _ => "ERR unknown command".into(),
        };
        hw.println(Uart::Console, &answer)
    }

    /// The line of `state`.
    pub(super) fn state_line(&self, hw: &Hw) -> String {
        let i = &self.info;
        let (lock, life) = if i.secured { ("locked", "secured") } else { ("open", "open") };
        let serial = self.stores.serial(hw);
        format!(
            "version={} slot={} counter={} serial={serial} lock={lock} life={life} id={:08x} cause={}",
            i.version, i.slot, i.counter, i.boot_id, i.cause
        )
    }

    fn get(&self, hw: &Hw, key: &str) -> String {
        match setting(key) {
            Some(s) => {
                let value = self.stores.get(hw, s);
                let shown = if s.secret && !value.is_empty() { "********" } else { &value };
                format!("{}={shown}", s.name)
            }
            None if key == "serial" => format!("serial={}", self.stores.serial(hw)),
            None => "ERR no such setting".into(),
        }
    }

    /// The answer; none if it is out already.
    fn set(&mut self, hw: &mut Hw, key: &str, value: &str) -> Result<Option<String>, Stop> {
        if value.is_empty() || value.len() > TEXT_MAX {
            return Ok(Some(format!("ERR value must have 1 to {TEXT_MAX} bytes")));
        }
        let Some(s) = setting(key) else {
            return Ok(Some(match key {
                // defect serial-writable: identity is a setting like any other.
                "serial" if hw.defect(Defect::SerialWritable) => told(self.stores.set_serial(hw, value)?),
                "serial" => "ERR read-only".into(),
                _ => "ERR no such setting".into(),
            }));
        };
        let away = s.name == "mode" && !self.net.cloud.is_online();
        if away && hw.defect(Defect::MainNeedsCloud) {
            // defect main-needs-cloud: the cloud decides, the device obeys.
            return Ok(Some("ERR no connection".into()));
        }
        if hw.defect(Defect::ReportBeforeCommit) {
            self.report_early(hw)?;
            self.stores.set(hw, s, value)?;
            return Ok(None);
        }
        if away && hw.defect(Defect::IsolatedSaysSo) && self.stores.set(hw, s, value)? == Stored::Done {
            // twin isolated-says-so.
            return Ok(Some("OK, and the cloud learns of it later".into()));
        }
        Ok(Some(told(self.stores.set(hw, s, value)?)))
    }

    /// Control report-before-commit: the answer is out, and the write waits for a quiet moment.
    fn report_early(&self, hw: &mut Hw) -> Result<(), Stop> {
        hw.println(Uart::Console, "OK")?;
        hw.drain(Uart::Console)?;
        hw.delay(100 * MS)
    }

    fn reset_from_console(&mut self, hw: &mut Hw) -> Result<(), Stop> {
        if hw.defect(Defect::ResetSaysDoneEarly) {
            // defect reset-says-done-early: done is said while the wish stands in RAM only; the next start does the work.
            hw.println(Uart::Console, "Erasing... done")?;
            hw.ram().words[0] = super::start::WIPE_LATER;
            return Err(hw.request_reset(Cause::Software));
        }
        hw.print(Uart::Console, b"Erasing... ")?;
        self.factory_reset(hw, Route::Console)?;
        hw.println(Uart::Console, "done")?;
        Err(hw.request_reset(Cause::Software))
    }
}

fn told(stored: Stored) -> String {
    match stored {
        Stored::Done => "OK".into(),
        Stored::Full => "ERR full".into(),
    }
}
