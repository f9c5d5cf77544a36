//! The catalogue is the whole standard: counts, statuses, references.
#![allow(clippy::unwrap_used)]

use proofbench_model::catalogue::{Catalogue, Kind, Obligation};
use proofbench_model::{Method, ProvisionId, UnitId};
use rstest::rstest;
use std::collections::BTreeSet;

#[test]
fn the_counts_are_those_of_the_published_documents() {
    let c = Catalogue::load();
    assert_eq!(c.provisions().len(), 68);
    assert_eq!(c.cases().len(), 109);
    assert_eq!(c.units().count(), 226);
    assert_eq!(c.units().collect::<BTreeSet<_>>().len(), 226);
    assert_eq!(c.tables().len(), 29);
    assert_eq!(c.conditions(Method::Ts103701).len(), 28);
    assert_eq!(c.conditions(Method::EnAnnexB).len(), 13);
    let of = |kind| c.cases().iter().filter(|x| x.kind == kind).count();
    assert_eq!((of(Kind::Conceptual), of(Kind::Functional), of(Kind::Mixed)), (62, 46, 1));
}

/// M, M C, R, R C.
#[rstest]
#[case::annex_a3(Method::Ts103701, [8, 25, 19, 16])]
#[case::annex_b(Method::EnAnnexB, [20, 13, 25, 10])]
fn both_status_tables_are_whole(#[case] method: Method, #[case] expected: [usize; 4]) {
    let c = Catalogue::load();
    let count = |obligation, conditional| {
        c.provisions().iter().filter(|p| p.status(method).obligation == obligation && p.status(method).conditional == conditional).count()
    };
    let found = [
        count(Obligation::Mandatory, false),
        count(Obligation::Mandatory, true),
        count(Obligation::Recommended, false),
        count(Obligation::Recommended, true),
    ];
    assert_eq!(found, expected);
    for p in c.provisions() {
        let status = p.status(method);
        assert_eq!(status.conditional, !status.conditions.is_empty(), "{}", p.id);
        assert!(status.conditions.iter().all(|n| c.condition(method, *n).is_some()), "{}", p.id);
    }
}

#[test]
fn the_obligation_is_the_same_in_both_tables_and_eighteen_provisions_are_conditional_in_one_only() {
    let differ: Vec<_> =
        Catalogue::load().provisions().iter().filter(|p| p.status(Method::Ts103701).conditional && !p.status(Method::EnAnnexB).conditional).collect();
    assert_eq!(differ.len(), 18);
    for p in Catalogue::load().provisions() {
        assert_eq!(p.status(Method::Ts103701).obligation, p.status(Method::EnAnnexB).obligation, "{}", p.id);
    }
}

#[rstest]
#[case("5.3-6", "R C (9, 12)")]
#[case("5.5-1", "M")]
#[case("6-1", "M C (28)")]
fn a_status_is_told_in_the_spelling_of_the_form(#[case] id: ProvisionId, #[case] text: &str) {
    assert_eq!(Catalogue::load().provision(&id).unwrap().status(Method::Ts103701).text(), text);
}

#[test]
fn every_case_belongs_to_a_provision_and_is_found_by_id() {
    let c = Catalogue::load();
    let of_provisions: Vec<_> = c.provisions().iter().flat_map(|p| p.cases.clone()).collect();
    assert_eq!(of_provisions.len(), 109);
    for case in c.cases() {
        assert_eq!(c.case(&case.id).unwrap().id, case.id);
        assert!(c.provision(&case.id.provision()).unwrap().cases.contains(&case.id));
        assert!(case.tables.iter().all(|t| c.table(*t).is_some()) && case.reuses.iter().all(|r| c.case(r).is_some()));
    }
}

#[test]
fn only_tables_2_4_and_9_have_no_rows() {
    let without: Vec<u8> = Catalogue::load().tables().iter().filter(|t| !t.has_rows).map(|t| t.number).collect();
    assert_eq!(without, [2, 4, 9]);
    assert_eq!(Catalogue::load().table_named("AuthMech").unwrap().fields[5].key, "brute-force-prevention");
}

#[test]
fn references_go_from_and_to_units_that_exist_and_that_the_data_says_are_reused() {
    let c = Catalogue::load();
    assert_eq!(c.references().len(), 7);
    for reference in c.references() {
        assert!(c.has_unit(&reference.unit), "{}", reference.unit);
        let case = c.case(&reference.unit.case).unwrap();
        for to in &reference.to {
            assert!(c.has_unit(to) && case.reuses.contains(&to.case), "{} -> {to}", reference.unit);
        }
    }
}

#[rstest]
#[case("5.3-10-1 a", Kind::Conceptual)]
#[case("5.3-10-1 c", Kind::Functional)]
#[case("5.4-1-2 a", Kind::Functional)]
#[case("5.4-1-1 a", Kind::Conceptual)]
fn a_unit_knows_whether_it_is_read_or_tried(#[case] unit: UnitId, #[case] kind: Kind) {
    assert_eq!(Catalogue::load().unit_kind(&unit), kind);
}

#[rstest]
#[case("5.3-2-2 c", false)]
#[case("5.3-2-2 b", true)]
#[case("5.3-2-9 a", false)]
fn units_that_do_not_exist_are_not_found(#[case] unit: UnitId, #[case] exists: bool) {
    assert_eq!(Catalogue::load().has_unit(&unit), exists);
}
