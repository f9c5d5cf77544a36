//! A made-up dossier and made-up records: a world in which everything passes, to be spoilt by one change at a time.
#![allow(dead_code, clippy::unwrap_used)] // shared by several test programs, none of which uses all of it

use proofbench_assess::{Assessment, Options, Records, assess};
use proofbench_model::catalogue::{Catalogue, Kind, Obligation};
use proofbench_model::dossier::{DeclaredCondition, Dossier, DossierFiles, EmptyTable, Ics, IcsRow, Ixit, NamedText, Row, Support};
use proofbench_model::journal::{Annulment, Answer, Due};
use proofbench_model::{CaseId, EvidenceId, Method, Observation, Outcome, Profile, ProvisionId, Reason, RowId, UnitId, Verdict};
use std::collections::BTreeMap;

pub const DEVICE: &str = r#"
format = 1
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

/// A dossier and what was recorded.
#[derive(Clone)]
pub struct World {
    pub dossier: Dossier,
    pub support: BTreeMap<ProvisionId, (Support, String)>,
    pub conditions: Vec<DeclaredCondition>,
    pub rows: Vec<Row>,
    pub empty: Vec<EmptyTable>,
    pub records: Records,
    pub options: Options,
}

/// What differs from one world to the next; the rest would fill pages.
impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for o in self.records.observations.iter().filter(|o| o.check.as_str() != "made/up") {
            writeln!(f, "{} {} {:?} attempt {}: {}", o.check, o.unit, o.row.as_ref().map(ToString::to_string), o.attempt, o.outcome)?;
        }
        writeln!(f, "due {:?}\nannulled {:?}\nclaim {:?}", self.records.due, self.records.annulments, self.records.claim)
    }
}

pub fn provision(id: &str) -> ProvisionId {
    id.parse().unwrap()
}

pub fn case(id: &str) -> CaseId {
    id.parse().unwrap()
}

pub fn unit(id: &str) -> UnitId {
    id.parse().unwrap()
}

pub fn row_id(id: &str) -> RowId {
    id.parse().unwrap()
}

pub fn observe(check: &str, unit_id: &str, row: Option<&str>, outcome: Outcome, attempt: u32) -> Observation {
    Observation {
        check: check.parse().unwrap(),
        unit: unit(unit_id),
        row: row.map(row_id),
        outcome,
        expected: "as declared".to_owned(),
        observed: format!("{outcome} by {check}"),
        evidence: vec![EvidenceId("ab".repeat(32))],
        strength: None,
        replay: None,
        attempt,
    }
}

pub fn answer(unit_id: &str, row: Option<&str>, holds: bool) -> Answer {
    Answer {
        unit: unit(unit_id),
        row: row.map(row_id),
        holds,
        author: "R. Eviewer".to_owned(),
        time: String::new(),
        reasoning: "read the declaration".to_owned(),
    }
}

pub fn annul(check: &str, attempt: u32) -> Annulment {
    Annulment {
        check: check.parse().unwrap(),
        attempt,
        unit: None,
        row: None,
        reason: "the cable came off".to_owned(),
        author: "O. Perator".to_owned(),
        time: String::new(),
    }
}

pub fn due(check: &str, unit_id: &str, row: Option<&str>) -> Due {
    Due { check: check.parse().unwrap(), unit: unit(unit_id), row: row.map(row_id) }
}

