//! The machine-readable half of the dossier: how to do or measure what the prose declares.
//!
//! Nothing about one device is written into a suite: a check asks for the binding of the row it judges and acts through it.
//! `{name}` in a text is replaced by the parameter of that name when the action is carried out.

mod net;

pub use net::{
    ComBind, ConsentBind, DecBind, FunctionBind, GuestBind, HttpAction, InputBind, KeptBind, RetryBind, ServBind, ServerBind, TelBind, TlsTerms,
    WebBind,
};

use crate::chip::FamilyId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A regular expression over the bytes of one console line or answer. A group called `value` is what the binding reads.
/// Reading one refuses an expression that does not compile, so that a mistake in a dossier is told with its line and not in the middle of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(pub String);

impl TryFrom<String> for Pattern {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match regex::bytes::Regex::new(&text) {
            Ok(_) => Ok(Self(text)),
            // The last line of the engine's message says what is wrong; the lines before repeat the expression.
            Err(e) => Err(format!("`{text}` is no regular expression: {}", e.to_string().lines().last().unwrap_or_default())),
        }
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.0
    }
}

/// One way to make the device do something, or to ask it something. Exactly one of the keys is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// Send a line on the console and read the answer up to `expect` or `refuse`.
    Console(ConsoleAction),
    /// An SMP request of the given group and command over the update channel.
    Smp(SmpAction),
    /// Hold a button of the fixture. `at-boot` holds it through a power cycle.
    Button(ButtonAction),
    /// An HTTP request to the device's own interface.
    Http(HttpAction),
    /// The user's program: parameters in as JSON on standard input, one JSON object out; no shell.
    Command(CommandAction),
    /// A person does it and says so.
    Operator(OperatorAction),
}

/// See [`Action::Console`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConsoleAction {
    /// The line, without its end.
    pub send: String,
    /// The answer that says it was done; group `value` where something is read.
    pub expect: Pattern,
    /// The answer that says the device refused.
    #[serde(default)]
    pub refuse: Option<Pattern>,
    /// Whether a session must be logged in first (by the declared login of `device.toml`).
    #[serde(default)]
    pub login: bool,
    /// How long the device may take.
    #[serde(default = "two_seconds")]
    pub within_ms: u64,
    /// Whether the device restarts as part of it.
    #[serde(default)]
    pub restarts: bool,
}

fn two_seconds() -> u64 {
    2000
}

/// See [`Action::Smp`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SmpAction {
    /// SMP group number.
    pub group: u16,
    /// Command number inside the group.
    pub id: u8,
    /// Whether it is a write request.
    #[serde(default)]
    pub write: bool,
    /// Text entries of the request's CBOR map.
    #[serde(default)]
    pub body: BTreeMap<String, String>,
    /// Key of the answer whose text is the value read.
    #[serde(default)]
    pub value: Option<String>,
    /// Whether the device restarts as part of it.
    #[serde(default)]
    pub restarts: bool,
}

/// See [`Action::Button`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ButtonAction {
    /// Name of the button on the fixture.
    pub name: String,
    /// How long it is held.
    pub hold_ms: u64,
    /// Console line that confirms it.
    #[serde(default)]
    pub expect: Option<Pattern>,
    /// How long after release the confirmation may take.
    #[serde(default = "two_seconds")]
    pub within_ms: u64,
    /// Whether the device restarts as part of it.
    #[serde(default)]
    pub restarts: bool,
}

/// See [`Action::Command`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CommandAction {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Deadline.
    #[serde(default = "thirty_seconds")]
    pub within_ms: u64,
}

fn thirty_seconds() -> u64 {
    30_000
}

/// See [`Action::Operator`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OperatorAction {
    /// What the operator is asked to do.
    pub prompt: String,
}

/// A user name and its secret. The secret of a sample (label) stands in the unit file, never in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Credential {
    /// User name; empty where the login asks for none.
    #[serde(default)]
    pub user: String,
    /// The secret.
    pub secret: String,
}

