//! The behaviour suite of networks, on a device of the tests' own.

use crate::bench::{Bench, LOW, SHORT, device, echo, resolve};
use proofbench_channel::conformance::{self, NetworkDevice, Outcome};
use proofbench_peers::tls::certs::{Authority, Flaw};
use proofbench_peers::tls::server::{Behaviour, TlsServer, TlsSetup};
use proofbench_peers::{Lab, Timeline};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, SystemTime};

/// A TLS server of the device.
pub fn tls_server(bench: &Bench) -> TlsServer {
    let clock = bench.clock();
    let timeline = Timeline::new(move || proofbench_channel::Clock::now(&clock));
    let lab = Lab { runtime: bench.runtime.handle().clone(), timeline };
    let now = SystemTime::now();
    let identity = Authority::new(now).unwrap().identity(Flaw::None, "thermostat", now).unwrap();
    let setup = TlsSetup {
        peer: "device".into(),
        listen: (bench.device, 0).into(),
        behaviour: Behaviour::Serve(identity),
        client_ca: None,
        answer: "yes".into(),
        patience: crate::bench::LONG,
    };
    TlsServer::start(&lab, setup).unwrap()
}

/// A port of the device's address at which nobody listens.
pub fn closed(bench: &Bench) -> u16 {
    let free = std::net::TcpListener::bind((bench.device, 0)).unwrap();
    free.local_addr().unwrap().port()
}

#[test]
fn the_lab_on_sockets_conforms() -> Outcome {
    let mut bench = Bench::with(|_| {});
    let server = tls_server(&bench);
    let open = device(bench.device, echo);
    let resolver = bench.lab.resolver();
    // The device tries its cloud ten times a second, until the test is over.
    let (over, told) = channel::<()>();
    std::thread::spawn(move || {
        while told.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
            if let Some(address) = resolve(resolver, "cloud.example") {
                let _ = TcpStream::connect_timeout(&SocketAddr::from((address, LOW + 443)), SHORT);
            }
        }
    });
    let known = NetworkDevice {
        open,
        talk: Some((b"hello\n", b"HELLO\n")),
        ends: Some((open, b"bye\n")),
        tls: Some(server.address().port()),
        closed: closed(&bench),
        goes: Some(("cloud.example", 443)),
    };
    let mut clock = bench.clock();
    let outcome = conformance::network(&mut bench.lab, &mut clock, &known);
    drop(over);
    outcome
}
