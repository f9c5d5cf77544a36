//! Flash readers of real things.

pub mod command;
