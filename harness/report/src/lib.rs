//! Reports: pure functions of the run folder's records. Making one twice gives the same bytes.
//!
//! Knows the model and the assessment, nothing that could touch a rig.

pub mod chips;
pub mod coverage;
pub mod html;
pub mod instances;
pub mod junit;
pub mod profile;
pub mod provisions;
pub mod run;
pub mod schema;
pub mod text;
pub mod units;
pub mod xml_text;

pub use run::Run;
