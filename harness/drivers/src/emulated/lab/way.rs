//! The way between the device and the lab's services, and what is wrong with it: late, lost and sent again, half-open, cut, with bits that flip.

use super::{Answers, Lab};
use proofbench_channel::network::{Fault, Service, Sight, Trade};
use proofbench_emulator::net::{NetIn, NetOut};
use std::collections::BTreeMap;
use std::time::Duration;

/// Bytes of a handshake that go to the device, for the chance that one of them is hit: a chain of two certificates and what is around it.
const HANDSHAKE: u64 = 2048;
/// Things that are late at once; what comes on top is lost, and the connection is as good as dead.
const LATE_MOST: usize = 65_536;

/// Which way a piece goes.
#[derive(Debug, Clone, Copy)]
enum Dir {
    Out,
    In,
}

/// What is late.
enum Late {
    Out(NetOut),
    In(NetIn),
}

/// A connection as the way knows it.
#[derive(Debug, Default)]
struct Flow {
    host: String,
    port: u16,
    tls: bool,
    dead: bool,
    /// Pieces so far, out and in.
    pieces: [u32; 2],
    /// When the last piece arrives, out and in: none overtakes another.
    last: [u64; 2],
    /// Bytes that went to the device since the fault was laid.
    to_device: u64,
}

/// All that is on the way.
#[derive(Default)]
pub(super) struct Way {
    faults: BTreeMap<(String, u16), Fault>,
    flows: BTreeMap<u64, Flow>,
    late: BTreeMap<(u64, u64), Late>,
    count: u64,
}

/// Nanoseconds; a delay of centuries is one of centuries.
fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

/// Which bit of the byte at this place flips, if one does.
fn flip(conn: u64, place: u64, one_in: u32) -> u8 {
    // Fibonacci hashing twice: even enough, and the same in every run.
    let mixed = |n: u64| (n ^ n >> 29).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let chance = mixed(mixed(conn).wrapping_add(place));
    if (chance >> 16).is_multiple_of(u64::from(one_in.max(1))) { 1 << (chance & 7) } else { 0 }
}

impl Way {
    /// `None`: a destination of datagrams.
    pub(super) fn disturb(&mut self, services: &[Service], host: &str, port: u16, fault: Option<Fault>) -> Option<()> {
        let is_datagrams = |s: &&Service| s.host == host && s.port == port && matches!(s.trade, Trade::Names { .. } | Trade::Time(_));
        if services.iter().find(is_datagrams).is_some() {
            return None;
        }
        let place = (host.to_owned(), port);
        match fault {
            Some(Fault::HalfOpen) => {
                self.faults.remove(&place);
                self.flows.values_mut().filter(|f| f.host == host && f.port == port).for_each(|f| f.dead = true);
            }
            Some(fault) => {
                self.flows.values_mut().filter(|f| f.host == host && f.port == port).for_each(|f| f.to_device = 0);
                self.faults.insert(place, fault);
            }
            None => {
                self.faults.remove(&place);
            }
        }
        Some(())
    }

    /// What is on its way is lost: the link is pulled.
    pub(super) fn pulled(&mut self) {
        self.late.clear();
    }

    fn fault(&self, flow: &Flow) -> Option<Fault> {
        self.faults.get(&(flow.host.clone(), flow.port)).copied()
    }

    /// When a piece of this connection arrives; `None`: never.
    fn arrival(&mut self, conn: u64, dir: Dir, at: u64) -> Option<u64> {
        let Some(flow) = self.flows.get(&conn) else { return Some(at) };
        let fault = self.fault(flow);
        let flow = self.flows.get_mut(&conn)?;
        if flow.dead {
            return None;
        }
        flow.pieces[dir as usize] = flow.pieces[dir as usize].saturating_add(1);
        let late = match fault {
            Some(Fault::Delay(by)) => nanos(by),
            Some(Fault::Loss { one_in, again }) if flow.pieces[dir as usize].is_multiple_of(one_in.max(1)) => nanos(again),
            _ => 0,
        };
        let at = at.saturating_add(late).max(flow.last[dir as usize]);
        flow.last[dir as usize] = at;
        Some(at)
    }

    fn later(&mut self, at: u64, what: Late) {
        if self.late.len() < LATE_MOST {
            self.count += 1;
            self.late.insert((at, self.count), what);
        }
    }

    pub(super) fn timer(&self) -> Option<u64> {
        self.late.keys().next().map(|(at, _)| *at)
    }

    /// Whether bits flip in so many bytes that go to the device on this connection now.
    fn hits(&self, flow: &Flow, conn: u64, bytes: u64) -> bool {
        let Some(Fault::Corrupt { one_in }) = self.fault(flow) else { return false };
        (flow.to_device..flow.to_device + bytes).any(|place| flip(conn, place, one_in) != 0)
    }

