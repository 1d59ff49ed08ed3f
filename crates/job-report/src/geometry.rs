//! What the formats share: the positions of bars and attempts, and the errors of attempts.

use jiff::Timestamp;

use crate::{
    axis::Axis,
    text::format_duration,
    timeline::{Bar, PhaseKind, Timeline, TimelineRow},
};

impl TimelineRow {
    /// Returns the geometry of the bar; `None` if its timestamps are unknown.
    pub(crate) fn geometry(&self, axis: Option<Axis>) -> Option<BarGeometry> {
        Some(BarGeometry::new(self.bar?, axis?))
    }
}

impl Timeline {
    /// Whether the time of at least one attempt is known.
    pub(crate) fn has_attempt_marks(&self) -> bool {
        self.axis.is_some() && self.attempts.iter().any(|attempt| attempt.time.is_some())
    }

    /// Returns the positions of the attempts, in tenths of a percent of the axis, so that there is a
    /// limit on their number.
    pub(crate) fn attempt_marks(&self, axis: Option<Axis>) -> Vec<AttemptMark> {
        let marks = self.attempts.iter().filter_map(|attempt| {
            let percent = axis?.percent(attempt.time?);
            let x = (percent * 10.0).round() / 10.0;
            Some(AttemptMark { x, is_error: attempt.error.is_some() })
        });
        let mut marks: Vec<_> = marks.collect();
        marks.dedup();
        marks
    }

    /// Returns the errors of attempts, with consecutive equal errors merged.
    pub(crate) fn repeated_errors(&self) -> Vec<RepeatedError<'_>> {
        let alike = self.attempts.chunk_by(|one, next| one.error == next.error);
        alike
            .filter_map(|run| {
                let (first, last) = (run.first()?, run.last()?);
                let to = if run.len() > 1 {
                    format!(" to {}", format_duration(last.at))
                } else {
                    "".into()
                };
                let when = format_duration(first.at) + &to;
                let time_range = first.time.zip(last.time);
                Some(RepeatedError {
                    when,
                    message: first.error.as_deref()?,
                    count: run.len(),
                    time_range,
                })
            })
            .collect()
    }
}

/// The position of a bar, in percent of the axis, and its times as text.
pub(crate) struct BarGeometry {
    pub(crate) x: f64,
    pub(crate) width: f64,
    pub(crate) is_open: bool,
    pub(crate) start: String,
    pub(crate) duration: String,
}

impl BarGeometry {
    fn new(bar: Bar, axis: Axis) -> Self {
        let x = axis.percent(bar.from);
        Self {
            // A step that took no time still gets a visible bar.
            x: x.min(100.0 - MIN_BAR_WIDTH),
            width: (axis.percent(bar.to) - x).max(MIN_BAR_WIDTH),
            is_open: bar.is_open,
            start: format_duration(axis.offset(bar.from)),
            duration: format_duration(bar.duration()),
        }
    }

    /// Returns the bar of a whole job.
    pub(crate) fn from_job(timeline: &Timeline, axis: Option<Axis>) -> Option<Self> {
        Some(Self::new(timeline.bar()?, axis?))
    }
}

/// The position of an attempt, in percent of the axis.
#[derive(PartialEq)]
pub(crate) struct AttemptMark {
    pub(crate) x: f64,
    pub(crate) is_error: bool,
}

/// An error of consecutive attempts.
pub(crate) struct RepeatedError<'a> {
    pub(crate) when: String,
    /// The period in the service's time, if that is known.
    pub(crate) time_range: Option<(Timestamp, Timestamp)>,
    pub(crate) message: &'a str,
    pub(crate) count: usize,
}

/// Number of rows above which the axis is below the rows, too.
pub(crate) const MAX_ROWS_WITH_ONE_AXIS: usize = 20;

/// Minimum width of a bar, in percent of the axis.
const MIN_BAR_WIDTH: f64 = 0.5;

impl PhaseKind {
    /// Returns the class in the style sheets.
    pub(crate) const fn css_class(self) -> &'static str {
        match self {
            Self::Initializing => "initializing",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// Returns a text, truncated after `max_chars` characters.
pub(crate) fn truncate(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}
