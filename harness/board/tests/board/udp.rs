//! SMP over UDP: the same server as on the update port, driven by `mcumgr-toolkit`, which is not ours.

use crate::bench::image;
use crate::switched::{PATIENCE, Switched};
use mcumgr_toolkit::MCUmgrClient;
use std::net::UdpSocket;
use std::time::Duration;

fn client(board: &Switched) -> MCUmgrClient {
    MCUmgrClient::new_from_udp(("127.0.0.1", board.port("smp_udp")), PATIENCE).unwrap()
}

#[test]
fn a_stock_client_sees_the_same_images_by_datagram_and_by_line() {
    let (board, _terminal) = Switched::on(&["--speed", "8"]);
    let path = board.dir.path().join("update");
    let port = serialport::new(path.to_string_lossy(), 1_000_000).timeout(PATIENCE).open().unwrap();
    let line = MCUmgrClient::new_from_serial(port);
    let datagram = client(&board);
    datagram.check_connection().unwrap();
    let (one, other) = (datagram.image_get_state().unwrap(), line.image_get_state().unwrap());
    assert_eq!(one.len(), 1);
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
}

#[test]
fn a_stock_client_updates_the_device_by_datagrams() {
    let (board, mut terminal) = Switched::on(&["--speed", "8"]);
    let client = client(&board);
    client.use_auto_frame_size().unwrap();
    client.image_upload(std::fs::read(image("1.3.0.bin")).unwrap(), None, None, false, None).unwrap();
    let images = client.image_get_state().unwrap();
    let new = images.iter().find(|i| i.version.starts_with("1.3.0")).expect("listed").hash.clone().expect("a hash");
    client.image_set_state(Some(&new), true).unwrap();
    client.os_system_reset(false, None).unwrap();
    assert!(terminal.expect("APP ready").contains("APP th1 1.3.0"));
}

#[test]
fn without_power_nobody_answers_and_nothing_is_answered_late() {
    let mut board = Switched::new(&["--speed", "8"]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", board.port("smp_udp"))).unwrap();
    // Echo "off" and, later, "on".
    let echo = |seq: u8, text: &[u8; 3]| [&[8, 0, 0, 7, 0, 0, seq, 0, 0xA1, 0x61, b'd', 0x63][..], text].concat();
    socket.send(&echo(1, b"off")).unwrap();
    let _terminal = board.power_on();
    socket.send(&echo(2, b"on.")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = [0; 100];
    let n = socket.recv(&mut answer).unwrap();
    assert_eq!((answer[6], &answer[n - 3..n]), (2, &b"on."[..]), "the first answer is to the second question");
    assert_eq!(board.ask("off"), "ok");
    socket.send(&echo(3, b"off")).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    assert!(socket.recv(&mut answer).is_err(), "an answer out of nowhere");
}
