//! Any reply of the identity service: nothing but a 201 with a token gives one, and no error shows the
//! password that the reply repeats.
#![no_main]

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderValue, Request, Response, StatusCode};
use job_transport::{Identity, PasswordLogin, ProvideCredentials, Transport, TransportError};
use libfuzzer_sys::fuzz_target;

const PASSWORD: &str = "canary \"/+%\\";

struct Fixed(Response<Bytes>);

impl Transport for Fixed {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

// The status as two bytes, a line for each of three headers, and the body.
fuzz_target!(|reply: (u16, Vec<u8>)| {
    let (status, rest) = reply;
    let mut parts = rest.splitn(4, |byte| *byte == b'\n');
    let mut response = Response::new(Bytes::new());
    for name in ["x-subject-token", "date", "content-type"] {
        let value = HeaderValue::from_bytes(parts.next().unwrap_or_default());
        response.headers_mut().extend(value.map(|value| (name.parse::<http::HeaderName>().expect("a name"), value)));
    }
    *response.body_mut() = Bytes::copy_from_slice(parts.next().unwrap_or_default());
    *response.status_mut() = StatusCode::from_u16(status % 1000).unwrap_or_default();
    let status = response.status();
    let login = PasswordLogin::new("user", PASSWORD, "domain");
    let identity = Identity::new("https://iam.example".parse().expect("an endpoint"), login, Fixed(response));
    match identity.provide().now_or_never().expect("it waits for nothing") {
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
});
