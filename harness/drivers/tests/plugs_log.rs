//! What the HTTP client writes into a log while a password is on its way: not the password. A program of its own, since a log belongs to the process.

#[path = "plugs/start.rs"]
mod start;

use log::{LevelFilter, Log, Metadata, Record};
use proofbench_channel::PowerAsk;
use proofbench_drivers::Secret;
use proofbench_drivers::power::{shelly, tasmota_http};
use start::{LONG, plug, supply, within};
use std::sync::Mutex;

struct Kept(Mutex<String>);

impl Log for Kept {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &Record<'_>) {
        let mut kept = self.0.lock().expect("nobody panics with it");
        kept.push_str(&format!("{}\n", record.args()));
    }
    fn flush(&self) {}
}

static KEPT: Kept = Kept(Mutex::new(String::new()));

#[test]
fn no_password_reaches_the_log_at_any_level() {
    log::set_logger(&KEPT).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let Some(mut tasmota) = plug("tasmota_http.py", &["--password", "hunter2"]) else { return };
    let Some(mut shelly) = plug("shelly_gen2.py", &["--password", "hunter2"]) else { return };
    let (supply, password) = (supply(), Some(Secret::new("hunter2")));
    let url = |peer: &mut proofbench_testkit::Peer| format!("http://127.0.0.1:{}", peer.ready());
    let setup = tasmota_http::TasmotaHttpSetup { url: url(&mut tasmota), relay: 1, user: None, password: password.clone(), supply };
    tasmota_http::open(setup).unwrap().set(PowerAsk::On, &within(&supply, LONG)).unwrap();
    let setup = shelly::ShellySetup { url: url(&mut shelly), switch: 0, password, supply };
    shelly::open(setup).unwrap().set(PowerAsk::On, &within(&supply, LONG)).unwrap();
    let kept = KEPT.0.lock().unwrap();
    // The control: the client does write something.
    assert!(kept.contains("127.0.0.1"), "{kept}");
    assert!(!kept.contains("hunter2"), "{kept}");
}
