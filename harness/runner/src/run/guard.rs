//! A check that panics is a fault of ours, not of the device: it is caught, told, and the run goes on.

use crate::bench::Bench;
use crate::check::Check;
use crate::trouble::Trouble;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// `Some` while a check's body runs on this thread; holds the last panic's text.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs the body. A panic becomes [`Trouble::Harness`] with its text and place.
pub(super) fn body(check: &Check, bench: &mut Bench) -> Result<(), Trouble> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // Panics elsewhere are told as they would be without us.
            let ours = CAUGHT.try_with(|c| c.try_borrow_mut().ok().and_then(|mut c| c.as_mut().map(|text| *text = info.to_string()))).ok().flatten();
            if ours.is_none() {
                before(info);
            }
        }));
    });
    CAUGHT.with_borrow_mut(|c| *c = Some(String::new()));
    let result = panic::catch_unwind(AssertUnwindSafe(|| (check.run)(bench)));
    let text = CAUGHT.with_borrow_mut(Option::take).unwrap_or_default();
    result.unwrap_or_else(|_| Err(Trouble::Harness(format!("{} panicked: {}", check.id, text.replace('\n', " ")))))
}
