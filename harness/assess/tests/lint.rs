//! The linter on the thermostat's dossier, clean as it stands and spoilt by one change at a time.
#![allow(clippy::unwrap_used)]

use proofbench_assess::lint::{Finding, Grade, lint};
use proofbench_model::Method;
use proofbench_model::catalogue::Catalogue;
use proofbench_model::dossier::{Dossier, DossierFiles, NamedText};
use rstest::rstest;

fn files() -> DossierFiles {
    let read = |name: &str| {
        let path = format!("{}/../../fixtures/devices/thermostat/{name}", env!("CARGO_MANIFEST_DIR"));
        NamedText { name: name.to_owned(), text: std::fs::read_to_string(path).unwrap() }
    };
    DossierFiles { device: read("device.toml"), ics: read("ics.toml"), ixit: read("ixit.toml") }
}

fn found(files: &DossierFiles) -> Vec<Finding> {
    let dossier = Dossier::parse(files).unwrap_or_else(|e| panic!("{e}"));
    lint(Catalogue::load(), files, &dossier, Method::Ts103701)
}

/// The dossier with one text of one file replaced; the text must stand there once or more, and its first place is changed.
fn spoilt(file: &str, from: &str, to: &str) -> DossierFiles {
    let mut files = files();
    let named = match file {
        "device.toml" => &mut files.device,
        "ics.toml" => &mut files.ics,
        _ => &mut files.ixit,
    };
    assert!(named.text.contains(from), "{file} has no `{from}`");
    named.text = named.text.replacen(from, to, 1);
    files
}

#[test]
fn the_thermostat_lints_clean() {
    let all: Vec<String> = found(&files()).iter().map(ToString::to_string).collect();
    assert_eq!(all, Vec::<String>::new());
}

