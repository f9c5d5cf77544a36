//! What is answered to a request: the head as it goes onto the wire, the body, and how the body flows.

use super::page::{Conduct, Content, End, Page, Ranges};
use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};
use hyper::{Method, StatusCode};
use std::time::{Duration, SystemTime};

/// Most bytes of a header bomb.
const BOMB_MOST: u64 = 16 << 20;
/// The last second that an HTTP date can name.
const DATE_MOST: u64 = 253_402_300_799;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub head: Vec<u8>,
    pub body: Bytes,
    pub flow: Flow,
    /// Whether it spends one of the answers that a swap counts.
    pub counts: bool,
}

/// How a body goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Whole,
    Stall { after: u64 },
    Slow { rate: u32 },
    Cut { after: u64, end: End },
    Endless,
}

/// What of a request decides on its answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub method: Method,
    pub headers: HeaderMap,
}

/// A head under way.
struct Head(Vec<u8>);

impl Head {
    fn new(status: u16) -> Self {
        let reason = StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Other");
        Self(format!("HTTP/1.1 {status} {reason}\r\nConnection: close\r\n").into_bytes())
    }

    fn field(&mut self, name: &str, value: &str) {
        self.0.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"\r\n");
        self.0
    }
}

/// An answer of the server's own, honest and short.
fn plain(status: u16, text: &str) -> Answer {
    let mut head = Head::new(status);
    head.field("Content-Type", "text/plain");
    head.field("Content-Length", &text.len().to_string());
    if status == 405 {
        head.field("Allow", "GET, HEAD, POST, PUT");
    }
    Answer { status, head: head.end(), body: Bytes::copy_from_slice(text.as_bytes()), flow: Flow::Whole, counts: false }
}

/// The answer to a request whose body is too long.
pub(super) fn too_long(method: &Method) -> Answer {
    bodiless(method, plain(413, "too long\n"))
}

/// Without its body, where there is none.
fn bodiless(method: &Method, mut answer: Answer) -> Answer {
    if *method == Method::HEAD || matches!(answer.status, 204 | 304) {
        answer.body = Bytes::new();
        answer.flow = Flow::Whole;
    }
    answer
}

/// The answer to a request for this page, of which `answered` answers to GET were begun before.
pub(super) fn answer(asked: &Asked, page: Option<&Page>, answered: u32) -> Answer {
    let answer = match page {
        None => plain(404, "nothing is up here\n"),
        Some(page) if [Method::GET, Method::HEAD, Method::POST, Method::PUT].contains(&asked.method) => of_page(asked, page, answered),
        Some(_) => plain(405, "not here\n"),
    };
    bodiless(&asked.method, answer)
}

fn of_page(asked: &Asked, page: &Page, answered: u32) -> Answer {
    let content = match &page.conduct {
        Conduct::Swap { first, then } if answered >= *first => then,
        _ => &page.content,
    };
    let counts = asked.method == Method::GET;
    if let Conduct::Redirect { status, to } = &page.conduct {
        let mut head = Head::new(*status);
        head.field("Location", to);
        head.field("Content-Length", "0");
        return Answer { status: *status, head: head.end(), body: Bytes::new(), flow: Flow::Whole, counts };
    }
    let (status, range) = status(asked, page, content);
    let length = content.bytes.len() as u64;
    let mut head = Head::new(status);
    validators(&mut head, content);
    let body = match (status, range) {
        (304, _) => Bytes::new(),
        (416, _) => {
            head.field("Content-Range", &format!("bytes */{length}"));
            Bytes::new()
        }
        (_, Some((from, to))) => {
            let shift = match page.conduct {
                Conduct::Ranges(Ranges::Unsaid) => None,
                Conduct::Ranges(Ranges::Shifted(by)) => Some(by),
                _ => Some(0),
            };
            if let Some(by) = shift {
                head.field("Content-Range", &format!("bytes {}-{}/{length}", from.saturating_add(by), (to - 1).saturating_add(by)));
            }
            // In bounds: both come from this content's length.
            content.bytes.slice(from as usize..to as usize)
        }
        _ => content.bytes.clone(),
    };
    match page.conduct {
        Conduct::Endless if !matches!(status, 304 | 416) => {}
        // RFC 9110, 8.6: none in these.
        _ if matches!(status, 204 | 304) => {}
        Conduct::Length { claimed } => head.field("Content-Length", &claimed.to_string()),
        _ => head.field("Content-Length", &body.len().to_string()),
    }
    if let Conduct::HeaderBomb { fields, value } = page.conduct {
        bomb(&mut head, fields, value);
    }
    let flow = match page.conduct {
        Conduct::Stall { after } => Flow::Stall { after },
        Conduct::Slow { rate } => Flow::Slow { rate: rate.max(1) },
        Conduct::Cut { after, end } => Flow::Cut { after, end },
        Conduct::Endless if !matches!(status, 304 | 416) => Flow::Endless,
        _ => Flow::Whole,
    };
    Answer { status, head: head.end(), body, flow, counts }
}

fn validators(head: &mut Head, content: &Content) {
    head.field("Content-Type", &content.media);
    head.field("Accept-Ranges", "bytes");
    if let Some(etag) = &content.etag {
        head.field("ETag", etag);
    }
    if let Some(modified) = content.modified.and_then(date) {
        head.field("Last-Modified", &modified);
    }
}

fn bomb(head: &mut Head, fields: u32, value: u32) {
    let mut left = BOMB_MOST;
    let value = "x".repeat(u64::from(value).min(left) as usize);
    for n in 0..fields {
        let name = format!("X-Bomb-{n}");
        let size = (name.len() + value.len() + 4) as u64;
        if size > left {
            break;
        }
        left -= size;
        head.field(&name, &value);
    }
}

