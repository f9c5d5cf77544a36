//! Keys of the units.
//!
//! Purpose: 5.4-3-2 a (what is provisioned replaces what could be hard-coded), which supports 5.4-4. Procedure: all units are started and set up; the key of
//! their own TLS service and the key that they show to their service are compared. Verdict: VIOLATED by a key that two units have. Control: each unit showed
//! a key.

use super::{BUDGET, labels, play, served, set_up};
use proofbench_channel::fleet::Step;
use proofbench_channel::network::Sight;
use proofbench_runner::{Bench, Capability, Check, Trouble};
use std::collections::BTreeMap;
use std::time::Duration;

const A: &str = "5.4-3-2 a";

/// Rows 36 and 37.
pub const OWN: Check = Check {
    id: "fleet/own-keys",
    title: "each unit has keys of its own",
    units: &[A],
    // The unit is about parameters of 10-SecParam; which keys there are is seen on the network.
    table: None,
    row_wanted: None,
    needs: &[Capability::Fleet, Capability::Network],
    permissions: &[],
    defects: &["root-key-shared", "identity-shared"],
    twins: &["first-later", "slow-boot"],
    control: "each unit showed its keys",
    budget: BUDGET,
    run: own,
};

fn own(bench: &mut Bench) -> Result<(), Trouble> {
    let labels = labels(bench)?;
    let web = bench.web()?;
    let identities = bench.clients().iter().any(|(_, com)| com.client_certificate);
    let mut scene = served(bench);
    scene.extend([Step::Link(true), Step::Power(true), Step::Wait(Duration::from_millis(web.up_within_ms + 10_000)), Step::Shown(web.port)]);
    scene.push(set_up(bench, &labels)?);
    scene.push(Step::Wait(Duration::from_secs(120)));
    let played = play(bench, &scene)?;
    let mut seen: BTreeMap<(&str, String), Vec<String>> = BTreeMap::new();
    for unit in &played {
        let name = labels.get(unit.unit).map(|l| l.serial.clone()).unwrap_or_default();
        let Some(Some(own)) = unit.shown.first() else {
            return Err(Trouble::NoOpportunity(format!("{name} showed no key on its own service")));
        };
        seen.entry(("own service", own.key.clone())).or_default().push(name.clone());
        let client =
            unit.seen.iter().find_map(|s| if let Sight::Secured { client: Some((_, key)), .. } = &s.sight { Some(key.clone()) } else { None });
        match client {
            Some(key) => seen.entry(("identity towards its service", key)).or_default().push(name),
            None if identities => return Err(Trouble::NoOpportunity(format!("{name} was not seen to show a certificate to its service"))),
            None => {}
        }
    }
    bench.strength(format!("{} units, {} keys", played.len(), seen.len()));
    let shared: Vec<String> =
        seen.iter().filter(|(_, u)| u.len() > 1).map(|((what, _), u)| format!("{what}: {} have one key", u.join(", "))).collect();
    let expected = "no key of one unit is another's";
    match shared.is_empty() {
        true => bench.satisfied(A, None, expected, &format!("{} keys of {} units, all different", seen.len(), played.len())),
        false => bench.violated(A, None, expected, &shared.join("; ")),
    }
    Ok(())
}
