//! JUnit XML. `junit-report` writes the base, which is the `strict` dialect; a second pass adds what it cannot write.

use crate::xml_text::{attribute, capped, cdata};
use junit_report::{Duration, OffsetDateTime, Report, TestCase, TestCaseBuilder, TestSuiteBuilder};
use quick_xml::events::{BytesEnd, BytesStart, Event};
use quick_xml::{Reader, Writer};

/// Most bytes of `system-out` of one test case; the evidence file holds the rest. GitLab refuses reports over 30 MB.
const SYSTEM_OUT_MAX: usize = 16 * 1024;

/// Which JUnit a reader understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// What the schema of the Jenkins xunit plugin allows, nothing more.
    Strict,
    /// With properties of suites and cases and `skipped=` totals.
    Extended,
}

/// How one test case came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Plain.
    Passed,
    /// `failure`: type, message, body.
    Failure(String, String, String),
    /// `error`: type, message, body.
    Error(String, String, String),
    /// `skipped` with its message.
    Skipped(String),
}

/// One test case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Groups cases in readers.
    pub classname: String,
    /// Unique inside its class: GitLab keeps only the first of two equal names.
    pub name: String,
    /// Milliseconds.
    pub time_ms: u64,
    /// Outcome.
    pub shown: Shown,
    /// Name and value pairs; `system-out` repeats them for tools that drop properties.
    pub properties: Vec<(String, String)>,
    /// Free text.
    pub system_out: String,
}

/// One suite.
#[derive(Debug, Clone)]
pub struct Suite {
    /// Name.
    pub name: String,
    /// Start of the run, seconds since the epoch; the same for all suites of a report.
    pub started_unix: i64,
    /// Name and value pairs.
    pub properties: Vec<(String, String)>,
    /// Cases in order.
    pub cases: Vec<Case>,
}

