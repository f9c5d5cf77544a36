//! From an input that does it to the shortest that still does.

/// Removes pieces as long as `still` says that the rest does it, halving the pieces; at most so many tries. The result does it.
pub fn shrink<E>(found: &[u8], mut tries: u32, mut still: impl FnMut(&[u8]) -> Result<bool, E>) -> Result<Vec<u8>, E> {
    let mut best = found.to_vec();
    let mut piece = best.len() / 2;
    while piece > 0 && tries > 0 {
        let mut at = 0;
        let mut removed = false;
        while at < best.len() && tries > 0 {
            let end = (at + piece).min(best.len());
            let shorter: Vec<u8> = best[..at].iter().chain(&best[end..]).copied().collect();
            if shorter.is_empty() {
                break;
            }
            tries -= 1;
            if still(&shorter)? {
                best = shorter;
                removed = true;
            } else {
                at = end;
            }
        }
        if !removed || piece > best.len() {
            piece /= 2;
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn what_is_left_is_what_it_takes() {
        let found = b"aaaaaaaaaaaaaaaaaaaaaaaXbbbbbbbbbbbbbbYccccccccc";
        let short = shrink(found, 1000, |b| Ok::<_, Infallible>(b.contains(&b'X') && b.contains(&b'Y')));
        assert_eq!(short, Ok(b"XY".to_vec()));
    }

    #[test]
    fn without_tries_it_stays_as_it_was() {
        assert_eq!(shrink(b"abc", 0, |_| Ok::<_, Infallible>(true)), Ok(b"abc".to_vec()));
    }
}
