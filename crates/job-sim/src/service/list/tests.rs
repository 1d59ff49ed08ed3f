//! Tests the list of jobs, and its faults.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use job_model::{JobId, job::JobList};
use serde_json::Value;

use super::*;
use crate::{
    faults::ListFault,
    plan::{Plan, TimeSource},
    reply::BodyEnd,
};

fn sim() -> Sim {
    Sim::new(Plan::create_cluster(), TimeSource::Clock)
}

fn request(sim: &Sim, path: &str) -> Request<Bytes> {
    Request::get(format!("https://cce.example{}", path.replace("{p}", sim.project().as_str())))
        .header("X-Auth-Token", sim.account().token)
        .header(CONTENT_TYPE, "application/json")
        .body(Bytes::new())
        .unwrap()
}

const LIST: &str = "/api/v2/projects/{p}/jobs";

fn send(sim: &Sim, request: &Request<Bytes>) -> Option<Response<Bytes>> {
    match sim.reply(request).now_or_never() {
        Some(Some((response, BodyEnd::Complete))) => Some(response),
        _ => None,
    }
}

fn list(sim: &Sim) -> JobList {
    let reply = send(sim, &request(sim, LIST)).unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    let list = JobList::from_slice(reply.body()).unwrap();
    assert!(list.deviations().is_empty(), "{:?}", list.deviations());
    list
}

/// Returns the index and the phase of each row.
fn phases(sim: &Sim) -> String {
    let row = |row: job_model::job::JobRow<'_>| {
        let number = &row.uid().unwrap()[..9];
        format!("{} {}", &number[7..], row.phase().unwrap())
    };
    list(sim).rows().map(row).collect::<Vec<_>>().join(", ")
}

/// Returns the phase that the job's own GET shows.
fn phase(sim: &Sim, id: &JobId) -> String {
    let path = format!("/api/v3/projects/{{p}}/jobs/{id}");
    let reply = send(sim, &request(sim, &path)).unwrap();
    let job = job_model::Job::from_slice(reply.body()).unwrap();
    job.phase().unwrap().to_string()
}

/// Returns the names of the fields, with those of objects within it.
fn names(value: &Value) -> Vec<String> {
    let object = value.as_object().unwrap();
    let inner = |(name, value): (&String, &Value)| {
        let inner = if value.is_object() && name != "extendparam" { names(value) } else { vec![] };
        let inner = inner.into_iter().map(|inner| format!("{name}.{inner}"));
        [name.clone()].into_iter().chain(inner).collect::<Vec<_>>()
    };
    let mut names: Vec<String> = object.iter().flat_map(inner).collect();
    names.sort();
    names
}

#[tokio::test(start_paused = true)]
async fn rows_have_the_fields_of_the_documented_example() {
    let sim = sim();
    tokio::time::advance(Duration::from_secs(9)).await;
    let reply = send(&sim, &request(&sim, LIST)).unwrap();
    let served: Value = serde_json::from_slice(reply.body()).unwrap();
    let example = include_bytes!("../../../fixtures/job-lists/reference-example.json");
    let example: Value = serde_json::from_slice(example).unwrap();
    assert_eq!(names(&served[0]), names(&example[0]));
}

#[tokio::test(start_paused = true)]
async fn the_list_shows_each_job_from_its_creation_to_its_end() {
    let sim = sim();
    sim.add_finished(Plan::create_cluster().with_failure("sold out"), Duration::from_secs(60));
    tokio::time::advance(Duration::from_secs(2)).await;
    sim.add(Plan::delete_node());
    assert_eq!(phases(&sim), "2c Running, 2d Failed, 2e Initializing");
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(phases(&sim), "2c Success, 2d Failed, 2e Success");
    assert_eq!((sim.list_requests(), sim.requests()), (2, 2));
    // A reading of the list is not a reading of a job.
    assert_eq!(sim.readings(sim.job()), Some((0, 0)));
}

