//! A rig in the hands of a person: the lease taken, only the channels that are needed opened, and the mark on the lease true afterwards.

use crate::commands::run::stop_on_signals;
use crate::session::Session;
use anyhow::{Result, bail};
use proofbench_model::Profile;
use proofbench_rig::lease::Lease;
use proofbench_rig::{Capability, Device};
use proofbench_runner::Bench;
use proofbench_runner::bench::{BenchSetup, Stop};
use proofbench_runner::sink::NullSink;
use std::path::Path;

/// What a lease says of a rig that a person switched on: the next run makes it safe before it uses it.
const ON: &str = "left on by hand, by proofbench power";
/// What a lease says when nobody knows what the supply does.
const UNSURE: &str = "left in an unknown state by hand, by proofbench power";

/// A rig for work by hand.
pub struct Hand {
    /// Its channels.
    pub bench: Bench,
    /// Ways to stop.
    pub stop: Stop,
    /// The rig file, as it was given or found.
    pub name: String,
    /// Whether the device lives in this process, or as a process of its own that ends with it.
    pub own_device: bool,
    /// Whether time is virtual: waiting takes none.
    pub virtual_time: bool,
    lease: Option<Lease>,
    /// What the lease said before.
    found: Option<String>,
}

impl Hand {
    /// Takes the rig with the channel `wanted`, which it must have, and those of `helpful` that can be opened.
    pub fn take(rig: Option<&Path>, wanted: Capability, helpful: &[Capability], holder: &str) -> Result<Hand> {
        let session = Session::load(rig, None)?;
        let name = session.rig_file.display().to_string();
        if !session.rig.capabilities().contains(&wanted) {
            bail!("{name}: this rig has no [{wanted}]");
        }
        let mut channels = helpful.to_vec();
        channels.push(wanted);
        let rig = session.rig.clone().with_only(&channels);
        let own_device = !matches!(rig.device, Device::Real);
        let virtual_time = matches!(rig.device, Device::Emulator(_));
        let (rig, broken) = rig.open_what_opens(session.dossier, 1, holder)?;
        for (section, error) in broken {
            let error = anyhow::Error::new(error).context(format!("open [{section}]"));
            if !wanted.of(&rig.channels) {
                // The rig has not been touched: it is as it was found.
                give_back(rig.lease, rig.recover.as_deref())?;
                return Err(error);
            }
            eprintln!("proofbench: without [{section}]: {}", crate::told_once(&error));
        }
        let stop = Stop::default();
        stop_on_signals(&stop)?;
        let bench = Bench::new(BenchSetup {
            channels: rig.channels,
            permissions: rig.permissions,
            dossier: rig.dossier,
            sink: Box::new(NullSink),
            seed: 1,
            stop: stop.clone(),
            reference: None,
            only_cut: None,
            profile: Profile::Ci,
        })
        .map_err(|t| anyhow::anyhow!(t.explain()))?;
        Ok(Hand { bench, stop, name, own_device, virtual_time, lease: rig.lease, found: rig.recover })
    }

    /// The supply was not touched: the lease says what it said before.
    pub fn leave_as_found(self) -> Result<()> {
        give_back(self.lease, self.found.as_deref())
    }

    /// The supply is on: the lease says so.
    pub fn leave_on(self) -> Result<()> {
        give_back(self.lease, Some(ON))
    }

    /// Nobody knows what the supply does: the lease says so.
    pub fn left_unsure(self) -> Result<()> {
        give_back(self.lease, Some(UNSURE))
    }

    /// The rig was made safe.
    pub fn safe(self) -> Result<()> {
        give_back(self.lease, None)
    }
}

fn give_back(lease: Option<Lease>, state: Option<&str>) -> Result<()> {
    match (lease, state) {
        (None, _) => {}
        (Some(lease), None) => lease.safe()?,
        (Some(lease), Some(state)) => lease.leave(state)?,
    }
    Ok(())
}
