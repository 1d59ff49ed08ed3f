//! Defines how a cluster or a node behaves after the end of its job, as a pure function of time.

use std::time::Duration;

/// How an object, a cluster or a node, behaves after the end of its job.
///
/// All times count from the end of the job. An object without a job counts from when it was added. As
/// long as the job is active, the object follows it: it is `Creating` (a node `Build`, then
/// `Installing`), or `Deleting`. If the job fails, the object is `Error`, and of its plan only
/// [`vanishes_after`](Self::vanishes_after) and [`phases`](Self::phases) apply.
///
/// | plan | a created object | a deleted object |
/// |---|---|---|
/// | [`ready`](Self::ready) | ready at once | 404 at once |
/// | [`ready_after`](Self::ready_after) | ready after a lag | 404 after a lag |
/// | [`never_ready`](Self::never_ready) | `Creating` or `Installing` for ever | `Deleting` for ever |
/// | [`flaps`](Self::flaps) | ready, broken for a while, ready again | 404, `Deleting` for a while, 404 again |
/// | [`breaks_after`](Self::breaks_after) | broken from then on | `Error` from then on |
/// | [`recovers_after`](Self::recovers_after) | broken at first, then ready | `Error` at first, then 404 |
/// | [`vanishes_after`](Self::vanishes_after) | 404 from then on | 404 from then on |
/// | [`stale_probe_until`](Self::stale_probe_until) | a node whose last probe is old until then | |
/// | [`phases`](Self::phases) | any phases | any phases |
///
/// A ready cluster is `Available`, and a broken one `Unavailable`. A ready node is `Active`, and a
/// broken one `Abnormal`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use job_sim::{ObjectPlan, Plan, Sim, TimeSource};
///
/// let seconds = Duration::from_secs;
/// let plan = ObjectPlan::ready_after(seconds(60)).flaps(2, seconds(20)).vanishes_after(seconds(600));
/// let sim = Sim::new(Plan::create_cluster(), TimeSource::Clock).default_object_plan(plan);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPlan {
    /// What the object does from each time on, in the order of time. Before the first one, it is
    /// under way.
    stages: Vec<(Duration, Stage)>,
    vanishes: Option<Duration>,
    stale_probe_until: Duration,
    /// The reason and the message, instead of those of a broken object.
    reason: Option<(String, String)>,
}

/// What an object does at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The job has ended, and the object still needs time.
    UnderWay,
    /// The object is ready, or gone if it was to be deleted.
    Done,
    /// The object was `Done`, and for a while it is not.
    Lapsed,
    /// The object is broken.
    Broken,
    /// The object has this phase.
    Phase(String),
    /// The service answers 404.
    Vanished,
}

impl Default for ObjectPlan {
    fn default() -> Self {
        Self::ready()
    }
}

impl ObjectPlan {
    /// Creates the plan of an object that is ready, or gone, as soon as its job ends.
    #[must_use]
    pub fn ready() -> Self {
        Self::ready_after(Duration::ZERO)
    }

    /// Creates the plan of an object that is ready, or gone, this long after its job's end.
    #[must_use]
    pub fn ready_after(lag: Duration) -> Self {
        Self { stages: vec![(lag, Stage::Done)], ..Self::never_ready() }
    }

    /// Creates the plan of an object that never becomes ready, or is never gone.
    #[must_use]
    pub const fn never_ready() -> Self {
        Self { stages: Vec::new(), vanishes: None, stale_probe_until: Duration::ZERO, reason: None }
    }

    /// Creates the plan of an object with these phases, each from its time on.
    ///
    /// Any text is possible. Before the first time, the object is under way, or `Error` if the job
    /// failed. The phases apply even if the job failed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use job_sim::ObjectPlan;
    /// let hibernated = ObjectPlan::phases([
    ///     (Duration::ZERO, "Hibernating"),
    ///     (Duration::from_secs(90), "Hibernation"),
    /// ]);
    /// ```
    #[must_use]
    pub fn phases<T: Into<String>>(phases: impl IntoIterator<Item = (Duration, T)>) -> Self {
        let stages = phases.into_iter().map(|(from, text)| (from, Stage::Phase(text.into())));
        let mut stages: Vec<_> = stages.collect();
        stages.sort_by_key(|(from, _)| *from);
        Self { stages, ..Self::never_ready() }
    }

