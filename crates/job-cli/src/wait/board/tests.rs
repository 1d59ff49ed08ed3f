//! Tests of the counts and of the order, without a service: no attempt is made.

use std::sync::Arc;

use job_poller::{Fleet, WaitPolicy, machine::Input, schedule::History};
use job_sim::{Plan, Sim, SimTransport, TimeSource};
use job_transport::{FetchError, FetchErrorKind};
use serde_json::json;

use super::*;
use crate::{
    testing::{reading_input, run_wait},
    wait::{source::RecordingSource, watch::WatchEvents},
};

/// Returns a board with waits for this number of jobs.
fn board(jobs: usize) -> (Board, Fleet) {
    let sim = Arc::new(Sim::new(Plan::create_cluster(), TimeSource::Clock));
    let endpoint = "https://cce.example".parse().unwrap();
    let client = sim.client(endpoint, SimTransport::new(sim.clone()));
    let source = Arc::new(RecordingSource::new(client));
    let fleet = Fleet::builder(source.clone()).start();
    let mut board = Board::default();
    for index in 0..jobs {
        let wait = fleet.watch(format!("job-{index}").parse().unwrap());
        let events = WatchEvents::new(index, wait);
        let watch = Watch::new(&events, source.clone(), Arc::new(History::new()), false);
        board.insert(index, watch);
    }
    (board, fleet)
}

fn job(text: &str) -> JobSnapshot {
    JobSnapshot::from_slice(text.as_bytes()).unwrap()
}

fn with_phase(phase: &str) -> JobSnapshot {
    job(&format!("{{\"status\": {{\"phase\": \"{phase}\"}}}}"))
}

/// Returns the events of an attempt that failed, and of one that succeeded.
fn events() -> [Vec<(Duration, Event)>; 2] {
    let error = Input::from(FetchError::new(FetchErrorKind::Status(503)));
    let reading = reading_input(&json!({"status": {"phase": "Running"}}));
    [error, reading].map(|input| run_wait(WaitPolicy::new(), [input]).1)
}

#[tokio::test]
async fn counts_and_order_follow_the_events() {
    let (mut board, _fleet) = board(6);
    let [failed, read] = events();
    let record =
        |board: &mut Board, index, events: &[(Duration, Event)], last: Option<&JobSnapshot>| {
            for (at, event) in events {
                assert!(board.record(index, *at, event, last.cloned()).is_some());
            }
        };
    let order = |board: &Board, max| {
        board.first(max).map(|watch| watch.id().to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(board.counts(), WaitCounts { not_read: 6, ..WaitCounts::default() });
    assert_eq!(order(&board, 2), "job-0 job-1");

    let failed_step = r#"{"spec": {"subJobs": [{"status": {"phase": "Failed"}}]},
        "status": {"phase": "Running"}}"#;
    record(&mut board, 0, &read, Some(&with_phase("Initializing")));
    record(&mut board, 1, &read, Some(&with_phase("Running")));
    record(&mut board, 2, &read, Some(&with_phase("Success")));
    record(&mut board, 3, &read, Some(&with_phase("Paused")));
    record(&mut board, 4, &read, Some(&job(failed_step)));
    record(&mut board, 5, &failed, None);
    let counts = WaitCounts {
        not_read: 1,
        initializing: 1,
        running: 2,
        ending: 1,
        objects: 0,
        other: 1,
        unreadable: 1,
    };
    assert_eq!(board.counts(), counts);
    let rows = [
        (1, "job-4"),
        (3, "job-4 job-5 job-0"),
        (5, "job-4 job-5 job-0 job-1 job-2"),
        (6, "job-0 job-1 job-2 job-3 job-4 job-5"),
        (9, "job-0 job-1 job-2 job-3 job-4 job-5"),
    ];
    for (max, expected) in rows {
        assert_eq!(order(&board, max), expected, "{max}");
    }

    record(&mut board, 5, &read, Some(&with_phase("Running")));
    record(&mut board, 4, &read, Some(&with_phase("Running")));
    let counts = WaitCounts { not_read: 0, running: 3, unreadable: 0, ..counts };
    assert_eq!((board.counts(), &*order(&board, 2)), (counts, "job-0 job-1"));

    record(&mut board, 0, &failed, Some(&with_phase("Initializing")));
    assert_eq!((board.counts().unreadable, &*order(&board, 2)), (1, "job-0 job-1"));
    for index in [0, 2, 3] {
        assert!(board.remove(index).is_some() && board.remove(index).is_none());
    }
    let counts = WaitCounts { running: 3, ..WaitCounts::default() };
    assert_eq!((board.counts(), &*order(&board, 9)), (counts, "job-1 job-4 job-5"));
    assert!(board.record(0, Duration::ZERO, &read[0].1, None).is_none());
    assert_eq!(board.len(), 3);
}
