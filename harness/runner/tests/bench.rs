//! What a check may rely on when it uses the bench.

mod common;

use common::{bench_on, ready, rig, sticky};
use proofbench_channel::{ChannelError, Console, ConsoleRead, Moment, Wait};
use proofbench_model::Reason;
use proofbench_model::bind::{Action, Credential, Pattern};
use proofbench_model::journal::Event;
use proofbench_runner::bench::{Did, LoginResult, OffWitness, state_changes};
use proofbench_runner::{Bench, Trouble};
use rstest::rstest;
use std::collections::VecDeque;
use std::time::Duration;

fn pattern(text: &str) -> Pattern {
    Pattern(text.to_owned())
}

fn action(toml: &str) -> Action {
    #[derive(serde::Deserialize)]
    struct Wrapper {
        action: Action,
    }
    toml::from_str::<Wrapper>(&format!("action = {toml}")).expect("an action").action
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_boot_is_told_whole() {
    let (mut b, _) = bench_on(rig(&[], &[]));
    b.power_on().unwrap();
    let boot = b.wait_ready(3 * SECOND).unwrap();
    assert_eq!((boot.cause.as_str(), boot.ram_lost, boot.boots), ("power-on", Some(true), 1));
    assert!(boot.id.len() == 8 && boot.log[0].contains(&boot.id), "{boot:?}");
    assert!(boot.took > Duration::ZERO && boot.took < SECOND, "{:?}", boot.took);
    assert_eq!(b.last_boot_id(), Some(boot.id.as_str()));
}

#[test]
fn a_prompt_can_be_what_says_ready() {
    let mut r = rig(&[], &[]);
    let mut dossier = (*r.dossier).clone();
    dossier.device.bind.ready = pattern("login: $");
    r.dossier = dossier.into();
    let (mut b, _) = bench_on(r);
    b.power_on().unwrap();
    let boot = b.wait_ready(3 * SECOND).unwrap();
    assert_eq!((boot.cause.as_str(), boot.boots), ("power-on", 1));
    assert!(b.power_cycle().is_ok());
}

#[test]
fn an_image_is_below_the_dossiers_folder() {
    let (mut b, _) = bench_on(rig(&[], &[]));
    assert_eq!(b.image("../../keys/maker-ed25519.pem").unwrap_err().reason(), Reason::IxitAmbiguous);
    assert_eq!(b.image("images/none.bin").unwrap_err().reason(), Reason::IxitMissing);
}

#[test]
fn a_ready_line_from_before_the_stimulus_does_not_count() {
    let (mut b, _) = bench_on(rig(&[], &[]));
    b.power_on().unwrap();
    assert!(b.expect(&b.bind().ready.clone(), 3 * SECOND).unwrap().is_some());
    b.power_off().unwrap();
    // No stimulus followed: there is nothing to be ready.
    assert_eq!(b.try_ready(SECOND).unwrap(), None);
    assert_eq!(b.boot_seen().boots, 0);
}

#[test]
fn a_device_that_stays_dark_is_unreachable() {
    let (mut b, _) = bench_on(rig(&[], &["dead-console"]));
    b.power_on().unwrap();
    let e = b.wait_ready(3 * SECOND).unwrap_err();
    assert_eq!(e.reason(), Reason::DutUnreachable);
    assert!(e.to_string().contains("no boot line within 3s"), "{e}");
}

#[test]
fn restarts_carry_their_cause() {
    let (mut b, _) = ready();
    let causes = b.bind().causes.clone();
    assert_eq!(Some(b.reboot().unwrap().cause), causes.software);
    assert_eq!(Some(b.reset_pulse().unwrap().cause), causes.pin);
    assert_eq!(b.power_cycle().unwrap().cause, causes.power_on);
}

#[test]
fn answers_older_than_the_drain_do_not_count() {
    let (mut b, _) = ready();
    b.send_line("").unwrap();
    b.sleep(SECOND).unwrap();
    let old = b.drain().unwrap();
    assert!(String::from_utf8_lossy(&old).contains("login:"));
    assert_eq!(b.expect(&pattern("login:"), SECOND).unwrap(), None);
    b.send_line("").unwrap();
    assert!(b.expect(&pattern("login:"), SECOND).unwrap().is_some());
    // What matched is consumed.
    assert_eq!(b.expect(&pattern("login:"), SECOND).unwrap(), None);
}

#[test]
fn a_deadline_consumes_nothing() {
    let (mut b, _) = ready();
    b.drain().unwrap();
    b.send_line("").unwrap();
    assert_eq!(b.expect(&pattern("nothing says this"), SECOND).unwrap(), None);
    assert!(b.expect(&pattern("login:"), SECOND).unwrap().is_some());
}

#[test]
fn a_tripwire_ends_a_wait_unless_it_is_allowed() {
    let (mut b, _) = ready();
    b.power_off().unwrap();
    let slot = b.bind().regions["slot0"];
    let wait = b.wait(SECOND);
    b.storage().unwrap().write(slot.offset, &[0xff; 0x1000], &wait).unwrap();
    b.power_on().unwrap();
    let e = b.expect(&pattern("^APP ready"), 3 * SECOND).unwrap_err();
    assert!(matches!(&e, Trouble::Unreachable(why) if why.starts_with("tripwire: BL halt")), "{e}");
    b.power_off().unwrap();
    b.power_on().unwrap();
    assert_eq!(b.try_ready(3 * SECOND).unwrap(), None);
    assert!(b.boot_seen().tripwire.as_deref().is_some_and(|t| t.starts_with("BL halt")), "{:?}", b.boot_seen());
    b.power_off().unwrap();
    b.allow_tripwires(true);
    b.power_on().unwrap();
    assert!(b.expect(&pattern("^BL halt"), 3 * SECOND).unwrap().is_some());
}

#[test]
fn login_tells_right_from_wrong_from_locked() {
    let (mut b, _) = ready();
    let label = b.dossier().device.sample.label.clone().unwrap();
    let wrong = Credential { user: label.user.clone(), secret: "wrong".into() };
    assert_eq!(b.login(&label).unwrap(), LoginResult::In);
    assert_eq!(b.login(&wrong).unwrap(), LoginResult::Refused);
    assert_eq!(b.login(&label).unwrap(), LoginResult::In);
    let tries = b.bind().login.as_ref().unwrap().tries;
    let results: Vec<LoginResult> = (0..tries + 3).map(|_| b.login(&wrong).unwrap()).collect();
    assert_eq!(results[0], LoginResult::Refused);
    assert!(matches!(results.last(), Some(LoginResult::LockedOut | LoginResult::Refused)), "{results:?}");
    b.set_credential(wrong);
    assert_eq!(b.session().unwrap_err().reason(), Reason::PreconditionUnmet);
}

#[test]
fn no_secret_of_the_label_is_recorded() {
    let (mut b, sink) = ready();
    b.session().unwrap();
    let secret = b.dossier().device.sample.label.clone().unwrap().secret;
    assert!(!b.transcript_text().contains(&secret));
    let taken = sink.0.borrow();
    assert!(taken.events.iter().all(|(_, e)| !format!("{e:?}").contains(&secret)));
    assert!(taken.events.iter().any(|(_, e)| format!("{e:?}").contains("(a secret)")), "the request itself is journalled");
}

#[test]
fn requests_stand_in_the_journal_before_their_answers() {
    let (mut b, sink) = ready();
    b.ask("version").unwrap();
    let taken = sink.0.borrow();
    let place = |needle: &str| taken.events.iter().position(|(_, e)| format!("{e:?}").contains(needle));
    let (asked, answered) = (place("state\\\\r"), place("version=1.2.0"));
    assert!(asked.is_some() && asked < answered, "{asked:?} {answered:?}");
}

#[test]
fn questions_read_their_value() {
    let (mut b, _) = ready();
    assert_eq!(b.ask("version").unwrap(), "1.2.0");
    assert_eq!(b.ask("serial").unwrap(), "TH1-0001");
    assert_eq!(b.ask("no-such-question").unwrap_err().reason(), Reason::IxitMissing);
}

#[rstest]
#[case::done("{ console = { send = 'set name {value}', expect = '^OK', refuse = '^ERR', login = true } }", true)]
#[case::refused("{ console = { send = 'nonsense {value}', expect = '^OK', refuse = '^ERR', login = true } }", false)]
fn an_action_is_done_or_refused(#[case] toml: &str, #[case] done: bool) {
    let (mut b, _) = ready();
    let did = b.perform(&action(toml), &[("value", "parlour")]).unwrap();
    assert_eq!(did.is_done(), done, "{did:?}");
    assert!(done || matches!(&did, Did::Refused { text } if text.contains("ERR")), "{did:?}");
}

#[test]
fn neither_answer_is_silence() {
    let (mut b, _) = ready();
    let odd = action("{ console = { send = 'state', expect = '^never', refuse = '^nor this', login = true, within-ms = 300 } }");
    assert_eq!(b.perform(&odd, &[]).unwrap(), Did::Silent);
}

#[test]
fn the_echo_of_a_line_is_no_answer_to_it() {
    let (mut b, _) = ready();
    let odd = action("{ console = { send = 'get OK-is-no-key', expect = 'OK', refuse = '^ERR', login = true } }");
    assert!(matches!(b.perform(&odd, &[]).unwrap(), Did::Refused { .. }));
}

#[test]
fn a_parameter_that_nobody_gives_is_the_dossiers_fault() {
    let (mut b, _) = ready();
    let a = action("{ console = { send = 'set name {value}', expect = '^OK', login = true } }");
    let e = b.perform(&a, &[]).unwrap_err();
    assert_eq!(e.reason(), Reason::IxitAmbiguous);
    assert!(e.to_string().contains("`value`"), "{e}");
}

#[test]
fn a_persons_act_waits_for_the_person() {
    let (mut b, _) = ready();
    let e = b.perform(&action("{ operator = { prompt = 'press it' } }"), &[]).unwrap_err();
    assert_eq!(e.reason(), Reason::HumanPending);
}

#[test]
fn the_state_vector_holds_what_changes_and_only_that() {
    let (mut b, _) = ready();
    let before = b.state_vector().unwrap();
    b.power_cycle().unwrap();
    let after = b.state_vector().unwrap();
    assert_eq!(state_changes(&before, &after), Vec::<String>::new());
    assert!(before.contains_key("update") && before["version"] == "1.2.0");
    let set = action("{ console = { send = 'set name attic', expect = '^OK', login = true } }");
    assert!(b.perform(&set, &[]).unwrap().is_done());
    let changed = state_changes(&after, &b.state_vector().unwrap());
    assert!(changed.iter().all(|c| c.starts_with("store ")), "{changed:?}");
}

#[test]
fn a_dump_proves_its_reader() {
    let (mut b, _) = ready();
    let dump = b.dump().unwrap();
    assert_eq!(dump.len(), 256 * 1024);
    let delivered = proofbench_rig::delivered_image(b.dossier()).unwrap().to_owned();
    let image = b.image(&delivered).unwrap();
    assert!(b.region(&dump, "slot0").unwrap().starts_with(&image));
    assert_eq!(b.region(&dump, "no-such-region").unwrap_err().reason(), Reason::IxitMissing);
}

#[test]
fn a_reader_that_lies_is_a_rig_fault() {
    let (mut b, _) = bench_on(rig(&[], &["lying-flash-reader"]));
    let e = b.dump().unwrap_err();
    assert_eq!(e.reason(), Reason::RigFault, "{e}");
}

#[test]
fn what_the_rig_has_not_is_named() {
    let mut r = rig(&[], &[]);
    r.channels.storage = None;
    r.channels.reset = None;
    r.channels.debug = None;
    let (mut b, _) = bench_on(r);
    assert_eq!(b.dump().unwrap_err().to_string(), "the rig has no storage");
    assert_eq!(b.reset_pulse().unwrap_err().reason(), Reason::RigCapabilityMissing);
}

#[test]
fn quiet_loops_are_counted_and_not_journalled() {
    let (mut b, sink) = ready();
    let count = || sink.0.borrow().events.len();
    b.quiet(true);
    let before = count();
    for _ in 0..5 {
        b.power_cycle().unwrap();
    }
    assert_eq!(count(), before);
    b.quiet(false);
    let notes = common::notes(&sink);
    assert!(notes.iter().any(|n| n.ends_with("exchanges in quiet loops") && !n.starts_with("0 ")), "{notes:?}");
    // The transcript has them all the same.
    assert!(b.transcript_text().matches("ROM th1").count() >= 5);
}

#[test]
fn once_is_once_and_only_success_is_kept() {
    let (mut b, _) = ready();
    assert!(b.once::<u32>("k", |_| Err(Trouble::Precondition("not yet".into()))).is_err());
    assert_eq!(b.once("k", |_| Ok(1)).unwrap(), 1);
    assert_eq!(b.once("k", |_| Ok(2)).unwrap(), 1);
    assert_eq!(b.once("k", |_| Ok("text")).unwrap_err().reason(), Reason::HarnessFault);
}

#[test]
fn a_reference_bench_is_another_device_and_leaves_no_record() {
    let (mut b, sink) = ready();
    let before = sink.0.borrow().events.len();
    let mut reference: Bench = b.reference(&[]).unwrap();
    reference.power_on().unwrap();
    reference.wait_ready(3 * SECOND).unwrap();
    assert_eq!(reference.ask("version").unwrap(), "1.2.0");
    assert!(b.reference(&["no-such-defect"]).is_err());
    assert_eq!(sink.0.borrow().events.len(), before);
    assert_eq!(reference.seed(), b.seed());
}

#[test]
fn evidence_has_its_digest_as_name() {
    let (mut b, sink) = ready();
    let id = b.evidence("a photo", b"bytes");
    assert_eq!(sink.0.borrow().evidence[&id], ("a photo".to_owned(), b"bytes".to_vec()));
    let transcript = b.transcript();
    assert!(String::from_utf8_lossy(&sink.0.borrow().evidence[&transcript].1).contains("console < APP ready"));
    assert!(sink.0.borrow().events.iter().all(|(_, e)| !matches!(e, Event::Observation(_))));
}

/// A console that plays what it is told, one event a read, and takes every write.
struct Played(VecDeque<ConsoleRead>, Vec<&'static [u8]>);

impl Console for Played {
    fn read(&mut self, into: &mut Vec<u8>, _: &Wait) -> Result<ConsoleRead, ChannelError> {
        let read = self.0.pop_front().unwrap_or(ConsoleRead::Silence);
        if let ConsoleRead::Bytes(_) = read {
            into.extend_from_slice(self.1.remove(0));
        }
        Ok(read)
    }
    fn write(&mut self, _: &[u8], _: &Wait) -> Result<(), ChannelError> {
        Ok(())
    }
    fn send_break(&mut self, _: &Wait) -> Result<(), ChannelError> {
        Ok(())
    }
    fn describe(&self) -> String {
        "played".into()
    }
}

/// A bench whose device says this, piece by piece, and has a boot loader with a prompt.
fn played(pieces: &[&'static [u8]]) -> Bench {
    let mut r = rig(&[], &[]);
    let mut dossier = (*r.dossier).clone();
    dossier.device.bind.tripwires = vec![pattern("^PANIC"), pattern("^=> $")];
    r.dossier = dossier.into();
    let reads = pieces.iter().map(|_| ConsoleRead::Bytes(Moment(1))).collect();
    r.channels.console = Some(Box::new(Played(reads, pieces.to_vec())));
    bench_on(r).0
}

fn trip<T: std::fmt::Debug>(result: Result<T, Trouble>) -> String {
    match result {
        Err(Trouble::Unreachable(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// A console whose pieces arrive so long after each other: a machine that is busy elsewhere.
struct Halting {
    pieces: VecDeque<&'static [u8]>,
    gap: Duration,
    next: Moment,
}

impl Console for Halting {
    fn read(&mut self, into: &mut Vec<u8>, wait: &Wait) -> Result<ConsoleRead, ChannelError> {
        if wait.until < self.next {
            return Ok(ConsoleRead::Silence);
        }
        let Some(piece) = self.pieces.pop_front() else { return Ok(ConsoleRead::Silence) };
        into.extend_from_slice(piece);
        let at = self.next;
        self.next = at + self.gap;
        Ok(ConsoleRead::Bytes(at))
    }
    fn write(&mut self, _: &[u8], _: &Wait) -> Result<(), ChannelError> {
        Ok(())
    }
    fn send_break(&mut self, _: &Wait) -> Result<(), ChannelError> {
        Ok(())
    }
    fn describe(&self) -> String {
        "halting".into()
    }
}

#[test]
fn a_value_is_not_read_from_half_a_line_that_a_busy_machine_holds_back() {
    let mut r = rig(&[], &[]);
    let pieces = [&b"name=Thermosta"[..], b"t\r\n", b"th1> "].into();
    r.channels.console = Some(Box::new(Halting { pieces, gap: Duration::from_millis(300), next: Moment::default() }));
    let found = bench_on(r).0.expect(&pattern("^name=(?P<value>.*)$"), SECOND).unwrap();
    assert_eq!(found.and_then(|f| f.value).as_deref(), Some("Thermostat"));
}

#[test]
fn a_boot_loaders_prompt_ends_a_wait_though_its_line_has_no_end() {
    let told = trip(played(&[b"U-Boot 2026\r\n", b"=> "]).expect(&pattern("ready"), SECOND));
    assert_eq!(told, "tripwire: => ");
    let e = trip(played(&[b"U-Boot 2026\r\n", b"=> "]).wait_ready(SECOND));
    assert_eq!(e, "tripwire: => ");
    // What only begins like a prompt is none.
    let mut b = played(&[b"=> ", b"all good\r\n", b"ready\r\n"]);
    assert!(b.expect(&pattern("^ready"), SECOND).unwrap().is_some());
    // Who asks for the prompt gets it.
    assert!(played(&[b"=> "]).expect(&pattern("^=> $"), SECOND).unwrap().is_some());
    let mut b = played(&[b"=> "]);
    b.allow_tripwires(true);
    assert_eq!(b.expect(&pattern("ready"), SECOND).unwrap(), None);
}

#[test]
fn a_panic_that_was_drained_ends_the_next_wait() {
    let mut b = played(&[b"PANIC at 0x1234\r\n", b"more\r\n"]);
    b.drain().unwrap();
    assert_eq!(trip(b.expect(&pattern("ready"), SECOND)), "tripwire: PANIC at 0x1234");
    assert_eq!(b.expect(&pattern("ready"), SECOND).unwrap(), None, "it is told once");
    let mut b = played(&[b"PANIC at 0x1234\r\n"]);
    b.drain().unwrap();
    b.power_on().unwrap();
    assert_eq!(b.expect(&pattern("ready"), SECOND).unwrap(), None, "a device that starts again has a new life");
}

#[test]
fn a_port_that_vanished_long_ago_and_came_back_in_silence_witnesses_no_power_cut() {
    let mut r = rig(&[], &[]);
    let (reads, words) = ([ConsoleRead::Gone].into(), Vec::new());
    r.channels.console = Some(Box::new(Played(reads, words)));
    // No meter.
    sticky(&mut r).set(true);
    let (mut b, _) = bench_on(r);
    b.drain().unwrap();
    b.power_off().unwrap();
    assert_eq!(b.off_witness(), Some(OffWitness::Nothing));
}
