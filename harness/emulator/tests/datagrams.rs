//! SMP in datagrams: the same server as on the update port, without the line's framing, and nobody promises that one arrives.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod bench;

use bench::{Dut, MS, V1_3_0, cbor, message};
use proofbench_emulator::app::smp::frame::MESSAGE_MAX;
use proofbench_emulator::{Datagram, Medium, Uart, World};

fn send(dut: &mut Dut, peer: u64, bytes: Vec<u8>) {
    dut.world.datagram(Datagram { peer, bytes });
}

/// What the device sends within so much time.
fn answers(world: &mut World, ms: u64) -> Vec<Datagram> {
    world.advance(world.now() + ms * MS);
    std::iter::from_fn(|| world.take_datagram()).collect()
}

fn echo(seq: u8, text: &str) -> Vec<u8> {
    message(seq, 0, 0, false, &cbor(|e| e.map(1)?.str("d")?.str(text)?.ok()))
}

#[test]
fn each_peer_gets_its_own_answer_and_the_update_port_hears_nothing_of_it() {
    let mut dut = Dut::on(&[]);
    send(&mut dut, 7, echo(1, "seven"));
    send(&mut dut, 8, echo(2, "eight"));
    let got = answers(&mut dut.world, 10);
    assert_eq!(got.iter().map(|d| (d.peer, d.bytes[6])).collect::<Vec<_>>(), [(7, 1), (8, 2)]);
    assert!(got[0].bytes.ends_with(b"\x61r\x65seven"), "{got:?}");
    assert_eq!(dut.world.take(Uart::Update), None);
}

#[test]
fn a_datagram_to_a_device_without_power_in_reset_or_booting_is_lost() {
    let mut dut = Dut::off(&[], Medium::SpiNor);
    send(&mut dut, 1, echo(1, "off"));
    dut.world.set_power(true);
    dut.pass(5);
    send(&mut dut, 1, echo(2, "loader"));
    assert_eq!(answers(&mut dut.world, 1_000), []);
    dut.world.set_nrst(true);
    send(&mut dut, 1, echo(3, "held"));
    dut.world.set_nrst(false);
    assert_eq!(answers(&mut dut.world, 1_000), []);
    send(&mut dut, 1, echo(4, "up"));
    assert_eq!(answers(&mut dut.world, 10).len(), 1);
}

#[test]
fn an_answer_that_a_power_cut_overtakes_is_never_sent() {
    let mut dut = Dut::on(&[]);
    // Two pages take 0.8 ms to program, and the rail falls at once: the answer is due after the cut.
    dut.world.set_discharge(std::time::Duration::ZERO);
    let body = cbor(|e| e.map(3)?.str("off")?.u8(0)?.str("len")?.u32(V1_3_0.len() as u32)?.str("data")?.bytes(&V1_3_0[..512])?.ok());
    send(&mut dut, 1, message(1, 1, 1, true, &body));
    dut.world.advance(dut.world.now() + MS / 2);
    dut.world.set_power(false);
    assert_eq!(answers(&mut dut.world, 5_000), []);
    let mut dut = Dut::on(&[]);
    send(&mut dut, 1, message(1, 1, 1, true, &body));
    assert_eq!(answers(&mut dut.world, 2).len(), 1, "the control: without a cut it is answered by then");
}

#[test]
fn a_reset_is_answered_before_it_happens() {
    let mut dut = Dut::on(&[]);
    send(&mut dut, 1, message(1, 0, 5, true, &[0xA0]));
    assert_eq!(answers(&mut dut.world, 10).len(), 1);
    assert!(dut.until(&["login: "]).contains("cause=software"));
}

#[test]
fn hostile_datagrams_are_dropped_and_the_next_good_one_is_answered() {
    let mut dut = Dut::on(&[]);
    let mut long = echo(1, &"x".repeat(MESSAGE_MAX));
    let n = (long.len() - 8) as u16;
    long[2..4].copy_from_slice(&n.to_be_bytes());
    for bad in [Vec::new(), vec![0; 7], vec![0xFF; 4096], long, echo(1, "two").repeat(2)] {
        send(&mut dut, 1, bad);
        assert_eq!(answers(&mut dut.world, 10), []);
    }
    // A device has buffers for so many; the rest is lost.
    for n in 0..200 {
        send(&mut dut, 1, echo(n, "flood"));
    }
    let got = answers(&mut dut.world, 1_000);
    assert_eq!(got.iter().map(|d| d.bytes[6]).collect::<Vec<_>>(), (0..16).collect::<Vec<_>>());
    send(&mut dut, 1, echo(9, "good"));
    assert_eq!(answers(&mut dut.world, 10).len(), 1);
}
