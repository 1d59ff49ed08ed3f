//! Tests of the driver under a paused clock: dropping, stopping and resuming a wait.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures_core::future::BoxFuture;
use futures_util::StreamExt;
use job_model::{Job, JobId, Phase};
use job_poller::{
    Checkpoint, Event, Outcome, Wait, WaitErrorKind, WaitPolicy, schedule::Fixed, source::JobSource,
};
use job_transport::{
    FetchError, Reading,
    transport::{RequestSent, TransportError, TransportErrorKind},
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
    task::yield_now,
    time::Instant,
};

/// A service that returns the given replies in order, and then repeats the last one. It has one
/// permit, which an attempt holds while it runs. A reply takes several polls and 100 ms.
struct Service {
    replies: Vec<Result<&'static str, TransportErrorKind>>,
    permits: Semaphore,
    request_count: AtomicU32,
    requested_ids: Mutex<Vec<JobId>>,
}

impl Service {
    fn new(replies: &[Result<&'static str, TransportErrorKind>]) -> Arc<Self> {
        Arc::new(Self {
            replies: replies.into(),
            permits: Semaphore::new(1),
            request_count: AtomicU32::new(0),
            requested_ids: Mutex::default(),
        })
    }

    fn request_count(&self) -> u32 {
        self.request_count.load(Ordering::Relaxed)
    }
}

impl JobSource for Service {
    fn fetch<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
        Box::pin(async move {
            let _permit = self.permits.try_acquire().unwrap();
            let number = self.request_count.fetch_add(1, Ordering::Relaxed) as usize;
            self.requested_ids.lock().unwrap().push(id.clone());
            yield_now().await;
            tokio::time::timeout(Duration::from_millis(100), std::future::pending::<()>())
                .await
                .unwrap_err();
            yield_now().await;
            match self.replies[number.min(self.replies.len() - 1)] {
                Ok(body) => Ok(Reading::new(Job::from_slice(body.as_bytes()).unwrap())),
                Err(kind) => Err(TransportError::new(kind, RequestSent::Maybe).into()),
            }
        })
    }
}

const RUNNING: &str = r#"{"status": {"phase": "Running"}}"#;
const SUCCESS: &str = r#"{"status": {"phase": "Success"}}"#;
const REPLIES: [Result<&str, TransportErrorKind>; 5] =
    [Ok(RUNNING), Err(TransportErrorKind::Closed), Ok(RUNNING), Ok(RUNNING), Ok(SUCCESS)];

fn id() -> JobId {
    "a".parse().unwrap()
}

fn wait(service: &Arc<Service>) -> Wait {
    Wait::new(service.clone(), id()).schedule(Fixed::new(Duration::from_secs(10))).seed(1)
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the paused clock, to see what a wait took")]
    Instant::now()
}

