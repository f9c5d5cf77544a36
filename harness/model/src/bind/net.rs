//! Bindings of what a device does on its network: its own interface, its connections to others, what it sends and why.

use super::{Action, Pattern};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An HTTP request to the device's own interface. Patterns look at the status, a space, and the body with its line ends as spaces: `200 {"ok":true}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HttpAction {
    /// `GET`, `POST`, `PUT`, `DELETE`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Body; `{name}` is replaced, and braces that are no parameter stay as they are.
    #[serde(default)]
    pub body: Option<String>,
    /// Port, if it is not that of `[bind.web]`.
    #[serde(default)]
    pub port: Option<u16>,
    /// Whether TLS is spoken there.
    #[serde(default = "yes")]
    pub tls: bool,
    /// Whether a session of the owner is needed (by the declared login of `[bind.web]`).
    #[serde(default)]
    pub login: bool,
    /// The answer that says it was done; group `value` where something is read.
    pub expect: Pattern,
    /// The answer that says the device refused.
    #[serde(default)]
    pub refuse: Option<Pattern>,
    /// How long the device may take.
    #[serde(default = "five_seconds")]
    pub within_ms: u64,
    /// Whether the device restarts as part of it.
    #[serde(default)]
    pub restarts: bool,
}

fn yes() -> bool {
    true
}

fn five_seconds() -> u64 {
    5000
}

/// `[bind.web]` of `device.toml`: the device's own interface on the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WebBind {
    /// Its port.
    pub port: u16,
    /// Whether TLS is spoken there.
    #[serde(default = "yes")]
    pub tls: bool,
    /// Declared longest time from link and power to the first answer.
    pub up_within_ms: u64,
    /// A request that anybody may make in every state, to see that the interface is up.
    pub hello: HttpAction,
    /// Logs in as `{user}` with `{secret}`; group `value` is the session.
    pub login: HttpAction,
    /// The answer to a login while logins are locked.
    #[serde(default)]
    pub locked: Option<Pattern>,
    /// Header line that carries the session: `Authorization: Bearer {session}`.
    pub session: String,
    /// Ends the session.
    #[serde(default)]
    pub logout: Option<HttpAction>,
    /// Sets a factory-fresh device up: `{user}` and `{label}` of the sample, `{secret}` the owner's choice, and each decision of table 26 by its row id.
    #[serde(default)]
    pub set_up: Option<HttpAction>,
    /// Tells the model designation; group `value`.
    #[serde(default)]
    pub model: Option<HttpAction>,
    /// The device's own look at how it is set up; group `value` is `true` if it finds nothing to warn of.
    #[serde(default)]
    pub security: Option<HttpAction>,
    /// Name of the owner's account.
    pub user: String,
    /// How the owner lets somebody in who may less.
    #[serde(default)]
    pub guest: Option<GuestBind>,
}

/// An account of lower privilege.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GuestBind {
    /// Name of the account.
    pub user: String,
    /// Gives it `{secret}`; with the owner's session.
    pub admit: HttpAction,
}

/// Versions with their suites by IANA name: `"TLS 1.3" = ["TLS_AES_128_GCM_SHA256"]`.
pub type TlsTerms = BTreeMap<String, Vec<String>>;

/// Binding of a row of 11-ComMech.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ComBind {
    /// `client` (the device connects) or `server` (it is connected to).
    pub role: String,
    /// `mqtt`, `https`, `http`, `ntp`, `dns`, `mdns`, `smp`.
    pub protocol: String,
    /// Host that a client connects to, or the group that it announces to.
    #[serde(default)]
    pub host: Option<String>,
    /// Port.
    pub port: u16,
    /// What is offered or taken of TLS; absent means that there is none.
    #[serde(default)]
    pub tls: Option<TlsTerms>,
    /// Whether the device shows a certificate of its own, individual to the unit.
    #[serde(default)]
    pub client_certificate: bool,
    /// Whether the device pins: then it may refuse the lab's good certificate too.
    #[serde(default)]
    pub pinned: bool,
    /// Declared longest time from network, time and set-up to the first attempt.
    #[serde(default)]
    pub within_ms: Option<u64>,
    /// Declared span over which units that start together spread their first attempt, where no `retry` says it.
    #[serde(default)]
    pub spread_ms: Option<u64>,
    /// Declared pauses between attempts that fail.
    #[serde(default)]
    pub retry: Option<RetryBind>,
    /// Only with an owner who has set the device up.
    #[serde(default)]
    pub after_set_up: bool,
    /// Rows (tables 10, 21, 24) whose content it carries.
    #[serde(default)]
    pub carries: Vec<String>,
    /// Makes the device use it now.
    #[serde(default)]
    pub trigger: Option<Action>,
}

/// Declared pauses between attempts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RetryBind {
    /// Nominal pause after the first failure.
    pub first_ms: u64,
    /// Nominal pause after many.
    pub most_ms: u64,
    /// What a pause is multiplied by after each failure, in hundredths: 200 doubles it.
    pub growth_percent: u32,
    /// How far chance moves each pause to either side, in hundredths of it.
    pub spread_percent: u32,
    /// Declared span over which units that start together spread their first attempt.
    #[serde(default)]
    pub stage_ms: Option<u64>,
}

impl Eq for RetryBind {}