#[tokio::test(start_paused = true)]
async fn finished_jobs_have_the_given_age_and_duration() {
    for time_source in [TimeSource::Clock, TimeSource::PerRequest(Duration::from_secs(1))] {
        let sim = Sim::new(Plan::create_cluster(), time_source);
        let plan = Plan::scale_up_cluster(2).with_duration(Duration::from_secs(600));
        let id = sim.add_finished(plan, Duration::from_secs(60));
        let list = list(&sim);
        let row = list.rows().find(|row| row.uid() == Some(id.as_str())).unwrap();
        let (created, completed) = (row.created_at().unwrap(), row.completed_at().unwrap());
        assert_eq!(completed.duration_since(created).as_secs(), 600);
        assert_eq!(sim.now().duration_since(completed).as_secs(), 60);
        assert_eq!(phase(&sim, &id), "Success");
    }
}

#[test]
fn readings_of_a_job_advance_its_row() {
    let sim = Sim::new(Plan::create_cluster(), TimeSource::PerRequest(Duration::from_secs(3)));
    assert_eq!((phases(&sim), phases(&sim)), ("2c Initializing".into(), "2c Initializing".into()));
    assert_eq!(phase(&sim, sim.job()), "Initializing");
    assert_eq!(phases(&sim), "2c Running");
    sim.set_list_faults([ListFault::Lag(Duration::from_secs(3))]);
    assert_eq!(phases(&sim), "2c Initializing");
    assert_eq!(phase(&sim, sim.job()), "Running");
}

fn replace(request: &mut Request<Bytes>, from: &str, to: &str) {
    *request.uri_mut() = request.uri().to_string().replace(from, to).parse().unwrap();
}

#[test]
fn requests_for_the_list_are_checked_like_those_for_a_job() {
    type Edit = fn(&mut Request<Bytes>);
    let rows: [(&str, Edit, u16); 9] = [
        ("as documented", |_| {}, 200),
        ("Autopilot", |r| replace(r, "/api/", "/autopilot/"), 200),
        ("without a token", |r| drop(r.headers_mut().remove("x-auth-token")), 401),
        ("without a content type", |r| drop(r.headers_mut().remove(CONTENT_TYPE)), 400),
        ("another method", |r| *r.method_mut() = Method::POST, 404),
        ("a trailing slash", |r| replace(r, "/jobs", "/jobs/"), 404),
        ("API v3", |r| replace(r, "/v2/", "/v3/"), 404),
        ("another project", |r| replace(r, "/projects/", "/projects/x"), 403),
        ("below no API", |r| replace(r, "/api/", "/other/"), 404),
    ];
    for (name, edit, expected) in rows {
        let sim = sim();
        let mut request = request(&sim, LIST);
        edit(&mut request);
        assert_eq!(send(&sim, &request).unwrap().status(), expected, "{name}");
    }
}

/// Each row: the faults, and what the list shows at 4, 8 and 30 s. The first job, `2c`, runs from 1 s
/// to 5 s; `2d` is added at 3 s, and runs from 4 s to 8 s.
#[tokio::test(start_paused = true)]
async fn list_faults_change_the_list_and_not_the_jobs() {
    let both = "2c Success, 2d Success";
    let rows = [
        ("", ["2c Running, 2d Running", both, both]),
        ("lag:2", ["2c Running", "2c Success, 2d Running", both]),
        ("lag:7", ["", "2c Running", both]),
        ("frozen:4", ["2c Running, 2d Running"; 3]),
        ("frozen:4, lag:4", ["2c Initializing"; 3]),
        (
            "missing-job:354331b2d-229a-11e8-9c75-0255ac100ceb",
            ["2c Running", "2c Success", "2c Success"],
        ),
        ("missing:1", [""; 3]),
        (
            "running-job:354331b2c-229a-11e8-9c75-0255ac100ceb",
            ["2c Running, 2d Running", "2c Running, 2d Success", "2c Running, 2d Success"],
        ),
    ];
    for (faults, expected) in rows {
        let sim = sim();
        sim.set_list_faults(ListFault::parse_list(faults).unwrap());
        let seconds = |seconds| tokio::time::advance(Duration::from_secs(seconds));
        seconds(3).await;
        let second = sim.add(Plan::create_cluster());
        for ((pause, own), expected) in
            [(1, "Running"), (4, "Success"), (22, "Success")].into_iter().zip(expected)
        {
            seconds(pause).await;
            assert_eq!(phases(&sim), expected, "{faults} at {:?}", sim.elapsed());
            assert_eq!(phase(&sim, sim.job()), own, "{faults}");
            assert_eq!(phase(&sim, &second), own, "{faults}");
        }
        sim.set_list_faults([]);
        assert_eq!(phases(&sim), both, "{faults}");
    }
}

