//! The device's network on real sockets: this is the module that firmware talks to, with its own TCP, TLS and name resolution.
//!
//! | part | what it is |
//! | --- | --- |
//! | [`setup`] | where the device stands |
//! | [`ports`] | its TCP ports |
//! | [`dial`], [`resolve`] | connections that it opens |
//! | [`conns`], [`stream`] | connections that are up |
//! | [`datagrams`] | questions by datagram, and its UDP ports |
//! | [`tls`] | what is offered, shown and looked at |
//!
//! The other side is the adversary. Connections of all kinds together are at most [`CONNS_MOST`]; a look at one of them reads one piece; nothing is read
//! while firmware has enough to do; who does not read loses his connection once a quarter of a megabyte waits for him.
//!
//! While the link is down the device's ports are closed and no socket is touched: what is on its way stays there. A restart of the device ends its
//! connections by a reset, and so does the end of this process.

pub mod conns;
pub mod datagrams;
pub mod dial;
pub mod ports;
pub mod resolve;
pub mod setup;
pub mod socket;
pub mod stream;
pub mod tls;

use conns::{Conns, WAITS_MOST};
use datagrams::Datagrams;
use dial::{Dial, Ground, Step};
use ports::Ports;
use proofbench_emulator::World;
use proofbench_emulator::net::{CONNS_MOST, NetIn, NetOut, OpenFailed};
use rustix::event::PollFd;
use rustls::pki_types::CertificateDer;
use setup::NetSetup;
use std::collections::BTreeMap;
use std::net::UdpSocket;
use tls::TlsError;

/// The module.
pub struct Net {
    setup: NetSetup,
    anchor: Option<CertificateDer<'static>>,
    ports: Ports,
    conns: Conns,
    dials: BTreeMap<u64, Dial>,
    /// Given up while the cable was out: nobody else knows yet.
    limbo: Vec<Dial>,
    datagrams: Datagrams,
    /// At which start of the device everything here came about.
    boots: u32,
    link: bool,
    /// Questions to the resolver so far.
    asked: u16,
}

impl Net {
    /// Reads the maker's CA; no socket is opened yet.
    pub fn new(setup: NetSetup) -> Result<Self, TlsError> {
        let anchor = setup.trust.as_deref().map(tls::anchor).transpose()?.flatten();
        Ok(Self {
            setup,
            anchor,
            ports: Ports::default(),
            conns: Conns::default(),
            dials: BTreeMap::new(),
            limbo: Vec::new(),
            datagrams: Datagrams::default(),
            boots: 0,
            link: false,
            asked: 0,
        })
    }

    /// Brings the sockets to the device's present. Says whether the device did anything.
    pub fn turn(&mut self, world: &mut World) -> bool {
        self.link = world.has_link();
        self.conns.pull(!self.link);
        if self.link {
            self.limbo.clear();
        }
        if self.link && self.boots != world.boots() {
            self.boots = world.boots();
            self.conns.forget();
            self.dials.clear();
            self.ports.forget();
            self.datagrams.forget();
        }
        let mut busy = false;
        while let Some(out) = world.take_net() {
            self.carry_out(world, out);
            busy = true;
        }
        let ground = Ground { setup: &self.setup, anchor: self.anchor.as_ref(), now: world.now() };
        self.datagrams.turn(world, &ground);
        self.ports.follow(world, &self.setup);
        if self.link {
            self.step(world, Dial::turn);
            self.conns.turn(world);
        }
        busy
    }

    fn carry_out(&mut self, world: &mut World, out: NetOut) {
        let ground = Ground { setup: &self.setup, anchor: self.anchor.as_ref(), now: world.now() };
        match out {
            NetOut::Open { conn, host, port, tls } => {
                if self.conns.len() + self.dials.len() + self.ports.waiting() >= CONNS_MOST {
                    return world.net_in(NetIn::Failed(conn, OpenFailed::Refused));
                }
                self.asked = self.asked.wrapping_add(1);
                let step = Dial::begin(&ground, host, port, tls, self.asked);
                self.take(world, conn, step);
            }
            NetOut::Data(conn, bytes) => self.conns.send(world, conn, &bytes),
            NetOut::End { conn, reset } => {
                let dial = self.dials.remove(&conn);
                if !self.link && self.limbo.len() < CONNS_MOST {
                    self.limbo.extend(dial);
                }
                self.conns.end(conn, reset);
            }
            NetOut::Ask { conn, host, port, bytes } => {
                self.asked = self.asked.wrapping_add(1);
                self.datagrams.ask(&ground, conn, (&host, port), bytes, self.asked);
            }
            NetOut::Reply { port, peer, bytes } => self.datagrams.reply(port, peer, &bytes),
        }
    }

    /// Lets every attempt take a step.
    fn step(&mut self, world: &mut World, step: impl Fn(Dial, &Ground<'_>) -> Step) {
        for (conn, dial) in std::mem::take(&mut self.dials) {
            let ground = Ground { setup: &self.setup, anchor: self.anchor.as_ref(), now: world.now() };
            let step = step(dial, &ground);
            self.take(world, conn, step);
        }
    }

    fn take(&mut self, world: &mut World, conn: u64, step: Step) {
        match step {
            Step::Waits(dial) => {
                self.dials.insert(conn, dial);
            }
            Step::Up(stream, early) => {
                world.net_in(NetIn::Opened(conn));
                self.conns.insert(world, conn, stream, &early);
            }
            Step::Failed(why, last) => {
                world.net_in(NetIn::Failed(conn, why));
                if let Some(stream) = last {
                    self.conns.close(stream);
                }
            }
        }
    }

    /// Looks at every socket. Says whether anything came.
    pub fn serve(&mut self, world: &mut World) -> bool {
        if !self.link {
            return false;
        }
        self.step(world, Dial::serve);
        let mut heard = self.ports.serve(world, &self.setup, &mut self.conns, self.dials.len());
        heard |= self.conns.serve(world);
        let ground = Ground { setup: &self.setup, anchor: self.anchor.as_ref(), now: world.now() };
        heard | self.datagrams.serve(world, &ground)
    }

    /// What to poll.
    pub fn poll_fds<'a>(&'a self, world: &World, fds: &mut Vec<PollFd<'a>>) {
        if !self.link {
            return;
        }
        let takes = world.net_waits() < WAITS_MOST;
        if takes {
            self.ports.poll_fds(fds);
        }
        fds.extend(self.dials.values().filter_map(Dial::poll_fd));
        self.conns.poll_fds(takes, fds);
        self.datagrams.poll_fds(takes, fds);
    }

    /// The port of SMP on this network, while it is bound.
    pub fn smp(&self) -> Option<&UdpSocket> {
        self.datagrams.smp()
    }

    /// Whether the other side is about to say something: an attempt, a handshake or a question is under way, or bytes went out in the last 50 ms of real
    /// time to which nothing has come back. A side that has been silent for longer is not waited for; with the link down nobody is. All times grow with
    /// the crowd on the machine.
    pub fn owed(&self, crowd: u32) -> bool {
        let others = || self.ports.owed(crowd) || self.conns.owed(crowd) || self.datagrams.owed(crowd);
        self.link && (self.dials.values().any(|dial| dial.owed(crowd)) || others())
    }
}
