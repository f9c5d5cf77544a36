//! The SMP server, on the update port and in datagrams (one message each, without the line's framing): groups os (0), image (1), and the product's own (64).

pub mod frame;
pub mod wire;

use super::Thermostat;
use super::stores::Route;
use super::update;
use crate::defects::Defect;
use crate::hw::{Cause, Datagram, Hw, MS, Stop, Uart};
use wire::{Body, EACCESS, EINVAL, ENOTSUP, Header, Refused, encode, refusal};

/// Messages that a client may have under way.
const BUFFERS: u32 = 2;
/// The answer to a reset request goes out before the reset.
const RESET_DELAY_NS: u64 = 50 * MS;

const OS: u16 = 0;
const IMAGE: u16 = 1;
const PRODUCT: u16 = 64;
const READ: u8 = 0;
const WRITE: u8 = 2;

type Reply = Result<Vec<u8>, Refused>;

/// What malformed datagrams do to units with defects.
fn hazard(hw: &Hw, message: &[u8]) -> Result<(), Stop> {
    let claimed = message.get(2..4).map_or(0, |b| usize::from(b[0]) << 8 | usize::from(b[1]));
    // defect smp-length-trusted: as many bytes are read as the header says.
    let beyond = claimed > 2 * message.len() + 64 && hw.defect(Defect::SmpLengthTrusted);
    // defect smp-cbor-depth: one stack frame a level.
    let deep = message.iter().skip(8).filter(|b| matches!(b, 0x9F | 0xA1 | 0xC6)).count() > 100 && hw.defect(Defect::SmpCborDepth);
    if beyond || deep { Err(Stop::Crash) } else { Ok(()) }
}

impl Thermostat {
    /// Bytes from the update port.
    pub(super) fn on_update(&mut self, hw: &mut Hw, bytes: &[u8]) -> Result<(), Stop> {
        for byte in bytes {
            if let Some(message) = self.receiver.push(*byte) {
                self.on_message(hw, &message, None)?;
            }
        }
        Ok(())
    }

    /// A datagram is one message; one that is too long for the server's buffer is no message.
    pub(super) fn on_smp_datagram(&mut self, hw: &mut Hw, datagram: &Datagram) -> Result<(), Stop> {
        if datagram.bytes.len() > frame::MESSAGE_MAX {
            return Ok(());
        }
        self.on_message(hw, &datagram.bytes, Some(datagram.peer))
    }

    /// Answers go where the message came from: to a peer on the network, or to the update port.
    fn on_message(&mut self, hw: &mut Hw, message: &[u8], peer: Option<u64>) -> Result<(), Stop> {
        if peer.is_some() {
            hazard(hw, message)?;
        }
        let Some((header, body)) = Header::parse(message) else { return Ok(()) };
        let reply = match Body::parse(body) {
            Ok(body) => self.on_request(hw, header, &body)?,
            Err(_) => Err(Refused::Common(EINVAL)),
        };
        let answer = header.answer(&reply.unwrap_or_else(|why| refusal(header, why)));
        match peer {
            Some(peer) => hw.send_datagram(Datagram { peer, bytes: answer }),
            None => hw.print(Uart::Update, &frame::encode(&answer))?,
        }
        if let Some(cause) = self.restart.take() {
            hw.drain(Uart::Update)?;
            hw.delay(RESET_DELAY_NS)?;
            return Err(hw.request_reset(cause));
        }
        Ok(())
    }

