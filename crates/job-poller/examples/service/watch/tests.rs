//! Tests that the service resumes a wait after a restart.

use std::{env, time::Duration};

use job_sim::{Plan, Sim, SimTransport, TimeSource};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_wait_resumes_after_a_restart() {
    let sim = Arc::new(Sim::new(Plan::create_cluster().slower(100), TimeSource::Clock));
    let client = || {
        let endpoint = "https://cce.example".parse().unwrap();
        sim.client(endpoint, SimTransport::new(sim.clone()))
    };
    let folder = env::temp_dir().join(format!("cce-jobs-test-{}", std::process::id()));
    let service = JobService::start(client(), folder.clone()).unwrap();
    service.watch(sim.job().clone());
    assert!(matches!(service.status(sim.job()), Some(Status::Waiting(_))));
    run_for(Duration::from_secs(200)).await;
    service.stop().await;
    let requests = sim.requests();
    assert!(requests > 5, "{requests}");
    run_for(Duration::from_secs(60)).await;
    assert_eq!(sim.requests(), requests);

    let service = JobService::start(client(), folder.clone()).unwrap();
    run_for(Duration::from_secs(600)).await;
    assert_eq!(service.status(sim.job()), Some(Status::Succeeded));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    assert!(sim.requests() > requests);
    service.stop().await;
    fs::remove_dir(&folder).unwrap();
}

/// Lets the background waits run for `span` of the paused clock.
async fn run_for(span: Duration) {
    drop(tokio::time::timeout(span, std::future::pending::<()>()).await);
}
