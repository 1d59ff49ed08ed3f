//! Handles readings of clusters and nodes, after the job has ended or without a job.

use std::{mem, time::Duration};

use jiff::SignedDuration;
use job_model::{Job, object::ObjectState};
use job_transport::ErrorClass;

use super::{
    Machine,
    attempt_error::AttemptError,
    error_kind::WaitErrorKind,
    event::{AttemptReason, Event},
    named_objects::NamedObjects,
    object_status::ObjectSnapshot,
    outcome::{FinishedJob, Outcome},
    policy::WaitPolicy,
    reading_objects::{EndedJob, NextReading, ObjectGoal, ReadingObjects},
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
        if !named.is_complete {
            // Some sub-jobs may not have been read because no time was left.
            let is_late = lookup.next_for_objects().is_some();
            // A resumed wait reads the job again.
            self.state = State::Polling;
            let kind = match self.goal_of(&named) {
                _ if !is_late => WaitErrorKind::NoObject,
                ObjectGoal::Ready => WaitErrorKind::NotReady,
                ObjectGoal::Gone => WaitErrorKind::DeadlineExceeded,
            };
            return self.stop(context, kind);
        }
        let subject = lookup.job.job_type().map(String::from);
        self.read_objects(context, EndedJob::Succeeded(lookup.into()), named, subject)
    }

    /// Begins to read the objects of a job that the service has deleted before the wait read its end.
    ///
    /// Returns `None` if the job does not name objects of its own, or if the wait does not read
    /// objects.
    pub(super) fn read_objects_of_deleted_job(
        &mut self,
        context: &mut StepContext<'_>,
    ) -> Option<Action> {
        // A job that settles has succeeded.
        if self.policy.until == Until::Ended || self.state.settling().is_some() {
            return None;
        }
        let snapshot = self.snapshot.clone()?;
        let job = snapshot.job();
        let named = NamedObjects::from_job(job);
        let created_at = snapshot.digest().created_at();
        // Without a time, an object of the same id could be an older one.
        let may_be_older = named.are_created && created_at.is_none();
        if !named.is_complete || !named.are_made_by_job || may_be_older {
            return None;
        }
        let subject = job.job_type().map(String::from);
        let ended = EndedJob::Gone { created_at: created_at.filter(|_| named.are_created) };
        Some(self.read_objects(context, ended, named, subject))
    }

    /// Returns the state that the objects of a job must reach.
    pub(super) fn goal_of(&self, named: &NamedObjects) -> ObjectGoal {
        if named.are_deleted { ObjectGoal::Gone } else { ObjectGoal::from_policy(&self.policy) }
    }

    fn read_objects(
        &mut self,
        context: &mut StepContext<'_>,
        job: EndedJob,
        named: NamedObjects,
        subject: Option<String>,
    ) -> Action {
        let is_job_gone = matches!(job, EndedJob::Gone { .. });
        let goal = self.goal_of(&named);
        let NamedObjects { objects, are_deleted, .. } = named;
        let reading = ReadingObjects::new(
            job,
            objects.iter().cloned(),
            (goal, are_deleted),
            subject.unwrap_or_default(),
            context.elapsed,
        );
        context.events.push(Event::ReadingObjects { objects, until: goal.until(), is_job_gone });
        (self.recent_errors, self.stale_in_a_row) = (None, 0);
        self.state = State::ReadingObjects(reading.into());
        self.read_now(context)
    }

    /// Reads the next object at once. If the wait was resumed after its deadline, or has no time at
    /// all, each object is still read once.
    fn read_now(&mut self, context: &mut StepContext<'_>) -> Action {
        (self.next_attempt_at, self.not_before) = (context.elapsed.into(), context.elapsed.into());
        self.late_attempt_allowed |= self.deadline_waived;
        self.on_wake(context)
    }

    /// Handles an input while objects are read.
    pub(super) fn on_object_input(
        &mut self,
        context: &mut StepContext<'_>,
        mut objects: Box<ReadingObjects>,
        input: Input,
    ) -> Action {
        objects.update_goal(&self.policy);
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
                self.record_object(context, objects, ReadingObjects::record_missing)
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
            // The limits have changed since the wait was stopped.
            Input::Wake if self.policy.until == Until::Ended => {
                self.end_with_job(context, *objects)
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

    /// Ends a wait for the end of the job, whose objects were to be read before. A wait without a job
    /// goes on.
    fn end_with_job(
        &mut self,
        context: &mut StepContext<'_>,
        mut objects: ReadingObjects,
    ) -> Action {
        match &mut objects.job {
            EndedJob::Succeeded(lookup) => {
                let lookup = mem::take(&mut **lookup);
                let finished = self.finished_job(context.elapsed, lookup, Outcome::Succeeded);
                Action::Finish(Box::new(Ok(finished)))
            }
            EndedJob::Gone { .. } => {
                self.state = State::Polling;
                self.stop(context, WaitErrorKind::Vanished)
            }
            EndedJob::None => {
                self.state = State::ReadingObjects(objects.into());
                self.on_wake(context)
            }
        }
    }

    /// Handles the current object as it was read.
    fn on_object(
        &mut self,
        context: &mut StepContext<'_>,
        objects: Box<ReadingObjects>,
        object: ObjectSnapshot,
    ) -> Action {
        let id = &objects.current().id;
        let other_uid = object.uid.as_deref().filter(|uid| !uid.is_empty() && *uid != id.as_str());
        if let Some(uid) = other_uid {
            let error = AttemptError::wrong_object(id.kind(), uid);
            self.state = State::ReadingObjects(objects);
            return self.on_attempt_error(context, error);
        }
        if let EndedJob::Gone { created_at: Some(job_created_at) } = objects.job {
            let age = object.created_at.map(|created| job_created_at.duration_since(created));
            if age.is_none_or(|age| age > MAX_OBJECT_AGE_BEFORE_JOB) {
                // Another job has created the object, so it does not show how this one ended.
                self.state = State::Polling;
                return self.stop(context, WaitErrorKind::Vanished);
            }
        }
        self.record_object(context, objects, |objects, _, now| objects.record_reading(now, object))
    }

    /// Records a reply about the current object with `record`, emits an event if the object has changed,
    /// and plans the next reading.
    fn record_object(
        &mut self,
        context: &mut StepContext<'_>,
        mut objects: Box<ReadingObjects>,
        record: impl FnOnce(&mut ReadingObjects, &WaitPolicy, Duration),
    ) -> Action {
        self.recent_errors = None;
        let (from, state_before) = (objects.current().phase.clone(), objects.current().state);
        record(&mut objects, &self.policy, context.elapsed);
        let status = objects.current();
        if (&status.phase, status.state) != (&from, state_before) {
            self.changed_at = context.elapsed.into();
            self.stall_reported = false;
            context.events.push(Event::Object { from, status: Box::new(status.clone()) });
        }
        self.read_next_object(context, objects)
    }

    /// Plans the next reading of an object, or finishes the wait.
    fn read_next_object(
        &mut self,
        context: &mut StepContext<'_>,
        objects: Box<ReadingObjects>,
    ) -> Action {
        match objects.next_reading(&self.policy, context.elapsed) {
            NextReading::None => self.finish_objects(context, *objects),
            NextReading::Now => {
                self.state = State::ReadingObjects(objects);
                self.read_now(context)
            }
            NextReading::After(delay) => {
                self.state = State::ReadingObjects(objects);
                self.not_before = context.elapsed.saturating_add(delay).into();
                self.plan_next_attempt(context, delay, AttemptReason::Scheduled)
            }
            NextReading::Scheduled(max_delay) => {
                let age = context.elapsed.saturating_sub(objects.since);
                let state = self.poll_state(context.elapsed, objects.readings);
                let key = objects.history_key();
                let state = PollState {
                    age,
                    since_last_step: age,
                    job_type: Some(&key),
                    share: context.share,
                    ..state
                };
                let plan = context.schedule.plan(&state);
                context.plan = Some(plan);
                self.state = State::ReadingObjects(objects);
                if self.check_stalled(context) && self.policy.stop_when_stalled {
                    return self.stop(context, WaitErrorKind::Stalled);
                }
                let delay = plan.delay.min(max_delay);
                self.plan_next_attempt(context, delay, AttemptReason::Scheduled)
            }
        }
    }

    /// Finishes the wait with the worst state of the objects that are settled.
    pub(super) fn finish_objects(
        &mut self,
        context: &StepContext<'_>,
        mut objects: ReadingObjects,
    ) -> Action {
        let until = objects.goal(&self.policy).until();
        let outcome = match objects.result() {
            ObjectState::Broken => Outcome::Broken,
            ObjectState::Gone => Outcome::Gone,
            ObjectState::Ready | ObjectState::UnderWay => Outcome::Ready,
        };
        let is_reached = !objects.has_failed();
        let is_job_gone = matches!(objects.job, EndedJob::Gone { .. });
        let ended = match &mut objects.job {
            EndedJob::Succeeded(lookup) => mem::take(&mut **lookup),
            EndedJob::None | EndedJob::Gone { .. } => {
                let observation = self.observation();
                let snapshot = self.snapshot.clone().unwrap_or_else(|| Job::default().into());
                Lookup { observation, job: snapshot.into_job().into(), ..Lookup::default() }
            }
        };
        // A wait without a job that is resumed reads its object once more.
        self.state = match objects.job {
            EndedJob::None => State::ReadingObjects(objects.restarted().into()),
            EndedJob::Succeeded(_) | EndedJob::Gone { .. } => State::Polling,
        };
        Action::Finish(Box::new(Ok(FinishedJob {
            until,
            is_job_gone,
            object_observation: objects.observation(Some(context.elapsed).filter(|_| is_reached)),
            objects: objects.statuses().cloned().collect(),
            ..self.finished_job(context.elapsed, ended, outcome)
        })))
    }
}

/// The maximum time by which an object that a job creates may be older than the job. An older object
/// was created by another job.
const MAX_OBJECT_AGE_BEFORE_JOB: SignedDuration = SignedDuration::from_secs(5 * 60);