    /// Whether a handshake on this connection breaks: bits flip in it.
    pub(super) fn breaks_handshake(&self, conn: u64) -> bool {
        self.flows.get(&conn).is_some_and(|flow| flow.tls && self.hits(flow, conn, HANDSHAKE))
    }
}

fn conn_of(what: &NetIn) -> Option<u64> {
    match what {
        NetIn::Opened(conn) | NetIn::Failed(conn, _) | NetIn::Data(conn, _) | NetIn::Ended(conn) => Some(*conn),
        NetIn::Link(_) | NetIn::Accepted { .. } | NetIn::Datagram { .. } => None,
    }
}

impl Lab {
    /// Something that the device sent: it is looked at when it arrives.
    pub(super) fn sent(&mut self, now: u64, out: NetOut, answers: &mut Answers) {
        if let NetOut::Open { conn, host, port, tls } = &out {
            self.way.flows.insert(*conn, Flow { host: host.clone(), port: *port, tls: tls.is_some(), ..Flow::default() });
        }
        let conn = match &out {
            NetOut::Open { conn, .. } | NetOut::Data(conn, _) | NetOut::End { conn, .. } => *conn,
            NetOut::Ask { .. } | NetOut::Reply { .. } => return self.arrived(now, out, answers),
        };
        match self.way.arrival(conn, Dir::Out, now) {
            Some(at) if at > now => self.way.later(at, Late::Out(out)),
            Some(_) => self.arrived(now, out, answers),
            None => {
                if let NetOut::End { conn, .. } = out {
                    self.way.flows.remove(&conn);
                }
            }
        }
    }

    fn arrived(&mut self, now: u64, out: NetOut, answers: &mut Answers) {
        let ended = if let NetOut::End { conn, .. } = &out { Some(*conn) } else { None };
        let mut said = Answers::new();
        self.heard(now, out, &mut said);
        self.back(now, said, answers);
        if let Some(conn) = ended {
            self.way.flows.remove(&conn);
        }
    }

    /// What is due now.
    pub(super) fn late(&mut self, now: u64, answers: &mut Answers) {
        while let Some(entry) = self.way.late.first_entry().filter(|e| e.key().0 <= now) {
            match entry.remove() {
                Late::Out(out) => self.arrived(now, out, answers),
                Late::In(what) => answers.push((0, what)),
            }
        }
    }

    /// What goes to the device, each thing when it arrives and as it arrives; what is later than the device's own transit comes out of [`Lab::late`].
    pub(super) fn back(&mut self, now: u64, said: Answers, answers: &mut Answers) {
        for (after, what) in said {
            let Some(conn) = conn_of(&what) else {
                answers.push((after, what));
                continue;
            };
            for what in self.damaged(now, conn, what) {
                let Some(at) = self.way.arrival(conn, Dir::In, now) else { continue };
                if matches!(what, NetIn::Failed(..) | NetIn::Ended(_)) {
                    self.way.flows.remove(&conn);
                }
                if at > now {
                    self.way.later(at.saturating_add(after), Late::In(what));
                } else {
                    answers.push((after, what));
                }
            }
        }
    }

