//! Dossiers as tables and back, and the skeleton.
#![allow(clippy::unwrap_used)]

use proofbench_model::catalogue::Catalogue;
use proofbench_model::dossier::sheet::{self, SheetErrors};
use proofbench_model::dossier::{Dossier, DossierFiles, Ixit, NamedText, skeleton};
use rstest::rstest;
use std::collections::BTreeMap;

fn files() -> DossierFiles {
    let read = |name: &str| {
        let path = format!("{}/../../fixtures/devices/thermostat/{name}", env!("CARGO_MANIFEST_DIR"));
        NamedText { name: name.to_owned(), text: std::fs::read_to_string(path).unwrap() }
    };
    DossierFiles { device: read("device.toml"), ics: read("ics.toml"), ixit: read("ixit.toml") }
}

/// Everything that a dossier says, without the lines where it stands.
fn said(files: &DossierFiles) -> String {
    let dossier = Dossier::parse(files).unwrap_or_else(|e| panic!("{e}"));
    let mut out = String::new();
    for row in dossier.ics.rows() {
        out.push_str(&format!("{} {} {:?}\n", row.provision, row.support, row.detail));
    }
    for n in 1..=28 {
        out.push_str(&format!("{:?}\n", dossier.ics.condition(n)));
    }
    for row in dossier.ixit.all_rows() {
        out.push_str(&format!("{} {:?} {:?}\n", row.id, row.fields, row.bind));
    }
    for table in 1..=29 {
        out.push_str(&format!("{:?}\n", dossier.ixit.declared_empty(table)));
    }
    out
}

fn back(files: &DossierFiles, tables: &BTreeMap<String, Vec<u8>>) -> DossierFiles {
    let imported = sheet::import(tables).unwrap_or_else(|e| panic!("{e}"));
    let named = |name: &str, text| NamedText { name: name.to_owned(), text };
    DossierFiles { device: files.device.clone(), ics: named("ics.toml", imported.ics), ixit: named("ixit.toml", imported.ixit) }
}

#[rstest]
#[case::plain(false)]
#[case::with_byte_order_mark(true)]
fn the_thermostat_survives_the_way_there_and_back(#[case] bom: bool) {
    let before = files();
    let tables = sheet::export(&before, bom).unwrap();
    assert_eq!(tables.len(), 3 + 29);
    assert!(tables.values().all(|t| t.starts_with("\u{feff}".as_bytes()) == bom));
    let after = back(&before, &tables);
    assert_eq!(said(&before), said(&after));
    assert_eq!(tables, sheet::export(&after, bom).unwrap(), "exported again it is the same to the byte");
}

