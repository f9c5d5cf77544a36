//! Prose against binding: both say what the device does, one to a person and one to a rig. Where they can be seen to differ, one of them is wrong.
//!
//! Only plain statements are compared, and each rule prefers silence to a false alarm: a sentence that it does not understand is left to a person.

use super::place::{of_key, of_text, row_name, table_name};
use super::{Finding, Grade};
use proofbench_model::bind::TlsTerms;
use proofbench_model::catalogue::Catalogue;
use proofbench_model::dossier::{Dossier, DossierFiles, Row};
use regex::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// What a rule found: field of the prose, what it says, what the binding says and under which key.
struct Differs {
    field: &'static str,
    prose: String,
    key: &'static str,
    binding: String,
}

type Rule = fn(&Row) -> Vec<Differs>;

/// Table and rule.
const RULES: &[(u8, Rule)] = &[
    (1, tries),
    (1, lock_length),
    (7, way),
    (7, downgrade),
    (10, scheme),
    (11, tls),
    (11, ports),
    (13, ports),
    (13, transport),
    (13, guard),
    (15, status),
    (15, debug_interface),
];

/// All rows with a binding, rule by rule, and what the identification says beside the tables.
pub(super) fn against_bindings(catalogue: &Catalogue, files: &DossierFiles, dossier: &Dossier) -> Vec<Finding> {
    let mut out = Vec::new();
    for (table, rule) in RULES {
        for row in dossier.ixit.rows(*table) {
            out.extend(rule(row).into_iter().map(|d| Finding {
                grade: Grade::Disagrees,
                file: files.ixit.name.clone(),
                line: of_key(&files.ixit, row.line, d.field),
                table: table_name(catalogue, *table),
                row: row_name(catalogue, row),
                field: d.field.to_owned(),
                problem: format!("the prose says {}, the binding {}", d.prose, d.binding),
                valid: format!("prose and `bind.{}` that say the same", d.key),
            }));
        }
    }
    out.extend(identification(catalogue, files, dossier));
    out
}

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("a constant of this file, and a test uses it")
}

static PORT: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)\b(?:ports?|tcp/|udp/)\s*(\d{1,5})\b"));
static TLS: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)\b(?:TLS|HTTPS)\b"));
static TLS_VERSIONS: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?i)\bTLS\s*v?1\.[0-3](?:\s*(?:,|/|\+|or|and|to)\s*(?:TLS\s*)?v?1\.[0-3])*(?:\s*(?:\+|or|and)\s*(?:newer|later|higher|above|up))?")
});
static ONE_POINT: LazyLock<Regex> = LazyLock::new(|| regex(r"1\.[0-3]"));
static NEGATED: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)\b(?:no|not|never|without|below|nor|refuses?|instead of)\W+(?:\w+\W+){0,1}$"));
static TRIES: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(\d+|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty)\s+(?:consecutive\s+)?(?:wrong|failed|incorrect|unsuccessful|false)\b",
    )
});
static LENGTH: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)\b(\d+)\s*(ms|milliseconds?|s|secs?|seconds?|min|minutes?|h|hours?)\b"));
static TRANSPORT: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)\b(tcp|udp)\b"));

/// Whether what stands at `at` of the text is said not to be.
fn negated(text: &str, at: usize) -> bool {
    NEGATED.is_match(text.get(..at).unwrap_or_default())
}

fn says(text: &str, words: &[&str]) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    words.iter().find(|w| lower.find(**w).is_some_and(|at| !negated(&lower, at))).map(|w| format!("`{w}`"))
}

fn tls(row: &Row) -> Vec<Differs> {
    let Some(bind) = row.com() else { return Vec::new() };
    let mut out = Vec::new();
    for field in ["description", "cryptographic-details"] {
        let text = row.field(field).unwrap_or_default();
        let found = TLS.find_iter(text).find(|m| !negated(text, m.start()));
        match (&bind.tls, found) {
            (None, Some(word)) => out.push(Differs {
                field,
                prose: format!("`{}`", word.as_str()),
                key: "tls",
                binding: format!("that port {} speaks without TLS", bind.port),
            }),
            (Some(terms), _) => out.extend(versions(field, text, terms)),
            (None, None) => {}
        }
    }
    let details = row.field("cryptographic-details").unwrap_or_default().trim().to_ascii_lowercase();
    if let Some(terms) = bind.tls.as_ref().filter(|_| ["none", "plain", "unencrypted", "no encryption"].iter().any(|w| details.starts_with(w))) {
        let binding = names(terms.keys().map(String::as_str));
        out.push(Differs { field: "cryptographic-details", prose: "that there is no protection".to_owned(), key: "tls", binding });
    }
    out
}

