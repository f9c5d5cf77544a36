//! What is left of TLS below 1.2, and of suites that the library does not know: enough to be seen offering and taking them, and not enough to be spoken
//!
//! A unit that offers nothing but old versions says its hello, looks for an answer, and finds nothing in common. A port that takes an old version answers
//! such a hello with a ServerHello, and that is all. A suite that the library does not know stands in hellos under its number; whoever chooses it gets a
//! connection on which nothing can be read. A unit that offers old versions beside new ones says a hello with all of them first ([`hello_beside`]); nobody
//! can go on from it here, so it connects once more, and that hello has the new ones only.

use proofbench_emulator::net::{ServerTls, TlsTerms, TlsVersion};
use rustls::crypto::ring::{self, cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256};
use rustls::{CipherSuite, CipherSuiteCommon, SupportedCipherSuite, Tls12CipherSuite};
use std::sync::LazyLock;

/// Records and messages: handshake, ClientHello, ServerHello.
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
/// Bytes of a hello that are looked at.
pub const HELLO_MOST: usize = 4096;

/// Suites that the library cannot do, by their IANA names.
const NUMBERS: [(&str, u16); 3] =
    [("TLS_RSA_WITH_AES_128_CBC_SHA", 0x002F), ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", 0xC009), ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", 0xC023)];

/// A suite of TLS 1.2 in name only.
static NAME_ONLY: LazyLock<Option<Tls12CipherSuite>> = LazyLock::new(|| {
    let SupportedCipherSuite::Tls12(like) = TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 else { return None };
    let common = CipherSuiteCommon {
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
        hash_provider: like.common.hash_provider,
        confidentiality_limit: like.common.confidentiality_limit,
    };
    Some(Tls12CipherSuite { common, prf_provider: like.prf_provider, kx: like.kx, sign: like.sign, aead_alg: like.aead_alg })
});

/// The suite of TLS 1.2 with this name, in name only.
pub fn name_only(name: &str) -> Option<SupportedCipherSuite> {
    let suite = NAME_ONLY.as_ref().filter(|s| s.common.suite.as_str() == Some(name))?;
    Some(SupportedCipherSuite::Tls12(suite))
}

/// The newest of the old versions in these terms, and the numbers of its suites.
fn newest(terms: &TlsTerms) -> Option<(u8, Vec<u16>)> {
    let (version, names) = terms.iter().rev().find(|(v, _)| *v < TlsVersion::Tls12)?;
    let number = |name: &&str| NUMBERS.iter().find(|(n, _)| n == name).map(|(_, number)| *number);
    Some((minor_of(*version), names.iter().filter_map(number).collect()))
}

/// The hello of a client that offers old versions only.
pub fn hello(terms: &TlsTerms, host: Option<&str>) -> Option<Vec<u8>> {
    let (minor, suites) = newest(terms)?;
    let named = host.filter(|_| minor > 0).map(server_name).unwrap_or_default();
    Some(record(minor, CLIENT_HELLO, &client_hello(minor, &suites, &named)))
}

/// The hello of a client that offers old versions beside new ones: all versions and the suites of all of them, `known` being the numbers of the new ones
/// (RFC 8446, 4.2.1: versions from 1.3 down are offered by `supported_versions`). None where there is nothing old, or nothing new.
pub fn hello_beside(terms: &TlsTerms, known: &[u16], host: Option<&str>) -> Option<Vec<u8>> {
    let (_, old) = newest(terms)?;
    let versions: Vec<u8> = terms.iter().rev().flat_map(|(v, _)| [3, minor_of(*v)]).collect();
    let new = terms.iter().any(|(v, _)| *v >= TlsVersion::Tls12) && !known.is_empty();
    let list = [&[u8::try_from(versions.len()).ok()?][..], &versions].concat();
    let offered = [&[0, 43][..], &long(&list)].concat();
    let extensions = [host.map(server_name).unwrap_or_default(), offered].concat();
    new.then(|| record(1, CLIENT_HELLO, &client_hello(minor_of(TlsVersion::Tls12), &[known, &old].concat(), &extensions)))
}

fn minor_of(version: TlsVersion) -> u8 {
    match version {
        TlsVersion::Ssl30 => 0,
        TlsVersion::Tls10 => 1,
        TlsVersion::Tls11 => 2,
        TlsVersion::Tls12 => 3,
        TlsVersion::Tls13 => 4,
    }
}

