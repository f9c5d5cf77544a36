//! One file per command.

pub mod assess;
pub mod check;
pub mod list;
pub mod matrix;
pub mod plan;
pub mod prove;
pub mod replay;
pub mod report;
pub mod run;
pub mod run_folder;
pub mod verify;
