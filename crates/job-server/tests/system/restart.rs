//! Servers that are killed or stopped: no wait is lost.

use std::{
    collections::BTreeSet,
    io,
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{
    cloud::Cloud,
    http::{EventStream, READ_TIMEOUT},
    postgres::Postgres,
    server::{Server, Setup, eventually},
};

const JOBS: u32 = 40;

/// The jobs end while the server is dead, and soon after.
const MAX_JOB_DURATION: Duration = Duration::from_secs(6);

/// Starts waits for all jobs, and returns when some have ended.
fn start_waits(server: &Server, jobs: &[String]) {
    let mut events = EventStream::open(server.address, "/api/v1/events", &server.token);
    for job in jobs {
        let reply = server.send("PUT", &format!("/api/v1/waits/sim/{job}"), "");
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    wait_for(&mut events, |succeeded| succeeded > 0);
}

/// Reads events until a summary has the number of waits that ended.
fn wait_for(events: &mut EventStream, is_done: impl Fn(u64) -> bool) {
    let is_last = |(name, data): &(String, serde_json::Value)| {
        name == "summary" && is_done(data["waits"]["succeeded"].as_u64().unwrap())
    };
    eventually(|| events.next().unwrap(), is_last);
}

/// Returns when no attempt is in flight, so that no lease in PostgreSQL has to end after a kill.
fn wait_until_idle(server: &Server) {
    let budget = || server.get("/api/v1/summary")["budget"].clone();
    eventually(budget, |budget| budget["in_flight"] == 0);
}

/// Waits until all jobs have ended, and checks that each has a result.
fn finish(server: &Server, jobs: &[String]) {
    let mut events = EventStream::open(server.address, "/api/v1/events", &server.token);
    wait_for(&mut events, |succeeded| succeeded == u64::from(JOBS));
    let page = server.get("/api/v1/waits?state=finished&limit=1000");
    let waits = page["waits"].as_array().unwrap();
    let ended = waits.iter().map(|wait| {
        assert_eq!(wait["result"]["outcome"], "succeeded", "{wait}");
        wait["key"].as_str().unwrap().split_once(':').unwrap().1.to_owned()
    });
    assert_eq!(ended.collect::<BTreeSet<_>>(), jobs.iter().cloned().collect());
}

#[test]
fn all_waits_end_after_a_kill_with_sqlite() {
    let cloud = Cloud::start();
    let setup = cloud.setup();
    let server = setup.start();
    let jobs = cloud.add_jobs(JOBS, MAX_JOB_DURATION);
    start_waits(&server, &jobs);
    server.kill();
    finish(&setup.start(), &jobs);
}

/// The connections to a cloud that never replies.
type Attempts = mpsc::Receiver<io::Result<TcpStream>>;

/// Starts a server whose cloud never replies, and a wait. Returns when its attempt is in flight.
fn server_with_attempt_in_flight() -> (Setup, Server, Attempts, TcpStream) {
    let cloud = TcpListener::bind("127.0.0.1:0").unwrap();
    let setup = Setup::new(&[]).variable("TOKEN", "token");
    let config = setup.path("server.toml");
    let text = format!(
        "[[projects]]\nname = \"sim\"\nid = \"p\"\nendpoint = \"http://{}\"\n\
         credentials = {{ token_env = \"TOKEN\" }}\n",
        cloud.local_addr().unwrap()
    );
    std::fs::write(&config, text).unwrap();
    let setup = setup.argument("--config").argument(config.display().to_string());
    let (sender, attempts) = mpsc::channel();
    thread::spawn(move || cloud.incoming().try_for_each(|stream| sender.send(stream)));
    let server = setup.start();
    assert_eq!(server.send("PUT", "/api/v1/waits/sim/job", "").status, 200);
    let first = attempts.recv_timeout(READ_TIMEOUT).unwrap().unwrap();
    (setup, server, attempts, first)
}

#[test]
fn an_attempt_in_flight_is_repeated_at_once_after_a_kill_with_sqlite() {
    let (setup, server, attempts, first) = server_with_attempt_in_flight();
    server.kill();
    let _server = setup.start();
    // The lease of the first attempt lasts for a minute.
    assert!(attempts.recv_timeout(Duration::from_secs(20)).is_ok());
    drop(first);
}

#[test]
fn all_waits_end_after_a_kill_with_postgresql() {
    let Some(postgres) = Postgres::start("server-kill") else { return };
    let cloud = Cloud::start();
    let setup = || cloud.setup().argument("--database").argument(postgres.url());
    // Another server shares the waits, and goes on.
    let (killed, other) = (setup(), setup());
    let (server, survivor) = (killed.start(), other.start());
    let jobs = cloud.add_jobs(JOBS, MAX_JOB_DURATION);
    start_waits(&server, &jobs);
    wait_until_idle(&server);
    server.kill();
    finish(&survivor, &jobs);
    drop(survivor);
    finish(&killed.start(), &jobs);
}

#[test]
fn requests_fail_while_postgresql_is_down() {
    let Some(mut postgres) = Postgres::start("server-down") else { return };
    let cloud = Cloud::start();
    let setup = cloud.setup().argument("--database").argument(postgres.url());
    let server = setup.start();
    server.wait_for_status("/ready", 200);
    postgres.kill();
    let reply = server.send("GET", "/ready", "");
    assert!(reply.status == 503 && reply.body.contains("/problems/not-ready"), "{}", reply.body);
    let reply = server.send("GET", "/api/v1/summary", "");
    assert!(reply.status == 503 && reply.body.contains("/problems/database"), "{}", reply.body);
    assert!(!reply.body.contains("postgres"), "the log has the details: {}", reply.body);
    assert_eq!(server.send("GET", "/health", "").status, 200);
    assert_eq!(server.metric("cce_job_server_database_up"), 0.0);

    postgres.restart();
    server.wait_for_status("/ready", 200);
    let jobs = cloud.add_jobs(JOBS, MAX_JOB_DURATION);
    start_waits(&server, &jobs);
    finish(&server, &jobs);
}

#[test]
fn a_signal_ends_streams_and_the_process() {
    let setup = Setup::simulated(5);
    let server = setup.start();
    let mut streams: Vec<EventStream> = (0..3)
        .map(|_| EventStream::open(server.address, "/api/v1/events", &server.token))
        .collect();
    for stream in &mut streams {
        assert_eq!(stream.next().unwrap().0, "summary");
    }
    server.terminate();
    for stream in &mut streams {
        eventually(|| stream.next(), Option::is_none);
    }
    let log = server.log();
    assert!(server.wait().success(), "{log}");
    // SQLite has moved all changes to the main file.
    assert!(!setup.path("simulated.db-wal").exists());
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let (_setup, server, _attempts, _first) = server_with_attempt_in_flight();
    server.terminate();
    eventually(|| server.log(), |log| log.contains("a second signal ends the process"));
    server.terminate();
    assert_eq!(server.wait().code(), Some(143));
}

#[test]
fn waits_go_on_after_a_stop() {
    let cloud = Cloud::start();
    let setup = cloud.setup();
    let server = setup.start();
    let jobs = cloud.add_jobs(JOBS, MAX_JOB_DURATION);
    start_waits(&server, &jobs);
    server.terminate();
    assert!(server.wait().success());
    finish(&setup.start(), &jobs);
}
