//! What stands between a probe and the device. The lock itself is hardware: at each reset it latches the life-cycle word.

use std::time::Duration;

/// How a probe finds the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Everything works.
    Open,
    /// Nothing is driven: pins remapped, or fused off.
    Silent,
    /// Memory AP visible, CSW.DeviceEn = 0, every bus access faults (nRF52 style).
    ApDisabled,
    /// Core and RAM work, flash faults (read-out protection level 1).
    FlashFault,
    /// As `FlashFault`, but flash reads as zero.
    FlashZero,
    /// Memory APs are not there; the vendor AP is.
    ApHidden,
    /// Each AP access answers WAIT.
    ApWait,
    /// Power-up is never acknowledged.
    NoPowerAck,
}

/// How the probe came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Over JTAG.
    pub jtag: bool,
    /// Out of the dormant state.
    pub from_dormant: bool,
}

/// The lock of one device, as data: how it locks, and where it leaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRules {
    /// What a locked port looks like.
    pub locked_as: Level,
    /// Hardware leaves the port open and the firmware locks it, this long after reset.
    pub window: Option<Duration>,
    /// What the port lets through during [`LockRules::window`].
    pub window_as: Level,
    /// What a locked port lets through once SWCLK was low when nRST was released; `None` where the part does not look at the clock then.
    /// Such a part keeps its core in reset until nRST is pulled again.
    pub cold_plug: Option<Level>,
    /// The lock is not applied after a reset that the debugger asked for through the core.
    pub open_after_debugger_reset: bool,
    /// The lock holds only once reset is released.
    pub open_under_reset: bool,
    /// A second memory AP, at 3, that the lock forgets.
    pub second_ap_open: bool,
    /// The lock knows SWD only.
    pub jtag_open: bool,
    /// The lock is attached to the line reset, and the dormant state's way in has none.
    pub dormant_open: bool,
    /// No lock at all.
    pub never_locked: bool,
}

impl LockRules {
    /// The conforming device.
    pub fn conforming() -> Self {
        Self {
            locked_as: Level::ApDisabled,
            window: None,
            window_as: Level::Open,
            cold_plug: None,
            open_after_debugger_reset: false,
            open_under_reset: false,
            second_ap_open: false,
            jtag_open: false,
            dormant_open: false,
            never_locked: false,
        }
    }

    /// The rules of a device with these defects and twins; `has` says which it has.
    pub fn of(has: impl Fn(&str) -> bool) -> Self {
        let locked_as = if has("debug-partial") {
            Level::FlashFault
        } else if has("debug-flash-zero") {
            Level::FlashZero
        } else if has("debug-silent") || has("debug-cold-plug") || has("debug-cold-plug-answers") {
            Level::Silent
        } else if has("debug-ap-hidden") {
            Level::ApHidden
        } else if has("debug-power-up-refused") {
            Level::NoPowerAck
        } else {
            Level::ApDisabled
        };
        let cold_plug = if has("debug-cold-plug") { Some(Level::Open) } else { has("debug-cold-plug-answers").then_some(Level::ApDisabled) };
        let core_only = has("debug-reset-by-debugger");
        Self {
            locked_as,
            window: (has("debug-late-lock") || core_only).then_some(Duration::from_millis(30)),
            window_as: if core_only { Level::FlashFault } else { Level::Open },
            cold_plug,
            open_after_debugger_reset: core_only,
            open_under_reset: has("debug-open-under-reset"),
            second_ap_open: has("debug-second-ap"),
            jtag_open: has("debug-jtag-open"),
            dormant_open: has("debug-dormant-open"),
            never_locked: has("debug-open"),
        }
    }
}

/// What the lock looks at besides its rules.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    /// The life-cycle word said "secured" at the last reset.
    pub secured: bool,
    /// nRST is held.
    pub in_reset: bool,
    /// How long firmware has run since that reset; a halted core runs none.
    pub firmware: Duration,
    /// SWCLK was low when nRST was released last.
    pub cold_plugged: bool,
    /// That reset was asked for by a debugger, through the core.
    pub by_debugger: bool,
}

impl LockRules {
    pub(super) fn level(&self, sight: Sight, entry: Entry) -> Level {
        let open = !sight.secured
            || self.never_locked
            || (self.jtag_open && entry.jtag)
            || (self.dormant_open && entry.from_dormant)
            || (self.open_under_reset && sight.in_reset)
            || (self.open_after_debugger_reset && sight.by_debugger);
        if open {
            return Level::Open;
        }
        if self.window.is_some_and(|w| sight.firmware < w) {
            return self.window_as;
        }
        self.cold_plug.filter(|_| sight.cold_plugged).unwrap_or(self.locked_as)
    }
}
