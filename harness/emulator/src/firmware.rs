//! What the loader hands to an application, and what an application is to the world.

use crate::boot::{SlotState, Version};
use crate::hw::net::NetIn;
use crate::hw::{Cause, Datagram, Hw, Stop, Uart};

/// What the loader tells the application that it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootInfo {
    /// Version of the running image, from its header.
    pub version: Version,
    /// Whether it runs on trial.
    pub slot: SlotState,
    /// Anti-rollback counter of the device.
    pub counter: u32,
    /// Why the device started.
    pub cause: Cause,
    /// Number of this start.
    pub boot_id: u32,
    /// Whether RAM kept its content.
    pub ram_kept: bool,
    /// Whether the life-cycle word said "secured" at reset.
    pub secured: bool,
}

/// An application in its event loop. Each call runs until the application would wait again. Its values are its RAM: they are dropped at a [`Stop`].
pub trait App {
    /// Bytes came in.
    fn on_input(&mut self, hw: &mut Hw, uart: Uart, bytes: &[u8]) -> Result<(), Stop>;
    /// A BREAK came in.
    fn on_break(&mut self, _hw: &mut Hw, _uart: Uart) -> Result<(), Stop> {
        Ok(())
    }
    /// A datagram came in.
    fn on_datagram(&mut self, _hw: &mut Hw, _datagram: &Datagram) -> Result<(), Stop> {
        Ok(())
    }
    /// Something came over the network module's link.
    fn on_net(&mut self, _hw: &mut Hw, _what: NetIn) -> Result<(), Stop> {
        Ok(())
    }
    /// The button went down (`true`) or up.
    fn on_button(&mut self, _hw: &mut Hw, _pressed: bool) -> Result<(), Stop> {
        Ok(())
    }
    /// When it wants [`App::on_timer`] next, in virtual time.
    fn next_timer(&self) -> Option<u64> {
        None
    }
    /// The time has come.
    fn on_timer(&mut self, _hw: &mut Hw) -> Result<(), Stop> {
        Ok(())
    }
    /// A copy, to go back to when the bench interferes with a step that ran ahead of bench time.
    fn boxed_clone(&self) -> Box<dyn App>;
}

/// Starts an application: prints its first lines up to `APP ready` and the first prompt, and returns it. The loader has started the watchdog.
pub type StartApp = fn(&mut Hw, &BootInfo) -> Result<Box<dyn App>, Stop>;
