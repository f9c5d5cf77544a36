//! Images pushed to a URL of the device by HTTP: PUT or POST, as the body or as a field of a form.
//!
//! Status codes are the device's words. Only those that are a judgement of the image count as one:
//!
//! | what comes back | answer |
//! | --- | --- |
//! | one of `success` (any 2xx unless said), and nothing in its text that `failure` describes | accepted |
//! | 400, 403, 406, 409 to 424 and the other 4xx; 500 and the other 5xx; a success with a `failure` in its text | refused, in the device's words |
//! | 408, 425, 429, 503: not now | silent: it has not looked at the image |
//! | 401, 407: who are you | error `Refused`: the rig's credentials are wrong |
//! | 404, 405, 3xx, another 2xx than `success`, no HTTP at all | error `Protocol`: the rig's URL or method is wrong |
//! | connection refused, host unreachable, no connection in 5 s | tried again until the deadline (nothing was sent), then silent |
//! | no answer until the deadline, connection broken on the way | silent; an image is not sent a second time |
//! | no route, a name that is not known, a certificate that is not trusted | an error of the bench |
//!
//! 500 is a refusal although a bad image may have brought the handler down: the device has answered and has not taken it, and what has become of the
//! device is for the check to see. A connection refused is the device's affair, for it happens while the device starts; a wrong port in the rig file looks
//! the same, and `doctor` tells.
//!
//! The state of the device comes from another URL, whose JSON is read by pointers (RFC 6901). Without one, `state` is `Unsupported`, as marks, erase and
//! restart always are. `https` needs the certificate that is to be trusted: devices have their own. Credentials, and a URL's query, are shown nowhere.
//!
//! A request runs on a thread of its own. One that was given up sends no further byte of the image, and the next one waits for its end.
//!
//! Run against: `fixtures/peers/http_push.py` (Python's http.server), TCP peers of the tests that stall, babble and reset. Not run against a real device.

mod request;
mod state;
#[cfg(test)]
mod tests;

pub use state::{Pointers, is_pointer};

use super::{Remarks, cannot, end_of, whole};
use crate::text::shown;
use crate::{Secret, TimeBase};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proofbench_channel::{Answer, ChannelError, Chunk, ErrorKind, ImageState, Intake, Moment, SmpReply, SmpRequest, UpdatePath, Wait};
use regex::bytes::Regex;
use request::{Http, Met, Request};
use std::time::Duration;

/// How long a device that cannot be reached is left alone before it is tried again.
const PAUSE: Duration = Duration::from_millis(250);

/// How the image is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// POST
    Post,
    /// PUT
    Put,
}

/// Who the bench says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Nobody.
    None,
    /// Basic.
    Basic {
        /// Name.
        user: String,
        /// Password.
        password: Secret,
    },
    /// Bearer.
    Bearer(Secret),
}

/// A device with a URL for images.
#[derive(Debug, Clone)]
pub struct PushSetup {
    /// Where images go.
    pub url: String,
    /// How.
    pub method: Method,
    /// Name of the form field that takes the image; without one the image is the body.
    pub field: Option<String>,
    /// Who asks.
    pub auth: Auth,
    /// Status codes of success; none means any 2xx.
    pub success: Vec<u16>,
    /// A success whose text has this is a refusal all the same.
    pub failure: Option<Regex>,
    /// Longest bench time that an image may take.
    pub within: Duration,
    /// Where the device tells what it holds.
    pub state: Option<Pointers>,
    /// Certificates to be trusted, PEM. For `https` they must be there.
    pub trusted: Option<Vec<u8>>,
    /// The rig's time line.
    pub time: TimeBase,
}

/// Why this is no URL of a device, if it is none.
pub fn url_trouble(url: &str) -> Option<&'static str> {
    let Ok(uri) = url.parse::<ureq::http::Uri>() else { return Some("it cannot be understood") };
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if authority.as_str().contains('@') => Some("user and password have keys of their own"),
        (Some("http" | "https"), Some(_)) => None,
        _ => Some("it does not begin with http:// or https:// and a host"),
    }
}

/// An update path to this device. Nothing is sent here. `Driver` if URL, credentials or certificates make no sense.
pub fn open(setup: PushSetup) -> Result<Box<dyn UpdatePath>, ChannelError> {
    let http = Http::new(&setup)?;
    let remarks = Remarks::new(setup.time);
    Ok(Box::new(Push { setup, http, remarks }))
}

struct Push {
    setup: PushSetup,
    http: Http,
    remarks: Remarks,
}

/// A URL for messages: without its query, which may hold a token.
fn shown_url(url: &str) -> String {
    shown(url.split(['?', '#']).next().unwrap_or_default().as_bytes())
}

/// The value of `Authorization`.
fn authorization(auth: &Auth) -> Option<String> {
    match auth {
        Auth::None => None,
        Auth::Basic { user, password } => Some(format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.reveal())))),
        Auth::Bearer(token) => Some(format!("Bearer {}", token.reveal())),
    }
}

/// The image as the only field of a form: the whole body, and its content type.
fn form(field: &str, image: &[u8]) -> (Vec<u8>, String) {
    let holds = |boundary: &str| image.windows(boundary.len()).any(|w| w == boundary.as_bytes());
    // Some number is always free: the image would have to hold them all.
    let boundary = (0u64..).map(|n| format!("proofbench-boundary-{n}")).find(|b| !holds(b)).unwrap_or_default();
    let field: String = field.chars().filter(|c| !c.is_control() && *c != '"').collect();
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"image.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n"
    );
    let mut body = head.into_bytes();
    body.extend(image);
    body.extend(format!("\r\n--{boundary}--\r\n").bytes());
    (body, format!("multipart/form-data; boundary={boundary}"))
}