/// Returns the output of a future, or `None` if it is not ready after `times` polls.
async fn poll_times<F: Future>(future: F, times: u32) -> Option<F::Output> {
    let (mut future, mut left) = (pin!(future), times);
    poll_fn(move |context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => {
            left = left.saturating_sub(1);
            if left == 0 { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn dropping_a_wait_at_any_poll_leaks_nothing() {
    let tasks = Handle::current().metrics().num_alive_tasks();
    let mut polls = 0;
    loop {
        polls += 1;
        let service = Service::new(&REPLIES);
        let ended = poll_times(wait(&service), polls).await;
        assert_eq!(service.permits.available_permits(), 1, "at poll {polls}");
        assert_eq!(Arc::strong_count(&service), 1, "at poll {polls}");
        assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks, "at poll {polls}");
        if let Some(ended) = ended {
            assert_eq!(ended.unwrap().outcome, Outcome::Succeeded);
            break;
        }
    }
    // Five attempts with three polls each, and four pauses.
    assert!(polls > 15, "{polls}");
}

#[tokio::test(start_paused = true)]
async fn dropping_next_loses_no_events() {
    let undisturbed: Vec<_> = wait(&Service::new(&REPLIES)).events().collect().await;
    let service = Service::new(&REPLIES);
    let mut events = wait(&service).events();
    let mut received = Vec::new();
    // Polls each future of `next` once, and drops it.
    while let Some(event) = poll_fn(|context| pin!(events.next()).poll(context)).await {
        received.push(event);
    }
    assert_eq!(received, undisturbed);
    assert_eq!(events.finish().await.unwrap().outcome, Outcome::Succeeded);
    assert_eq!(service.request_count(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_wait_can_be_spawned_joined_and_selected() {
    let new = || wait(&Service::new(&REPLIES));
    let (spawned, joined) = tokio::join!(tokio::spawn(new()), new());
    assert_eq!(spawned.unwrap().unwrap().outcome, Outcome::Succeeded);
    assert_eq!(joined.unwrap().outcome, Outcome::Succeeded);
    let mut polled = new();
    tokio::select! {
        biased;
        ended = &mut polled => panic!("{ended:?}"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(polled.await.unwrap().outcome, Outcome::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn future_and_stream_emit_the_same_events() {
    let streamed: Vec<_> = wait(&Service::new(&REPLIES)).events().collect().await;
    let events = Arc::<Mutex<Vec<_>>>::default();
    let recorder = events.clone();
    let wait = wait(&Service::new(&REPLIES));
    let wait = wait.on_event(move |at, event| recorder.lock().unwrap().push((at, event.clone())));
    assert_eq!(wait.await.unwrap().attempts, 5);
    assert_eq!(*events.lock().unwrap(), streamed);
}

#[tokio::test(start_paused = true)]
async fn waits_can_be_stored_without_type_parameters() {
    struct Holder {
        source: Arc<dyn JobSource>,
        waits: Vec<Wait>,
    }
    let mut kept = Holder { source: Service::new(&[Ok(SUCCESS)]), waits: Vec::new() };
    kept.waits.push(Wait::new(kept.source.clone(), id()));
    assert_eq!(kept.waits.remove(0).await.unwrap().outcome, Outcome::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_cuts_an_attempt_in_flight_exactly() {
    /// Returns this reply once, and none after that.
    struct Silent(Mutex<Option<Reading>>);
    impl JobSource for Silent {
        fn fetch<'a>(&'a self, _: &'a JobId) -> BoxFuture<'a, Result<Reading, FetchError>> {
            match self.0.lock().unwrap().take() {
                Some(reading) => Box::pin(async { Ok(reading) }),
                None => Box::pin(std::future::pending()),
            }
        }
    }
    let running = || Some(Reading::new(Job::from_slice(RUNNING.as_bytes()).unwrap()));
    let rows = [
        (1, None),
        (999, None),
        (1000, None),
        (29_999, None),
        (45_001, None),
        (45_001, running()),
        (3_600_000, running()),
    ];
    for (timeout, reading) in rows {
        let timeout = Duration::from_millis(timeout);
        let began = now();
        let source = Silent(Mutex::new(reading));
        let error = Wait::new(source, id()).timeout(timeout).await.unwrap_err();
        assert_eq!(error.kind(), WaitErrorKind::DeadlineExceeded);
        assert!(error.elapsed() <= timeout, "{timeout:?}: {error:?}");
        assert_eq!(began.elapsed(), error.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_year_long_wait_ends_at_its_deadline() {
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    let service = Service::new(&[Ok(RUNNING)]);
    let wait = Wait::new(service.clone(), id()).schedule(Fixed::new(Duration::from_secs(600)));
    let error = wait.timeout(year).await.unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::DeadlineExceeded);
    assert!(error.elapsed() <= year && year - error.elapsed() <= Duration::from_secs(2));
    assert!(service.request_count() > 50_000, "{}", service.request_count());
}

#[tokio::test(start_paused = true)]
async fn a_stopped_wait_resumes_from_its_checkpoint() {
    let service = Service::new(&REPLIES);
    let (stop, stopped) = oneshot::channel::<()>();
    let mut events = wait(&service).stop_on(async { drop(stopped.await) }).events();
    // After the first attempt, during the pause.
    while !matches!(events.next().await, Some((_, Event::NextAttempt { .. }))) {}
    stop.send(()).unwrap();
    assert_eq!(events.next().await, None);
    let error = events.finish().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (WaitErrorKind::Stopped, 1));
    assert_eq!(error.job().as_deref().and_then(Job::phase), Some(&Phase::Running));

    let kept = serde_json::to_string(error.checkpoint()).unwrap();
    let checkpoint: Checkpoint = serde_json::from_str(&kept).unwrap();
    let resumed =
        Wait::resume(service.clone(), checkpoint).schedule(Fixed::new(Duration::from_secs(10)));
    let ended = resumed.await.unwrap();
    assert_eq!(
        (ended.outcome, ended.attempts, service.request_count()),
        (Outcome::Succeeded, 5, 5)
    );
    // Three pauses of 10 s, one pause after the error, and five attempts. No pause happened twice.
    assert_eq!(ended.elapsed.as_secs(), 32);
}

/// Returns the checkpoint of a wait with a timeout of one minute, taken in its first pause at 0.1
/// s. The next attempt is planned at 10.1 s.
async fn checkpoint_in_pause(service: &Arc<Service>) -> Checkpoint {
    let mut events = wait(service).timeout(Duration::from_secs(60)).events();
    while !matches!(events.next().await, Some((_, Event::NextAttempt { .. }))) {}
    events.checkpoint()
}

#[tokio::test(start_paused = true)]
async fn a_resumed_wait_keeps_its_plan_and_deadline() {
    let rows = [
        ("resumed early: at the planned time", 5, SUCCESS, Ok(10_200)),
        ("resumed late: at once", 30, SUCCESS, Ok(30_200)),
        ("the deadline does not move", 30, RUNNING, Err(58_100)),
        ("after the deadline: one attempt", 600, SUCCESS, Ok(600_200)),
        ("after the deadline: no second attempt", 600, RUNNING, Err(600_200)),
    ];
    for (name, away, body, expected) in rows {
        let checkpoint = checkpoint_in_pause(&Service::new(&[Ok(RUNNING)])).await;
        tokio::time::advance(Duration::from_secs(away)).await;
        let service = Service::new(&[Ok(body)]);
        let resumed = Wait::resume(service.clone(), checkpoint);
        let result = resumed.schedule(Fixed::new(Duration::from_secs(10))).await;
        let elapsed = match &result {
            Ok(ended) => Ok(ended.elapsed),
            Err(error) => Err(error.elapsed()),
        };
        let near = |elapsed: Duration, ms: u64| {
            elapsed.abs_diff(Duration::from_millis(ms)) <= Duration::from_millis(5)
        };
        let right = match (elapsed, expected) {
            (Ok(elapsed), Ok(ms)) | (Err(elapsed), Err(ms)) => near(elapsed, ms),
            _ => false,
        };
        assert!(right, "{name}: {result:?}, not {expected:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_timed_out_wait_resumes_with_a_longer_timeout() {
    let service = Service::new(&REPLIES);
    let error = wait(&service).timeout(Duration::from_secs(12)).await.unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::DeadlineExceeded);
    let resumed = Wait::resume(service.clone(), error.into_checkpoint());
    let ended = resumed.timeout(Duration::from_secs(600)).await.unwrap();
    assert_eq!((ended.outcome, ended.attempts), (Outcome::Succeeded, 5));
}

#[tokio::test(start_paused = true)]
async fn sub_jobs_are_fetched_by_their_own_ids() {
    let shallow = r#"{"spec": {"type": "ScaleupCluster", "subJobs": [
        {"metadata": {"uid": "b"}, "spec": {"type": "CreateNode"}, "status": {"phase": "Success"}}]},
        "status": {"phase": "Success"}}"#;
    let deep = r#"{"metadata": {"uid": "b"}, "spec": {"type": "CreateNode", "subJobs": [
        {"spec": {"type": "InstallNode", "resourceID": "a7ee0f9c"}}]}, "status": {"phase": "Success"}}"#;
    let service = Service::new(&[Ok(shallow), Ok(deep)]);
    let policy = WaitPolicy::new().max_tree_lookups(3);
    let ended = wait(&service).policy(policy).await.unwrap();
    assert_eq!((ended.attempts, ended.sub_job_lookups), (1, 1));
    assert_eq!(*service.requested_ids.lock().unwrap(), ["a", "b"].map(|id| id.parse().unwrap()));
    let job = ended.into_success().unwrap();
    assert_eq!(job.resource_ids(&["CreateNode", "InstallNode"]).next(), Some("a7ee0f9c"));
}

#[tokio::test(start_paused = true)]
async fn delays_are_random_unless_seeds_match() {
    let first = async |seed: Option<u64>| {
        let wait = Wait::new(Service::new(&[Ok(RUNNING)]), id());
        let wait = seed.into_iter().fold(wait, Wait::seed);
        let mut events = wait.events();
        loop {
            if let Some((_, Event::NextAttempt { at, .. })) = events.next().await {
                return at;
            }
        }
    };
    assert_eq!(first(Some(3)).await, first(Some(3)).await);
    assert_ne!(first(Some(3)).await, first(Some(4)).await);
    assert_ne!(first(None).await, first(None).await);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_during_the_last_events_is_complete() {
    // The last step reports an error and ends the wait. The caller has received the error, but not
    // the end.
    let policy = WaitPolicy::new().max_consecutive_errors(1);
    let service = Service::new(&[Ok(RUNNING), Err(TransportErrorKind::Closed), Ok(SUCCESS)]);
    let mut events = wait(&service).policy(policy).events();
    while !matches!(events.next().await, Some((_, Event::AttemptFailed { .. }))) {}
    let checkpoint = events.checkpoint();
    assert_eq!(checkpoint.job().as_deref().and_then(Job::phase), Some(&Phase::Running));
    assert_eq!(events.job(), checkpoint.job());
    assert_eq!(events.elapsed(), checkpoint.elapsed());
    let ended = Wait::resume(service.clone(), checkpoint).await.unwrap();
    assert_eq!((ended.outcome, ended.attempts), (Outcome::Succeeded, 3));

    let mut events = wait(&Service::new(&[Ok(SUCCESS)])).events();
    assert!(matches!(events.next().await, Some((_, Event::Phase { .. }))));
    assert_eq!(events.checkpoint().job().as_deref().and_then(Job::phase), Some(&Phase::Success));
    assert_eq!(events.job().as_deref().and_then(Job::phase), Some(&Phase::Success));
}

#[tokio::test(start_paused = true)]
async fn a_wait_polled_after_its_end_sends_no_requests() {
    let service = Service::new(&[Ok(SUCCESS)]);
    let mut waiting = wait(&service);
    assert!((&mut waiting).await.is_ok());
    assert!(poll_times(waiting, 1).await.is_none());
    assert_eq!(service.request_count(), 1);
}
