//! Outlets of a PDU by SNMP, against net-snmp's agent and against agents that misbehave.
#![allow(clippy::unwrap_used)] // the lint knows test functions, not their helpers

mod agent;
mod faults;

use agent::{Agent, whole, within};
use proofbench_channel::{PowerAsk, PowerSeen, conformance};
use proofbench_drivers::RealClock;
use proofbench_drivers::Secret;
use proofbench_drivers::power::snmp::{Access, Cipher, Digest, V3, families};

#[test]
fn an_outlet_of_each_family_behaves_as_a_supply() {
    let Some(agent) = Agent::start(&[]) else { return };
    for family in families() {
        let mut power = agent.open(&family.name, 3, agent.v2c());
        conformance::power(&mut *power, &mut RealClock(agent.time)).unwrap_or_else(|broken| panic!("{}: {broken}", family.name));
        power.set(PowerAsk::On, &within(agent.time)).unwrap();
        assert_eq!((power.state(&within(agent.time)).unwrap(), agent.relay()), (PowerSeen::On, "on".to_owned()), "{}", family.name);
        power.set(PowerAsk::Off, &within(agent.time)).unwrap();
        assert_eq!((power.state(&within(agent.time)).unwrap(), agent.relay()), (PowerSeen::Off, "off".to_owned()), "{}", family.name);
    }
}

#[test]
fn the_other_versions_behave_as_a_supply_too() {
    let Some(agent) = Agent::start(&[]) else { return };
    let versions = [
        Access::V1(Secret::new(agent::WRITE)),
        Access::V3(V3 { user: "signs".to_owned(), auth: Some((Digest::Sha256, Secret::new(agent::AUTH))), privacy: None }),
        agent.v3(),
    ];
    for access in versions {
        let name = format!("{access:?}");
        let mut power = agent.open("apc-rpdu2", 3, access);
        conformance::power(&mut *power, &mut RealClock(agent.time)).unwrap_or_else(|broken| panic!("{name}: {broken}"));
    }
}

#[test]
fn one_outlet_is_not_another() {
    let Some(agent) = Agent::start(&[]) else { return };
    let (mut third, mut fourth) = (agent.open("apc-rpdu2", 3, agent.v2c()), agent.open("apc-rpdu2", 4, agent.v2c()));
    fourth.set(PowerAsk::On, &within(agent.time)).unwrap();
    assert_eq!((third.state(&within(agent.time)).unwrap(), agent.relay()), (PowerSeen::Off, "off".to_owned()));
}

#[test]
fn a_command_that_is_pending_is_waited_for() {
    let Some(agent) = Agent::start(&["--pending", "3"]) else { return };
    let mut power = agent.open("apc-rpdu2", 3, agent.v2c());
    power.set(PowerAsk::On, &within(agent.time)).unwrap();
    assert_eq!(power.state(&within(agent.time)).unwrap(), PowerSeen::On);
}

#[test]
fn no_secret_is_shown() {
    let agent = Agent::nowhere();
    for access in [agent.v2c(), agent.v3()] {
        let said = format!("{access:?}");
        let mut power = agent.open("apc-rpdu2", 3, access);
        let error = whole(&power.state(&within(agent.time)).unwrap_err());
        for text in [said, power.describe(), error] {
            assert!(!text.contains(agent::WRITE) && !text.contains(agent::AUTH) && !text.contains(agent::PRIVACY), "{text}");
        }
    }
}

#[test]
fn what_cannot_be_is_told_before_anything_is_sent() {
    let agent = Agent::nowhere();
    let v3 = |auth, privacy| Access::V3(V3 { user: "bench".to_owned(), auth, privacy });
    let cipher = Some((Cipher::Aes256, Secret::new("p")));
    for (family, outlet, access, says) in [
        ("apc", vec![3], agent.v2c(), "apc-rpdu2"),
        ("apc-rpdu2", vec![1, 3], agent.v2c(), "it takes 1"),
        ("apc-rpdu2", vec![3], v3(None, cipher.clone()), "needs an authentication protocol"),
        ("apc-rpdu2", vec![3], v3(Some((Digest::Sha1, Secret::new("a"))), cipher), "sha256"),
    ] {
        let error = whole(&agent.try_open(family, outlet, access).err().unwrap());
        assert!(error.contains(says), "{error}");
    }
}
