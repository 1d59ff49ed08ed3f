//! Sends any request to the simulated service. It must reply without a panic.
#![no_main]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use cce_job_fuzz::run_within_time;
use futures_util::FutureExt;
use http::{HeaderValue, Method, Request};
use job_sim::{Plan, Sim, SimTransport, TimeSource};
use job_transport::transport::Transport;
use libfuzzer_sys::fuzz_target;

// The input has a line for the method, the path and each of four headers, and then the body. In the
// path, `{p}` is the project and `{j}` the job. The header value `T` is a valid token.
fuzz_target!(|text: &[u8]| run_within_time(text.len(), || {
    let sim = Arc::new(Sim::new(
        Plan::scale_up_cluster(2),
        TimeSource::PerRequest(Duration::from_secs(1)),
    ));
    let mut parts = text.splitn(7, |byte| *byte == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let method = Method::from_bytes(next()).unwrap_or_default();
    let path = String::from_utf8_lossy(next()).into_owned();
    let path = path.replace("{p}", sim.project().as_str()).replace("{j}", sim.job().as_str());
    let Ok(uri) = format!("https://cce.example{path}").parse() else { return };
    let mut request = Request::new(Bytes::new());
    (*request.method_mut(), *request.uri_mut()) = (method, uri);
    for name in ["x-auth-token", "content-type", "authorization", "x-sdk-date"] {
        let value = next();
        let token = sim.account().token;
        let value = if value == b"T" { token.as_bytes() } else { value };
        let value = HeaderValue::from_bytes(value);
        request.headers_mut().extend(
            value.map(|value| {
                (name.parse::<http::HeaderName>().expect("a valid header name"), value)
            }),
        );
    }
    *request.body_mut() = Bytes::copy_from_slice(next());
    let reply = SimTransport::new(sim)
        .send(request)
        .now_or_never()
        .expect("no request stalls without a fault");
    assert!(reply.expect("no request fails without a fault").status().as_u16() < 500);
}));
