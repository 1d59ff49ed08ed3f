//! A timeline in the form that is asked for: the templates, and what they are filled with. Reads no job.

use askama::Template;
use jiff::Timestamp;

use super::{
    Format,
    timeline::{Kind, Row, Timeline},
};
use crate::terminal::told;

/// Returns the timelines in this form.
///
/// # Errors
///
/// None that a template of ours has.
pub(crate) fn page(timelines: &[&Timeline], format: Format) -> Result<String, askama::Error> {
    match format {
        Format::Html => Html { timelines }.render(),
        Format::Svg => Svg::new(timelines).render(),
        Format::Mermaid => Mermaid { timelines }.render(),
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
    timelines: Vec<Drawn<'a>>,
    height: usize,
}

#[derive(Template)]
#[template(path = "report.mmd", escape = "none")]
struct Mermaid<'a> {
    timelines: &'a [&'a Timeline],
}

/// A timeline in a picture, and how far down it starts.
struct Drawn<'a> {
    timeline: &'a Timeline,
    top: usize,
}

/// How high a picture's head is, each row of it, and what is below a timeline.
const HEAD: usize = 56;
const ROW: usize = 24;
const FOOT: usize = 40;

impl<'a> Svg<'a> {
    fn new(timelines: &[&'a Timeline]) -> Self {
        let mut height = 0;
        let draw = |timeline: &'a Timeline| {
            let top = height;
            height += HEAD + ROW * timeline.rows.len() + FOOT;
            Drawn { timeline, top }
        };
        Self { timelines: timelines.iter().copied().map(draw).collect(), height }
    }
}

impl Drawn<'_> {
    /// Returns how far down a row is.
    const fn row(&self, index: &usize) -> usize {
        self.top + HEAD + ROW * *index
    }

    /// Returns how far down the axis is.
    const fn axis(&self) -> usize {
        self.row(&self.timeline.rows.len())
    }
}

impl Timeline {
    /// Returns where a row's bar is; `None` where its times are not known.
    fn place(&self, row: &Row) -> Option<Place> {
        let (axis, bar) = (self.axis?, row.bar?);
        let x = axis.place(bar.from);
        Some(Place {
            // Whatever took no time is seen all the same.
            x: x.min(100.0 - THINNEST),
            width: (axis.place(bar.to) - x).max(THINNEST),
            is_open: bar.is_open,
            from: told(axis.since(bar.from)),
            span: told(bar.span()),
        })
    }

    /// Returns its end, in milliseconds; 0 where no time in it is known.
    fn end(&self) -> i64 {
        self.axis.map_or(0, |axis| axis.end().as_millisecond())
    }

    /// Whether it is known when the wait asked.
    fn has_marks(&self) -> bool {
        self.axis.is_some() && self.attempts.iter().any(|attempt| attempt.time.is_some())
    }

    /// Returns where each attempt is.
    fn marks(&self) -> impl Iterator<Item = Mark> {
        self.attempts.iter().filter_map(|attempt| {
            let x = self.axis?.place(attempt.time?);
            Some(Mark { x, is_fault: attempt.fault.is_some() })
        })
    }

    /// Returns the faults, those in a row that are alike as one.
    fn faults(&self) -> Vec<Fault<'_>> {
        let alike = self.attempts.chunk_by(|one, next| one.fault == next.fault);
        alike
            .filter_map(|run| {
                let (first, last) = (run.first()?, run.last()?);
                let to = if run.len() > 1 { format!(" to {}", told(last.at)) } else { "".into() };
                let when = told(first.at) + &to;
                let span = first.time.zip(last.time);
                Some(Fault { when, message: first.fault.as_deref()?, times: run.len(), span })
            })
            .collect()
    }
}

/// Where a bar is, in percent of the axis, and what that says.
struct Place {
    x: f64,
    width: f64,
    is_open: bool,
    from: String,
    span: String,
}

/// Where an attempt is, in percent of the axis.
struct Mark {
    x: f64,
    is_fault: bool,
}

/// A fault, and how often it came in a row.
struct Fault<'a> {
    when: String,
    /// The same by the service's time, where that was told.
    span: Option<(Timestamp, Timestamp)>,
    message: &'a str,
    times: usize,
}

/// The thinnest bar, in percent.
const THINNEST: f64 = 0.5;

impl Kind {
    /// Returns its name in the style sheets.
    const fn name(self) -> &'static str {
        match self {
            Self::Initializing => "initializing",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// Returns the beginning of a text, where there is room for so many characters.
fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

/// Returns a text in Mermaid's words: signs by their numbers, since most have a meaning there.
fn encoded(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || " -_.,/()".contains(c);
    let encode = |c| if plain(c) { String::from(c) } else { format!("#{};", u32::from(c)) };
    text.chars().map(encode).collect()
}

#[cfg(test)]
mod tests;
