//! One request to a plug's own HTTP interface: bounded in time and size, alone, and not sent when nobody waits for it any more.
//!
//! A request runs on a thread of its own, which a cancelled or late call leaves behind. It ends by its own timeouts, at most 10 s, and the next request
//! of the same driver waits for its end: an `on` that somebody gave up can not overtake the `off` that followed it. All requests of the drivers may be
//! repeated, so a plug that is away (its Wi-Fi joins again, it restarts) is tried again for 15 s.
//!
//! Plugs get no TLS, no redirects are followed, no proxy is used, no connection is kept.

use crate::text::shown;
use crate::{TimeBase, runtime};
use proofbench_channel::{ChannelError, ErrorKind, Wait};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use ureq::{Agent, Error};

/// Longest answer that is taken.
const ANSWER_MOST: u64 = 64 * 1024;
/// Longest head of an answer.
const HEAD_MOST: usize = 16 * 1024;
/// How long one attempt may take, and its connecting.
const ATTEMPT_MOST: Duration = Duration::from_secs(10);
const CONNECT_MOST: Duration = Duration::from_secs(5);
/// How long a plug that is away is tried again, and how often.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MOST: Duration = Duration::from_secs(2);

// A Tasmota plug wants its password in the URL, and ureq writes whole URLs at level trace.
const _: () = assert!(log::STATIC_MAX_LEVEL as usize <= log::LevelFilter::Debug as usize);

/// What the URL of a plug looks like.
pub const URL_EXAMPLE: &str = "http://192.0.2.7";

/// Why this is no URL of a plug.
pub fn url_trouble(url: &str) -> Option<&'static str> {
    let Some(authority) = url.strip_prefix("http://") else {
        return Some(if url.starts_with("https://") { "plugs are spoken to in plain HTTP" } else { "it does not begin with http://" });
    };
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if authority.contains('@') {
        return Some("user and password have keys of their own");
    }
    if authority.is_empty() || authority.contains(['/', '?', '#']) {
        return Some("it is to name a host, perhaps a port, and nothing more");
    }
    match authority.parse::<ureq::http::uri::Authority>() {
        Ok(_) => None,
        Err(_) => Some("its host cannot be understood"),
    }
}

/// What is asked.
pub(super) struct Request {
    /// Path and query, from its slash. May hold a secret: it is shown nowhere.
    pub path: String,
    /// `Authorization`, if any.
    pub authorization: Option<String>,
    /// With a body it is a POST of JSON.
    pub body: Option<String>,
}

/// What came back.
pub(super) struct Answer {
    pub status: u16,
    /// Values of `WWW-Authenticate` that are printable ASCII.
    pub challenges: Vec<String>,
    pub body: Vec<u8>,
}

/// The way to one plug.
pub(super) struct Http {
    agent: Agent,
    origin: String,
    time: TimeBase,
    /// Held while a request is on its way.
    turn: Arc<Mutex<()>>,
}

