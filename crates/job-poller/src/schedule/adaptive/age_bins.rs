//! Ages in bins, a third of an octave wide: the same relative precision for jobs of seconds and of
//! hours. Counts nothing.

/// The first bin reaches from 0 to 4 s, the last has no end: 4 s × 2^(41/3) are 14 hours.
pub(crate) const BINS: usize = 43;

/// A number for each bin.
pub(crate) type Bins = [f64; BINS];

const THIRD_OF_AN_OCTAVE: f64 = 1.259_921_049_894_873_2;

/// Where each bin but the first starts, in seconds.
const STARTS: [f64; BINS - 1] = starts();

/// Returns the bin of an age, in seconds.
pub(crate) fn bin(age: f64) -> usize {
    STARTS.partition_point(|start| *start <= age)
}

/// Returns where a bin starts, in seconds.
pub(crate) const fn start(bin: usize) -> f64 {
    if bin == 0 { 0.0 } else { STARTS[bin - 1] }
}

/// Returns where a bin ends, in seconds.
pub(crate) const fn end(bin: usize) -> f64 {
    if bin < BINS - 1 { STARTS[bin] } else { f64::INFINITY }
}

/// Returns the middle of a bin, in seconds; of the last, which has no end, where it would be if it had one.
pub(crate) const fn middle(bin: usize) -> f64 {
    let end = if bin < BINS - 1 { end(bin) } else { start(bin) * THIRD_OF_AN_OCTAVE };
    f64::midpoint(start(bin), end)
}

/// Returns each bin's mean with those beside it, of which it is half.
pub(crate) fn smoothed(bins: &Bins) -> Bins {
    let at = |bin: usize| bins[bin.min(BINS - 1)];
    std::array::from_fn(|bin| 0.25 * at(bin.saturating_sub(1)) + 0.5 * at(bin) + 0.25 * at(bin + 1))
}

const fn starts() -> [f64; BINS - 1] {
    let mut starts = [4.0; BINS - 1];
    let mut bin = 1;
    while bin < BINS - 1 {
        starts[bin] = starts[bin - 1] * THIRD_OF_AN_OCTAVE;
        bin += 1;
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_a_third_of_an_octave_wide() {
        let near = |one: f64, other: f64| (one - other).abs() <= 1e-9 * other;
        assert_eq!((start(0), end(0), end(BINS - 1)), (0.0, 4.0, f64::INFINITY));
        assert!(near(start(4), 8.0) && near(start(40), 4.0 * 8192.0));
        for bin in 1..BINS - 1 {
            assert!(near(end(bin) / start(bin), 2_f64.cbrt()), "{bin}");
            assert_eq!(end(bin), start(bin + 1));
        }
    }

    #[test]
    fn an_age_is_in_one_bin() {
        let rows = [(0.0, 0), (3.999, 0), (4.0, 1), (5.04, 2), (1e5, 42), (f64::INFINITY, 42)];
        for (age, expected) in rows {
            assert_eq!(bin(age), expected, "{age}");
        }
    }

    #[test]
    fn smoothing_keeps_what_is_even() {
        assert_eq!(smoothed(&[3.0; BINS]), [3.0; BINS]);
        let mut one = [0.0; BINS];
        one[7] = 4.0;
        assert_eq!(smoothed(&one)[5..10], [0.0, 1.0, 2.0, 1.0, 0.0]);
    }
}