/// File, change, and what one line of the findings must have: grade, table, row, field, a word of the problem, a word of what is valid.
#[rstest]
#[case::mandatory_not_claimed(
    "ics.toml",
    row("5.4-3", "Y"),
    row("5.4-3", "N"),
    "invalid: ICS, row 5.4-3, field `support`: N on a mandatory provision",
    "Y, or N/A"
)]
#[case::unconditional_not_applicable(
    "ics.toml",
    row("5.6-2", "Y"),
    row("5.6-2", "N/A\"\ndetail = \"none"),
    "invalid: ICS, row 5.6-2, field `support`: N/A on a provision without condition",
    "Y"
)]
#[case::recomputed_from_declared_features(
    "ics.toml",
    row("5.3-10", "Y"),
    row("5.3-10", "N/A\"\ndetail = \"none"),
    "invalid: ICS, row 5.3-10, field `support`: N/A, but its condition holds (M C (11, 12))",
    "put right what says that the condition holds"
)]
#[case::no_reason_for_n(
    "ics.toml",
    row("5.2-2", "Y"),
    row("5.2-2", "N"),
    "invalid: ICS, row 5.2-2, field `detail`: N without a reason",
    "a sentence that says why"
)]
#[case::no_reason_for_not_applicable(
    "ics.toml",
    row("5.1-3", "Y"),
    row("5.1-3", "N/A"),
    "incomplete: ICS, row 5.1-3, field `detail`: N/A without a reason",
    "a sentence"
)]
#[case::answers_against_each_other(
    "ics.toml",
    row("5.1-4", "Y"),
    row("5.1-4", "N/A\"\ndetail = \"none"),
    "disagrees: ICS, row 5.1-4, field `support`: N/A, but 5.1-3 is Y",
    "N/A on 5.1-3 as well"
)]
#[case::condition_against_rows("ics.toml", "number = 12\nholds = true".into(), "number = 12\nholds = false\ndetail = \"sealed\"".into(), "disagrees: ICS, row condition 12, field `holds`: the dossier says that it holds (7/UpdMech-1", "one of the two")]
#[case::condition_without_reason("ics.toml", "number = 10\nholds = true".into(), "number = 10\nholds = false".into(), "incomplete: ICS, row condition 10, field `detail`", "a sentence")]
#[case::constraint_without_reason("device.toml", "constrained = false".into(), "constrained = true".into(), "incomplete: identification, field `constrained-because`", "cannot do")]
#[case::missing_field("ixit.toml", "brute-force-prevention = \"128 bits of entropy.\"".into(), "# gone".into(), "incomplete: 1-AuthMech, row AuthMech-token, field `brute-force-prevention`: empty or missing, and needed by 5.1-5", "delay, lock-out")]
#[case::neither_yes_nor_no("ixit.toml", "sensitive = \"yes\"".into(), "sensitive = \"perhaps\"".into(), "incomplete: 21-PersData, row PersData-schedule, field `sensitive`: `perhaps`", "begins with yes or no")]
#[case::confirmation_against_claim("ixit.toml", "confirmation-of-update-procedures = \"yes\"".into(), "confirmation-of-update-procedures = \"no\"".into(), "disagrees: 4-Conf, field `confirmation-of-update-procedures`: no, but 5.3-8 is claimed", "another answer in the ICS")]
#[case::tls_in_prose_and_none_bound("ixit.toml", "description = \"Plain HTTP that only says".into(), "description = \"HTTPS that only says".into(), "disagrees: 11-ComMech, row ComMech-redirect, field `description`: the prose says `HTTPS`, the binding that port 8080 speaks without TLS", "bind.tls")]
#[case::tls_version("ixit.toml", "cryptographic-details = \"TLS 1.2 and 1.3 with the suites".into(), "cryptographic-details = \"TLS 1.3 with the suites".into(), "disagrees: 11-ComMech, row ComMech-web, field `cryptographic-details`: the prose says TLS 1.3, the binding TLS 1.2, 1.3", "bind.tls")]
#[case::tls_version_or_newer("ixit.toml", "cryptographic-details = \"TLS 1.2 and 1.3 with the suites".into(), "cryptographic-details = \"TLS 1.3 or newer with the suites".into(), "row ComMech-web, field `cryptographic-details`: the prose says TLS 1.3 or newer, the binding TLS 1.2, 1.3", "bind.tls")]
#[case::no_protection_and_tls_bound("ixit.toml", "cryptographic-details = \"TLS 1.2 and 1.3 with the suites of ComMech-cloud".into(), "cryptographic-details = \"None: as the suites of ComMech-cloud".into(), "row ComMech-web, field `cryptographic-details`: the prose says that there is no protection", "bind.tls")]
#[case::port("ixit.toml", "Local interface over HTTPS, TCP port 8443".into(), "Local interface over HTTPS, TCP port 443".into(), "disagrees: 13-SoftServ, row SoftServ-web, field `description`: the prose says port 443, the binding port 8443", "bind.port")]
#[case::transport("ixit.toml", "SMP in datagrams, UDP port 1337.".into(), "SMP over TCP port 1337.".into(), "row SoftServ-smp, field `description`: the prose says TCP, the binding UDP", "bind.transport")]
#[case::guard("ixit.toml", "authentication-mechanism = \"AuthMech-web\"".into(), "authentication-mechanism = \"\"".into(), "row SoftServ-web, field `authentication-mechanism`: the prose says that anybody may use it, the binding AuthMech-web", "bind.guard")]
#[case::status("ixit.toml", "status = \"disabled\"\ndisclosed-information = \"Identi".into(), "status = \"enabled\"\ndisclosed-information = \"Identi".into(), "disagrees: 15-Intf, row Intf-debug, field `status`: the prose says enabled, the binding disabled", "bind.declared")]
#[case::debug_interface("ixit.toml", "debug-interface = \"yes\"".into(), "debug-interface = \"no\"".into(), "row Intf-debug, field `debug-interface`: the prose says no", "bind.channel")]
#[case::tries("ixit.toml", "After five wrong passwords, over all".into(), "After three wrong passwords, over all".into(), "disagrees: 1-AuthMech, row AuthMech-web, field `brute-force-prevention`: the prose says 3 wrong tries, the binding 5", "bind.tries")]
#[case::length_of_the_lock("ixit.toml", "locked for 300 seconds".into(), "locked for 10 minutes".into(), "row AuthMech-web, field `brute-force-prevention`: the prose says 600000 ms, the binding 300000 ms", "bind.lockout-ms")]
#[case::scheme("ixit.toml", "protection-scheme = \"Salted hash inside the sealed settings.\"".into(), "protection-scheme = \"In plain text in the settings.\"".into(), "disagrees: 10-SecParam, row SecParam-password, field `protection-scheme`: the prose says `plain text`, the binding hashed", "bind.scheme")]
#[case::way_of_the_update("ixit.toml", "description = \"Network-based: the device asks".into(), "description = \"Not network-based: the device asks".into(), "row UpdMech-2, field `description`: the prose says not network-based, the binding server", "bind.via")]
#[case::downgrade("ixit.toml", "downgrade = \"refused\"".into(), "downgrade = \"allowed\"".into(), "row UpdMech-1, field `security-guarantees`: the prose says `no older version`, the binding allowed", "bind.downgrade")]
#[case::model("ixit.toml", "model-designation = \"TH-1,".into(), "model-designation = \"TH-2,".into(), "disagrees: 2-UserInfo, field `model-designation`", "the same model")]
#[case::firmware("device.toml", "firmware = \"1.2.0\"".into(), "firmware = \"2.0.0\"".into(), "disagrees: identification, field `firmware`: the delivered version `2.0.0`", "1.2.0")]
fn a_spoilt_dossier_is_told_with_its_place(#[case] file: &str, #[case] from: String, #[case] to: String, #[case] words: &str, #[case] valid: &str) {
    let files = spoilt(file, &from, &to);
    let all = found(&files);
    let lines: Vec<String> = all.iter().map(ToString::to_string).collect();
    let hit = all.iter().zip(&lines).find(|(_, l)| l.contains(words) && l.contains(valid));
    let (finding, line) = hit.unwrap_or_else(|| panic!("nothing says `{words}` and `{valid}`:\n{}", lines.join("\n")));
    assert!(line.starts_with(&format!("{file}:{}: ", finding.line)), "{line}");
    // The line is that of the changed row or cell: what was written stands within a few lines of it.
    let text = match file {
        "device.toml" => &files.device.text,
        "ics.toml" => &files.ics.text,
        _ => &files.ixit.text,
    };
    let changed = text[..text.find(&to).unwrap()].matches('\n').count() + 1;
    assert!(changed.abs_diff(finding.line) < 30, "line {} for a change in line {changed}: {line}", finding.line);
}