#[test]
fn hostile_and_awkward_text_survives_and_is_no_formula_on_the_way() {
    let mut before = files();
    let texts =
        ["=1+1", "+49 30 1", "-", "@home", "a, \\\"b\\\"; c", "two\\nlines", "'=quoted", "'tis", "(empty)", "\\ttab", "ä€😀", "back\\\\slash", ""];
    for (n, text) in texts.iter().enumerate() {
        before.ixit.text.push_str(&format!("\n[[VulnTypes]]\nid = \"T{n}\"\ndescription = \"{text}\"\naction = \"\"\n"));
    }
    before.ics.text = before.ics.text.replacen("detail = \"", "detail = \"=cmd|'/c calc'!A0 ", 1);
    let tables = sheet::export(&before, false).unwrap();
    for (name, bytes) in &tables {
        let mut reader = csv_reader(bytes);
        for record in reader.records() {
            let record = record.unwrap();
            assert!(record.iter().all(|c| !c.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{name}: {record:?}");
        }
        assert!(!String::from_utf8_lossy(bytes).replace("\r\n", "").contains('\r'), "{name}: lines end with CRLF");
    }
    assert_eq!(said(&before), said(&back(&before, &tables)));
}

fn csv_reader(bytes: &[u8]) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().has_headers(false).from_reader(bytes)
}

#[test]
fn a_cell_left_out_and_a_cell_empty_on_purpose_stay_two_things() {
    let before = files();
    let tables = sheet::export(&before, false).unwrap();
    let after = Dossier::parse(&back(&before, &tables)).unwrap();
    let loader = after.ixit.rows(6).iter().find(|r| r.id.row == "SoftComp-loader").unwrap();
    assert_eq!(loader.field("update-mechanism"), Some(""), "not updatable, and said so");
    assert!(String::from_utf8_lossy(&tables["ixit/06-SoftComp.csv"]).contains(",(empty),"));
}

#[test]
fn semicolons_and_rows_of_nothing_are_what_spreadsheets_leave() {
    let before = files();
    let mut tables = sheet::export(&before, true).unwrap();
    let mut writer = csv::WriterBuilder::new().delimiter(b';').from_writer(Vec::new());
    let bytes = tables["ixit/03-VulnTypes.csv"].strip_prefix("\u{feff}".as_bytes()).unwrap().to_vec();
    let rows: Vec<csv::StringRecord> = csv_reader(&bytes).records().map(Result::unwrap).collect();
    let empty = csv::StringRecord::from(vec![""; rows[0].len()]);
    rows.iter().chain([&empty]).for_each(|r| writer.write_record(r).unwrap());
    tables.insert("ixit/03-VulnTypes.csv".to_owned(), writer.into_inner().unwrap());
    assert_eq!(said(&before), said(&back(&before, &tables)));
}

/// File, what is replaced in it, and the words of the one error that it must give.
#[rstest]
#[case::answer(
    "ics.csv",
    "5.3-1,",
    ",N,",
    ",maybe,",
    "ics.csv:11: ICS, row 5.3-1, field `Support`: `maybe`: no answer of the form; valid: Y, N, N/A"
)]
#[case::provision("ics.csv", "", "\n5.3-1,", "\n5.3-99,", "field `Provision`: `5.3-99`: unknown provision; valid: 5.3-9")]
#[case::twice("ics.csv", "", "\n5.3-2,", "\n5.3-1,", "row 5.3-1, field `Provision`: the provision has a row already, in line 11")]
#[case::column("ics.csv", "", "Support,", "Answer,", "ics.csv:1: ICS, field `Answer`: unknown column; valid: Provision, Support, Detail")]
#[case::holds(
    "conditions.csv",
    "\n4,",
    ",no,",
    ",perhaps,",
    "conditions.csv:5: ICS conditions, row 4, field `Holds`: `perhaps` says neither yes nor no; valid: yes, no"
)]
#[case::list_field(
    "ixit/02-UserInfo.csv",
    "",
    "Support Period,Until",
    "Supporting Period,Until",
    "ixit/02-UserInfo.csv:5: 2-UserInfo, field `Supporting Period`"
)]
#[case::binding_syntax(
    "ixit/15-Intf.csv",
    "",
    "declared = \"\"login\"\"",
    "declared = login",
    "ixit/15-Intf.csv:2: 15-Intf, row Intf-console, field `Binding (TOML)`: no TOML"
)]
#[case::binding_value(
    "ixit/15-Intf.csv",
    "",
    "declared = \"\"login\"\"",
    "declared = \"\"secret\"\"",
    "ixit/15-Intf.csv:2: 15-Intf, row Intf-console, field `Binding (TOML)`: `secret`: unknown `declared`; valid: disabled"
)]
#[case::binding_key("ixit/15-Intf.csv", "", "channel = ", "chanel = ", "ixit/15-Intf.csv:2: 15-Intf, row Intf-console, field `Binding (TOML)`:")]
#[case::row_id("ixit/15-Intf.csv", "", "Intf-console,", "Intf console,", "ixit/15-Intf.csv:2: 15-Intf, row Intf console, field `ID`:")]
#[case::table(
    "empty.csv",
    "",
    "AccCtrl,",
    "AccControl,",
    "empty.csv:2: empty tables, row AccControl, field `Table`: `AccControl`: no IXIT table with rows; valid: AccCtrl"
)]
fn a_mistake_names_file_line_table_row_and_field(#[case] file: &str, #[case] after: &str, #[case] from: &str, #[case] to: &str, #[case] words: &str) {
    let mut tables = sheet::export(&files(), false).unwrap();
    let text = String::from_utf8(tables[file].clone()).unwrap();
    let start = text.find(after).unwrap();
    let place = start + text[start..].find(from).unwrap_or_else(|| panic!("{file} has no `{from}`:\n{text}"));
    let spoilt = format!("{}{to}{}", &text[..place], &text[place + from.len()..]);
    tables.insert(file.to_owned(), spoilt.into_bytes());
    let SheetErrors(errors) = sheet::import(&tables).unwrap_err();
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert!(lines.iter().any(|l| l.contains(words)), "nothing says `{words}`:\n{}", lines.join("\n"));
}

