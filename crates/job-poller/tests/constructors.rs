//! Creates each public value from outside the crate, as the unit tests of a service do.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use jiff::Timestamp;
use job_model::{
    Deviation, Inconsistency, Job, JobId, Phase, Progress,
    decode::DeviationKind,
    object::{Cluster, Object, ObjectId, ObjectState},
    tree::{InconsistencyKind, SubJobPath},
};
use job_poller::{
    Checkpoint, Event, FinishedJob, Outcome, Report, Unsuccessful, Until, WaitError, WaitErrorKind,
    WaitPolicy,
    machine::{
        Action, AttemptError, AttemptReason, Input, Machine, ObjectEndpoint, ObjectSnapshot,
        ObjectStatus, Step,
    },
    schedule::{Fixed, JobObservation, PollPlan, PollState},
};
use job_transport::{
    ErrorClass, FetchError, FetchErrorKind, Fetched, JobSnapshot, ObjectReading, Reading,
    Unchanged,
    transport::{RequestSent, TransportError, TransportErrorKind},
};

const MINUTE: Duration = Duration::from_secs(60);

fn id() -> JobId {
    "4a5b".parse().unwrap()
}

fn job(phase: &str) -> Job {
    let body = format!(
        r#"{{"spec": {{"type": "CreateNode"}},
            "status": {{"phase": "{phase}", "reason": "sold out"}}}}"#
    );
    Job::from_slice(body.as_bytes()).unwrap()
}

fn cluster() -> ObjectId {
    ObjectId::Cluster("c".parse().unwrap())
}

fn node() -> ObjectId {
    ObjectId::Node { cluster: "c".parse().unwrap(), node: "n".parse().unwrap() }
}

fn broken_node() -> ObjectStatus {
    let mut status = ObjectStatus::new(node());
    status.phase = Some("Abnormal".into());
    status.state = Some(ObjectState::Broken);
    status.reason = Some("sold out".into());
    status
}

fn attempt_error() -> AttemptError {
    let kind = FetchErrorKind::Status(503);
    let mut error = AttemptError::new(kind, ErrorClass::Transient, "the service answered 503");
    error.request_id = Some("r-1".into());
    error.retry_after = Some(MINUTE);
    error.credentials_refreshed = true;
    error
}

#[test]
fn every_event_can_be_created() {
    let path = SubJobPath::from_iter([0]);
    let mut progress = Progress::default();
    (progress.total, progress.running) = (2, 1);
    let deviation = Deviation::new("status.phase", DeviationKind::UnrecognizedPhase);
    let rows = [
        (Event::phase("CreateNode", None, Some(Phase::Running)), "CreateNode: Running"),
        (
            Event::phase("CreateNode", Some(Phase::Running), Some(Phase::Initializing)),
            "CreateNode: Initializing (went back from Running)",
        ),
        (
            Event::phase("CreateNode", Some(Phase::Running), None),
            "CreateNode: no phase (not a known phase; still waiting)",
        ),
        (Event::sub_job(path, "InstallNode", None, Some(Phase::Failed)), "  InstallNode: Failed"),
        (
            Event::Deviations(vec![deviation]),
            "the reply deviates from the API reference: status.phase: unrecognized phase spelling",
        ),
        (Event::Progress(progress), "0 of 2 steps done, 1 running"),
        (Event::Settling, "the job succeeded; waiting for its sub-jobs to end"),
        (Event::stale_reply(2), "stale reply dropped, 2 in a row"),
        (Event::stalled(MINUTE), "nothing has changed for 1m"),
        (
            Event::attempt_failed(attempt_error(), 2),
            "attempt failed, 2 in a row: the service answered 503",
        ),
        (Event::CredentialsRefreshed, "credentials refreshed"),
        (Event::sub_job_lookup(id()), "looking up sub-job 4a5b"),
        (Event::Heartbeat, "still waiting"),
        (
            Event::reading_objects(vec![node(), node()], Until::Ready),
            "the job succeeded; waiting until 2 nodes are ready",
        ),
        (
            Event::object(Some("Build".into()), broken_node()),
            "node n of cluster c is Abnormal: sold out",
        ),
        (
            Event::next_attempt(MINUTE, AttemptReason::RetryAfter),
            "next attempt at 1m (as the service asked)",
        ),
    ];
    for (event, expected) in rows {
        assert_eq!(event.to_string(), expected);
    }
}

