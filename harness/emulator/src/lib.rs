//! placeholder

pub mod debug;
