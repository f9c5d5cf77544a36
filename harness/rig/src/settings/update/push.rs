//! `driver = "http-push"`: images go to a URL of the device.

use super::super::{Place, SecretRef, Section, Settings, TimeSpan};
use super::pattern;
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, ErrorKind, UpdatePath};
use proofbench_drivers::Secret;
use proofbench_drivers::update::push::{Auth, Method, Pointers, PushSetup, is_pointer, open, url_trouble};
use serde::Deserialize;
use std::time::Duration;
use toml::Spanned;

/// How long an image may take.
const WITHIN: Duration = Duration::from_secs(120);
const WITHIN_MOST: Duration = Duration::from_secs(3600);
/// Longest file of certificates.
const TRUSTED_MOST: u64 = 1 << 20;

/// A device with a URL for images.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    /// Where images go.
    pub url: String,
    /// How.
    pub method: Method,
    /// Form field that takes the image.
    pub field: Option<String>,
    /// Name for basic authentication.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<SecretRef>,
    /// Bearer token.
    pub token: Option<SecretRef>,
    /// Status codes of success; none means any 2xx.
    pub success: Vec<u16>,
    /// A success whose text has this is none: a pattern.
    pub failure: Option<String>,
    /// Longest time.
    pub deadline: Duration,
    /// File of certificates to be trusted.
    pub ca: Option<String>,
    /// Where the device tells what it holds.
    pub state: Option<Pointers>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    url: Spanned<String>,
    method: Option<MethodWord>,
    field: Option<Spanned<String>>,
    user: Option<Spanned<String>>,
    password: Option<SecretRef>,
    token: Option<SecretRef>,
    success: Option<Spanned<Vec<u16>>>,
    failure: Option<Spanned<String>>,
    deadline: Option<Spanned<TimeSpan>>,
    ca: Option<Spanned<String>>,
    state: Option<Spanned<StateKeys>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum MethodWord {
    Post,
    Put,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct StateKeys {
    url: Spanned<String>,
    images: Option<Spanned<String>>,
    version: Spanned<String>,
    hash: Option<Spanned<String>>,
    slot: Option<Spanned<String>>,
    active: Option<Spanned<String>>,
    confirmed: Option<Spanned<String>>,
    pending: Option<Spanned<String>>,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "url = \"http://192.0.2.7/update\"\nstate = { url = \"http://192.0.2.7/state\", version = \"/firmware/version\", hash = \"/firmware/sha256\" }";
}

/// Checks a URL. What is wrong is told at the driver, without the URL: somebody may have written a password into it.
fn url(section: &Section<'_>, value: &Spanned<String>, ca: bool) -> Result<String, RigFileError> {
    let text = value.get_ref();
    if let Some(why) = url_trouble(text) {
        return Err(section.wrong(format!("no URL of a device: {why}"), &["http://192.0.2.7/update"]));
    }
    if text.starts_with("https:") && !ca {
        return Err(section.wrong("https needs the certificate that is to be trusted", &["ca = \"device.pem\""]));
    }
    Ok(text.clone())
}

impl Push {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        let has_ca = keys.ca.is_some();
        match (&keys.user, &keys.password, &keys.token) {
            (Some(_), Some(_), None) | (None, None, _) => {}
            (Some(user), _, Some(_)) => return Err(section.error(user.span(), "either user and password, or a token", &["one of the two"])),
            (Some(user), None, _) => return Err(section.error(user.span(), "a user has a password", &["password = { env = \"NAME\" }"])),
            (None, Some(_), _) => return Err(section.wrong("a password has a user", &["user = \"admin\""])),
        }
        if let Some(user) = &keys.user
            && user.get_ref().contains(':')
        {
            return Err(section.error(user.span(), "basic authentication has no colon in a user's name", &[]));
        }
        if let Some(field) = &keys.field
            && (field.get_ref().is_empty() || field.get_ref().chars().any(|c| c.is_control() || c == '"'))
        {
            return Err(section.error(field.span(), "no name of a form field", &["field = \"firmware\""]));
        }
        if let Some(success) = &keys.success
            && (success.get_ref().is_empty() || success.get_ref().iter().any(|s| !(200..300).contains(s)))
        {
            return Err(section.error(success.span(), "no status codes of success", &["some of 200 to 299, such as [200, 204]"]));
        }
        if let Some(ca) = &keys.ca
            && !keys.url.get_ref().starts_with("https:")
            && !keys.state.as_ref().is_some_and(|s| s.get_ref().url.get_ref().starts_with("https:"))
        {
            return Err(section.error(ca.span(), "no URL is https, so nothing reads this", &[]));
        }
        Ok(Self {
            url: url(section, &keys.url, has_ca)?,
            method: if matches!(keys.method, Some(MethodWord::Put)) { Method::Put } else { Method::Post },
            field: keys.field.map(Spanned::into_inner),
            user: keys.user.map(Spanned::into_inner),
            password: keys.password,
            token: keys.token,
            success: keys.success.map(Spanned::into_inner).unwrap_or_default(),
            failure: keys.failure.map(|p| pattern(section, &p)).transpose()?,
            deadline: keys.deadline.map_or(Ok(WITHIN), |s| section.span(&s, WITHIN_MOST))?,
            ca: keys.ca.map(Spanned::into_inner),
            state: keys.state.map(|s| s.get_ref().read(section, has_ca)).transpose()?,
        })
    }

    pub(super) fn open(&self, place: &Place<'_>) -> Result<Box<dyn UpdatePath>, ChannelError> {
        let secret = |from: &SecretRef| from.read(place).map(Secret::new);
        let auth = match (&self.user, &self.password, &self.token) {
            (Some(user), Some(password), _) => Auth::Basic { user: user.clone(), password: secret(password)? },
            (_, _, Some(token)) => Auth::Bearer(secret(token)?),
            _ => Auth::None,
        };
        open(PushSetup {
            url: self.url.clone(),
            method: self.method,
            field: self.field.clone(),
            auth,
            success: self.success.clone(),
            failure: self.failure.as_deref().map(proofbench_drivers::update::pattern).transpose()?,
            within: self.deadline,
            state: self.state.clone(),
            trusted: self.ca.as_ref().map(|name| certificates(place, name)).transpose()?,
            time: place.time,
        })
    }
}

