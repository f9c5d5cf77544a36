//! The board's network against real peers: curl and OpenSSL before the device's ports, the lab's services behind its connections.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod bench;
mod cloud;
mod link;
mod ports;
mod trust;
