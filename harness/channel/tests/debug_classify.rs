//! Surveys as probes recorded them, and the level of access that each shows.

use proofbench_channel::debug::{Access, ApSeen, Protocol, Said, Survey, SurveyJob, Unfit, classify, in_words};
use rstest::rstest;

const KNOWN: u32 = 0x4148_5431;
const CPUID: Said = Said::Value(0x410F_C241);
const RAM: Said = Said::Value(0xC0DE_CAFE);
const FLASH: Said = Said::Value(KNOWN);
const POWERED: Said = Said::Value(0xF000_0000);
use Said::{Fault, NoAck, NotTried, Wait};

fn empty(dpidr: Said, power_up: Said) -> Survey {
    let job = SurveyJob::new(Protocol::Swd, 0x2000_0000, 0x8400, Some(KNOWN));
    Survey { dpidr, power_up, vtref_mv: Some(3300), attempts: 1, answered: 1, ..Survey::begun(job) }
}

fn with(aps: Vec<ApSeen>) -> Survey {
    Survey { aps, self_test: Some(true), ..empty(Said::Value(0x2BA0_1477), POWERED) }
}

fn mem(ap: u8, cpuid: Said, ram: Said, flash: Said) -> ApSeen {
    let open = [&cpuid, &ram, &flash].into_iter().any(|s| matches!(s, Said::Value(_)));
    let csw = Said::Value(if open { 0x2300_0042 } else { 0x2300_0002 });
    let core = if matches!(cpuid, Said::Value(0x410F_C241)) { Said::Value(0x401) } else { cpuid.clone() };
    let core = if core == Said::Value(0) { Fault } else { core };
    ApSeen { idr: 0x2477_0011, mem: true, csw, cpuid, ram, flash, core, ..ApSeen::unknown(ap) }
}

fn vendor(ap: u8, idr: u32, status: u32) -> ApSeen {
    ApSeen { idr, status: Said::Value(status), ..ApSeen::unknown(ap) }
}

#[rstest]
#[case::open(with(vec![mem(0, CPUID, RAM, FLASH)]), Access::Open)]
#[case::nrf_locked(with(vec![mem(0, Fault, Fault, Fault), vendor(1, 0x0288_0000, 0)]), Access::ApDisabled)]
#[case::second_ap_behind_a_hole(with(vec![mem(0, Fault, Fault, Fault), mem(3, CPUID, RAM, FLASH)]), Access::Open)]
#[case::rdp1_flash_faults(with(vec![mem(0, CPUID, RAM, Fault)]), Access::Partial)]
#[case::flash_reads_zero(with(vec![mem(0, CPUID, RAM, Said::Value(0))]), Access::Partial)]
#[case::flash_reads_other_content(with(vec![mem(0, Fault, Fault, Said::Value(0x1234))]), Access::Partial)]
#[case::ram_only(with(vec![mem(0, Fault, RAM, Fault)]), Access::Partial)]
#[case::only_a_mailbox(with(vec![vendor(2, 0x002A_0000, 0)]), Access::NoMemAp)]
#[case::no_ap_at_all(with(vec![]), Access::NoMemAp)]
#[case::line_high(empty(NoAck, NotTried), Access::Silent)]
#[case::line_low(empty(Said::Protocol, NotTried), Access::Silent)]
#[case::no_power_acknowledge(empty(Said::Value(0x2BA0_1477), Said::Value(0x5000_0000)), Access::PowerUpRefused)]
#[case::accesses_wait_for_ever(with(vec![ApSeen { idr: 0, csw: Wait, ..vendor(0, 0, 0) }]), Access::ApStuck)]
#[case::words_wait_for_ever(with(vec![mem(0, Wait, Wait, Wait)]), Access::ApStuck)]
#[case::identification_faults(with(vec![ApSeen { idr: 0, csw: Fault, ..vendor(0, 0, 0) }]), Access::ApStuck)]
fn a_recorded_survey_has_its_level(#[case] survey: Survey, #[case] level: Access) {
    assert_eq!(classify(&survey), Ok(level));
}

#[rstest]
#[case::blank_is_not_locked(with(vec![mem(0, Fault, Fault, Said::Value(u32::MAX))]), Unfit::Blank { ap: 0, word: u32::MAX })]
#[case::all_zero_bus(with(vec![mem(0, Said::Value(0), Said::Value(0), Said::Value(0))]), Unfit::Blank { ap: 0, word: 0 })]
#[case::died_on_the_way(with(vec![mem(0, Fault, NoAck, NoAck)]), Unfit::Lost)]
#[case::died_among_the_aps(with(vec![ApSeen { idr: 0, csw: NoAck, ..vendor(4, 0, 0) }]), Unfit::Lost)]
#[case::newer_debug_port(empty(Said::Value(0x4C01_3477), NotTried), Unfit::Version(0x4C01_3477))]
#[case::driver_unfit(Survey { self_test: Some(false), ..with(vec![mem(0, Fault, Fault, Fault)]) }, Unfit::Driver)]
#[case::no_power(Survey { vtref_mv: Some(0), ..empty(NoAck, NotTried) }, Unfit::Unpowered(0))]
#[case::hardly_any_power(Survey { vtref_mv: Some(400), ..empty(Said::Protocol, NotTried) }, Unfit::Unpowered(400))]
#[case::condition_unmet(Survey { unmet: Some("no such pin".into()), ..with(vec![mem(0, Fault, Fault, Fault)]) }, Unfit::Unmet("no such pin".into()))]
#[case::silent_under_no_condition(Survey { unmet: Some("no such pin".into()), ..empty(NoAck, NotTried) }, Unfit::Unmet("no such pin".into()))]
fn what_decides_nothing_is_not_called_locked(#[case] survey: Survey, #[case] why: Unfit) {
    assert_eq!(classify(&survey), Err(why));
}

