//! Every mistake in a dossier is told with its file, line, column, the value found and what would be valid.
#![allow(clippy::unwrap_used)]

use proofbench_model::dossier::{Dossier, DossierError, DossierFiles, NamedText};
use rstest::rstest;

const DEVICE: &str = r#"format = 1
[identification]
name = "Thing"
model = "T-1"
brand = "Acme"
hardware = "A"
firmware = "1.0"
os = "none"
[sample]
serial = "1"
[bind]
ready = "ready"
ready-within-ms = 1000
recovery-within-ms = 2000
boot-id = "id=(?P<value>.*)"
reset-cause = "cause=(?P<value>.*)"
causes = { power-on = "power-on" }
"#;
const ICS: &str = "format = 1\n[[provision]]\nid = \"4-1\"\nsupport = \"Y\"\n";
const IXIT: &str = "format = 1\n";

fn parse(device: &str, ics: &str, ixit: &str) -> Result<Dossier, Vec<DossierError>> {
    let named = |name: &str, text: &str| NamedText { name: name.to_owned(), text: text.to_owned() };
    let files = DossierFiles { device: named("device.toml", device), ics: named("ics.toml", ics), ixit: named("ixit.toml", ixit) };
    Dossier::parse(&files).map_err(|e| e.0)
}

fn only(result: Result<Dossier, Vec<DossierError>>) -> DossierError {
    let errors = result.expect_err("a mistake was made");
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors.into_iter().next().unwrap()
}

#[test]
fn a_dossier_without_a_mistake_is_read() {
    let dossier = parse(DEVICE, ICS, IXIT).unwrap();
    assert_eq!(dossier.device.identification.model, "T-1");
    assert_eq!(dossier.ics.rows().count(), 1);
}

/// Mistake in device.toml: what is replaced by what; place; what the message must contain.
#[rstest]
#[case::unknown_table("[sample]", "[samples]\n[sample]", (9, 2), &["samples", "unknown key", "sample"])]
#[case::unknown_key("brand = ", "colour = \"red\"\nbrand = ", (5, 1), &["colour", "unknown field", "brand"])]
#[case::wrong_type("ready-within-ms = 1000", "ready-within-ms = \"soon\"", (13, 19), &["soon", "invalid type"])]
#[case::missing_key("os = \"none\"\n", "", (2, 1), &["missing field", "os"])]
#[case::wrong_format("format = 1", "format = 2", (1, 10), &["2", "format", "valid: 1"])]
#[case::bad_pattern("ready = \"ready\"", "ready = \"rea(dy\"", (12, 9), &["rea(dy", "no regular expression", "unclosed group"])]
#[case::no_toml("os = \"none\"", "os = none", (8, 6), &["device.toml:8:6"])]
#[case::key_twice("os = \"none\"", "os = \"none\"\nos = \"some\"", (9, 1), &["duplicate key"])]
fn mistakes_in_the_device_file(#[case] from: &str, #[case] to: &str, #[case] place: (usize, usize), #[case] says: &[&str]) {
    assert!(DEVICE.contains(from));
    let error = only(parse(&DEVICE.replacen(from, to, 1), ICS, IXIT));
    told(&error, "device.toml", place, says);
}

#[rstest]
#[case::unknown_provision("[[provision]]\nid = \"5.3-22\"\nsupport = \"Y\"\n", (6, 6), &["5.3-22", "unknown provision", "5.3-2"])]
#[case::spelling_of_the_other_standard("[[provision]]\nid = \"6.1\"\nsupport = \"Y\"\n", (6, 6), &["6.1", "unknown provision", "6-1"])]
#[case::no_such_answer("[[provision]]\nid = \"5.3-2\"\nsupport = \"yes\"\n", (7, 11), &["yes", "valid: Y, N, N/A"])]
#[case::twice("[[provision]]\nid = \"4-1\"\nsupport = \"N\"\n", (6, 6), &["4-1", "has a row already, in line 3"])]
#[case::unknown_key("[[provision]]\nid = \"5.3-2\"\nsupport = \"Y\"\nreason = \"x\"\n", (8, 1), &["reason", "unknown key", "detail"])]
#[case::no_answer("[[provision]]\nid = \"5.3-2\"\n", (5, 1), &["lacks the key `support`"])]
#[case::wrong_type("[[provision]]\nid = 5\nsupport = \"Y\"\n", (6, 6), &["5", "of type integer", "a text in quotes"])]
#[case::no_such_condition("[[condition]]\nnumber = 29\nholds = true\n", (6, 10), &["29", "1 to 28"])]
#[case::condition_twice("[[condition]]\nnumber = 3\nholds = true\n[[condition]]\nnumber = 3\nholds = false\n", (9, 10), &["declared already"])]
#[case::not_true_or_false("[[condition]]\nnumber = 3\nholds = \"yes\"\n", (7, 9), &["true or false"])]
fn mistakes_in_the_ics(#[case] more: &str, #[case] place: (usize, usize), #[case] says: &[&str]) {
    told(&only(parse(DEVICE, &format!("{ICS}{more}"), IXIT)), "ics.toml", place, says);
}

