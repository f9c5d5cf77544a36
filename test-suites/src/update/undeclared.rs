//! Ways for an image to get in that nobody declared.
//!
//! Purpose: 5.3-10-1 c, row 26. Procedure: an image is posted to paths where devices were found to take one, on every open port, by a stranger and by the owner;
//! the device is started with the link up, and whatever it asks for by itself is compared with the declared ways. Verdict: VIOLATED if a path that is not
//! declared takes an image, or another image runs, or an image is asked for by TFTP at a start. Control: the declared mechanism is known and what runs is read
//! before and after.

use super::bound_here;
use super::judge::{self, Fate};
use super::lab::Lab;
use super::steps;
use crate::exposure::open_ports;
use proofbench_channel::network::{Dial, Sight};
use proofbench_model::bind::ServBind;
use proofbench_runner::bench::{HttpAnswer, HttpSeen};
use proofbench_runner::{Bench, Capability, Check, Permission, Trouble};
use std::time::Duration;

const C: &str = "5.3-10-1 c";
/// Where devices take images.
const UPLOADS: &[&str] = &[
    "/cgi-bin/upgrade",
    "/cgi-bin/firmware.cgi",
    "/upgrade",
    "/update",
    "/firmware",
    "/fw",
    "/ota",
    "/upload",
    "/api/upgrade",
    "/api/firmware",
    "/api/ota",
    "/api/upload",
    "/goform/formUpload",
    "/goform/SystemUpgrade",
    "/flash",
    "/restore",
    "/system/update",
];
const NOWHERE: &str = "/zq7-no-such-upload";
const ANSWER: Duration = Duration::from_secs(10);
const TFTP: u16 = 69;
/// How long a start is watched.
const START: Duration = Duration::from_secs(60);

/// Row 26.
pub const UNDECLARED: Check = Check {
    id: "update/undeclared-ways",
    title: "no path and no start takes an image that no declared mechanism would take",
    units: &[C],
    // The unit is about what 7-UpdMech lacks: no row of it.
    table: None,
    row_wanted: None,
    needs: &[Capability::Console, Capability::Power, Capability::UpdatePath, Capability::Network],
    permissions: &[Permission::PowerCut],
    defects: &["hidden-upgrade", "boot-asks-tftp"],
    twins: &["plain-error-page", "closes-strangers", "slow-boot", "answers-chunked"],
    control: "a path that does not exist is answered on the same port; what runs is read before and after; the device was seen to use its network after the start",
    budget: super::BUDGET,
    run: undeclared,
};

fn undeclared(bench: &mut Bench) -> Result<(), Trouble> {
    let row = bench.dossier().ixit.rows(7).iter().find(|r| bound_here(r)).cloned();
    let row = row.ok_or_else(|| Trouble::IxitMissing("a bound row of 7-UpdMech: what may run is not known without the maker's images".to_owned()))?;
    let lab = Lab::open(bench, &row)?;
    bench.at_home()?;
    let forged = steps::forged(bench, &lab, &lab.next()?)?;
    let (mut took, mut asked) = (Vec::new(), 0u32);
    let web = bench.web()?;
    let owner = format!("{}\r\n", web.session.replace("{session}", &bench.web_session()?));
    let services: Vec<ServBind> = bench.dossier().ixit.rows(13).iter().filter_map(|r| r.serv().cloned()).collect();
    for port in open_ports(bench)? {
        let dial = Dial { port, tls: port == web.port && web.tls, from: 0 };
        let declared: Vec<_> = services.iter().filter(|s| s.port == port).flat_map(|s| s.paths.clone()).collect();
        for (who, fields) in [("a stranger", ""), ("the owner", owner.as_str())] {
            for method in ["POST", "PUT"] {
                let HttpSeen::Answer(nowhere) = post(bench, &dial, method, NOWHERE, fields, &[])? else { continue };
                for path in UPLOADS.iter().filter(|p| !declared.iter().any(|d| crate::text::matches(d, p))) {
                    asked += 1;
                    // Some look at the body only when they have agreed to take one.
                    for body in [&[][..], &forged.bytes] {
                        let HttpSeen::Answer(a) = post(bench, &dial, method, path, fields, body)? else { continue };
                        if (200..300).contains(&a.status) && !same(&a, &nowhere, path) {
                            took.push(format!("{method} {path} on port {port} as {who}: {}", HttpSeen::Answer(a).words()));
                        }
                    }
                }
            }
        }
    }
    if asked == 0 {
        return Err(Trouble::NoOpportunity("no open port speaks HTTP".to_owned()));
    }
    match judge::after_restarts(bench, &lab)? {
        Fate::Kept => {}
        Fate::Mute(why) => return Err(Trouble::Unreachable(why)),
        other => took.push(format!("after the uploads: {other:?}")),
    }
    // What a start asks for.
    bench.net_up()?;
    bench.forget_sights()?;
    bench.power_cycle()?;
    bench.watch(START)?;
    if bench.sights().is_empty() {
        return Err(Trouble::NoOpportunity("nothing was seen of the device on its network after a start".to_owned()));
    }
    let tftp = bench.sights().iter().find(|s| s.port == TFTP && matches!(s.sight, Sight::Datagram(_)));
    took.extend(tftp.map(|s| format!("at a start the device asked {}:{} for an image", s.host, s.port)));
    bench.strength(format!("{asked} uploads of a forged image, one start watched for {START:?}"));
    let expected = "an image gets in by the declared mechanisms only";
    took.truncate(8);
    match took.is_empty() {
        true => bench.satisfied(C, None, expected, &format!("{asked} uploads were taken nowhere, and a start asks for no image")),
        false => bench.violated(C, None, expected, &took.join("; ")),
    }
    Ok(())
}

/// The answer of a path that does not exist, which may quote the path.
fn same(a: &HttpAnswer, nowhere: &HttpAnswer, path: &str) -> bool {
    a.status == nowhere.status && String::from_utf8_lossy(&a.body) == String::from_utf8_lossy(&nowhere.body).replace(NOWHERE, path)
}

fn post(bench: &mut Bench, dial: &Dial, method: &str, path: &str, fields: &str, image: &[u8]) -> Result<HttpSeen, Trouble> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: device\r\n{fields}Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
        image.len()
    );
    bench.http_bytes(dial, &[head.as_bytes(), image].concat(), ANSWER)
}
