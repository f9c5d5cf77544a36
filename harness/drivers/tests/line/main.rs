//! Byte lines against real peers: pseudo terminals, ser2net, pyserial's RFC 2217 server, servers that mean harm.
#![allow(clippy::unwrap_used)] // helpers of tests may fail like tests

mod bench;
mod hostile;
mod pyserial;
mod ser2net;
mod ttys;
