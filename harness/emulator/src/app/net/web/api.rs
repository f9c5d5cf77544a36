//! What a session may do. A guest looks; the owner changes.

use super::{Reply, Role, error, good_secret};
use crate::app::Thermostat;
use crate::app::net::cloud::Deletion;
use crate::app::net::http::Request;
use crate::app::stores::{Route, Stored, TEXT_MAX, setting};
use crate::defects::Defect;
use crate::hw::{Cause, Hw, Stop};
use serde_json::{Map, Value, json};

fn told(stored: Stored) -> Reply {
    match stored {
        Stored::Done => (200, json!({ "ok": true })),
        Stored::Full => error(507, "full"),
    }
}

impl Thermostat {
    /// A request with a session.
    pub(super) fn api(&mut self, hw: &mut Hw, request: &Request, body: &Map<String, Value>, token: &str, role: Role) -> Result<Reply, Stop> {
        let owner = role == Role::Owner;
        let method = request.method.as_str();
        // defect guest-may-change: the role is looked at by the page only.
        // defect guest-may-reset: of all pages this one was forgotten.
        let forgotten = request.path == "/api/reset" && hw.defect(Defect::GuestMayReset);
        if method != "GET" && !owner && request.path != "/api/logout" && !forgotten && !hw.defect(Defect::GuestMayChange) {
            return Ok(error(403, "for the owner only"));
        }
        if role == Role::App && (method, request.path.as_str()) != ("GET", "/api/state") {
            return Ok(error(403, "the app sees the state"));
        }
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        let flag = |key: &str| body.get(key).and_then(Value::as_bool);
        Ok(match (method, request.path.as_str()) {
            ("POST", "/api/logout") => {
                // defect session-survives-logout: the browser forgets it.
                if !hw.defect(Defect::SessionSurvivesLogout) {
                    self.net.web.sessions.retain(|s| s.token != token);
                }
                (200, json!({ "ok": true }))
            }
            ("GET", "/api/state") => self.state(hw),
            ("GET", "/api/security") => self.security(hw),
            ("GET", path) if path.starts_with("/api/settings/") => match path.strip_prefix("/api/settings/").and_then(setting) {
                Some(s) if s.secret => error(403, "never shown"),
                Some(s) => (200, json!({ "value": self.stores.get(hw, s) })),
                None => error(404, "no such setting"),
            },
            ("PUT", path) if path.starts_with("/api/settings/") => {
                let value = text("value").filter(|v| (1..=TEXT_MAX).contains(&v.len()) && !v.contains(|c: char| c.is_control()));
                match (path.strip_prefix("/api/settings/").and_then(setting), value) {
                    (Some(s), Some(value)) if s.name == "mode" => match self.set_mode(hw, value)? {
                        true => (200, json!({ "ok": true })),
                        false => error(400, "auto, eco, heat or off"),
                    },
                    (Some(s), Some(value)) => {
                        if s.name == "name" && hw.defect(Defect::NameReachesShell) && value.contains(['`', ';', '|', '$']) {
                            // defect name-reaches-shell: `hostname NAME`, by a shell.
                            self.restart = Some(Cause::Software);
                        }
                        told(self.stores.set(hw, s, value)?)
                    }
                    (Some(_), None) => error(400, "value must be text of 1 to 64 bytes"),
                    (None, _) => error(404, "no such setting"),
                }
            }
            ("GET", "/api/notes") if owner => (200, json!({ "notes": self.stores.notes(hw)? })),
            ("GET", "/api/app-token") if owner => (200, json!({ "token": self.stores.app_token(hw) })),
            ("GET", "/api/history") if owner => {
                let now = self.net.clock.now(hw).unwrap_or(0);
                (200, json!({ "history": self.net.cloud.history(hw, now) }))
            }
            ("POST", "/api/notes") => match text("text").filter(|t| (1..=TEXT_MAX).contains(&t.len()) && !t.contains(|c: char| c.is_control())) {
                Some(note) => told(self.stores.add_note(hw, note)?),
                None => error(400, "text of 1 to 64 bytes"),
            },
            ("POST", "/api/password") => match (text("old"), text("new")) {
                (Some(old), Some(_)) if !self.owner_is(hw, old) => self.web_failed(hw)?,
                (Some(_), Some(new)) if good_secret(new) => {
                    let slips = &mut self.net.web.slips;
                    (slips.old_secret, slips.secret) = (text("old").map(str::to_owned), Some(new.to_owned()));
                    let stored = if hw.defect(Defect::WebChangeInRam) { Stored::Done } else { self.stores.set_password(hw, new)? };
                    // defect web-sessions-survive-change. twin web-change-ends-all: the one that asked, too.
                    if stored == Stored::Done && !hw.defect(Defect::WebSessionsSurviveChange) {
                        self.net.web.end_sessions(Some(token).filter(|_| !hw.defect(Defect::WebChangeEndsAll)));
                    }
                    told(stored)
                }
                _ => error(400, "old and new; new of 8 to 64 characters"),
            },
            ("POST", "/api/guest") => match text("secret").filter(|s| good_secret(s)) {
                Some(secret) => told(self.stores.set_guest(hw, secret)?),
                None => error(400, "a secret of 8 to 64 characters"),
            },
            ("GET", "/api/auto-update") => (200, json!({ "on": self.auto_update() })),
            ("PUT", "/api/auto-update") => match flag("on") {
                Some(on) => {
                    self.set_auto_update(hw, on)?;
                    (200, json!({ "ok": true }))
                }
                None => error(400, "on: true or false"),
            },
            ("GET", "/api/update-notice") => (200, json!({ "on": self.net.fetch.notices(&self.stores) })),
            ("PUT", "/api/update-notice") => match flag("on") {
                Some(on) => {
                    // defect decision-undone: the switch is kept in RAM.
                    self.net.fetch.set_notices(hw.defect(Defect::DecisionUndone).then_some(on));
                    if !hw.defect(Defect::DecisionUndone) {
                        self.stores.set_notices(hw, on)?;
                    }
                    (200, json!({ "ok": true }))
                }
                None => error(400, "on: true or false"),
            },
            ("GET", "/api/update") => {
                let fetch = &self.net.fetch;
                // defect notice-off-ignored.
                let told = self.net.fetch.notices(&self.stores) || hw.defect(Defect::NoticeOffIgnored);
                let notice = fetch
                    .offer
                    .as_ref()
                    .filter(|_| told)
                    .map(|_| "An update that removes a security risk is available. Heating stops for up to one minute while it installs.");
                (200, json!({ "available": fetch.offer.as_ref().map(|o| &o.version), "last": fetch.last, "notice": notice }))
            }
            ("POST", "/api/update/check") => self.look(hw, false),
            ("POST", "/api/update/install") => self.look(hw, true),
            ("GET", "/api/consent") => {
                let (given, at) = self.stores.consent();
                (200, json!({ "telemetry": given, "at": at }))
            }
            ("PUT", "/api/consent") => match flag("telemetry") {
                Some(given) => {
                    // defect consent-without-time: a flag is no record.
                    let at = self.net.clock.now(hw).filter(|_| !hw.defect(Defect::ConsentWithoutTime)).unwrap_or(0);
                    // defect withdrawal-ignored: the running task keeps what it was started with.
                    self.net.cloud.withdrawn_late = !given && hw.defect(Defect::WithdrawalIgnored);
                    // defect withdrawal-in-ram: the switch is written when the page is left.
                    if given || !hw.defect(Defect::WithdrawalInRam) {
                        self.stores.set_consent(hw, given, at)?;
                    } else {
                        self.stores.set_consent_in_ram(given);
                    }
                    if !given && hw.defect(Defect::WithdrawalMessage) {
                        // twin withdrawal-message.
                        self.cloud_event(hw, "consent withdrawn".to_owned());
                    }
                    (200, json!({ "ok": true }))
                }
                None => error(400, "telemetry: true or false"),
            },
            ("POST", "/api/service-data/delete") => {
                self.cloud_delete(hw);
                (202, json!({ "deletion": "queued" }))
            }
            ("GET", "/api/service-data/delete") => {
                let word = match self.net.cloud.deletion {
                    Deletion::None => "none",
                    Deletion::Queued => "queued",
                    Deletion::Done => "done",
                };
                (200, json!({ "deletion": word }))
            }
            ("POST", "/api/reset") => {
                self.factory_reset(hw, Route::Web)?;
                self.drop_events();
                self.net.web.end_sessions(None);
                crate::app::reset::say_done(hw)?;
                self.restart = Some(Cause::Software);
                (200, json!({ "reset": "done" }))
            }
            ("POST", "/api/reboot") => {
                self.cloud_leave(hw);
                self.restart = Some(Cause::Software);
                (202, json!({ "ok": true }))
            }
            _ => error(404, "nothing here"),
        })
    }

