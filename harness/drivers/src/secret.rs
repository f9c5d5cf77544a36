//! A password on its way from the rig file to the peer: it can be used, not shown.

use std::fmt;

/// A password, a community string, a token. Neither `Debug` nor any description or error shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps this text from being shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_used_and_not_shown() {
        let secret = Some(Secret::new("hunter2"));
        assert_eq!(secret.as_ref().map(Secret::reveal), Some("hunter2"));
        assert!(!format!("{secret:?} {secret:#?}").contains("hunter"));
    }
}
