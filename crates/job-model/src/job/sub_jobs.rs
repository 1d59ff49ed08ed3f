//! Defines the list of a job's direct sub-jobs, and decodes its different forms.

use alloc::vec::Vec;
use core::{
    fmt,
    ops::{Deref, DerefMut},
};

use super::Job;
use crate::decode::{
    DecodeError, DeviationKind, Fidelity, Field, Form, Formed, LenientDecoder, RemainingLimits,
    fast,
};
use serde::{
    Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
};

/// The sub-jobs of a job: a slice of [`Job`]s.
///
/// A single object instead of an array is read as one sub-job ([`DeviationKind::SubJobsNotArray`]).
/// An element that is not an object is read as a sub-job without any fields
/// ([`DeviationKind::UnexpectedType`]). Both are encoded again in their original form.
///
/// ```
/// let body = br#"{"spec": {"subJobs": [{"metadata": {"uid": "a"}}, {}]}}"#;
/// let spec = job_model::Job::from_slice(body)?.spec.expect("it is there");
/// let sub_jobs = spec.sub_jobs.expect("they are there");
/// assert_eq!(sub_jobs.len(), 2);
/// assert_eq!(sub_jobs[0].uid(), Some("a"));
/// # Ok::<(), job_model::DecodeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SubJobs {
    jobs: Vec<Job>,
    /// Whether the service sent a single object instead of an array.
    single: bool,
}

impl Deref for SubJobs {
    type Target = [Job];

    fn deref(&self) -> &[Job] {
        &self.jobs
    }
}

impl DerefMut for SubJobs {
    fn deref_mut(&mut self) -> &mut [Job] {
        &mut self.jobs
    }
}

impl From<Vec<Job>> for SubJobs {
    fn from(jobs: Vec<Job>) -> Self {
        Self { jobs, single: false }
    }
}

impl FromIterator<Job> for SubJobs {
    fn from_iter<I: IntoIterator<Item = Job>>(jobs: I) -> Self {
        Vec::from_iter(jobs).into()
    }
}

impl From<SubJobs> for Vec<Job> {
    fn from(sub_jobs: SubJobs) -> Self {
        sub_jobs.jobs
    }
}

impl Serialize for SubJobs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &*self.jobs {
            [job] if self.single => job.serialize(serializer),
            jobs => jobs.serialize(serializer),
        }
    }
}

impl Field for SubJobs {
    fn decode_fast<'de, D: Deserializer<'de>>(
        slot: &mut Option<Self>,
        value: D,
        remaining: &mut RemainingLimits,
    ) -> Result<(), D::Error> {
        let jobs = &mut slot.insert(Self::default()).jobs;
        value.deserialize_seq(JobsVisitor { jobs, remaining })
    }

    fn decode_lenient(
        slot: &mut Option<Self>,
        pass: &mut LenientDecoder<'_>,
    ) -> Result<Fidelity, DecodeError> {
        let single = pass.cursor.peek() == Some(b'{');
        let mut jobs = Vec::new();
        if single {
            pass.record_deviation(DeviationKind::SubJobsNotArray);
            jobs.push(pass.element(0)?.unwrap_or_else(Job::from_raw));
        } else if pass.cursor.enter(b'[') {
            while pass.cursor.next_element() {
                jobs.push(pass.element(jobs.len())?.unwrap_or_else(Job::from_raw));
            }
        } else {
            return Ok(pass.unexpected_type());
        }
        *slot = Some(Self { jobs, single });
        Ok(Fidelity::Lossless)
    }

    fn serialize_as<S: Serializer>(&self, form: Form, serializer: S) -> Result<S::Ok, S::Error> {
        match &*self.jobs {
            [job] if self.single => job.serialize_as(form, serializer),
            jobs => serializer.collect_seq(jobs.iter().map(|job| Formed(job, form))),
        }
    }
}

struct JobsVisitor<'a> {
    jobs: &'a mut Vec<Job>,
    remaining: &'a mut RemainingLimits,
}

impl<'de> Visitor<'de> for JobsVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of jobs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Self { jobs, remaining } = self;
        while elements.next_element_seed(JobSeed { jobs, remaining })?.is_some() {}
        Ok(())
    }
}

/// Reads one sub-job.
struct JobSeed<'a> {
    jobs: &'a mut Vec<Job>,
    remaining: &'a mut RemainingLimits,
}

impl<'de> DeserializeSeed<'de> for JobSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        self.remaining.enter().map_err(Error::custom)?;
        self.jobs.push(Job::default());
        if let Some(job) = self.jobs.last_mut() {
            fast::object(job, value, self.remaining)?;
        }
        self.remaining.leave();
        Ok(())
    }
}
