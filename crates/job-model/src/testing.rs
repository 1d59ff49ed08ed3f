//! Provides jobs for the tests of several modules.

extern crate std;

use alloc::{string::ToString, vec::Vec};
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::job::Job;

/// Control characters, and marks that hide, join or reverse their neighbors.
pub(crate) static UNPRINTABLE_CHARS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let controls = (0..0x20).chain(0x7f..0xa0);
    let marks = (0x200b..=0x200f).chain(0x2028..=0x202e).chain(0x2060..=0x2069);
    let fillers = [0x115f, 0x1160, 0x3164, 0xffa0, 0x2800];
    let others = [0x00ad, 0x061c, 0x180e, 0xfe0f, 0xfeff, 0xfff9, 0xfffb, 0xe0001, 0xe0041];
    controls.chain(marks).chain(fillers).chain(others).collect()
});

/// Decodes a job.
pub(crate) fn job(value: &Value) -> Job {
    Job::from_slice(value.to_string().as_bytes()).unwrap()
}

/// Creates a job with a type, a phase and sub-jobs.
pub(crate) fn node(job_type: &str, phase: &str, sub_jobs: &[Value]) -> Value {
    json!({"spec": {"type": job_type, "subJobs": sub_jobs}, "status": {"phase": phase}})
}

/// Generates trees of jobs in every phase.
pub(crate) fn trees() -> impl Strategy<Value = Value> {
    let phases = ["Initializing", "Running", "Success", "Failed", "Upgrading", ""];
    let phase = prop::sample::select(phases.to_vec());
    let leaf = phase.clone().prop_map(|phase| node("leaf", phase, &[]));
    leaf.prop_recursive(5, 40, 4, move |inner| {
        (phase.clone(), prop::collection::vec(inner, 0..4))
            .prop_map(|(phase, sub_jobs)| node("inner", phase, &sub_jobs))
    })
}
