//! XMODEM and YMODEM against receivers that are not ours: `rx` and `rb` of lrzsz at the other end of a serial cable.

use proofbench_channel::{Answer, Cancel, Chunk, UpdatePath, Wait};
use proofbench_drivers::TimeBase;
use proofbench_drivers::line::{self, LineAddress, LineSettings, LineSetup};
use proofbench_drivers::update::modem::{self, ModemSetup, Protocol, Verdict};
use proofbench_testkit::{Cable, Peer, find};
use rstest::rstest;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn image(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 + n / 253) as u8).collect()
}

/// A sender on one end of a cable. It listens before the receiver starts, and so hears its first question.
struct Sender {
    path: Box<dyn UpdatePath>,
    time: TimeBase,
}

fn sender(cable: &Cable, protocol: Protocol) -> Sender {
    let time = TimeBase::real();
    let line = line::open(&LineSetup::new(LineAddress::Path(cable.node().to_owned()), LineSettings::baud(115_200), time)).expect("the line opens");
    let setup = ModemSetup { protocol, enter: Vec::new(), verdict: Verdict::default(), baud: 115_200, time };
    Sender { path: modem::open(line, setup), time }
}

/// Sends the image and gives the path's answer, with what it remarked.
fn send(Sender { mut path, time }: Sender, image: &[u8]) -> (Answer<u32>, Vec<String>) {
    let total = u32::try_from(image.len()).expect("short");
    let wait = Wait::until(time.now() + Duration::from_secs(120), &Cancel::new());
    let answer = path.chunk(&Chunk { offset: 0, data: image, total: Some(total), sha: None }, &wait).expect("the bench works");
    (answer, path.remarks().into_iter().map(|(_, text)| text).collect())
}

fn receiver(program: &Path, args: &[&str], folder: &Path, cable: &Cable) -> Peer {
    Peer::on_cable(Command::new(program).args(args).current_dir(folder), cable)
}

#[rstest]
#[case::checksum(false, &["--xmodem", "--binary", "--overwrite"])]
#[case::crc(false, &["--xmodem", "--binary", "--overwrite", "--with-crc"])]
#[case::one_k(true, &["--xmodem", "--binary", "--overwrite", "--with-crc"])]
fn rx_takes_images_of_several_lengths(#[case] long: bool, #[case] args: &[&str]) {
    let Some(rx) = find("rx") else { return };
    for length in [1, 1025, 40_000] {
        let folder = tempfile::tempdir().expect("a folder");
        let cable = Cable::new();
        let args: Vec<&str> = args.iter().copied().chain(["got.bin"]).collect();
        let sender = sender(&cable, Protocol::Xmodem { long });
        let mut rx = receiver(&rx, &args, folder.path(), &cable);
        let image = image(length);
        let (answer, remarks) = send(sender, &image);
        assert_eq!(answer, Answer::Accepted(u32::try_from(length).expect("short")), "{length}: {remarks:?}");
        assert!(rx.finish(), "{length}");
        let got = std::fs::read(folder.path().join("got.bin")).expect("the receiver's file");
        // The protocol tells no length.
        assert!(got.starts_with(&image), "{length}");
        assert!(got[length..].iter().all(|b| *b == 0x1a), "{length}");
    }
}

#[rstest]
#[case::one_k(true)]
#[case::short(false)]
fn rb_takes_images_of_several_lengths_and_knows_it(#[case] long: bool) {
    let Some(rb) = find("rb") else { return };
    for length in [1, 1025, 40_000] {
        let folder = tempfile::tempdir().expect("a folder");
        let cable = Cable::new();
        let sender = sender(&cable, Protocol::Ymodem { name: "got.bin".to_owned(), long });
        let mut rb = receiver(&rb, &["--ymodem", "--binary", "--overwrite"], folder.path(), &cable);
        let image = image(length);
        let (answer, remarks) = send(sender, &image);
        assert_eq!(answer, Answer::Accepted(u32::try_from(length).expect("short")), "{length}: {remarks:?}");
        assert!(rb.finish(), "{length}");
        assert_eq!(std::fs::read(folder.path().join("got.bin")).expect("the receiver's file"), image, "{length}");
    }
}

#[test]
fn a_receiver_that_cancels_is_a_refusal() {
    let Some(rb) = find("rb") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let cable = Cable::new();
    // It protects the file that is there already, and skips ours.
    std::fs::write(folder.path().join("got.bin"), "mine").expect("a file");
    let sender = sender(&cable, Protocol::Ymodem { name: "got.bin".to_owned(), long: true });
    let mut rb = receiver(&rb, &["--ymodem", "--binary", "--protect"], folder.path(), &cable);
    let (answer, remarks) = send(sender, &image(5000));
    assert!(matches!(&answer, Answer::Refused(words) if words.contains("cancelled")), "{answer:?} {remarks:?}");
    rb.kill();
    assert_eq!(std::fs::read(folder.path().join("got.bin")).expect("the file"), b"mine");
}
