//! Names of the numbers of TLS, as IANA lists them, and text of an adversary made safe to print.
//!
//! Names of cipher suites come from rustls, which lists all that IANA has. A number without a name is told as a number, a GREASE value (RFC 8701) as such.

use rustls::CipherSuite;
use std::fmt::Write;

/// Most bytes of a device's text that are shown.
const SHOWN_MOST: usize = 256;

/// SSL 3.0.
pub const SSL_3_0: u16 = 0x0300;
/// TLS 1.0.
pub const TLS_1_0: u16 = 0x0301;
/// TLS 1.1.
pub const TLS_1_1: u16 = 0x0302;
/// TLS 1.2.
pub const TLS_1_2: u16 = 0x0303;
/// TLS 1.3.
pub const TLS_1_3: u16 = 0x0304;

/// Suites that were used before IANA gave numbers for them, and were in use.
const STRAY_SUITES: [(u16, &str); 3] = [
    (0xcc13, "OLD_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    (0xcc14, "OLD_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    (0xcc15, "OLD_TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
];

/// `TLS_EMPTY_RENEGOTIATION_INFO_SCSV`: a signal in the place of a suite.
pub(crate) const RENEGOTIATION_SCSV: u16 = 0x00ff;
/// `TLS_FALLBACK_SCSV`: likewise.
pub(crate) const FALLBACK_SCSV: u16 = 0x5600;

const GROUPS: [(u16, &str); 24] = [
    (19, "secp192r1"),
    (20, "secp224k1"),
    (21, "secp224r1"),
    (22, "secp256k1"),
    (23, "secp256r1"),
    (24, "secp384r1"),
    (25, "secp521r1"),
    (26, "brainpoolP256r1"),
    (27, "brainpoolP384r1"),
    (28, "brainpoolP512r1"),
    (29, "x25519"),
    (30, "x448"),
    (31, "brainpoolP256r1tls13"),
    (32, "brainpoolP384r1tls13"),
    (33, "brainpoolP512r1tls13"),
    (41, "curveSM2"),
    (256, "ffdhe2048"),
    (257, "ffdhe3072"),
    (258, "ffdhe4096"),
    (259, "ffdhe6144"),
    (260, "ffdhe8192"),
    (4587, "SecP256r1MLKEM768"),
    (4588, "X25519MLKEM768"),
    (4589, "SecP384r1MLKEM1024"),
];

const SCHEMES: [(u16, &str); 33] = [
    (0x0101, "rsa_pkcs1_md5"),
    (0x0201, "rsa_pkcs1_sha1"),
    (0x0202, "dsa_sha1"),
    (0x0203, "ecdsa_sha1"),
    (0x0301, "rsa_pkcs1_sha224"),
    (0x0302, "dsa_sha224"),
    (0x0303, "ecdsa_sha224"),
    (0x0401, "rsa_pkcs1_sha256"),
    (0x0402, "dsa_sha256"),
    (0x0403, "ecdsa_secp256r1_sha256"),
    (0x0501, "rsa_pkcs1_sha384"),
    (0x0502, "dsa_sha384"),
    (0x0503, "ecdsa_secp384r1_sha384"),
    (0x0601, "rsa_pkcs1_sha512"),
    (0x0602, "dsa_sha512"),
    (0x0603, "ecdsa_secp521r1_sha512"),
    (0x0708, "sm2sig_sm3"),
    (0x0804, "rsa_pss_rsae_sha256"),
    (0x0805, "rsa_pss_rsae_sha384"),
    (0x0806, "rsa_pss_rsae_sha512"),
    (0x0807, "ed25519"),
    (0x0808, "ed448"),
    (0x0809, "rsa_pss_pss_sha256"),
    (0x080a, "rsa_pss_pss_sha384"),
    (0x080b, "rsa_pss_pss_sha512"),
    (0x081a, "ecdsa_brainpoolP256r1tls13_sha256"),
    (0x081b, "ecdsa_brainpoolP384r1tls13_sha384"),
    (0x081c, "ecdsa_brainpoolP512r1tls13_sha512"),
    (0x0904, "mldsa44"),
    (0x0905, "mldsa65"),
    (0x0906, "mldsa87"),
    (0x0420, "rsa_pkcs1_sha256_legacy"),
    (0x0520, "rsa_pkcs1_sha384_legacy"),
];

const ALERTS: [(u8, &str); 35] = [
    (0, "close_notify"),
    (10, "unexpected_message"),
    (20, "bad_record_mac"),
    (21, "decryption_failed"),
    (22, "record_overflow"),
    (30, "decompression_failure"),
    (40, "handshake_failure"),
    (41, "no_certificate"),
    (42, "bad_certificate"),
    (43, "unsupported_certificate"),
    (44, "certificate_revoked"),
    (45, "certificate_expired"),
    (46, "certificate_unknown"),
    (47, "illegal_parameter"),
    (48, "unknown_ca"),
    (49, "access_denied"),
    (50, "decode_error"),
    (51, "decrypt_error"),
    (60, "export_restriction"),
    (70, "protocol_version"),
    (71, "insufficient_security"),
    (80, "internal_error"),
    (86, "inappropriate_fallback"),
    (90, "user_canceled"),
    (100, "no_renegotiation"),
    (109, "missing_extension"),
    (110, "unsupported_extension"),
    (111, "certificate_unobtainable"),
    (112, "unrecognized_name"),
    (113, "bad_certificate_status_response"),
    (114, "bad_certificate_hash_value"),
    (115, "unknown_psk_identity"),
    (116, "certificate_required"),
    (120, "no_application_protocol"),
    (121, "ech_required"),
];

/// Whether this number is one of those that clients send to see whether servers pass over what they do not know (RFC 8701).
pub fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// Name of a protocol version.
pub fn version(value: u16) -> String {
    match value {
        SSL_3_0 => "SSL 3.0".to_owned(),
        TLS_1_0 => "TLS 1.0".to_owned(),
        TLS_1_1 => "TLS 1.1".to_owned(),
        TLS_1_2 => "TLS 1.2".to_owned(),
        TLS_1_3 => "TLS 1.3".to_owned(),
        other => number(other),
    }
}

/// Name of a cipher suite.
pub fn suite(value: u16) -> String {
    known_suite(value).unwrap_or_else(|| number(value))
}

/// Name of a cipher suite, if it has one.
pub(super) fn known_suite(value: u16) -> Option<String> {
    let stray = || STRAY_SUITES.iter().find(|(v, _)| *v == value).map(|(_, name)| (*name).to_owned());
    // rustls marks the suites of TLS 1.3 as such; IANA does not.
    CipherSuite::from(value).as_str().map(|name| name.replacen("TLS13_", "TLS_", 1)).or_else(stray)
}

/// Name of a group for key exchange.
pub fn group(value: u16) -> String {
    of(&GROUPS, value)
}

/// Name of a signature algorithm.
pub fn scheme(value: u16) -> String {
    of(&SCHEMES, value)
}

/// Name of an alert.
pub fn alert(value: u8) -> String {
    ALERTS.iter().find(|(v, _)| *v == value).map_or_else(|| format!("alert {value}"), |(_, name)| (*name).to_owned())
}

fn of(table: &[(u16, &str)], value: u16) -> String {
    table.iter().find(|(v, _)| *v == value).map_or_else(|| number(value), |(_, name)| (*name).to_owned())
}

fn number(value: u16) -> String {
    if is_grease(value) { format!("GREASE({value:#06x})") } else { format!("{value:#06x}") }
}

/// Bytes of an adversary as text: escaped, in quotes, and cut.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in bytes.iter().take(SHOWN_MOST) {
        let _ = write!(text, "{}", byte.escape_ascii());
    }
    text.push('"');
    if bytes.len() > SHOWN_MOST {
        let _ = write!(text, " and {} bytes more", bytes.len() - SHOWN_MOST);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_names_of_iana() {
        assert_eq!(suite(0x1301), "TLS_AES_128_GCM_SHA256");
        assert_eq!(suite(0xc02f), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
        assert_eq!(suite(0x1a1a), "GREASE(0x1a1a)");
        assert_eq!(suite(0xc0fe), "0xc0fe");
        assert_eq!(group(29), "x25519");
        assert_eq!(scheme(0x0403), "ecdsa_secp256r1_sha256");
        assert_eq!(alert(48), "unknown_ca");
        assert_eq!(version(0x0304), "TLS 1.3");
    }

    #[test]
    fn only_the_sixteen_values_are_grease() {
        assert_eq!((0..=u16::MAX).filter(|v| is_grease(*v)).count(), 16);
        assert!(is_grease(0xfafa) && !is_grease(0x0a1a) && !is_grease(0x0a0b));
    }

    #[test]
    fn text_of_a_device_is_escaped_and_cut() {
        assert_eq!(shown(b"a\x1b[2J\""), r#""a\x1b[2J\"""#);
        assert!(shown(&[b'x'; 1000]).ends_with("744 bytes more"));
    }
}
