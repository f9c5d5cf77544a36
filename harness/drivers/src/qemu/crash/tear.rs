//! What an interrupted operation leaves: any subset of the bits that differ before and after, as named patterns.

use super::image::Image;
use super::log::Op;
use proofbench_channel::Tear;

/// The patterns that are tried of an operation.
pub(super) fn of(op: &Op) -> Vec<Tear> {
    match op {
        Op::Erase { .. } => vec![Tear::EraseFirstHalf, Tear::EraseLastHalf, Tear::EraseZero, Tear::Bits(1)],
        Op::Write { bytes, .. } => {
            let len = bytes.len() as u32;
            let mut tears: Vec<Tear> = [len / 2, len.saturating_sub(1)].into_iter().filter(|n| *n > 0).map(Tear::Prefix).collect();
            tears.dedup();
            tears.extend([Tear::HalfBits, Tear::Bits(1)]);
            tears
        }
    }
}

/// Leaves in `image` what `op` leaves when it is interrupted so.
pub(super) fn apply(image: &mut Image, op: &Op, tear: Tear) {
    let (offset, len) = match op {
        Op::Write { offset, bytes } => (*offset, bytes.len()),
        Op::Erase { offset, len } => (*offset, *len as usize),
    };
    let goal = |i: usize, old: u8| match op {
        Op::Write { bytes, .. } => old & bytes[i],
        Op::Erase { .. } => 0xff,
    };
    image.change(u64::from(offset), len, |i, old| {
        let new = goal(i, old);
        // The bits that have got to their goal.
        let mask = match tear {
            Tear::Before | Tear::DropUnflushed(_) => 0,
            Tear::Prefix(n) => {
                if i < n as usize {
                    0xff
                } else {
                    0
                }
            }
            Tear::HalfBits => 0x55,
            Tear::Bits(seed) => chance(seed, i),
            Tear::EraseFirstHalf => {
                if i < len / 2 {
                    0xff
                } else {
                    0
                }
            }
            Tear::EraseLastHalf => {
                if i < len / 2 {
                    0
                } else {
                    0xff
                }
            }
            // Before it erases, such a flash programs everything.
            Tear::EraseZero => return 0,
        };
        (old & !mask) | (new & mask)
    });
}

/// Eight bits by seed and place: SplitMix64's mixing.
fn chance(seed: u32, place: usize) -> u8 {
    let mut z = (u64::from(seed) << 32 | place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(image: &Image) -> Vec<u8> {
        image.to_vec()[4090..4106].to_vec()
    }

    #[test]
    fn a_tear_leaves_each_bit_old_or_new() {
        let start: Vec<u8> = (0..8192).map(|i| (i * 7) as u8 | 0x81).collect();
        let before = Image::new(&start);
        let ops = [Op::Write { offset: 4092, bytes: vec![0x0f; 8].into() }, Op::Erase { offset: 4096, len: 4096 }];
        for op in &ops {
            let mut after = before.clone();
            op.apply(&mut after);
            let mut seen = vec![before.digest(), after.digest()];
            for tear in of(op) {
                let mut left = before.clone();
                apply(&mut left, op, tear);
                for ((old, new), is) in bytes(&before).iter().zip(bytes(&after)).zip(bytes(&left)) {
                    let free = if tear == Tear::EraseZero { 0xff } else { old ^ new };
                    assert_eq!(is & !free, old & !free, "{tear:?}");
                }
                assert!(!seen.contains(&left.digest()), "{tear:?} is a state of its own");
                assert_eq!(Image::new(&left.to_vec()).digest(), left.digest(), "the digest follows the content");
                seen.push(left.digest());
            }
        }
        let Op::Write { offset, .. } = &ops[0] else { return };
        let mut left = before.clone();
        apply(&mut left, &ops[0], Tear::Prefix(4));
        let end = *offset as usize + 8;
        assert_eq!(left.to_vec()[end - 4..end], start[end - 4..end]);
    }
}
