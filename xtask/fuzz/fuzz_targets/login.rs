//! Logs in with any reply of the identity service. Only a 201 with a token may succeed, and an
//! error must not show the password, even if the reply repeats it.
#![no_main]

use bytes::Bytes;
use cce_job_fuzz::run_within_time;
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderValue, Request, Response, StatusCode};
use job_transport::{
    auth::{Identity, PasswordLogin, ProvideCredentials},
    transport::{Transport, TransportError},
};
use libfuzzer_sys::fuzz_target;

const PASSWORD: &str = "canary \"/+%\\";

struct Fixed(Response<Bytes>);

impl Transport for Fixed {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

// The input has two bytes for the status, a line for each of three headers, and the body.
fuzz_target!(|reply: (u16, Vec<u8>)| run_within_time(reply.1.len(), || {
    let (status, rest) = (reply.0, &reply.1);
    let mut parts = rest.splitn(4, |byte| *byte == b'\n');
    let mut response = Response::new(Bytes::new());
    for name in ["x-subject-token", "date", "content-type"] {
        let value = HeaderValue::from_bytes(parts.next().unwrap_or_default());
        response.headers_mut().extend(
            value.map(|value| {
                (name.parse::<http::HeaderName>().expect("a valid header name"), value)
            }),
        );
    }
    *response.body_mut() = Bytes::copy_from_slice(parts.next().unwrap_or_default());
    *response.status_mut() = StatusCode::from_u16(status % 1000).unwrap_or_default();
    let status = response.status();
    let login = PasswordLogin::new("user", PASSWORD, "domain");
    let identity = Identity::new(
        "https://iam.example".parse().expect("a valid endpoint"),
        login,
        Fixed(response),
    );
    match identity.provide().now_or_never().expect("the transport replies at once") {
        Ok(_) => assert_eq!(status, StatusCode::CREATED),
        Err(error) => {
            let mut shown = format!("{error:?} {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                shown += &format!(" {error:?} {error}");
                cause = error.source();
            }
            assert!(!shown.contains(PASSWORD), "{shown}");
        }
    }
}));
