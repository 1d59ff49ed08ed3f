//! Checks what becomes of notifications whose receivers fail.

use std::{net::TcpListener, sync::Arc, time::Duration};

use http::StatusCode;
use job_sim::{Plan, Sim, TimeSource};
use serde_json::{Value, json};

use crate::{
    bounds::Bounds,
    receiver::{Failure, Receiver},
    test_bed::{Programs, Setup, TestBed},
};

const JOB_DURATION: Duration = Duration::from_secs(10);

/// The gauge of notifications that will be sent again.
const GAUGE: &str = "cce_job_undelivered_notifications";

/// A receiver, and what becomes of its notification.
struct Case {
    name: &'static str,
    address: String,
    state: &'static str,
    /// The number of tries before the receivers are repaired.
    tries: std::ops::RangeInclusive<u64>,
    /// Part of the error.
    error: &'static str,
    state_when_repaired: &'static str,
}

const ENDLESS: u64 = 100;

fn cases(base: &str, closed_port: u16) -> Vec<Case> {
    let case = |name, state, tries, error, state_when_repaired| Case {
        name,
        address: format!("{base}/{name}"),
        state,
        tries,
        error,
        state_when_repaired,
    };
    vec![
        Case {
            address: format!("{base}/notifications"),
            ..case("accepted", "delivered", 1..=1, "", "delivered")
        },
        Case {
            address: format!("http://127.0.0.1:{closed_port}/notifications"),
            ..case("refused", "pending", 3..=ENDLESS, "refused", "delivered")
        },
        case("stall", "pending", 1..=2, "20s", "delivered"),
        case("error", "pending", 3..=ENDLESS, "500 Internal Server Error", "delivered"),
        case("throttled", "pending", 1..=2, "429 Too Many Requests", "delivered"),
        case("redirect", "pending", 3..=ENDLESS, "308 Permanent Redirect", "delivered"),
        case("gone", "failed", 1..=1, "410 Gone", "failed"),
        Case {
            address: format!("{}/tls", base.replace("http://", "https://")),
            ..case("tls", "pending", 3..=ENDLESS, "", "pending")
        },
    ]
}

/// The time that a receiver requests in `Retry-After`, in seconds.
const RETRY_AFTER_SECS: u32 = 20;

/// Notifies receivers that fail in seven ways, and repairs those that can be repaired.
#[expect(clippy::print_stdout, reason = "the figures are for a terminal")]
pub(crate) async fn failing_receivers(
    programs: &Programs,
    bounds: &mut Bounds,
) -> anyhow::Result<()> {
    println!("1 job of {JOB_DURATION:?}, whose receivers fail in different ways");
    let plan = Plan::create_cluster().with_duration(JOB_DURATION);
    let sim = Arc::new(Sim::new(plan, TimeSource::Clock));
    let receiver = Receiver::start(0).await?;
    let closed_port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let base = receiver.address.replace("/notifications", "");
    let cases = cases(&base, closed_port);
    receiver.received().failures.extend([
        ("/stall".into(), Failure::Stall),
        ("/error".into(), Failure::Status(StatusCode::INTERNAL_SERVER_ERROR)),
        ("/throttled".into(), Failure::Throttled(RETRY_AFTER_SECS)),
        ("/redirect".into(), Failure::Redirect),
        ("/gone".into(), Failure::Status(StatusCode::GONE)),
    ]);
    let flags = ["--schedule", "fixed:1s", "--allow-receiver", "https://127.0.0.1:*"];
    let setup = Setup { flags: &flags, ..Setup::default() };
    let bed = TestBed::with_setup(programs, sim, receiver, setup).await?;
    let job = bed.sim.job().clone();
    let mut refused = 0;
    for address in ["https://example.com/hook", "http://10.0.0.1/hook", "http://169.254.169.254/"] {
        let reply = bed.call(&job, "watch", &json!({ "notify": address })).await;
        refused += u32::from(reply.is_err_and(|error| error.to_string().contains("allow")));
    }
    bounds.check("addresses that are not allowed and were refused", refused.into(), 3.0..=3.0);
    for case in &cases {
        bed.call(&job, "watch", &json!({ "notify": case.address })).await?;
    }
    let settled = wait_for(&bed, &cases, |case, status| {
        status["state"] == case.state
            && status["tries"].as_u64().is_some_and(|tries| tries >= *case.tries.start())
    })
    .await?;
    let mut right = 0;
    for (case, status) in cases.iter().zip(&settled) {
        let text = |field: &str| status[field].as_str().unwrap_or_default();
        let tries = status["tries"].as_u64().unwrap_or_default();
        println!("  {:<9} {}, {tries} tries: {}", case.name, text("state"), text("last_error"));
        // The error names the receiver, and not the cloud's service.
        let host_and_path = case.address.split("://").nth(1).unwrap_or_default();
        let error = text("last_error");
        let names_receiver = case.state == "delivered" || error.contains(host_and_path);
        let is_right = text("state") == case.state
            && case.tries.contains(&tries)
            && error.contains(case.error)
            && text("receiver") == host_and_path
            && names_receiver;
        right += u32::from(is_right);
    }
    let all = cases.len() as f64;
    bounds.check("receivers with the right state, tries and error", right.into(), all..=all);
    let pending = cases.iter().filter(|case| case.state == "pending").count() as f64;
    let gauge = bed.metric_sum(GAUGE).await?;
    bounds.check("undelivered notifications in the gauge", gauge, pending..=pending);

    bed.receiver.received().failures.clear();
    let repaired = Receiver::start_on(closed_port, 0).await?;
    let settled =
        wait_for(&bed, &cases, |case, status| status["state"] == case.state_when_repaired).await?;
    let right = cases.iter().zip(&settled);
    let right = right.filter(|(case, status)| status["state"] == case.state_when_repaired).count();
    bounds.check("receivers with the right state after the repair", right as f64, all..=all);
    let accepted = |receiver: &Receiver| -> u32 {
        receiver.received().notifications.values().map(|(times, _)| times).sum()
    };
    let accepted = accepted(&bed.receiver) + accepted(&repaired);
    let expected = cases.iter().filter(|case| case.state_when_repaired == "delivered").count();
    let expected = expected as f64;
    bounds.check("accepted deliveries", accepted.into(), expected..=expected);
    let gauge = bed.metric_sum(GAUGE).await?;
    bounds.check("undelivered notifications in the gauge after the repair", gauge, 1.0..=1.0);
    Ok(())
}

/// How long the receivers may take to reach a state.
const MAX_SETTLING: Duration = Duration::from_secs(90);

/// Waits until the deliveries to all receivers are as expected, and returns their status.
async fn wait_for(
    bed: &TestBed,
    cases: &[Case],
    is_settled: impl Fn(&Case, &Value) -> bool,
) -> anyhow::Result<Vec<Value>> {
    let job = bed.sim.job();
    let began = bed.now();
    loop {
        let mut status = bed.call(job, "status", &Value::Null).await?;
        let deliveries: Vec<_> =
            status["notifications"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let count = cases.iter().zip(&deliveries).filter(|(case, status)| is_settled(case, status));
        if count.count() == cases.len() || bed.now() - began > MAX_SETTLING {
            return Ok(deliveries);
        }
        bed.sleep(Duration::from_millis(200)).await;
    }
}
