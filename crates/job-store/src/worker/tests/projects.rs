//! Tests workers that serve some projects, each with its own client.

use super::*;
use crate::{Worker, testing::Cloud};

/// Two workers share a store. Each has the client of one project, and nobody serves the project `r`.
#[tokio::test]
async fn each_project_is_served_with_its_own_client() {
    let bed = TestBed::new(&[RUNNING]).await;
    let clouds = [Cloud::new(&bed.clock, &[SUCCESS]), Cloud::new(&bed.clock, &[FAILED])];
    let worker = |project: &str, cloud: &Cloud| {
        let clients = [(project.parse().unwrap(), cloud.client())];
        Worker::for_projects(bed.store.clone(), clients).with_clock(bed.clock.clone())
    };
    let workers = [worker("p", &clouds[0]), worker("q", &clouds[1])];
    for key in ["p:a", "q:a", "r:a"] {
        bed.store.watch(&key.parse().unwrap(), &Watch::new()).await.unwrap();
    }
    for worker in &workers {
        for _ in 0..3 {
            worker.run_once().await;
        }
    }
    let rows = [("p:a", Some("succeeded")), ("q:a", Some("failed")), ("r:a", None)];
    for (key, expected) in rows {
        let status = bed.store.get(&key.parse().unwrap()).await.unwrap().unwrap();
        let outcome = status.result.map(|result| result.outcome);
        assert_eq!(outcome.as_deref(), expected, "{key}");
        // The wait of a project without a client is not even touched.
        let attempts = status.active.map_or(0, |active| active.attempts);
        assert_eq!(attempts, 0, "{key}");
    }
    assert_eq!(clouds.map(|cloud| cloud.requests().len()), [1, 1]);
    assert_eq!(bed.cloud.requests().len(), 0);
    // A worker that serves all projects takes the wait that is left.
    bed.cloud.set(&[SUCCESS]);
    bed.run_until(10).await;
    let status = bed.store.get(&"r:a".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(status.state, WaitStateLabel::Ended);
}

/// Projects whose ids contain each other, and a worker without any project.
#[tokio::test]
async fn a_worker_serves_exactly_its_projects() {
    let bed = TestBed::new(&[SUCCESS]).await;
    for key in ["p:a", "pp:a", "p_:a", "P:a"] {
        bed.store.watch(&key.parse().unwrap(), &Watch::new()).await.unwrap();
    }
    for (projects, requests) in [(&[][..], 0), (&["p_"], 1), (&["pp", "p"], 3), (&["P"], 4)] {
        let clients = projects.iter().map(|id| (id.parse().unwrap(), bed.cloud.client()));
        let worker = Worker::for_projects(bed.store.clone(), clients);
        let worker = worker.with_clock(bed.clock.clone());
        for _ in 0..4 {
            worker.run_once().await;
        }
        assert_eq!(bed.cloud.requests().len(), requests, "{projects:?}");
    }
}
