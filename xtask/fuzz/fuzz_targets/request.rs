//! Any request to the simulated service: it has an answer, and never by a panic.
#![no_main]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderValue, Method, Request};
use job_sim::{Plan, Sim, SimTransport, TimeSource};
use job_transport::Transport;
use libfuzzer_sys::fuzz_target;

// A line for the method, for the path after the project's, and for each of four headers; then the body.
fuzz_target!(|text: &[u8]| {
    let sim = Arc::new(Sim::new(Plan::scale_up_cluster(2), TimeSource::PerRequest(Duration::from_secs(1))));
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
        request.headers_mut().extend(value.map(|value| (name.parse::<http::HeaderName>().expect("a name"), value)));
    }
    *request.body_mut() = Bytes::copy_from_slice(next());
    let reply = SimTransport::new(sim).send(request).now_or_never().expect("it stalls for nobody");
    assert!(reply.expect("there is a reply").status().as_u16() < 500);
});
