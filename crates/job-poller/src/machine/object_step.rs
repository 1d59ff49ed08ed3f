//! Handles readings of clusters and nodes, after the job has ended or without a job.

use std::mem;

use jiff::SignedDuration;
use job_model::{
    Job,
    object::{ObjectId, ObjectState},
};
use job_transport::ErrorClass;

use super::{
    Machine,
    attempt_error::AttemptError,
    error_kind::WaitErrorKind,
    event::{AttemptReason, Event},
    named_objects::{NamedObjects, creates, goal},
    object_status::ObjectSnapshot,
    outcome::{FinishedJob, Outcome},
    reading_objects::{EndedJob, NextReading, ReadingObjects},
    state::State,
    step::{Action, Input, StepContext},
    sub_job_lookup::Lookup,
    until::Until,
};
use crate::schedule::PollState;

impl Machine {
    /// Begins to read the objects of a job that has succeeded.
    pub(super) fn read_objects_of_job(
        &mut self,
        context: &mut StepContext<'_>,
        lookup: Lookup,
    ) -> Action {
        let named = NamedObjects::from_job(&lookup.job);
        let are_deleted = goal(self.policy.until, &lookup.job) == Until::Gone;
        let job_type = lookup.job.job_type().map(String::from);
        if !named.is_complete {
            // Some sub-jobs may not have been read because no time was left.
            let is_late = lookup.next_for_objects().is_some();
            // A resumed wait reads the job again.
            self.state = State::Polling;
            let kind = if is_late { WaitErrorKind::NotReady } else { WaitErrorKind::NoObject };
            return self.stop(context, kind);
        }
        let job = EndedJob::Succeeded(lookup.into());
        self.read_objects(context, job, named.objects, are_deleted, job_type)
    }

    /// Begins to read the objects of a job that the service has deleted before the wait read its end.
    ///
    /// Returns `None` if the job does not name objects of its own, or if the wait does not read
    /// objects.
    pub(super) fn read_objects_of_deleted_job(
        &mut self,
        context: &mut StepContext<'_>,
    ) -> Option<Action> {
        if self.policy.until == Until::Ended {
            return None;
        }
        let snapshot = self.snapshot.clone()?;
        let job = snapshot.job();
        let named = NamedObjects::from_job(job);
        let created_at = snapshot.digest().created_at();
        // Without a time, an object of the same id could be an older one.
        if !named.is_complete || !named.are_own || (creates(job) && created_at.is_none()) {
            return None;
        }
        let creates_since = created_at.filter(|_| creates(job));
        let are_deleted = goal(self.policy.until, job) == Until::Gone;
        let job_type = job.job_type().map(String::from);
        let ended = EndedJob::Gone { creates_since };
        Some(self.read_objects(context, ended, named.objects, are_deleted, job_type))
    }

    fn read_objects(
        &mut self,
        context: &mut StepContext<'_>,
        job: EndedJob,
        objects: Vec<ObjectId>,
        are_deleted: bool,
        job_type: Option<String>,
    ) -> Action {
        let is_job_gone = matches!(job, EndedJob::Gone { .. });
        let mut reading = ReadingObjects::new(job, objects.clone(), context.elapsed);
        reading.are_deleted = are_deleted;
        let until = reading.goal(&self.policy);
        reading.law = format!("{}:{until}", job_type.unwrap_or_default());
        context.events.push(Event::ReadingObjects { objects, until, is_job_gone });
        (self.recent_errors, self.stale_in_a_row) = (None, 0);
        (self.next_attempt_at, self.not_before) = (context.elapsed.into(), context.elapsed.into());
        self.state = State::ReadingObjects(reading.into());
        self.on_wake(context)
    }

    /// Handles an input while objects are read.
    pub(super) fn on_object_input(
        &mut self,
        context: &mut StepContext<'_>,
        objects: Box<ReadingObjects>,
        input: Input,
    ) -> Action {
        // Counted here and not when it is requested, because a driver may ask again for the action.
        if !matches!(input, Input::Wake | Input::Stop) {
            self.object_readings = self.object_readings.saturating_add(1);
        }
        match input {
            Input::Object { object, credentials_refreshed } => {
                if credentials_refreshed {
                    context.events.push(Event::CredentialsRefreshed);
                }
                self.on_object(context, objects, object)
            }
            Input::Error(error)
                if error.class == ErrorClass::NotFound && objects.is_current_known() =>
            {
                if error.credentials_refreshed {
                    context.events.push(Event::CredentialsRefreshed);
                }
                self.on_missing_object(context, objects)
            }
            Input::Error(error) => {
                self.state = State::ReadingObjects(objects);
                self.on_attempt_error(context, error)
            }
            Input::Reading { credentials_refreshed, .. }
            | Input::Unchanged { credentials_refreshed, .. } => {
                self.state = State::ReadingObjects(objects);
                let error = AttemptError::unexpected_job();
                self.on_attempt_error(context, AttemptError { credentials_refreshed, ..error })
            }
            Input::Wake => {
                self.state = State::ReadingObjects(objects);
                self.on_wake(context)
            }
            Input::Stop => {
                self.state = State::ReadingObjects(objects);
                self.stop(context, WaitErrorKind::Stopped)
            }
        }
    }

