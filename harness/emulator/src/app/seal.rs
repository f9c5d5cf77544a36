//! Secrets at rest: HMAC-SHA-256 in counter mode, then a MAC over what it made. Both keys come from the unit's root key, which is not in flash,
//! and a random salt, which is; without the salt nothing sealed can be read again.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

type HmacSha256 = Hmac<Sha256>;
const NONCE: usize = 12;
const TAG: usize = 12;
/// Bytes that sealing adds.
pub const OVERHEAD: usize = NONCE + TAG;

/// HMAC-SHA-256 over several parts.
pub fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // A key of any length is valid for HMAC; the error type is that of a trait.
    let Ok(mut mac) = HmacSha256::new_from_slice(key) else { return [0; 32] };
    parts.iter().for_each(|p| mac.update(p));
    mac.finalize().into_bytes().into()
}

/// Equal without telling where two texts differ first.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |d, (x, y)| d | (x ^ y)) == 0
}

/// The two keys.
#[derive(Clone)]
pub struct Sealer {
    stream: [u8; 32],
    tag: [u8; 32],
}

impl Sealer {
    /// Keys of a unit under a salt.
    pub fn new(root: &[u8], salt: &[u8]) -> Self {
        Self { stream: hmac(root, &[b"stream", salt]), tag: hmac(root, &[b"tag", salt]) }
    }

    fn apply(&self, nonce: &[u8], text: &mut [u8]) {
        for (i, block) in text.chunks_mut(32).enumerate() {
            let pad = hmac(&self.stream, &[nonce, &(i as u32).to_le_bytes()]);
            block.iter_mut().zip(pad).for_each(|(b, p)| *b ^= p);
        }
    }

    /// Seals `plain` for the entry `key`. A nonce must not come twice.
    pub fn seal(&self, key: u16, nonce: [u8; NONCE], plain: &[u8]) -> Vec<u8> {
        let mut out = nonce.to_vec();
        out.extend(plain);
        self.apply(&nonce, &mut out[NONCE..]);
        let tag = hmac(&self.tag, &[&key.to_le_bytes(), &out]);
        out.extend(&tag[..TAG]);
        out
    }

    /// The plain text, if `sealed` was sealed for `key` under these keys.
    pub fn open(&self, key: u16, sealed: &[u8]) -> Option<Vec<u8>> {
        let (body, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
        let (nonce, text) = body.split_at_checked(NONCE)?;
        if !same(&hmac(&self.tag, &[&key.to_le_bytes(), body])[..TAG], tag) {
            return None;
        }
        let mut plain = text.to_vec();
        self.apply(nonce, &mut plain);
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_under_the_same_root_salt_and_key_only() {
        let sealer = Sealer::new(b"root", b"salt");
        let sealed = sealer.seal(3, [7; NONCE], b"a secret longer than one block of the key stream");
        assert_eq!(sealed.len(), 48 + OVERHEAD);
        assert_eq!(sealer.open(3, &sealed).as_deref(), Some(&b"a secret longer than one block of the key stream"[..]));
        assert_eq!(sealer.open(4, &sealed), None);
        assert_eq!(Sealer::new(b"root", b"other").open(3, &sealed), None);
        assert_eq!(Sealer::new(b"other", b"salt").open(3, &sealed), None);
    }

    #[test]
    fn a_changed_bit_or_a_short_text_does_not_open() {
        let sealer = Sealer::new(b"root", b"salt");
        let sealed = sealer.seal(3, [7; NONCE], b"secret");
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(sealer.open(3, &bad), None, "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert_eq!(sealer.open(3, &sealed[..len]), None, "length {len}");
        }
    }
}
