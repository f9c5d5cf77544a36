//! `report.html` from journals made up for it: hostile text, every provision, bounded size, the same bytes twice.
#![allow(clippy::unwrap_used)]

use proofbench_assess::{Assessment, Options, Records, assess};
use proofbench_model::catalogue::Catalogue;
use proofbench_model::dossier::{Dossier, DossierFiles, NamedText};
use proofbench_model::journal::{Amendment, Annulment, Answer, Chain, Due, Event, Header, Journal};
use proofbench_model::{Claim, EvidenceId, Fate, Observation, Outcome, Reason};
use proofbench_report::{Run, html};
use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::Event as Xml;
use rstest::rstest;
use std::collections::{BTreeMap, BTreeSet};

/// What a device may print to be read as something else: markup, an end of the title, a reordering, a control, and more of it than anybody reads.
const HOSTILE: &str = "</title></style><script>alert(1)</script><img src=x onerror=y>\" onclick='z' &amp; \u{202e}LIAF\u{0}\u{1b}[31m {{ 7*7 }}";

fn dossier() -> Dossier {
    let read = |name: &str| {
        let path = format!("{}/../../fixtures/devices/thermostat/{name}", env!("CARGO_MANIFEST_DIR"));
        NamedText { name: name.to_owned(), text: std::fs::read_to_string(path).unwrap() }
    };
    let files = DossierFiles { device: read("device.toml"), ics: read("ics.toml"), ixit: read("ixit.toml") };
    Dossier::parse(&files).unwrap_or_else(|e| panic!("{e}"))
}

fn header(text: &str, claim: Claim) -> Event {
    let of = |name: &str| BTreeMap::from([(name.to_owned(), text.to_owned())]);
    Event::Header(Header {
        run: text.to_owned(),
        dut: of("name"),
        versions: of("proofbench"),
        channels: of("console"),
        digests: of("rig"),
        permissions: vec![text.to_owned()],
        claim: Some(claim),
        ..Header::default()
    })
}

fn observation(check: &str, unit: &str, outcome: Outcome, text: &str) -> Event {
    Event::Observation(Observation {
        check: check.parse().unwrap(),
        unit: unit.parse().unwrap(),
        row: None,
        outcome,
        expected: text.to_owned(),
        observed: text.to_owned(),
        evidence: vec![EvidenceId("ab".repeat(32)), EvidenceId(format!("../../{text}"))],
        strength: Some(text.to_owned()),
        replay: Some(format!("{check}@cut=17")),
        attempt: 1,
    })
}

fn exchange(channel: &str, sent: Option<&str>, got: Option<&str>) -> Event {
    let text = |t: Option<&str>| t.map(str::to_owned);
    Event::Exchange { channel: channel.to_owned(), sent: text(sent), got: text(got), evidence: None }
}

/// A run with one check of each kind that a section is about, in all texts of which `text` stands.
fn events(text: &str, outcome: Outcome, claim: Claim) -> Vec<Event> {
    let mut out = vec![header(text, claim)];
    for (check, unit) in [("power-loss/install", "5.3-2-2 b"), ("debug-port/running", "5.6-4-2 a")] {
        out.push(Event::Plan { due: vec![Due { check: check.parse().unwrap(), unit: unit.parse().unwrap(), row: None }] });
        out.push(Event::CheckStarted { check: check.parse().unwrap(), attempt: 1 });
        out.push(exchange("power", Some("on"), None));
        out.push(exchange("power", Some("off"), None));
        out.push(exchange("power", None, Some(text)));
        out.push(exchange("power", Some("on"), None));
        out.push(exchange("console", None, Some(text)));
        out.push(exchange("reset", Some("pulse 20ms"), None));
        out.push(exchange("debug", None, Some(text)));
        let survey = EvidenceId("cd".repeat(32));
        let name = format!("survey {text}, SWD {text}.json");
        out.push(Event::Exchange { channel: "evidence".to_owned(), sent: None, got: Some(name), evidence: Some(survey) });
        out.push(observation(check, unit, outcome, text));
        out.push(Event::Note { text: format!("9 exchanges in quiet loops {text}") });
        out.push(Event::CheckEnded { check: check.parse().unwrap(), fate: Fate::Run, virtual_ms: 7 });
    }
    out.push(Event::Ended { claim });
    out
}