    /// Handles the current object as it was read.
    fn on_object(
        &mut self,
        context: &mut StepContext<'_>,
        mut objects: Box<ReadingObjects>,
        object: ObjectSnapshot,
    ) -> Action {
        let id = &objects.current().id;
        let other_uid = object.uid.as_deref().filter(|uid| !uid.is_empty() && *uid != id.as_str());
        if let Some(uid) = other_uid {
            let error = AttemptError::wrong_object(id.kind(), uid);
            self.state = State::ReadingObjects(objects);
            return self.on_attempt_error(context, error);
        }
        if let EndedJob::Gone { creates_since: Some(job_created_at) } = objects.job {
            let age = object.created_at.map(|created| job_created_at.duration_since(created));
            if age.is_none_or(|age| age > MAX_OBJECT_AGE_BEFORE_JOB) {
                // Another job has created the object, so it does not show how this one ended.
                self.state = State::Polling;
                return self.stop(context, WaitErrorKind::Vanished);
            }
        }
        self.recent_errors = None;
        let goal = objects.goal(&self.policy);
        let before = objects.current().clone();
        objects.record_reading(goal, context.elapsed, object);
        self.emit_object_change(context, &objects, &before.phase, before.state);
        self.read_next_object(context, objects)
    }

    /// Handles a 404 for the current object, which exists or has existed.
    fn on_missing_object(
        &mut self,
        context: &mut StepContext<'_>,
        mut objects: Box<ReadingObjects>,
    ) -> Action {
        self.recent_errors = None;
        let goal = objects.goal(&self.policy);
        let before = objects.current().clone();
        objects.record_missing(goal, &self.policy, context.elapsed);
        self.emit_object_change(context, &objects, &before.phase, before.state);
        self.read_next_object(context, objects)
    }

    /// Emits an event if the state or the phase of the current object has changed.
    fn emit_object_change(
        &mut self,
        context: &mut StepContext<'_>,
        objects: &ReadingObjects,
        from: &Option<String>,
        state_before: Option<ObjectState>,
    ) {
        let status = objects.current();
        if (status.phase.as_ref(), status.state) != (from.as_ref(), state_before) {
            self.changed_at = context.elapsed.into();
            self.stall_reported = false;
            let (status, from) = (Box::new(status.clone()), from.clone());
            context.events.push(Event::Object { from, status });
        }
    }

    /// Plans the next reading of an object, or finishes the wait.
    fn read_next_object(
        &mut self,
        context: &mut StepContext<'_>,
        objects: Box<ReadingObjects>,
    ) -> Action {
        let goal = objects.goal(&self.policy);
        match objects.next_reading(goal, context.elapsed) {
            NextReading::None => self.finish_objects(context, *objects),
            NextReading::Now => {
                (self.next_attempt_at, self.not_before) =
                    (context.elapsed.into(), context.elapsed.into());
                self.state = State::ReadingObjects(objects);
                self.on_wake(context)
            }
            NextReading::After(delay) => {
                self.state = State::ReadingObjects(objects);
                self.not_before = context.elapsed.saturating_add(delay).into();
                self.plan_next_attempt(context, delay, AttemptReason::Scheduled)
            }
            NextReading::Scheduled(max_delay) => {
                let age = context.elapsed.saturating_sub(objects.since);
                let state = self.poll_state(context.elapsed, objects.readings);
                let state = PollState {
                    age,
                    since_last_step: age,
                    job_type: Some(&objects.law),
                    share: context.share,
                    ..state
                };
                let plan = context.schedule.plan(&state);
                context.plan = Some(plan);
                self.state = State::ReadingObjects(objects);
                self.check_stalled(context);
                let delay = plan.delay.min(max_delay);
                self.plan_next_attempt(context, delay, AttemptReason::Scheduled)
            }
        }
    }

    /// Finishes the wait, because each object is settled.
    fn finish_objects(&mut self, context: &StepContext<'_>, mut objects: ReadingObjects) -> Action {
        let until = objects.goal(&self.policy);
        let outcome = match objects.result(until) {
            ObjectState::Broken => Outcome::Broken,
            ObjectState::Gone => Outcome::Gone,
            ObjectState::Ready | ObjectState::UnderWay => Outcome::Ready,
        };
        let is_reached = match until {
            Until::Gone => outcome == Outcome::Gone,
            Until::Ready | Until::Ended => outcome == Outcome::Ready,
        };
        let finished = match &mut objects.job {
            EndedJob::Succeeded(lookup) => {
                let lookup = mem::take(&mut **lookup);
                self.finished_job(context.elapsed, lookup, outcome)
            }
            EndedJob::None | EndedJob::Gone { .. } => {
                let observation = self.observation();
                let snapshot = self.snapshot.clone().unwrap_or_else(|| Job::default().into());
                let lookup = Lookup { observation, job: snapshot.into_job(), ..Lookup::default() };
                self.finished_job(context.elapsed, lookup, outcome)
            }
        };
        Action::Finish(Box::new(Ok(FinishedJob {
            until,
            is_job_gone: matches!(objects.job, EndedJob::Gone { .. }),
            object_observation: objects.observation(Some(context.elapsed).filter(|_| is_reached)),
            objects: objects.statuses().cloned().collect(),
            ..finished
        })))
    }
}

/// The maximum time by which an object that a job creates may be older than the job. An older object
/// was created by another job.
const MAX_OBJECT_AGE_BEFORE_JOB: SignedDuration = SignedDuration::from_secs(5 * 60);
