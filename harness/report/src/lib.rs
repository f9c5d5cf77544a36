//! Reports: pure functions of the run folder's records. Making one twice gives the same bytes.
//!
//! Knows the model and the assessment, nothing that could touch a rig.

pub mod junit;
pub mod schema;
pub mod xml_text;
