//! What malformed requests do to units with defects. A conforming unit passes through here untouched.

use crate::app::net::http::{self, Request, percent};
use crate::defects::Defect;
use crate::hw::{Hw, Stop};

/// Requests that are whole.
pub(super) fn look(hw: &mut Hw, request: &Request) -> Result<(), Stop> {
    if request.fields.len() > 60 && hw.defect(Defect::HttpHeaderOverflow) {
        // defect http-header-overflow: the table has room for sixty.
        return Err(Stop::Crash);
    }
    let body = &request.body;
    let depth = body.iter().filter(|b| matches!(b, b'[' | b'{')).count();
    if depth > 150 && hw.defect(Defect::JsonNesting) {
        // defect json-nesting: one stack frame a level.
        return Err(Stop::Crash);
    }
    if request.json().is_some_and(|map| map.values().any(serde_json::Value::is_null)) && hw.defect(Defect::JsonNull) {
        // defect json-null: the library gives a pointer, and nobody looks.
        return Err(Stop::Crash);
    }
    Ok(())
}

/// Bytes that are no request.
pub(super) fn malformed(hw: &mut Hw, bytes: &[u8]) -> Result<(), Stop> {
    let text = String::from_utf8_lossy(bytes);
    let length = text.lines().find_map(|l| l.strip_prefix("Content-Length: ")).and_then(|v| v.parse::<u64>().ok());
    if length.is_some_and(|n| n >= 1 << 31) && hw.defect(Defect::HttpLengthOverflow) {
        // defect http-length-overflow: kept in a signed word.
        return Err(Stop::Crash);
    }
    Ok(())
}

/// Paths that only units with defects have.
pub(super) fn extra(hw: &Hw, request: &Request) -> Option<Vec<u8>> {
    let page = |text: &str| Some(http::reply(200, "text/plain", "", text.as_bytes()));
    match (request.method.as_str(), request.path.as_str()) {
        // defect hidden-upgrade: the factory's way in.
        ("POST", "/cgi-bin/upgrade") if hw.defect(Defect::HiddenUpgrade) => page("ready for image"),
        // defect basic-auth-page: from the library's examples.
        ("GET", "/manager") if hw.defect(Defect::BasicAuthPage) => {
            Some(http::reply(401, "text/plain", "WWW-Authenticate: Basic realm=\"maintenance\"\r\n", b"login required"))
        }
        // defect debug-console.
        (_, "/debug/console") if hw.defect(Defect::DebugConsole) => page("th1# "),
        (_, path) if hw.defect(Defect::HttpTraversal) && percent(path).is_some_and(|p| p.contains("..")) => {
            // defect http-traversal: files are served by name, and the name is decoded after it was looked at.
            page(&format!("model=TH-1 serial={}", hw.otp().serial))
        }
        _ => None,
    }
}
