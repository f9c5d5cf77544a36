//! Requests that nobody meant, made from genuine ones.

use super::json;
use serde_json::Value;

/// A genuine request of a binding: `PUT /path HTTP/1.1 {"json":1}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genuine {
    pub method: String,
    pub path: String,
    pub body: String,
}

impl Genuine {
    /// Reads one; nothing if it is none.
    pub fn read(seed: &str) -> Option<Self> {
        let (first, body) = seed.split_once(" HTTP/1.1").unwrap_or((seed, ""));
        let (method, path) = first.split_once(' ')?;
        Some(Self { method: method.to_owned(), path: path.to_owned(), body: body.trim().to_owned() })
    }

    /// As bytes, with these header lines.
    pub fn bytes(&self, fields: &str) -> Vec<u8> {
        request(&self.method, &self.path, fields, self.body.as_bytes())
    }
}

fn request(method: &str, path: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: device\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Malformed requests with what is wrong with each. `fields` are header lines of a session.
pub fn variants(genuine: &Genuine, fields: &str) -> Vec<(String, Vec<u8>)> {
    let mut out: Vec<(String, Vec<u8>)> = Vec::new();
    let (method, path) = (genuine.method.as_str(), genuine.path.as_str());
    let body = genuine.body.as_bytes();
    if let Ok(Value::Object(map)) = serde_json::from_str(&genuine.body) {
        out.extend(json::variants(&map).into_iter().map(|(how, body)| (how, request(method, path, fields, &body))));
    }
    for length in
        ["-1", "0", "1", "2147483647", "2147483648", "4294967295", "4294967296", "99999999999999999999", "abc", "", "0x10", "1e3", "+5", " 5 5"]
    {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: device\r\n{fields}Content-Length: {length}\r\n\r\n");
        out.push((format!("Content-Length is `{length}`"), [head.as_bytes(), body].concat()));
    }
    let twice = format!("{fields}Content-Length: 1\r\n");
    out.push(("Content-Length twice".to_owned(), request(method, path, &twice, body)));
    for chunk in ["ffffffff\r\n", "-1\r\n", "zz\r\n", "5\r\nab\r\n0\r\n\r\n", "0\r\n", "fffffffffffffffff\r\nx\r\n"] {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: device\r\n{fields}Transfer-Encoding: chunked\r\n\r\n{chunk}");
        out.push((format!("chunk {chunk:?}"), head.into_bytes()));
    }
    for n in [127, 255, 256, 1024, 2048, 4096, 8192] {
        out.push((format!("path of {n} more bytes"), request(method, &format!("{path}{}", "A".repeat(n)), fields, body)));
        out.push((format!("header of {n} bytes"), request(method, path, &format!("{fields}X: {}\r\n", "B".repeat(n)), body)));
        out.push((format!("query of {n} bytes"), request(method, &format!("{path}?q={}", "C".repeat(n)), fields, body)));
    }
    for n in [32, 61, 65, 200] {
        out.push((format!("{n} headers"), request(method, path, &format!("{fields}{}", "A: b\r\n".repeat(n)), body)));
    }
    for odd in [
        "/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/%00",
        "/%",
        "/%zz",
        "/%c0%ae%c0%ae/",
        "/./././",
        "//",
        "/\\",
        "/%n%n%n",
        "*",
        "http://x/",
        "/;reboot",
        "/`reboot`",
        "/$(reboot)",
    ] {
        out.push((format!("path {odd}"), request(method, odd, fields, body)));
    }
    for odd in ["", "G", "GETGETGETGET", "get", "G\u{0}T", "PROPFIND", &"M".repeat(300)] {
        out.push((format!("method {odd:?}").chars().take(60).collect(), request(odd, path, fields, body)));
    }
    for first in [
        "",
        " ",
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/1.1 x\r\n\r\n",
        "GET / HTTP/0.0\r\n\r\n",
        "GET / HTTP/1.1\n\n",
        "\0\0\0\0",
        "GET / HTTP/1.1\r\nNoColon\r\n\r\n",
        "GET / HTTP/1.1\r\n: empty\r\n\r\n",
    ] {
        out.push((format!("request {first:?}"), first.as_bytes().to_vec()));
    }
    out.push(("no end".to_owned(), format!("{method} {path} HTTP/1.1\r\nHost: device\r\n{fields}").into_bytes()));
    out.push((
        "bytes that are no UTF-8".to_owned(),
        [format!("{method} {path} HTTP/1.1\r\n{fields}X: ").as_bytes(), b"\xff\xfe\xc3(\r\n\r\n"].concat(),
    ));
    out.push(("20 requests at once".to_owned(), genuine.bytes(fields).repeat(20)));
    out.push(("a TLS hello inside".to_owned(), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(8)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_read_with_and_without_a_body() {
        let with = Genuine::read("PUT /a HTTP/1.1 {\"value\":\"x\"}");
        assert_eq!(with, Some(Genuine { method: "PUT".into(), path: "/a".into(), body: "{\"value\":\"x\"}".into() }));
        assert_eq!(Genuine::read("GET /b HTTP/1.1").map(|g| g.body), Some(String::new()));
        assert_eq!(Genuine::read("nonsense"), None);
    }

    #[test]
    fn variants_differ_from_the_genuine_request_and_from_one_another() {
        let genuine = Genuine::read("PUT /a HTTP/1.1 {\"value\":\"x\"}").unwrap_or_else(|| unreachable!());
        let all = variants(&genuine, "");
        assert!(all.len() > 100 && all.iter().all(|(_, bytes)| *bytes != genuine.bytes("")));
        let mut distinct: Vec<_> = all.iter().map(|(_, b)| b).collect();
        distinct.sort();
        distinct.dedup();
        assert!(distinct.len() + 2 > all.len(), "{} of {}", distinct.len(), all.len());
    }
}
