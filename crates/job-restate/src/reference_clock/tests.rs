//! Tests the offsets that replies give, and what follows from them.

use std::future::pending;

use super::*;

/// A clock that the test sets.
#[derive(Default)]
struct ManualClock(Mutex<SignedDuration>);

/// The cloud's time at which all tests begin.
const START: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn seconds(seconds: f64) -> SignedDuration {
    SignedDuration::from_secs_f64(seconds)
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        START + *self.0.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(7)
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(pending())
    }
}

/// A clock that is ahead by `.0` seconds, and the replies that it measures.
struct TestBed {
    clock: Arc<ManualClock>,
    reference: ReferenceClock,
}

impl TestBed {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        Self { reference: ReferenceClock::new(clock.clone()), clock }
    }

    /// Receives a reply at `at` by the cloud's time, with a clock that is `ahead`. The cloud wrote
    /// the reply in the middle of the request.
    fn receive(&self, at: f64, ahead: f64, latency: f64) {
        *self.clock.0.lock().unwrap() = seconds(at + ahead);
        let written = START + seconds(at - latency / 2.0);
        let date = Timestamp::from_second(written.as_second()).unwrap();
        self.reference.handle_reply(TimeSource::Cloud, Duration::from_secs_f64(latency), date);
    }

    fn offset(&self) -> f64 {
        self.reference.offset().as_secs_f64()
    }
}

#[test]
fn replies_narrow_the_offset() {
    // Each reply: when it is received, by how much the clock is ahead then, and the latency. The
    // lowest and the highest offset that may result.
    type Reply = (f64, f64, f64);
    let rows: [(&str, &[Reply], (f64, f64)); 9] = [
        ("no reply", &[], (0.0, 0.0)),
        ("right", &[(10.4, 0.0, 0.1)], (0.0, 0.0)),
        ("off by less than the resolution", &[(10.2, 0.5, 0.1), (20.9, 0.5, 0.1)], (0.0, 0.5)),
        ("ahead", &[(10.4, 120.0, 0.1)], (118.9, 120.0)),
        ("behind", &[(10.4, -120.0, 0.1)], (-120.0, -118.9)),
        (
            "several replies",
            &[(10.05, 120.0, 0.1), (20.95, 120.0, 0.1), (30.5, 120.0, 0.1)],
            (119.8, 120.05),
        ),
        ("a slow reply says little", &[(10.4, 20.0, 30.0)], (4.3, 4.5)),
        ("a slow reply widens nothing", &[(10.4, 20.0, 0.1), (60.0, 20.0, 30.0)], (19.3, 20.0)),
        ("the clock is set", &[(10.4, 120.0, 0.1), (20.4, 0.0, 0.1)], (0.0, 0.0)),
    ];
    for (name, replies, (low, high)) in rows {
        let bed = TestBed::new();
        for (at, ahead, latency) in replies {
            bed.receive(*at, *ahead, *latency);
        }
        let offset = bed.offset();
        assert!((low..=high).contains(&offset), "{name}: {offset}");
        let now = bed.clock.now().duration_since(bed.reference.now()).as_secs_f64();
        assert!((now - offset).abs() < 1e-6, "{name}: {now}");
        assert_eq!(bed.reference.monotonic(), bed.clock.monotonic());
    }
}

#[test]
fn a_correction_never_makes_a_clock_worse() {
    for ahead in [-120.0, -1.0, -0.3, 0.0, 0.3, 1.0, 120.0] {
        let bed = TestBed::new();
        for reply in 0..100 {
            bed.receive(10.0 + f64::from(reply) * 1.37, ahead, 0.2);
            let offset = bed.offset();
            assert!(offset.abs() <= ahead.abs() + 1e-6, "{ahead}: {offset}");
            assert!(offset * ahead >= 0.0, "{ahead}: {offset}");
        }
        assert!((bed.offset() - ahead).abs() < 0.25, "{ahead}: {}", bed.offset());
    }
}

#[test]
fn the_engines_time_is_used_until_the_cloud_replies() {
    let bed = TestBed::new();
    *bed.clock.0.lock().unwrap() = seconds(120.0);
    let engine = |ahead: i64| {
        let date = START + SignedDuration::from_secs(120 - ahead);
        bed.reference.handle_reply(TimeSource::Engine, Duration::ZERO, date);
    };
    engine(40);
    assert!((39.0..=40.0).contains(&bed.offset()), "{}", bed.offset());
    bed.receive(10.4, 20.0, 0.1);
    engine(40);
    assert!((18.9..=20.0).contains(&bed.offset()), "{}", bed.offset());
}

#[test]
fn delays_for_the_sdk_are_corrected() {
    // By how much the clock is ahead, the wanted delay, and the delay for the SDK.
    let rows =
        [(0.0, 10.0, 10.0), (-120.0, 10.0, 130.0), (120.0, 300.0, 180.0), (120.0, 10.0, 0.0)];
    for (ahead, delay, expected) in rows {
        let bed = TestBed::new();
        bed.receive(10.05, ahead, 0.1);
        bed.receive(20.95, ahead, 0.1);
        let corrected = bed.reference.sdk_delay(Duration::from_secs_f64(delay)).as_secs_f64();
        assert!((corrected - expected).abs() < 0.3, "{ahead} {delay}: {corrected}");
    }
    let bed = TestBed::new();
    assert_eq!(
        bed.reference.sdk_delay(Duration::MAX),
        Duration::try_from(SignedDuration::MAX).unwrap()
    );
}

#[test]
fn a_clock_that_is_off_is_reported() {
    let rows = [
        (0.0, None),
        (5.3, None),
        (-5.5, None),
        (6.8, Some("6.4s ahead of")),
        (-6.8, Some("6s behind")),
        (125.2, Some("2m 4s ahead of")),
    ];
    for (ahead, expected) in rows {
        let bed = TestBed::new();
        bed.receive(10.75, ahead, 0.1);
        let problem = bed.reference.problem();
        let expected = expected.map(|offset| {
            format!("the clock of this service is {offset} the cloud's; correct it (for example with NTP)")
        });
        assert_eq!(problem, expected, "{ahead}");
    }
}
