//! Runs a wait whose process and whose server are killed, and checks its result.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use job_model::object::ObjectId;
use job_poller::{
    Checkpoint, FinishedJob, Until, Wait, WaitError, WaitErrorKind, WaitPolicy, schedule::Fixed,
};
use job_sim::{Sim, SimServer};
use job_transport::{
    Client,
    hyper::{HyperTransport, TlsConfig, TlsProvider},
};
use serde_json::Value;
use tokio::time::{Instant, advance};

use crate::{
    ACTIVE, BROKEN, LOOKING_UP, MISSING, MISSING_JOB, Row, SETTLING, Target, Truth, UNDER_WAY,
    UNREAD, UNREAD_JOB, fragile_source::FragileSource, seconds,
};

/// When a process is killed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kill {
    /// The number of the request of this process, or 0 for before it begins.
    pub(crate) request: u32,
    pub(crate) moment: Moment,
    /// The time since the wait began at which the next process begins, unless that is soon.
    until: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Moment {
    BeforeRequest,
    /// The server has replied, and the wait has not read the reply.
    ReplyLost,
    /// The wait has read the reply.
    InPause,
}

impl Kill {
    pub(crate) const fn new(request: u32, moment: Moment) -> Self {
        Self { request, moment, until: Duration::ZERO }
    }

    pub(crate) fn until_after(self, time: Duration) -> Self {
        Self { until: time + seconds(1), ..self }
    }
}

/// How a wait ended.
pub(crate) struct Ended {
    sim: Arc<Sim>,
    result: Result<FinishedJob, WaitError>,
    /// The time since the wait began.
    at: Duration,
    /// The states in which the wait was killed.
    pub(crate) states: BTreeSet<String>,
    /// When the last process began.
    resumed_at: Duration,
}

/// How long the process and the server are dead.
const DEAD: Duration = seconds(3);

/// The time between two readings.
const INTERVAL: Duration = seconds(10);

/// Runs the wait of this row. Each kill is one of its processes.
pub(crate) async fn run(row: Row, kills: impl IntoIterator<Item = Kill>) -> Ended {
    #[expect(clippy::disallowed_methods, reason = "the paused clock")]
    let began = Instant::now();
    let (target, sim) = (row.target, Arc::new(row.sim));
    let mut server = SimServer::start(sim.clone()).await.unwrap();
    let policy = WaitPolicy::new().timeout(row.timeout);
    let policy = match row.until {
        Until::Gone => policy.until_gone(),
        _ => policy.until_ready(),
    };
    let (mut kept, mut states, mut resumed_at) = (None::<String>, BTreeSet::new(), Duration::ZERO);
    let mut kills = kills.into_iter();
    loop {
        let kill = kills.next();
        let source = FragileSource::new(client(&sim, &server), kill);
        let killed = source.killed();
        let wait = match (kept.take(), &target) {
            (Some(text), _) => Wait::resume(source, serde_json::from_str(&text).unwrap()),
            (None, Target::Job) => Wait::new(source, sim.job().clone()).policy(policy),
            (None, Target::Cluster(id)) => for_object(source, id, None).policy(policy),
            (None, Target::Node(id)) => for_object(source, "c", Some(id)).policy(policy),
        };
        let mut events = wait.schedule(Fixed::new(INTERVAL)).seed(0).events();
        let is_killed = loop {
            if kill.is_some_and(|kill| kill.request == 0) {
                break true;
            }
            tokio::select! {
                biased;
                event = events.next() => if event.is_none() {
                    break false;
                },
                () = killed.notified() => break true,
            }
        };
        if !is_killed {
            let result = events.finish().await;
            return Ended { sim, result, at: began.elapsed(), states, resumed_at };
        }
        let checkpoint = events.checkpoint();
        drop(events);
        states.insert(state(&checkpoint));
        kept = Some(serde_json::to_string(&checkpoint).unwrap());
        server.kill().await.unwrap();
        let until = kill.map(|kill| kill.until).unwrap_or_default();
        advance(until.saturating_sub(began.elapsed()).max(DEAD)).await;
        server.restart().await.unwrap();
        resumed_at = began.elapsed();
    }
}

fn client(sim: &Sim, server: &SimServer) -> Client {
    let tls = TlsConfig::ca_pem(TlsProvider::aws_lc_rs(), server.ca_pem()).unwrap();
    sim.client(server.endpoint().parse().unwrap(), HyperTransport::new(tls))
}

fn for_object(source: FragileSource, cluster: &str, node: Option<&str>) -> Wait {
    let cluster = cluster.parse().unwrap();
    let id = match node {
        Some(node) => ObjectId::Node { cluster, node: node.parse().unwrap() },
        None => ObjectId::Cluster(cluster),
    };
    Wait::for_object(source, id)
}