/// What a status means, apart from the success that the rig declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Refused,
    NotNow,
    Credentials,
    WrongDoor,
}

fn meaning(status: u16) -> Meaning {
    match status {
        401 | 407 => Meaning::Credentials,
        404 | 405 => Meaning::WrongDoor,
        408 | 425 | 429 | 503 => Meaning::NotNow,
        400..=599 => Meaning::Refused,
        _ => Meaning::WrongDoor,
    }
}

/// A status with the device's words, for a message.
fn words(status: u16, text: &[u8]) -> String {
    let text = text.trim_ascii();
    if text.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status} \"{}\"", shown(text)) }
}

impl Push {
    /// Asks until something is said. Nothing if nobody said anything until the deadline.
    fn ask(&mut self, request: &Request, wait: &Wait) -> Result<Option<(u16, Vec<u8>)>, ChannelError> {
        let doing = format!("{} {}", request.verb(), shown_url(&request.url));
        let mut told = false;
        loop {
            let (why, again) = match self.http.exchange(request, self.setup.time, wait, &doing)? {
                Met::Answer { status, text } => return Ok(Some((status, text))),
                Met::Nobody(why) => (why, true),
                Met::Broken(why) => (why, request.image.is_none()),
                Met::Late => return Ok(None),
            };
            if !std::mem::replace(&mut told, true) {
                self.remarks.add(format!("{doing}: {why}"));
            }
            if !again {
                return Ok(None);
            }
            let until = (self.setup.time.now() + PAUSE).min(wait.until);
            while self.setup.time.now() < until {
                match self.setup.time.slice(wait, &doing) {
                    Ok(slice) => std::thread::sleep(slice.min(self.setup.time.left(until))),
                    Err(e) if e.kind == ErrorKind::Timeout => break,
                    Err(e) => return Err(e),
                }
            }
            if self.setup.time.now() >= wait.until {
                return Ok(None);
            }
        }
    }

    /// The answer that a status is, unless it is the success that was asked for.
    fn judged<T>(&mut self, status: u16, text: &[u8], doing: &str) -> Result<Answer<T>, ChannelError> {
        let words = words(status, text);
        match meaning(status) {
            Meaning::Refused => Ok(Answer::Refused(words)),
            Meaning::NotNow => {
                self.remarks.add(format!("{doing}: {words}: not now"));
                Ok(Answer::Silent)
            }
            Meaning::Credentials => Err(ChannelError::caused(ErrorKind::Refused, doing, format!("{words}: the credentials are not taken"))),
            Meaning::WrongDoor => Err(ChannelError::caused(ErrorKind::Protocol, doing, words)),
        }
    }
}

impl UpdatePath for Push {
    fn state(&mut self, wait: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        let Some(pointers) = self.setup.state.clone() else { return cannot("list images", "HTTP without a URL for the state") };
        let request = Request { url: pointers.url.clone(), put: false, image: None, kind: String::new() };
        let doing = format!("read the state at {}", shown_url(&pointers.url));
        wait.check(self.setup.time.now(), &doing)?;
        let Some((status, text)) = self.ask(&request, wait)? else { return Ok(Answer::Silent) };
        if status != 200 {
            return self.judged(status, &text, &doing);
        }
        pointers.images(&text).map(Answer::Accepted).map_err(|why| ChannelError::caused(ErrorKind::Protocol, doing, why))
    }

    fn chunk(&mut self, chunk: &Chunk<'_>, wait: &Wait) -> Result<Answer<u32>, ChannelError> {
        let image = whole(chunk, "HTTP")?;
        let doing = format!("push an image to {}", shown_url(&self.setup.url));
        wait.check(self.setup.time.now(), &doing)?;
        let (body, kind) = match &self.setup.field {
            None => (image.to_vec(), "application/octet-stream".to_owned()),
            Some(field) => form(field, image),
        };
        let request = Request { url: self.setup.url.clone(), put: self.setup.method == Method::Put, image: Some(body.into()), kind };
        let Some((status, text)) = self.ask(&request, wait)? else { return Ok(Answer::Silent) };
        let success = if self.setup.success.is_empty() { (200..300).contains(&status) } else { self.setup.success.contains(&status) };
        if !success {
            return self.judged(status, &text, &doing);
        }
        if self.setup.failure.as_ref().is_some_and(|f| f.is_match(&text)) {
            return Ok(Answer::Refused(words(status, &text)));
        }
        Ok(Answer::Accepted(end_of(image)))
    }

    fn intake(&self) -> Intake {
        Intake::Whole
    }

    fn longest(&self, _: usize) -> Duration {
        self.setup.within
    }

    fn mark(&mut self, _: Option<&[u8]>, _: bool, _: &Wait) -> Result<Answer<Vec<ImageState>>, ChannelError> {
        cannot("mark an image", "HTTP")
    }

    fn erase(&mut self, _: &Wait) -> Result<Answer<()>, ChannelError> {
        cannot("erase a slot", "HTTP")
    }

    fn restart(&mut self, _: &Wait) -> Result<Answer<()>, ChannelError> {
        cannot("restart the device", "HTTP")
    }

    fn smp(&mut self, _: &SmpRequest, _: &Wait) -> Result<Answer<SmpReply>, ChannelError> {
        cannot("send an SMP request", "HTTP")
    }

    fn remarks(&mut self) -> Vec<(Moment, String)> {
        self.remarks.take()
    }

    fn describe(&self) -> String {
        let how = if self.setup.method == Method::Put { "PUT" } else { "POST" };
        format!("images by HTTP {how} to {}", shown_url(&self.setup.url))
    }
}
