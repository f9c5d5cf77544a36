//! What is built in beside real hardware: the named defects and twins of the emulated device, the named faults of its bench.

pub use proofbench_drivers::emulated::{DefectEntry, DefectKind as Kind};
pub use proofbench_drivers::faulty::BenchFault;

/// Defects, controls and twins, in report order.
pub fn defects() -> &'static [DefectEntry] {
    proofbench_drivers::emulated::DEFECTS
}

/// Bench faults.
pub fn faults() -> &'static [BenchFault] {
    proofbench_drivers::faulty::ALL
}
