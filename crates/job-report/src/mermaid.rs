//! Renders timelines as a Mermaid Gantt chart. GitHub draws a chart only if it has at most 50,000
//! characters, so a larger one leaves rows out.

use std::fmt::Write as _;

use crate::{
    geometry::truncate,
    overview::Overview,
    sections::{by_importance, folded_rows},
    timeline::{Bar, PhaseKind, Timeline, TimelineRow},
};

/// Maximum number of characters of a chart. It is less than the 50,000 of GitHub, because an escaped
/// character is counted after it is decoded by some versions.
const MAX_CHARS: usize = 45_000;

/// Maximum number of characters of the names and reasons in one row.
const MAX_NAME_CHARS: usize = 80;
const MAX_REASON_CHARS: usize = 60;
const MAX_CAUSE_CHARS: usize = 160;

/// The space that is kept free for the lines after the steps of a job: how many are left out, and the
/// number of attempts.
const RESERVED_CHARS: usize = 200;

/// Maximum number of rows of a job.
const MAX_ROWS: usize = 200;

/// Renders one or several jobs as a Mermaid Gantt chart of less than 50,000 characters, which is the limit of GitHub.
///
/// A larger chart leaves rows out, and states how many.
///
/// # Examples
///
/// ```
/// use job_report::{Timeline, job_model::Job, mermaid};
///
/// let reply = br#"{"spec": {"type": "CreateCluster"}, "status": {"phase": "Running"}}"#;
/// let timeline = Timeline::new(&Job::from_slice(reply)?);
/// assert!(mermaid(&[&timeline]).contains("gantt\n"));
/// # Ok::<(), job_report::job_model::DecodeError>(())
/// ```
pub fn mermaid(timelines: &[&Timeline]) -> String {
    let mut chart = Chart::default();
    match timelines {
        [timeline] => {
            let title = format!("{}, {}", timeline.title(), timeline.status);
            let why = timeline.why().map(|why| format!(": {}", truncate(&why, MAX_CAUSE_CHARS)));
            chart.begin(&(truncate(&title, MAX_CAUSE_CHARS) + &why.unwrap_or_default()));
            chart.job(timeline);
        }
        _ => chart.jobs(&Overview::new(timelines)),
    }
    chart.text + "\n"
}

/// A chart that is being written.
#[derive(Default)]
struct Chart {
    text: String,
    chars: usize,
}

impl Chart {
    fn begin(&mut self, title: &str) {
        let title = escape(title);
        self.push(&format!("gantt\n    title {title}\n    dateFormat x\n    axisFormat %H:%M:%S"));
    }

    /// Adds lines that are always written.
    fn push(&mut self, lines: &str) {
        self.text.push_str(lines);
        self.chars += lines.chars().count();
    }

    /// Adds lines, unless the chart would be too large. Returns whether it was added.
    fn try_push(&mut self, lines: &str) -> bool {
        let fits = self.chars + lines.chars().count() <= MAX_CHARS;
        if fits {
            self.push(lines);
        }
        fits
    }

    /// Adds a row for each job, then the steps of the jobs that have any.
    fn jobs(&mut self, overview: &Overview<'_>) {
        self.begin(&overview.title());
        let mut section = None;
        let mut shown = 0;
        for timeline in &overview.jobs {
            let group = timeline.group();
            let heading = if section == Some(group) {
                String::new()
            } else {
                format!("\n    section {}", escape(group.words()))
            };
            section = Some(group);
            // Half of the space is for the steps.
            let row = heading + &job_row(timeline);
            if self.chars + row.chars().count() > MAX_CHARS / 2 || !self.try_push(&row) {
                break;
            }
            shown += 1;
        }
        let end = overview.axis.map_or(0, |axis| axis.end().as_millisecond());
        if shown < overview.jobs.len() {
            let left_out = overview.jobs.len() - shown;
            self.push(&format!("\n    {left_out} more jobs are left out :milestone, {end}, 0d"));
        }
        for timeline in overview.jobs.iter().filter(|timeline| timeline.rows.len() > 1) {
            let mut job = Self { chars: self.chars, ..Self::default() };
            job.job(timeline);
            // A job that has no space even without most of its steps, and those after it, are left out.
            if !self.try_push(&job.text) {
                break;
            }
        }
    }

