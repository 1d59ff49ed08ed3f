//! The timeline of a job: a row with a bar for each step, and the attempts of the wait. All of its
//! texts are sanitized.

mod row;

pub use self::row::{Bar, PhaseKind, TimelineAttempt, TimelineRow};

use job_model::{Deviation, Job, Phase};

use self::row::{phase_text, shown_name};
use crate::{
    axis::Axis,
    text::{self, format_duration, sanitize_line},
};

/// The timeline of a job: its steps with their times, why it failed, and the attempts of its wait.
///
/// [`html`](crate::html()), [`svg`](crate::svg()), [`mermaid`](crate::mermaid()) and
/// [`markdown`](crate::markdown()) draw one or several timelines.
///
/// All texts that are passed to a timeline are sanitized with
/// [`sanitize_line`](crate::text::sanitize_line), so they need not be trusted.
///
/// # Examples
///
/// ```
/// use job_report::{Timeline, job_model::Job, svg};
///
/// let reply = br#"{"spec": {"type": "CreateCluster", "resourceName": "blue"},
///     "status": {"phase": "Failed", "reason": "no quota"}}"#;
/// let timeline = Timeline::new(&Job::from_slice(reply)?);
/// assert_eq!(timeline.title(), "CreateCluster blue");
/// assert!(svg(&[&timeline]).starts_with("<svg"));
/// # Ok::<(), job_report::job_model::DecodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Timeline {
    pub(crate) id: String,
    /// The type of the job.
    pub(crate) label: String,
    pub(crate) name: Option<String>,
    pub(crate) kind: PhaseKind,
    /// The outcome, or the current phase.
    pub(crate) status: String,
    /// Further details, each with a name and a value.
    pub(crate) details: Vec<(&'static str, String)>,
    /// Which step failed and why, or how many did.
    pub(crate) failure: Option<String>,
    /// The distinct reasons, each with the names of steps, if several steps failed.
    pub(crate) failure_reasons: Vec<String>,
    /// The most frequent reason of a failure, or the error of a job that was not read. Other jobs may
    /// have the same.
    pub(crate) reason: Option<String>,
    /// Why the wait stopped before the job ended.
    pub(crate) cause: Option<String>,
    /// Whether the job, or one of its clusters and nodes, was read.
    pub(crate) was_read: bool,
    pub(crate) warnings: Vec<String>,
    /// The job and its steps, then the clusters and nodes. Steps follow their parent, in the order of
    /// their starts.
    pub(crate) rows: Vec<TimelineRow>,
    /// The attempts of the wait; empty for a saved reply.
    pub(crate) attempts: Vec<TimelineAttempt>,
    pub(crate) axis: Option<Axis>,
}

impl Timeline {
    /// Creates the timeline of a job, with a row for the job and for each of its steps.
    pub fn new(job: &Job) -> Self {
        let failure = job.failure();
        let failing = failure.as_ref().map(|failure| failure.path.indices());
        let summary = job.failure_summary();
        let many = summary.as_ref().filter(|summary| summary.has_many());
        let reason =
            summary.as_ref().and_then(|summary| summary.reasons.first()?.reason.as_deref());
        let created =
            job.metadata.as_ref().and_then(|metadata| metadata.creation_timestamp.as_ref());
        let created = created.and_then(|created| created.instant());
        let mut details = Vec::new();
        details.extend(created.map(|created| ("created", format!("{created:.0}"))));
        let ended = job.phase().is_some_and(Phase::is_terminal);
        let name = if ended { "duration" } else { "last update after" };
        details.extend(job.duration().map(|time| (name, format_duration(time))));
        let timeline = Self {
            kind: PhaseKind::from(job),
            status: phase_text(job),
            details,
            failure: match many {
                Some(many) => Some(format!("{} failed", many.counts())),
                None => failure.as_ref().map(|failure| sanitize_line(&failure.to_string())),
            },
            failure_reasons: many
                .iter()
                .flat_map(|many| many.reason_lines())
                .map(|line| sanitize_line(&line))
                .collect(),
            reason: reason.map(sanitize_line),
            was_read: true,
            warnings: job
                .inconsistencies()
                .iter()
                .map(|odd| sanitize_line(&odd.to_string()))
                .collect(),
            rows: job_rows(job, failing),
            ..Self::heading(job)
        };
        timeline.with_axis()
    }

    /// Creates the timeline of a job that was never read. It has no rows.
    ///
    /// # Examples
    ///
    /// ```
    /// use job_report::{PhaseKind, Timeline, markdown};
    ///
    /// let timeline = Timeline::unread()
    ///     .with_name("354331b2c-229a")
    ///     .with_status(PhaseKind::Unknown, "deadline exceeded")
    ///     .with_cause("the service answered 503 Service Unavailable");
    /// assert!(markdown(&[&timeline]).contains("**job 354331b2c-229a: deadline exceeded**"));
    /// ```
    pub fn unread() -> Self {
        Self::heading(&Job::default())
    }

    /// Creates a timeline that has only the id, the label and the name of a job.
    fn heading(job: &Job) -> Self {
        Self {
            id: sanitize_line(job.uid().unwrap_or_default()),
            label: sanitize_line(job.label()),
            name: shown_name(job),
            kind: PhaseKind::Unknown,
            status: "no phase".into(),
            details: Vec::new(),
            failure: None,
            failure_reasons: Vec::new(),
            reason: None,
            cause: None,
            was_read: false,
            warnings: Vec::new(),
            rows: Vec::new(),
            attempts: Vec::new(),
            axis: None,
        }
    }

