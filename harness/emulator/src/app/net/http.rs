//! HTTP/1.1 as the device speaks it: requests and answers that come in pieces, bounded in every part.

/// Longest head.
const HEAD_MOST: usize = 4096;
/// Longest body of a request.
const BODY_MOST: usize = 2048;

/// A request to the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Target without its query, percent signs decoded.
    pub path: String,
    /// The query, as it came.
    pub query: String,
    /// Header fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Request {
    /// First field of this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
    /// A JSON object in the body; an empty body is an empty object.
    pub fn json(&self) -> Option<serde_json::Map<String, serde_json::Value>> {
        if self.body.is_empty() {
            return Some(serde_json::Map::new());
        }
        match serde_json::from_slice(&self.body) {
            Ok(serde_json::Value::Object(map)) => Some(map),
            _ => None,
        }
    }
}

/// What a buffer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed<T> {
    /// The beginning of something; more must come.
    Partial,
    /// A whole one, and how many bytes it took.
    Whole(T, usize),
    /// Nothing that this device takes: the status to say so.
    Bad(u16),
}

/// Reads a request from the beginning of `bytes`.
pub fn request(bytes: &[u8]) -> Parsed<Request> {
    let Some(end) = find_end(bytes) else {
        return if bytes.len() > HEAD_MOST { Parsed::Bad(431) } else { Parsed::Partial };
    };
    if end > HEAD_MOST {
        return Parsed::Bad(431);
    }
    let Ok(head) = std::str::from_utf8(&bytes[..end]) else { return Parsed::Bad(400) };
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) = (first.next(), first.next(), first.next(), first.next()) else {
        return Parsed::Bad(400);
    };
    if !version.starts_with("HTTP/1.") || !target.starts_with('/') || method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) {
        return Parsed::Bad(400);
    }
    let mut fields = Vec::new();
    for line in lines.filter(|l| !l.is_empty()) {
        let Some((name, value)) = line.split_once(':') else { return Parsed::Bad(400) };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return Parsed::Bad(400);
        }
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    if fields.len() > 64 {
        return Parsed::Bad(431);
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Some(path) = percent(path) else { return Parsed::Bad(400) };
    let mut found = Request { method: method.to_owned(), path, query: query.to_owned(), fields, body: Vec::new() };
    if found.field("transfer-encoding").is_some() {
        return Parsed::Bad(501);
    }
    let lengths: Vec<&str> = found.fields.iter().filter(|(n, _)| n == "content-length").map(|(_, v)| v.as_str()).collect();
    let len = match lengths[..] {
        [] => 0,
        [one] if !one.is_empty() && one.len() <= 9 && one.bytes().all(|b| b.is_ascii_digit()) => one.parse().unwrap_or(usize::MAX),
        _ => return Parsed::Bad(400),
    };
    if len > BODY_MOST {
        return Parsed::Bad(413);
    }
    let begin = end + 4;
    if bytes.len() < begin + len {
        return Parsed::Partial;
    }
    found.body = bytes[begin..begin + len].to_vec();
    Parsed::Whole(found, begin + len)
}

/// The head of an answer to the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// `Content-Length`.
    pub length: u64,
    /// First byte of a `Content-Range`.
    pub from: Option<u64>,
    /// `Location`.
    pub location: Option<String>,
}

/// Reads the head of an answer from the beginning of `bytes`.
pub fn answer(bytes: &[u8]) -> Parsed<Answer> {
    let Some(end) = find_end(bytes) else {
        return if bytes.len() > HEAD_MOST { Parsed::Bad(431) } else { Parsed::Partial };
    };
    let Ok(head) = std::str::from_utf8(&bytes[..end.min(HEAD_MOST)]) else { return Parsed::Bad(400) };
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|l| l.strip_prefix("HTTP/1.1 ")).and_then(|l| l.get(..3)).and_then(|s| s.parse().ok());
    let Some(status) = status else { return Parsed::Bad(400) };
    let (mut length, mut from, mut location) = (None, None, None);
    for (name, value) in lines.filter_map(|l| l.split_once(':')) {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok(),
            "content-range" => from = value.strip_prefix("bytes ").and_then(|r| r.split('-').next()).and_then(|f| f.parse().ok()),
            "location" => location = Some(value.to_owned()),
            _ => {}
        }
    }
    match length {
        Some(length) => Parsed::Whole(Answer { status, length, from, location }, end + 4),
        None if status == 204 || status / 100 == 3 => Parsed::Whole(Answer { status, length: 0, from, location }, end + 4),
        None => Parsed::Bad(400),
    }
}

/// Where the head ends.
fn find_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).take(HEAD_MOST + 4).position(|w| w == b"\r\n\r\n")
}

/// Percent signs decoded; nothing if that makes no text.
pub fn percent(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            out.push(b);
        }
    }
    String::from_utf8(out).ok()
}

/// An answer of the device, whole.
pub fn reply(status: u16, kind: &str, extra: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} {}\r\nContent-Type: {kind}\r\n{extra}Content-Length: {}\r\n\r\n", word(status), body.len()).into_bytes();
    out.extend_from_slice(body);
    out
}

/// Twin answers-chunked: the same answer in chunks of at most 16 bytes.
pub fn chunked(reply: &[u8]) -> Vec<u8> {
    let Some(end) = reply.windows(4).position(|w| w == b"\r\n\r\n") else { return reply.to_vec() };
    let head = String::from_utf8_lossy(&reply[..end]).into_owned();
    let kept = head.lines().filter(|l| !l.to_ascii_lowercase().starts_with("content-length:"));
    let mut out: Vec<u8> = kept.flat_map(|l| [l.as_bytes(), b"\r\n"].concat()).collect();
    out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    for part in reply[end + 4..].chunks(16) {
        out.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

fn word(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        507 => "Insufficient Storage",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn a_request_in_any_pieces_is_read_once_it_is_whole() {
        let bytes = b"PUT /a%20b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nxyzREST";
        for cut in 0..bytes.len() - 4 {
            assert_eq!(request(&bytes[..cut]), Parsed::Partial, "{cut}");
        }
        let Parsed::Whole(r, used) = request(bytes) else { panic!("not whole") };
        assert_eq!((r.method.as_str(), r.path.as_str(), r.query.as_str(), &r.body[..], used), ("PUT", "/a b", "c=d", &b"xyz"[..], bytes.len() - 4));
    }

    #[rstest]
    #[case("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400)]
    #[case("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400)]
    #[case("GET / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413)]
    #[case("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501)]
    #[case("get / HTTP/1.1\r\n\r\n", 400)]
    #[case("GET x HTTP/1.1\r\n\r\n", 400)]
    #[case("GET /%zz HTTP/1.1\r\n\r\n", 400)]
    #[case("GET / HTTP/2\r\n\r\n", 400)]
    fn what_is_no_request_is_refused(#[case] text: &str, #[case] status: u16) {
        assert_eq!(request(text.as_bytes()), Parsed::Bad(status));
    }

    #[test]
    fn a_head_without_end_is_given_up() {
        assert_eq!(request(&vec![b'a'; HEAD_MOST + 1]), Parsed::Bad(431));
    }
}
