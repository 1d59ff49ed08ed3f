//! Makes each step of a wait fail once, in every possible way. The outcome must be the same as
//! without a failure.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod flaky;

use std::{
    io::{self, Write},
    sync::Arc,
};

use flaky::{FailureMode, FlakyConnector};
use job_poller::{FinishedJob, Outcome, Wait, WaitError};
use job_sim::{Fault, Plan, Sim, SimServer, SimTransport, TimeSource};
use job_transport::{
    Client, Credentials,
    auth::Identity,
    hyper::{HyperTransport, TlsConfig, TlsProvider},
    transport::Transport,
};

/// Three jobs: one that succeeds, one whose failed step is in the reply, and one whose failed step
/// must be looked up.
fn plans() -> [Plan; 3] {
    [
        Plan::create_cluster(),
        Plan::create_cluster().with_failure("no such flavor"),
        Plan::scale_up_cluster(2).with_failure("no such image").visible_depth(1),
    ]
}

/// The outcomes of these jobs.
const EXPECTED_OUTCOMES: [&str; 3] = [
    "succeeded",
    "failed: CreateCluster > InstallMaster 00000002: \"no such flavor\"",
    "failed: ScaleupCluster > CreateNode > InstallNode: \"no such image\"",
];

/// Each reading advances the job by a quarter of its duration, so that a wait has few requests.
fn sim(plan: Plan) -> Arc<Sim> {
    let step = plan.duration() / 4;
    Arc::new(Sim::new(plan, TimeSource::PerRequest(step)))
}

/// Creates a client that logs in with a password, so that the login is one of the requests.
fn client(sim: &Sim, endpoint: &str, transport: impl Transport + Clone + 'static) -> Client {
    let identity = Identity::new(endpoint.parse().unwrap(), sim.login(), transport.clone());
    let credentials = Credentials::from_provider(identity);
    Client::new(endpoint.parse().unwrap(), credentials, transport).project(sim.project().clone())
}

/// Formats what a caller learns from a result: the outcome, and the phase and reason of each step.
fn describe(ended: Result<FinishedJob, WaitError>) -> String {
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => return format!("no outcome: {error}"),
    };
    let outcome = match &ended.outcome {
        Outcome::Succeeded => "succeeded".to_owned(),
        Outcome::Failed(failure) => format!("failed: {failure}"),
        outcome => outcome.as_str().to_owned(),
    };
    let steps = ended
        .job
        .walk()
        .map(|node| format!("{} {:?} {:?}", node.job.label(), node.job.phase(), node.job.reason()));
    [outcome].into_iter().chain(steps).collect::<Vec<_>>().join("\n")
}

/// Waits in memory. `script` has the faults of the requests.
async fn wait_in_memory(plan: Plan, script: Vec<Option<Fault>>) -> (String, u32, u32) {
    let sim = sim(plan);
    sim.inject_faults(script);
    let client = client(&sim, "https://cce.example", SimTransport::new(sim.clone()));
    let ended = Wait::new(client, sim.job().clone()).seed(0).await;
    let lookups = ended.as_ref().map_or(0, |ended| ended.sub_job_lookups);
    (describe(ended), sim.requests(), lookups)
}

/// Faults that a retry fixes, and faults that the wait ignores.
const TRANSIENT_FAULTS: &str = "refuse, stall-handshake, reset, stall, stall-body, truncated, goaway, garbage, \
    html, oversized:99, page:502, 408, 409, 425, 429, throttled:7, 500, 503, 504, wrong-uid, \
    phase-back, phase:, phase:Paused, stale:1";

/// Permanent errors. After a first reading they must be repeated to end the wait. They are not
/// repeated for sub-jobs.
const PERMANENT_FAULTS: &str = "400, 401, 403, 404, 405, 410, 418, 501, page:302, oversized";

#[tokio::test(start_paused = true)]
async fn a_fault_in_any_reply_does_not_change_the_outcome() {
    let mut cases = 0;
    let mut differences = Vec::new();
    for plan in plans() {
        let (expected, requests, lookups) = wait_in_memory(plan.clone(), Vec::new()).await;
        assert!(requests >= 6, "{requests} requests: {expected}");
        assert!(EXPECTED_OUTCOMES.contains(&expected.lines().next().unwrap()), "{expected}");
        for (faults, steps) in
            [(TRANSIENT_FAULTS, 0..requests), (PERMANENT_FAULTS, 2..requests - lookups)]
        {
            for fault in faults.split(',').map(str::trim) {
                for spared in steps.clone() {
                    let script = format!("{spared}*ok, {fault}");
                    // Each request in memory has its own connection, so a fault of a connection
                    // affects one request.
                    let script = Fault::parse_script(&script).unwrap();
                    let (got, ..) = wait_in_memory(plan.clone(), script).await;
                    cases += 1;
                    if got != expected {
                        differences.push(format!("request {spared}, {fault}: {got}"));
                    }
                }
            }
        }
    }
    report("replies", cases, &differences);
    assert!(cases > 500, "{cases}");
}

/// Waits over TLS, with a connection that fails at operation `at`. Also returns whether it has
/// failed.
async fn wait_over_tls(plan: Plan, at: u32, how: FailureMode) -> (String, bool) {
    let sim = sim(plan);
    let server = SimServer::start(sim.clone()).await.unwrap();
    let flaky = FlakyConnector::new(at, how);
    let tls = TlsConfig::ca_pem(TlsProvider::aws_lc_rs(), server.ca_pem()).unwrap();
    let transport = HyperTransport::new(tls).connector(flaky.clone());
    let client = client(&sim, &server.endpoint(), transport);
    let outcome = describe(Wait::new(client, sim.job().clone()).seed(0).await);
    (outcome, flaky.has_broken())
}

#[tokio::test(start_paused = true)]
async fn a_failing_socket_operation_does_not_change_the_outcome() {
    let (mut cases, mut shallow) = (0, 0);
    let mut differences = Vec::new();
    for plan in plans() {
        let (expected, _) = wait_over_tls(plan.clone(), u32::MAX, FailureMode::Reset).await;
        assert!(EXPECTED_OUTCOMES.contains(&expected.lines().next().unwrap()), "{expected}");
        for how in FailureMode::ALL {
            for at in 0.. {
                let (got, has_broken) = wait_over_tls(plan.clone(), at, how).await;
                // If a connection stalls during the lookup of the failed step, this is detected
                // after 20 s, but the lookup ends after 10 s. The job is then reported as failed
                // without its step.
                let is_silent = how == FailureMode::Stall && got.starts_with("failed: ");
                if is_silent && got != expected && expected.starts_with("failed: ") {
                    shallow += 1;
                } else if got != expected {
                    differences.push(format!("operation {at}, {how:?}: {got}"));
                }
                // The wait has no operation with this number.
                if !has_broken {
                    break;
                }
                cases += 1;
            }
        }
    }
    report("socket operations", cases, &differences);
    let _ =
        writeln!(io::stderr(), "fault injection: {shallow} failures reported without their step");
    assert!(shallow <= 2, "{shallow} failures without their step");
    assert!(cases > 300, "{cases}");
}

/// Prints the figures to stderr directly, because the test harness hides the output of a passing
/// test. Fails if there is a difference.
fn report(what: &str, cases: u32, differences: &[String]) {
    let count = differences.len();
    let _ = writeln!(io::stderr(), "fault injection: {what}: {cases} cases, {count} differences");
    assert!(differences.is_empty(), "{}", differences[..count.min(20)].join("\n\n"));
}