    fn look(&mut self, hw: &mut Hw, install: bool) -> Reply {
        if self.fetch_now(hw, install) { (202, json!({ "ok": true })) } else { error(409, "busy, or no time yet") }
    }

    fn state(&self, hw: &Hw) -> Reply {
        let state = json!({
            "model": "TH-1",
            "serial": self.stores.serial(hw),
            "version": self.info.version.to_string(),
            "uptime": hw.now() / super::S,
            "time": self.net.clock.now(hw),
            "cloud": self.net.cloud.is_online(),
            "temperature": 21.5,
            "boot": format!("{:08x}", self.info.boot_id),
        });
        (200, state)
    }

    /// The product's own look at its set-up.
    fn security(&self, hw: &Hw) -> Reply {
        let mut warnings = Vec::new();
        if hw.defect(Defect::SecurityAlwaysOk) {
            // defect security-always-ok: the page was drawn before there was something to look at.
            return (200, json!({ "ok": true, "warnings": warnings }));
        }
        if !self.auto_update() {
            warnings.push("automatic updates are off");
        }
        if self.stores.has_guest() {
            warnings.push("a guest may look");
        }
        if hw.defect(Defect::SecurityTellsMore) {
            // twin security-tells-more.
            return (200, json!({ "ok": warnings.is_empty(), "warnings": warnings, "fine": ["secret chosen", "connection secured"] }));
        }
        (200, json!({ "ok": warnings.is_empty(), "warnings": warnings }))
    }
}
