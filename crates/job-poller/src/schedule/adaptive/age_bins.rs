//! Ages in bins that are a third of an octave wide, which gives the same relative precision for
//! jobs of seconds and of hours.

/// The first bin is from 0 to 4 s. The last bin begins at 4 s × 2^(41/3), which is 14 hours, and
/// has no end.
pub(crate) const BIN_COUNT: usize = 43;

/// A number for each bin.
pub(crate) type Bins = [f64; BIN_COUNT];

const THIRD_OF_AN_OCTAVE: f64 = 1.259_921_049_894_873_2;

/// The start of each bin except the first, in seconds.
const BIN_STARTS: [f64; BIN_COUNT - 1] = bin_starts();

/// Returns the bin of an age, in seconds.
pub(crate) fn bin_of(age: f64) -> usize {
    BIN_STARTS.partition_point(|start| *start <= age)
}

/// Returns the start of a bin, in seconds.
pub(crate) const fn bin_start(bin: usize) -> f64 {
    if bin == 0 { 0.0 } else { BIN_STARTS[bin - 1] }
}

/// Returns the end of a bin, in seconds.
pub(crate) const fn bin_end(bin: usize) -> f64 {
    if bin < BIN_COUNT - 1 { BIN_STARTS[bin] } else { f64::INFINITY }
}

/// Returns the width of a bin, in seconds. The last bin has no end and is treated as if it had the
/// usual width.
pub(crate) const fn bin_width(bin: usize) -> f64 {
    let end = if bin < BIN_COUNT - 1 { bin_end(bin) } else { bin_start(bin) * THIRD_OF_AN_OCTAVE };
    end - bin_start(bin)
}

/// Returns the middle of a bin, in seconds.
pub(crate) const fn bin_middle(bin: usize) -> f64 {
    bin_start(bin) + bin_width(bin) / 2.0
}

/// Returns the bins whose middles are next to an age, and the part of the way from one middle to the
/// other. The first bin is next to itself, and so is the last.
pub(crate) fn between_middles(age: f64) -> (usize, usize, f64) {
    let bin = bin_of(age);
    let (at, next) = if age < bin_middle(bin) {
        (bin.saturating_sub(1), bin)
    } else {
        (bin, (bin + 1).min(BIN_COUNT - 1))
    };
    let part =
        if at < next { (age - bin_middle(at)) / (bin_middle(next) - bin_middle(at)) } else { 0.0 };
    (at, next, part)
}

/// Smooths the bins: each becomes half of itself plus a quarter of each neighbor.
pub(crate) fn smooth(bins: &Bins) -> Bins {
    let at = |bin: usize| bins[bin.min(BIN_COUNT - 1)];
    std::array::from_fn(|bin| 0.25 * at(bin.saturating_sub(1)) + 0.5 * at(bin) + 0.25 * at(bin + 1))
}

/// Returns, for each bin, a weighted sum of the bins around it. The weights are binomial: one for
/// the bin itself, and less for each bin further away. Their sum, about √(π × `width`), is the
/// number of bins that the window covers.
pub(crate) fn window_sums(bins: &Bins, width: u32) -> Bins {
    let (mut sums, mut own_weight) = (*bins, 1.0);
    for round in 1..=width {
        sums = smooth(&sums);
        own_weight *= 1.0 - 0.5 / f64::from(round);
    }
    sums.map(|sum| sum / own_weight)
}

const fn bin_starts() -> [f64; BIN_COUNT - 1] {
    let mut starts = [4.0; BIN_COUNT - 1];
    let mut bin = 1;
    while bin < BIN_COUNT - 1 {
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
        assert_eq!((bin_start(0), bin_end(0), bin_end(BIN_COUNT - 1)), (0.0, 4.0, f64::INFINITY));
        assert!(near(bin_start(4), 8.0) && near(bin_start(40), 4.0 * 8192.0));
        for bin in 1..BIN_COUNT - 1 {
            assert!(near(bin_end(bin) / bin_start(bin), 2_f64.cbrt()), "{bin}");
            assert_eq!(bin_end(bin), bin_start(bin + 1));
        }
    }

    #[test]
    fn ages_map_to_their_bin() {
        let rows = [(0.0, 0), (3.999, 0), (4.0, 1), (5.04, 2), (1e5, 42), (f64::INFINITY, 42)];
        for (age, expected) in rows {
            assert_eq!(bin_of(age), expected, "{age}");
        }
    }

    #[test]
    fn smoothing_preserves_uniform_counts() {
        assert_eq!(smooth(&[3.0; BIN_COUNT]), [3.0; BIN_COUNT]);
        let mut one = [0.0; BIN_COUNT];
        one[7] = 4.0;
        assert_eq!(smooth(&one)[5..10], [0.0, 1.0, 2.0, 1.0, 0.0]);
    }

    #[test]
    fn window_sums_have_binomial_weights() {
        let mut one = [0.0; BIN_COUNT];
        one[7] = 6.0;
        assert_eq!(window_sums(&one, 0), one);
        assert_eq!(window_sums(&one, 1)[5..10], [0.0, 3.0, 6.0, 3.0, 0.0]);
        assert_eq!(window_sums(&one, 2)[4..11], [0.0, 1.0, 4.0, 6.0, 4.0, 1.0, 0.0]);
    }
}
