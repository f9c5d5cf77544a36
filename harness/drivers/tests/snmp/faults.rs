//! What goes wrong on the way to an outlet.

use crate::agent::{self, Agent, whole, within};
use proofbench_channel::{ErrorKind, PowerAsk, PowerSeen};
use proofbench_drivers::Secret;
use proofbench_drivers::power::snmp::{Access, Digest, V3};
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

#[test]
fn a_wrong_community_is_a_silence_that_is_explained() {
    let Some(agent) = Agent::start(&[]) else { return };
    let mut power = agent.open("apc-rpdu2", 3, Access::V2c(Secret::new("wrong")));
    let mut wait = within(agent.time);
    wait.until = agent.time.now() + Duration::from_secs(3);
    let error = power.set(PowerAsk::On, &wait).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert!(whole(&error).contains("silent to a wrong community"), "{}", whole(&error));
    assert_eq!(agent.relay(), "off");
}

#[test]
fn a_community_that_may_only_read_is_refused() {
    let Some(agent) = Agent::start(&[]) else { return };
    for access in [Access::V1(Secret::new(agent::READ)), Access::V2c(Secret::new(agent::READ))] {
        let mut power = agent.open("apc-rpdu2", 3, access);
        assert_eq!(power.state(&within(agent.time)).unwrap(), PowerSeen::Off);
        let error = power.set(PowerAsk::On, &within(agent.time)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(whole(&error).contains("rPDU2OutletSwitchedControlCommand (1.3.6.1.4.1.318.1.1.26.9.2.4.1.5.3)"), "{}", whole(&error));
    }
    assert_eq!(agent.relay(), "off");
}

#[test]
fn a_wrong_user_or_password_of_version_3_is_refused() {
    let Some(agent) = Agent::start(&[]) else { return };
    let v3 = |user: &str, secret| Access::V3(V3 { user: user.to_owned(), auth: Some((Digest::Sha256, Secret::new(secret))), privacy: None });
    for access in [v3("signs", "wrong-password"), v3("nobody", agent::AUTH)] {
        let error = agent.open("apc-rpdu2", 3, access).state(&within(agent.time)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{}", whole(&error));
        assert!(whole(&error).contains("user, password or protocol"), "{}", whole(&error));
    }
}

#[test]
fn an_outlet_that_is_not_there_is_named_by_its_oid() {
    let Some(agent) = Agent::start(&[]) else { return };
    for access in [agent.v2c(), Access::V1(Secret::new(agent::WRITE)), agent.v3()] {
        let mut power = agent.open("apc-rpdu2", 33, access);
        let error = power.state(&within(agent.time)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        // Version 1 names one of the objects that were asked for, whichever it likes.
        let named = |column: u32| whole(&error).contains(&format!("1.3.6.1.4.1.318.1.1.26.9.2.3.1.{column}.33"));
        assert!(named(5) || named(6), "{}", whole(&error));
        let error = power.set(PowerAsk::On, &within(agent.time)).unwrap_err();
        assert!(whole(&error).contains("1.3.6.1.4.1.318.1.1.26.9.2.4.1.5.33"), "{}", whole(&error));
    }
}

#[test]
fn an_agent_that_goes_is_told_and_one_that_comes_back_is_used() {
    let Some(mut agent) = Agent::start(&[]) else { return };
    for access in [agent.v2c(), agent.v3()] {
        let mut power = agent.open("apc-rpdu2", 3, access);
        power.set(PowerAsk::On, &within(agent.time)).unwrap();
        agent.kill();
        let error = power.set(PowerAsk::Off, &within(agent.time)).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Disconnected | ErrorKind::Timeout), "{}", whole(&error));
        agent.restart();
        power.set(PowerAsk::Off, &within(agent.time)).unwrap();
        assert_eq!((power.state(&within(agent.time)).unwrap(), agent.relay()), (PowerSeen::Off, "off".to_owned()));
    }
}

#[test]
fn a_pdu_that_takes_a_command_and_stays_as_it_was_is_refused() {
    let Some(agent) = Agent::start(&["--stuck"]) else { return };
    let error = agent.open("apc-masterswitch", 3, agent.v2c()).set(PowerAsk::On, &within(agent.time)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(whole(&error).contains("still reports off"), "{}", whole(&error));
}

#[test]
fn a_pdu_that_lies_is_believed_which_is_why_an_off_needs_a_witness() {
    let Some(agent) = Agent::start(&["--lies"]) else { return };
    let mut power = agent.open("apc-rpdu2", 3, agent.v2c());
    power.set(PowerAsk::On, &within(agent.time)).unwrap();
    assert_eq!((power.state(&within(agent.time)).unwrap(), agent.relay()), (PowerSeen::On, "off".to_owned()));
    assert_eq!(power.rail(&within(agent.time)).unwrap(), None, "an outlet is no witness of the rail");
}

#[test]
fn a_state_that_is_no_number_is_not_guessed_at() {
    let Some(agent) = Agent::start(&["--garbage"]) else { return };
    let error = agent.open("apc-rpdu2", 3, agent.v2c()).state(&within(agent.time)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Protocol);
    assert!(whole(&error).contains("not a number"), "{}", whole(&error));
}

type Answer = fn(&[u8]) -> Vec<u8>;

/// An agent that answers each datagram with what `answer` makes of it.
fn liar(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> Agent {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut agent = Agent::nowhere();
    agent.port = socket.local_addr().unwrap().port();
    // Ends with the test's process: it blocks on a socket that nobody else has.
    std::thread::spawn(move || {
        let mut datagram = [0; 2048];
        while let Ok((n, peer)) = socket.recv_from(&mut datagram) {
            let _ = socket.send_to(&answer(&datagram[..n]), peer);
        }
    });
    agent
}

#[test]
fn datagrams_that_are_no_answers_end_in_an_error() {
    let answers: [Answer; 6] = [
        |_| Vec::new(),
        |_| b"\x30\x84\xff\xff\xff\xffgarbage".to_vec(),
        |asked| asked[..asked.len() / 2].to_vec(),
        // The question itself.
        |asked| asked.to_vec(),
        // An answer to another question: the same packet as a response, with a bit of the request's number turned.
        |asked| response(asked, |packet, number| packet[number] ^= 1),
        |_| vec![0x30; 60_000],
    ];
    for (n, answer) in answers.into_iter().enumerate() {
        let agent = liar(answer);
        let error = agent.open("apc-rpdu2", 3, agent.v2c()).state(&within(agent.time)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Protocol, "{n}: {}", whole(&error));
        let error = agent.open("apc-rpdu2", 3, agent.v3()).state(&within(agent.time)).unwrap_err();
        assert!(whole(&error).len() < 500, "{n}: {}", whole(&error));
    }
}

#[test]
fn an_answer_about_something_else_is_no_answer() {
    // A response whose objects are the asked ones with one number changed, and one that has values for nobody.
    let agent = liar(|asked| response(asked, |packet, _| *packet.iter_mut().rev().nth(2).unwrap() ^= 1));
    let error = agent.open("apc-rpdu", 3, agent.v2c()).state(&within(agent.time)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Protocol);
    assert!(whole(&error).contains("speaks of 1.3.6.1.4.1.318.1.1.12.3.5.1.1.4.2"), "{}", whole(&error));
}

/// The request as a response, changed: the packet and the place of the last byte of the request's number.
fn response(asked: &[u8], change: impl Fn(&mut Vec<u8>, usize)) -> Vec<u8> {
    let mut packet = asked.to_vec();
    // 30 len, 02 01 version, 04 len community, then a0 len 02 len request-id.
    let pdu = 7 + usize::from(packet[6]);
    packet[pdu] = 0xa2;
    let number = pdu + 3 + usize::from(packet[pdu + 3]);
    change(&mut packet, number);
    packet
}