#[rstest]
#[case::voltmeter_at_fault(Survey { vtref_mv: Some(0), ..with(vec![mem(0, Fault, Fault, Fault)]) }, Access::ApDisabled)]
#[case::no_voltmeter(Survey { vtref_mv: None, ..empty(NoAck, NotTried) }, Access::Silent)]
#[case::low_voltage_part(Survey { vtref_mv: Some(1200), ..empty(NoAck, NotTried) }, Access::Silent)]
#[case::open_under_another_condition(Survey { unmet: Some("x".into()), ..with(vec![mem(0, CPUID, RAM, FLASH)]) }, Access::Open)]
#[case::partial_under_another_condition(Survey { unmet: Some("x".into()), ..with(vec![mem(0, CPUID, RAM, Fault)]) }, Access::Partial)]
fn what_was_seen_outweighs_what_was_not(#[case] survey: Survey, #[case] level: Access) {
    assert_eq!(classify(&survey), Ok(level));
}

#[test]
fn firmware_read_by_an_unfit_driver_is_still_read() {
    let survey = Survey { self_test: Some(false), ..with(vec![mem(0, CPUID, RAM, FLASH)]) };
    assert_eq!(classify(&survey), Ok(Access::Open));
}

#[test]
fn without_a_known_word_content_is_open_and_blank_is_not_locked() {
    let mut survey = with(vec![mem(0, Fault, Fault, Said::Value(7))]);
    survey.job.flash_known = None;
    assert_eq!(classify(&survey), Ok(Access::Open));
    survey.aps[0].flash = Said::Value(u32::MAX);
    assert!(matches!(classify(&survey), Err(Unfit::Blank { .. })));
}

#[test]
fn the_summary_names_every_access_port_and_what_it_let_through() {
    let text = with(vec![mem(0, CPUID, RAM, Fault), vendor(1, 0x0288_0000, 0)]).summary();
    assert!(text.contains("AP 0 idr 24770011 enabled: cpuid 410fc241, ram c0decafe, flash refused"), "{text}");
    assert!(text.contains("vendor AP 1 idr 02880000 status 00000000"), "{text}");
}

#[rstest]
#[case::open(with(vec![mem(0, CPUID, RAM, FLASH)]), &["flash 41485431, the known word", "open: firmware readable", "whoever reaches these pins reads the firmware"], &["other moments"])]
#[case::locked(
    with(vec![mem(0, Fault, Fault, Fault), vendor(1, 0x0288_0000, 0)]),
    &["memory access port, IDR 24770011, disabled", "CPUID refused, RAM refused, flash refused", "vendor access port, IDR 02880000",
      "memory access refused", "nothing proves that this is the right wire", "other ways in: JTAG, SWD from dormant", "plugged cold"],
    &["silence is no lock"]
)]
#[case::silent(empty(NoAck, NotTried), &["the line stays high", "silence is no lock", "3300 mV"], &["whether the target has power"])]
#[case::silent_unmeasured(Survey { vtref_mv: None, ..empty(NoAck, NotTried) }, &["does not measure it", "whether the target has power"], &[])]
#[case::unpowered(Survey { vtref_mv: Some(3), ..empty(NoAck, NotTried) }, &["level      none: the target has no power"], &["silence is no lock"])]
#[case::stuck(with(vec![ApSeen { idr: 0, csw: Wait, ..vendor(0, 0, 0) }]), &["gives no identification: WAIT without end", "no sign of a lock"], &[])]
#[case::refused(empty(Said::Value(0x2BA0_1477), Said::Value(0x5000_0000)), &["never acknowledged (CTRL/STAT 50000000)"], &[])]
fn words_say_what_was_seen_and_what_was_not(#[case] survey: Survey, #[case] told: &[&str], #[case] untold: &[&str]) {
    let text = in_words(&survey, None);
    for part in told {
        assert!(text.contains(part), "`{part}` is missing in\n{text}");
    }
    for part in untold {
        assert!(!text.contains(part), "`{part}` stands in\n{text}");
    }
}

#[test]
fn without_a_known_word_nothing_proves_the_wire_even_of_an_open_port() {
    let mut survey = with(vec![mem(0, CPUID, RAM, FLASH)]);
    survey.job.flash_known = None;
    let text = in_words(&survey, None);
    assert!(text.contains("no known word was given: nothing proves that this is the right wire"), "{text}");
}

#[test]
fn a_family_is_told_with_its_doors_and_its_caveat() {
    let family = proofbench_model::ChipFamily::find("sam-d-e");
    let text = in_words(&empty(NoAck, NotTried), family);
    assert!(text.contains("locked means: silent while hot-plugging is off") && text.contains("door beside the lock"), "{text}");
    assert!(text.contains("to be confirmed against the part's data sheet"), "{text}");
}
