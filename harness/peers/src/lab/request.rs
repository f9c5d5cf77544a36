//! Requests as they come: the head as text, the body whole, both bounded.

/// Longest head.
const HEAD_MOST: usize = 8192;
/// Longest body.
const BODY_MOST: usize = 65_536;
/// Most fields of a head.
const FIELDS_MOST: usize = 100;

/// A request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    /// Without the request line.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    /// The client ends the connection behind the answer, or wants it ended.
    pub(super) closes: bool,
    /// So many bytes it was.
    pub(super) used: usize,
}

impl Request {
    /// The target without its query.
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or(&self.target)
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Not whole yet; whether the client waits to be told to go on.
    Partial {
        expects: bool,
    },
    Whole(Request),
    /// No request, or longer than is taken.
    Bad,
}

/// The request that these bytes begin with.
pub(super) fn read(bytes: &[u8]) -> Read {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MOST];
    let mut parsed = httparse::Request::new(&mut fields);
    let begin = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(n)) if n <= HEAD_MOST + 4 => n,
        Ok(httparse::Status::Partial) if bytes.len() <= HEAD_MOST => return Read::Partial { expects: false },
        _ => return Read::Bad,
    };
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else { return Read::Bad };
    let value = |name: &str| {
        let field = parsed.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name));
        field.map(|h| String::from_utf8_lossy(h.value).trim().to_ascii_lowercase())
    };
    let chunked = value("transfer-encoding").is_some_and(|v| v.ends_with("chunked"));
    let length = match value("content-length").map(|v| v.parse::<usize>()) {
        _ if chunked => None,
        None => Some(0),
        Some(Ok(n)) if n <= BODY_MOST => Some(n),
        Some(_) => return Read::Bad,
    };
    let rest = &bytes[begin..];
    let taken = match length {
        Some(n) => Ok(rest.get(..n).map(|body| (body.to_vec(), n))),
        None => chunks(rest),
    };
    let (body, used) = match taken {
        Ok(Some(taken)) => taken,
        Ok(None) => return Read::Partial { expects: value("expect").as_deref() == Some("100-continue") },
        Err(()) => return Read::Bad,
    };
    let closes = version == 0 || value("connection").is_some_and(|v| v.contains("close"));
    let head = String::from_utf8_lossy(&bytes[..begin]).into_owned();
    let head = head.split_once("\r\n").map_or("", |(_, rest)| rest.trim_end_matches("\r\n")).to_owned();
    Read::Whole(Request { method: method.to_owned(), target: target.to_owned(), head, body, closes, used: begin + used })
}

/// A body in chunks, and how many bytes it was. `None`: not whole yet.
fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, ()> {
    let mut body = Vec::new();
    let mut at = 0;
    // Every turn takes a chunk or ends; a chunk has a byte at least.
    loop {
        let rest = &bytes[at..];
        let (begin, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete((begin, size))) => (begin, usize::try_from(size).map_err(|_| ())?),
            Ok(httparse::Status::Partial) if rest.len() < HEAD_MOST => return Ok(None),
            _ => return Err(()),
        };
        if size > BODY_MOST - body.len() {
            return Err(());
        }
        if size == 0 {
            // Trailers are read over.
            let trailers = &rest[begin..];
            if trailers.starts_with(b"\r\n") {
                return Ok(Some((body, at + begin + 2)));
            }
            return match trailers.windows(4).position(|w| w == b"\r\n\r\n") {
                Some(end) => Ok(Some((body, at + begin + end + 4))),
                None if trailers.len() < HEAD_MOST => Ok(None),
                None => Err(()),
            };
        }
        let Some(chunk) = rest.get(begin..begin + size + 2) else { return Ok(None) };
        let (data, end) = chunk.split_at(size);
        if end != b"\r\n" {
            return Err(());
        }
        body.extend_from_slice(data);
        at += begin + size + 2;
    }
}

/// First and last byte of `Range: bytes=a-b`; an open end is the last there can be. Other forms count as none, as RFC 9110 (14.2) allows.
pub(super) fn range(head: &str) -> Option<(u64, u64)> {
    let fields = head.lines().filter_map(|l| l.split_once(':'));
    let value = fields.into_iter().find(|(n, _)| n.eq_ignore_ascii_case("range")).map(|(_, v)| v.trim())?;
    let (from, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    Some((from.parse().ok()?, if last.is_empty() { u64::MAX - 1 } else { last.parse().ok()? }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(bytes: &[u8]) -> Request {
        match read(bytes) {
            Read::Whole(request) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_is_taken_as_it_came_and_what_follows_is_left() {
        let request = whole(b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nRange: bytes=3-\r\n\r\nGET");
        assert_eq!((request.method.as_str(), request.target.as_str(), request.path()), ("GET", "/a?b=c", "/a"));
        assert_eq!((request.head.as_str(), request.used, request.closes), ("Host: x\r\nRange: bytes=3-", 49, false));
        assert_eq!(range(&request.head), Some((3, u64::MAX - 1)));
    }

    #[test]
    fn bodies_are_had_by_length_and_in_chunks() {
        assert_eq!(whole(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcd").body, b"abc");
        let chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n";
        let request = whole(chunked);
        assert_eq!((request.body.as_slice(), request.used), (&b"abcd"[..], chunked.len()));
        for end in 0..chunked.len() {
            assert_eq!(read(&chunked[..end]), Read::Partial { expects: false }, "{end}");
        }
    }

    #[test]
    fn what_is_none_or_too_long_is_told_from_what_is_not_whole() {
        assert_eq!(read(b"\x16\x03\x01"), Read::Bad);
        assert_eq!(read(b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"), Read::Bad);
        assert_eq!(read(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n"), Read::Bad);
        assert_eq!(read(&[b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 9000]].concat()), Read::Bad);
        assert_eq!(read(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"), Read::Partial { expects: true });
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), chunked in any::<bool>()) {
            let head: &[u8] = if chunked { b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" } else { b"" };
            let _ = read(&[head, &bytes].concat());
        }
    }
}
