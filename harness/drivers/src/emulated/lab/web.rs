//! The lab's web services: pages, ranges, and answers that go wrong where they are told to.

use super::{Answers, Lab};
use proofbench_channel::network::{Pace, Page, Sight};
use proofbench_emulator::net::NetIn;

const HEAD_MOST: usize = 8192;
const BODY_MOST: usize = 65_536;

/// A request as it came.
struct Request {
    method: String,
    target: String,
    head: String,
    body: Vec<u8>,
    used: usize,
}

enum Read {
    Partial,
    Whole(Request),
    Bad,
}

impl Lab {
    pub(super) fn web(&mut self, now: u64, conn: u64, bytes: &[u8], pages: &[Page], answers: &mut Answers) {
        let Some(visit) = self.visits.get_mut(&conn) else { return };
        visit.buffer.extend_from_slice(bytes);
        // Every turn takes a request or ends.
        loop {
            let Some(visit) = self.visits.get_mut(&conn) else { return };
            match read(&visit.buffer) {
                Read::Partial => return,
                Read::Bad => {
                    let junk = std::mem::take(&mut visit.buffer);
                    self.see_visit(now, conn, Sight::Bytes(junk.into_iter().take(4096).collect()));
                    self.visits.remove(&conn);
                    answers.push((0, NetIn::Ended(conn)));
                    return;
                }
                Read::Whole(request) => {
                    visit.buffer.drain(..request.used);
                    let key = (visit.service.0.clone(), visit.service.1, path_of(&request.target).to_owned());
                    let range = range_of(&request.head);
                    let Request { method, target, head, body, .. } = request;
                    let page = pages.iter().find(|p| p.path == key.2);
                    let nth = self.served.entry(key).or_default();
                    if method == "GET" {
                        *nth += 1;
                    }
                    let nth = *nth;
                    let get = method == "GET";
                    self.see_visit(now, conn, Sight::Request { method, target, head, body });
                    let answer = match page {
                        Some(page) if get => answer(page, nth, range),
                        _ if !get => Answer { bytes: b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), then: Then::GoOn },
                        _ => Answer { bytes: b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(), then: Then::GoOn },
                    };
                    answers.push((0, NetIn::Data(conn, answer.bytes)));
                    match answer.then {
                        Then::GoOn => {}
                        Then::Mute => {
                            if let Some(visit) = self.visits.get_mut(&conn) {
                                visit.mute = true;
                            }
                            return;
                        }
                        Then::End => {
                            self.visits.remove(&conn);
                            answers.push((1_000_000, NetIn::Ended(conn)));
                            return;
                        }
                    }
                }
            }
        }
    }
}

enum Then {
    GoOn,
    Mute,
    End,
}

struct Answer {
    bytes: Vec<u8>,
    then: Then,
}

fn answer(page: &Page, nth: u32, range: Option<(u64, u64)>) -> Answer {
    let content = match &page.then {
        Some((first, later)) if nth > *first => later,
        _ => &page.body,
    };
    let total = content.len() as u64;
    let asked = range.filter(|(from, _)| page.status == 200 && *from < total && page.pace != Pace::NoRanges);
    let (from, to) = asked.map_or((0, total), |(from, last)| (from, last.saturating_add(1).min(total)));
    let shift = if let Pace::Shifted(by) = page.pace { if asked.is_some() { by } else { 0 } } else { 0 };
    let piece = |from: u64, to: u64| {
        content.iter().copied().skip(usize::try_from(from).unwrap_or(usize::MAX)).take((to - from) as usize).collect::<Vec<u8>>()
    };
    let mut body = piece(from + shift, to + shift);
    // A shifted piece is as long as the one that was asked for.
    body.resize((to - from) as usize, 0);
    let status = if asked.is_some() { 206 } else { page.status };
    let length = if let Pace::Claim(claimed) = page.pace { claimed } else { body.len() as u64 };
    let mut head = format!("HTTP/1.1 {status} {}\r\nContent-Length: {length}\r\n", if status / 100 == 2 { "OK" } else { "Other" });
    if asked.is_some() {
        head.push_str(&format!("Content-Range: bytes {from}-{}/{total}\r\n", to.saturating_sub(1)));
    }
    if let Some(place) = &page.location {
        head.push_str(&format!("Location: {place}\r\n"));
    }
    head.push_str("\r\n");
    let then = match page.pace {
        Pace::StallAfter(n) if n < body.len() as u64 => {
            body.truncate(n as usize);
            Then::Mute
        }
        Pace::CutAfter(n) if n < body.len() as u64 => {
            body.truncate(n as usize);
            Then::End
        }
        Pace::Claim(_) => Then::End,
        _ => Then::GoOn,
    };
    let mut bytes = head.into_bytes();
    bytes.extend(body);
    Answer { bytes, then }
}

fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or(target)
}

/// First and last byte of `Range: bytes=a-b`; an open end is the last there can be.
fn range_of(head: &str) -> Option<(u64, u64)> {
    let value = field(head, "range")?.strip_prefix("bytes=")?;
    let (from, last) = value.split_once('-')?;
    Some((from.parse().ok()?, if last.is_empty() { u64::MAX - 1 } else { last.parse().ok()? }))
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().filter_map(|l| l.split_once(':')).find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim())
}

fn read(bytes: &[u8]) -> Read {
    let Some(end) = bytes.windows(4).take(HEAD_MOST).position(|w| w == b"\r\n\r\n") else {
        return if bytes.len() > HEAD_MOST { Read::Bad } else { Read::Partial };
    };
    let Ok(text) = std::str::from_utf8(&bytes[..end]) else { return Read::Bad };
    let (first, head) = text.split_once("\r\n").unwrap_or((text, ""));
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else { return Read::Bad };
    if !version.starts_with("HTTP/1.") {
        return Read::Bad;
    }
    let length = match field(head, "content-length").map(str::parse::<usize>) {
        None => 0,
        Some(Ok(n)) if n <= BODY_MOST => n,
        Some(_) => return Read::Bad,
    };
    let begin = end + 4;
    if bytes.len() < begin + length {
        return Read::Partial;
    }
    let body = bytes[begin..begin + length].to_vec();
    Read::Whole(Request { method: method.to_owned(), target: target.to_owned(), head: head.to_owned(), body, used: begin + length })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: &Answer) -> String {
        String::from_utf8_lossy(&answer.bytes).into_owned()
    }

    #[test]
    fn ranges_are_answered_and_a_shifted_answer_claims_what_was_asked() {
        let page = Page::new("/x", *b"0123456789");
        assert!(text(&answer(&page, 1, Some((2, 4)))).ends_with("Content-Range: bytes 2-4/10\r\n\r\n234"));
        let shifted = Page { pace: Pace::Shifted(3), ..page.clone() };
        assert!(text(&answer(&shifted, 1, Some((2, 4)))).ends_with("Content-Range: bytes 2-4/10\r\n\r\n567"));
        let whole = Page { pace: Pace::NoRanges, ..page };
        assert!(text(&answer(&whole, 1, Some((2, 4)))).starts_with("HTTP/1.1 200"));
    }

    #[test]
    fn content_is_exchanged_after_the_first_answers() {
        let page = Page { then: Some((1, b"new".to_vec())), ..Page::new("/x", *b"old") };
        assert!(text(&answer(&page, 1, None)).ends_with("old"));
        assert!(text(&answer(&page, 2, None)).ends_with("new"));
    }
}
