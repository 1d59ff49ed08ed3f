//! Defines the steps of a plan, and computes when each one starts and ends.

use std::time::Duration;

use job_model::Phase;

use super::ids::EXISTING_CLUSTER;

/// A job or sub-job: it initializes, runs its own steps, works for a while itself, and ends.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) job_type: &'static str,
    /// The number of the step within the job; 0 for the job itself.
    pub(crate) index: u32,
    pub(crate) cluster: String,
    pub(crate) resource: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) server: Option<String>,
    /// The reason, if the step fails at its end. Set only on steps without steps of their own.
    pub(crate) failure: Option<String>,
    pub(crate) steps: Vec<Self>,
    /// Whether the steps run in parallel instead of in sequence.
    parallel: bool,
    /// The time until the step is running and its first own step starts.
    initializing: Duration,
    /// The time that the step works itself, after its own steps.
    work: Duration,
}

impl Step {
    /// Creates a step that works for `work_millis` milliseconds.
    pub(crate) fn new(job_type: &'static str, work_millis: u64) -> Self {
        Self {
            job_type,
            index: 0,
            cluster: EXISTING_CLUSTER.into(),
            resource: None,
            name: None,
            server: None,
            failure: None,
            steps: Vec::new(),
            parallel: false,
            initializing: Duration::ZERO,
            work: Duration::from_millis(work_millis),
        }
    }

    /// Sets how long the step initializes, in milliseconds.
    pub(crate) const fn initializing(mut self, initializing: u64) -> Self {
        self.initializing = Duration::from_millis(initializing);
        self
    }

    pub(crate) fn steps(self, steps: Vec<Self>) -> Self {
        Self { steps, ..self }
    }

    /// Makes the steps run in parallel.
    pub(crate) fn parallel(self) -> Self {
        Self { parallel: true, ..self }
    }

    pub(crate) fn cluster(self, id: &str) -> Self {
        Self { cluster: id.into(), ..self }
    }

    pub(crate) fn resource(self, id: &str) -> Self {
        Self { resource: Some(id.into()), ..self }
    }

    pub(crate) fn name(self, name: &str) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    pub(crate) fn server(self, id: &str) -> Self {
        Self { server: Some(id.into()), ..self }
    }

    /// Sets the cluster of this step and all steps within it, and the name of this step.
    pub(crate) fn set_cluster(&mut self, id: &str, name: &str) {
        self.name = Some(name.into());
        self.for_each_mut(&mut |step| step.cluster = id.into());
    }

    /// Makes the last step within this step fail, and this step with it.
    pub(crate) fn fail(&mut self, reason: String) {
        match self.steps.last_mut() {
            Some(last) => last.fail(reason),
            None => self.failure = Some(reason),
        }
    }

    /// Numbers this step and all steps within it.
    pub(crate) fn assign_indices(&mut self, numbers: &mut impl Iterator<Item = u32>) {
        self.for_each_mut(&mut |step| step.index = numbers.next().unwrap_or(u32::MAX));
    }

    /// Changes every duration of this step and all steps within it.
    pub(crate) fn map_durations(&mut self, change: &mut impl FnMut(Duration) -> Duration) {
        self.for_each_mut(&mut |step| {
            step.initializing = change(step.initializing);
            step.work = change(step.work);
        });
    }

    fn for_each_mut(&mut self, change: &mut impl FnMut(&mut Self)) {
        change(self);
        self.steps.iter_mut().for_each(|step| step.for_each_mut(change));
    }

    /// Returns the number of steps, including this one.
    pub(crate) fn count(&self) -> u32 {
        self.steps.iter().map(Self::count).sum::<u32>() + 1
    }

    /// Returns the step with this number and its start, if this step starts at `start`.
    pub(crate) fn find(&self, index: u32, start: Duration) -> Option<(&Self, Duration)> {
        if self.index == index {
            return Some((self, start));
        }
        self.started_steps(start).find_map(|(step, start)| step.find(index, start))
    }

    /// Returns the own steps that ever start, and when, if this step starts at `start`.
    pub(crate) fn started_steps(&self, start: Duration) -> impl Iterator<Item = (&Self, Duration)> {
        let first = start.saturating_add(self.initializing);
        let running = if self.parallel { self.steps.len() } else { self.steps_until_failure() };
        self.steps[..running].iter().scan(first, move |next, step| {
            let start = *next;
            if !self.parallel {
                *next = start.saturating_add(step.duration());
            }
            Some((step, start))
        })
    }

    /// Returns how long the step takes.
    pub(crate) fn duration(&self) -> Duration {
        let ends = self
            .started_steps(Duration::ZERO)
            .map(|(step, start)| start.saturating_add(step.duration()));
        ends.max().unwrap_or(self.initializing).saturating_add(self.work)
    }

    /// Returns the phase at a time and the start of that phase, if this step starts at `start`.
    pub(crate) fn phase_at(&self, start: Duration, elapsed: Duration) -> (Phase, Duration) {
        let runs = start.saturating_add(self.initializing);
        let ends = start.saturating_add(self.duration());
        if elapsed < runs {
            (Phase::Initializing, start)
        } else if elapsed < ends {
            (Phase::Running, runs)
        } else if self.has_failure() {
            (Phase::Failed, ends)
        } else {
            (Phase::Success, ends)
        }
    }

    pub(crate) fn has_failure(&self) -> bool {
        self.failure.is_some() || self.steps.iter().any(Self::has_failure)
    }

    /// Returns how many steps start when they run in sequence: all up to the first that fails.
    fn steps_until_failure(&self) -> usize {
        let failing = self.steps.iter().position(Self::has_failure);
        failing.map_or(self.steps.len(), |failing| failing + 1)
    }
}