/// Versions that the prose names against those of the binding. A text that names none may refer to another row.
fn versions(field: &'static str, text: &str, terms: &TlsTerms) -> Option<Differs> {
    let mut named: BTreeSet<&str> = BTreeSet::new();
    let mut open = false;
    for found in TLS_VERSIONS.find_iter(text).filter(|m| !negated(text, m.start())) {
        let tail = found.as_str().to_ascii_lowercase();
        open |= ["newer", "later", "higher", "above", "up"].iter().any(|w| tail.ends_with(w)) || tail.contains(" to ");
        named.extend(ONE_POINT.find_iter(found.as_str()).map(|m| m.as_str()));
    }
    let bound: BTreeSet<&str> = terms.keys().filter_map(|k| ONE_POINT.find(k)).map(|m| m.as_str()).collect();
    let least = named.first().copied().unwrap_or_default();
    let agree = if open { bound.iter().all(|b| *b >= least) } else { named == bound };
    (!named.is_empty() && !agree).then(|| Differs {
        field,
        prose: format!("TLS {}{}", names(named.iter().copied()), if open { " or newer" } else { "" }),
        key: "tls",
        binding: format!("TLS {}", names(bound.iter().copied())),
    })
}

fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    all.collect::<Vec<_>>().join(", ")
}

fn ports(row: &Row) -> Vec<Differs> {
    let Some(port) = row.com().map(|b| b.port).or_else(|| row.serv().map(|b| b.port)) else { return Vec::new() };
    let text = row.field("description").unwrap_or_default();
    let named: BTreeSet<u32> = PORT.captures_iter(text).filter_map(|c| c[1].parse().ok()).collect();
    if named.is_empty() || named.contains(&u32::from(port)) {
        return Vec::new();
    }
    let named: Vec<String> = named.iter().map(u32::to_string).collect();
    vec![Differs { field: "description", prose: format!("port {}", named.join(", ")), key: "port", binding: format!("port {port}") }]
}

fn transport(row: &Row) -> Vec<Differs> {
    let Some(bind) = row.serv() else { return Vec::new() };
    let text = row.field("description").unwrap_or_default();
    let named: BTreeSet<String> = TRANSPORT.find_iter(text).map(|m| m.as_str().to_ascii_lowercase()).collect();
    match named.first() {
        Some(one) if named.len() == 1 && *one != bind.transport => {
            vec![Differs { field: "description", prose: one.to_ascii_uppercase(), key: "transport", binding: bind.transport.to_ascii_uppercase() }]
        }
        _ => Vec::new(),
    }
}

fn guard(row: &Row) -> Vec<Differs> {
    let Some(bind) = row.serv() else { return Vec::new() };
    let named = row.names("authentication-mechanism");
    let agree = match &bind.guard {
        Some(guard) => named.contains(&guard.as_str()),
        None => named.is_empty(),
    };
    let or_none = |text: String| if text.is_empty() { "that anybody may use it".to_owned() } else { text };
    if agree {
        return Vec::new();
    }
    let binding = or_none(bind.guard.clone().unwrap_or_default());
    vec![Differs { field: "authentication-mechanism", prose: or_none(named.join(", ")), key: "guard", binding }]
}

fn status(row: &Row) -> Vec<Differs> {
    let Some(bind) = row.intf() else { return Vec::new() };
    let text = row.field("status").unwrap_or_default().trim().to_ascii_lowercase();
    let open = ["login", "log-only", "enabled"].contains(&bind.declared.as_str());
    let differs = (text.starts_with("disabled") && open) || (text.starts_with("enabled") && bind.declared == "disabled");
    let prose = text.split_whitespace().next().unwrap_or_default().to_owned();
    differs.then(|| Differs { field: "status", prose, key: "declared", binding: bind.declared.clone() }).into_iter().collect()
}

fn debug_interface(row: &Row) -> Vec<Differs> {
    let Some(bind) = row.intf().filter(|b| b.channel == "debug-port") else { return Vec::new() };
    let text = row.field("debug-interface").unwrap_or_default().trim().to_ascii_lowercase();
    let binding = format!("channel {}", bind.channel);
    let differs = text.starts_with("no").then(|| Differs { field: "debug-interface", prose: "no".to_owned(), key: "channel", binding });
    differs.into_iter().collect()
}

fn scheme(row: &Row) -> Vec<Differs> {
    let Some(bind) = row.store() else { return Vec::new() };
    let text = row.field("protection-scheme").unwrap_or_default();
    let protected = says(text, &["encrypted", "sealed", "hashed", "secure element"]);
    let open = says(text, &["plain text", "plaintext", "unprotected", "unencrypted", "in the clear", "none"]);
    let prose = match (bind.scheme.as_str(), protected, open) {
        ("plain", Some(word), None) => word,
        ("sealed" | "hashed" | "secure-element", None, Some(word)) => word,
        _ => return Vec::new(),
    };
    vec![Differs { field: "protection-scheme", prose, key: "scheme", binding: bind.scheme.clone() }]
}

