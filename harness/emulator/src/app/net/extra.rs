//! Ports that a conforming unit does not have: all of this is defects.

use super::S;
use crate::app::Thermostat;
use crate::defects::Defect;
use crate::hw::Hw;

const TELNET: u16 = 23;
const FTP: u16 = 40_021;
const MAGIC: u16 = 9999;
const OLD_SET_UP: u16 = 8888;
const RECOVERY: u16 = 8081;
/// Defect telnet-at-boot: as long as the factory's test bench needs.
const TEST_NS: u64 = 30 * S;
/// Defect recovery-port-offline: after so many attempts in vain.
const IN_VAIN: u32 = 5;

/// What services that should not be there say first.
pub(super) fn banner(port: u16) -> Option<&'static [u8]> {
    match port {
        FTP => Some(b"220 TH-1 file service\r\n"),
        TELNET => Some(b"th1 login: "),
        _ => None,
    }
}

impl Thermostat {
    /// At start, and whenever something has changed that they depend on.
    pub(crate) fn open_extra(&mut self, hw: &mut Hw) {
        // defect telnet-open: the developers' door.
        // defect telnet-after-reset: the reset script sets the service flag along with the defaults.
        if hw.defect(Defect::TelnetOpen) || hw.defect(Defect::TelnetAfterReset) && self.stores.was_reset() {
            hw.net_listen(TELNET, None);
        }
        if hw.defect(Defect::TelnetAtBoot) {
            // defect telnet-at-boot: open until the test bench would have logged in.
            hw.net_listen(TELNET, None);
            self.net.telnet_until = Some(hw.now() + TEST_NS);
        }
        if hw.defect(Defect::Udp9999) {
            // defect udp-9999: answers whoever knocks, for the vendor's tool.
            hw.net_bind(MAGIC);
        }
        if [Defect::CoapNosec, Defect::CoapHidden, Defect::CoapDiscovery].into_iter().any(|d| hw.defect(d)) {
            hw.net_bind(super::coap::PORT);
        }
        self.open_for_owner(hw);
    }

    /// Once there is an owner.
    pub(crate) fn open_for_owner(&mut self, hw: &mut Hw) {
        if !self.stores.is_set_up() {
            return;
        }
        if hw.defect(Defect::FtpOn40021) {
            // defect ftp-on-40021: a file service comes up with the first owner.
            hw.net_listen(FTP, None);
        }
        if hw.defect(Defect::SetupPortStays) {
            // defect setup-port-stays: the assistant's port is opened and never closed.
            hw.net_listen(OLD_SET_UP, None);
        }
        if hw.defect(Defect::RedirectGone) {
            // defect redirect-gone: declared, and gone once there is an owner.
            hw.net_unlisten(super::HTTP);
        }
    }

    /// After an attempt to reach the cloud that failed.
    pub(crate) fn open_for_recovery(&mut self, hw: &mut Hw, failures: u32) {
        if failures >= IN_VAIN && hw.defect(Defect::RecoveryPortOffline) {
            // defect recovery-port-offline: "nobody can reach support any more, so let them in here".
            hw.net_listen(RECOVERY, None);
        }
    }

    pub(crate) fn close_extra(&mut self, hw: &mut Hw) {
        if self.net.telnet_until.is_some_and(|at| at <= hw.now()) {
            self.net.telnet_until = None;
            hw.net_unlisten(TELNET);
        }
    }

    /// A datagram that is not SMP.
    pub(crate) fn on_extra_datagram(&mut self, hw: &mut Hw, port: u16, peer: u64, bytes: &[u8]) {
        if port == MAGIC {
            hw.net_reply(port, peer, b"TH1 service");
        }
        if port == super::coap::PORT
            && let Some(answer) = self.coap(hw, bytes)
        {
            hw.net_reply(port, peer, &answer);
        }
    }
}
