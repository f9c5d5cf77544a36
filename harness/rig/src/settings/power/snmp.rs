//! `driver = "snmp"`: an outlet of a power distribution unit.

use super::super::{Place, SecretRef, Section, Settings, TimeSpan};
use super::{off_min, supply};
use crate::error::RigFileError;
use proofbench_channel::{ChannelError, Power};
use proofbench_drivers::Secret;
use proofbench_drivers::power::snmp::{Access, Cipher, Digest, SnmpSetup, V3, families, open};
use serde::{Deserialize, Deserializer, de};
use std::fmt;
use std::time::Duration;
use toml::Spanned;

/// A supply by SNMP.
#[derive(Debug, Clone, PartialEq)]
pub struct Snmp {
    /// `host:port`
    pub address: String,
    /// Name of the family.
    pub family: String,
    /// The outlet, or all indices of the family's table.
    pub outlet: Vec<u32>,
    /// Version and who asks.
    pub asks: Asks,
    /// Off time.
    pub off_min: Duration,
}

/// Version and who asks, with the places of the secrets.
#[derive(Debug, Clone, PartialEq)]
pub enum Asks {
    /// Version 1 with this community.
    V1(Community),
    /// Version 2c with this community.
    V2c(Community),
    /// Version 3.
    V3 {
        /// User.
        user: String,
        /// How requests are signed.
        auth: Option<(Digest, SecretRef)>,
        /// How they are encrypted.
        privacy: Option<(Cipher, SecretRef)>,
    },
}

/// A community. It may stand in the rig file, for `public` is no secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Community {
    /// In this environment variable.
    Env(String),
    /// In this file.
    File(String),
    /// This text.
    Value(String),
}

impl Community {
    fn read(&self, place: &Place<'_>) -> Result<Secret, ChannelError> {
        match self {
            Self::Env(name) => SecretRef::Env(name.clone()).read(place).map(Secret::new),
            Self::File(name) => SecretRef::File(name.clone()).read(place).map(Secret::new),
            Self::Value(text) => Ok(Secret::new(text)),
        }
    }
}

/// `3`, or all indices of a table: `"2.1.3"`.
struct Outlet(Vec<u32>);

