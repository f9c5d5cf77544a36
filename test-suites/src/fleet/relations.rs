//! Whether secrets follow from what anybody can see. Nothing here proves that a secret is good: it finds the ways in which makers were found to derive them.

use base64::Engine;
use md5::Md5;
use proofbench_channel::fleet::UnitLabel;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Common part that counts as taken from an identifier. Five symbols meet by chance in one of a million labels.
const PIECE: usize = 5;

/// What is wrong with a set of labels, in words; empty if nothing was found. `chance` is how many symbols are declared to be drawn by chance.
pub(super) fn relations(labels: &[UnitLabel], chance: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut by_secret: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    labels.iter().for_each(|l| by_secret.entry(&l.secret).or_default().push(&l.serial));
    let same: Vec<String> = by_secret.values().filter(|s| s.len() > 1).map(|s| s.join(" = ")).collect();
    if !same.is_empty() {
        wrong.push(format!("the same secret on {}", same.join(", ")));
    }
    // What holds for one unit may be chance; what holds for half of them is how they are made.
    let half = labels.len().div_ceil(2).max(2);
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for label in labels {
        let of_this: BTreeSet<String> = derived(label).into_iter().collect();
        of_this.into_iter().for_each(|how| *found.entry(how).or_default() += 1);
    }
    wrong.extend(found.into_iter().filter(|(_, n)| *n >= half).map(|(how, n)| format!("{how} ({n} of {} units)", labels.len())));
    if let Some(how) = counts(labels) {
        wrong.push(how);
    }
    // With few units a symbol may be alike by chance.
    let varying = varying(labels);
    if labels.len() >= 8 && varying < chance {
        wrong.push(format!("{varying} of {chance} symbols differ from unit to unit"));
    }
    wrong
}

