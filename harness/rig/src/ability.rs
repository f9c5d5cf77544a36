//! What a rig can do (follows from its channels) and what it may do (granted by name).

use proofbench_drivers::Channels;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A channel or ability that a check cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// A console.
    Console,
    /// A switched supply.
    Power,
    /// A reset line.
    Reset,
    /// A debug probe.
    DebugPort,
    /// A fixture for buttons and indicators.
    Fixture,
    /// A reader of the device's flash.
    Storage,
    /// A path for updates.
    UpdatePath,
    /// The network.
    Network,
    /// Several units of the model.
    Fleet,
    /// The space of crash states.
    CrashSpace,
}

impl Capability {
    /// Every capability, in report order.
    pub const ALL: [Capability; 10] = [
        Capability::Console,
        Capability::Power,
        Capability::Reset,
        Capability::DebugPort,
        Capability::Fixture,
        Capability::Storage,
        Capability::UpdatePath,
        Capability::Network,
        Capability::Fleet,
        Capability::CrashSpace,
    ];

    /// Its spelling in plans and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Capability::Console => "console",
            Capability::Power => "power",
            Capability::Reset => "reset",
            Capability::DebugPort => "debug-port",
            Capability::Fixture => "fixture",
            Capability::Storage => "storage",
            Capability::UpdatePath => "update-path",
            Capability::Network => "network",
            Capability::Fleet => "fleet",
            Capability::CrashSpace => "crash-space",
        }
    }

    /// Whether an open rig has it.
    pub fn of(self, channels: &Channels) -> bool {
        match self {
            Capability::Console => channels.console.is_some(),
            Capability::Power => channels.power.is_some(),
            Capability::Reset => channels.reset.is_some(),
            Capability::DebugPort => channels.debug.is_some(),
            Capability::Fixture => channels.fixture.is_some(),
            Capability::Storage => channels.storage.is_some(),
            Capability::UpdatePath => channels.update.is_some(),
            Capability::Network => channels.network.is_some(),
            Capability::Fleet => channels.fleet.is_some(),
            Capability::CrashSpace => channels.crash.is_some(),
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An irreversible or invasive act that a rig grants by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// Write the device's flash from outside (tamper tests, restoring the reference content).
    FlashWrite,
    /// Erase the device by the debug probe.
    MassErase,
    /// Delete the user's data (factory reset).
    FactoryReset,
    /// Raise a monotonic counter for good.
    CounterIncrement,
    /// Cut the supply while the device writes.
    PowerCut,
    /// Reset the device through a core that the debug probe has got hold of.
    DebugReset,
}

impl Permission {
    /// Every permission, in the order of the rig file.
    pub const ALL: [Permission; 6] = [
        Permission::FlashWrite,
        Permission::MassErase,
        Permission::FactoryReset,
        Permission::CounterIncrement,
        Permission::PowerCut,
        Permission::DebugReset,
    ];

    /// Its spelling in rig files, plans and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Permission::FlashWrite => "flash-write",
            Permission::MassErase => "mass-erase",
            Permission::FactoryReset => "factory-reset",
            Permission::CounterIncrement => "counter-increment",
            Permission::PowerCut => "power-cut",
            Permission::DebugReset => "debug-reset",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `[permissions]` of a rig file. What is not named is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Permissions {
    /// See [`Permission::FlashWrite`].
    #[serde(alias = "flash_write")]
    pub flash_write: bool,
    /// See [`Permission::MassErase`].
    #[serde(alias = "mass_erase")]
    pub mass_erase: bool,
    /// See [`Permission::FactoryReset`].
    #[serde(alias = "factory_reset")]
    pub factory_reset: bool,
    /// See [`Permission::CounterIncrement`].
    #[serde(alias = "counter_increment")]
    pub counter_increment: bool,
    /// See [`Permission::PowerCut`].
    #[serde(alias = "power_cut")]
    pub power_cut: bool,
    /// See [`Permission::DebugReset`].
    #[serde(alias = "debug_reset")]
    pub debug_reset: bool,
}

impl Permissions {
    /// Everything: for devices that can be thrown away, such as the built-in emulated one.
    pub fn all() -> Self {
        Self { flash_write: true, mass_erase: true, factory_reset: true, counter_increment: true, power_cut: true, debug_reset: true }
    }

    /// Whether the rig grants it.
    pub fn grants(&self, permission: Permission) -> bool {
        match permission {
            Permission::FlashWrite => self.flash_write,
            Permission::MassErase => self.mass_erase,
            Permission::FactoryReset => self.factory_reset,
            Permission::CounterIncrement => self.counter_increment,
            Permission::PowerCut => self.power_cut,
            Permission::DebugReset => self.debug_reset,
        }
    }
}