/// A report could not be rendered; only a defect of ours can cause it.
#[derive(Debug, thiserror::Error)]
pub enum JunitError {
    /// The base writer failed.
    #[error("write the JUnit base")]
    Base(#[source] junit_report::Error),
    /// The second pass met XML that it did not expect.
    #[error("add properties to the JUnit base")]
    SecondPass(#[source] quick_xml::Error),
    /// The base is not UTF-8.
    #[error("read the JUnit base back")]
    Utf8(#[from] std::string::FromUtf8Error),
}

impl From<quick_xml::Error> for JunitError {
    fn from(e: quick_xml::Error) -> Self {
        JunitError::SecondPass(e)
    }
}

impl From<std::io::Error> for JunitError {
    fn from(e: std::io::Error) -> Self {
        JunitError::SecondPass(quick_xml::Error::Io(e.into()))
    }
}

/// The report as text. The same suites give the same bytes.
pub fn render(suites: &[Suite], dialect: Dialect) -> Result<String, JunitError> {
    let mut report = Report::new();
    for suite in suites {
        let started = OffsetDateTime::from_unix_timestamp(suite.started_unix).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let mut built = TestSuiteBuilder::new(&attribute(&suite.name));
        built.set_timestamp(started).add_testcases(suite.cases.iter().map(base_case));
        let properties = lines(&suite.properties);
        if !properties.is_empty() {
            built.set_system_out(&cdata(&properties));
        }
        let mut built = built.build();
        built.package = attribute(&suite.name);
        report.add_testsuite(built);
    }
    let mut base = Vec::new();
    report.write_xml(&mut base).map_err(JunitError::Base)?;
    // Of a long run each of these forms is large: no more of them at a time than needed.
    drop(report);
    second_pass(&String::from_utf8(base)?, suites, dialect)
}

fn base_case(case: &Case) -> TestCase {
    let name = attribute(&case.name);
    let time = Duration::milliseconds(i64::try_from(case.time_ms).unwrap_or(i64::MAX));
    let mut built = match &case.shown {
        Shown::Passed => TestCaseBuilder::success(&name, time),
        Shown::Failure(kind, message, body) => {
            let mut b = TestCaseBuilder::failure(&name, time, &attribute(kind), &attribute(message));
            b.set_trace(&cdata(&capped(body, SYSTEM_OUT_MAX)));
            b
        }
        Shown::Error(kind, message, body) => {
            let mut b = TestCaseBuilder::error(&name, time, &attribute(kind), &attribute(message));
            b.set_trace(&cdata(&capped(body, SYSTEM_OUT_MAX)));
            b
        }
        Shown::Skipped(message) => TestCaseBuilder::skipped_with_cause(&name, "skipped", &attribute(message)),
    };
    built.set_classname(&attribute(&case.classname));
    let mut out = lines(&case.properties);
    out.push_str(&case.system_out);
    if !out.is_empty() {
        built.set_system_out(&cdata(&capped(&out, SYSTEM_OUT_MAX)));
    }
    built.build()
}

fn lines(properties: &[(String, String)]) -> String {
    properties.iter().map(|(k, v)| format!("{k}={v}\n")).collect()
}

/// Streams the base through once: the n-th `testsuite` and its m-th `testcase` are those of `suites`, because device text cannot add elements.
/// Both dialects need it: the base writes times as floating-point numbers, and 1.828 s comes out as 1.8279999999999998.
fn second_pass(base: &str, suites: &[Suite], dialect: Dialect) -> Result<String, JunitError> {
    let mut reader = Reader::from_str(base);
    let mut writer = Writer::new(Vec::new());
    let extended = dialect == Dialect::Extended;
    let none: &[(String, String)] = &[];
    let mut suite_at = 0;
    let mut case_at = 0;
    loop {
        let event = reader.read_event()?;
        let empty = matches!(event, Event::Empty(_));
        match event {
            Event::Eof => break,
            Event::Start(tag) | Event::Empty(tag) if tag.name().as_ref() == b"testsuites" => {
                let tag = if extended { with_totals(tag, suites.iter()) } else { tag };
                open(&mut writer, tag, empty, none)?;
            }
            Event::Start(tag) | Event::Empty(tag) if tag.name().as_ref() == b"testsuite" => {
                let suite = &suites[suite_at];
                (suite_at, case_at) = (suite_at + 1, 0);
                let tag = timed(&tag, suite.cases.iter().map(|c| c.time_ms).sum())?;
                let tag = if extended { with_skipped(tag, suite) } else { tag };
                open(&mut writer, tag, empty, if extended { &suite.properties } else { none })?;
            }
            Event::Start(tag) | Event::Empty(tag) if tag.name().as_ref() == b"testcase" => {
                let case = &suites[suite_at - 1].cases[case_at];
                case_at += 1;
                open(&mut writer, timed(&tag, case.time_ms)?, empty, if extended { &case.properties } else { none })?;
            }
            other => writer.write_event(other)?,
        }
    }
    Ok(String::from_utf8(writer.into_inner())?)
}

/// Writes a start tag with its properties; an element that was empty stays so unless it has properties.
fn open(writer: &mut Writer<Vec<u8>>, tag: BytesStart<'_>, empty: bool, properties: &[(String, String)]) -> Result<(), JunitError> {
    if empty && properties.is_empty() {
        writer.write_event(Event::Empty(tag))?;
        return Ok(());
    }
    let end = tag.to_end().into_owned();
    writer.write_event(Event::Start(tag))?;
    write_properties(writer, properties)?;
    if empty {
        writer.write_event(Event::End(end))?;
    }
    Ok(())
}

/// The tag with its time in whole milliseconds.
fn timed(tag: &BytesStart<'_>, ms: u64) -> Result<BytesStart<'static>, JunitError> {
    let mut out = BytesStart::new(String::from_utf8_lossy(tag.name().as_ref()).into_owned());
    let time = format!("{}.{:03}", ms / 1000, ms % 1000);
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|e| JunitError::SecondPass(e.into()))?;
        if attribute.key.as_ref() == b"time" {
            out.push_attribute(("time", time.as_str()));
        } else {
            // Values are passed on as they stand, escaped already.
            out.push_attribute(attribute);
        }
    }
    Ok(out)
}

fn count(suite: &Suite, what: fn(&Shown) -> bool) -> usize {
    suite.cases.iter().filter(|c| what(&c.shown)).count()
}

fn with_skipped<'a>(mut tag: BytesStart<'a>, suite: &Suite) -> BytesStart<'a> {
    let skipped = count(suite, |s| matches!(s, Shown::Skipped(_)));
    tag.push_attribute(("skipped", skipped.to_string().as_str()));
    tag
}

fn with_totals<'a, 'b>(mut tag: BytesStart<'a>, suites: impl Iterator<Item = &'b Suite> + Clone) -> BytesStart<'a> {
    let total = |what: fn(&Shown) -> bool| suites.clone().map(|s| count(s, what)).sum::<usize>().to_string();
    tag.push_attribute(("tests", total(|_| true).as_str()));
    tag.push_attribute(("failures", total(|s| matches!(s, Shown::Failure(..))).as_str()));
    tag.push_attribute(("errors", total(|s| matches!(s, Shown::Error(..))).as_str()));
    tag
}

