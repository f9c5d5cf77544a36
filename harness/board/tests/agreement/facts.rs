//! What another host reported, one fact a line: `PB NAME value NUMBER` or `PB NAME refused: WHY`.

use proofbench_channel::debug::{ApSeen, Said, Survey, SurveyJob};
use std::collections::BTreeMap;

/// Facts by name; a refusal is what kind it was.
#[derive(Debug)]
pub struct Facts(BTreeMap<String, Said>);

impl Facts {
    /// Takes them out of everything that the host said.
    pub fn read(said: &str) -> Self {
        let facts = said.lines().filter_map(|line| {
            let (name, rest) = line.trim().strip_prefix("PB ")?.split_once(' ')?;
            let said = match rest.strip_prefix("value ") {
                Some(number) => Said::Value(number_of(number)?),
                None => match rest.strip_prefix("refused: ").or(rest.strip_prefix("refused:"))?.trim() {
                    "wait" => Said::Wait,
                    "silent" => Said::NoAck,
                    _ => Said::Fault,
                },
            };
            Some((name.to_owned(), said))
        });
        Self(facts.collect())
    }

    /// A fact that the host told in other words.
    pub fn add(&mut self, name: &str, number: &str) {
        self.0.extend(number_of(number).map(|n| (name.to_owned(), Said::Value(n))));
    }

    fn get(&self, name: &str) -> Said {
        self.0.get(name).cloned().unwrap_or(Said::NotTried)
    }

    /// The same facts as a survey, for the one classifier.
    pub fn survey(&self, job: SurveyJob) -> Survey {
        let mut survey = Survey { dpidr: self.get("id"), power_up: self.get("ctrl"), attempts: 1, ..Survey::begun(job.clone()) };
        if !matches!(survey.dpidr, Said::Value(_)) {
            survey.dpidr = Said::NoAck;
            return survey;
        }
        for n in 0..=job.max_ap {
            let of = |what: &str| self.get(&format!("ap{n}.{what}"));
            survey.aps.extend(match of("idr") {
                Said::Value(0) | Said::NotTried => None,
                Said::Value(idr) if idr >> 13 & 0xF == 8 => Some(ApSeen {
                    idr,
                    mem: true,
                    csw: of("csw"),
                    cpuid: of("cpuid"),
                    ram: of("ram"),
                    flash: of("flash"),
                    core: of("core"),
                    ..ApSeen::unknown(n)
                }),
                Said::Value(idr) => Some(ApSeen { idr, ..ApSeen::unknown(n) }),
                refused => Some(ApSeen { csw: refused, ..ApSeen::unknown(n) }),
            });
        }
        survey
    }
}

/// `0x1f`, or decimal.
fn number_of(text: &str) -> Option<u32> {
    let text = text.trim();
    text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())
}