    fn on_request(&mut self, hw: &mut Hw, header: Header, body: &Body<'_>) -> Result<Reply, Stop> {
        Ok(match (header.group, header.id, header.op) {
            (OS, 0, _) => match body.d {
                Some(text) => Ok(encode(|e| e.map(1)?.str("r")?.str(text)?.ok())),
                None => Err(Refused::Common(EINVAL)),
            },
            (OS, 5, WRITE) => {
                self.restart = Some(Cause::Software);
                Ok(empty())
            }
            (OS, 6, READ) => Ok(encode(|e| e.map(2)?.str("buf_size")?.u32(frame::MESSAGE_MAX as u32)?.str("buf_count")?.u32(BUFFERS)?.ok())),
            (OS, 8, READ) => match body.query {
                None => Ok(encode(|e| e.map(1)?.str("bootloader")?.str("MCUboot")?.ok())),
                // 1: swap with a scratch area.
                Some("mode") => Ok(encode(|e| e.map(1)?.str("mode")?.u8(1)?.ok())),
                Some(_) => Err(Refused::Group(3)),
            },
            (IMAGE, 0, READ) => Ok(image_list(hw)),
            (IMAGE, 0, WRITE) => {
                let done = update::mark(hw, &mut self.info, body.hash, body.confirm.unwrap_or(false))?;
                self.show(hw);
                done.map(|()| image_list(hw)).map_err(Refused::Group)
            }
            (IMAGE, 1, WRITE) => update::chunk(hw, &mut self.upload, &self.info, body)?.map_err(Refused::Group).map(|taken| {
                encode(|e| {
                    e.map(1 + u64::from(taken.matches.is_some()))?.str("off")?.u32(taken.next)?;
                    if let Some(matches) = taken.matches {
                        e.str("match")?.bool(matches)?;
                    }
                    Ok(())
                })
            }),
            (IMAGE, 5, WRITE) => update::erase(hw, &mut self.upload, body.slot.unwrap_or(1))?.map(|()| empty()).map_err(Refused::Group),
            (IMAGE, 6, READ) => Ok(slot_info()),
            (PRODUCT, 0, READ) => Ok(self.product_state()),
            (PRODUCT, 1, WRITE) => self.reset_by_token(hw, body.token)?,
            _ => Err(Refused::Common(ENOTSUP)),
        })
    }

    fn product_state(&self) -> Vec<u8> {
        let i = &self.info;
        encode(|e| {
            e.map(5)?.str("version")?.str(&i.version.to_string())?.str("counter")?.u32(i.counter)?;
            e.str("lock")?.str(if i.secured { "locked" } else { "open" })?.str("state")?.str(&i.slot.to_string())?;
            e.str("id")?.str(&format!("{:08x}", i.boot_id))?.ok()
        })
    }

    fn reset_by_token(&mut self, hw: &mut Hw, token: Option<&str>) -> Result<Reply, Stop> {
        // defect reset-smp-no-token: that there is a token is enough.
        let good = token.is_some_and(|t| self.stores.token_is_good(hw, t)) || (token.is_some() && hw.defect(Defect::ResetSmpNoToken));
        if !good {
            return Ok(Err(Refused::Common(EACCESS)));
        }
        self.factory_reset(hw, Route::Smp)?;
        super::reset::say_done(hw)?;
        self.restart = Some(Cause::Software);
        Ok(Ok(encode(|e| e.map(1)?.str("rc")?.u8(0)?.ok())))
    }
}

fn empty() -> Vec<u8> {
    encode(|e| e.map(0)?.ok())
}

fn image_list(hw: &Hw) -> Vec<u8> {
    let slots = update::list(hw);
    encode(|e| {
        e.map(2)?.str("images")?.array(slots.len() as u64)?;
        for s in &slots {
            e.map(9)?.str("image")?.u8(0)?.str("slot")?.u8(s.slot)?;
            e.str("version")?.str(&s.version)?.str("hash")?.bytes(&s.hash)?;
            e.str("bootable")?.bool(s.bootable)?.str("pending")?.bool(s.pending)?.str("confirmed")?.bool(s.confirmed)?;
            e.str("active")?.bool(s.active)?.str("permanent")?.bool(s.permanent)?;
        }
        e.str("splitStatus")?.u8(0)?.ok()
    })
}

fn slot_info() -> Vec<u8> {
    let sizes = [crate::layout::SLOT0.len, crate::layout::SLOT1.len];
    encode(|e| {
        e.map(1)?.str("images")?.array(1)?.map(3)?.str("image")?.u8(0)?.str("slots")?.array(2)?;
        e.map(2)?.str("slot")?.u8(0)?.str("size")?.u32(sizes[0])?;
        e.map(3)?.str("slot")?.u8(1)?.str("size")?.u32(sizes[1])?.str("upload_image_id")?.u8(0)?;
        e.str("max_image_size")?.u32(sizes[1])?.ok()
    })
}