fn journal(events: Vec<Event>) -> Journal {
    let mut chain = Chain::default();
    let lines: Vec<String> = events.into_iter().enumerate().map(|(n, e)| chain.append(n as u64 * 1_000_000, e).1 + "\n").collect();
    Journal::read(&lines.concat()).unwrap()
}

fn assessed(journal: &Journal) -> Assessment {
    assess(Catalogue::load(), &dossier(), &Records::of(journal), &Options::default())
}

fn page(events: Vec<Event>) -> String {
    let journal = journal(events);
    let assessment = assessed(&journal);
    html::page(&Run { journal: &journal, assessment: &assessment, started_unix: 0 }).unwrap()
}

/// Elements of the page with their attributes and all of its text. Panics if it is not well-formed.
struct Parsed {
    elements: Vec<(String, BTreeMap<String, String>)>,
    text: String,
}

fn parsed(page: &str) -> Parsed {
    let mut reader = Reader::from_str(page);
    reader.config_mut().check_end_names = true;
    let (mut out, mut open) = (Parsed { elements: Vec::new(), text: String::new() }, 0i32);
    loop {
        let event = reader.read_event().unwrap_or_else(|e| panic!("not well-formed: {e}"));
        match &event {
            Xml::Eof => break,
            Xml::Start(tag) | Xml::Empty(tag) => {
                let attributes = tag.attributes().map(|a| {
                    let a = a.unwrap();
                    (String::from_utf8(a.key.as_ref().to_vec()).unwrap(), unescape(std::str::from_utf8(&a.value).unwrap()).unwrap().into_owned())
                });
                out.elements.push((String::from_utf8(tag.name().as_ref().to_vec()).unwrap(), attributes.collect()));
                open += i32::from(matches!(event, Xml::Start(_)));
            }
            Xml::End(_) => open -= 1,
            Xml::Text(text) => out.text.push_str(&String::from_utf8_lossy(text)),
            Xml::GeneralRef(name) => {
                let name = String::from_utf8_lossy(name).into_owned();
                assert!(["lt", "gt", "amp", "quot", "#x27", "#x2f"].contains(&name.as_str()), "&{name}; is not among what escaping makes");
            }
            _ => {}
        }
    }
    assert_eq!(open, 0, "elements are left open");
    out
}

#[rstest]
#[case::violated(Outcome::Violated)]
#[case::unresolved(Outcome::Unresolved(Reason::DutUnreachable))]
#[case::satisfied(Outcome::Satisfied)]
fn what_a_device_prints_never_becomes_markup(#[case] outcome: Outcome) {
    let hostile = page(events(HOSTILE, outcome, Claim::Full));
    let harmless = page(events("harmless", outcome, Claim::Full));
    let names = |p: &Parsed| p.elements.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let (parsed, plain) = (parsed(&hostile), parsed(&harmless));
    assert_eq!(names(&parsed), names(&plain), "the text of a device changed the structure of the page");
    let keys: BTreeSet<&String> = parsed.elements.iter().flat_map(|(_, a)| a.keys()).collect();
    assert!(keys.iter().all(|k| !k.starts_with("on")), "{keys:?}");
    for hidden in ['\u{202e}', '\u{0}', '\u{1b}'] {
        assert!(!hostile.contains(hidden), "{hidden:?} is in the page as it is");
    }
    assert!(hostile.contains("\\u{202e}LIAF\u{2400}\u{241b}[31m {{ 7*7 }}"), "what was written must be readable");
}

#[test]
fn every_address_stays_in_the_run_folder() {
    let parsed = parsed(&page(events("https://elsewhere.example", Outcome::Violated, Claim::Full)));
    let addresses = parsed.elements.iter().filter(|(name, _)| name != "html").flat_map(|(_, a)| ["href", "src", "action"].map(|k| a.get(k)));
    let addresses: Vec<&String> = addresses.flatten().collect();
    assert!(addresses.iter().any(|a| a.starts_with("evidence/power-loss.install/abab")), "{addresses:?}");
    assert!(addresses.iter().all(|a| a.starts_with('#') || (a.starts_with("evidence/") && !a.contains(".."))), "{addresses:?}");
}

