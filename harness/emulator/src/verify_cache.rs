//! Results of image verification by content. Verification is a pure function of a slot's bytes (and of the device's defects, which never change),
//! so the thousands of boots of a power-cut campaign compute a signature once per image and not once per boot.

use crate::boot::{ImageInfo, Reject};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Bound on what is remembered; a campaign sees a few hundred slot contents.
const MOST: usize = 8192;

#[derive(Debug, Default)]
pub(crate) struct VerifyCache(RefCell<BTreeMap<u128, Result<ImageInfo, Reject>>>);

impl VerifyCache {
    pub(crate) fn get_or(&self, key: u128, compute: impl FnOnce() -> Result<ImageInfo, Reject>) -> Result<ImageInfo, Reject> {
        if let Some(known) = self.0.borrow().get(&key) {
            return known.clone();
        }
        let result = compute();
        let mut known = self.0.borrow_mut();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, result.clone());
        result
    }
}
