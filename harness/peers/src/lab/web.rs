//! The lab's web services: requests on a connection that stays, pages, ranges, and answers that go wrong where they are told to.

use super::places::lock;
use super::request::{self, Read};
use super::trade::{self, Over};
use super::visits::Guest;
use crate::mqtt::Wire;
use bytes::{Buf, BytesMut};
use proofbench_channel::network::{Pace, Page, Sight, Trade};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Time for the bytes before a reset to arrive: a reset takes away what was not.
const BEFORE_RESET: Duration = Duration::from_millis(100);
/// How long the end of the other side is waited for behind ours.
const FAREWELL: Duration = Duration::from_secs(5);

/// Answers requests until the connection is over. `pages` are those of the beginning; what is served later is looked up for each request.
pub(super) async fn serve<S: Wire>(guest: &Guest<'_>, mut stream: S, mut pages: Vec<Page>) -> Over {
    let mut buffer = BytesMut::new();
    let mut continued = false;
    loop {
        let request = match request::read(&buffer) {
            Read::Whole(request) => request,
            Read::Bad => {
                guest.see_bytes(&buffer);
                return farewell(&mut stream).await;
            }
            Read::Partial { expects } => {
                if expects && !std::mem::replace(&mut continued, true) && write(&mut stream, b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err() {
                    return Over::Device;
                }
                match stream.read_buf(&mut buffer).await {
                    Ok(1..) => continue,
                    _ => {
                        // Less than a request, and no more of it.
                        if !buffer.is_empty() {
                            guest.see_bytes(&buffer);
                        }
                        return Over::Device;
                    }
                }
            }
        };
        continued = false;
        buffer.advance(request.used);
        if let Trade::Web(now) = guest.up.live().1 {
            pages = now;
        }
        let (method, closes) = (request.method.clone(), request.closes);
        let range = request::range(&request.head);
        let path = request.path().to_owned();
        guest.see(Sight::Request { method: request.method, target: request.target, head: request.head, body: request.body });
        let page = pages.iter().find(|p| p.path == path);
        let answer = match (page, method.as_str()) {
            (Some(page), "GET") => answer(page, count(guest, &path), range),
            // As a GET would be answered, and not counted as one.
            (Some(page), "HEAD") => Answer { body: Vec::new(), then: Then::GoOn, ..answer(page, 0, None) },
            (None, "GET" | "HEAD") => Answer::bare("404 Not Found\r\nContent-Length: 0"),
            _ => Answer::bare("204 No Content"),
        };
        let sent = async {
            write(&mut stream, answer.head.as_bytes()).await?;
            write(&mut stream, &answer.body).await
        };
        if sent.await.is_err() {
            return Over::Device;
        }
        match answer.then {
            Then::GoOn if closes => return farewell(&mut stream).await,
            Then::GoOn => {}
            Then::Mute => {
                trade::deaf(&mut stream).await;
                return Over::Device;
            }
            Then::End => return farewell(&mut stream).await,
            Then::Reset => {
                tokio::time::sleep(BEFORE_RESET).await;
                let _ = stream.reset();
                return Over::Lab;
            }
        }
    }
}

/// How often this path was served, with this time.
fn count(guest: &Guest<'_>, path: &str) -> u32 {
    // Only paths with a page are counted: the device does not choose how many there are.
    let mut served = lock(&guest.up.served);
    let nth = served.entry(path.to_owned()).or_default();
    *nth = nth.saturating_add(1);
    *nth
}

async fn write<S: Wire>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Ends our side and waits for the other one: what is not read when a socket is closed makes the end a reset, and that takes away what was sent last.
async fn farewell<S: Wire>(stream: &mut S) -> Over {
    let _ = timeout(FAREWELL, async {
        if stream.shutdown().await.is_ok() {
            trade::deaf(stream).await;
        }
    })
    .await;
    Over::Lab
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    GoOn,
    Mute,
    End,
    Reset,
}

struct Answer {
    head: String,
    body: Vec<u8>,
    then: Then,
}

impl Answer {
    fn bare(lines: &str) -> Self {
        Self { head: format!("HTTP/1.1 {lines}\r\n\r\n"), body: Vec::new(), then: Then::GoOn }
    }
}

/// The answer to the `nth` GET of a page.
fn answer(page: &Page, nth: u32, range: Option<(u64, u64)>) -> Answer {
    let content = match &page.then {
        Some((first, later)) if nth > *first => later,
        _ => &page.body,
    };
    let total = content.len() as u64;
    let asked = range.filter(|(from, last)| page.status == 200 && *from < total && from <= last && page.pace != Pace::NoRanges);
    let (from, to) = asked.map_or((0, total), |(from, last)| (from, last.saturating_add(1).min(total)));
    let shift = match page.pace {
        Pace::Shifted(by) if asked.is_some() => by,
        _ => 0,
    };
    let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(content.len());
    let mut body = content[at(from.saturating_add(shift))..at(to.saturating_add(shift))].to_vec();
    // A shifted piece is as long as the one that was asked for.
    body.resize(at(to) - at(from), 0);
    let status = if asked.is_some() { 206 } else { page.status };
    let length = if let Pace::Claim(claimed) = page.pace { claimed } else { body.len() as u64 };
    let reason = hyper::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Other");
    let mut head = format!("HTTP/1.1 {status} {reason}\r\nContent-Length: {length}\r\n");
    if asked.is_some() {
        head.push_str(&format!("Content-Range: bytes {from}-{}/{total}\r\n", to.saturating_sub(1)));
    }
    if let Some(place) = &page.location {
        head.push_str(&format!("Location: {place}\r\n"));
    }
    head.push_str("\r\n");
    let then = match page.pace {
        Pace::StallAfter(n) if n < body.len() as u64 => {
            body.truncate(at(n));
            Then::Mute
        }
        Pace::CutAfter(n) if n < body.len() as u64 => {
            body.truncate(at(n));
            Then::Reset
        }
        Pace::Claim(_) => Then::End,
        _ => Then::GoOn,
    };
    Answer { head, body, then }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: &Answer) -> String {
        answer.head.clone() + &String::from_utf8_lossy(&answer.body)
    }

    #[test]
    fn ranges_are_answered_and_a_shifted_answer_claims_what_was_asked() {
        let page = Page::new("/x", *b"0123456789");
        assert!(text(&answer(&page, 1, Some((2, 4)))).ends_with("Content-Range: bytes 2-4/10\r\n\r\n234"));
        let shifted = Page { pace: Pace::Shifted(3), ..page.clone() };
        assert!(text(&answer(&shifted, 1, Some((2, 4)))).ends_with("Content-Range: bytes 2-4/10\r\n\r\n567"));
        let beyond = Page { pace: Pace::Shifted(u64::MAX), ..page.clone() };
        assert_eq!(answer(&beyond, 1, Some((2, 4))).body, [0; 3]);
        let whole = Page { pace: Pace::NoRanges, ..page };
        assert!(text(&answer(&whole, 1, Some((2, 4)))).starts_with("HTTP/1.1 200"));
    }

    #[test]
    fn content_is_exchanged_after_the_first_answers() {
        let page = Page { then: Some((1, b"new".to_vec())), ..Page::new("/x", *b"old") };
        assert!(text(&answer(&page, 1, None)).ends_with("old"));
        assert!(text(&answer(&page, 2, None)).ends_with("new"));
    }

    #[test]
    fn a_claim_is_a_claim_and_the_body_stays() {
        let page = Page { pace: Pace::Claim(99), ..Page::new("/x", *b"old") };
        let said = answer(&page, 1, None);
        assert_eq!((text(&said).as_str(), said.then), ("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nold", Then::End));
    }
}
