//! Tests the metrics: their names, units and labels, and that the documentation and the alert rules
//! name them correctly.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
    time::Duration,
};

use http::StatusCode;
use job_model::Job;
use job_poller::{
    Checkpoint, FinishedJob, Fleet, Wait, WaitError, WaitErrorKind, WaitPolicy,
    machine::Machine,
    observer::{MetricsObserver, Observer, WaitFinished},
    schedule::Fixed,
};
use job_sim::{Fault, Plan, Sim, SimTransport, TimeSource};
use metrics::{Unit, set_default_local_recorder};
use metrics_util::{
    CompositeKey, MetricKind,
    debugging::{DebugValue, DebuggingRecorder, Snapshotter},
};

const SECOND: Duration = Duration::from_secs(1);

/// Creates an observer whose figures can be read.
fn observer(new: impl FnOnce() -> MetricsObserver) -> (MetricsObserver, Snapshotter) {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = set_default_local_recorder(&recorder);
    (new(), snapshotter)
}

/// Returns a row per metric in the form `name{labels}`, with its value.
fn values(snapshotter: &Snapshotter) -> BTreeMap<String, DebugValue> {
    let metrics = snapshotter.snapshot().into_vec().into_iter();
    metrics.map(|(key, _, _, value)| (series(&key), value)).collect()
}

fn series(key: &CompositeKey) -> String {
    let labels = key.key().labels().map(|label| format!("{}={}", label.key(), label.value()));
    format!("{}{{{}}}", key.key().name(), labels.collect::<Vec<_>>().join(", "))
}

#[test]
fn each_metric_has_a_stable_name_unit_and_labels() {
    let (_observer, snapshotter) = observer(|| MetricsObserver::with_label("fleet", "eu-de"));
    let mut rows = BTreeSet::new();
    for (key, unit, help, _) in snapshotter.snapshot().into_vec() {
        let (kind, unit) = (key.kind(), unit.unwrap());
        let name = key.key().name().to_owned();
        assert!(name.starts_with("cce_job_"), "{name}");
        assert_eq!(name.ends_with("_total"), kind == MetricKind::Counter, "{name}");
        assert_eq!(name.ends_with("_seconds"), unit == Unit::Seconds, "{name}");
        assert!(help.as_deref().unwrap().ends_with('.'), "{name}");
        rows.insert(format!("{kind:?} {unit:?} {} - {}\n", series(&key), help.unwrap()));
    }
    insta::assert_snapshot!(rows.into_iter().collect::<String>());
}

#[tokio::test(start_paused = true)]
async fn waits_and_fleets_update_all_metrics_without_a_job_id_in_a_label() {
    let (observer, snapshotter) = observer(MetricsObserver::new);
    let observer = Arc::new(observer);
    let sim = Arc::new(Sim::new(Plan::delete_node(), TimeSource::Clock));
    let client = sim.client("https://cce.example".parse().unwrap(), SimTransport::new(sim.clone()));
    let mut ids = vec![sim.job().clone()];

    let wait = Wait::new(client.clone(), sim.job().clone()).observer(observer.clone());
    sim.inject_fault(Fault::ErrorReply(StatusCode::SERVICE_UNAVAILABLE));
    assert!(wait.schedule(Fixed::new(SECOND)).await.is_ok());

    let fleet = Fleet::builder(client).observer(observer.clone()).schedule(Fixed::new(SECOND));
    let fleet = fleet.requests_per_second(0.5).start();
    ids.extend((0..3).map(|_| sim.add(Plan::delete_node())));
    ids.push(sim.add(Plan::delete_node().with_failure("in use")));
    sim.inject_fault(Fault::Throttled(4 * SECOND));
    let watches: Vec<_> = ids[1..].iter().map(|id| fleet.watch(id.clone())).collect();
    let dropped = fleet.watch(sim.add(Plan::create_cluster()));
    #[expect(clippy::disallowed_methods, reason = "the paused clock")]
    tokio::time::sleep(6 * SECOND).await;
    let during = values(&snapshotter);
    drop(dropped);
    for watch in watches {
        assert!(watch.await.is_ok());
    }
    fleet.shutdown().await;
    let after = values(&snapshotter);

    for series in during.keys().chain(after.keys()) {
        assert!(ids.iter().all(|id| !series.contains(id.as_str())), "{series}");
    }
    let gauge = |values: &BTreeMap<String, DebugValue>, name: &str| match values[name] {
        DebugValue::Gauge(value) => *value,
        ref other => panic!("{name}: {other:?}"),
    };
    assert!(gauge(&during, "cce_job_waits{}") >= 1.0);
    assert!(gauge(&during, "cce_job_waits_queued{}") >= 1.0);
    assert!(gauge(&during, "cce_job_throttled_seconds{}") > 0.0);
    assert!(gauge(&during, "cce_job_budget_requests_per_second{}") < 0.5);
    assert!(gauge(&during, "cce_job_request_price_seconds{}") >= 0.25);
    let at_rest = ["cce_job_waits_queued{}", "cce_job_requests_in_flight{}"];
    assert_eq!(at_rest.map(|name| gauge(&after, name)), [0.0; 2]);
    // A snapshot resets the gauges to zero.
    let waits = [&during, &after].map(|values| gauge(values, "cce_job_waits{}"));
    assert_eq!(waits[0] + waits[1], 0.0);
    let count = |name: &str| match (&during[name], &after[name]) {
        (DebugValue::Counter(first), DebugValue::Counter(later)) => first + later,
        // A snapshot takes the values of a histogram.
        (DebugValue::Histogram(first), DebugValue::Histogram(later)) => {
            (first.len() + later.len()) as u64
        }
        other => panic!("{name}: {other:?}"),
    };
    let expected = [
        ("cce_job_waits_finished_total{outcome=succeeded}", 4),
        ("cce_job_waits_finished_total{outcome=failed}", 1),
        ("cce_job_waits_finished_total{outcome=dropped}", 1),
        ("cce_job_waits_finished_total{outcome=stopped}", 0),
        ("cce_job_wait_duration_seconds{}", 6),
        ("cce_job_detection_delay_seconds{}", 5),
        ("cce_job_attempts_total{result=transient}", 1),
        ("cce_job_attempts_total{result=throttled}", 1),
        ("cce_job_attempts_total{result=permanent}", 0),
    ];
    for (name, expected) in expected {
        assert_eq!(count(name), expected, "{name}");
    }
    let results = ["reading", "unchanged", "transient", "throttled"];
    let attempts =
        results.map(|result| count(&format!("cce_job_attempts_total{{result={result}}}")));
    assert!(attempts[0] >= 5, "{attempts:?}");
    assert_eq!(attempts.iter().sum::<u64>(), count("cce_job_attempt_duration_seconds{}"));
}

