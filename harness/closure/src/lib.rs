//! Exhaustive power cuts for storage code behind the `embedded-storage` traits: boot loaders, key-value stores, queues.
//!
//! The code under test runs unchanged on a flash that keeps the rules of a part ([`flash`], [`medium`]). A boot is a function of what the flash
//! holds, so each *distinct* content is booted once, every flash operation of that boot is a possible cut, and the contents this yields are
//! booted in turn until none is new ([`explore`]): COMPLETE for any number of clean cuts in any order. An interrupted operation leaves one of many
//! contents and these survive independently of each other, so torn operations on one path are bounded by number, and the report says by how many.
//! What was found prints one line ([`trace`]) from which [`replay`] reaches the same end again.
//!
//! What this cannot show: timing, several cores or contexts on one flash, decay over years. A finding holds for the medium that it names; whether a
//! given part behaves so is for its data sheet or a board to say.

pub mod explore;
pub mod explored;
pub mod flash;
pub mod image;
pub mod medium;
pub mod port;
pub mod replay;
pub mod subject;
pub mod subjects;
pub mod trace;