#[test]
fn a_row_that_stays_running_has_no_end() {
    let sim = sim();
    let id = sim.add_finished(Plan::delete_node().with_failure("in use"), Duration::ZERO);
    sim.set_list_faults([ListFault::RunningJob(id)]);
    let list = list(&sim);
    let row = list.rows().last().unwrap();
    assert_eq!(row.completed_at(), None);
    assert_eq!(row.decode().unwrap().job.reason(), None);
}

#[test]
fn reply_faults_apply_to_every_list_and_to_no_job() {
    let rows = [
        ("403", Some((403, "CCE.01403001"))),
        ("404", Some((404, "CCE.01404001"))),
        ("429", Some((429, "APIGW.0308"))),
        ("503", Some((503, "APIGW.0201"))),
        ("garbage", Some((200, "{\"kind\": \"Jo"))),
        ("html", Some((200, "<html>"))),
        ("oversized:20", Some((200, "                    "))),
        ("stall", None),
        ("reset", None),
        ("wrong-uid", Some((200, "\"uid\":\"354331b2c-229a-11e8-9c75-0255ac100ceb\""))),
        ("stale:9", Some((200, "[]"))),
    ];
    for (fault, expected) in rows {
        let sim = sim();
        sim.set_list_faults(ListFault::parse_list(fault).unwrap());
        for _ in 0..2 {
            assert_eq!(phase(&sim, sim.job()), "Initializing");
            let reply = send(&sim, &request(&sim, LIST));
            let shown = reply.map(|reply| {
                (reply.status().as_u16(), String::from_utf8(reply.body().to_vec()).unwrap())
            });
            match (&shown, expected) {
                (None, None) => {}
                (Some((status, body)), Some((expected, part))) => {
                    assert!(*status == expected && body.contains(part), "{fault}: {shown:?}");
                }
                _ => panic!("{fault}: {shown:?}"),
            }
        }
    }
}

#[test]
fn requests_for_the_list_use_no_scripted_fault() {
    let sim = sim();
    sim.set_list_faults([ListFault::Reply(Fault::ErrorReply(StatusCode::FORBIDDEN))]);
    sim.inject_faults(Fault::parse_script("503").unwrap());
    let statuses = [(); 3].map(|()| send(&sim, &request(&sim, LIST)).unwrap().status().as_u16());
    assert_eq!(statuses, [403, 403, 403]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_list_delays_only_requests_for_the_list() {
    let sim = sim();
    sim.set_list_faults([ListFault::Slow(Duration::from_secs(30))]);
    assert!(send(&sim, &request(&sim, LIST)).is_none());
    assert_eq!(phase(&sim, sim.job()), "Initializing");
    let start = sim.elapsed();
    let request = request(&sim, LIST);
    let (reply, _) = sim.reply(&request).await.unwrap();
    assert_eq!((reply.status().as_u16(), (sim.elapsed() - start).as_secs()), (200, 30));
}

#[test]
fn list_faults_can_be_set_by_request() {
    let sim = sim();
    let post = |faults: &'static str| {
        let mut request = request(&sim, "/simulation/list-faults");
        *request.method_mut() = Method::POST;
        *request.body_mut() = Bytes::from_static(faults.as_bytes());
        let reply = send(&sim, &request).unwrap();
        (reply.status().as_u16(), String::from_utf8(reply.body().to_vec()).unwrap())
    };
    assert_eq!(post("missing:1, lag:3"), (200, "{\"faults\":2}".into()));
    assert_eq!(phases(&sim), "");
    let (status, body) = post("sometimes");
    assert!(status == 400 && body.contains("unknown fault: sometimes"), "{body}");
    assert_eq!(phases(&sim), "");
    assert_eq!(post(""), (200, "{\"faults\":0}".into()));
    assert_eq!(phases(&sim), "2c Initializing");
}
