//! Any bytes as a submitting call's reply: an id that is found is one.
#![no_main]

use job_model::JobId;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|reply: &[u8]| {
    if let Ok(id) = JobId::from_submission(reply) {
        assert_eq!(id.as_str().parse(), Ok(id));
    }
});
