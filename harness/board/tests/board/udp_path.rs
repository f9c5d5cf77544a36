//! Our own SMP client over UDP against the board: the behaviour suites, a whole update, and the same images as `mcumgr-toolkit` sees.

use crate::bench::image;
use crate::switched::{PATIENCE, Switched};
use mcumgr_toolkit::MCUmgrClient;
use proofbench_channel::{Answer, Cancel, Chunk, ImageState, UpdatePath, Wait, conformance};
use proofbench_drivers::smp::{UdpSetup, open_udp};
use proofbench_drivers::{RealClock, TimeBase};
use sha2::{Digest, Sha256};

fn path(board: &Switched, time: TimeBase) -> Box<dyn UpdatePath> {
    open_udp(&UdpSetup { address: format!("127.0.0.1:{}", board.port("smp_udp")), time })
}

fn wait(time: TimeBase) -> Wait {
    Wait::until(time.now() + PATIENCE, &Cancel::new())
}

fn images(path: &mut dyn UpdatePath, time: TimeBase) -> Vec<ImageState> {
    match path.state(&wait(time)).unwrap() {
        Answer::Accepted(images) => images,
        other => panic!("no image list: {other:?}"),
    }
}

#[test]
fn the_update_path_over_udp_conforms() -> conformance::Outcome {
    let (board, _terminal) = Switched::on(&["--speed", "8"]);
    let time = TimeBase::real();
    conformance::update(&mut *path(&board, time), &mut RealClock(time))
}

#[test]
fn the_update_path_over_udp_conforms_without_power() -> conformance::Outcome {
    let board = Switched::new(&["--speed", "8"]);
    let time = TimeBase::real();
    conformance::update_without_device(&mut *path(&board, time), &mut RealClock(time))
}

#[test]
fn ours_sees_by_datagrams_what_a_stock_client_sees() {
    let (board, _terminal) = Switched::on(&["--speed", "8"]);
    let time = TimeBase::real();
    let ours = images(&mut *path(&board, time), time);
    let theirs = MCUmgrClient::new_from_udp(("127.0.0.1", board.port("smp_udp")), PATIENCE).unwrap().image_get_state().unwrap();
    assert_eq!(theirs.len(), ours.len());
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!((theirs.slot, &theirs.version, theirs.active), (ours.slot, &ours.version, ours.active));
        assert_eq!(theirs.hash.as_deref().unwrap_or_default(), ours.hash);
    }
}

#[test]
fn ours_updates_the_device_by_datagrams() {
    let (board, mut terminal) = Switched::on(&["--speed", "8"]);
    let time = TimeBase::real();
    let mut path = path(&board, time);
    let file = std::fs::read(image("1.3.0.bin")).unwrap();
    let mut at = 0;
    while at < file.len() {
        let end = file.len().min(at + path.max_chunk());
        let first = at == 0;
        let piece = Chunk {
            offset: u32::try_from(at).unwrap(),
            data: &file[at..end],
            total: first.then(|| u32::try_from(file.len()).unwrap()),
            sha: first.then(|| Sha256::digest(&file).into()),
        };
        match path.chunk(&piece, &wait(time)).unwrap() {
            Answer::Accepted(next) if next as usize > at => at = next as usize,
            other => panic!("piece at {at}: {other:?}"),
        }
    }
    let new = images(&mut *path, time).into_iter().find(|i| i.version.starts_with("1.3.0")).expect("listed").hash;
    assert!(matches!(path.mark(Some(&new), true, &wait(time)).unwrap(), Answer::Accepted(_)));
    assert_eq!(path.restart(&wait(time)).unwrap(), Answer::Accepted(()));
    assert!(terminal.expect("APP ready").contains("APP th1 1.3.0"));
}