impl<'de> Deserialize<'de> for Outlet {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl de::Visitor<'_> for Either {
            type Value = Outlet;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the number of an outlet, such as 3, or all indices of its table, such as \"2.1.3\"")
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Outlet, E> {
                u32::try_from(n).map(|n| Outlet(vec![n])).map_err(|_| E::invalid_value(de::Unexpected::Signed(n), &self))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Outlet, E> {
                let all: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
                all.map(Outlet).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        from.deserialize_any(Either)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    address: Spanned<String>,
    family: Spanned<String>,
    outlet: Spanned<Outlet>,
    version: Option<Spanned<String>>,
    community: Option<Spanned<Community>>,
    user: Option<Spanned<String>>,
    auth: Option<Spanned<Digest>>,
    auth_password: Option<Spanned<SecretRef>>,
    privacy: Option<Spanned<Cipher>>,
    privacy_password: Option<Spanned<SecretRef>>,
    off_min: Option<Spanned<TimeSpan>>,
}

impl Settings for Keys {
    const EXAMPLE: &'static str = "address = \"192.0.2.7:161\"\nfamily = \"apc-rpdu2\"\noutlet = 3\ncommunity = { env = \"PDU_COMMUNITY\" }";
}

impl Snmp {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, RigFileError> {
        let keys: Keys = section.settings()?;
        let Some(family) = families().iter().find(|f| f.name == *keys.family.get_ref()) else {
            let valid: Vec<&str> = families().iter().map(|f| f.name.as_str()).collect();
            return Err(section.error(keys.family.span(), "no family of PDUs", &valid));
        };
        let outlet = &keys.outlet.get_ref().0;
        if family.index(outlet).is_err() {
            let all = format!("a number, or {} numbers in quotation marks with points between them", family.before.len() + 1);
            return Err(section.error(keys.outlet.span(), format!("no outlet of the family `{}`", family.name), &[&all]));
        }
        Ok(Self {
            address: section.address(&keys.address)?,
            family: family.name.clone(),
            outlet: outlet.clone(),
            asks: Asks::read(section, &keys)?,
            off_min: off_min(section, keys.off_min)?,
        })
    }

    pub(super) fn open(&self, place: &Place<'_>) -> Result<Box<dyn Power>, ChannelError> {
        let (address, family, outlet) = (self.address.clone(), self.family.clone(), self.outlet.clone());
        open(SnmpSetup { address, access: self.asks.access(place)?, family, outlet, supply: supply(place, self.off_min) })
    }
}

impl Asks {
    fn read(section: &Section<'_>, keys: &Keys) -> Result<Self, RigFileError> {
        let version = keys.version.as_ref().map_or("2c", |v| v.get_ref().as_str());
        let unused = |used: &[Option<(&str, std::ops::Range<usize>)>]| match used.iter().flatten().next() {
            Some((key, span)) => Err(section.error(span.clone(), format!("version {version} does not use `{key}`"), &[])),
            None => Ok(()),
        };
        let spans = |key: &'static str, span: Option<std::ops::Range<usize>>| span.map(|span| (key, span));
        match version {
            "1" | "2c" => {
                unused(&[
                    spans("user", keys.user.as_ref().map(Spanned::span)),
                    spans("auth", keys.auth.as_ref().map(Spanned::span)),
                    spans("auth-password", keys.auth_password.as_ref().map(Spanned::span)),
                    spans("privacy", keys.privacy.as_ref().map(Spanned::span)),
                    spans("privacy-password", keys.privacy_password.as_ref().map(Spanned::span)),
                ])?;
                let Some(community) = &keys.community else {
                    return Err(section.wrong(format!("version {version} needs `community`"), &["community = { env = \"PDU_COMMUNITY\" }"]));
                };
                let community = community.get_ref().clone();
                Ok(if version == "1" { Self::V1(community) } else { Self::V2c(community) })
            }
            "3" => {
                unused(&[spans("community", keys.community.as_ref().map(Spanned::span))])?;
                let Some(user) = &keys.user else { return Err(section.wrong("version 3 needs `user`", &["user = \"bench\""])) };
                let auth = pair(section, &keys.auth, &keys.auth_password, "auth", Digest::Sha256)?;
                let privacy = pair(section, &keys.privacy, &keys.privacy_password, "privacy", Cipher::Aes128)?;
                if let (None, Some(password)) = (&auth, &keys.privacy_password) {
                    return Err(section.error(password.span(), "privacy needs authentication", &["auth-password = { env = \"PDU_AUTH\" }"]));
                }
                Ok(Self::V3 { user: user.get_ref().clone(), auth, privacy })
            }
            _ => Err(section.error(keys.version.as_ref().map(Spanned::span).unwrap_or_default(), "no version of SNMP", &["1", "2c", "3"])),
        }
    }

    fn access(&self, place: &Place<'_>) -> Result<Access, ChannelError> {
        Ok(match self {
            Self::V1(community) => Access::V1(community.read(place)?),
            Self::V2c(community) => Access::V2c(community.read(place)?),
            Self::V3 { user, auth, privacy } => Access::V3(V3 {
                user: user.clone(),
                auth: auth.as_ref().map(|(digest, secret)| secret.read(place).map(|s| (*digest, Secret::new(s)))).transpose()?,
                privacy: privacy.as_ref().map(|(cipher, secret)| secret.read(place).map(|s| (*cipher, Secret::new(s)))).transpose()?,
            }),
        })
    }
}

/// A protocol and its password: neither, the password with the usual protocol, or both.
fn pair<T: Copy>(
    section: &Section<'_>,
    protocol: &Option<Spanned<T>>,
    password: &Option<Spanned<SecretRef>>,
    key: &str,
    usual: T,
) -> Result<Option<(T, SecretRef)>, RigFileError> {
    match (protocol, password) {
        (None, None) => Ok(None),
        (protocol, Some(password)) => Ok(Some((protocol.as_ref().map_or(usual, |p| *p.get_ref()), password.get_ref().clone()))),
        (Some(protocol), None) => {
            let example = format!("{key}-password = {{ env = \"PDU_{}\" }}", key.to_uppercase());
            Err(section.error(protocol.span(), format!("`{key}` needs `{key}-password`"), &[&example]))
        }
    }
}
