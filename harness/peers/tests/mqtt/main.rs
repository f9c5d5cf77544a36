//! The lab's broker against clients of others and against sockets.
#![allow(clippy::unwrap_used)] // the lint knows test functions, not their helpers

mod bench;
mod bounds;
mod conducts;
mod exchange;
mod paho;
mod tls;
