//! The board process on its bench: every behaviour suite, and what only real wires can show.
#![allow(clippy::unwrap_used)] // the lint knows test functions, not their helpers

mod bench;
mod conformance;
mod plugs;
mod probes;
mod stock_client;
mod switch;
mod switched;
mod tcp_console;
mod udp;
mod udp_path;
mod wires;