fn row(id: &str, support: &str) -> String {
    format!("id = \"{id}\"\nsupport = \"{support}\"")
}

#[rstest]
#[case::tls_that_is_denied("description = \"Plain HTTP that only says", "description = \"Plain HTTP, no TLS, that only says")]
#[case::another_port_beside_the_bound_one(
    "Local interface over HTTPS, TCP port 8443;",
    "Local interface over HTTPS, TCP port 8443, formerly port 443;"
)]
#[case::newer_versions_by_word(
    "cryptographic-details = \"TLS 1.2 and 1.3 with the suites",
    "cryptographic-details = \"TLS 1.2 or newer with the suites"
)]
#[case::a_version_that_is_denied(
    "cryptographic-details = \"TLS 1.2 and 1.3 with the suites",
    "cryptographic-details = \"TLS 1.2 and 1.3, never TLS 1.1, with the suites"
)]
#[case::minutes_for_milliseconds("locked for 300 seconds", "locked for 5 minutes")]
fn an_honest_way_to_say_it_raises_no_alarm(#[case] from: &str, #[case] to: &str) {
    let all: Vec<String> = found(&spoilt("ixit.toml", from, to)).iter().map(ToString::to_string).collect();
    assert_eq!(all, Vec::<String>::new());
}

#[test]
fn a_claim_without_its_table_is_told_once_with_all_provisions_that_need_it() {
    let mut files = files();
    let from = files.ixit.text.find("[[VulnMon]]").unwrap();
    let to = files.ixit.text.find("[[SoftComp]]").unwrap();
    files.ixit.text.replace_range(from..to, "");
    let all = found(&files);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!((all[0].grade, all[0].table.as_str()), (Grade::Incomplete, "5-VulnMon"));
    assert!(all[0].problem.contains("5.2-3") && all[0].valid.contains("[[VulnMon]]"), "{}", all[0]);
}
