//! Hellos that are cut, malformed, too long, or no hellos. Hellos of real clients are in the tests beside the crate.

use super::*;
use proptest::prelude::*;

/// A hello's body: TLS 1.2, two suites, one of them GREASE, and these extensions.
fn body(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 4, 0x1a, 0x1a, 0x13, 0x01, 1, 0]);
    let mut all = Vec::new();
    for (kind, data) in extensions {
        all.extend(kind.to_be_bytes());
        all.extend((data.len() as u16).to_be_bytes());
        all.extend(*data);
    }
    body.extend((all.len() as u16).to_be_bytes());
    body.extend(all);
    body
}

/// A message in records of at most `most` bytes.
fn records(kind: u8, body: &[u8], most: usize) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    let message = [&[kind], &length[1..], body].concat();
    message.chunks(most).flat_map(|part| [&[22, 3, 1], &(part.len() as u16).to_be_bytes()[..], part].concat()).collect()
}

const NAME: &[u8] = &[0, 7, 0, 0, 4, b'a', b'.', b'b', 0x1b];

#[test]
fn a_hello_reads_the_same_however_it_is_cut() {
    let body = body(&[
        (SERVER_NAME, NAME),
        (SUPPORTED_VERSIONS, &[4, 0x0a, 0x0a, 3, 4]),
        (SUPPORTED_GROUPS, &[0, 2, 0, 29]),
        (ALPN, &[0, 3, 2, b'h', b'2']),
    ]);
    let whole = ClientHello::parse(&records(1, &body, 4096)).unwrap();
    assert_eq!((whole.versions.as_slice(), whole.groups.as_slice()), (&[0x0a0a, 0x0304][..], &[29][..]));
    assert_eq!(whole.server_name.as_deref(), Some(&b"a.b\x1b"[..]));
    assert_eq!(whole.suites, [0x1a1a, 0x1301]);
    for most in [1, 2, 3, 5, 50] {
        let cut = records(1, &body, most);
        assert_eq!(ClientHello::parse(&cut).as_ref(), Ok(&whole), "records of {most}");
        // Byte by byte, as a slow client sends it, and not one byte too early.
        let mut reader = HelloReader::default();
        let (last, first) = cut.split_last().unwrap();
        assert!(first.iter().all(|b| reader.feed(&[*b]).unwrap().is_none()));
        assert_eq!(reader.feed(&[*last]).unwrap().as_ref(), Some(&whole));
        assert_eq!(reader.raw(), cut);
    }
}

#[test]
fn words_name_what_is_known_and_escape_the_rest() {
    let hello = ClientHello::parse(&records(1, &body(&[(SERVER_NAME, NAME), (SUPPORTED_VERSIONS, &[2, 3, 4]), (ALPN, &[0, 3, 9])]), 4096)).unwrap();
    assert_eq!(
        hello.words(),
        "ClientHello TLS 1.2 in a TLS 1.0 record; versions: TLS1.3; suites: GREASE(0x1a1a) TLS_AES_128_GCM_SHA256; SNI: \"a.b\\x1b\"; unreadable extensions: 16"
    );
}

#[test]
fn what_is_no_hello_is_told_by_its_reason() {
    let parse = ClientHello::parse;
    assert_eq!(parse(b""), Err(HelloError::Short));
    assert_eq!(parse(b"GET / HTTP/1.1\r\n"), Err(HelloError::Wire(NotTls::Kind(b'G'))));
    assert_eq!(parse(&[21, 3, 1, 0, 2, 2, 48]), Err(HelloError::Alert(48)));
    assert_eq!(parse(&records(2, &[0; 40], 4096)), Err(HelloError::Other(2)));
    assert_eq!(parse(&[22, 3, 1, 0, 0]), Err(HelloError::Wire(NotTls::Empty)));
    assert_eq!(parse(&[22, 2, 0, 0, 9]), Err(HelloError::Wire(NotTls::Version(0x0200))));
    assert_eq!(parse(&[22, 3, 1, 0, 2, 1, 0, 23, 3, 3]), Err(HelloError::Wire(NotTls::Between(23))));
    assert_eq!(parse(&records(1, &[3, 3, 0], 4096)), Err(HelloError::Field("random")));
    let mut odd = body(&[]);
    odd[36] = 3;
    assert_eq!(parse(&records(1, &odd, 4096)), Err(HelloError::Field("list of cipher suites")));
}

#[test]
fn a_hello_that_announces_too_much_is_refused_at_once() {
    assert_eq!(ClientHello::parse(&[22, 3, 1, 0, 4, 1, 1, 0, 1]), Err(HelloError::Wire(NotTls::Long(0x10001))));
    // Under the announced bound, and over it with the heads of its records.
    let hello = records(1, &vec![0; 0xff00], 10);
    assert_eq!(ClientHello::parse(&hello), Err(HelloError::Wire(NotTls::Long(hello.len()))));
    let mut reader = HelloReader::default();
    assert!(hello.chunks(1000).any(|c| reader.feed(c).is_err()));
    assert!(reader.raw().len() <= 64 << 10);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = ClientHello::parse(&bytes);
        // Behind true heads, so that the fields are reached.
        for most in [7, 4096] {
            if let Ok(hello) = ClientHello::parse(&records(1, &bytes, most)) {
                let _ = hello.words();
            }
        }
    }

    #[test]
    fn a_damaged_hello_never_panics(at in 0usize..200, byte in any::<u8>(), cut in 0usize..200) {
        let mut hello = records(1, &body(&[(SERVER_NAME, NAME), (SUPPORTED_VERSIONS, &[2, 3, 4]), (ALPN, &[0, 3, 2, b'h', b'2']), (SUPPORTED_GROUPS, &[0, 2, 0, 29])]), 4096);
        let length = hello.len();
        hello[at % length] = byte;
        hello.truncate(length - cut % length);
        if let Ok(hello) = ClientHello::parse(&hello) {
            prop_assert!(hello.words().is_ascii());
        }
    }
}
