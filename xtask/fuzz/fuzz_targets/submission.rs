//! Reads bytes as the reply to the call that submitted a job. If an id is found, it is a valid job
//! id.
#![no_main]

use job_model::JobId;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|reply: &[u8]| {
    if let Ok(id) = JobId::from_submission(reply) {
        assert_eq!(id.as_str().parse(), Ok(id));
    }
});
