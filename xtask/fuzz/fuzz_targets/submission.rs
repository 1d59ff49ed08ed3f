//! Reads bytes as the reply to the call that submitted a job. If an id is found, it is a valid job
//! id.
#![no_main]

use cce_job_fuzz::run_within_time;
use job_model::JobId;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|reply: &[u8]| run_within_time(reply.len(), || {
    if let Ok(id) = JobId::from_submission(reply) {
        assert_eq!(id.as_str().parse(), Ok(id));
    }
}));
