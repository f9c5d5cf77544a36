//! Network plugs against peers that speak as plugs do, behind real brokers and real sockets, well-behaved and not.
#![allow(clippy::unwrap_used)] // the lint knows test functions, not their helpers

mod bench;
mod mqtt;
mod mqtt_broker;
mod shelly;
mod start;
mod tasmota_http;