#[test]
fn every_result_of_a_wait_can_be_created() {
    let mut succeeded = FinishedJob::new(id(), job("Success"));
    succeeded.attempts = 3;
    succeeded.elapsed = MINUTE;
    succeeded.detection_delay = Some(MINUTE);
    let kind = InconsistencyKind::ActiveChildOfSuccess;
    succeeded.inconsistencies = vec![Inconsistency::new(SubJobPath::from_iter([0]), kind)];
    succeeded.observation = Some(
        JobObservation::new("CreateNode", Duration::ZERO, MINUTE, true).with_step_ends(vec![]),
    );
    assert_eq!(Report::new(&Ok(succeeded.clone()), None).outcome, "succeeded");
    assert!(succeeded.into_success().is_ok());

    let failed = FinishedJob::new(id(), job("Failed"));
    assert!(matches!(failed.outcome, Outcome::Failed(_)));
    let error = failed.into_success().unwrap_err();
    assert_eq!(error.to_string(), "job 4a5b failed: CreateNode: \"sold out\"");

    let mut broken = FinishedJob::new(id(), job("Success"));
    (broken.outcome, broken.until) = (Outcome::Broken, Until::Ready);
    (broken.objects, broken.object_readings) = (vec![broken_node()], 4);
    assert!(!broken.is_success());
    assert_eq!(broken.object_summary(), "node n of cluster c is Abnormal: sold out");
    let Unsuccessful::Objects(error) = broken.into_success().unwrap_err() else {
        panic!("a node is broken")
    };
    assert_eq!(error.to_string(), "job 4a5b: node n of cluster c is Abnormal: sold out");
    assert_eq!(error.objects, [broken_node()]);

    let mut ready = ObjectStatus::new(cluster());
    (ready.phase, ready.state) = (Some("Available".into()), Some(ObjectState::Ready));
    let mut endpoint = ObjectEndpoint::new("https://192.168.0.4:5443");
    endpoint.kind = Some("Internal".into());
    ready.endpoints = vec![endpoint];
    assert_eq!(ready.to_string(), "cluster c is Available");

    // The attempts, the last error and the job of a wait that stopped are those of its checkpoint.
    let mut machine = Machine::new(id(), WaitPolicy::new());
    let schedule = Fixed::new(MINUTE);
    let inputs = [
        Input::Wake,
        Input::from(Reading::new(job("Running"))),
        Input::Wake,
        Input::Error(attempt_error()),
    ];
    for (minute, input) in (0..).zip(inputs) {
        let _ = machine.step(&schedule, minute * MINUTE, input);
    }
    let checkpoint = Checkpoint::new(machine, 3 * MINUTE).with_taken_at(Timestamp::UNIX_EPOCH);
    assert_eq!(checkpoint.phase(), Some(&Phase::Running));
    let stopped = WaitError::new(WaitErrorKind::Stopped, checkpoint);
    assert_eq!(stopped.last_error(), Some(&attempt_error()));
    let never_read = Checkpoint::new(Machine::new(id(), WaitPolicy::new()), MINUTE)
        .with_snapshot(Some(JobSnapshot::from(job("Running"))));
    let unreachable = WaitError::new(WaitErrorKind::Unreachable, never_read);
    assert_eq!(
        unreachable.to_string(),
        "job 4a5b: the service cannot be reached (0 attempts in 60.0 s; the job was last seen Running)"
    );
}

#[test]
fn every_input_and_output_of_a_driver_can_be_created() {
    let mut reading = Reading::new(job("Running"));
    reading.request_id = Some("r-1".into());
    reading.date = Some(Timestamp::UNIX_EPOCH);
    reading.credentials_refreshed = true;
    let mut unchanged = Unchanged::new();
    unchanged.date = Some(Timestamp::UNIX_EPOCH);
    let transport = TransportError::new(TransportErrorKind::Dns, RequestSent::No);
    let fetch_error = FetchError::new(FetchErrorKind::Status(429))
        .with_class(ErrorClass::Throttled)
        .with_request_id(Some("r-1".into()))
        .with_retry_after(Some(MINUTE))
        .with_credentials_refreshed(true);
    let inputs = [
        Input::from(reading.clone()),
        Input::from(unchanged),
        Input::from(Fetched::from(reading)),
        Input::from(ObjectReading::new(Object::Cluster(Cluster::new()))),
        Input::from(fetch_error),
        Input::from(FetchError::from(transport)),
        Input::from(Err::<Reading, _>(FetchError::credentials_timeout(MINUTE))),
        Input::Error(AttemptError::timed_out(MINUTE)),
        Input::Wake,
        Input::Stop,
    ];
    assert_eq!(inputs.iter().filter(|input| matches!(input, Input::Error(_))).count(), 4);
    let mut object = ObjectSnapshot::new(ObjectState::Broken, "Error");
    object.uid = Some("c".into());
    assert_eq!((object.state, object.name), (ObjectState::Broken, None));
    let fetch = Action::FetchObject { id: cluster(), timeout: MINUTE };
    assert_ne!(Step::new(fetch), Step::new(Action::SleepUntil(MINUTE)));

    let mut step = Step::new(Action::SleepUntil(MINUTE));
    step.events.push(Event::Heartbeat);
    step.plan = Some(PollPlan::after(MINUTE));
    let mut state = PollState::new(MINUTE, 1);
    state.job_type = Some("CreateNode");
    assert_eq!(step.plan.map(|plan| plan.delay), Some(state.elapsed));
}

#[cfg(feature = "tokio")]
#[test]
fn the_figures_of_a_fleet_can_be_created() {
    use job_poller::fleet::{FleetJobStatus, FleetStats, Lagged};

    let mut stats = FleetStats::default();
    stats.jobs = 3;
    stats.throttled_for = MINUTE;
    assert_eq!((stats.jobs, stats.queued), (3, 0));

    let mut status = FleetJobStatus::default();
    status.snapshot = Some(JobSnapshot::from(job("Running")));
    status.last_error = Some(attempt_error());
    status.next_attempt_in = Some(MINUTE);
    assert_eq!((status.phase(), status.attempts), (Some(&Phase::Running), 0));

    assert_eq!(Lagged(1).to_string().split(' ').next(), Some("1"));
}
