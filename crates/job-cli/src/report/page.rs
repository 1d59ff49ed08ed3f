//! Renders timelines with the templates for HTML, SVG and Mermaid.

use askama::Template;
use jiff::Timestamp;

use super::{
    format::ReportFormat,
    timeline::{PhaseKind, Timeline, TimelineRow},
};
use crate::terminal::format_duration;

/// Renders the timelines in a format.
///
/// # Errors
///
/// Never fails for the built-in templates.
pub(crate) fn render(
    timelines: &[&Timeline],
    format: ReportFormat,
) -> Result<String, askama::Error> {
    match format {
        ReportFormat::Html => Html { timelines }.render(),
        ReportFormat::Svg => Svg::new(timelines).render(),
        ReportFormat::Mermaid => Mermaid { timelines }.render(),
    }
}

#[derive(Template)]
#[template(path = "report.html")]
struct Html<'a> {
    timelines: &'a [&'a Timeline],
}

#[derive(Template)]
#[template(path = "report.svg")]
struct Svg<'a> {
    timelines: Vec<PositionedTimeline<'a>>,
    height: usize,
}

#[derive(Template)]
#[template(path = "report.mmd", escape = "none")]
struct Mermaid<'a> {
    timelines: &'a [&'a Timeline],
}

/// A timeline of an SVG image, and its vertical position.
struct PositionedTimeline<'a> {
    timeline: &'a Timeline,
    top: usize,
}

/// Heights in pixels: of the header of a timeline, of each row, and of the space below the rows.
const HEADER_HEIGHT: usize = 56;
const ROW_HEIGHT: usize = 24;
const FOOTER_HEIGHT: usize = 40;

impl<'a> Svg<'a> {
    fn new(timelines: &[&'a Timeline]) -> Self {
        let mut height = 0;
        let draw = |timeline: &'a Timeline| {
            let top = height;
            height += HEADER_HEIGHT + ROW_HEIGHT * timeline.rows.len() + FOOTER_HEIGHT;
            PositionedTimeline { timeline, top }
        };
        Self { timelines: timelines.iter().copied().map(draw).collect(), height }
    }
}

impl PositionedTimeline<'_> {
    /// Returns the vertical position of a row.
    const fn row_y(&self, index: &usize) -> usize {
        self.top + HEADER_HEIGHT + ROW_HEIGHT * *index
    }

    /// Returns the vertical position of the axis.
    const fn axis_y(&self) -> usize {
        self.row_y(&self.timeline.rows.len())
    }
}

impl Timeline {
    /// Returns the geometry of a row's bar; `None` if its timestamps are unknown.
    fn bar_geometry(&self, row: &TimelineRow) -> Option<BarGeometry> {
        let (axis, bar) = (self.axis?, row.bar?);
        let x = axis.percent(bar.from);
        Some(BarGeometry {
            // A step that took no time still gets a visible bar.
            x: x.min(100.0 - MIN_BAR_WIDTH),
            width: (axis.percent(bar.to) - x).max(MIN_BAR_WIDTH),
            is_open: bar.is_open,
            start: format_duration(axis.offset(bar.from)),
            duration: format_duration(bar.duration()),
        })
    }

    /// Returns the end, in milliseconds since 1970; 0 if no timestamp is known.
    fn end_millis(&self) -> i64 {
        self.axis.map_or(0, |axis| axis.end().as_millisecond())
    }

    /// Whether the time of at least one attempt is known.
    fn has_attempt_marks(&self) -> bool {
        self.axis.is_some() && self.attempts.iter().any(|attempt| attempt.time.is_some())
    }

    /// Returns the position of each attempt.
    fn attempt_marks(&self) -> impl Iterator<Item = AttemptMark> {
        self.attempts.iter().filter_map(|attempt| {
            let x = self.axis?.percent(attempt.time?);
            Some(AttemptMark { x, is_error: attempt.error.is_some() })
        })
    }

    /// Returns the errors of attempts, with consecutive equal errors merged.
    fn repeated_errors(&self) -> Vec<RepeatedError<'_>> {
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
struct BarGeometry {
    x: f64,
    width: f64,
    is_open: bool,
    start: String,
    duration: String,
}

/// The position of an attempt, in percent of the axis.
struct AttemptMark {
    x: f64,
    is_error: bool,
}

/// An error of consecutive attempts.
struct RepeatedError<'a> {
    when: String,
    /// The period in the service's time, if that is known.
    time_range: Option<(Timestamp, Timestamp)>,
    message: &'a str,
    count: usize,
}

/// Minimum width of a bar, in percent of the axis.
const MIN_BAR_WIDTH: f64 = 0.5;

impl PhaseKind {
    /// Returns the class in the style sheets.
    const fn css_class(self) -> &'static str {
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
fn truncate(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

/// Escapes a text for Mermaid: punctuation becomes character codes, because most of it has a
/// meaning there.
fn escape_mermaid(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || " -_.,/()".contains(c);
    let encode = |c| if plain(c) { String::from(c) } else { format!("#{};", u32::from(c)) };
    text.chars().map(encode).collect()
}

#[cfg(test)]
mod tests;
