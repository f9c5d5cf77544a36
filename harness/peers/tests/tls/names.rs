//! Our names of cipher suites beside those of OpenSSL.

use proofbench_peers::tls::names;
use proofbench_testkit::find;
use std::process::Command;

#[test]
fn suites_have_the_names_that_openssl_gives_them_after_iana() {
    let Some(openssl) = find("openssl") else { return };
    let said = Command::new(openssl).args(["ciphers", "-V", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]).output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    let mut compared = 0;
    for line in text.lines() {
        // 0xC0,0x2C - TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 - ...
        let mut parts = line.split(" - ");
        let number: String = parts.next().unwrap().trim().split("0x").map(|p| p.trim_end_matches(',')).collect();
        assert_eq!(names::suite(u16::from_str_radix(&number, 16).unwrap()), parts.next().unwrap().trim(), "{line}");
        compared += 1;
    }
    assert!(compared > 100, "{text}");
}