/// Tells the thread that its caller has gone.
struct Caller(Arc<AtomicBool>);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Http {
    /// Opens nothing. A URL that is none of a plug is an error.
    pub(super) fn new(url: &str, time: TimeBase) -> Result<Self, ChannelError> {
        if let Some(why) = url_trouble(url) {
            // Not shown: somebody may have written a password into it.
            return Err(ChannelError::caused(ErrorKind::Driver, "use the plug's URL", format!("{why}; valid: {URL_EXAMPLE}")));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .max_idle_connections(0)
            .max_response_header_size(HEAD_MOST)
            .user_agent("proofbench")
            .build();
        Ok(Self { agent: config.into(), origin: url.trim_end_matches('/').to_owned(), time, turn: Arc::default() })
    }

    /// The plug's URL.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Asks and waits for the answer, whatever its status. `Disconnected`: the plug is not reached; `Timeout`: it does not answer; `Protocol`: what it
    /// answers is no HTTP, or too long. `request` is made anew for each attempt.
    pub(super) fn exchange(
        &self,
        wait: &Wait,
        doing: &str,
        mut request: impl FnMut() -> Result<Request, ChannelError>,
    ) -> Result<Answer, ChannelError> {
        let patience = self.time.now() + PATIENCE.mul_f64(self.time.speed());
        let mut pause = PAUSE_FIRST;
        loop {
            let failed = match self.attempt(request()?, wait, doing) {
                Err(e) if matches!(e.kind, ErrorKind::Disconnected | ErrorKind::Timeout) => e,
                other => return other,
            };
            let again = self.time.now() + pause.mul_f64(self.time.speed());
            if again >= patience {
                return Err(failed);
            }
            while self.time.now() < again {
                match self.time.slice(wait, doing) {
                    Ok(slice) => std::thread::sleep(slice.min(self.time.left(again))),
                    // Why it failed says more than that the time is up.
                    Err(e) if e.kind == ErrorKind::Timeout => return Err(failed),
                    Err(e) => return Err(e),
                }
            }
            pause = (pause * 2).min(PAUSE_MOST);
        }
    }

    fn attempt(&self, request: Request, wait: &Wait, doing: &str) -> Result<Answer, ChannelError> {
        let gone = Arc::new(AtomicBool::new(false));
        let _caller = Caller(Arc::clone(&gone));
        let (agent, turn, words) = (self.agent.clone(), Arc::clone(&self.turn), doing.to_owned());
        let url = format!("{}{}", self.origin, request.path);
        let at_most = self.time.left(wait.until).min(ATTEMPT_MOST);
        let answered = runtime::offload(self.time, wait, doing, move || {
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            if gone.load(Ordering::SeqCst) {
                return Err(ChannelError::new(ErrorKind::Cancelled, words));
            }
            answer(&agent, &url, request, at_most).map_err(|e| failure(&e, words))
        });
        answered.map_err(|e| match (e.kind, &e.source) {
            (ErrorKind::Timeout, None) => ChannelError::caused(e.kind, e.doing, "the plug has not answered yet"),
            _ => e,
        })
    }
}

fn answer(agent: &Agent, url: &str, request: Request, at_most: Duration) -> Result<Answer, Error> {
    let authorization = request.authorization.as_deref();
    let response = match request.body {
        None => {
            let get = agent.get(url).config().timeout_global(Some(at_most)).timeout_connect(Some(CONNECT_MOST)).build();
            authorization.into_iter().fold(get, |get, a| get.header("Authorization", a)).call()?
        }
        Some(body) => {
            let post = agent.post(url).config().timeout_global(Some(at_most)).timeout_connect(Some(CONNECT_MOST)).build();
            let post = authorization.into_iter().fold(post, |post, a| post.header("Authorization", a));
            post.header("Content-Type", "application/json").send(body.as_bytes())?
        }
    };
    let (head, body) = response.into_parts();
    let challenges = head.headers.get_all("www-authenticate").iter().filter_map(|v| v.to_str().ok().map(str::to_owned)).collect();
    let body = body.into_with_config().limit(ANSWER_MOST).read_to_vec()?;
    Ok(Answer { status: head.status.as_u16(), challenges, body })
}

/// No text of the error's that could hold the URL is shown.
fn failure(error: &Error, doing: String) -> ChannelError {
    let text = || shown(error.to_string().as_bytes());
    let (kind, why) = match error {
        Error::Io(e) => (ErrorKind::Disconnected, shown(e.to_string().as_bytes())),
        Error::HostNotFound | Error::ConnectionFailed => (ErrorKind::Disconnected, text()),
        Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => (ErrorKind::Disconnected, "no connection within its time".to_owned()),
        Error::Timeout(_) => (ErrorKind::Timeout, "the plug does not answer".to_owned()),
        Error::BodyExceedsLimit(most) => (ErrorKind::Protocol, format!("its answer is longer than {most} bytes")),
        Error::LargeResponseHeader(..) => (ErrorKind::Protocol, format!("the head of its answer is longer than {HEAD_MOST} bytes")),
        Error::Protocol(_) => (ErrorKind::Protocol, format!("its answer is no HTTP: {}", text())),
        _ => (ErrorKind::Driver, "the request cannot be made".to_owned()),
    };
    ChannelError::caused(kind, doing, why)
}

/// The start of an answer, for an error.
pub(super) fn start_of(body: &[u8]) -> String {
    if body.is_empty() { "nothing".to_owned() } else { format!("`{}`", shown(body)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofbench_channel::Cancel;
    use rstest::rstest;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc::{Receiver, channel};

    /// A server that hands over each connection with the path of its request, all at the same time, and leaves the answer to the test.
    fn server() -> (Http, Receiver<(String, TcpStream)>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let http = Http::new(&format!("http://{}", listener.local_addr().unwrap()), TimeBase::real()).unwrap();
        let (tell, told) = channel();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let tell = tell.clone();
                std::thread::spawn(move || {
                    let mut head = [0; 2048];
                    let length = stream.read(&mut head).unwrap_or(0);
                    let head = String::from_utf8_lossy(&head[..length]);
                    let path = head.split(' ').nth(1).unwrap_or("").to_owned();
                    let _ = tell.send((path, stream));
                });
            }
        });
        (http, told)
    }

