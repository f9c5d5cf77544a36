//! Bindings carried out: log in, perform an action, ask a question.

use super::{ADAPTER, Bench};
use crate::command;
use crate::text::{escape, fill_in};
use crate::trouble::Trouble;
use proofbench_channel::{Answer, SmpRequest};
use proofbench_model::bind::{Action, ButtonAction, ConsoleAction, Credential, LoginBind, Pattern, SmpAction};
use std::time::Duration;

/// What an action led to. Refusal and silence are data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Did {
    /// The declared answer came.
    Done {
        /// What the binding reads, where it reads something.
        value: Option<String>,
        /// The whole answer, escaped.
        text: String,
    },
    /// The declared refusal came.
    Refused {
        /// In the device's words, escaped.
        text: String,
    },
    /// Neither came in time. Never to be read as a refusal.
    Silent,
}

impl Did {
    /// Whether the declared answer came.
    pub fn is_done(&self) -> bool {
        matches!(self, Did::Done { .. })
    }
}

/// What a login attempt led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginResult {
    /// Logged in.
    In,
    /// Refused as wrong.
    Refused,
    /// The device answered with neither prompt nor refusal: it does not take attempts now.
    LockedOut,
    /// No login prompt came up.
    NoPrompt,
}

/// How long a prompt may take.
const PROMPT: Duration = Duration::from_secs(2);

impl Bench {
    /// Tries to log in with this credential. A session that is open is ended first.
    pub fn login(&mut self, c: &Credential) -> Result<LoginResult, Trouble> {
        let bind = self.login_bind()?;
        self.session = None;
        if !self.user_prompt(&bind)? {
            return Ok(LoginResult::NoPrompt);
        }
        if !c.user.is_empty() {
            self.send_line(&c.user)?;
            let outcomes = [&bind.secret_prompt, &bind.refused, &bind.shell_prompt];
            match self.expect_any(&outcomes, PROMPT)? {
                Some((0, _)) => {}
                Some((1, _)) => return Ok(LoginResult::Refused),
                Some(_) => return Ok(self.logged_in()),
                None => return self.answered_otherwise(),
            }
        }
        self.send_secret(&c.secret)?;
        match self.expect_any(&[&bind.shell_prompt, &bind.refused], PROMPT)? {
            Some((0, _)) => Ok(self.logged_in()),
            Some(_) => Ok(LoginResult::Refused),
            None => self.answered_otherwise(),
        }
    }

    fn login_bind(&self) -> Result<LoginBind, Trouble> {
        self.bind().login.clone().ok_or_else(|| Trouble::IxitMissing("[bind.login] of device.toml".to_owned()))
    }

    fn logged_in(&mut self) -> LoginResult {
        self.session = Some(self.watch.total_boots);
        LoginResult::In
    }

    fn answered_otherwise(&mut self) -> Result<LoginResult, Trouble> {
        let said = self.drain()?;
        let spoke = said.iter().any(|b| !b.is_ascii_whitespace());
        Ok(if spoke { LoginResult::LockedOut } else { LoginResult::NoPrompt })
    }