    /// Makes the object alternate between ready and not ready, and stay ready in the end.
    ///
    /// It is ready for `period` and not ready for `period`, `count` times (at most 1,000), then ready.
    /// A plan that never becomes ready does not change.
    #[must_use]
    pub fn flaps(mut self, count: u32, period: Duration) -> Self {
        if let Some((last, Stage::Done)) = self.stages.last() {
            let mut time = *last;
            for _ in 0..count.min(MAX_FLAPS) {
                for stage in [Stage::Lapsed, Stage::Done] {
                    time = time.saturating_add(period);
                    self.stages.push((time, stage));
                }
            }
        }
        self
    }

    /// Makes the object broken from this time on.
    #[must_use]
    pub fn breaks_after(mut self, time: Duration) -> Self {
        self.stages.retain(|(from, _)| *from < time);
        self.stages.push((time, Stage::Broken));
        self
    }

    /// Makes the object broken when it would become ready, and ready `period` later.
    ///
    /// The times of flaps that were added before shift by `period`.
    #[must_use]
    pub fn recovers_after(mut self, period: Duration) -> Self {
        if let Some((start, Stage::Done)) = self.stages.first() {
            let start = *start;
            for (from, _) in &mut self.stages {
                *from = from.saturating_add(period);
            }
            self.stages.insert(0, (start, Stage::Broken));
        }
        self
    }

    /// Makes the service answer 404 from this time on.
    #[must_use]
    pub fn vanishes_after(self, time: Duration) -> Self {
        Self { vanishes: Some(time), ..self }
    }

    /// Makes the `lastProbeTime` of a node ten minutes old until this time.
    ///
    /// The status of such a node has no meaning. For a node that is younger than ten minutes, the time
    /// is earlier than its creation. The plan has no effect on clusters.
    #[must_use]
    pub fn stale_probe_until(self, time: Duration) -> Self {
        Self { stale_probe_until: time, ..self }
    }

    /// Sets the `reason` and the `message` that the object has if it is not ready.
    ///
    /// By default, a broken cluster has a reason and a message. A node has none, as with the real
    /// service.
    #[must_use]
    pub fn with_reason(self, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason: Some((reason.into(), message.into())), ..self }
    }

    /// Returns what the object does at this time, and since when.
    pub(crate) fn stage_at(&self, time: Duration) -> (Stage, Duration) {
        if let Some(vanishes) = self.vanishes.filter(|vanishes| *vanishes <= time) {
            return (Stage::Vanished, vanishes);
        }
        let current = self.stages.iter().rfind(|(from, _)| *from <= time);
        current.map_or((Stage::UnderWay, Duration::ZERO), |(from, stage)| (stage.clone(), *from))
    }

    /// Returns whether the last probe of a node is old at this time.
    pub(crate) fn has_stale_probe(&self, time: Duration) -> bool {
        time < self.stale_probe_until
    }

    pub(crate) fn reason(&self) -> Option<(&str, &str)> {
        self.reason.as_ref().map(|(reason, message)| (reason.as_str(), message.as_str()))
    }

    /// Returns the times at which something changes, in order, beginning with zero.
    pub(crate) fn changes(&self) -> Vec<Duration> {
        let mut times: Vec<Duration> = self.stages.iter().map(|(from, _)| *from).collect();
        times.extend([Duration::ZERO, self.stale_probe_until]);
        times.extend(self.vanishes);
        times.sort_unstable();
        times
    }
}

/// Maximum number of times that an object flaps.
const MAX_FLAPS: u32 = 1_000;
