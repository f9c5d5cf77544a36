//! Programs in the client's place: what it is called with, and what each of its ends means.

use super::*;
use proofbench_channel::Cancel;
use std::os::unix::fs::PermissionsExt;

const IMAGE: &str = r"^slot=(?P<slot>\d+) version=(?P<version>\S+) hash=(?P<hash>[0-9a-f]*) (?:(?P<active>active)|other) (?:(?P<confirmed>confirmed)|(?P<pending>pending)|idle)$";

struct Bench {
    dir: tempfile::TempDir,
    path: Box<dyn UpdatePath>,
    time: TimeBase,
}

/// A path whose client is a shell script; its last argument is the line, in `$line`.
fn bench(script: &str) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let client = dir.path().join("ssh");
    let head = "#!/bin/sh\nfor line in \"$@\"; do :; done\necho \"$*\" > \"$0.called\"\n";
    std::fs::write(&client, format!("{head}{script}\n")).unwrap();
    std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o755)).unwrap();
    let time = TimeBase::real();
    let lines = Lines {
        state: "fw state".to_owned(),
        install: "fw receive".to_owned(),
        try_once: Some("fw try {hash}".to_owned()),
        keep: Some("fw keep {hash}".to_owned()),
        erase: None,
        restart: Some("fw restart".to_owned()),
    };
    let setup = SshSetup {
        client,
        host: "192.0.2.7".to_owned(),
        port: 2222,
        user: "update".to_owned(),
        key: "/keys/k".into(),
        known_hosts: None,
        lines,
        image: IMAGE.to_owned(),
        install_within: Duration::from_secs(60),
        within: Duration::from_secs(60),
        time,
    };
    Bench { dir, path: open(setup).unwrap(), time }
}

impl Bench {
    fn wait(&self) -> Wait {
        Wait::until(self.time.now() + Duration::from_secs(60), &Cancel::new())
    }

    fn called(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("ssh.called")).unwrap()
    }

    fn install(&mut self, image: &[u8]) -> Result<Answer<u32>, ChannelError> {
        let wait = self.wait();
        self.path.chunk(&Chunk { offset: 0, data: image, total: Some(image.len() as u32), sha: None }, &wait)
    }
}

fn cause(e: &ChannelError) -> String {
    std::error::Error::source(e).unwrap().to_string()
}

#[test]
fn a_state_is_read_by_the_pattern_and_what_does_not_match_is_passed_over() {
    let mut b = bench("echo hello; echo 'slot=0 version=1.1.0 hash=00ff active confirmed'; echo 'slot=1 version=1.2.0 hash= other pending'");
    let wait = b.wait();
    let Answer::Accepted(images) = b.path.state(&wait).unwrap() else { panic!("no answer") };
    let short: Vec<_> = images.iter().map(|i| (i.slot, i.version.as_str(), i.hash.as_slice(), i.active, i.confirmed, i.pending)).collect();
    assert_eq!(short, [(0, "1.1.0", &[0, 255][..], true, true, false), (1, "1.2.0", &[][..], false, false, true)]);
    let called = b.called();
    assert!(called.contains("-p 2222 -i /keys/k -l update 192.0.2.7 fw state"), "{called}");
    assert!(called.contains("StrictHostKeyChecking=no"), "{called}");
}

#[test]
fn a_state_without_an_image_is_no_empty_device() {
    let mut b = bench("echo 'slots: none'");
    let wait = b.wait();
    let e = b.path.state(&wait).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Protocol);
    assert!(cause(&e).contains("slots: none"), "{e:?}");
}

#[test]
fn the_image_arrives_and_the_end_of_the_client_is_the_answer() {
    let mut b = bench("cat > \"$0.got\"; [ \"$line\" = 'fw receive' ]");
    assert_eq!(b.install(b"image").unwrap(), Answer::Accepted(5));
    assert_eq!(std::fs::read(b.dir.path().join("ssh.got")).unwrap(), b"image");
    let mut b = bench("cat > /dev/null; echo progress; echo 'first' >&2; echo 'version 1.0.0 is not newer' >&2; exit 1");
    assert_eq!(b.install(b"image").unwrap(), Answer::Refused("version 1.0.0 is not newer".to_owned()));
}

#[test]
fn a_lost_connection_is_silence_and_a_wrong_key_is_the_benchs_fault() {
    let mut b = bench("echo 'Connection closed by remote host' >&2; exit 255");
    assert_eq!(b.install(b"image").unwrap(), Answer::Silent);
    assert_eq!(b.path.remarks().len(), 1);
    let mut b = bench("echo 'update@192.0.2.7: Permission denied (publickey).' >&2; exit 255");
    assert_eq!(b.install(b"image").unwrap_err().kind, ErrorKind::Driver);
}

#[test]
fn a_client_that_does_not_end_is_silence_at_the_deadline() {
    let mut b = bench("sleep 1000");
    let wait = Wait::until(b.time.now() + Duration::from_millis(100), &Cancel::new());
    assert_eq!(b.path.restart(&wait).unwrap(), Answer::Silent);
}

#[test]
fn marks_name_the_hash_and_a_line_that_is_not_there_is_unsupported() {
    let mut b = bench("echo \"$line\" >> \"$0.lines\"; echo 'slot=0 version=1 hash= active confirmed'");
    let wait = b.wait();
    b.path.mark(Some(&[0xab, 1]), false, &wait).unwrap();
    b.path.mark(None, true, &wait).unwrap();
    let said = std::fs::read_to_string(b.dir.path().join("ssh.lines")).unwrap();
    assert_eq!(said, "fw try ab01\nfw state\nfw keep\nfw state\n");
    assert_eq!(b.path.erase(&wait).unwrap_err().kind, ErrorKind::Unsupported);
}

#[test]
fn a_pattern_without_slot_and_version_is_refused() {
    let b = bench("");
    let setup = SshSetup {
        client: "ssh".into(),
        host: String::new(),
        port: 22,
        user: String::new(),
        key: PathBuf::new(),
        known_hosts: None,
        lines: Lines::default(),
        image: "(?P<slot>x)".to_owned(),
        install_within: Duration::from_secs(1),
        within: Duration::from_secs(1),
        time: b.time,
    };
    assert!(cause(&open(setup).err().unwrap()).contains("version"));
}