/// The status of a page's answer, and for 206 the range from the first byte to the one after the last.
fn status(asked: &Asked, page: &Page, content: &Content) -> (u16, Option<(u64, u64)>) {
    if let Conduct::Status(status) = page.conduct {
        return (status, None);
    }
    if asked.method != Method::GET && asked.method != Method::HEAD {
        return (200, None);
    }
    if unchanged(&asked.headers, content) {
        return (304, None);
    }
    let ignored = page.conduct == Conduct::Ranges(Ranges::Ignored);
    if ignored || asked.method == Method::HEAD || !same_as_before(&asked.headers, content) {
        return (200, None);
    }
    match range(text(&asked.headers, &RANGE), content.bytes.len() as u64) {
        Wanted::Whole => (200, None),
        Wanted::Part(from, to) => (206, Some((from, to))),
        Wanted::Outside => (416, None),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|v| v.to_str().ok())
}

/// Whether the device has this content already, by its own account.
fn unchanged(headers: &HeaderMap, content: &Content) -> bool {
    if headers.contains_key(IF_NONE_MATCH) {
        let Some(etag) = &content.etag else { return false };
        let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        let listed = headers.get_all(IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
        return listed.map(weak).any(|tag| tag == "*" || tag == weak(etag));
    }
    let since = text(headers, &IF_MODIFIED_SINCE).and_then(|v| httpdate::parse_http_date(v).ok());
    matches!((since, content.modified.and_then(whole_second)), (Some(since), Some(modified)) if modified <= since)
}

/// Whether a range is meant of this content.
fn same_as_before(headers: &HeaderMap, content: &Content) -> bool {
    if !headers.contains_key(IF_RANGE) {
        return true;
    }
    let Some(condition) = text(headers, &IF_RANGE) else { return false };
    // A weak tag does not do for ranges.
    let tagged = content.etag.as_deref() == Some(condition) && !condition.starts_with("W/");
    tagged || content.modified.and_then(date).is_some_and(|d| d == condition)
}

/// The date as HTTP writes it, if it can.
fn date(at: SystemTime) -> Option<String> {
    whole_second(at).map(httpdate::fmt_http_date)
}

fn whole_second(at: SystemTime) -> Option<SystemTime> {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    (seconds <= DATE_MOST).then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// What a `Range` asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    /// From the first byte to the one after the last.
    Part(u64, u64),
    Outside,
}

/// One range of bytes. Several of them, other units and what cannot be read count as none, as RFC 9110 (14.2) allows.
fn range(field: Option<&str>, length: u64) -> Wanted {
    let Some(spec) = field.and_then(|f| f.strip_prefix("bytes=")) else { return Wanted::Whole };
    let Some((first, last)) = spec.trim().split_once('-') else { return Wanted::Whole };
    // A number past 64 bits is past every content too.
    let number = |s: &str| (!s.is_empty() && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse().unwrap_or(u64::MAX));
    match (number(first), number(last)) {
        (Some(from), Some(to)) if to < from => Wanted::Whole,
        (Some(from), Some(_)) if from >= length => Wanted::Outside,
        (Some(from), Some(to)) => Wanted::Part(from, to.saturating_add(1).min(length)),
        (Some(_), None) if !last.is_empty() => Wanted::Whole,
        (Some(from), None) if from >= length => Wanted::Outside,
        (Some(from), None) => Wanted::Part(from, length),
        (None, Some(0)) if first.is_empty() => Wanted::Outside,
        (None, Some(_)) if first.is_empty() && length == 0 => Wanted::Outside,
        (None, Some(count)) if first.is_empty() => Wanted::Part(length.saturating_sub(count), length),
        _ => Wanted::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("bytes=0-0", Wanted::Part(0, 1))]
    #[case("bytes=5-", Wanted::Part(5, 10))]
    #[case("bytes=5-99", Wanted::Part(5, 10))]
    #[case("bytes=5-99999999999999999999999", Wanted::Part(5, 10))]
    #[case("bytes=-3", Wanted::Part(7, 10))]
    #[case("bytes=-30", Wanted::Part(0, 10))]
    #[case("bytes=-0", Wanted::Outside)]
    #[case("bytes=10-", Wanted::Outside)]
    #[case("bytes=99999999999999999999999-", Wanted::Outside)]
    #[case("bytes=6-5", Wanted::Whole)]
    #[case("bytes=-", Wanted::Whole)]
    #[case("bytes=1-x", Wanted::Whole)]
    #[case("bytes=+1-2", Wanted::Whole)]
    #[case("bytes=0-1,3-4", Wanted::Whole)]
    #[case("lines=0-1", Wanted::Whole)]
    fn ranges_of_ten_bytes(#[case] field: &str, #[case] wanted: Wanted) {
        assert_eq!(range(Some(field), 10), wanted);
    }

    #[test]
    fn of_nothing_no_range_can_be_had() {
        assert_eq!(range(Some("bytes=0-"), 0), Wanted::Outside);
        assert_eq!(range(Some("bytes=-1"), 0), Wanted::Outside);
    }

    #[test]
    fn a_bomb_has_its_bound() {
        let page = Page { content: Content::new("text/plain", "x"), conduct: Conduct::HeaderBomb { fields: u32::MAX, value: 1 << 20 } };
        let asked = Asked { method: Method::GET, headers: HeaderMap::new() };
        let head = answer(&asked, Some(&page), 0).head.len() as u64;
        assert!((15 << 20..=(16 << 20) + 1024).contains(&head), "{head}");
    }
}
