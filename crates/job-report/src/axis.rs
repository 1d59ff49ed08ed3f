//! The time axis of a timeline: positions of timestamps, and the marks.

use std::time::Duration;

use jiff::Timestamp;

use crate::text::format_duration;

/// The time range of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    from: Timestamp,
    to: Timestamp,
}

/// A labeled mark of the axis.
#[derive(Debug, PartialEq)]
pub(crate) struct Tick {
    /// Position, in percent of the axis.
    pub(crate) percent: f64,
    pub(crate) label: String,
}

impl Axis {
    /// Returns the axis that covers these timestamps; `None` if there are none.
    pub(crate) fn from_timestamps(moments: impl Iterator<Item = Timestamp>) -> Option<Self> {
        moments.fold(None, |axis: Option<Self>, at| {
            let Self { from, to } = axis.unwrap_or(Self { from: at, to: at });
            Some(Self { from: from.min(at), to: to.max(at) })
        })
    }

    /// Returns the axis that covers all of these.
    pub(crate) fn from_axes(axes: impl Iterator<Item = Self>) -> Option<Self> {
        Self::from_timestamps(axes.flat_map(|axis| [axis.from, axis.to]))
    }

    pub(crate) const fn end(self) -> Timestamp {
        self.to
    }

    fn duration(self) -> Duration {
        self.offset(self.to)
    }

    /// Returns the time from the start of the axis to a timestamp.
    pub(crate) fn offset(self, at: Timestamp) -> Duration {
        at.duration_since(self.from).try_into().unwrap_or_default()
    }

    /// Returns the position of a timestamp, in percent.
    pub(crate) fn percent(self, at: Timestamp) -> f64 {
        let (span, since) = (self.duration().as_secs_f64(), self.offset(at).as_secs_f64());
        if span > 0.0 { (100.0 * since / span).clamp(0.0, 100.0) } else { 0.0 }
    }

    /// Returns the marks: at most six, at round times, and none above 92 percent, because its label
    /// would not fit.
    pub(crate) fn ticks(self) -> Vec<Tick> {
        let span = self.duration().as_secs_f64();
        let wide = TICK_INTERVALS_SECS.into_iter().map(Duration::from_secs);
        let step = wide.clone().find(|step| step.as_secs_f64() * 5.0 >= span);
        // Above five weeks, about a fifth of the range, in whole hours.
        let step =
            step.unwrap_or_else(|| Duration::from_secs(self.duration().as_secs() / 18_000 * 3_600));
        let moments = (0..=5).map(|number| step * number);
        let ticks = moments.map(|since| Tick {
            percent: if span > 0.0 { 100.0 * since.as_secs_f64() / span } else { 0.0 },
            label: if since.is_zero() { "0".into() } else { format_duration(since) },
        });
        ticks.take_while(|tick| tick.percent <= 92.0).take(if span > 0.0 { 6 } else { 1 }).collect()
    }
}

/// The possible distances between marks, in seconds: from a second to a week.
const TICK_INTERVALS_SECS: [u64; 17] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 10_800, 21_600, 86_400, 604_800];

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(seconds: i64) -> Axis {
        let moments = [7, 7 + seconds].map(|second| Timestamp::constant(second, 0));
        Axis::from_timestamps(moments.into_iter()).unwrap()
    }

    #[test]
    fn tick_labels_suit_the_duration() {
        let rows = [
            (0, "0"),
            (1, "0"),
            (5, "0 1s 2s 3s 4s"),
            (47, "0 10s 20s 30s 40s"),
            (550, "0 2m 4m 6m 8m"),
            (14_400, "0 1h 2h 3h"),
            (31_536_000, "0 1752h 3504h 5256h 7008h"),
        ];
        for (seconds, expected) in rows {
            let ticks = axis(seconds).ticks();
            let labels: Vec<_> = ticks.iter().map(|tick| tick.label.as_str()).collect();
            assert_eq!(labels.join(" "), expected, "{seconds} s");
            assert!(ticks.iter().all(|tick| (0.0..=92.0).contains(&tick.percent)), "{ticks:?}");
        }
    }

    #[test]
    fn positions_are_clamped_percentages() {
        let at = |second| Timestamp::constant(second, 0);
        let rows = [(0, 0.0), (7, 0.0), (12, 50.0), (17, 100.0), (99, 100.0)];
        for (second, expected) in rows {
            assert!((axis(10).percent(at(second)) - expected).abs() < 1e-9, "{second}");
        }
        assert!(axis(0).percent(at(7)).abs() < 1e-9);
        assert_eq!(Axis::from_timestamps([].into_iter()), None);
    }
}
