//! Somebody else in the place of the server: other certificates, again and again, and a server that sends the device elsewhere.
//!
//! Purpose: 5.3-2-2, row 23. What is offered is genuine and newer: whoever takes it from a stranger lets him choose which of the maker's images runs, and
//! when. Verdict: VIOLATED if the device installs from a server that is not its own. Where the dossier declares the transport without TLS the image's own
//! signature is all that is claimed, and there is nothing to imitate.

use super::super::lab::{Genuine, Lab};
use super::super::{MISUSE, path};
use super::source::{Fetched, Source, dotted};
use super::{BUDGET, NEEDS, TWINS, served};
use crate::report::{Report, each_row};
use proofbench_channel::network::{Certificate, Front, Page, Seen, Service, Sight, Trade};
use proofbench_model::Reason;
use proofbench_model::dossier::Row;
use proofbench_runner::{Bench, Check, Permission, Trouble};

/// Row 23.
pub const IMITATED: Check = Check {
    id: "update/server-imitated",
    title: "nothing is installed from a server that is not the maker's",
    units: &[MISUSE],
    table: Some(7),
    row_wanted: Some(served),
    needs: NEEDS,
    permissions: &[Permission::CounterIncrement],
    defects: &["tls-unverified-updates", "net-untrusted-later", "net-plain-redirect"],
    twins: TWINS,
    control: "the same image is installed from the right server before and after",
    budget: BUDGET,
    run: |bench| each_row(bench, &[MISUSE], imitated),
};

/// Attempts of the device with the same wrong certificate: what gives way may do so only after some.
const ATTEMPTS: u32 = 6;
/// Port of the plain twin.
const PLAIN: u16 = 8080;

fn imitated(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let mut lab = Lab::open(bench, row)?;
    let source = Source::of(bench, row)?;
    let Some(host) = source.com.host.clone().filter(|_| source.com.tls.is_some()) else {
        report.unresolved(bench, MISUSE, Reason::NoOpportunity, "the server is declared without TLS: there is nothing to imitate");
        return Ok(());
    };
    bench.at_home()?;
    let first = lab.next()?;
    source.control(bench, &mut lab, &first)?;
    let base = lab.next()?;
    let expected = "nothing is installed from a server that does not prove that it is the maker's";
    let pages = source.pages(&dotted(&base), &base.bytes);
    let mut tried = 0u32;
    for bad in Certificate::BAD {
        // Whatever is open goes first.
        bench.serve_as(&source.com, Front::HangUp, Trade::Web(pages.clone()))?;
        bench.serve_as(&source.com, Front::Tls(bad), Trade::Web(pages.clone()))?;
        let attempts = if bad == Certificate::UnknownCa { ATTEMPTS } else { 1 };
        for n in 1..=attempts {
            let seen = |s: &Sight| matches!(s, Sight::Secured { .. } | Sight::Declined { .. });
            if let Some(what) = outcome(bench, &lab, &source, &base, seen)? {
                report.violated(bench, MISUSE, expected, &format!("certificate {}, attempt {n}: {what}", bad.id()));
                return Ok(());
            }
            tried += 1;
        }
    }
    // A server with the right certificate that sends the device elsewhere.
    bench.serve(&Service { host: host.clone(), port: PLAIN, front: Front::Plain, trade: Trade::Web(pages.clone()) })?;
    bench.serve(&Service { host: "mirror.example".to_owned(), port: PLAIN, front: Front::Plain, trade: Trade::Web(pages.clone()) })?;
    for to in [format!("http://{host}:{PLAIN}"), format!("http://mirror.example:{PLAIN}")] {
        let redirects = [source.bind.manifest.clone(), source.image_path(&dotted(&base))].map(|path| Page {
            status: 302,
            location: Some(format!("{to}{path}")),
            ..Page::new(&path, "")
        });
        bench.serve_pages(&source.com, redirects.to_vec())?;
        let asked = |s: &Sight| matches!(s, Sight::Request { .. });
        if let Some(what) = outcome(bench, &lab, &source, &base, asked)? {
            report.violated(bench, MISUSE, expected, &format!("redirected to {to}: {what}"));
            return Ok(());
        }
        tried += 1;
    }
    bench.strength(format!("{tried} attempts at {} certificates and 2 redirects", Certificate::BAD.len()));
    match source.control_again(bench, &mut lab, &base)? {
        Some(what) => report.violated(bench, MISUSE, expected, &what),
        None => report.satisfied(bench, MISUSE, expected, "nothing was installed; from the right server it was, before and after"),
    }
    Ok(())
}

/// What is wrong after an attempt; the attempt must be seen.
fn outcome(bench: &mut Bench, lab: &Lab, source: &Source, base: &Genuine, seen: impl Fn(&Sight) -> bool) -> Result<Option<String>, Trouble> {
    // What stands on the table is a genuine image: time for an installation, and nothing that runs may have changed.
    let fetched = source.fetch(bench)?;
    let attempt = |s: &Seen| source.here(s) && seen(&s.sight);
    let attempt = bench.sights().iter().any(attempt) || bench.watch_for(source.next_look(), attempt)?.is_some();
    if !attempt && matches!(fetched, Fetched::Kept { .. }) {
        return Err(Trouble::NoOpportunity("no attempt of the device was seen".to_owned()));
    }
    if let Fetched::Dead(words) = fetched {
        return Ok(Some(words));
    }
    let running = path::running(bench)?;
    if running == lab.baseline {
        return Ok(None);
    }
    let own = if base.runs(&running) { "the genuine image that the stranger chose" } else { "something else" };
    Ok(Some(format!("{own} was installed: {running} runs")))
}
