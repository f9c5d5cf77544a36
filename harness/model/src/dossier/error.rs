//! What is wrong with a dossier, told so that it can be put right without reading this program.

use std::fmt;

/// One mistake in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DossierError {
    /// The file.
    pub file: String,
    /// 1 for the first.
    pub line: usize,
    /// 1 for the first; counted in characters.
    pub column: usize,
    /// What stands there.
    pub found: String,
    /// What is wrong with it.
    pub problem: String,
    /// What would be valid, nearest first where the list is long.
    pub valid: Vec<String>,
}

impl fmt::Display for DossierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.found.is_empty() {
            write!(f, "`{}`: ", self.found)?;
        }
        f.write_str(&self.problem)?;
        match self.valid.as_slice() {
            [] => Ok(()),
            [one] => write!(f, "; valid: {one}"),
            many => write!(f, "; valid: {}", many.join(", ")),
        }
    }
}

impl std::error::Error for DossierError {}

/// All mistakes that were found, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DossierErrors(pub Vec<DossierError>);

impl fmt::Display for DossierErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for DossierErrors {}

/// The candidates nearest to `found`, at most `n`, nearest first; ties keep their order.
pub(super) fn nearest<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>, n: usize) -> Vec<String> {
    let mut scored: Vec<(usize, &str)> = candidates.into_iter().map(|c| (distance(found, c), c)).collect();
    scored.sort_by_key(|(d, _)| *d);
    scored.into_iter().take(n).map(|(_, c)| c.to_owned()).collect()
}

/// Levenshtein distance. The inputs are ids and keys; long texts are cut, since they are far from any id anyway.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().take(64).flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
