//! Precedence of verdicts, spelling of ids.
#![allow(clippy::unwrap_used)]

use proofbench_model::{CaseId, CheckId, ProvisionId, RowId, UnitId, Verdict};
use rstest::rstest;

use Verdict::{Fail, Inconclusive, Pass};

#[rstest]
#[case(&[Pass, Pass], Pass)]
#[case(&[Pass, Inconclusive], Inconclusive)]
#[case(&[Inconclusive, Fail, Pass], Fail)]
#[case::nothing_proves_nothing(&[], Inconclusive)]
fn fail_before_inconclusive_before_pass(#[case] parts: &[Verdict], #[case] whole: Verdict) {
    assert_eq!(Verdict::of(parts.iter().copied()), whole);
    assert_eq!(Verdict::of(parts.iter().rev().copied()), whole);
}

#[rstest]
#[case("4-1", true)]
#[case("5.1-2A", true)]
#[case("6-1", true)]
#[case("6.1", false)]
#[case("5.3", false)]
#[case("5.3.1-2", false)]
#[case("", false)]
#[case("5.3-2-2", false)]
fn ids_of_provisions(#[case] text: &str, #[case] valid: bool) {
    assert_eq!(text.parse::<ProvisionId>().is_ok(), valid);
}

#[test]
fn ids_read_what_they_write_and_know_what_they_belong_to() {
    let unit: UnitId = "5.3-10-1 c".parse().unwrap();
    assert_eq!((unit.to_string().as_str(), unit.provision().as_str()), ("5.3-10-1 c", "5.3-10"));
    assert_eq!("23/ResMech-1".parse::<RowId>().unwrap().to_string(), "23/ResMech-1");
    for bad in ["30/x", "0/x", "7/", "x/7", "7"] {
        assert!(bad.parse::<RowId>().is_err(), "{bad}");
    }
    for bad in ["5.3-2-2", "5.3-2-2 B", "5.3-2-2 ab", "5.3-2 a", "5.3-2-2  a"] {
        assert!(bad.parse::<UnitId>().is_err(), "{bad}");
    }
    assert!("power-loss/install".parse::<CheckId>().is_ok() && "power-loss".parse::<CheckId>().is_err());
    assert!("5.3-2-2".parse::<CaseId>().is_ok());
    let told = "5.3".parse::<ProvisionId>().unwrap_err().to_string();
    assert!(told.contains("`5.3`") && told.contains("5.3-2"), "{told}");
}