#[test]
fn every_place_that_is_linked_exists_once() {
    let parsed = parsed(&page(events("x", Outcome::Violated, Claim::Full)));
    let ids: Vec<&String> = parsed.elements.iter().filter_map(|(_, a)| a.get("id")).collect();
    let once: BTreeSet<&String> = ids.iter().copied().collect();
    assert_eq!(ids.len(), once.len(), "an id stands twice");
    let linked = parsed.elements.iter().filter_map(|(_, a)| a.get("href")?.strip_prefix('#').map(str::to_owned));
    let missing: Vec<String> = linked.filter(|id| !once.contains(id)).collect();
    assert_eq!(missing, Vec::<String>::new());
    let labels = parsed.elements.iter().filter_map(|(_, a)| a.get("aria-labelledby")).flat_map(|l| l.split(' '));
    assert_eq!(labels.filter(|id| !once.contains(&(*id).to_owned())).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn headings_go_down_one_step_at_a_time_and_every_table_has_scoped_headers() {
    let parsed = parsed(&page(events("x", Outcome::Violated, Claim::Full)));
    let levels = parsed.elements.iter().filter_map(|(name, _)| name.strip_prefix('h')?.parse::<u8>().ok());
    let mut last = 0;
    for level in levels {
        assert!(level <= last + 1, "a heading of level {level} follows one of level {last}");
        last = level;
    }
    let headers = parsed.elements.iter().filter(|(name, _)| name == "th");
    assert!(headers.clone().count() > 20 && headers.clone().all(|(_, a)| a.contains_key("scope")));
}

#[test]
fn every_provision_and_every_unit_is_there() {
    let parsed = parsed(&page(events("x", Outcome::Satisfied, Claim::Full)));
    let ids: BTreeSet<&String> = parsed.elements.iter().filter_map(|(_, a)| a.get("id")).collect();
    let catalogue = Catalogue::load();
    assert_eq!(catalogue.provisions().iter().filter(|p| ids.contains(&format!("p-{}", p.id))).count(), 68);
    for unit in catalogue.units() {
        assert!(parsed.text.contains(&format!("Unit {unit}")), "{unit} is missing");
    }
}

#[rstest]
#[case::fail(Outcome::Violated, Claim::Full, "FAIL: x, EN 303 645", "FAIL")]
#[case::open(Outcome::Satisfied, Claim::Full, "INCONCLUSIVE: x, EN 303 645", "INCONCLUSIVE")]
#[case::partial(Outcome::Violated, Claim::None, "NO ASSESSMENT CLAIM: x, EN 303 645", "NO ASSESSMENT CLAIM")]
fn the_verdict_comes_first(#[case] outcome: Outcome, #[case] claim: Claim, #[case] title: &str, #[case] word: &str) {
    let page = page(events("x", outcome, claim));
    assert!(page.contains(&format!("<title>{title}</title>")));
    let body = parsed(page.split_once("</header>").unwrap().0.split_once("<h1>").unwrap().1.split_once("</h1>").unwrap().0).text;
    assert!(body.trim_start().starts_with(word), "{body}");
    let at = |what: &str| page.find(what).unwrap_or_else(|| panic!("{what} is missing"));
    let order = [
        "<h2 id=\"conclusion\"",
        "<h2 id=\"figures\"",
        "<h2 id=\"findings\"",
        "<h2 id=\"provisions\"",
        "<h2 id=\"checks\"",
        "<h2 id=\"bench\"",
        "<h2 id=\"rig\"",
    ];
    assert!(order.map(at).is_sorted());
    assert_eq!(page.contains("makes no assessment claim"), claim == Claim::None);
}

#[test]
fn a_violation_shows_expected_observed_replay_and_evidence_before_the_provisions() {
    let page = page(events("what it did", Outcome::Violated, Claim::Full));
    let findings = page.split_once("id=\"findings\"").unwrap().1.split_once("id=\"provisions\"").unwrap().0;
    for part in
        ["VIOLATED", "5.3-2-2 b", "<dt>Expected</dt>", "<dt>Observed</dt>", "power-loss&#x2f;install@cut=17", "evidence&#x2f;power-loss.install"]
    {
        assert!(findings.contains(part), "{part} is missing in {findings}");
    }
}

#[test]
fn an_annulled_violation_is_no_finding_and_stays_on_record_with_its_author() {
    let mut events = events("x", Outcome::Violated, Claim::Full);
    let annulled = |check: &str| Annulment {
        check: check.parse().unwrap(),
        attempt: 1,
        unit: None,
        row: None,
        reason: "the cable came off".to_owned(),
        author: "A. Tester <a@lab>".to_owned(),
        time: String::new(),
    };
    for check in ["power-loss/install", "debug-port/running"] {
        events.push(Event::Amendment(Amendment::Annul(annulled(check))));
    }
    let page = page(events);
    let fails = page.split_once("What fails</h3>").unwrap().1.split_once("<h3>").unwrap().0;
    assert!(!fails.contains("VIOLATED"), "{fails}");
    assert!(page.contains("annulled: on record, and decides nothing"));
    assert!(page.contains("A. Tester &lt;a@lab&gt;") && page.contains("the cable came off"));
}

#[test]
fn a_persons_judgement_against_the_device_is_a_finding_with_name_and_grounds() {
    let mut events = events("x", Outcome::Satisfied, Claim::Full);
    let answer = Answer {
        unit: "5.1-1-1 a".parse().unwrap(),
        row: None,
        holds: false,
        author: "B. Tester".to_owned(),
        time: String::new(),
        reasoning: "the generator is a counter".to_owned(),
    };
    events.push(Event::Amendment(Amendment::Answer(answer)));
    let page = page(events);
    let fails = page.split_once("What fails</h3>").unwrap().1.split_once("<h3>").unwrap().0;
    for part in ["5.1-1-1 a", "B. Tester (a person)", "the generator is a counter"] {
        assert!(fails.contains(part), "{part} is missing in {fails}");
    }
}

#[test]
fn a_run_that_broke_off_says_so() {
    let mut broken = events("x", Outcome::Satisfied, Claim::Full);
    broken.truncate(8);
    assert!(page(broken).contains("did not come to its end"));
}

#[test]
fn made_twice_it_is_the_same_bytes() {
    let of = || page(events(HOSTILE, Outcome::Violated, Claim::Full));
    assert_eq!(of(), of());
}

/// Ten thousand observations and cuts, each with a text of 100 000 characters somewhere among them, are a page of a few megabytes that says what it left out.
#[test]
fn a_page_is_bounded_whatever_the_journal_holds() {
    let long = HOSTILE.repeat(1000);
    let of = |count: usize| {
        let mut events = events(&long, Outcome::Violated, Claim::Full);
        let ended = events.pop().unwrap();
        let units: Vec<String> = Catalogue::load().units().map(|u| u.to_string()).collect();
        for n in 0..count {
            let check = format!("power-loss/many-{n}");
            events.push(Event::CheckStarted { check: check.parse().unwrap(), attempt: 1 });
            for _ in 0..4 {
                events.push(exchange("power", Some("off"), None));
                events.push(exchange("power", Some("on"), None));
                events.push(exchange("reset", Some("pulse 20ms"), None));
            }
            events.push(observation(&check, &units[n % units.len()], Outcome::Violated, &"<'&>".repeat(500)));
            events.push(Event::CheckEnded { check: check.parse().unwrap(), fate: Fate::Run, virtual_ms: 1 });
        }
        events.push(ended);
        page(events)
    };
    let (some, many) = (of(4_000), of(10_000));
    for left_out in ["violations left out here", "rows left out here", "checks left out here"] {
        assert!(many.contains(left_out), "nothing says that {left_out}");
    }
    assert!(many.len() < 40_000_000, "{} bytes", many.len());
    assert!(many.len() < some.len() * 11 / 10, "{} bytes for 4 000 observations, {} for 10 000", some.len(), many.len());
    parsed(&many);
}