fn way(row: &Row) -> Vec<Differs> {
    let Some(bind) = row.upd() else { return Vec::new() };
    let text = row.field("description").unwrap_or_default().to_ascii_lowercase();
    let not = text.contains("not network-based");
    let yes = !not && text.contains("network-based");
    match bind.via.as_str() {
        "server" if not => vec![Differs { field: "description", prose: "not network-based".to_owned(), key: "via", binding: bind.via.clone() }],
        "update-channel" if yes => vec![Differs { field: "description", prose: "network-based".to_owned(), key: "via", binding: bind.via.clone() }],
        _ => Vec::new(),
    }
}

fn downgrade(row: &Row) -> Vec<Differs> {
    let Some(bind) = row.upd().filter(|b| b.downgrade == "allowed") else { return Vec::new() };
    let found = ["security-guarantees", "cryptographic-details"].into_iter().find_map(|field| {
        let lower = row.field(field)?.to_ascii_lowercase();
        let word = ["no older version", "no downgrade", "anti-rollback", "rollback protection", "downgrade protection"]
            .into_iter()
            .find(|w| lower.contains(w))?;
        Some(Differs { field, prose: format!("`{word}`"), key: "downgrade", binding: bind.downgrade.clone() })
    });
    found.into_iter().collect()
}

fn number(text: &str) -> Option<u32> {
    let words = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    let lower = text.to_ascii_lowercase();
    let named = words.iter().zip(2..).find(|(w, _)| **w == lower).map(|(_, n)| n);
    named.or(match lower.as_str() {
        "twelve" => Some(12),
        "fifteen" => Some(15),
        "twenty" => Some(20),
        digits => digits.parse().ok(),
    })
}

fn tries(row: &Row) -> Vec<Differs> {
    let Some(bound) = row.auth().and_then(|b| b.tries) else { return Vec::new() };
    let text = row.field("brute-force-prevention").unwrap_or_default();
    let named: BTreeSet<u32> = TRIES.captures_iter(text).filter_map(|c| number(&c[1])).collect();
    if named.is_empty() || named.contains(&bound) {
        return Vec::new();
    }
    let named: Vec<String> = named.iter().map(u32::to_string).collect();
    vec![Differs { field: "brute-force-prevention", prose: format!("{} wrong tries", named.join(", ")), key: "tries", binding: bound.to_string() }]
}

fn lock_length(row: &Row) -> Vec<Differs> {
    let Some(bound) = row.auth().and_then(|b| b.lockout_ms) else { return Vec::new() };
    let text = row.field("brute-force-prevention").unwrap_or_default();
    let ms = |c: regex::Captures<'_>| {
        let unit = match c[2].to_ascii_lowercase().as_str() {
            "ms" | "millisecond" | "milliseconds" => 1,
            u if u.starts_with('s') => 1_000,
            u if u.starts_with('m') => 60_000,
            _ => 3_600_000,
        };
        c[1].parse::<u64>().ok().and_then(|n| n.checked_mul(unit))
    };
    let named: BTreeSet<u64> = LENGTH.captures_iter(text).filter_map(ms).collect();
    if named.is_empty() || named.contains(&bound) {
        return Vec::new();
    }
    let named: Vec<String> = named.iter().map(|n| format!("{n} ms")).collect();
    vec![Differs { field: "brute-force-prevention", prose: named.join(", "), key: "lockout-ms", binding: format!("{bound} ms") }]
}

/// Model designation and delivered firmware, which stand in more than one place.
fn identification(catalogue: &Catalogue, files: &DossierFiles, dossier: &Dossier) -> Vec<Finding> {
    let mut out = Vec::new();
    let id = &dossier.device.identification;
    for row in dossier.ixit.rows(2) {
        let text = row.field("model-designation").unwrap_or_default();
        if !text.trim().is_empty() && !id.model.trim().is_empty() && !text.contains(id.model.trim()) {
            out.push(Finding {
                grade: Grade::Disagrees,
                file: files.ixit.name.clone(),
                line: of_key(&files.ixit, row.line, "model-designation"),
                table: table_name(catalogue, 2),
                row: String::new(),
                field: "model-designation".to_owned(),
                problem: format!("does not name the model of the identification, `{}`", id.model),
                valid: "the same model in device.toml and here".to_owned(),
            });
        }
    }
    let bound: Vec<&str> = dossier.ixit.rows(7).iter().filter_map(Row::upd).flat_map(|b| b.images.iter().map(|i| i.version.as_str())).collect();
    let bare = |v: &str| v.split('+').next().unwrap_or_default().to_owned();
    if !bound.is_empty() && !bound.iter().any(|v| bare(v) == bare(&id.firmware)) {
        out.push(Finding {
            grade: Grade::Disagrees,
            file: files.device.name.clone(),
            line: of_text(&files.device, "firmware"),
            table: "identification".to_owned(),
            row: String::new(),
            field: "firmware".to_owned(),
            problem: format!("the delivered version `{}` is not among the images of 7-UpdMech", id.firmware),
            valid: names(bound.into_iter()),
        });
    }
    out
}
