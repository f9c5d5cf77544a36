//! Interfaces that nobody declared.
//!
//! Purpose: 5.13-1-2 c (undeclared remote APIs). Procedure: on every TCP port that is open and speaks HTTP, paths at which devices were found to have more than
//! they said, by several methods, as a stranger and as the owner. Verdict: VIOLATED by a path that no service of 13-SoftServ declares and that answers otherwise
//! than a path that surely does not exist. Control: the declared front of the local interface answers, and the path that does not exist is answered too.

use super::BUDGET;
use crate::exposure::PATHS;
use proofbench_channel::network::Dial;
use proofbench_model::bind::{Pattern, ServBind};
use proofbench_runner::bench::HttpSeen;
use proofbench_runner::{Bench, Capability, Check, Trouble};
use std::time::Duration;

const C: &str = "5.13-1-2 c";

/// Rows 26 and 88.
pub const UNDECLARED: Check = Check {
    id: "input/undeclared-apis",
    title: "no path of the device's services does anything that is not declared",
    units: &[C],
    table: None,
    row_wanted: None,
    needs: &[Capability::Console, Capability::Power, Capability::Network],
    permissions: &[],
    defects: &["hidden-upgrade", "debug-console"],
    twins: &["front-page-for-all", "plain-error-page", "closes-strangers", "redirect-permanent", "answers-chunked", "closes-after-answer"],
    control: "declared paths and a path that does not exist are answered on the same connection",
    budget: BUDGET,
    run: undeclared,
};

/// More of them, for methods that do something.
const ACTS: &[&str] = &[
    "/upgrade",
    "/firmware",
    "/update",
    "/cgi-bin/upgrade",
    "/cgi-bin/luci",
    "/goform/formUpload",
    "/goform/setSystem",
    "/api/exec",
    "/api/shell",
    "/api/cmd",
    "/api/debug",
    "/api/firmware",
    "/api/upgrade",
    "/debug/console",
    "/shell",
    "/cmd",
    "/exec",
    "/telnet",
    "/admin",
    "/api/admin",
    "/api/telnet",
    "/api/v1/exec",
    "/upnp/control",
    "/ctrlt/DeviceUpgrade_1",
    "/picsdesc.xml",
    "/rpc",
    "/jsonrpc",
    "/graphql",
];
const NOWHERE: &str = "/zq7-no-such-path";
const ANSWER: Duration = Duration::from_secs(2);

fn undeclared(bench: &mut Bench) -> Result<(), Trouble> {
    bench.at_home()?;
    let services: Vec<ServBind> = bench.dossier().ixit.rows(13).iter().filter_map(|r| r.serv().cloned()).filter(|s| s.transport == "tcp").collect();
    let web = bench.web()?;
    let session = bench.web_session()?;
    let owner = format!("{}\r\n", web.session.replace("{session}", &session));
    let (mut found, mut asked, mut spoke) = (Vec::new(), 0u32, 0u32);
    for port in crate::exposure::open_ports(bench)? {
        let declared: Vec<Pattern> = services.iter().filter(|s| s.port == port).flat_map(|s| s.paths.clone()).collect();
        let dial = Dial { port, tls: port == web.port && web.tls, from: 0 };
        for (who, fields) in [("a stranger", ""), ("the owner", owner.as_str())] {
            for (method, list) in [("GET", PATHS), ("POST", ACTS), ("PUT", ACTS), ("POST", PATHS)] {
                let HttpSeen::Answer(nowhere) = ask(bench, &dial, method, NOWHERE, fields)? else { continue };
                spoke += 1;
                for path in list.iter().filter(|p| !declared.iter().any(|d| crate::text::matches(d, p))) {
                    asked += 1;
                    let HttpSeen::Answer(a) = ask(bench, &dial, method, path, fields)? else { continue };
                    // An error page may quote the path.
                    let quoted = String::from_utf8_lossy(&nowhere.body).replace(NOWHERE, path);
                    let same = a.status == nowhere.status && String::from_utf8_lossy(&a.body) == quoted;
                    if !same && !matches!(a.status, 400 | 401 | 403 | 404 | 405 | 409 | 501) {
                        found.push(format!("{method} {path} on port {port} as {who}: {}", HttpSeen::Answer(a).words()));
                    }
                }
            }
        }
    }
    if spoke == 0 {
        return Err(Trouble::Unreachable("no port answered a request for a path that does not exist".to_owned()));
    }
    bench.net_up()?;
    bench.strength(format!("{asked} requests for paths that are not declared"));
    let expected = "a path that no service of 13-SoftServ declares is answered as one that does not exist";
    if found.is_empty() {
        bench.satisfied(C, None, expected, &format!("{asked} paths asked for, none of them there"));
    } else {
        found.truncate(8);
        bench.violated(C, None, expected, &found.join("; "));
    }
    Ok(())
}

fn ask(bench: &mut Bench, dial: &Dial, method: &str, path: &str, fields: &str) -> Result<HttpSeen, Trouble> {
    let length = if method == "GET" { "" } else { "Content-Length: 0\r\n" };
    bench.http_bytes(dial, format!("{method} {path} HTTP/1.1\r\nHost: device\r\n{fields}{length}\r\n").as_bytes(), ANSWER)
}