impl World {
    /// Every provision claimed whose status allows Y, one full row in every table, every unit answered: all PASS.
    pub fn passing() -> Self {
        let catalogue = Catalogue::load();
        let named = |name: &str, text: &str| NamedText { name: name.to_owned(), text: text.to_owned() };
        let files = DossierFiles {
            device: named("device.toml", DEVICE),
            ics: named("ics.toml", "format = 1\n[[provision]]\nid = \"4-1\"\nsupport = \"Y\"\n"),
            ixit: named("ixit.toml", "format = 1\n"),
        };
        let mut rows = Vec::new();
        for table in catalogue.tables() {
            let row = if table.has_rows { format!("{}-1", table.name) } else { table.name.clone() };
            let fields = table.fields.iter().map(|f| (f.key.clone(), "yes, as told".to_owned())).collect();
            rows.push(Row { id: RowId { table: table.number, row }, fields, bind: None, line: 0 });
        }
        let mut world = Self {
            dossier: Dossier::parse(&files).unwrap(),
            support: catalogue.provisions().iter().map(|p| (p.id.clone(), (Support::Yes, "claimed".to_owned()))).collect(),
            conditions: Vec::new(),
            rows,
            empty: Vec::new(),
            records: Records::default(),
            options: Options { method: Method::Ts103701, profile: Profile::Certify, scheme: None },
        };
        for (table, key, value) in [
            (6, "update-mechanism", "UpdMech-1"),
            (10, "communication-mechanisms", "ComMech-1"),
            (13, "authentication-mechanism", "AuthMech-1"),
            (21, "communication-mechanisms", "ComMech-1"),
            (24, "personal-data", "PersData-1"),
        ] {
            world.row(table).fields.insert(key.to_owned(), value.to_owned());
        }
        // The device is not constrained and every component is updatable: these two cannot be claimed.
        for id in ["5.3-14", "5.3-15"] {
            world.ics(id, Support::NotApplicable, "every component is updatable");
        }
        for u in catalogue.units().filter(|u| catalogue.reference(u).is_none()) {
            match catalogue.unit_kind(&u) {
                Kind::Functional => world.records.observations.push(observe("made/up", &u.to_string(), None, Outcome::Satisfied, 1)),
                Kind::Conceptual | Kind::Mixed => world.records.answers.push(answer(&u.to_string(), None, true)),
            }
        }
        world
    }

    pub fn row(&mut self, table: u8) -> &mut Row {
        self.rows.iter_mut().find(|r| r.id.table == table).unwrap()
    }

    pub fn ics(&mut self, id: &str, support: Support, detail: &str) -> &mut Self {
        self.support.insert(provision(id), (support, detail.to_owned()));
        self
    }

    /// Takes every record of a unit away.
    pub fn forget(&mut self, unit_id: &str) -> &mut Self {
        let u = unit(unit_id);
        self.records.observations.retain(|o| o.unit != u);
        self.records.answers.retain(|a| a.unit != u);
        self
    }

    /// Gives a unit observations of one check, one per attempt.
    pub fn attempts(&mut self, unit_id: &str, row: Option<&str>, outcomes: &[Outcome]) -> &mut Self {
        self.forget(unit_id);
        for (i, outcome) in outcomes.iter().enumerate() {
            self.records.observations.push(observe("made/up", unit_id, row, *outcome, i as u32 + 1));
        }
        self
    }

    /// Sets the outcome of a whole functional case through its first unit.
    pub fn spoil(&mut self, unit_id: &str, verdict: Verdict) -> &mut Self {
        let outcome = match verdict {
            Verdict::Pass => Outcome::Satisfied,
            Verdict::Fail => Outcome::Violated,
            Verdict::Inconclusive => Outcome::Unresolved(Reason::DutUnreachable),
        };
        self.attempts(unit_id, None, &[outcome])
    }

    pub fn assess(&self) -> Assessment {
        let mut dossier = self.dossier.clone();
        let rows =
            self.support.iter().map(|(id, (support, detail))| IcsRow { provision: id.clone(), support: *support, detail: detail.clone(), line: 0 });
        dossier.ics = Ics::new(rows, self.conditions.clone());
        dossier.ixit = Ixit::new(self.rows.clone(), self.empty.clone());
        assess(Catalogue::load(), &dossier, &self.records, &self.options)
    }

    pub fn group(&self, id: &str) -> Option<Verdict> {
        self.assess().group(&provision(id)).unwrap().verdict
    }

    pub fn outcome(&self, unit_id: &str) -> Option<Outcome> {
        self.assess().unit(&unit(unit_id)).unwrap().outcome()
    }
}

pub fn is_recommendation(id: &ProvisionId) -> bool {
    Catalogue::load().provision(id).unwrap().status(Method::Ts103701).obligation == Obligation::Recommended
}