#[test]
fn a_file_that_is_missing_or_strange_loses_nothing_in_silence() {
    let mut tables = sheet::export(&files(), false).unwrap();
    tables.remove("ixit/21-PersData.csv");
    tables.insert("ixit/21-PersonalData.csv".to_owned(), Vec::new());
    tables.insert("empty.csv".to_owned(), b"Table,Because\r\nAccCtrl,\xff\r\n".to_vec());
    let told = sheet::import(&tables).unwrap_err().to_string();
    assert!(told.contains("ixit/21-PersData.csv:1: 21-PersData: the file is missing"), "{told}");
    assert!(told.contains("ixit/21-PersonalData.csv:1: : no file of a dossier; valid: ixit/21-PersData.csv"), "{told}");
    assert!(told.contains("empty.csv:2: empty tables: bytes that are no UTF-8"), "{told}");
}

fn skeleton_files() -> DossierFiles {
    let [device, ics, ixit] = skeleton::files().map(|(name, text)| NamedText { name: name.to_owned(), text });
    DossierFiles { device, ics, ixit }
}

#[test]
fn the_skeleton_answers_nothing_and_says_so_for_each_provision() {
    let files = skeleton_files();
    let told = Dossier::parse(&files).unwrap_err().0;
    let unanswered = told.iter().filter(|e| e.problem == "no answer of the form").count();
    assert_eq!((unanswered, told.len()), (68, 68), "{told:?}");
    for p in Catalogue::load().provisions() {
        assert!(files.ics.text.contains(&format!("id = \"{}\"", p.id)) && files.ics.text.contains(&p.summary), "{}", p.id);
    }
}

/// What stands behind a bare `#` is meant to be used: with all of it in use and every answer given, the files are read.
#[test]
fn every_commented_line_of_the_skeleton_is_one_that_reading_takes() {
    let uncommented = |file: NamedText| {
        let line = |l: &str| l.strip_prefix('#').filter(|r| !r.is_empty() && !r.starts_with(' ')).unwrap_or(l).to_owned() + "\n";
        NamedText { name: file.name, text: file.text.lines().map(line).collect() }
    };
    let mut files = skeleton_files();
    files = DossierFiles { device: uncommented(files.device), ics: uncommented(files.ics), ixit: uncommented(files.ixit) };
    files.ics.text = files.ics.text.replace("support = \"\"", "support = \"Y\"");
    // The example of an empty table, before the tables: here it has both.
    let example = files.ixit.text.find("[[empty]]").unwrap();
    let end = files.ixit.text.find("# Under a row").unwrap();
    assert!(files.ixit.text[example..end].contains("because = "));
    files.ixit.text.replace_range(example..end, "");
    let dossier = Dossier::parse(&files).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(dossier.ics.rows().count(), 68);
    let tables = |ixit: &Ixit| (1..=29).filter(|t| !ixit.rows(*t).is_empty()).count();
    assert_eq!(tables(&dossier.ixit), 29);
    for table in Catalogue::load().tables() {
        let row = &dossier.ixit.rows(table.number)[0];
        assert!(table.fields.iter().all(|f| row.field(&f.key) == Some("")), "{} lacks a field", table.name);
    }
    assert!(dossier.ics.condition(28).is_some());
}