#[rstest]
#[case::unknown_table("[[AuthMechs]]\nid = \"a\"\n", (2, 3), &["AuthMechs", "unknown key", "AuthMech"])]
#[case::unknown_field("[[AuthMech]]\nid = \"a\"\ndescripton = \"x\"\n", (4, 1), &["descripton", "unknown key", "description"])]
#[case::no_id("[[AuthMech]]\ndescription = \"x\"\n", (2, 1), &["a row of AuthMech lacks the key `id`"])]
#[case::bad_id("[[AuthMech]]\nid = \"a b\"\n", (3, 6), &["a b", "AuthMech-1"])]
#[case::id_twice("[[AuthMech]]\nid = \"a\"\n[[AuthMech]]\nid = \"a\"\n", (5, 6), &["has a row of this id already, in line 3"])]
#[case::rows_where_there_are_none("[[UserInfo]]\nmodel-designation = \"x\"\n", (2, 1), &["UserInfo", "a table"])]
#[case::no_rows_where_there_are("[AuthMech]\nid = \"a\"\n", (2, 1), &["AuthMech", "[[AuthMech]] tables"])]
#[case::field_of_wrong_type("[[AuthMech]]\nid = \"a\"\ndescription = 3\n", (4, 15), &["3", "of type integer"])]
#[case::unknown_empty("[[empty]]\ntable = \"ComMec\"\nbecause = \"x\"\n", (3, 9), &["ComMec", "ComMech"])]
#[case::empty_without_reason("[[empty]]\ntable = \"ComMech\"\nbecause = \" \"\n", (3, 9), &["needs a reason"])]
#[case::empty_twice("[[empty]]\ntable = \"ComMech\"\nbecause = \"x\"\n[[empty]]\ntable = \"ComMech\"\nbecause = \"x\"\n", (6, 9), &["twice"])]
#[case::empty_and_not("[[SecDev]]\nid = \"a\"\n[[empty]]\ntable = \"SecDev\"\nbecause = \"x\"\n", (5, 9), &["has rows"])]
#[case::binding_where_there_is_none("[[SecDev]]\nid = \"a\"\nbind = {}\n", (4, 1), &["bind", "unknown key"])]
#[case::binding_of_another_table("[[ResMech]]\nid = \"a\"\nbind = { outage = \"power\", over = \"console\" }\n", (4, 28), &["over", "unknown field", "battery"])]
#[case::unknown_choice("[[ResMech]]\nid = \"a\"\nbind = { outage = \"sun\" }\n", (4, 19), &["sun", "valid: power, network"])]
#[case::unknown_action("[[DelFunc]]\nid = \"a\"\nbind = { start = { shout = { } }, within-ms = 1, method = \"erase\", deletes = [] }\n", (4, 20), &["shout", "unknown variant", "console"])]
fn mistakes_in_the_ixit(#[case] more: &str, #[case] place: (usize, usize), #[case] says: &[&str]) {
    told(&only(parse(DEVICE, ICS, &format!("{IXIT}{more}"))), "ixit.toml", place, says);
}

/// Tables 6, 10, 13, 21 and 24 name rows of 7, 11, 1, 11 and 21.
#[rstest]
#[case("SoftComp", "update-mechanism", "UpdMech")]
#[case("SecParam", "communication-mechanisms", "ComMech")]
#[case("SoftServ", "authentication-mechanism", "AuthMech")]
#[case("PersData", "communication-mechanisms", "ComMech")]
#[case("TelData", "personal-data", "PersData")]
fn a_reference_to_a_row_that_does_not_exist(#[case] table: &str, #[case] key: &str, #[case] to: &str) {
    let ixit = |name: &str| format!("{IXIT}[[{to}]]\nid = \"{to}-1\"\n[[{table}]]\nid = \"{table}-1\"\n{key} = \"{name}\"\n");
    for good in [format!("{to}-1"), String::new()] {
        assert!(parse(DEVICE, ICS, &ixit(&good)).is_ok());
    }
    let error = only(parse(DEVICE, ICS, &ixit(&format!("{to}-9"))));
    told(&error, "ixit.toml", (6, key.len() + 5), &[&format!("{to}-9"), key, "does not exist", &format!("valid: {to}-1")]);
}

#[test]
fn a_binding_that_names_a_row_that_does_not_exist() {
    let row = "[[ResMech]]\nid = \"r\"\nbind = { outage = \"power\", keeps = [\"21/Names\"] }\n[[PersData]]\nid = \"Name\"\n";
    let error = only(parse(DEVICE, ICS, &format!("{IXIT}{row}")));
    told(&error, "ixit.toml", (4, 38), &["21/Names", "does not exist", "21/Name"]);
}

#[test]
fn mistakes_in_several_places_are_told_at_once() {
    let ics = format!("{ICS}[[provision]]\nid = \"9-9\"\nsupport = \"Y\"\n[[provision]]\nid = \"5.3-2\"\nsupport = \"?\"\n");
    let errors = parse(&DEVICE.replace("format = 1", "format = 7"), &ics, "format = 1\nwrong = 1\n").unwrap_err();
    let places: Vec<(String, usize)> = errors.into_iter().map(|e| (e.file, e.line)).collect();
    let expected = [("device.toml", 1), ("ics.toml", 6), ("ics.toml", 10), ("ixit.toml", 2)];
    assert_eq!(places, expected.map(|(f, l)| (f.to_owned(), l)));
}

fn told(error: &DossierError, file: &str, place: (usize, usize), says: &[&str]) {
    let text = error.to_string();
    assert_eq!((error.file.as_str(), error.line, error.column), (file, place.0, place.1), "{text}");
    assert!(text.starts_with(&format!("{file}:{}:{}: ", place.0, place.1)), "{text}");
    for word in says {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}
