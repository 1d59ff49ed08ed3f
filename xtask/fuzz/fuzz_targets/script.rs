//! Reads a text as a script of faults. An accepted script has a limited length, and injecting its
//! faults does not panic.
#![no_main]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use cce_job_fuzz::run_within_time;
use futures_util::FutureExt;
use http::Request;
use job_sim::{Fault, Plan, Sim, SimTransport, TimeSource};
use job_transport::transport::Transport;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| run_within_time(text.len(), || {
    let Ok(script) = Fault::parse_script(text) else { return };
    assert!(script.len() <= 100_000);
    let sim =
        Arc::new(Sim::new(Plan::create_cluster(), TimeSource::PerRequest(Duration::from_secs(1))));
    let uri = format!("https://cce.example/api/v3/projects/{}/jobs/{}", sim.project(), sim.job());
    for fault in script.into_iter().take(10) {
        if matches!(fault, Some(Fault::Oversized(bytes)) if bytes > 1 << 20) {
            continue;
        }
        sim.inject_faults([fault]);
        let request = Request::get(&uri).header("x-auth-token", sim.account().token);
        let request = request.header("content-type", "application/json").body(Bytes::new());
        let _ =
            SimTransport::new(sim.clone()).send(request.expect("a valid request")).now_or_never();
    }
}));
