//! Temporary: figures of the fleet and of the store.
use job_poller::{Fleet, fleet::ListReads};
use job_sim::{Plan, Sim, SimTransport, TimeSource};
use job_transport::{Client, clock::TokioClock};

use super::{lists::*, *};

async fn fleet(count: u64, reads_lists: bool, random: Option<u64>) -> Figures {
    let clock = Arc::new(TokioClock::new());
    let plan = Plan::create_cluster().with_duration(Duration::from_secs(1));
    let sim = Arc::new(Sim::with_clock(plan, TimeSource::Clock, clock.clone()));
    let transport = SimTransport::new(sim.clone());
    let endpoint = ENDPOINT.parse().unwrap();
    let client = Client::with_clock(endpoint, sim.credentials(), transport, clock.clone())
        .project(sim.project().clone());
    let lists = if reads_lists { ListReads::new() } else { ListReads::off() };
    let fleet = Fleet::builder(client).list_reads(lists).start();
    let start = clock.monotonic();
    let mut waits = Vec::new();
    for plan in plans(count, random) {
        let seconds = plan.duration().as_secs_f64();
        let wait = fleet.watch(sim.add(plan));
        let clock = clock.clone();
        waits.push(tokio::spawn(async move {
            let _ = wait.await.unwrap();
            (clock.monotonic() - start).as_secs_f64() - seconds
        }));
    }
    let mut delays = Vec::new();
    for wait in waits {
        delays.push(wait.await.unwrap());
    }
    Figures::new(&sim, &delays)
}

#[tokio::test(start_paused = true)]
async fn fleet_figures() {
    for count in [50] {
        for random in [Some(0), Some(1000), Some(2000), None] {
            for reads_lists in [false, true] {
                let f = fleet(count, reads_lists, random).await;
                println!("fleet {count} {random:?} lists={reads_lists} {f:?}");
            }
        }
    }
}

#[tokio::test]
async fn store_figures() {
    for count in [50] {
        for random in [Some(0), Some(1000), Some(2000), None] {
            for reads_lists in [false, true] {
                let bed = Bed::new(ENDPOINT, count, reads_lists, random).await;
                bed.run_until_finished().await;
                let f = bed.figures().await;
                println!("store {count} {random:?} lists={reads_lists} {f:?}");
            }
        }
    }
}
