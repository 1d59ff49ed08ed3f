//! Jobs for the tests of several modules.

use alloc::string::ToString;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::Job;

/// Reads a job that is nothing but as it should be.
pub(crate) fn job(value: &Value) -> Job {
    Job::from_slice(value.to_string().as_bytes()).unwrap()
}

/// A job of a type and phase, with its sub-jobs.
pub(crate) fn node(job_type: &str, phase: &str, sub_jobs: &[Value]) -> Value {
    json!({"spec": {"type": job_type, "subJobs": sub_jobs}, "status": {"phase": phase}})
}

/// Trees of jobs in every phase.
pub(crate) fn trees() -> impl Strategy<Value = Value> {
    let phases = ["Initializing", "Running", "Success", "Failed", "Upgrading", ""];
    let phase = prop::sample::select(phases.to_vec());
    let leaf = phase.clone().prop_map(|phase| node("leaf", phase, &[]));
    leaf.prop_recursive(5, 40, 4, move |inner| {
        (phase.clone(), prop::collection::vec(inner, 0..4))
            .prop_map(|(phase, sub_jobs)| node("inner", phase, &sub_jobs))
    })
}
