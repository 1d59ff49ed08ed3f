//! The overview of several jobs: their order, their counts, and the reasons of their failures.

use std::collections::HashMap;

use crate::{
    axis::Axis,
    timeline::{PhaseKind, Timeline},
};

/// How a job, or its wait, ended. The groups are in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum JobGroup {
    Failed,
    Unread,
    Unfinished,
    Succeeded,
}

impl JobGroup {
    const ALL: [Self; 4] = [Self::Failed, Self::Unread, Self::Unfinished, Self::Succeeded];

    /// Returns the words after a count of jobs.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Unread => "could not be read",
            Self::Unfinished => "not ended",
            Self::Succeeded => "succeeded",
        }
    }

    /// Returns the kind of phase with the same color.
    pub(crate) const fn kind(self) -> PhaseKind {
        match self {
            Self::Failed => PhaseKind::Failed,
            Self::Unread => PhaseKind::Unknown,
            Self::Unfinished => PhaseKind::Running,
            Self::Succeeded => PhaseKind::Success,
        }
    }
}

impl Timeline {
    pub(crate) fn group(&self) -> JobGroup {
        match self.kind {
            PhaseKind::Failed if self.cause.is_none() => JobGroup::Failed,
            _ if !self.was_read => JobGroup::Unread,
            PhaseKind::Success if self.cause.is_none() => JobGroup::Succeeded,
            _ => JobGroup::Unfinished,
        }
    }

    /// Returns why the job failed, or why it could not be read, or why the wait for it stopped.
    pub(crate) fn explanation(&self) -> Option<String> {
        match self.group() {
            JobGroup::Failed if !self.failure_reasons.is_empty() => self.why(),
            JobGroup::Failed => self.reason.clone().or_else(|| self.failure.clone()),
            JobGroup::Unread => self.reason.clone().or_else(|| self.cause.clone()),
            JobGroup::Unfinished => self.cause.clone(),
            JobGroup::Succeeded => None,
        }
    }

    /// Returns the text that jobs with the same problem have in common.
    fn common_reason(&self) -> &str {
        let texts = [&self.reason, &self.failure, &self.cause];
        texts.into_iter().flatten().next().map_or("no reason given", String::as_str)
    }
}

/// Several jobs in the order in which they are shown: failed ones first, then by their starts.
pub(crate) struct Overview<'a> {
    pub(crate) jobs: Vec<&'a Timeline>,
    /// One time scale for all jobs.
    pub(crate) axis: Option<Axis>,
}

impl<'a> Overview<'a> {
    pub(crate) fn new(timelines: &[&'a Timeline]) -> Self {
        let axis = Axis::from_axes(timelines.iter().filter_map(|timeline| timeline.axis));
        let mut jobs = timelines.to_vec();
        jobs.sort_by_key(|timeline| {
            let start = timeline.bar().map(|bar| bar.from);
            (timeline.group(), start.is_none(), start)
        });
        Self { jobs, axis }
    }

    /// Returns the number of jobs of each group that has any.
    pub(crate) fn counts(&self) -> Vec<(JobGroup, usize)> {
        let count = |group| self.jobs.iter().filter(|job| job.group() == group).count();
        JobGroup::ALL
            .map(|group| (group, count(group)))
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// Returns the counts as text, such as `5 jobs: 1 failed, 4 succeeded`.
    pub(crate) fn title(&self) -> String {
        let counts = self.counts();
        let counts = counts.iter().map(|(group, count)| format!("{count} {}", group.words()));
        format!("{} jobs: {}", self.jobs.len(), counts.collect::<Vec<_>>().join(", "))
    }

    /// Returns the distinct reasons of the jobs that failed or could not be read, in the order of
    /// the jobs.
    pub(crate) fn reasons(&self) -> Vec<Reason<'a>> {
        let mut reasons = Vec::<Reason<'a>>::new();
        let mut known = HashMap::new();
        for (index, job) in self.jobs.iter().enumerate() {
            let group = job.group();
            if !matches!(group, JobGroup::Failed | JobGroup::Unread) {
                break;
            }
            let text = job.common_reason();
            let at = *known.entry((group, text)).or_insert(reasons.len());
            if at == reasons.len() {
                reasons.push(Reason { group, text, jobs: Vec::new() });
            }
            if let Some(reason) = reasons.get_mut(at) {
                reason.jobs.push(index);
            }
        }
        reasons
    }
}

/// Why jobs failed, or could not be read.
#[derive(Debug, PartialEq)]
pub(crate) struct Reason<'a> {
    pub(crate) group: JobGroup,
    pub(crate) text: &'a str,
    /// The positions of the jobs in the overview.
    pub(crate) jobs: Vec<usize>,
}

/// Maximum number of reasons, and of jobs for each, that an overview names.
pub(crate) const MAX_REASONS: usize = 10;
pub(crate) const MAX_JOBS_OF_REASON: usize = 5;