impl StateKeys {
    fn read(&self, section: &Section<'_>, ca: bool) -> Result<Pointers, RigFileError> {
        let pointer = |value: &Spanned<String>| {
            let text = value.get_ref();
            if is_pointer(text) { Ok(text.clone()) } else { Err(section.error(value.span(), "no JSON pointer", &["such as /firmware/version"])) }
        };
        let maybe = |value: &Option<Spanned<String>>| value.as_ref().map(pointer).transpose();
        Ok(Pointers {
            url: url(section, &self.url, ca)?,
            images: maybe(&self.images)?,
            version: pointer(&self.version)?,
            hash: maybe(&self.hash)?,
            slot: maybe(&self.slot)?,
            active: maybe(&self.active)?,
            confirmed: maybe(&self.confirmed)?,
            pending: maybe(&self.pending)?,
        })
    }
}

fn certificates(place: &Place<'_>, name: &str) -> Result<Vec<u8>, ChannelError> {
    let path = place.path(name);
    let failed = |why: String| ChannelError::caused(ErrorKind::Driver, format!("read the certificates in {}", path.display()), why);
    let length = std::fs::metadata(&path).map_err(|e| failed(e.to_string()))?.len();
    if length > TRUSTED_MOST {
        return Err(failed(format!("it has {length} bytes; at most {TRUSTED_MOST} are read")));
    }
    std::fs::read(&path).map_err(|e| failed(e.to_string()))
}
