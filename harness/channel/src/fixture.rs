//! Buttons and indicators of the device, worked by a fixture.

use crate::{ChannelError, Wait};

/// What a light sensor sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Led {
    /// Dark.
    Dark,
    /// Lit, in the fixture's words: "green", "red blink".
    Lit(String),
}

/// A finger and an eye.
pub trait Fixture {
    /// Presses or releases the named button and leaves it so. `Unsupported` names the buttons that exist.
    fn button(&mut self, name: &str, pressed: bool, wait: &Wait) -> Result<(), ChannelError>;
    /// Looks at the indicator. `Unsupported` where there is none.
    fn led(&mut self, wait: &Wait) -> Result<Led, ChannelError>;
    /// What it is, for the journal.
    fn describe(&self) -> String;
}