    /// What a cut or flipped bits make of something that goes to the device.
    fn damaged(&mut self, now: u64, conn: u64, what: NetIn) -> Vec<NetIn> {
        let (NetIn::Data(_, mut bytes), Some(flow)) = (what.clone(), self.way.flows.get(&conn)) else { return vec![what] };
        let length = bytes.len() as u64;
        let (from, tls, fault) = (flow.to_device, flow.tls, self.way.fault(flow));
        let hit = self.way.hits(flow, conn, length);
        if let Some(flow) = self.way.flows.get_mut(&conn) {
            flow.to_device += length;
        }
        match fault {
            Some(Fault::CutAfter(most)) if from + length > most => {
                self.visits.remove(&conn);
                bytes.truncate(usize::try_from(most.saturating_sub(from)).unwrap_or(usize::MAX));
                let rest = (!bytes.is_empty()).then_some(NetIn::Data(conn, bytes));
                rest.into_iter().chain([NetIn::Ended(conn)]).collect()
            }
            Some(Fault::Corrupt { .. }) if hit && tls => {
                // The module's TLS does not take the record and ends the connection.
                self.see_visit(now, conn, Sight::Declined { shown: None, why: "alert bad_record_mac behind the handshake".to_owned() });
                self.visits.remove(&conn);
                vec![NetIn::Ended(conn)]
            }
            Some(Fault::Corrupt { one_in }) => {
                (from..).zip(&mut bytes).for_each(|(place, byte)| *byte ^= flip(conn, place, one_in));
                vec![NetIn::Data(conn, bytes)]
            }
            _ => vec![NetIn::Data(conn, bytes)],
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proofbench_channel::network::{Front, Seen};
    use proofbench_emulator::Outside;

    const S: u64 = 1_000_000_000;

    fn lab() -> Lab {
        let mut lab = Lab::new(1);
        let at = |host: &str, port, trade| Service { host: host.to_owned(), port, front: Front::Plain, trade };
        let page = proofbench_channel::network::Page::new("/", vec![b'x'; 100]);
        for service in [at("resolver", 53, Trade::Names { alive: true }), at("a.example", 80, Trade::Web(vec![page]))] {
            lab.serve(0, &service);
        }
        lab
    }

    /// Everything that reaches the device, with its time, from a connection that is opened at 0 and asks at 1 s.
    fn asked(lab: &mut Lab, between: impl FnOnce(&mut Lab)) -> Vec<(u64, NetIn)> {
        let mut got = Vec::new();
        let mut hear = |lab: &mut Lab, now: u64, out| {
            let mut answers = Vec::new();
            lab.hear(now, out, &mut answers);
            got.extend(answers.into_iter().map(|(after, what)| (now + after, what)));
        };
        hear(lab, 0, NetOut::Open { conn: 1, host: "a.example".to_owned(), port: 80, tls: None });
        between(lab);
        hear(lab, S, NetOut::Data(1, b"GET / HTTP/1.1\r\n\r\n".to_vec()));
        while let Some(at) = lab.timer() {
            let mut answers = Vec::new();
            lab.due(at, &mut answers);
            got.extend(answers.into_iter().map(|(after, what)| (at + after, what)));
        }
        got.sort_by_key(|(at, _)| *at);
        got
    }

    fn disturb(lab: &mut Lab, fault: Fault) {
        lab.disturb("a.example", 80, Some(fault)).unwrap();
    }

    fn body(got: &[(u64, NetIn)]) -> Vec<u8> {
        got.iter().filter_map(|(_, what)| if let NetIn::Data(_, bytes) = what { Some(bytes.clone()) } else { None }).flatten().collect()
    }

    #[test]
    fn a_delay_is_there_in_both_directions() {
        let mut lab = lab();
        disturb(&mut lab, Fault::Delay(Duration::from_secs(3)));
        let got = asked(&mut lab, |_| {});
        let seen: Vec<Seen> = lab.take_seen();
        let at = |wanted: fn(&Sight) -> bool| seen.iter().find(|s| wanted(&s.sight)).unwrap().at.0;
        assert_eq!(at(|s| matches!(s, Sight::Dialled { .. })), 3 * S);
        assert_eq!(at(|s| matches!(s, Sight::Request { .. })), 4 * S);
        assert_eq!(got.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [6 * S, 7 * S]);
    }

    #[test]
    fn every_second_piece_is_lost_and_sent_again() {
        let mut lab = lab();
        disturb(&mut lab, Fault::Loss { one_in: 2, again: Duration::from_secs(5) });
        let got = asked(&mut lab, |_| {});
        assert_eq!(got.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 11 * S]);
    }

    #[test]
    fn what_is_half_open_is_never_heard_of_again_and_what_is_new_is() {
        let mut lab = lab();
        let got = asked(&mut lab, |lab| disturb(lab, Fault::HalfOpen));
        assert_eq!(got, [(0, NetIn::Opened(1))]);
        assert!(!lab.take_seen().iter().any(|s| matches!(s.sight, Sight::Request { .. })));
        assert!(body(&asked(&mut lab, |_| {})).ends_with(b"xxx"));
    }

    #[test]
    fn a_cut_lets_so_many_bytes_through() {
        let mut lab = lab();
        disturb(&mut lab, Fault::CutAfter(20));
        let got = asked(&mut lab, |_| {});
        assert_eq!(body(&got).len(), 20);
        assert_eq!(got.last().unwrap().1, NetIn::Ended(1));
    }

    #[test]
    fn bits_flip_without_tls_and_end_the_connection_with_it() {
        let mut lab = lab();
        let whole = body(&asked(&mut lab, |_| {}));
        disturb(&mut lab, Fault::Corrupt { one_in: 10 });
        let hit = body(&asked(&mut lab, |_| {}));
        assert_eq!(whole.len(), hit.len());
        let changed = whole.iter().zip(&hit).filter(|(a, b)| a != b).count();
        assert!((3..40).contains(&changed), "{changed} of {}", whole.len());
        lab.way.flows.insert(7, Flow { host: "a.example".to_owned(), port: 80, tls: true, ..Flow::default() });
        assert!(lab.way.breaks_handshake(7));
        assert_eq!(lab.damaged(0, 7, NetIn::Data(7, vec![0; 500])), [NetIn::Ended(7)]);
    }

    #[test]
    fn datagrams_go_unharmed() {
        assert!(lab().disturb("resolver", 53, Some(Fault::HalfOpen)).is_none());
    }
}
