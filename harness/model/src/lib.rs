//! Ids, the catalogue as data, the dossier, observations, journal events.
//!
//! Pure data: no I/O, no clock, no other crate of the house.

pub mod bind;
pub mod catalogue;
pub mod chip;
pub mod dossier;
pub mod ids;
pub mod journal;
pub mod observation;
pub mod profile;
pub mod verdict;

pub use chip::{ChipFamily, FamilyId};
pub use ids::{BadId, CaseId, CheckId, ProvisionId, RowId, UnitId};
pub use observation::{EvidenceId, NoEvidence, Observation, Outcome, Reason};
pub use profile::Scheme;
pub use verdict::{Claim, Fate, Method, Profile, Verdict};