/// Letters and digits only, small.
fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Ways in which the secret of one label follows from its public identifiers.
fn derived(label: &UnitLabel) -> Vec<String> {
    let secret = plain(&label.secret);
    let mut ids: Vec<(&str, &str)> = vec![("serial", &label.serial)];
    ids.extend(label.public.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    let mut out = Vec::new();
    for (name, id) in ids {
        let id_plain = plain(id);
        let back: String = id_plain.chars().rev().collect();
        let pieces = |text: &str| text.as_bytes().windows(PIECE).any(|w| secret.as_bytes().windows(PIECE).any(|s| s == w));
        if pieces(&id_plain) {
            out.push(format!("part of the {name} stands in the secret"));
        }
        if pieces(&back) {
            out.push(format!("part of the {name}, turned round, stands in the secret"));
        }
        let forms =
            [id.to_owned(), id.to_ascii_lowercase(), id.to_ascii_uppercase(), id_plain.clone(), id_plain.to_ascii_uppercase(), format!("{id}\n")];
        for form in forms {
            for (digest, bytes) in digests(&form) {
                if secret.len() >= PIECE && spellings(&bytes).iter().any(|(_, text)| text.contains(&secret)) {
                    out.push(format!("the secret is a cut of the {digest} of the {name}"));
                }
            }
        }
    }
    out
}

fn digests(text: &str) -> [(&'static str, Vec<u8>); 3] {
    [("MD5", Md5::digest(text).to_vec()), ("SHA-1", Sha1::digest(text).to_vec()), ("SHA-256", Sha256::digest(text).to_vec())]
}

/// A digest as products spell it, in small letters: hex, base64, and its bytes counted into an alphabet.
fn spellings(bytes: &[u8]) -> Vec<(&'static str, String)> {
    const DIGITS: &[u8] = b"0123456789";
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
    const BOTH: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    const TURNED: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let counted = |alphabet: &[u8]| bytes.iter().map(|b| char::from(alphabet[usize::from(*b) % alphabet.len()])).collect::<String>();
    vec![
        ("hex", bytes.iter().map(|b| format!("{b:02x}")).collect()),
        ("base64", plain(&base64::engine::general_purpose::STANDARD.encode(bytes))),
        ("digits", counted(DIGITS)),
        ("letters", counted(LETTERS)),
        ("digits and letters", counted(BOTH)),
        ("letters and digits", counted(TURNED)),
    ]
}

/// Whether the secrets count up or down with the serial numbers, in base 10, 16 or 36.
fn counts(labels: &[UnitLabel]) -> Option<String> {
    let mut sorted: Vec<&UnitLabel> = labels.iter().collect();
    sorted.sort_by(|a, b| a.serial.cmp(&b.serial));
    for base in [10u32, 16, 36] {
        let numbers: Option<Vec<i128>> = sorted.iter().map(|l| i128::from_str_radix(&plain(&l.secret), base).ok()).collect();
        let Some(numbers) = numbers else { continue };
        let steps: Vec<i128> = numbers.windows(2).map(|w| w[1] - w[0]).collect();
        // Far less than secrets drawn by chance are apart.
        let near = steps.iter().filter(|s| s.unsigned_abs() > 0 && s.unsigned_abs() < 10_000).count();
        if steps.len() >= 2 && near * 5 >= steps.len() * 4 {
            return Some(format!("the secrets count with the serial numbers, in base {base}"));
        }
    }
    None
}

/// Places at which the secrets are not all alike, separators left out.
fn varying(labels: &[UnitLabel]) -> usize {
    let plain: Vec<Vec<char>> = labels.iter().map(|l| l.secret.chars().filter(char::is_ascii_alphanumeric).collect()).collect();
    let longest = plain.iter().map(Vec::len).max().unwrap_or_default();
    (0..longest).filter(|at| plain.iter().map(|s| s.get(*at)).collect::<BTreeSet<_>>().len() > 1).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(secret: impl Fn(u32, &str) -> String) -> Vec<UnitLabel> {
        let label = |n: u32| {
            let mac = format!("02:74:68:31:00:{n:02x}");
            UnitLabel {
                serial: format!("XY7-{n:04}"),
                user: "admin".into(),
                secret: secret(n, &mac),
                public: BTreeMap::from([("mac".to_owned(), mac)]),
            }
        };
        (1..=20).map(label).collect()
    }
    fn drawn(n: u32) -> String {
        Sha256::digest(format!("chance {n}")).iter().take(12).map(|b| char::from(b"abcdefghjkmnpqrstuvwxyz23456789"[usize::from(*b) % 31])).collect()
    }
    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn secrets_drawn_by_chance_or_with_a_key_have_no_relation() {
        assert_eq!(relations(&fleet(|n, _| drawn(n)), 12), Vec::<String>::new());
        let keyed = fleet(|n, mac| hex(&Sha256::digest(format!("a key of the factory {mac} {n}")))[..12].to_owned());
        assert_eq!(relations(&keyed, 12), Vec::<String>::new());
    }

    #[test]
    fn each_known_way_to_derive_a_secret_is_found_and_named() {
        let found = |secret: &dyn Fn(u32, &str) -> String| relations(&fleet(secret), 12).join("; ");
        assert!(found(&|_, mac| mac.replace(':', "")).contains("part of the mac"));
        assert!(found(&|_, mac| mac.replace(':', "").chars().rev().collect()).contains("turned round"));
        assert!(found(&|n, _| format!("Xy7{:04}-{}", n, drawn(n))).contains("part of the serial"));
        assert!(found(&|n, _| hex(&Sha256::digest(format!("XY7-{n:04}")))[..12].to_owned()).contains("SHA-256 of the serial"));
        assert!(found(&|_, mac| hex(&Md5::digest(mac.to_ascii_uppercase()))[4..16].to_owned()).contains("MD5 of the mac"));
        assert!(found(&|_, mac| Sha1::digest(mac).iter().map(|b| char::from(b'0' + b % 10)).take(12).collect()).contains("SHA-1 of the mac"));
        assert!(found(&|n, _| format!("{}", 482_915_537_000_u64 + u64::from(n))).contains("count"));
        assert!(found(&|n, _| drawn(n % 16)).contains("the same secret"));
        assert!(found(&|n, _| format!("family-{:04}", (n * 7919) % 10_000)).contains("differ from unit to unit"));
    }

    #[test]
    fn one_unit_that_looks_like_it_is_chance() {
        let labels = fleet(|n, mac| if n == 3 { mac.replace(':', "") } else { drawn(n) });
        assert_eq!(relations(&labels, 12), Vec::<String>::new());
    }
}
