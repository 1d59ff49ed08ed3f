//! Tests the watchdog against a mock engine.

use std::{future::pending, sync::Mutex};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response};
use jiff::Timestamp;
use job_transport::transport::TransportError;
use serde_json::json;

use super::*;

/// Records the requests. Answers queries with scripted replies, and then with no rows.
#[derive(Clone, Default)]
struct MockEngine(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    replies: Vec<(u16, String)>,
    requests: Vec<String>,
    slept: Vec<Duration>,
    metrics: Option<Arc<Metrics>>,
    /// The gauge at the start of each sleep.
    gauges: Vec<i64>,
}

impl Transport for MockEngine {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let mut state = self.0.lock().unwrap();
        let uri = request.uri().to_string();
        let (status, body) = if uri == "http://admin/query" {
            assert_eq!(request.headers()["accept"], "application/json");
            let query: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
            assert_eq!(query, json!({"query": LOST_TICKS}));
            let next = (!state.replies.is_empty()).then(|| state.replies.remove(0));
            next.unwrap_or_else(|| (200, rows(&[])))
        } else {
            // The handler accepts no body.
            assert!(request.body().is_empty() && !request.headers().contains_key("content-type"));
            (202, r#"{"invocationId": "inv_1"}"#.into())
        };
        state.requests.push(uri);
        let reply = Response::builder().status(status).body(Bytes::from(body)).unwrap();
        Box::pin(async { Ok(reply) })
    }
}

/// A clock that ends each sleep at once, except timeouts.
impl Clock for MockEngine {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'_, ()> {
        if span == ANSWER_TIMEOUT {
            return Box::pin(pending());
        }
        let mut state = self.0.lock().unwrap();
        state.slept.push(span);
        let gauge = state.metrics.as_ref().map(|metrics| gauge(metrics));
        state.gauges.extend(gauge);
        // The last sleep ends the test.
        if state.slept.len() >= MAX_SLEEPS { Box::pin(pending()) } else { Box::pin(async {}) }
    }
}

/// The number of sleeps after which a test ends.
const MAX_SLEEPS: usize = 9;

fn gauge(metrics: &Metrics) -> i64 {
    let text = metrics.to_openmetrics(Duration::ZERO);
    let value = text.lines().find_map(|line| line.strip_prefix("cce_job_stalled_waits "));
    value.unwrap().parse().unwrap()
}

fn rows(keys: &[&str]) -> String {
    let rows: Vec<_> = keys.iter().map(|key| json!({"service_key": key})).collect();
    json!({"rows": rows}).to_string()
}

fn watchdog(engine: &MockEngine) -> Watchdog {
    let (transport, clock) = (Arc::new(engine.clone()), Arc::new(engine.clone()));
    let metrics = Arc::new(Metrics::new());
    Watchdog::new(transport, "http://admin/".into(), "http://ingress", clock, metrics)
}

