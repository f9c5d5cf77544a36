//! The board process on its bench: every behaviour suite, and what only real wires can show.
#![allow(clippy::unwrap_used)] // the lint knows test functions, not their helpers

mod bench;
mod conformance;
mod stock_client;
mod wires;
