//! Reads any reply to the request for a job: its status, headers and body. Only a reply with status
//! 200 and a terminal phase in its body may be read as a terminal job.
#![no_main]

use std::time::Duration;

use bytes::Bytes;
use cce_job_fuzz::run_within_time;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use job_model::{Decoded, Phase};
use job_transport::{ErrorClass, FetchError, Reading, request::retry_after};
use libfuzzer_sys::fuzz_target;

// The input has two bytes for the status, a line for each of four headers, and the body.
fuzz_target!(|reply: (u16, Vec<u8>)| run_within_time(reply.1.len(), || {
    let (status, rest) = (reply.0, &reply.1);
    let mut parts = rest.splitn(5, |byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for name in ["retry-after", "date", "content-type", "x-request-id"] {
        let value = HeaderValue::from_bytes(parts.next().unwrap_or_default());
        headers.extend(
            value.map(|value| {
                (name.parse::<http::HeaderName>().expect("a valid header name"), value)
            }),
        );
    }
    let body = Bytes::copy_from_slice(parts.next().unwrap_or_default());
    let mut response = Response::new(body.clone());
    *response.status_mut() = StatusCode::from_u16(status % 1000).unwrap_or_default();
    let pause = retry_after(&headers);
    *response.headers_mut() = headers;

    let status = response.status();
    let error = FetchError::from_response(&response);
    if error.class() == ErrorClass::Throttled {
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(pause.is_none_or(|pause| pause < Duration::MAX));
    assert!(error.to_string().len() < 8 << 10, "{error}");
    if let Ok(reading) = Reading::from_response(response) {
        assert_eq!(status, StatusCode::OK);
        let decoded = Decoded::from_slice(&body).expect("a body that was read can be decoded").job;
        assert_eq!(decoded.phase(), reading.job().phase());
        assert!(!reading.job().phase().is_some_and(Phase::is_terminal) || decoded.status.is_some());
    }
}));
