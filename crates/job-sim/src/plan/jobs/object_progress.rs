//! Reads the objects of a simulation: computes how far the job of each one is. Reads no clock.

use std::time::Duration;

use jiff::SignedDuration;

use super::{Jobs, signed, since_creation};
use crate::plan::{
    Moment, NamedObject, ObjectPlan, ObjectView, TimeSource,
    objects::{Goal, ObjectEntry, Progress},
};

impl Jobs {
    /// Adds an object without a job.
    pub(crate) fn add_object(&mut self, object: NamedObject, plan: ObjectPlan, created: Duration) {
        self.objects.add(object, plan, signed(created));
    }

    /// Returns what a reading of a cluster, or of a node of `cluster`, shows, as it was `lag` before
    /// the moment. Returns `None` if the service answers 404.
    ///
    /// With [`TimeSource::PerRequest`], a reading after the end of the object's job advances the object.
    pub(crate) fn read_object(
        &mut self,
        cluster: Option<&str>,
        id: &str,
        moment: &Moment,
        lag: Duration,
    ) -> Option<ObjectView> {
        let entry = self.objects.get(id).filter(|entry| entry.cluster() == cluster)?;
        let has_ended = self.progress(entry, moment).has_ended();
        let view = self.view_object(id, moment, lag);
        if has_ended {
            self.objects.count_reading(id);
        }
        view
    }

    /// Returns what the next reading of an object shows. Does not count as a reading.
    pub(crate) fn view_object(
        &self,
        id: &str,
        moment: &Moment,
        lag: Duration,
    ) -> Option<ObjectView> {
        let entry = self.objects.get(id)?;
        if let Some(cluster) = self.cluster_of(entry) {
            // A node is gone together with its cluster.
            self.view_object(cluster, moment, lag)?;
        }
        let progress = self.progress(entry, moment);
        self.objects.view(entry, &Progress { age: progress.age.saturating_sub(lag), ..progress })
    }

    /// Returns the id of a node's cluster, if the simulation has that cluster.
    fn cluster_of<'e>(&self, entry: &'e ObjectEntry) -> Option<&'e str> {
        entry.cluster().filter(|id| self.objects.get(id).is_some_and(|it| it.cluster().is_none()))
    }

    fn progress(&self, entry: &ObjectEntry, moment: &Moment) -> Progress<'_> {
        let created = since_creation(moment, entry.created());
        match entry.job.and_then(|job| self.jobs.get(job)) {
            Some(job) => {
                let age = job.shown_age(moment);
                let duration = job.plan.duration();
                Progress {
                    job: Some((&job.id, duration)),
                    age: match moment.time_source {
                        TimeSource::PerRequest(step) if age >= duration => {
                            let end = job.initial_age.max(duration);
                            end.saturating_add(step.saturating_mul(entry.readings))
                        }
                        _ => age,
                    },
                    began: since_creation(moment, job.created),
                    created,
                }
            }
            None => Progress {
                job: None,
                age: match moment.time_source {
                    TimeSource::Clock => age(moment, entry.created()),
                    TimeSource::PerRequest(step) => step.saturating_mul(entry.readings),
                },
                began: created,
                created,
            },
        }
    }

    /// Returns the first time at which an object reaches the state, and the time from which it stays
    /// there, both since the simulation's creation. They follow from the clock only.
    pub(crate) fn object_reaches(
        &self,
        id: &str,
        goal: Goal,
    ) -> (Option<Duration>, Option<Duration>) {
        let Some(entry) = self.objects.get(id) else { return (None, None) };
        let job = entry.job.and_then(|job| self.jobs.get(job));
        let start = match job {
            Some(job) => job.created.saturating_add(signed(job.plan.duration())),
            None => entry.created(),
        };
        let since_creation = |time: Duration| {
            Duration::try_from(start.saturating_add(signed(time))).unwrap_or_default()
        };
        let (first, finally) = self.objects.reaches(entry, goal);
        let (first, finally) = (first.map(since_creation), finally.map(since_creation));
        let (cluster_first, cluster_finally) = match self.cluster_of(entry) {
            Some(cluster) => self.object_reaches(cluster, Goal::Gone),
            None => (None, None),
        };
        let earlier = |a: Option<Duration>, b: Option<Duration>| a.into_iter().chain(b).min();
        match goal {
            Goal::Gone => (earlier(first, cluster_first), earlier(finally, cluster_finally)),
            Goal::Ready => {
                let is_before = |time: &Duration| cluster_first.is_none_or(|gone| *time < gone);
                (first.filter(is_before), finally.filter(|_| cluster_finally.is_none()))
            }
        }
    }
}

impl Progress<'_> {
    fn has_ended(&self) -> bool {
        self.job.is_none_or(|(_, duration)| self.age >= duration)
    }
}

/// Returns the time since the creation, which is negative if the object is older than the simulation.
fn age(moment: &Moment, created: SignedDuration) -> Duration {
    signed(moment.elapsed).saturating_sub(created).try_into().unwrap_or_default()
}