    /// Adds the section of a job, with its steps and the errors of its attempts. If the chart would be
    /// too large, it has only the most important steps, and a line with the number of the others.
    fn job(&mut self, timeline: &Timeline) {
        let title = escape(&truncate(&timeline.title(), MAX_NAME_CHARS));
        let id = escape(&timeline.id);
        let id = if title.ends_with(&id) { String::new() } else { format!(" {id}") };
        self.push(&format!("\n    section {title}{id}"));
        let end = end_millis(timeline);
        if timeline.rows.is_empty() {
            self.push(&job_row(timeline));
        }
        let (rows, mut left_out) = folded_rows(&timeline.rows, MAX_ROWS);
        let mut steps: Vec<_> = rows.iter().map(|row| Some(step_row(row, end))).collect();
        let mut space = MAX_CHARS.saturating_sub(self.chars + RESERVED_CHARS);
        for index in by_importance(&rows) {
            let Some(step) = steps.get_mut(index) else { continue };
            let chars = step.as_ref().map_or(0, |step| step.chars().count());
            match space.checked_sub(chars) {
                Some(rest) => space = rest,
                None => {
                    *step = None;
                    left_out += 1;
                }
            }
        }
        steps.iter().flatten().for_each(|step| self.push(step));
        if left_out > 0 {
            self.push(&format!("\n    {left_out} more steps are left out :milestone, {end}, 0d"));
        }
        if !timeline.has_attempt_marks() {
            return;
        }
        let attempts = match timeline.attempts.len() {
            1 => "1 attempt".to_owned(),
            attempts => format!("{attempts} attempts"),
        };
        self.push(&format!("\n    section Attempts\n    {attempts} :milestone, {end}, 0d"));
        for error in timeline.repeated_errors() {
            let Some((from, to)) = error.time_range else { continue };
            let message = escape(&truncate(error.message, MAX_REASON_CHARS));
            let times =
                if error.count > 1 { format!(", {} times", error.count) } else { String::new() };
            let (from, to) = (from.as_millisecond(), to.as_millisecond());
            if !self.try_push(&format!("\n    {message}{times} :crit, {from}, {to}")) {
                break;
            }
        }
    }
}

/// Returns the row of a job: its name, how it ended, and why.
fn job_row(timeline: &Timeline) -> String {
    let kind = timeline.group().kind();
    let title = escape(&truncate(&timeline.title(), MAX_NAME_CHARS));
    let status = escape(&timeline.status);
    let why = timeline.explanation().map(|why| escape(&truncate(&why, MAX_CAUSE_CHARS)));
    let why = why.map_or_else(String::new, |why| format!(", {why}"));
    format!("\n    {title}, {status}{why} :{}", task(kind, timeline.bar(), end_millis(timeline)))
}

/// Returns the row of a step. Dots show its depth.
fn step_row(row: &TimelineRow, end: i64) -> String {
    let dots = "·".repeat(row.depth.min(16) + 1);
    let title = escape(&truncate(&row.title(), MAX_NAME_CHARS));
    let phase = escape(&row.phase);
    let reason = row.reason.as_ref().map(|reason| escape(&truncate(reason, MAX_REASON_CHARS)));
    let reason = reason.map_or_else(String::new, |reason| format!(", {reason}"));
    format!("\n    {dots} {title}, {phase}{reason} :{}", task(row.kind, row.bar, end))
}

/// Returns the part of a row after the colon: how it is drawn, and its times. Without times, it is a
/// milestone at the end.
fn task(kind: PhaseKind, bar: Option<Bar>, end: i64) -> String {
    let tag = match kind {
        PhaseKind::Success => "done, ",
        PhaseKind::Failed => "crit, ",
        PhaseKind::Running => "active, ",
        PhaseKind::Initializing | PhaseKind::Unknown => "",
    };
    match bar {
        Some(Bar { from, to, .. }) => {
            format!("{tag}{}, {}", from.as_millisecond(), to.as_millisecond())
        }
        None => format!("{tag}milestone, {end}, 0d"),
    }
}

/// Returns the end, in milliseconds since 1970; 0 if no timestamp is known.
fn end_millis(timeline: &Timeline) -> i64 {
    timeline.axis.map_or(0, |axis| axis.end().as_millisecond())
}

/// Escapes a text for Mermaid: punctuation becomes character codes, because most of it has a
/// meaning there.
fn escape(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || " -_.,/()…·".contains(c);
    let mut escaped = String::new();
    for c in text.chars() {
        if is_plain(c) {
            escaped.push(c);
        } else {
            // Writing to a string never fails.
            let _ = write!(escaped, "#{};", u32::from(c));
        }
    }
    escaped
}