/// A ClientHello without its head; no extensions are none at all.
fn client_hello(minor: u8, suites: &[u16], extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, minor];
    body.extend(random());
    body.push(0);
    let numbers: Vec<u8> = suites.iter().flat_map(|s| s.to_be_bytes()).collect();
    body.extend(long(&numbers));
    body.extend([1, 0]);
    if !extensions.is_empty() {
        body.extend(long(extensions));
    }
    body
}

/// The extension that names the server (RFC 6066, 3).
fn server_name(host: &str) -> Vec<u8> {
    let name = long(&[&[0], &long(host.as_bytes())[..]].concat());
    [&[0, 0], &long(&name)[..]].concat()
}

/// Whether a port takes any old version, so that its callers' hellos are to be looked at first.
pub fn takes_any(tls: &ServerTls) -> bool {
    newest(&tls.terms).is_some()
}

/// What is made of the beginning of a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// Not enough to tell.
    More,
    /// The library's.
    New,
    /// A hello of an old version that is taken, and the answer to it.
    Old(Vec<u8>),
}

/// Looks at the beginning of a caller's hello.
pub fn hear(tls: &ServerTls, bytes: &[u8]) -> Heard {
    let Some((minor, taken)) = newest(&tls.terms) else { return Heard::New };
    if bytes.first().is_some_and(|b| *b != HANDSHAKE) {
        return Heard::New;
    }
    // Head of the record, head of the message, version, random; then the session and the suites.
    let Some(head) = bytes.get(..44) else { return if bytes.len() < HELLO_MOST { Heard::More } else { Heard::New } };
    if head[5] != CLIENT_HELLO || head[9] != 3 || head[10] > minor {
        return Heard::New;
    }
    let at = 44 + usize::from(head[43]);
    let length = |b: &[u8]| usize::from(u16::from_be_bytes([b[0], b[1]]));
    let Some(offered) = bytes.get(at..at + 2).map(length).and_then(|n| bytes.get(at + 2..at + 2 + n)) else {
        return if bytes.len() < HELLO_MOST { Heard::More } else { Heard::New };
    };
    let offers = |suite: &&u16| offered.as_chunks::<2>().0.contains(&suite.to_be_bytes());
    let Some(suite) = taken.iter().find(offers).filter(|_| head[10] == minor) else { return Heard::New };
    let mut body = vec![3, minor];
    body.extend(random());
    body.push(0);
    body.extend(suite.to_be_bytes());
    body.push(0);
    Heard::Old(record(minor, SERVER_HELLO, &body))
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    // Nothing is kept secret by it: no handshake of this kind comes to an end.
    let _ = ring::default_provider().secure_random.fill(&mut bytes);
    bytes
}

/// A message in its record.
fn record(minor: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let message = [&[kind, 0], &long(body)[..]].concat();
    [&[HANDSHAKE, 3, minor.min(1)], &long(&message)[..]].concat()
}

/// Bytes behind their length in two bytes; never longer here.
fn long(bytes: &[u8]) -> Vec<u8> {
    let mut all = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    all.extend(bytes);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hellos_of_the_old_version_with_a_known_suite_are_answered() {
        let terms = |name| vec![(TlsVersion::Tls10, vec![name]), (TlsVersion::Tls12, vec!["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"])];
        let port = |name| ServerTls { terms: terms(name), subject: "TH1-1".to_owned(), key: [1; 32] };
        let old = hello(&terms(NUMBERS[1].0), Some("a.example")).unwrap();
        assert!(matches!(hear(&port(NUMBERS[1].0), &old), Heard::Old(answer) if answer[5] == SERVER_HELLO && answer[10] == 1));
        assert_eq!(hear(&port(NUMBERS[0].0), &old), Heard::New);
        let mut new = old.clone();
        new[10] = 3;
        assert_eq!(hear(&port(NUMBERS[1].0), &new), Heard::New);
        for n in 0..45 {
            assert_eq!(hear(&port(NUMBERS[1].0), &old[..n]), Heard::More);
        }
        assert_eq!(hear(&port(NUMBERS[1].0), b"GET /"), Heard::New);
    }
}
