//! Versions as the MCUboot header holds them.

use std::fmt;
use std::str::FromStr;

/// `major.minor.revision+build`. Ordered as MCUboot orders it: number by number, never as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version {
    /// First number.
    pub major: u8,
    /// Second number.
    pub minor: u8,
    /// Third number.
    pub revision: u16,
    /// Number after the plus sign.
    pub build: u32,
}

/// A text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no version; a valid one looks like `1.4.0+2` (the build number may be left out)")]
pub struct BadVersion(pub String);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}+{}", self.major, self.minor, self.revision, self.build)
    }
}

impl FromStr for Version {
    type Err = BadVersion;
    fn from_str(s: &str) -> Result<Self, BadVersion> {
        let bad = || BadVersion(s.to_owned());
        let number = |part: Option<&str>| -> Result<u32, BadVersion> {
            let part = part.ok_or_else(bad)?;
            // `u32::from_str` takes a leading plus sign, a version does not.
            if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
                return Err(bad());
            }
            part.parse().map_err(|_| bad())
        };
        let (dotted, build) = s.split_once('+').map_or((s, None), |(d, b)| (d, Some(b)));
        let mut parts = dotted.split('.');
        let version = Self {
            major: number(parts.next())?.try_into().map_err(|_| bad())?,
            minor: number(parts.next())?.try_into().map_err(|_| bad())?,
            revision: number(parts.next())?.try_into().map_err(|_| bad())?,
            build: build.map_or(Ok(0), |b| number(Some(b)))?,
        };
        if parts.next().is_some() { Err(bad()) } else { Ok(version) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("1.2.0", "1.2.0+0")]
    #[case("1.2.0+7", "1.2.0+7")]
    #[case("255.255.65535+4294967295", "255.255.65535+4294967295")]
    fn a_version_is_read_and_written(#[case] text: &str, #[case] full: &str) {
        assert_eq!(text.parse::<Version>().unwrap().to_string(), full);
    }

    #[rstest]
    #[case("")]
    #[case("1.2")]
    #[case("1.2.3.4")]
    #[case("256.0.0")]
    #[case("1.2.65536")]
    #[case("1.+2.3")]
    #[case("1.2.3+")]
    #[case("-1.2.3")]
    fn a_text_that_is_no_version_is_refused_by_name(#[case] text: &str) {
        assert_eq!(text.parse::<Version>(), Err(BadVersion(text.to_owned())));
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let v = |s: &str| s.parse::<Version>().unwrap();
        assert!(v("1.10.1") > v("1.9.0"));
        assert!(v("1.10.256") > v("1.10.1"));
        assert!(v("1.2.0+10") > v("1.2.0+9"));
    }
}
