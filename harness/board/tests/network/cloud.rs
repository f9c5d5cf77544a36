//! The device's own connections: to its cloud, by names and time that the lab gives it.

use crate::bench::{Board, CLOUD, Side};
use proofbench_peers::dns::Conduct;
use proofbench_peers::tls::certs::Flaw;
use proofbench_peers::tls::server::Handshake;
use proofbench_testkit::find;

#[test]
fn a_device_with_an_owner_reports_to_its_cloud() {
    let Some(curl) = find("curl") else { return };
    let side = Side::new();
    let broker = side.broker();
    let board = Board::up(&side, &[]);
    board.set_up(&curl);
    side.sees("got CONNECT");
    side.sees("th1/TH1-0001/state");
    assert_eq!(broker.clients().len(), 1);
    assert_eq!(broker.clients()[0].from.ip(), board.address);
}

#[test]
fn a_conforming_device_refuses_a_cloud_of_an_unknown_ca_and_a_lax_one_sends_it_data() {
    let Some(curl) = find("curl") else { return };
    for (defects, taken) in [(&[][..], false), (&["--defect", "tls-unverified-cloud"][..], true)] {
        let side = Side::new();
        let server = side.shows(CLOUD.1, Flaw::UnknownCa);
        let board = Board::up(&side, defects);
        board.set_up(&curl);
        side.sees_met(&server, |met| match taken {
            true => met.data > 0,
            false => met.handshake == Handshake::Alert(48),
        });
        if !taken {
            assert!(server.met().iter().all(|met| met.data == 0));
        }
    }
}

#[test]
fn a_cloud_whose_name_nobody_knows_is_not_dialled_until_somebody_does() {
    let Some(curl) = find("curl") else { return };
    let side = Side::new();
    let server = side.shows(CLOUD.1, Flaw::None);
    let board = Board::up(&side, &[]);
    // The time is known before the names are gone.
    side.sees("time");
    side.names().set_conduct(Conduct::Silent);
    board.set_up(&curl);
    side.sees("mqtt.th1.example. A IN");
    assert_eq!(server.met(), []);
    side.names().set_conduct(Conduct::Honest);
    side.sees_met(&server, |met| met.data > 0);
}