    /// Sets the id of the job, in place of the one in its reply.
    pub fn with_id(self, id: &str) -> Self {
        Self { id: sanitize_line(id), ..self }
    }

    /// Sets the label, in place of the type of the job.
    pub fn with_label(self, label: &str) -> Self {
        Self { label: sanitize_line(label), ..self }
    }

    /// Sets the name, in place of that of the resource.
    pub fn with_name(self, name: &str) -> Self {
        Self { name: Some(sanitize_line(name)), ..self }
    }

    /// Sets the status, in place of the phase of the job. `kind` determines its color.
    pub fn with_status(self, kind: PhaseKind, status: &str) -> Self {
        Self { kind, status: sanitize_line(status), ..self }
    }

    /// Sets the reason that a job which was never read has in common with others, such as an error of
    /// the service.
    pub fn with_reason(self, reason: &str) -> Self {
        Self { reason: Some(sanitize_line(reason)), ..self }
    }

    /// Sets why the wait stopped before the job ended.
    pub fn with_cause(self, cause: &str) -> Self {
        Self { cause: Some(sanitize_line(cause)), ..self }
    }

    /// Adds a detail after those of the job, such as the duration of the wait.
    pub fn with_detail(mut self, name: &'static str, value: &str) -> Self {
        self.details.push((name, sanitize_line(value)));
        self
    }

    /// Adds a warning for each deviation of the reply, before the other warnings.
    pub fn with_deviations(mut self, deviations: &[Deviation]) -> Self {
        let warnings = deviations.iter().map(|deviation| sanitize_line(&deviation.to_string()));
        self.warnings.splice(0..0, warnings);
        self
    }

    /// Adds rows after those of the job, such as its clusters and nodes.
    pub fn with_objects(mut self, objects: impl IntoIterator<Item = TimelineRow>) -> Self {
        self.rows.extend(objects);
        self.was_read |= !self.rows.is_empty();
        self.with_axis()
    }

    /// Adds the attempts of the wait.
    pub fn with_attempts(mut self, attempts: impl IntoIterator<Item = TimelineAttempt>) -> Self {
        self.attempts.extend(attempts);
        self.with_axis()
    }

    /// Sets the axis for the rows and attempts, and extends open bars to its end.
    fn with_axis(mut self) -> Self {
        let bars = self.rows.iter().filter_map(|row| row.bar).flat_map(|bar| [bar.from, bar.to]);
        let attempts = self.attempts.iter().filter_map(|attempt| attempt.time);
        self.axis = Axis::from_timestamps(bars.chain(attempts));
        for bar in self.rows.iter_mut().filter_map(|row| row.bar.as_mut()) {
            if let Some(axis) = self.axis.filter(|_| bar.is_open) {
                bar.to = axis.end();
            }
        }
        self
    }

    /// Returns the type and the name of the job.
    pub fn title(&self) -> String {
        text::title(&self.label, self.name.as_deref())
    }

    /// Returns the name of the job's resource; `None` if the reply has none.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether the job, or one of its clusters and nodes, was read.
    pub const fn was_read(&self) -> bool {
        self.was_read
    }

    /// Returns why the job failed, with the reasons of all its steps, or why it could not be read, or why
    /// the wait for it stopped.
    pub fn why(&self) -> Option<String> {
        let failure = self.failure.as_ref().map(|failure| match &self.failure_reasons[..] {
            [] => failure.clone(),
            reasons => format!("{failure}: {}", reasons.join("; ")),
        });
        failure.or_else(|| self.cause.clone())
    }

    /// Returns the index of the step that made the job fail.
    pub(crate) fn failing_row(&self) -> Option<usize> {
        self.rows.iter().rposition(|row| row.is_failing)
    }

    /// Returns the period of the job itself, or that of its clusters and nodes.
    pub(crate) fn bar(&self) -> Option<Bar> {
        let bars = self.rows.iter().filter_map(|row| row.bar);
        let first = self.rows.first().filter(|row| row.depth == 0).and_then(|row| row.bar);
        first.or_else(|| bars.reduce(Bar::union))
    }

    /// Returns the lines about the failure: which steps failed, each distinct reason, and why the wait
    /// stopped.
    pub(crate) fn why_lines(&self) -> impl Iterator<Item = &String> {
        self.failure.iter().chain(&self.failure_reasons).chain(&self.cause)
    }

    /// Returns the duration of the job itself, if it is known.
    pub(crate) fn duration(&self) -> Option<&str> {
        self.rows.first().filter(|row| row.depth == 0)?.duration.as_deref()
    }
}

/// Returns the rows of a job and its steps. A step follows its parent, and steps with the same parent
/// are in the order of their starts. Those without a known start come last, in the order of the reply.
/// `failing` is the path of the failed step.
fn job_rows(job: &Job, failing: Option<&[usize]>) -> Vec<TimelineRow> {
    let mut rows = Vec::new();
    let mut rest = vec![(0, job, failing)];
    while let Some((depth, job, failing)) = rest.pop() {
        rows.push(TimelineRow::from_job(depth, job, failing.is_some()));
        let mut steps: Vec<_> = job.sub_jobs().iter().enumerate().collect();
        steps.sort_by_key(|(_, step)| {
            let start = step.created_at().or_else(|| step.updated_at());
            (start.is_none(), start)
        });
        rest.extend(steps.into_iter().rev().map(|(index, step)| {
            let below = failing.and_then(<[usize]>::split_first);
            let failing = below.filter(|(first, _)| **first == index).map(|(_, below)| below);
            (depth + 1, step, failing)
        }));
    }
    rows
}