/// Returns the state of a wait in words.
fn state(checkpoint: &Checkpoint) -> String {
    let machine = checkpoint.machine();
    let json = serde_json::to_value(machine).unwrap();
    let state = match &json["state"] {
        Value::String(_) if machine.snapshot().is_none() => UNREAD_JOB,
        Value::String(_) if machine.last_error().is_some() => MISSING_JOB,
        Value::String(_) => ACTIVE,
        state if state.get("Settling").is_some() => SETTLING,
        state if state.get("LookingUp").is_some() => LOOKING_UP,
        state => {
            let objects = &state["ReadingObjects"]["objects"];
            let is_any = |field: &str| {
                objects.as_array().unwrap().iter().any(|object| !object[field].is_null())
            };
            match () {
                () if is_any("missing_since") => MISSING,
                () if is_any("broken_since") => BROKEN,
                () if state["ReadingObjects"]["readings"] == 0 => UNREAD,
                () => UNDER_WAY,
            }
        }
    };
    state.into()
}

/// Returns the outcome, and the phase of each object.
fn line(result: &Result<FinishedJob, WaitError>) -> String {
    let (outcome, objects): (_, Vec<_>) = match result {
        Ok(finished) => (finished.outcome.as_str(), finished.objects.iter().collect()),
        Err(error) => (error.kind().as_str(), error.objects().collect()),
    };
    let is_job_gone = result.as_ref().is_ok_and(|finished| finished.is_job_gone);
    let job = if is_job_gone { ", job gone" } else { "" };
    let phases: Vec<_> = objects.iter().map(|object| object.phase_or_state()).collect();
    format!("{outcome}{job}: {}", phases.join(", "))
}

/// Returns the ids of the clusters and nodes of a result.
fn ids(finished: &FinishedJob) -> impl Iterator<Item = &str> {
    finished.objects.iter().map(|object| object.id.as_str())
}

/// Returns the latest time at which an object of the result became ready, or gone.
fn settled_at(ended: &Ended, truth: &Truth) -> Duration {
    let at = |id: &str| match truth {
        Truth::Gone => ended.sim.gone_at(id),
        _ => ended.sim.first_ready_at(id),
    };
    ids(ended.result.as_ref().unwrap()).map(|id| at(id).unwrap()).max().unwrap()
}

/// Checks a wait that was not dead when its deadline passed.
pub(crate) fn check_result(row: &Row, ended: &Ended, how: &str) {
    let how = format!("{}, {how}", row.name);
    assert_eq!(line(&ended.result), row.expected, "{how}");
    let at = ended.at;
    let earliest = match row.truth {
        Truth::Ready => settled_at(ended, &row.truth),
        Truth::Gone => settled_at(ended, &row.truth) + seconds(10),
        Truth::At(time) => time,
        Truth::Deadline => row.timeout - EARLY_LAST_ATTEMPT,
    };
    assert!(at >= earliest, "{how}: ended at {at:?}, before {earliest:?}");
    let latest = match row.truth {
        Truth::Deadline => row.timeout,
        Truth::Ready | Truth::Gone | Truth::At(_) => row.timeout.min(earliest + MAX_DELAY),
    };
    // The wait has slept until its deadline, and the process was dead for a while before that.
    assert!(at <= latest + seconds(1), "{how}: ended at {at:?}, after {latest:?}");
    let elapsed = match &ended.result {
        Ok(finished) => finished.elapsed,
        Err(error) => error.elapsed(),
    };
    assert!(at.abs_diff(elapsed) < seconds(1), "{how}: {elapsed:?}, in fact {at:?}");
}

/// Checks a wait that was dead when its deadline passed. It makes one more attempt.
pub(crate) fn check_past_deadline(row: &Row, ended: &Ended, number: u32) {
    let how = format!("{}, killed at request {number} until after the deadline", row.name);
    let latest = ended.resumed_at + seconds(1);
    assert!(ended.at <= latest, "{how}: ended at {:?}, after {latest:?}", ended.at);
    match &ended.result {
        Ok(finished) => {
            assert_eq!(line(&ended.result), row.expected, "{how}");
            assert!(!finished.objects.is_empty(), "{how}");
        }
        Err(error) => {
            let kind = error.kind();
            let is_late = matches!(kind, WaitErrorKind::NotReady | WaitErrorKind::DeadlineExceeded);
            assert!(is_late, "{how}: {error}");
        }
    }
}

/// The last attempt starts this long before the deadline.
const EARLY_LAST_ATTEMPT: Duration = seconds(2);

/// Maximum time by which the wait ends later than it could: an interval, the time of a dead process and
/// pauses after errors.
const MAX_DELAY: Duration = seconds(30);
