//! TLS as the lab has it: what a device offers, what it accepts as a server, bad certificates for it, and the server that serves them.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`certs`] | one good certificate and the bad ones beside it |
//! | [`hello`] | a ClientHello, read byte for byte and told in names |
//! | [`names`] | names of the numbers of TLS, as IANA lists them |
//! | [`scan`] | which versions and suites a server accepts |
//! | [`server`] | the server that devices come to |
//! | `wire` | records and messages, bounded, of either side |

pub mod certs;
pub mod hello;
pub mod names;
pub mod scan;
pub mod server;
mod wire;
