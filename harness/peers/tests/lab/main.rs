//! The lab on this machine's sockets, before real clients and a device of the tests' own.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod bench;
mod broker;
mod calls;
mod conform;
mod fronts;
mod link;
mod names;
mod tls;
mod ways;
mod web;
