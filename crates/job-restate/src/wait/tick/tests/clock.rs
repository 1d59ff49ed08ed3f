//! Tests waits in a service whose clock is wrong.

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::DATE};
use job_transport::transport::{Transport, TransportError};

use super::*;
use crate::{request::WatchRequest, wait::watch_request::WatchEffect};

/// A clock that is ahead of the cloud's, or behind.
struct WrongClock {
    cloud: ManualClock,
    ahead: f64,
}

impl Clock for WrongClock {
    fn now(&self) -> Timestamp {
        self.cloud.now() + jiff::SignedDuration::from_secs_f64(self.ahead)
    }

    fn monotonic(&self) -> Duration {
        self.cloud.monotonic()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.cloud.set((self.monotonic() + span).as_secs_f64()) })
    }
}

/// Adds the cloud's time to each reply of the simulator.
struct DatedTransport {
    inner: SimTransport,
    cloud: ManualClock,
    status: Option<StatusCode>,
}

impl Transport for DatedTransport {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let mut reply = self.inner.send(request).await?;
            if let Some(status) = self.status {
                *reply.status_mut() = status;
            }
            let date = self.cloud.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            reply.headers_mut().insert(DATE, date.parse().unwrap());
            Ok(reply)
        })
    }
}

/// Creates a service whose clock is ahead by these seconds. All replies have this status, if one is
/// given. The job does not end.
fn test_bed(ahead: f64, status: Option<StatusCode>) -> TestBed {
    let mut bed = TestBed::with_sim(|clock| {
        let plan = Plan::create_cluster().with_duration(Duration::from_secs(10_000));
        Sim::with_clock(plan, TimeSource::Clock, clock)
    });
    let cloud = bed.clock.clone();
    let transport =
        DatedTransport { inner: SimTransport::new(bed.sim.clone()), cloud: cloud.clone(), status };
    let endpoint = "https://cce.example".parse().unwrap();
    bed.wait.client = Client::with_clock(endpoint, bed.sim.credentials(), transport, cloud.clone());
    let clock = Arc::new(ReferenceClock::new(Arc::new(WrongClock { cloud, ahead })));
    bed.wait.budget = Arc::new(ServiceBudget::new(1, clock.clone()));
    bed.wait.clock = clock;
    bed
}

/// Starts a wait at this time by the cloud's clock, after a reply for another wait.
async fn start(bed: &TestBed, seconds: f64, policy: WaitPolicy) -> ActiveWait {
    let other = ActiveWait::new(&bed.key, policy, 7, 40, bed.wait.clock.now());
    let _ = bed.tick_with_slot(0.0, &other).await;
    bed.clock.set(seconds);
    ActiveWait::new(&bed.key, policy, 7, 40, bed.wait.clock.now())
}

/// Returns the seconds until the engine calls, if the SDK is given this delay now.
fn until_call(bed: &TestBed, ahead: f64, delay: f64) -> f64 {
    bed.wait.clock.sdk_delay(Duration::from_secs_f64(delay)).as_secs_f64() + ahead
}

/// The last attempt starts two seconds before the deadline.
const LAST_ATTEMPT: f64 = 2.0;

fn is_near(actual: f64, expected: f64) -> bool {
    // The resolution of the cloud's time.
    (actual - expected).abs() <= 1.0
}

#[tokio::test]
async fn deadlines_and_pauses_are_right_if_the_clock_is_wrong() {
    for ahead in [0.0, 120.0, -120.0] {
        let bed = test_bed(ahead, None);
        let policy = WaitPolicy::new().timeout(Duration::from_secs(300));
        let mut waiting = start(&bed, 5.0, policy).await;
        let (mut now, mut ticks) = (5.0, 0);
        let ended_at = loop {
            let result = bed.tick_with_slot(now, &waiting).await;
            now = bed.clock.monotonic().as_secs_f64();
            let WaitState::Waiting(next) = result.state else { break now };
            waiting = *next;
            let delay = result.delay.as_secs_f64();
            let planned = waiting.next_tick_at.duration_since(bed.clock.now()).as_secs_f64();
            assert!(is_near(planned, delay), "{ahead}: {planned} {delay}");
            // A call whose delay is shorter than the offset is sent at once.
            let is_sent_later = bed.wait.clock.sdk_delay(result.delay) > Duration::ZERO;
            let call = if is_sent_later { until_call(&bed, ahead, delay) } else { 0.0 };
            assert!(call <= delay + 1.0, "{ahead}: {call} {delay}");
            assert!(is_near(call, delay) || delay <= ahead, "{ahead}: {call} {delay}");
            now += call;
            ticks += 1;
        };
        assert!(is_near(ended_at, 305.0 - LAST_ATTEMPT), "{ahead}: {ended_at}");
        assert!(ticks < 70, "{ahead}: {ticks}");
    }
}

