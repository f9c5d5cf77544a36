//! A queue of things that firmware did at a time, which survives that the firmware is run again.
//!
//! Firmware runs ahead of bench time. When the bench interferes, the step is run again and pushes the same things once more: what was already handed
//! out is recognised by its number and not queued twice.

use std::collections::VecDeque;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Timeline<T> {
    base: u64,
    items: VecDeque<T>,
    next: u64,
}

impl<T> Default for Timeline<T> {
    fn default() -> Self {
        Self { base: 0, items: VecDeque::new(), next: 0 }
    }
}

impl<T> Timeline<T> {
    /// Appends, unless this number was handed out before a re-run.
    pub(crate) fn push(&mut self, item: T) {
        if self.next >= self.base {
            self.items.push_back(item);
        }
        self.next += 1;
    }
    /// Where the queue ends now, for [`Self::rewind`].
    pub(crate) fn mark(&self) -> u64 {
        self.next
    }
    /// Forgets what was pushed since `mark` and is still here.
    pub(crate) fn rewind(&mut self, mark: u64) {
        let keep = mark.saturating_sub(self.base) as usize;
        self.items.truncate(keep);
        self.next = mark;
    }
    /// Number of the oldest item still here.
    pub(crate) fn first_number(&self) -> u64 {
        self.base
    }
    /// The oldest item.
    pub(crate) fn front(&self) -> Option<&T> {
        self.items.front()
    }
    /// Hands out the oldest item.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let item = self.items.pop_front()?;
        self.base += 1;
        Some(item)
    }
    /// All items still here, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.items.iter()
    }
    /// Drops the newest items for which `drop` says so, as if they had never been pushed.
    pub(crate) fn drop_newest_while(&mut self, drop: impl Fn(&T) -> bool) {
        while self.items.back().is_some_and(&drop) {
            self.items.pop_back();
        }
        self.next = self.base + self.items.len() as u64;
    }
    /// The newest item.
    pub(crate) fn back_mut(&mut self) -> Option<&mut T> {
        self.items.back_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_hands_out_nothing_twice() {
        let mut t = Timeline::default();
        t.push(1);
        let mark = t.mark();
        (2..=4).for_each(|n| t.push(n));
        assert_eq!((t.pop(), t.pop()), (Some(1), Some(2)));
        t.rewind(mark);
        (2..=3).for_each(|n| t.push(n));
        assert_eq!((t.pop(), t.pop()), (Some(3), None));
    }

    #[test]
    fn dropped_items_leave_room_for_others() {
        let mut t = Timeline::default();
        (1..=4).for_each(|n| t.push(n));
        t.pop();
        t.drop_newest_while(|n| *n > 2);
        t.push(9);
        assert_eq!((t.pop(), t.pop(), t.pop()), (Some(2), Some(9), None));
    }
}
