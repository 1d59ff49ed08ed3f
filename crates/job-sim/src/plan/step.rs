//! The steps of a job's plan, and when each starts and ends. Knows no JSON.

use std::time::Duration;

use job_model::Phase;

/// A job or a sub-job: it initializes, runs its own steps, works for a while itself, and ends.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) job_type: &'static str,
    /// Its number among the job's steps; 0 for the job itself.
    pub(crate) index: u32,
    pub(crate) cluster: String,
    pub(crate) resource: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) server: Option<String>,
    /// Where it fails, at its end: the reason it gives; without steps of its own that fail.
    pub(crate) failure: Option<String>,
    pub(crate) steps: Vec<Self>,
    /// Whether the steps run at once, and not one after another.
    parallel: bool,
    /// How long until it runs, and its first step starts.
    initializing: Duration,
    /// How long it works itself, after its steps.
    work: Duration,
}

impl Step {
    /// Creates a step that works for so many milliseconds.
    pub(crate) fn new(job_type: &'static str, work_millis: u64) -> Self {
        Self {
            job_type,
            index: 0,
            cluster: "fcc72de0-9606-11e8-baa8-0255ac10215d".into(),
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

    /// Sets how many milliseconds it initializes.
    pub(crate) const fn initializing(mut self, initializing: u64) -> Self {
        self.initializing = Duration::from_millis(initializing);
        self
    }

    pub(crate) fn steps(self, steps: Vec<Self>) -> Self {
        Self { steps, ..self }
    }

    /// Lets its steps run at once.
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

    /// Sets the cluster of this step and all in it, and the name that the step itself gives.
    pub(crate) fn set_cluster(&mut self, id: &str, name: &str) {
        self.name = Some(name.into());
        self.for_each_mut(&mut |step| step.cluster = id.into());
    }

    /// Lets the last step in it fail, and it with that.
    pub(crate) fn fail(&mut self, reason: String) {
        match self.steps.last_mut() {
            Some(last) => last.fail(reason),
            None => self.failure = Some(reason),
        }
    }

    /// Numbers this step and all in it.
    pub(crate) fn assign_indices(&mut self, numbers: &mut impl Iterator<Item = u32>) {
        self.for_each_mut(&mut |step| step.index = numbers.next().unwrap_or(u32::MAX));
    }

    /// Changes every duration of this step and all in it.
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

    /// Returns how many steps there are, this one and all in it.
    pub(crate) fn count(&self) -> u32 {
        self.steps.iter().map(Self::count).sum::<u32>() + 1
    }

    /// Returns the step of this number, this one or one in it, and when it starts, where this one
    /// starts then.
    pub(crate) fn find(&self, index: u32, start: Duration) -> Option<(&Self, Duration)> {
        if self.index == index {
            return Some((self, start));
        }
        self.started_steps(start).find_map(|(step, start)| step.find(index, start))
    }

    /// Returns its own steps that are ever started, and when, where it starts then itself.
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

    /// Returns how long it takes.
    pub(crate) fn duration(&self) -> Duration {
        let ends = self
            .started_steps(Duration::ZERO)
            .map(|(step, start)| start.saturating_add(step.duration()));
        ends.max().unwrap_or(self.initializing).saturating_add(self.work)
    }

    /// Returns the phase at a time, and when the step came into it, where it starts then.
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

    fn has_failure(&self) -> bool {
        self.failure.is_some() || self.steps.iter().any(Self::has_failure)
    }

    /// Returns how many of its steps start when they run one after another: all up to the first that
    /// fails.
    fn steps_until_failure(&self) -> usize {
        let failing = self.steps.iter().position(Self::has_failure);
        failing.map_or(self.steps.len(), |failing| failing + 1)
    }
}
