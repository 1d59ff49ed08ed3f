//! What a fleet's scheduler reports to an observer, and when.

use std::time::Duration;

use job_model::JobId;

use super::Scheduler;
use crate::{
    fleet::{job::FleetJob, observations::Observation},
    machine::Input,
    observer::{
        AttemptFinished, AttemptResult, BudgetStatus, WaitFinished, WaitOutcome, WaitSpan,
        WaitStarted,
    },
};

/// Minimum time between two reports of the budget.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// When the budget was last reported, and how it was then.
#[derive(Default)]
pub(super) struct BudgetReports(Option<(Duration, BudgetStatus)>);

impl Scheduler {
    /// Collects observations from now on, because the fleet has an observer.
    pub(in crate::fleet) fn enable_observations(&mut self) {
        self.budget_reports = Some(BudgetReports::default());
    }

    const fn has_observer(&self) -> bool {
        self.budget_reports.is_some()
    }

    /// Returns whether the fleet has an observer, or a subscriber is interested in the span of this
    /// wait.
    pub(super) const fn is_observed(&self, job: &FleetJob) -> bool {
        self.has_observer() || job.span.is_enabled()
    }

    pub(super) fn observe_start(&mut self, id: &JobId, elapsed_before: Duration) {
        if self.has_observer() {
            let started = WaitStarted { elapsed_before, ..WaitStarted::new(id.clone()) };
            self.observations.push(Observation::WaitStarted(started));
        }
    }

    pub(super) fn observe_attempt(&mut self, key: usize, latency: Duration, input: &Input) {
        if self.has_observer()
            && let Some(result) = AttemptResult::from_input(input)
        {
            let machine = &self.jobs[key].machine;
            let is_sub_job_lookup = machine.lookup_deadline().is_some();
            let is_object = machine.is_reading_objects();
            let attempt = AttemptFinished::new(machine.job_id().clone(), latency, result);
            let attempt = AttemptFinished { is_sub_job_lookup, is_object, ..attempt };
            self.observations.push(Observation::AttemptFinished(attempt));
        }
    }

    pub(super) fn observe_end(&mut self, span: WaitSpan, finished: WaitFinished) {
        self.observations.push(Observation::WaitFinished(span, finished));
    }

    /// Reports the end of a wait whose machine has not finished.
    pub(super) fn observe_unfinished(
        &mut self,
        now: Duration,
        job: FleetJob,
        outcome: WaitOutcome,
    ) {
        if self.is_observed(&job) {
            let finished = WaitFinished::from_machine(&job.machine, job.elapsed(now), outcome);
            self.observe_end(job.span, finished);
        }
    }

    /// Reports the budget if it has changed and the last report is old enough, or if the fleet ends.
    pub(super) fn observe_budget(&mut self, now: Duration, is_last: bool) {
        let Some(BudgetReports(last)) = &self.budget_reports else { return };
        let is_due =
            |(at, _): &(Duration, BudgetStatus)| now.saturating_sub(*at) >= REPORT_INTERVAL;
        if !is_last && !last.as_ref().is_none_or(is_due) {
            return;
        }
        let before = last.map(|(_, status)| status);
        let status = self.budget_status(now);
        self.budget_reports = Some(BudgetReports(Some((now, status))));
        if before != Some(status) {
            self.observations.push(Observation::BudgetChanged(status));
        }
    }

    /// Returns when the budget has to be reported next. Returns `None` if it has not changed since
    /// the last report, and does not change with time alone.
    pub(super) fn next_budget_report(&self) -> Option<Duration> {
        let (at, last) = self.budget_reports.as_ref()?.0.as_ref()?;
        let has_changed = last.jobs != self.jobs.len()
            || last.queued != self.ready.len()
            || last.in_flight != self.in_flight
            || last.request_price != self.share().request_price
            || !last.throttled_for.is_zero()
            || self.budget.throttled_until() > *at;
        has_changed.then(|| at.saturating_add(REPORT_INTERVAL))
    }

    pub(in crate::fleet) fn budget_status(&mut self, now: Duration) -> BudgetStatus {
        let stats = self.stats(now);
        BudgetStatus {
            jobs: stats.jobs,
            queued: stats.queued,
            in_flight: stats.in_flight,
            requests_per_second: stats.requests_per_second,
            throttled_for: stats.throttled_for,
            request_price: stats.request_price,
        }
    }
}
