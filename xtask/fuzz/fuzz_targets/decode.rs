//! Decodes bytes as a job. If they are accepted, encoding and decoding the job again gives the same
//! text. Bytes that are not a job are described.
#![no_main]

use cce_job_fuzz::run_within_time;
use job_model::{Decoded, Phase, reply::ForeignBody};
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The phase of an encoded job, as JSON text, under either of its names. Other fields are skipped,
/// because their texts may have lone surrogates, which are kept as they were sent.
#[derive(Deserialize)]
struct Encoded<'a> {
    #[serde(borrow)]
    status: EncodedStatus<'a>,
}

#[derive(Deserialize)]
struct EncodedStatus<'a> {
    #[serde(borrow)]
    phase: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

fuzz_target!(|body: &[u8]| run_within_time(body.len(), || {
    let Ok(decoded) = Decoded::from_slice(body) else {
        return;
    };
    let encoded = serde_json::to_string(&decoded.job).expect("a job can be encoded");
    let again = Decoded::from_slice(encoded.as_bytes()).expect("an encoded job can be decoded");
    assert_eq!(serde_json::to_string(&again.job).expect("a job can be encoded"), encoded);
    assert_eq!(again.job.phase(), decoded.job.phase());
    assert_eq!(ForeignBody::from_body(body, &[]).is_some(), decoded.job.is_foreign());
    if decoded.job.phase().is_some_and(Phase::is_terminal) {
        let job: Encoded<'_> = serde_json::from_str(&encoded).expect("an encoded job is JSON");
        let phase = job.status.phase.or(job.status.status).expect("the job has a phase");
        let phase: String = serde_json::from_str(phase.get()).expect("the phase is a text");
        assert!(["success", "failed"].contains(&&*phase.to_ascii_lowercase()));
    }
    let _ = (decoded.job.tree().to_string(), decoded.job.failure(), decoded.job.inconsistencies());
}));
