//! Reads a text as a timestamp. The text is kept, and an instant found in it survives writing and
//! reading.
#![no_main]

use cce_job_fuzz::run_within_time;
use job_model::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| run_within_time(text.len(), || {
    for line in text.lines() {
        let timestamp = Timestamp::from(line);
        assert_eq!(timestamp.as_str(), line);
        let Some(instant) = timestamp.instant() else {
            continue;
        };
        let written = Timestamp::from(instant);
        assert_eq!(Timestamp::from(written.as_str()).instant(), Some(instant), "{written}");
    }
}));
