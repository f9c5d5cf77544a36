//! The cable, restarts, and a switched board with a network.

use crate::bench::{Board, PATIENCE, Place, Process, Side, ask, ends_by_reset, image};
use proofbench_testkit::find;
use serde_json::json;
use std::io::Write;
use std::time::Instant;

#[test]
fn without_a_link_nobody_answers_and_with_one_everybody_does() {
    let side = Side::new();
    let board = Board::start(&side, &[]);
    board.wait_for(8443, false);
    board.link(true);
    board.wait_for(8443, true);
    // The device asks for the time as soon as it has a link.
    side.sees("time.th1.example. A IN");
    board.link(false);
    board.wait_for(8443, false);
    board.wait_for(8080, false);
}

#[test]
fn a_connection_outlives_a_pulled_cable_and_what_was_said_meanwhile_arrives() {
    let side = Side::empty();
    let board = Board::up(&side, &[]);
    let mut stream = board.connect(8080).unwrap();
    board.link(false);
    board.wait_for(8080, false);
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    board.link(true);
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 301"), "{answer:?}");
}

#[test]
fn what_the_device_gives_up_without_a_cable_nobody_learns_before_it_is_back() {
    let Some(curl) = find("curl") else { return };
    let side = Side::new();
    let broker = side.broker();
    let board = Board::up(&side, &[]);
    board.set_up(&curl);
    side.sees("th1/TH1-0001/state");
    let first = broker.clients()[0].connection;
    board.link(false);
    board.wait_for(8443, false);
    assert_eq!(broker.clients().len(), 1, "the old one was ended");
    board.link(true);
    // The old connection ends then, and a new one comes.
    let until = Instant::now() + PATIENCE;
    while !matches!(&broker.clients()[..], [one] if one.connection != first && one.id.is_some()) {
        assert!(Instant::now() < until, "{:?}", broker.clients());
        std::thread::yield_now();
    }
}

#[test]
fn a_restart_ends_connections_by_a_reset_and_so_does_the_end_of_power() {
    let side = Side::empty();
    let mut board = Board::up(&side, &[]);
    for kill in [false, true] {
        let mut stream = board.connect(8080).unwrap();
        stream.write_all(b"GET").unwrap();
        if kill {
            board.process.kill();
        } else {
            board.fixture(&json!({ "do": "nrst", "asserted": true }));
            board.wait_for(8080, false);
            board.fixture(&json!({ "do": "nrst", "asserted": false }));
        }
        assert!(ends_by_reset(&mut stream));
        if !kill {
            board.wait_for(8080, true);
        }
    }
}

#[test]
fn a_board_without_a_network_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_proofbench-board"));
    command.arg("--parent-pipe").arg("--dir").arg(dir.path()).arg("--image").arg(image("1.2.0.bin"));
    let board = Process::start(&mut command);
    let answer = ask(board.port("fixture"), &json!({ "do": "link", "up": true }));
    assert!(answer["error"].as_str().unwrap().contains("--net"));
}

#[test]
fn a_switched_board_has_its_network_while_it_is_on() {
    let Some(curl) = find("curl") else { return };
    let place = Place::new();
    let board = Board::switched(&place);
    let mut switch = std::io::BufReader::new(std::net::TcpStream::connect(("127.0.0.1", board.process.port("switch"))).unwrap());
    let mut ask = |what: &str| {
        switch.get_mut().write_all(format!("{what}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        std::io::BufRead::read_line(&mut switch, &mut answer).unwrap();
        assert_eq!(answer, "ok\n", "{what}");
    };
    board.wait_for(8443, true);
    assert!(board.curl(&curl, "/api/info", &[]).contains("TH-1"));
    // The cable stays as it is put, whatever the power does.
    ask("link down");
    board.wait_for(8443, false);
    ask("off");
    ask("link up");
    assert!(board.connect(8443).is_err());
    ask("on");
    board.wait_for(8443, true);
}