fn write_properties(writer: &mut Writer<Vec<u8>>, properties: &[(String, String)]) -> Result<(), JunitError> {
    if properties.is_empty() {
        return Ok(());
    }
    writer.write_event(Event::Start(BytesStart::new("properties")))?;
    for (name, value) in properties {
        let mut tag = BytesStart::new("property");
        tag.push_attribute(("name", attribute(name).as_str()));
        tag.push_attribute(("value", attribute(value).as_str()));
        writer.write_event(Event::Empty(tag))?;
    }
    writer.write_event(Event::End(BytesEnd::new("properties")))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn suite(cases: Vec<Case>) -> Suite {
        Suite { name: "EN 303 645 5.3".into(), started_unix: 1_700_000_000, properties: vec![("claim".into(), "none".into())], cases }
    }

    fn case(name: &str, shown: Shown, system_out: &str) -> Case {
        Case {
            classname: "TH1-0001.5_3-2".into(),
            name: name.into(),
            time_ms: 12_345,
            shown,
            properties: vec![("unit".into(), name.into())],
            system_out: system_out.into(),
        }
    }

    const FORGERY: &str =
        "]]></system-out></testcase><testcase name=\"forged\" classname=\"x\"/><testcase name=\"y\"><system-out><![CDATA[\u{1b}\u{0}";

    fn every_kind(text: &str) -> Vec<Suite> {
        vec![suite(vec![
            case("passed", Shown::Passed, text),
            case("failed", Shown::Failure("etsi.FAIL".into(), text.into(), text.into()), text),
            case("error", Shown::Error("etsi.INCONCLUSIVE.rig-fault".into(), text.into(), text.into()), text),
            case("skipped", Shown::Skipped(text.into()), ""),
        ])]
    }

    #[rstest]
    #[case::strict(Dialect::Strict)]
    #[case::extended(Dialect::Extended)]
    fn what_a_device_prints_forges_no_result(#[case] dialect: Dialect) {
        let xml = render(&every_kind(FORGERY), dialect).unwrap();
        let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
        let names: Vec<_> = read.test_suites.iter().flat_map(|s| &s.test_cases).map(|c| c.name.as_str().to_owned()).collect();
        assert_eq!(names, ["passed", "failed", "error", "skipped"]);
        assert!(!xml.contains('\u{1b}') && !xml.contains('\u{0}'));
    }

    #[test]
    fn the_extended_dialect_is_read_back_with_its_properties_and_totals() {
        let xml = render(&every_kind("plain"), Dialect::Extended).unwrap();
        let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
        let suite = &read.test_suites[0];
        assert_eq!((suite.tests, suite.failures, suite.errors), (4, 1, 1));
        assert_eq!(suite.properties[0].name.as_str(), "claim");
        assert!(suite.test_cases.iter().all(|c| c.properties.len() == 1));
        assert!(xml.contains("skipped=\"1\""));
    }

    #[test]
    fn the_same_suites_give_the_same_bytes() {
        assert_eq!(render(&every_kind("x"), Dialect::Extended).unwrap(), render(&every_kind("x"), Dialect::Extended).unwrap());
    }

    #[test]
    fn the_strict_dialect_holds_nothing_that_the_schema_forbids() {
        let xml = render(&every_kind(FORGERY), Dialect::Strict).unwrap();
        assert_eq!(crate::schema::violations(&xml), Vec::<String>::new());
    }

    #[test]
    fn the_extended_dialect_is_not_strict() {
        let xml = render(&every_kind("x"), Dialect::Extended).unwrap();
        assert!(!crate::schema::violations(&xml).is_empty());
    }

    /// 1828 ms is one of the times that a floating-point number cannot hold.
    #[rstest]
    #[case::strict(Dialect::Strict)]
    #[case::extended(Dialect::Extended)]
    fn times_are_whole_milliseconds(#[case] dialect: Dialect) {
        let cases = (0..50).map(|n| Case { time_ms: 28 + 100 * n, ..case(&format!("c{n}"), Shown::Passed, "") }).collect();
        let xml = render(&[suite(cases)], dialect).unwrap();
        assert!(xml.contains("time=\"1.828\"") && xml.contains("time=\"123.900\""), "{xml}");
        if dialect == Dialect::Strict {
            assert_eq!(crate::schema::violations(&xml), Vec::<String>::new());
        }
    }

    #[test]
    fn an_empty_suite_is_written() {
        let xml = render(&[suite(vec![])], Dialect::Extended).unwrap();
        assert!(quick_junit::Report::deserialize_from_str(&xml).is_ok());
    }
}
