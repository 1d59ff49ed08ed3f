//! Tests how the flags change the simulated service.

use clap::FromArgMatches;

use super::*;

fn sim(flags: &str) -> Sim {
    let command = Arguments::augment_args(clap::Command::new("sim"));
    let flags = ["sim"].into_iter().chain(flags.split_whitespace());
    let matches = command.try_get_matches_from(flags).unwrap();
    Arguments::from_arg_matches(&matches).unwrap().sim()
}

/// The cluster of the first job. By default, its creation takes five seconds.
const CLUSTER: &str = "4d1ecb2c-229a-11e8-9c75-0255ac100ceb";

/// Each row: the flags, and the seconds at which the cluster is first ready, stays ready and is gone.
#[test]
fn flags_set_what_clusters_do_after_their_job() {
    let rows = [
        ("", [Some(5), Some(5), None]),
        ("--object-lag 30s", [Some(35), Some(35), None]),
        ("--object-lag 30s --speed 50", [Some(40), Some(40), None]),
        ("--objects flapping", [Some(5), Some(65), None]),
        ("--objects recovering --object-lag 1s", [Some(16), Some(16), None]),
        ("--objects broken --object-lag 1s", [None, None, None]),
        ("--objects vanishing --object-lag 1s", [Some(6), None, Some(16)]),
        ("--objects never-ready", [None, None, None]),
    ];
    for (flags, expected) in rows {
        let sim = sim(flags);
        let times = [sim.first_ready_at(CLUSTER), sim.ready_at(CLUSTER), sim.gone_at(CLUSTER)];
        assert_eq!(times.map(|time| time.map(|time| time.as_secs())), expected, "{flags}");
    }
}

#[test]
fn clusters_show_the_course_of_the_flag() {
    let rows = [
        ("", "Available"),
        ("--object-lag 1h", "Creating"),
        ("--objects broken", "Unavailable"),
        ("--objects broken --object-lag 1h", "Creating"),
    ];
    for (flags, expected) in rows {
        let sim = sim(flags);
        sim.add_finished(Plan::create_cluster().with_cluster("old", "old"), Duration::from_secs(9));
        assert_eq!(sim.object_phase("old").as_deref(), Some(expected), "{flags}");
    }
}

#[tokio::test]
async fn jobs_are_forgotten_after_the_given_time() {
    for (flags, expected) in [("", [true, true]), ("--forget-jobs-after 1h", [true, false])] {
        let sim = Arc::new(sim(flags));
        let transport = job_sim::SimTransport::new(sim.clone());
        let client = sim.client("https://cce.example".parse().unwrap(), transport);
        for (minutes, is_known) in [50, 70].into_iter().zip(expected) {
            let id = sim.add_finished(Plan::delete_node(), Duration::from_secs(minutes * 60));
            assert_eq!(client.job(&id).await.is_ok(), is_known, "{flags}: {minutes} min");
        }
    }
}
