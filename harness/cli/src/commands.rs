//! One file per command.

pub mod assess;
pub mod assessments;
pub mod baseline;
pub mod by_hand;
pub mod check;
pub mod compare;
pub mod console;
pub mod doctor;
pub mod dossier;
pub mod init;
pub mod list;
pub mod matrix;
pub mod merge;
pub mod plan;
pub mod power;
pub mod probe;
pub mod prove;
pub mod replay;
pub mod report;
pub mod reset;
pub mod run;
pub mod run_folder;
pub mod verify;