/// `[bind]` of `device.toml`: how a rig sees the device at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeviceBind {
    /// Console line that says the local function is up.
    pub ready: Pattern,
    /// Declared longest time from power-on to `ready`, undisturbed.
    pub ready_within_ms: u64,
    /// Declared longest time from power-on to `ready` when the boot loader has work to finish.
    pub recovery_within_ms: u64,
    /// First console line of every boot; group `value` is unique to that boot.
    pub boot_id: Pattern,
    /// Console line of every boot whose group `value` names the reset cause.
    pub reset_cause: Pattern,
    /// Console line of every boot whose group `value` tells whether RAM survived, and the word for "lost".
    #[serde(default)]
    pub ram: Option<RamBind>,
    /// The declared names of reset causes.
    pub causes: CauseNames,
    /// Lines that end any wait: panics, a boot loader that stopped.
    #[serde(default)]
    pub tripwires: Vec<Pattern>,
    /// How to log in on the console.
    #[serde(default)]
    pub login: Option<LoginBind>,
    /// The device's own interface on the network.
    #[serde(default)]
    pub web: Option<WebBind>,
    /// Questions by name. Names that the suites use: `version`, `slot-state` (trial, confirmed), `counter` (anti-rollback), `serial`,
    /// `lock` (debug lock), `life-cycle`, `boot-id`, `reset-cause`, `sensors` (a list with commas).
    #[serde(default)]
    pub ask: BTreeMap<String, Action>,
    /// Acts by name. Names that the suites use: `reboot`, `watchdog` (provoke a watchdog reset), `count` (increment the monotonic usage counter),
    /// `read-count`.
    #[serde(default)]
    pub act: BTreeMap<String, Action>,
    /// Named areas of the storage image: `slot0`, `slot1`, `boot`, `settings`, ...
    #[serde(default)]
    pub regions: BTreeMap<String, Region>,
    /// LED colours or patterns by meaning, where a fixture sees the LED.
    #[serde(default)]
    pub led: BTreeMap<String, String>,
    /// What of the device goes on when it is isolated (9-ReplSup).
    #[serde(default)]
    pub isolation: Option<IsolationBind>,
}

/// See [`DeviceBind::isolation`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IsolationBind {
    /// How it is isolated: `network`, by taking its link away.
    pub by: String,
    /// What makes up its main function, each to be done while it is isolated; `{value}` is one of `values`.
    pub main: Vec<Action>,
    /// Values that `main` may be given.
    #[serde(default)]
    pub values: Vec<String>,
}

/// See [`DeviceBind::ram`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RamBind {
    /// Group `value` is the state of the canary that the device keeps in RAM that is not initialised.
    pub pattern: Pattern,
    /// The value that says the canary was gone.
    pub lost: String,
}

/// What the device calls its reset causes. An absent name means that the device cannot tell that cause apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CauseNames {
    /// Supply was removed.
    pub power_on: String,
    /// Reset pin.
    #[serde(default)]
    pub pin: Option<String>,
    /// Watchdog.
    #[serde(default)]
    pub watchdog: Option<String>,
    /// Software request.
    #[serde(default)]
    pub software: Option<String>,
    /// Supply dipped below the brown-out level.
    #[serde(default)]
    pub brown_out: Option<String>,
}

/// How to log in on the console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LoginBind {
    /// Asks for the user name. An empty line brings it up.
    pub user_prompt: Pattern,
    /// Asks for the secret.
    pub secret_prompt: Pattern,
    /// A logged-in session.
    pub shell_prompt: Pattern,
    /// The login was refused.
    pub refused: Pattern,
    /// Ends the session.
    pub logout: String,
    /// Tries that the rig may spend before the declared lock-out, and the lock-out's length.
    pub tries: u32,
    /// Length of the lock-out.
    pub lockout_ms: u64,
}

/// A named area of the storage image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Region {
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
}

/// Binding of a row of 1-AuthMech.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AuthBind {
    /// Where: `console`, `token`, `web`; `certificate` where the device proves itself and nobody logs in.
    pub over: String,
    /// Wrong tries that are declared to be answered before logins lock; the rig spends no more than these and one.
    #[serde(default)]
    pub tries: Option<u32>,
    /// Declared length of the lock.
    #[serde(default)]
    pub lockout_ms: Option<u64>,
    /// What is declared of the secret that the factory gives each unit, where it gives one.
    #[serde(default)]
    pub generated: Option<GeneratedBind>,
    /// Gives a secret of the rig's choice (`{secret}`) to the account.
    #[serde(default)]
    pub change: Option<Action>,
    /// Whether a change ends the sessions that others have.
    #[serde(default)]
    pub ends_sessions: bool,
    /// For `certificate`: the user name beside which a token of the unit, declared and drawn at random, may stand in a password field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_user: Option<Pattern>,
    /// Makes a token or session; group `value` is the token.
    #[serde(default)]
    pub issue: Option<Action>,
    /// Uses `{token}`: done if it is still good, refused if it is dead.
    #[serde(default)]
    pub check: Option<Action>,
}