    /// Brings up the prompt for a user name, out of whatever dialogue the console is in.
    fn user_prompt(&mut self, bind: &LoginBind) -> Result<bool, Trouble> {
        for _ in 0..4 {
            self.drain()?;
            self.send_line("")?;
            match self.expect_any(&[&bind.user_prompt, &bind.shell_prompt, &bind.secret_prompt], PROMPT)? {
                Some((0, _)) => return Ok(true),
                Some((1, _)) => {
                    self.send_line(&bind.logout)?;
                    if self.expect(&bind.user_prompt, PROMPT)?.is_some() {
                        return Ok(true);
                    }
                }
                // A half-finished login: the next empty line ends it.
                Some(_) => {}
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Ends the session, if there is one.
    pub fn logout(&mut self) -> Result<(), Trouble> {
        let bind = self.login_bind()?;
        self.session = None;
        if self.user_prompt(&bind)? { Ok(()) } else { Err(Trouble::Unreachable("no login prompt after logout".to_owned())) }
    }

    /// Makes sure of a session with the current credential: the label's at first, see [`Bench::set_credential`].
    pub fn session(&mut self) -> Result<(), Trouble> {
        let bind = self.login_bind()?;
        if self.session == Some(self.watch.total_boots) {
            if self.core.quiet.get() {
                return Ok(());
            }
            // An empty line shows whether the session is still there, and that the console answers at all.
            self.drain()?;
            self.send_line("")?;
            if let Some((0, _)) = self.expect_any(&[&bind.shell_prompt, &bind.user_prompt, &bind.secret_prompt], PROMPT)? {
                return Ok(());
            }
        }
        let credential = self.credential.clone().ok_or_else(|| Trouble::IxitMissing("[sample] label of device.toml".to_owned()))?;
        // A machine that is busy elsewhere may hold a prompt back; asking for one again costs no attempt.
        let mut came_of_it = self.login(&credential)?;
        if came_of_it == LoginResult::NoPrompt {
            came_of_it = self.login(&credential)?;
        }
        match came_of_it {
            LoginResult::In => Ok(()),
            LoginResult::Refused => Err(Trouble::Precondition(format!("login as `{}` with the credential in force was refused", credential.user))),
            LoginResult::LockedOut => Err(Trouble::Precondition("the console takes no logins now".to_owned())),
            LoginResult::NoPrompt => Err(Trouble::Unreachable("no login prompt on the console".to_owned())),
        }
    }

    /// The credential that sessions use from now on, until the check ends.
    pub fn set_credential(&mut self, credential: Credential) {
        if self.credential.as_ref() != Some(&credential) {
            self.session = None;
        }
        self.credential = Some(credential);
    }

    /// The credential that sessions use.
    pub fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    /// Carries out an action of a binding. `{name}` in its texts is replaced by the parameter of that name. Logs in where the binding says so; waits
    /// until the device is ready again where the binding says that it restarts.
    pub fn perform(&mut self, a: &Action, params: &[(&str, &str)]) -> Result<Did, Trouble> {
        let (did, restarts) = match a {
            Action::Console(c) => (self.perform_console(c, params)?, c.restarts),
            Action::Smp(s) => (self.perform_smp(s, params)?, s.restarts),
            Action::Button(b) => (self.perform_button(b)?, b.restarts),
            Action::Http(h) => (self.perform_http(h, params)?, h.restarts),
            Action::Command(c) => (command::run(c, params, &self.stop.hard)?, false),
            Action::Operator(o) => return Err(Trouble::Human(o.prompt.clone())),
        };
        if restarts && did.is_done() {
            self.session = None;
            let within = Duration::from_millis(self.bind().recovery_within_ms);
            self.wait_ready(within)?;
        }
        Ok(did)
    }

    fn filled(text: &str, params: &[(&str, &str)]) -> Result<String, Trouble> {
        fill_in(text, params).map_err(|name| Trouble::IxitAmbiguous(format!("binding `{text}` asks for `{name}`, which nobody gives")))
    }

    fn perform_console(&mut self, c: &ConsoleAction, params: &[(&str, &str)]) -> Result<Did, Trouble> {
        let line = Self::filled(&c.send, params)?;
        if c.login {
            self.session()?;
        } else {
            self.drain()?;
        }
        let mut regexes = vec![self.patterns.get(&c.expect).map_err(Trouble::IxitAmbiguous)?];
        if let Some(refuse) = &c.refuse {
            regexes.push(self.patterns.get(refuse).map_err(Trouble::IxitAmbiguous)?);
        }
        self.expect_restart(c.restarts);
        self.send_line(&line)?;
        let found = self.expect_compiled(&regexes, Duration::from_millis(c.within_ms), Some(&line))?;
        Ok(match found {
            None => Did::Silent,
            Some((n, found)) => {
                let mut text = String::new();
                // The echo of the line itself is no part of the answer.
                for l in found.before.iter().filter(|l| !l.ends_with(&escape(line.as_bytes()))) {
                    text.push_str(l);
                    text.push('\n');
                }
                text.push_str(&found.line);
                if n == 0 { Did::Done { value: found.value, text } } else { Did::Refused { text } }
            }
        })
    }

    fn perform_smp(&mut self, s: &SmpAction, params: &[(&str, &str)]) -> Result<Did, Trouble> {
        let mut body = s.body.clone();
        for text in body.values_mut() {
            *text = Self::filled(text, params)?;
        }
        let request = SmpRequest { group: s.group, id: s.id, write: s.write, body };
        self.expect_restart(s.restarts);
        let wait = self.wait(ADAPTER);
        Ok(match self.update()?.smp(&request, &wait)? {
            Answer::Accepted(reply) => {
                let text = reply.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ");
                match &s.value {
                    None => Did::Done { value: None, text },
                    Some(key) => match reply.get(key) {
                        Some(v) => Did::Done { value: Some(v.clone()), text },
                        None => return Err(Trouble::IxitAmbiguous(format!("the SMP answer has no `{key}`: {text}"))),
                    },
                }
            }
            Answer::Refused(text) => Did::Refused { text },
            Answer::Silent => Did::Silent,
        })
    }

    fn perform_button(&mut self, b: &ButtonAction) -> Result<Did, Trouble> {
        if b.expect.is_some() {
            self.drain()?;
        }
        self.expect_restart(b.restarts);
        let wait = self.wait(ADAPTER);
        self.fixture()?.button(&b.name, true, &wait)?;
        let held = self.sleep(Duration::from_millis(b.hold_ms));
        // The button is released whatever happened while it was held: no checkpoint stands before this.
        let wait = proofbench_channel::Wait::until(self.now() + ADAPTER, &self.stop.hard);
        if let Some(fixture) = &mut self.tapped.fixture {
            fixture.button(&b.name, false, &wait)?;
        }
        held?;
        let Some(expect) = &b.expect else { return Ok(Did::Done { value: None, text: String::new() }) };
        Ok(match self.expect(expect, Duration::from_millis(b.within_ms))? {
            Some(found) => Did::Done { value: found.value, text: found.line },
            None => Did::Silent,
        })
    }

    /// Boots that the watch saw before an action that restarts are not the boot that the action causes.
    fn expect_restart(&mut self, restarts: bool) {
        if restarts {
            self.core.stimulus.set(Some(self.now()));
            self.watch.mark();
        }
    }

    /// Asks a question of `[bind.ask]` and gives the value.
    pub fn ask(&mut self, name: &str) -> Result<String, Trouble> {
        let action = self.bind().ask.get(name).cloned().ok_or_else(|| Trouble::IxitMissing(format!("[bind.ask] {name} of device.toml")))?;
        match self.perform(&action, &[])? {
            Did::Done { value: Some(value), .. } => Ok(value),
            Did::Done { value: None, text } => Err(Trouble::IxitAmbiguous(format!("[bind.ask] {name}: the pattern reads no `value` from `{text}`"))),
            Did::Refused { text } => Err(Trouble::Precondition(format!("the device refused to tell `{name}`: {text}"))),
            Did::Silent => Err(Trouble::Unreachable(format!("no answer to the question `{name}`"))),
        }
    }

    /// Whether `[bind.ask]` has this question.
    pub fn can_ask(&self, name: &str) -> bool {
        self.bind().ask.contains_key(name)
    }

    /// Carries out an act of `[bind.act]`.
    pub fn act(&mut self, name: &str) -> Result<Did, Trouble> {
        let action = self.bind().act.get(name).cloned().ok_or_else(|| Trouble::IxitMissing(format!("[bind.act] {name} of device.toml")))?;
        self.perform(&action, &[])
    }

    /// Whether `[bind.act]` has this act.
    pub fn can_act(&self, name: &str) -> bool {
        self.bind().act.contains_key(name)
    }

    /// A pattern of literal text, for what a check itself expects to find.
    pub fn literal(text: &str) -> Pattern {
        Pattern(regex::escape(text))
    }
}
