//! Guesses at the same time.
//!
//! Purpose: 5.1-5-2 b. Procedure: many connections are opened, a wrong secret goes out on each before any answer is read. Verdict: VIOLATED if more of them
//! were compared (answered as wrong) than tries are declared. Control: one wrong secret is refused, and the right one logs in before and after. A device that
//! takes fewer connections is no worse for it.

use super::lock::B;
use super::{BUDGET, Declared, NEEDS, clear, web_login, wrong};
use crate::report::{Report, each_row};
use proofbench_channel::network::{Dialled, End};
use proofbench_model::dossier::Row;
use proofbench_runner::bench::WebLogin;
use proofbench_runner::{Bench, Check, Trouble};
use std::time::Duration;

/// Row 9.
pub const PARALLEL: Check = Check {
    id: "credentials/parallel-guesses",
    title: "guesses at the same time are counted each",
    units: &[B],
    table: Some(1),
    row_wanted: Some(web_login),
    needs: NEEDS,
    permissions: &[],
    defects: &["web-count-races"],
    twins: &["web-lock-longer", "closes-after-answer"],
    control: "a wrong secret is refused, the right one logs in before and after",
    budget: BUDGET,
    run: |bench| each_row(bench, &[B], parallel),
};

const GUESSES: u32 = 50;
const WAIT: Duration = Duration::from_secs(5);

fn parallel(bench: &mut Bench, row: &Row, report: &mut Report) -> Result<(), Trouble> {
    let declared = row.auth().map_or_else(|| Err(Trouble::IxitMissing("a binding of 1-AuthMech".to_owned())), Declared::of)?;
    bench.at_home()?;
    clear(bench, &declared)?;
    let web = bench.web()?;
    let mut open = Vec::new();
    for n in 0..GUESSES {
        let wrong = wrong(bench, n)?;
        let (dial, bytes) = bench.request(&web.login, &[("user", &wrong.user), ("secret", &wrong.secret)])?;
        let wait = bench.wait(WAIT);
        if let Dialled::Open(conn, _) = bench.network()?.connect(&dial, &wait)? {
            open.push((conn, bytes));
        }
    }
    let opened = open.len();
    for (conn, bytes) in &open {
        let wait = bench.wait(WAIT);
        bench.network()?.send(*conn, bytes, &wait)?;
    }
    let (mut compared, mut answered) = (0u32, 0u32);
    for (conn, _) in open {
        let seen = bench.http_read(conn, WAIT)?;
        bench.network()?.close(conn, End::Fin)?;
        match bench.login_outcome(&web, &seen)? {
            WebLogin::Refused(_) => (compared, answered) = (compared + 1, answered + 1),
            WebLogin::Locked(_) => answered += 1,
            WebLogin::In(_) => return Err(Trouble::IxitAmbiguous("a secret that nobody set logs in".to_owned())),
            // A connection that was refused in the crowd says nothing about a comparison.
            WebLogin::Other(_) => {}
        }
    }
    clear(bench, &declared)?;
    if answered == 0 {
        return Err(Trouble::NoOpportunity(format!("none of {opened} guesses at the same time was answered")));
    }
    bench.strength(format!("{opened} guesses at the same time, {answered} answered"));
    let expected = format!("at most {} of them are compared", declared.tries);
    if compared <= declared.tries {
        report.satisfied(bench, B, &expected, &format!("{compared} were answered as wrong, {} as locked", answered - compared));
    } else {
        report.violated(bench, B, &expected, &format!("{compared} of {opened} were answered as wrong"));
    }
    Ok(())
}