/// What is declared of secrets that the factory makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GeneratedBind {
    /// How each of them is spelt.
    pub pattern: Pattern,
    /// How many of its symbols are drawn by chance.
    pub random_symbols: u32,
}

/// Binding of a row of 7-UpdMech.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UpdBind {
    /// `update-channel` (the rig's update path), `server` (the device fetches from its maker) or `command`.
    pub via: String,
    /// Image format: `mcuboot`, or `opaque` for signed files that are not read, such as bundles of RAUC and SWUpdate.
    pub format: String,
    /// Genuine images, oldest first. The delivered one is among them.
    pub images: Vec<ImageFile>,
    /// Genuine image of another model of the same maker.
    #[serde(default)]
    pub other_model: Option<String>,
    /// Genuine, newer image that cannot start (for the revert test), and one that hangs.
    #[serde(default)]
    pub crashing: Option<String>,
    /// Genuine, newer image that starts and never answers.
    #[serde(default)]
    pub hanging: Option<String>,
    /// Genuine image of the delivered version with other content.
    #[serde(default)]
    pub rebuilt: Option<String>,
    /// Genuine image with a newer version than the delivered one and a security counter below that of a newer image in `images`.
    #[serde(default)]
    pub old_counter: Option<String>,
    /// Newer file that another maker's key signed; with `format = "opaque"`, where it cannot be made.
    #[serde(default)]
    pub other_key: Option<String>,
    /// Newer file that nobody signed; with `format = "opaque"`.
    #[serde(default)]
    pub unsigned: Option<String>,
    /// What the other files hold, with `format = "opaque"`: version and counter of those that are not in `images`.
    #[serde(default)]
    pub others: Vec<ImageFile>,
    /// How the maker's server is imitated, with `via = "server"`.
    #[serde(default)]
    pub server: Option<ServerBind>,
    /// What is declared about older versions: `refused` or `allowed`.
    pub downgrade: String,
    /// What is declared about the same version with other content: `refused` or `allowed`.
    #[serde(default = "refused")]
    pub same_version: String,
    /// Whether a new image runs on trial until it is confirmed, and an unconfirmed one is reverted.
    pub trial: bool,
    /// Bytes of one slot.
    pub slot_bytes: u64,
    /// Whether bytes of the file outside header, payload and protected TLVs (the hint which key signed, padding after the last TLV) are declared not
    /// covered by the signature: then a device may take a file in which they differ.
    #[serde(default)]
    pub unsigned_tail: bool,
}

fn refused() -> String {
    "refused".to_owned()
}

/// A genuine image of the maker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageFile {
    /// Path below the dossier's folder.
    pub file: String,
    /// Version that the device reports when it runs.
    pub version: String,
    /// Security counter that the image carries.
    pub counter: u32,
}

/// Binding of a row of 10-SecParam, and of data rows that the user sets (21-PersData, 25-DelFunc stores).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StoreBind {
    /// Gives the store the value `{value}`.
    #[serde(default)]
    pub set: Option<Action>,
    /// Reads it back; group `value`.
    #[serde(default)]
    pub get: Option<Action>,
    /// Declared scheme at rest: `plain`, `sealed`, `hashed`, `secure-element`.
    pub scheme: String,
    /// `secret` (must never be readable in a dump) or `personal` (must be gone after deletion) or `identity` (must survive).
    pub kind: String,
    /// The value that stands in the software and that set-up replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built_in: Option<BuiltInBind>,
    /// How an owner hands the secret over on the network: `{value}`, with a session. It must not be taken in clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_over: Option<HttpAction>,
}

/// Binding of a row of 22-ExtSens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SensBind {
    /// By which names the device lists the sensor and calls its readings.
    pub names: Vec<String>,
    /// Entries of its list that are declared to say that something is not there.
    #[serde(default)]
    pub not_fitted: Vec<String>,
}

