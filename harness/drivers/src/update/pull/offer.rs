//! One image that is up, and what of it was taken.

use sha2::{Digest, Sha256};

/// Most ranges that are told apart: more means that the device fetches crumbs, and the latest do not count.
const RANGES_MOST: usize = 10_000;

/// An image that is up.
#[derive(Debug)]
pub(super) struct Offer {
    pub image: bytes::Bytes,
    pub sha: String,
    pub version: String,
    /// What was taken: sorted, apart from each other.
    taken: Vec<(u64, u64)>,
}

impl Offer {
    pub fn new(image: &[u8]) -> Self {
        let sha = Sha256::digest(image).iter().map(|b| format!("{b:02x}")).collect();
        Self { image: bytes::Bytes::copy_from_slice(image), sha, version: version(image).unwrap_or_default(), taken: Vec::new() }
    }

    /// Notes that bytes `from..to` were taken.
    pub fn take(&mut self, from: u64, to: u64) {
        if from >= to || self.taken.len() >= RANGES_MOST {
            return;
        }
        self.taken.push((from, to));
        self.taken.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(self.taken.len());
        for &(from, to) in &self.taken {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        self.taken = merged;
    }

    /// Bytes taken from the first one on.
    pub fn prefix(&self) -> u64 {
        self.taken.first().filter(|r| r.0 == 0).map_or(0, |r| r.1)
    }

    /// Whether every byte was taken.
    pub fn is_whole(&self) -> bool {
        !self.image.is_empty() && self.prefix() >= self.image.len() as u64
    }

    /// The manifest, with the image at this URL.
    pub fn manifest(&self, template: Option<&str>, url: &str) -> String {
        let length = self.image.len().to_string();
        match template {
            None => serde_json::json!({"version": self.version, "length": self.image.len(), "sha256": self.sha, "url": url}).to_string(),
            Some(text) => text.replace("{version}", &self.version).replace("{length}", &length).replace("{sha256}", &self.sha).replace("{url}", url),
        }
    }
}

/// The version in the header of an MCUboot image: magic, then at byte 20 major, minor, revision, build.
fn version(image: &[u8]) -> Option<String> {
    let (magic, field) = (image.get(..4)?, image.get(20..28)?);
    if magic != 0x96f3_b83d_u32.to_le_bytes() {
        return None;
    }
    let (revision, build) = (u16::from_le_bytes([field[2], field[3]]), u32::from_le_bytes([field[4], field[5], field[6], field[7]]));
    let short = format!("{}.{}.{revision}", field[0], field[1]);
    Some(if build == 0 { short } else { format!("{short}+{build}") })
}

/// What a `Range` asks of so many bytes: `from..to`. Nothing if there is none, or one that may be passed over (another unit, several ranges).
/// An error if nothing of it is there.
pub(super) fn range(header: Option<&str>, length: u64) -> Result<Option<(u64, u64)>, ()> {
    let Some((first, last)) = header.and_then(|h| h.trim().strip_prefix("bytes=")).filter(|r| !r.contains(',')).and_then(|r| r.split_once('-'))
    else {
        return Ok(None);
    };
    let number = |text: &str| -> Option<u64> { if text.is_empty() { None } else { text.parse().ok() } };
    let (from, to) = match (first.is_empty(), number(first), number(last)) {
        // The last n bytes.
        (true, _, Some(n)) => (length.saturating_sub(n), if n == 0 { 0 } else { length }),
        (false, Some(from), None) if last.is_empty() => (from, length),
        (false, Some(from), Some(last)) if from <= last => (from, last.saturating_add(1).min(length)),
        _ => return Ok(None),
    };
    if from < to { Ok(Some((from, to))) } else { Err(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case(None, Ok(None))]
    #[case(Some("bytes=0-9"), Ok(Some((0, 10))))]
    #[case(Some("bytes=90-"), Ok(Some((90, 100))))]
    #[case(Some("bytes=90-1000"), Ok(Some((90, 100))))]
    #[case(Some("bytes=-10"), Ok(Some((90, 100))))]
    #[case(Some("bytes=-1000"), Ok(Some((0, 100))))]
    #[case(Some("bytes=99-18446744073709551615"), Ok(Some((99, 100))))]
    #[case(Some("bytes=100-"), Err(()))]
    #[case(Some("bytes=-0"), Err(()))]
    #[case(Some("bytes=9-0"), Ok(None))]
    #[case(Some("bytes=0-1,5-6"), Ok(None))]
    #[case(Some("bytes=-"), Ok(None))]
    #[case(Some("bytes=x-y"), Ok(None))]
    #[case(Some("lines=1-2"), Ok(None))]
    fn a_range_is_what_the_standard_says(#[case] header: Option<&str>, #[case] expected: Result<Option<(u64, u64)>, ()>) {
        assert_eq!(range(header, 100), expected);
    }

    #[test]
    fn the_version_is_that_of_the_header() {
        let mut image = vec![0; 64];
        image[..4].copy_from_slice(&0x96f3_b83d_u32.to_le_bytes());
        image[20..28].copy_from_slice(&[1, 2, 3, 0, 0, 0, 0, 0]);
        assert_eq!(version(&image).as_deref(), Some("1.2.3"));
        image[24] = 7;
        assert_eq!(version(&image).as_deref(), Some("1.2.3+7"));
        image[0] ^= 1;
        assert_eq!(version(&image), None);
        assert_eq!(version(b"short"), None);
    }

    #[test]
    fn the_manifest_is_json_or_the_users_own() {
        let offer = Offer::new(b"abc");
        let manifest: serde_json::Value = serde_json::from_str(&offer.manifest(None, "http://h/i")).unwrap();
        assert_eq!((manifest["length"].as_u64(), manifest["url"].as_str()), (Some(3), Some("http://h/i")));
        assert_eq!(manifest["sha256"].as_str().map(str::len), Some(64));
        assert_eq!(offer.manifest(Some("{{length}} {url} {other}"), "u"), "{3} u {other}");
    }

    proptest! {
        #[test]
        fn ranges_add_up(parts in proptest::collection::vec((0u64..60, 0u64..20), 0..40)) {
            let mut offer = Offer::new(&[0; 64]);
            let mut seen = [false; 80];
            for (from, len) in parts {
                offer.take(from, from + len);
                seen[from as usize..(from + len) as usize].fill(true);
            }
            let prefix = seen.iter().take_while(|s| **s).count() as u64;
            prop_assert_eq!(offer.prefix(), prefix);
            prop_assert_eq!(offer.is_whole(), prefix >= 64);
        }
    }
}
