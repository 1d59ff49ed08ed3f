//! A job's course: a row for each step, with a bar on one axis of time, and what befell the wait. All texts
//! in it can be shown. Knows no form of report.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use job_model::{Job, Node, Phase};
use job_poller::{Event, Outcome};
use job_transport::Reading;

use super::axis::Axis;
use crate::{
    terminal::{text::line, told},
    wait::Finished,
};

/// A job's course.
#[derive(Debug)]
pub(crate) struct Timeline {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) kind: Kind,
    /// How it ended, or how it is.
    pub(crate) verdict: String,
    /// What more is known: a name and a value each.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// Where and why it failed.
    pub(crate) failure: Option<String>,
    pub(crate) odd: Vec<String>,
    pub(crate) rows: Vec<Row>,
    /// The attempts of the wait; none where there was no wait.
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) axis: Option<Axis>,
}

/// The job, or a step of it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) depth: usize,
    pub(crate) label: String,
    pub(crate) name: Option<String>,
    pub(crate) phase: String,
    pub(crate) kind: Kind,
    /// Whether it is on the way to what failed.
    pub(crate) is_failing: bool,
    pub(crate) took: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) bar: Option<Bar>,
}

/// A span of the service's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// Whether it goes on.
    pub(crate) is_open: bool,
}

/// One attempt of the wait.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// When it was over, since the wait began.
    pub(crate) at: Duration,
    /// The same by the service's time, where that was told.
    pub(crate) time: Option<Timestamp>,
    pub(crate) fault: Option<String>,
}

/// What a phase looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Initializing,
    Running,
    Success,
    Failed,
    Unknown,
}

impl Timeline {
    /// Takes a saved reply.
    pub(crate) fn of_reading(reading: &Reading) -> Self {
        let job = &reading.job;
        let mut timeline = Self::new(Some(job), Vec::new());
        timeline.odd.splice(0..0, reading.deviations.iter().map(|odd| line(&odd.to_string())));
        timeline
    }

    /// Takes a wait that is over.
    pub(crate) fn of_wait(finished: &Finished) -> Self {
        let mut timeline = Self::new(finished.job.as_deref(), attempts(finished));
        timeline.id = line(finished.id.as_str());
        let (elapsed, attempts) = match &finished.result {
            Ok(ended) => (ended.elapsed, ended.attempts),
            Err(error) => (error.elapsed(), error.attempts()),
        };
        match &finished.result {
            Ok(ended) => {
                (timeline.kind, timeline.verdict) = match &ended.outcome {
                    Outcome::Succeeded => (Kind::Success, "succeeded".into()),
                    Outcome::Failed(_) => (Kind::Failed, "failed".into()),
                };
                let delay = ended.detection_delay.map(told);
                timeline.facts.extend(delay.map(|delay| ("seen after its end", delay)));
            }
            Err(error) => {
                timeline.verdict = error.kind().as_str().replace('_', " ");
                let told = format!("{:#}", anyhow::Error::from(error.clone()));
                timeline.facts.push(("the wait stopped", line(&told)));
            }
        }
        timeline.facts.push(("waited for", told(elapsed)));
        timeline.facts.push(("attempts", attempts.to_string()));
        timeline
    }

    fn new(job: Option<&Job>, attempts: Vec<Attempt>) -> Self {
        let none = Job::default();
        let job = job.unwrap_or(&none);
        let failure = job.failure();
        let failing = failure.as_ref().map(|failure| failure.path.indices());
        let mut rows: Vec<_> = job
            .walk()
            .map(|node| {
                let indices = node.path.indices();
                Row::of(&node, failing.is_some_and(|failing| failing.starts_with(indices)))
            })
            .collect();
        let bars = rows.iter().filter_map(|row| row.bar).flat_map(|bar| [bar.from, bar.to]);
        let axis = Axis::around(bars.chain(attempts.iter().filter_map(|attempt| attempt.time)));
        for bar in rows.iter_mut().filter_map(|row| row.bar.as_mut()) {
            if let Some(axis) = axis.filter(|_| bar.is_open) {
                bar.to = axis.end();
            }
        }
        let created =
            job.metadata.as_ref().and_then(|metadata| metadata.creation_timestamp.as_ref());
        let created = created.and_then(|created| created.instant());
        let mut facts = Vec::new();
        facts.extend(created.map(|created| ("created", format!("{created:.0}"))));
        let ended = job.phase().is_some_and(Phase::is_terminal);
        let name = if ended { "running time" } else { "last changed after" };
        facts.extend(job.running_time().map(|time| (name, told(time))));
        Self {
            id: line(job.uid().unwrap_or_default()),
            label: line(job.label()),
            kind: Kind::of(job),
            verdict: phase(job),
            facts,
            failure: failure.map(|failure| line(&failure.to_string())),
            odd: job.discrepancies().iter().map(|odd| line(&odd.to_string())).collect(),
            rows,
            attempts,
            axis,
        }
    }
}

impl Row {
    fn of(node: &Node<'_>, is_failing: bool) -> Self {
        let job = node.job;
        let name = job.spec.as_ref().and_then(|spec| spec.resource_name.as_deref());
        Self {
            depth: node.path.depth(),
            label: line(job.label()),
            name: name.filter(|name| !name.is_empty()).map(line),
            phase: phase(job),
            kind: Kind::of(job),
            is_failing,
            took: job.running_time().map(told),
            reason: job.reason().map(line),
            bar: Bar::of(job),
        }
    }
}

impl Bar {
    /// Returns a job's own; `None` where its times say nothing.
    fn of(job: &Job) -> Option<Self> {
        let metadata = job.metadata.as_ref()?;
        let created = metadata.creation_timestamp.as_ref().and_then(|at| at.instant());
        let updated = metadata.update_timestamp.as_ref().and_then(|at| at.instant());
        let from = created.or(updated)?;
        let is_open = !job.phase().is_some_and(Phase::is_terminal);
        Some(Self { from, to: updated.unwrap_or(from).max(from), is_open })
    }

    pub(crate) fn span(self) -> Duration {
        self.to.duration_since(self.from).try_into().unwrap_or_default()
    }
}

impl Kind {
    fn of(job: &Job) -> Self {
        match job.phase() {
            Some(Phase::Initializing) => Self::Initializing,
            Some(Phase::Running) => Self::Running,
            Some(Phase::Success) => Self::Success,
            Some(Phase::Failed) => Self::Failed,
            Some(Phase::Unknown(_)) | None => Self::Unknown,
        }
    }
}

/// Returns a job's phase as it is shown.
fn phase(job: &Job) -> String {
    job.phase().map_or_else(|| "no phase".into(), |phase| line(&phase.to_string()))
}

/// Returns each attempt of a wait, by what it told when it was over.
fn attempts(finished: &Finished) -> Vec<Attempt> {
    let mut attempts = BTreeMap::<Duration, Option<String>>::new();
    for (at, event) in &finished.log {
        let fault = attempts.entry(*at).or_default();
        if let Event::Fault { fault: of, .. } = event {
            *fault = Some(line(&of.message));
        }
    }
    let attempt = |(at, fault)| {
        let time = finished.began.and_then(|began| began.checked_add(at).ok());
        Attempt { at, time, fault }
    };
    attempts.into_iter().map(attempt).collect()
}
