//! The sub-jobs of a job, in whatever form the service sent them. Walks no tree.

use alloc::vec::Vec;
use core::{
    fmt,
    ops::{Deref, DerefMut},
};

use serde::{
    Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    DecodeError, DeviationKind, Job,
    exact::Exact,
    json::Json,
    limits::Budget,
    object::{Field, Kept},
    strict,
};

/// The sub-jobs of a job: a slice of [`Job`]s.
///
/// A single object in place of the array is read as one sub-job
/// ([`DeviationKind::SingleSubJob`]); an element that is no object as a sub-job without any field
/// ([`DeviationKind::OddType`]). Both are encoded again as they came.
///
/// ```
/// let body = br#"{"spec": {"subJobs": [{"metadata": {"uid": "a"}}, {}]}}"#;
/// let spec = job_model::Job::from_slice(body)?.spec.expect("it is there");
/// let sub_jobs = spec.sub_jobs.expect("they are there");
/// assert_eq!(sub_jobs.len(), 2);
/// assert_eq!(sub_jobs[0].uid(), Some("a"));
/// # Ok::<(), job_model::DecodeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubJobs {
    jobs: Vec<Job>,
    form: Form,
}

/// The form in which sub-jobs are sent.
#[derive(Clone, Debug, Default, PartialEq)]
enum Form {
    /// An array of objects.
    #[default]
    Array,
    /// One object, no array.
    Single,
    /// An array in which those with these indices, in their order, are no objects.
    Mixed(Vec<(usize, Json)>),
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
        Self { jobs, form: Form::Array }
    }
}

impl From<SubJobs> for Vec<Job> {
    fn from(sub_jobs: SubJobs) -> Self {
        sub_jobs.jobs
    }
}

impl Serialize for SubJobs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.form {
            Form::Array => self.jobs.serialize(serializer),
            Form::Single => self.jobs[0].serialize(serializer),
            Form::Mixed(odd) => {
                serializer.collect_seq(self.jobs.iter().enumerate().map(|(index, job)| {
                    match odd.binary_search_by_key(&index, |(index, _)| *index) {
                        Ok(found) if *job == Job::default() => Element::Odd(&odd[found].1),
                        _ => Element::Job(job),
                    }
                }))
            }
        }
    }
}

/// An element of the array, as it is written.
enum Element<'a> {
    Job(&'a Job),
    Odd(&'a Json),
}

impl Serialize for Element<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Job(job) => job.serialize(serializer),
            Self::Odd(json) => json.serialize(serializer),
        }
    }
}

impl Field for SubJobs {
    fn read_strict<'de, D: Deserializer<'de>>(
        slot: &mut Option<Self>,
        value: D,
        budget: &mut Budget,
    ) -> Result<(), D::Error> {
        let jobs = &mut slot.insert(Self::default()).jobs;
        value.deserialize_seq(JobsVisitor { jobs, budget })
    }

    fn read_exact<'b>(
        slot: &mut Option<Self>,
        json: &'b RawValue,
        pass: &mut Exact<'b>,
    ) -> Result<Kept, DecodeError> {
        let is_single = json.get().starts_with('{');
        let elements = match pass.elements(json)? {
            Some(elements) => elements,
            None if is_single => [json].into(),
            None => return Ok(pass.odd_type()),
        };
        if is_single {
            pass.deviate(DeviationKind::SingleSubJob);
        }
        let (mut jobs, mut odd) = (Vec::new(), Vec::new());
        for (index, json) in elements.into_iter().enumerate() {
            let job = pass.sub_job(index, json)?;
            if job.is_none() {
                odd.push((index, json.into()));
            }
            jobs.push(job.unwrap_or_default());
        }
        let form = match odd.len() {
            _ if is_single => Form::Single,
            0 => Form::Array,
            _ => Form::Mixed(odd),
        };
        *slot = Some(Self { jobs, form });
        Ok(Kept::InFull)
    }
}

struct JobsVisitor<'a> {
    jobs: &'a mut Vec<Job>,
    budget: &'a mut Budget,
}

impl<'de> Visitor<'de> for JobsVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of jobs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Self { jobs, budget } = self;
        while elements.next_element_seed(JobSeed { jobs, budget })?.is_some() {}
        Ok(())
    }
}

/// Reads one of the sub-jobs.
struct JobSeed<'a> {
    jobs: &'a mut Vec<Job>,
    budget: &'a mut Budget,
}

impl<'de> DeserializeSeed<'de> for JobSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        self.budget.enter().map_err(Error::custom)?;
        self.jobs.push(Job::default());
        if let Some(job) = self.jobs.last_mut() {
            strict::object(job, value, self.budget)?;
        }
        self.budget.leave();
        Ok(())
    }
}
