//! What is wrong with a rig file, told so that it can be put right without reading this program.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use toml::Spanned;

/// A mistake in a rig file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RigFileError {
    /// The file, as it was named.
    pub file: String,
    /// 1 for the first.
    pub line: usize,
    /// 1 for the first; counted in characters.
    pub column: usize,
    /// What stands there.
    pub found: String,
    /// What is wrong with it.
    pub problem: String,
    /// What would be valid.
    pub valid: Vec<String>,
}

impl fmt::Display for RigFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.found.is_empty() {
            write!(f, "`{}`: ", self.found)?;
        }
        f.write_str(&self.problem)?;
        if !self.valid.is_empty() {
            write!(f, "; valid: {}", self.valid.join(", "))?;
        }
        Ok(())
    }
}

impl std::error::Error for RigFileError {}

/// Why a rig could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum RigError {
    /// The rig file cannot be read.
    #[error("read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The rig file is wrong.
    #[error(transparent)]
    File(#[from] RigFileError),
    /// The dossier cannot be read.
    #[error("read the dossier: {}: {source}", path.display())]
    DossierRead {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The dossier is wrong.
    #[error(transparent)]
    Dossier(#[from] proofbench_model::dossier::DossierErrors),
    /// The dossier does not say which image the device was delivered with.
    #[error("{}", .0)]
    Delivered(String),
    /// A channel cannot be opened.
    #[error("open [{section}]: {source}")]
    Open {
        /// Section of the rig file.
        section: &'static str,
        /// Why.
        source: proofbench_channel::ChannelError,
    },
    /// The rig is taken or its lease cannot be written.
    #[error(transparent)]
    Lease(#[from] crate::lease::LeaseError),
}

/// A file's name and text, to say where things stand.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub name: String,
    pub text: String,
}

impl Source {
    /// Checks that every `{...}` of a value is a placeholder that this value may have.
    pub fn placeholders(&self, value: &Spanned<String>, valid: &[&str]) -> Result<String, RigFileError> {
        let text = value.get_ref();
        let mut rest = text.as_str();
        while let Some(open) = rest.find('{') {
            let end = rest[open..].find('}').map_or(rest.len(), |n| open + n + 1);
            if !valid.contains(&&rest[open..end]) {
                return Err(self.error(value.span(), format!("unknown placeholder {}", &rest[open..end]), valid));
            }
            rest = &rest[end..];
        }
        Ok(text.clone())
    }

    /// An error at a place.
    pub fn error(&self, span: Range<usize>, problem: impl Into<String>, valid: &[&str]) -> RigFileError {
        let at = span.start.min(self.text.len());
        let before = self.text.get(..at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        let found = self.text.get(span).unwrap_or_default().lines().next().unwrap_or_default().trim();
        RigFileError {
            file: self.name.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            found: found.trim_matches('"').chars().take(80).collect(),
            problem: problem.into(),
            valid: valid.iter().map(|s| (*s).to_owned()).collect(),
        }
    }
}