#[test]
fn replies_to_queries_are_parsed() {
    let long = format!(r#"{{"rows": [], "more": "{}"}}"#, "x".repeat(MAX_REPLY_BYTES));
    let cases: [(&str, Result<&[&str], &str>); 8] = [
        (r#"{"rows": []}"#, Ok(&[])),
        (r#"{"rows": [{"service_key": "p:a"}, {"service_key": "p:b"}]}"#, Ok(&["p:a", "p:b"])),
        (r#"{"rows": [{"service_key": "p:a", "new": 1}], "new": 1}"#, Ok(&["p:a"])),
        (r#"{"rows": [{"service_key": "not a key"}, {"service_key": "p:b"}]}"#, Ok(&["p:b"])),
        (r#"{"rows": [{"key": "p:a"}]}"#, Err("not a list of waits: missing field `service_key`")),
        ("{}", Err("not a list of waits: missing field `rows`")),
        ("ARROW1", Err("not a list of waits")),
        (&long, Err("more than 2097152 bytes")),
    ];
    for (body, expected) in cases {
        let shown = &body[..body.len().min(80)];
        match (parse_reply(body.as_bytes()), expected) {
            (Ok(keys), Ok(expected)) => {
                let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
                assert_eq!(keys, expected, "{shown}");
            }
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{shown}: {error}"),
            (parsed, _) => panic!("{shown}: {parsed:?}"),
        }
    }
}

#[tokio::test]
async fn waits_without_a_tick_in_three_queries_are_revived() {
    let unavailable = (503, "starting".to_owned());
    type Row<'a> = (&'a str, Vec<(u16, String)>, Result<usize, &'a str>, &'a [&'a str]);
    let found = |keys: &[&str]| (200, rows(keys));
    let rows: [Row<'_>; 7] = [
        ("none", vec![], Ok(0), &[]),
        (
            "the same in all",
            vec![found(&["p:a", "p:b"]), found(&["p:a", "p:b"]), found(&["p:a", "p:b", "p:c"])],
            Ok(2),
            &["p:a", "p:b"],
        ),
        (
            "a tick was about to be stored",
            vec![found(&["p:a", "p:b"]), found(&["p:b"]), found(&["p:b"])],
            Ok(1),
            &["p:b"],
        ),
        ("another one", vec![found(&["p:a"]), found(&["p:b"])], Ok(0), &[]),
        ("no admin API", vec![unavailable.clone()], Err("503 Service Unavailable: starting"), &[]),
        (
            "a tick was stored after the second query",
            vec![found(&["p:a"]), found(&["p:a"])],
            Ok(0),
            &[],
        ),
        ("no second reply", vec![found(&["p:a"]), unavailable], Err("503"), &[]),
    ];
    for (name, replies, expected, revived) in rows {
        let engine = MockEngine::default();
        engine.0.lock().unwrap().replies = replies;
        match (watchdog(&engine).sweep().await, expected) {
            (Ok(waits), Ok(expected)) => assert_eq!(waits, expected, "{name}"),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{name}: {error}"),
            (swept, _) => panic!("{name}: {swept:?}"),
        }
        let state = engine.0.lock().unwrap();
        let calls = state.requests.iter().filter(|uri| uri.starts_with("http://ingress/"));
        let expected =
            revived.iter().map(|key| format!("http://ingress/JobWait/{key}/revive/send"));
        assert_eq!(calls.cloned().collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{name}");
    }
}

#[tokio::test]
async fn sweeps_are_repeated_and_counted() {
    let engine = MockEngine::default();
    let many: Vec<_> = (0..MAX_ROWS).map(|number| format!("p:{number:04}")).collect();
    let many = rows(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let found = |keys: &[&str]| (200, rows(keys));
    engine.0.lock().unwrap().replies = vec![
        (503, "starting".into()),
        (200, many.clone()),
        (200, many.clone()),
        (200, many),
        found(&["p:a"]),
        found(&["p:a"]),
        found(&["p:a"]),
    ];
    let watchdog = watchdog(&engine);
    engine.0.lock().unwrap().metrics = Some(watchdog.metrics.clone());
    let ended = async {
        while engine.0.lock().unwrap().slept.len() < MAX_SLEEPS {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        never = watchdog.run() => match never {},
        () = ended => {}
    }
    assert_eq!(engine.0.lock().unwrap().gauges, [0, 0, 0, 0, 1000, 1000, 1000, 1, 0]);
    let slept = engine.0.lock().unwrap().slept.clone();
    // The first sweep fails. After a full reply, the next one comes soon.
    let means = [
        FIRST_SWEEP_DELAY,
        SWEEP_INTERVAL,
        CONFIRM_DELAY,
        CONFIRM_DELAY,
        FULL_SWEEP_INTERVAL,
        CONFIRM_DELAY,
        CONFIRM_DELAY,
        SWEEP_INTERVAL,
        SWEEP_INTERVAL,
    ];
    assert_eq!(slept.len(), means.len());
    for (span, mean) in slept.iter().zip(means) {
        let ratio = span.as_secs_f64() / mean.as_secs_f64();
        assert!((0.8..=1.2).contains(&ratio), "{slept:?}");
    }
}