/// Binding of a row of 13-SoftServ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ServBind {
    /// `tcp` or `udp`.
    pub transport: String,
    /// Port.
    pub port: u16,
    /// Device states in which it is there: `factory`, `set-up`; both if it is always there.
    pub states: Vec<String>,
    /// Row of table 1 that guards it; absent means that anybody may use it.
    #[serde(default)]
    pub guard: Option<String>,
    /// Paths of its API, as expressions over the whole path; what matches none of them does not exist.
    #[serde(default)]
    pub paths: Vec<Pattern>,
    /// Functions of the service, each with who may use it.
    #[serde(default)]
    pub functions: Vec<FunctionBind>,
}

/// A function of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FunctionBind {
    /// What it is called.
    pub name: String,
    /// The request, as a right user makes it.
    pub request: HttpAction,
    /// `anybody`, `guest` (any login) or `owner`.
    pub role: String,
    /// Whether it changes something that matters to security (5.5-5).
    #[serde(default)]
    pub security_relevant: bool,
    /// Whether it destroys something: tried only where the refusal is expected.
    #[serde(default)]
    pub destructive: bool,
}

/// Binding of a row of 24-TelData.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TelBind {
    /// Row of table 11 that carries it.
    pub over: String,
    /// Topics, or paths, that carry it; `{serial}` is the unit's.
    pub place: String,
    /// Names of the fields that are documented.
    pub fields: Vec<String>,
    /// Declared longest time between two reports.
    pub every_ms: u64,
    /// The consent that it needs, if any.
    #[serde(default)]
    pub consent: Option<ConsentBind>,
    /// What of it the device keeps itself, and how long.
    #[serde(default)]
    pub kept: Option<KeptBind>,
}

/// Data that a device gathers by itself and keeps for a declared time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KeptBind {
    /// Reads what is kept; group `value` holds all records.
    pub list: Action,
    /// One record in that text; group `value` tells it from every other.
    pub record: Pattern,
    /// Declared longest time from the first record of an undisturbed device.
    pub every_ms: u64,
    /// Declared life of a record.
    pub life_ms: u64,
    /// How much later, as declared, it may be swept.
    #[serde(default)]
    pub sweep_ms: u64,
}

/// A consent of the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConsentBind {
    /// Gives it.
    pub give: Action,
    /// Withdraws it.
    pub withdraw: Action,
    /// Reads it back; group `value`.
    #[serde(default)]
    pub get: Option<Action>,
    /// What `get` reads when it is given.
    #[serde(default)]
    pub given: Option<String>,
    /// Reads the time at which it was given or withdrawn, in seconds since 1970; group `value`.
    #[serde(default)]
    pub when: Option<Action>,
    /// Row of table 26 by which set-up asks for it.
    #[serde(default)]
    pub decision: Option<String>,
    /// Declared longest time from withdrawal to the last report.
    pub stops_within_ms: u64,
}

/// Binding of a row of 26-UserDec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DecBind {
    /// Parameter of the set-up request that carries the answer, if it is not the row's id in small letters.
    #[serde(default)]
    pub param: Option<String>,
    /// The answers that set-up takes for it, as they stand in the request: `true`, `false`. None where the owner is free to answer what he likes.
    pub options: Vec<String>,
    /// The one that the maker recommends; the device's own security check may warn of the others.
    #[serde(default)]
    pub secure: Option<String>,
    /// The one that holds if nobody is asked.
    #[serde(default)]
    pub default: Option<String>,
    /// Whether set-up asks for it and does not go on without it.
    #[serde(default)]
    pub asked_at_set_up: bool,
    /// Reads what holds; group `value` is one of the options.
    #[serde(default)]
    pub get: Option<Action>,
    /// Decides anew: `{value}`.
    #[serde(default)]
    pub set: Option<Action>,
}

/// Binding of a row of 27-UserIntf and 28-ExtAPI: an interface that takes input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct InputBind {
    /// `console`, `http`, `mqtt`, `smp-udp`, `update-port`.
    pub kind: String,
    /// Port, for those on the network.
    #[serde(default)]
    pub port: Option<u16>,
    /// Whether TLS is spoken there.
    #[serde(default)]
    pub tls: bool,
    /// Genuine inputs from which malformed ones are made: requests, console lines, or payloads of the topic.
    pub seeds: Vec<String>,
    /// Topic on which the device takes commands; `{serial}` is the unit's.
    #[serde(default)]
    pub topic: Option<String>,
    /// Whether a session of the owner is needed for the input to go deep.
    #[serde(default)]
    pub login: bool,
}

/// How an update mechanism that fetches from a server is worked: part of a row of 7-UpdMech with `via = "server"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ServerBind {
    /// Row of table 11 by which the server is reached.
    pub over: String,
    /// Path of the manifest.
    pub manifest: String,
    /// The manifest: `{version}`, `{size}`, `{sha256}`, `{path}`.
    pub manifest_text: String,
    /// Path of an image: `{version}`.
    pub image: String,
    /// Makes the device look now.
    #[serde(default)]
    pub look: Option<Action>,
    /// Makes the device fetch and install what it has found.
    #[serde(default)]
    pub install: Option<Action>,
    /// Reads what became of the last look; group `value`.
    #[serde(default)]
    pub outcome: Option<Action>,
    /// Reads the notice that the user is shown of an update that waits; a group `value` of `null` or nothing is no notice.
    #[serde(default)]
    pub notice: Option<Action>,
    /// Row of table 26 that switches automatic updates.
    #[serde(default)]
    pub automatic: Option<String>,
    /// Row of table 26 that switches notices of updates.
    #[serde(default)]
    pub notices: Option<String>,
    /// Declared time from network and set-up to the first look: least and most.
    pub first_look_ms: (u64, u64),
    /// Declared time between looks: least and most.
    pub every_ms: (u64, u64),
    /// Longest time from a look to the device running the new image.
    pub install_within_ms: u64,
}
