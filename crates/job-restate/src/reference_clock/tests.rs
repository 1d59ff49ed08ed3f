//! Tests the offsets that replies give, and what follows from them.

use std::future::pending;

use super::*;

/// A clock that the test sets.
struct ManualClock(Mutex<ManualTime>);

/// The seconds since [`START`], and by how much the clock is ahead.
#[derive(Clone, Copy)]
struct ManualTime {
    at: f64,
    ahead: f64,
}

/// The cloud's time at which all tests begin.
const START: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn seconds(seconds: f64) -> SignedDuration {
    SignedDuration::from_secs_f64(seconds)
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let ManualTime { at, ahead } = *self.0.lock().unwrap();
        START + seconds(at + ahead)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs_f64(7.0 + self.0.lock().unwrap().at)
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(pending())
    }
}

/// A clock, and the replies that it measures.
struct TestBed {
    clock: Arc<ManualClock>,
    reference: ReferenceClock,
}

impl TestBed {
    /// Creates a clock that is ahead.
    fn new(ahead: f64) -> Self {
        let clock = Arc::new(ManualClock(Mutex::new(ManualTime { at: 0.0, ahead })));
        Self { reference: ReferenceClock::new(clock.clone()), clock }
    }

    /// Receives a reply at `at` by the cloud's time, with a clock that is `ahead` now. The cloud wrote
    /// the reply in the middle of the request.
    fn receive(&self, at: f64, ahead: f64, latency: f64) {
        self.receive_date(at, ahead, latency, at - latency / 2.0);
    }

    /// Receives a reply that a server wrote at the time `written` by its clock.
    fn receive_date(&self, at: f64, ahead: f64, latency: f64, written: f64) {
        *self.clock.0.lock().unwrap() = ManualTime { at, ahead };
        let written = START + seconds(written);
        let date = Timestamp::from_second(written.as_second()).unwrap();
        self.reference.handle_reply(TimeSource::Cloud, Duration::from_secs_f64(latency), date);
    }

    fn offset(&self) -> f64 {
        self.reference.wall_clock_offset().as_secs_f64()
    }
}

#[test]
fn replies_narrow_the_offset() {
    // Each reply: when it is received, by how much the clock is ahead then, and the latency. The
    // lowest and the highest offset that may result.
    type Reply = (f64, f64, f64);
    let rows: [(&str, &[Reply], (f64, f64)); 8] = [
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
    ];
    for (name, replies, (low, high)) in rows {
        let bed = TestBed::new(replies.first().map_or(0.0, |(_, ahead, _)| *ahead));
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
        let bed = TestBed::new(ahead);
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
fn a_clock_that_is_set_changes_no_stored_time() {
    let bed = TestBed::new(0.0);
    bed.receive(10.4, 0.0, 0.1);
    for (at, ahead) in [(20.4, 0.0), (30.4, 120.0), (40.4, 120.0), (50.4, -3_600.0)] {
        *bed.clock.0.lock().unwrap() = ManualTime { at, ahead };
        assert_eq!(bed.reference.now(), START + seconds(at), "{at}");
        assert_eq!(bed.reference.problem().is_some(), ahead != 0.0, "{at}");
        let delay = Duration::from_secs(200);
        let expected = (200.0 - ahead).max(0.0);
        assert_eq!(bed.reference.sdk_delay(delay).as_secs_f64(), expected, "{at}");
    }
}

#[test]
fn a_single_server_with_a_wrong_clock_changes_nothing() {
    // By how much the server is ahead that wrote each reply, and by how much this clock is behind it
    // at the end.
    let rows: [(&str, &[f64], f64); 5] = [
        ("one", &[0.0, 3_600.0, 0.0, 0.0], 0.0),
        ("two in a row", &[0.0, 3_600.0, 3_600.0, 0.0], 0.0),
        ("every other one", &[0.0, 3_600.0, 0.0, 3_600.0, 0.0, 3_600.0], 0.0),
        ("two that differ", &[0.0, 3_600.0, 60.0, 3_600.0, 60.0], 0.0),
        ("three that agree", &[0.0, 3_600.0, 3_600.0, 3_600.0], 3_600.0),
    ];
    for (name, servers, expected) in rows {
        let bed = TestBed::new(0.0);
        for (reply, ahead) in servers.iter().enumerate() {
            let at = 10.4 + reply as f64 * 10.0;
            bed.receive_date(at, 0.0, 0.1, at + ahead);
        }
        let behind = -bed.offset();
        assert!((behind - expected).abs() <= 1.0, "{name}: {behind}");
    }
}

#[test]
fn the_engines_time_is_used_until_the_cloud_replies() {
    let bed = TestBed::new(40.0);
    let engine = |ahead: i64| {
        let date = START + SignedDuration::from_secs(40 - ahead);
        bed.reference.handle_reply(TimeSource::Engine, Duration::ZERO, date);
    };
    engine(40);
    assert!((39.0..=40.0).contains(&bed.offset()), "{}", bed.offset());
    // Deadlines are still set, because the first attempt shows the cloud's time.
    assert_eq!(bed.reference.problem(), None);
    bed.receive_date(10.4, 40.0, 0.1, 30.4);
    engine(40);
    assert!((19.0..=20.1).contains(&bed.offset()), "{}", bed.offset());
    assert!(bed.reference.problem().is_some());
}

#[test]
fn delays_for_the_sdk_are_corrected() {
    // By how much the clock is ahead, the wanted delay, and the delay for the SDK.
    let rows =
        [(0.0, 10.0, 10.0), (-120.0, 10.0, 130.0), (120.0, 300.0, 180.0), (120.0, 10.0, 0.0)];
    for (ahead, delay, expected) in rows {
        let bed = TestBed::new(ahead);
        bed.receive(10.05, ahead, 0.1);
        bed.receive(20.95, ahead, 0.1);
        let corrected = bed.reference.sdk_delay(Duration::from_secs_f64(delay)).as_secs_f64();
        assert!((corrected - expected).abs() < 0.3, "{ahead} {delay}: {corrected}");
    }
    let bed = TestBed::new(0.0);
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
        let bed = TestBed::new(ahead);
        bed.receive(10.75, ahead, 0.1);
        let problem = bed.reference.problem();
        let expected = expected.map(|offset| {
            format!("the clock of this service is {offset} the cloud's; correct it (for example with NTP)")
        });
        assert_eq!(problem, expected, "{ahead}");
    }
}
