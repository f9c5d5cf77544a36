//! Values that several drivers have: spans of time and secrets by reference.

use super::Place;
use proofbench_channel::{ChannelError, ErrorKind};
use serde::{Deserialize, Deserializer, de};
use std::fmt;
use std::time::Duration;

/// Longest span of time that a rig file may ask for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Longest secret that is read from a file.
const SECRET_MOST: u64 = 4096;

/// A span of time as people write it: `250ms`, `2s`, `1m 30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan(pub Duration);

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let span = text.parse::<jiff::SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok());
        span.filter(|d| *d <= LONGEST)
            .map(TimeSpan)
            .ok_or_else(|| de::Error::custom("no span of time, such as \"250ms\", \"2s\" or \"1m 30s\", at most 24 h"))
    }
}

/// A number of bytes as people write it: `4194304`, `"512KiB"`, `"4MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteCount(pub u64);

impl<'de> Deserialize<'de> for ByteCount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl de::Visitor<'_> for Either {
            type Value = ByteCount;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of bytes, such as 65536, \"512KiB\" or \"4MiB\"")
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<ByteCount, E> {
                u64::try_from(n).map(ByteCount).map_err(|_| E::invalid_value(de::Unexpected::Signed(n), &self))
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<ByteCount, E> {
                Ok(ByteCount(n))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteCount, E> {
                let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)];
                let found = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
                let count = found.and_then(|(n, factor)| n.trim_end().parse::<u64>().ok()?.checked_mul(*factor));
                count.map(ByteCount).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        from.deserialize_any(Either)
    }
}

/// What is wrong with a secret that is written where it should only be referred to.
pub(super) const SECRET_WRITTEN: &str = "a secret does not stand in the rig file itself";

/// Where a secret is to be had. It never stands in the rig file itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// In this environment variable.
    Env(String),
    /// In this file, relative to the rig file; one line end at its end does not count.
    File(String),
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        enum Written {
            Env(String),
            File(String),
        }
        struct Table;
        impl<'de> de::Visitor<'de> for Table {
            type Value = SecretRef;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("{ env = \"NAME\" } or { file = \"path\" }")
            }
            fn visit_str<E: de::Error>(self, _: &str) -> Result<SecretRef, E> {
                Err(E::custom(SECRET_WRITTEN))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<SecretRef, A::Error> {
                Written::deserialize(de::value::MapAccessDeserializer::new(map)).map(|written| match written {
                    Written::Env(name) => SecretRef::Env(name),
                    Written::File(name) => SecretRef::File(name),
                })
            }
        }
        from.deserialize_any(Table)
    }
}

impl SecretRef {
    /// The secret. It goes into no message.
    pub(crate) fn read(&self, place: &Place<'_>) -> Result<String, ChannelError> {
        let failed = |doing: String, why: String| ChannelError::caused(ErrorKind::Driver, doing, why);
        match self {
            SecretRef::Env(name) => {
                std::env::var(name).map_err(|_| failed(format!("read the secret in ${name}"), "it is not set, or not text".to_owned()))
            }
            SecretRef::File(name) => {
                let path = place.path(name);
                let doing = || format!("read the secret in {}", path.display());
                let length = std::fs::metadata(&path).map_err(|e| failed(doing(), e.to_string()))?.len();
                if length > SECRET_MOST {
                    return Err(failed(doing(), format!("it has {length} bytes; at most {SECRET_MOST} are read")));
                }
                let text = std::fs::read_to_string(&path).map_err(|e| failed(doing(), e.to_string()))?;
                Ok(text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(&text).to_owned())
            }
        }
    }
}
