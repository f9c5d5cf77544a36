//! The part of the Jenkins xunit schema (`junit-10.xsd`) that our `strict` dialect can break, as a check of our own: elements, their parents,
//! their attributes, the pattern of times. CI validates with `xmllint` too where the schema itself is at hand.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Element, allowed parents, allowed attributes, required attributes.
type Rule = (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);

/// Source: `junit-10.xsd` of jenkinsci/xunit-plugin (MIT).
const RULES: &[Rule] = &[
    ("testsuites", &[""], &["name", "time", "tests", "failures", "errors"], &[]),
    (
        "testsuite",
        &["testsuites", "testsuite"],
        &[
            "name",
            "tests",
            "failures",
            "errors",
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
            "version",
        ],
        &["name", "tests", "failures", "errors"],
    ),
    ("properties", &["testsuite"], &[], &[]),
    ("property", &["properties"], &["name", "value"], &["name", "value"]),
    ("testcase", &["testsuite"], &["name", "time", "classname", "group"], &["name"]),
    ("failure", &["testcase"], &["type", "message"], &[]),
    ("error", &["testcase"], &["type", "message"], &[]),
    ("skipped", &["testcase"], &["type", "message"], &[]),
    ("system-out", &["testcase", "testsuite"], &[], &[]),
    ("system-err", &["testcase", "testsuite"], &[], &[]),
];

/// Everything in `xml` that the schema forbids; empty for a valid strict report.
pub fn violations(xml: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<String> = vec![String::new()];
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event() {
            Err(e) => {
                found.push(format!("not well-formed: {e}"));
                return found;
            }
            Ok(Event::Eof) => break,
            Ok(Event::Start(tag)) => {
                let name = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
                element(&name, open.last().map_or("", String::as_str), &tag, &mut found);
                open.push(name);
            }
            Ok(Event::Empty(tag)) => {
                let name = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
                element(&name, open.last().map_or("", String::as_str), &tag, &mut found);
            }
            Ok(Event::End(_)) => {
                open.pop();
            }
            Ok(_) => {}
        }
    }
    if open.len() != 1 {
        found.push(format!("{} elements are not closed", open.len() - 1));
    }
    found
}

fn element(name: &str, parent: &str, tag: &quick_xml::events::BytesStart<'_>, found: &mut Vec<String>) {
    let Some((_, parents, allowed, required)) = RULES.iter().find(|r| r.0 == name) else {
        found.push(format!("element <{name}> is unknown"));
        return;
    };
    if !parents.contains(&parent) {
        found.push(format!("element <{name}> may not stand in <{parent}>"));
    }
    let mut seen = Vec::new();
    for attribute in tag.attributes() {
        match attribute {
            Err(e) => found.push(format!("attribute of <{name}>: {e}")),
            Ok(a) => {
                let key = String::from_utf8_lossy(a.key.as_ref()).into_owned();
                let value = String::from_utf8_lossy(&a.value).into_owned();
                if !allowed.contains(&key.as_str()) {
                    found.push(format!("attribute {key} of <{name}> is unknown"));
                }
                if key == "time" && name != "testcase" && !surefire_time(&value) {
                    found.push(format!("time `{value}` of <{name}> is no Surefire time"));
                }
                seen.push(key);
            }
        }
    }
    for r in *required {
        if !seen.iter().any(|s| s == r) {
            found.push(format!("attribute {r} of <{name}> is missing"));
        }
    }
}

/// Digits, commas between groups, at most three decimals.
fn surefire_time(value: &str) -> bool {
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    whole.bytes().all(|b| b.is_ascii_digit() || b == b',') && decimals.len() <= 3 && decimals.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::unknown_element("<testsuites><case/></testsuites>", "unknown")]
    #[case::properties_of_a_case(
        "<testsuites><testsuite name='a' tests='1' failures='0' errors='0'><testcase name='b'><properties/></testcase></testsuite></testsuites>",
        "may not stand"
    )]
    #[case::nanoseconds("<testsuites><testsuite name='a' tests='0' failures='0' errors='0' time='0.123456789'/></testsuites>", "Surefire")]
    #[case::missing_count("<testsuites><testsuite name='a' tests='0' failures='0'/></testsuites>", "missing")]
    #[case::file("<testsuites><testsuite name='a' tests='1' failures='0' errors='0'><testcase name='b' file='x'/></testsuite></testsuites>", "file")]
    #[case::broken("<testsuites><testsuite", "well-formed")]
    fn a_report_that_breaks_the_schema_is_named(#[case] xml: &str, #[case] word: &str) {
        let found = violations(xml);
        assert!(found.iter().any(|f| f.contains(word)), "{found:?}");
    }
}