/// A secret that is the same in every unit as delivered, and replaced when the device is set up (5.4-3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BuiltInBind {
    /// The value.
    pub value: String,
    /// A request that whoever knows the secret may make: `{value}`, or shown as a session.
    pub request: HttpAction,
    /// Whether it is shown in the place of a session (`session` of `[bind.web]`).
    #[serde(default)]
    pub as_session: bool,
    /// Reads the unit's own value, once set-up has replaced it; group `value`.
    pub replacement: Action,
}

/// Binding of a row of 15-Intf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IntfBind {
    /// `debug-port`, `console`, `update-port`, `button`, `network`.
    pub channel: String,
    /// For a debug port, declared: `disabled`, `identification-only`, `core-only`; for a console `login`, `log-only`.
    pub declared: String,
    /// Facts that a network interface tells strangers, as declared: `version`, `serial`, `user data`.
    #[serde(default)]
    pub discloses: Vec<String>,
    /// What a debug probe may look at.
    #[serde(default)]
    pub debug: Option<DebugBind>,
}

/// Addresses that a survey of a debug port reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DebugBind {
    /// A word of RAM.
    pub ram: u32,
    /// A word of flash whose content is known from an image of the maker.
    pub flash: u32,
    /// Offset of that word inside the image that runs.
    pub flash_in_image: u32,
    /// Protocols that the part has: `swd`, `jtag`.
    pub protocols: Vec<String>,
    /// Highest access port to look at.
    #[serde(default = "all_aps")]
    pub max_ap: u8,
    /// The chip family of the part, by its name in the table of families: reports cite what is known of its lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<FamilyId>,
}

fn all_aps() -> u8 {
    255
}

/// Binding of a row of 20-SecBoot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SecBootBind {
    /// Region whose change must be detected.
    pub region: String,
    /// Declared reaction: `stop` (nothing runs), `fallback` (an intact image runs).
    pub reaction: String,
    /// Console line of the declared alert.
    #[serde(default)]
    pub alert: Option<Pattern>,
    /// Whether an older validly signed image in that region must be refused.
    #[serde(default)]
    pub anti_rollback: bool,
}

/// Binding of a row of 23-ResMech.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ResBind {
    /// `power` or `network`.
    pub outage: String,
    /// Stores (row ids of 10, 21) that must hold through it.
    #[serde(default)]
    pub keeps: Vec<String>,
    /// Against an outage of the network: the local function that goes on, asked while it lasts.
    #[serde(default)]
    pub local: Option<Action>,
    /// An act whose news must reach the service once, after the outage; `{value}` is the rig's choice.
    #[serde(default)]
    pub event: Option<Action>,
    /// Values that `event` takes as `{value}`, at least two: news that differ from those before.
    #[serde(default)]
    pub event_values: Vec<String>,
    /// Topic of that news; `{serial}` is the unit's.
    #[serde(default)]
    pub event_topic: Option<String>,
    /// Declared longest time from the network's return to the service's.
    #[serde(default)]
    pub recovers_within_ms: Option<u64>,
    /// Whether a battery carries the device through a cut of the supply.
    #[serde(default)]
    pub battery: bool,
}

/// Binding of a row of 25-DelFunc.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DelBind {
    /// How the user starts it.
    pub start: Action,
    /// Console line that confirms it.
    #[serde(default)]
    pub confirmation: Option<Pattern>,
    /// Longest time until the device is ready again.
    pub within_ms: u64,
    /// `erase` (nothing remains) or `crypto-erase` (cipher text may remain, its key is gone).
    pub method: String,
    /// Rows (tables 1, 10, 21) that it must delete: `21/PersData-1`.
    pub deletes: Vec<String>,
    /// Where it deletes at a service and not on the device: how the request reaches that service.
    #[serde(default)]
    pub service: Option<ServiceDelBind>,
}

impl DelBind {
    /// Whether it is worked at the device itself: its console, its button, its update port. The others take the network.
    pub fn at_device(&self) -> bool {
        !matches!(self.start, Action::Http(_)) && self.service.is_none()
    }
}

/// Deletion at a service: the device passes the request on and tells what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ServiceDelBind {
    /// Row of table 11 by which the service is reached.
    pub over: String,
    /// Topic of the request; `{serial}` is the unit's.
    pub topic: String,
    /// Reads what became of it; group `value`.
    pub progress: Action,
    /// What `progress` says once the service has acknowledged.
    pub done: String,
    /// Longest time from the request, or from the service being reachable again, to that.
    pub within_ms: u64,
}
