//! How close together things may lie by chance.

/// How rarely chance alone may bring about what is called a violation: one in a million.
const RARE: f64 = 1e-6;

/// The fraction of a length within which `n` points that are drawn evenly over it lie, all of them, once in a million times. That they lie within a fraction
/// `r` has the probability n r^(n-1) - (n-1) r^n. Zero for fewer than two points, of which nothing can be said.
pub(crate) fn narrow(n: usize) -> f64 {
    if n < 2 {
        return 0.0;
    }
    let points = n as f64;
    let probability = |r: f64| points * r.powf(points - 1.0) - (points - 1.0) * r.powf(points);
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if probability(middle) <= RARE { low = middle } else { high = middle }
    }
    low
}

/// The length over which these lie.
pub(crate) fn range(values: &[f64]) -> f64 {
    let most = values.iter().copied().fold(f64::MIN, f64::max);
    let least = values.iter().copied().fold(f64::MAX, f64::min);
    if values.is_empty() { 0.0 } else { most - least }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(2, 5e-7)]
    #[case(8, 0.1037)]
    #[case(20, 0.4286)]
    fn the_fraction_is_the_one_of_a_million(#[case] n: usize, #[case] expected: f64) {
        assert!((narrow(n) - expected).abs() < expected * 0.02, "{}", narrow(n));
    }

    #[test]
    fn of_one_point_nothing_is_said() {
        assert_eq!((narrow(0), narrow(1), range(&[]), range(&[3.0])), (0.0, 0.0, 0.0, 0.0));
    }
}
