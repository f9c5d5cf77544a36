//! The rail: how fast it rises and falls, and which levels matter.

/// Nominal rail.
pub(crate) const NOMINAL_MV: u32 = 3300;
/// Below this the device is held in reset.
pub(crate) const BROWN_OUT_MV: u32 = 2700;
/// Below this RAM forgets.
pub(crate) const RETENTION_MV: u32 = 600;
/// Slopes, in nanoseconds a millivolt: up to 3.3 V in 1 ms, down (with the bleeder, unless the bench says otherwise) in 10 ms.
const RISE_NS: u64 = 303;
const FALL_NS: u64 = 3030;
const DISCHARGE_MOST_NS: u64 = 3_600_000_000_000;

#[derive(Debug, Clone)]
pub(crate) struct Supply {
    from: u32,
    target: u32,
    since: u64,
    /// Slope of a falling rail, in nanoseconds a millivolt.
    fall_ns: u64,
    /// End of a dip.
    pub(crate) restore: Option<(u64, u32)>,
}

impl Supply {
    pub(crate) fn off() -> Self {
        Self { from: 0, target: 0, since: 0, fall_ns: FALL_NS, restore: None }
    }
    /// Rail at `now`.
    pub(crate) fn rail(&self, now: u64) -> u32 {
        let passed = now.saturating_sub(self.since);
        if self.target >= self.from {
            self.target.min(self.from.saturating_add(u32::try_from(passed / RISE_NS).unwrap_or(u32::MAX)))
        } else {
            self.target.max(self.from.saturating_sub(u32::try_from(passed / self.fall_ns).unwrap_or(u32::MAX)))
        }
    }
    pub(crate) fn go(&mut self, now: u64, target: u32) {
        self.from = self.rail(now);
        self.target = target;
        self.since = now;
        self.restore = None;
    }
    /// Sets how long a rail that is let go takes from nominal to the brown-out level, from now on. Longest: an hour.
    pub(crate) fn set_discharge(&mut self, now: u64, to_brown_out_ns: u64) {
        self.from = self.rail(now);
        self.since = now;
        self.fall_ns = (to_brown_out_ns.min(DISCHARGE_MOST_NS) / u64::from(NOMINAL_MV - BROWN_OUT_MV)).max(1);
    }
    /// Falls at once (a short across the rail).
    pub(crate) fn collapse(&mut self, now: u64) {
        *self = Self { from: 0, target: 0, since: now, restore: None, ..*self };
    }
    /// When the rail rises to `level`.
    pub(crate) fn rises_to(&self, level: u32) -> Option<u64> {
        (self.target >= level).then(|| self.since + u64::from(level.saturating_sub(self.from)) * RISE_NS)
    }
    /// When the rail has fallen below `level`.
    pub(crate) fn falls_below(&self, level: u32) -> Option<u64> {
        (self.target < level).then(|| self.since + (u64::from(self.from.saturating_sub(level)) + 1) * self.fall_ns)
    }
    /// What is left in the capacitors is gone, if nothing feeds the rail.
    pub(crate) fn collapse_if_off(&mut self, now: u64) {
        if self.target == 0 {
            self.collapse(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rail_falls_slowly_and_rises_fast() {
        let mut s = Supply::off();
        s.go(1_000, NOMINAL_MV);
        assert_eq!(s.rises_to(BROWN_OUT_MV), Some(1_000 + 2700 * RISE_NS));
        let on = 2_000_000;
        assert_eq!(s.rail(on), NOMINAL_MV);
        s.go(on, 0);
        let low = s.falls_below(BROWN_OUT_MV).unwrap();
        assert!(s.rail(low) < BROWN_OUT_MV && s.rail(low - FALL_NS) >= BROWN_OUT_MV);
        assert!(s.falls_below(RETENTION_MV).unwrap() > low);
    }
}