#[tokio::test]
async fn a_wait_moves_between_services_with_different_clocks() {
    let beds = [test_bed(0.0, None), test_bed(120.0, None), test_bed(-120.0, None)];
    let policy = WaitPolicy::new().timeout(Duration::from_secs(100));
    let mut waiting = start(&beds[0], 5.0, policy).await;
    for bed in &beds[1..] {
        let _ = start(bed, 5.0, policy).await;
    }
    let (mut now, mut beds) = (5.0, beds.iter().cycle());
    let ended_at = loop {
        let bed = beds.next().unwrap();
        let result = bed.tick_with_slot(now, &waiting).await;
        let WaitState::Waiting(next) = result.state else { break now };
        waiting = *next;
        now += result.delay.as_secs_f64();
    };
    assert!(is_near(ended_at, 105.0 - LAST_ATTEMPT), "{ended_at}");
}

#[tokio::test]
async fn every_reply_with_a_date_measures_the_clock() {
    for status in [200, 404, 429, 503].map(|status| StatusCode::from_u16(status).unwrap()) {
        let bed = test_bed(120.0, Some(status));
        assert_eq!(bed.wait.clock.problem(), None);
        let _ = start(&bed, 0.0, WaitPolicy::new()).await;
        let problem = bed.wait.clock.problem().unwrap();
        assert!(problem.starts_with("the clock of this service is 1m 59s ahead of"), "{problem}");
    }
}

#[tokio::test]
async fn new_deadlines_are_refused_if_the_clock_is_wrong() {
    let minutes = |minutes: u64| WaitPolicy::new().timeout(Duration::from_secs(60 * minutes));
    let request = |timeout: &str| WatchRequest {
        timeout: Some(serde_json::from_str(&format!("{timeout:?}")).unwrap()),
        ..WatchRequest::default()
    };
    for (ahead, is_wrong) in [(0.0, false), (-120.0, true), (120.0, true)] {
        let bed = test_bed(ahead, None);
        let waiting = start(&bed, 0.0, minutes(30)).await;
        let rows = [
            ("1h", WatchEffect::Start, true),
            ("1h", WatchEffect::Change(&waiting), true),
            ("10m", WatchEffect::Change(&waiting), false),
            ("1h", WatchEffect::Answer, false),
        ];
        for (timeout, effect, sets_deadline) in rows {
            let checked = bed.wait.check_clock(&request(timeout), effect);
            assert_eq!(checked.is_err(), is_wrong && sets_deadline, "{ahead} {timeout} {effect:?}");
            let Err(error) = checked else { continue };
            let offset = if ahead > 0.0 { "1m 59s ahead of" } else { "2m behind" };
            let expected = format!(
                "no new deadline is set: the clock of this service is {offset} the cloud's; correct \
                 it (for example with NTP), then send the request again"
            );
            assert_eq!((error.code(), error.message()), (503, &*expected));
        }
    }
}

#[tokio::test]
async fn answers_are_not_late_if_the_clock_is_wrong() {
    for ahead in [0.0, 120.0, -120.0] {
        let bed = test_bed(ahead, None);
        let _ = start(&bed, 5.0, WaitPolicy::new()).await;
        let began = bed.clock.monotonic();
        assert!(bed.wait.pause_answer().await.is_ok());
        assert_eq!(bed.clock.monotonic() - began, Duration::from_millis(500), "{ahead}");
    }
}
