//! Reads bytes as the body of an error reply. At most 1 KiB of text is kept, and it is displayed on
//! one line.
#![no_main]

use cce_job_fuzz::run_within_time;
use job_model::ServiceError;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| run_within_time(body.len(), || {
    for content_type in [None, Some("text/html")] {
        if let Some(error) = ServiceError::from_body(404, content_type, body) {
            let texts = error.codes().iter().chain(error.messages());
            let kept = texts.map(String::len).sum::<usize>();
            assert!(kept + error.request_id().map_or(0, str::len) <= 1024);
            assert!(!error.to_string().chars().any(char::is_control));
        }
    }
}));