#[test]
fn each_outcome_and_each_error_of_a_wait_is_counted() {
    /// Returns the kind after this one. A new kind does not compile until it is added here.
    fn next(kind: WaitErrorKind) -> Option<WaitErrorKind> {
        use WaitErrorKind::*;
        Some(match kind {
            DeadlineExceeded => Unauthorized,
            Unauthorized => NotFound,
            NotFound => Vanished,
            Vanished => Mismatch,
            Mismatch => Unreadable,
            Unreadable => Unreachable,
            Unreachable => NotReady,
            NotReady => NoObject,
            NoObject => Permanent,
            Permanent => TooManyErrors,
            TooManyErrors => Stalled,
            Stalled => Stopped,
            _ => return None,
        })
    }
    let (observer, snapshotter) = observer(MetricsObserver::new);
    let mut kind = Some(WaitErrorKind::DeadlineExceeded);
    let mut expected = BTreeSet::new();
    while let Some(one) = kind {
        let machine = Machine::new("a".parse().unwrap(), WaitPolicy::new());
        let error = WaitError::new(one, Checkpoint::new(machine, SECOND));
        observer.wait_finished(&WaitFinished::from_result(&Err(error)));
        expected.insert(format!("cce_job_waits_finished_total{{outcome={}}}", one.as_str()));
        kind = next(one);
    }
    let words = ["succeeded", "ready", "broken", "gone"];
    for word in words {
        let mut finished = FinishedJob::new("a".parse().unwrap(), Job::default());
        finished.outcome = serde_json::from_str(&format!(r#"{{"outcome": "{word}"}}"#)).unwrap();
        observer.wait_finished(&WaitFinished::from_result(&Ok(finished)));
        expected.insert(format!("cce_job_waits_finished_total{{outcome={word}}}"));
    }
    let values = values(&snapshotter).into_iter();
    let counted = values.filter_map(|(series, value)| {
        (series.starts_with("cce_job_waits_finished") && value == DebugValue::Counter(1))
            .then_some(series)
    });
    assert_eq!(counted.collect::<BTreeSet<_>>(), expected);
}

/// Returns the names of all metrics.
fn names() -> BTreeSet<String> {
    let (_observer, snapshotter) = observer(MetricsObserver::new);
    let metrics = snapshotter.snapshot().into_vec();
    metrics.iter().map(|(key, ..)| key.key().name().to_owned()).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Returns the words of a text that are names of metrics.
fn mentioned(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("cce_job_")).map(String::from).collect()
}

#[test]
fn alert_rules_mention_only_metrics_that_exist() {
    let names = names();
    let rules = read("docs/alerts.yml");
    let mentioned = mentioned(&rules);
    for name in &mentioned {
        // A histogram is exported with these suffixes.
        let metric = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        assert!(names.contains(metric.unwrap_or(name)), "docs/alerts.yml: {name}");
    }
    assert!(mentioned.len() >= 5, "{mentioned:?}");
    // So do the values of labels.
    let known = values(&observer(MetricsObserver::new).1).into_keys().collect::<String>();
    for label in ["result", "outcome"] {
        let operator = format!("{label}=");
        let selectors = rules.split(&operator).skip(1);
        for values in selectors.filter_map(|rest| rest.split('"').nth(1)) {
            for value in values.split('|') {
                assert!(known.contains(&format!("{label}={value}}}")), "{label}={value}");
            }
        }
    }
}

#[test]
fn the_documentation_lists_each_outcome() {
    let text = read("docs/metrics.md");
    let known = values(&observer(MetricsObserver::new).1).into_keys();
    let known: Vec<String> = known
        .filter_map(|series| Some(series.split_once("outcome=")?.1.trim_end_matches('}').into()))
        .collect();
    let (_, listed) = text.split_once("- `outcome`:").unwrap();
    let (listed, _) = listed.split_once("\n\n").unwrap();
    let mut listed: Vec<String> = listed.split('`').skip(1).step_by(2).map(String::from).collect();
    listed.sort_unstable();
    assert_eq!(listed, known);
}

#[test]
fn the_documentation_lists_each_metric() {
    for path in ["docs/metrics.md", "src/observer/metrics.rs"] {
        let text = read(path);
        let rows = text.lines().filter_map(|line| line.split_once("| `cce_job_"));
        let listed: BTreeSet<String> =
            rows.map(|(_, row)| format!("cce_job_{}", row.split('`').next().unwrap())).collect();
        assert_eq!(listed, names(), "{path}");
    }
}
