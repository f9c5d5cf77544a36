//! The emulated device as the bench's hands find it: who holds its reset line, and how bench time becomes device time.

use proofbench_emulator::{Uart, World};
use std::time::Duration;

/// How far behind a line may be.
const LINE_MOST_NS: u64 = 1_000_000_000;

/// The device, and who holds what of it. A line that several can hold is held as long as one of them does.
pub struct Device {
    /// The device.
    pub world: World,
    speed: f64,
    nrst_fixture: bool,
    nrst_rts: bool,
    has_network: bool,
}

impl Device {
    /// Wraps a device that runs `speed` of its seconds a bench second.
    pub fn new(world: World, speed: f64) -> Self {
        Self { world, speed, nrst_fixture: false, nrst_rts: false, has_network: false }
    }

    /// The board has a network, with its cable in or out.
    pub fn wire_network(&mut self, up: bool) {
        self.has_network = true;
        self.world.set_link(up);
    }

    /// Plugs the network's cable in or pulls it. False: the board has no network.
    pub fn set_link(&mut self, up: bool) -> bool {
        if self.has_network {
            self.world.set_link(up);
        }
        self.has_network
    }

    /// What a span of bench time is to the device.
    pub fn scaled(&self, bench: Duration) -> Duration {
        Duration::try_from_secs_f64(bench.as_secs_f64() * self.speed).unwrap_or(Duration::MAX)
    }

    /// The fixture drives nRST.
    pub fn set_nrst_fixture(&mut self, low: bool) {
        self.nrst_fixture = low;
        self.drive_nrst();
    }

    /// The console adapter's RTS drives nRST.
    pub fn set_nrst_rts(&mut self, low: bool) {
        self.nrst_rts = low;
        self.drive_nrst();
    }

    fn drive_nrst(&mut self) {
        self.world.set_nrst(self.nrst_fixture || self.nrst_rts);
    }

    /// Whether the line to a UART takes more. One that is a second behind does not: who types is kept waiting, as by an adapter whose buffer is full.
    pub fn takes_more(&self, uart: Uart) -> bool {
        self.world.line_busy(uart) < LINE_MOST_NS
    }

    /// BREAKs that firmware has taken from the console.
    pub fn breaks(&self) -> u32 {
        self.world.breaks(Uart::Console)
    }
}
