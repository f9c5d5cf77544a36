//! The update port, driven by a client that is not ours: `mcumgr-toolkit` over a blocking `serialport`. What our own client does, it must
//! be able to do; what it sees, ours must see.

use crate::bench::{Bench, image};
use mcumgr_toolkit::MCUmgrClient;
use proofbench_channel::{Answer, PowerAsk};
use std::time::Duration;

fn stock(bench: &mut Bench) -> MCUmgrClient {
    // One host at a time: ours hangs up.
    bench.rig.update = None;
    let path = bench.board.dir().join("update");
    let port = serialport::new(path.to_string_lossy(), 1_000_000).timeout(Duration::from_secs(20)).open().unwrap();
    MCUmgrClient::new_from_serial(port)
}

#[test]
fn a_stock_client_reaches_the_device_and_sees_the_images_that_ours_sees() {
    let mut bench = Bench::running();
    let wait = bench.within(400);
    let Answer::Accepted(ours) = bench.rig.update.as_mut().expect("update").state(&wait).unwrap() else { panic!("no image list") };
    let client = stock(&mut bench);
    client.check_connection().unwrap();
    let theirs = client.image_get_state().unwrap();
    assert_eq!(theirs.len(), ours.len());
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!((theirs.slot, &theirs.version), (ours.slot, &ours.version));
        assert_eq!(theirs.hash.as_deref().unwrap_or_default(), ours.hash);
        assert_eq!((theirs.active, theirs.confirmed, theirs.pending, theirs.permanent), (ours.active, ours.confirmed, ours.pending, ours.permanent));
    }
}

#[test]
fn a_stock_client_updates_the_device() {
    let mut bench = Bench::running();
    let client = stock(&mut bench);
    client.use_auto_frame_size().unwrap();
    client.image_upload(std::fs::read(image("1.3.0.bin")).unwrap(), None, None, false, None).unwrap();
    let images = client.image_get_state().unwrap();
    let new = images.iter().find(|i| i.version.starts_with("1.3.0")).expect("listed").hash.clone().expect("a hash");
    client.image_set_state(Some(&new), true).unwrap();
    client.os_system_reset(false, None).unwrap();
    assert!(bench.expect("APP ready").contains("APP th1 1.3.0"));
}

#[test]
fn a_stock_client_is_refused_what_ours_is_refused() {
    let mut bench = Bench::running();
    let client = stock(&mut bench);
    let unknown = client.image_set_state(Some(&[7; 32]), false);
    assert!(unknown.is_err(), "no image has this hash: {unknown:?}");
    client.check_connection().expect("the device answers on");
    bench.switch(PowerAsk::Off);
}