    fn get(http: &Http, path: &str, wait: &Wait) -> Result<u16, ErrorKind> {
        let request = || Ok(Request { path: path.to_owned(), authorization: None, body: None });
        http.exchange(wait, "ask", request).map(|a| a.status).map_err(|e| e.kind)
    }

    fn within(http: &Http, time: Duration) -> Wait {
        Wait::until(http.time.now() + time, &Cancel::new())
    }

    const LONG: Duration = Duration::from_secs(60);

    fn answer(mut stream: TcpStream) {
        // A caller that has gone does not hear it.
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }

    /// The plug is busy with a request that was given up. One that was given up while it waited for that is never sent, and the next one comes after it.
    #[test]
    fn requests_go_one_by_one_and_not_after_their_callers_have_gone() {
        let (http, told) = server();
        let first = within(&http, LONG);
        let cancel = first.cancel.clone();
        let plug = std::thread::spawn(move || {
            let (path, stream) = told.recv().unwrap();
            cancel.cancel();
            (path, stream, told)
        });
        assert_eq!(get(&http, "/first", &first), Err(ErrorKind::Cancelled));
        let (path, stream, told) = plug.join().unwrap();
        assert_eq!(path, "/first");
        assert_eq!(get(&http, "/second", &within(&http, Duration::from_millis(100))), Err(ErrorKind::Timeout));
        let plug = std::thread::spawn(move || {
            answer(stream);
            let (path, stream) = told.recv().unwrap();
            answer(stream);
            path
        });
        assert_eq!(get(&http, "/third", &within(&http, LONG)), Ok(200));
        assert_eq!(plug.join().unwrap(), "/third");
    }

    #[test]
    fn a_connection_that_breaks_is_tried_again() {
        let (http, told) = server();
        let plug = std::thread::spawn(move || {
            drop(told.recv().unwrap());
            answer(told.recv().unwrap().1);
        });
        assert_eq!(get(&http, "/", &within(&http, LONG)), Ok(200));
        plug.join().unwrap();
    }

    #[rstest]
    #[case("http://192.0.2.7", true)]
    #[case("http://plug.lab:8080/", true)]
    #[case("http://[2001:db8::7]:80", true)]
    #[case("https://192.0.2.7", false)]
    #[case("192.0.2.7", false)]
    #[case("http://", false)]
    #[case("http://plug/cm", false)]
    #[case("http://plug?cmnd=Power", false)]
    #[case("http://admin:hunter2@plug", false)]
    #[case("http://two words", false)]
    fn a_plug_is_named_by_host_and_port(#[case] url: &str, #[case] good: bool) {
        assert_eq!(url_trouble(url).is_none(), good);
        if let Err(e) = Http::new(url, TimeBase::real()) {
            assert!(!good && !format!("{e:?}").contains("hunter2"));
        }
    }
}
