//! Rig file to resolved rig to open rig; lease, permissions, safe state.
//!
//! [`RigFile`] (as written) becomes [`ResolvedRig`] (names checked, capabilities known, nothing opened) becomes [`Rig`] (leased, open).
//! Capabilities follow from the channels and never stand beside them as a second truth.

mod ability;
pub mod builtin;
mod dossier;
pub mod draft;
mod error;
pub mod file;
pub mod lease;
mod open;
pub mod probe;
mod resolve;
pub mod safe;
pub mod settings;

pub use ability::{Capability, Permission, Permissions};
pub use dossier::{FILES as DOSSIER_FILES, delivered_image, load_dossier, read_dossier};
pub use error::{RigError, RigFileError};
pub use file::RigFile;
pub use open::{Broken, Rig, open_reference};
pub use proofbench_drivers::Channels;
pub use proofbench_drivers::line::{PortInfo, UsbPort};
pub use resolve::{Device, Drivers, ResolvedRig};
pub use safe::SafeState;

/// The serial ports of this machine with the identity of the USB devices behind them, ordered by node.
pub fn serial_ports() -> Vec<PortInfo> {
    proofbench_drivers::line::ports(&proofbench_drivers::line::Places::default())
}
