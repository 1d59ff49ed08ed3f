//! Tests how the service answers requests.

use futures_util::FutureExt;
use http::{HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

use super::*;

fn sim() -> Sim {
    Sim::new(Plan::create_cluster(), TimeSource::PerRequest(Duration::from_secs(1)))
}

fn request() -> Request<Bytes> {
    let sim = sim();
    let (project, job) = (sim.project(), sim.job());
    Request::get(format!("https://cce.example/api/v3/projects/{project}/jobs/{job}"))
        .header("X-Auth-Token", sim.account().token)
        .header(CONTENT_TYPE, "application/json")
        .body(Bytes::new())
        .unwrap()
}

/// Returns the reply, or why there is none.
fn send_request(sim: &Sim, request: &Request<Bytes>) -> Result<Response<Bytes>, &'static str> {
    match sim.reply(request).now_or_never() {
        Some(Some((response, BodyEnd::Complete | BodyEnd::Drained))) => Ok(response),
        Some(Some((_, BodyEnd::Truncated))) => Err("truncated"),
        Some(Some((_, BodyEnd::Stalled))) => Err("stalled in the body"),
        Some(None) => Err("reset"),
        None => Err("stalled"),
    }
}

fn json(reply: &Response<Bytes>) -> Value {
    serde_json::from_slice(reply.body()).unwrap()
}

/// Returns the reply's status and the start of its body, or why there is none.
fn reply_line(sim: &Sim, request: &Request<Bytes>) -> String {
    match send_request(sim, request) {
        Ok(response) => {
            let body = std::str::from_utf8(response.body()).unwrap();
            format!("{} {}", response.status(), body.chars().take(110).collect::<String>())
        }
        Err(none) => none.into(),
    }
}

#[test]
fn requests_are_checked_like_the_real_service() {
    type Edit = fn(&mut Request<Bytes>);
    let rows: [(&str, Edit); 9] = [
        ("as documented", |_| {}),
        ("without a token", |r| drop(r.headers_mut().remove("x-auth-token"))),
        ("with another token", |r| {
            r.headers_mut().insert("x-auth-token", HeaderValue::from_static("expired"));
        }),
        ("without a content type", |r| drop(r.headers_mut().remove(CONTENT_TYPE))),
        ("another method", |r| *r.method_mut() = Method::POST),
        ("a trailing slash", |r| *r.uri_mut() = format!("{}/", r.uri()).parse().unwrap()),
        ("another path", |r| *r.uri_mut() = "https://cce.example/".parse().unwrap()),
        ("another project", |r| {
            *r.uri_mut() =
                r.uri().to_string().replace("/projects/", "/projects/x").parse().unwrap();
        }),
        ("another job", |r| {
            *r.uri_mut() = format!("{}x", r.uri()).parse().unwrap();
        }),
    ];
    let line = |(name, edit): (&str, Edit)| {
        let mut request = request();
        edit(&mut request);
        format!("{name}\n    {}\n", reply_line(&sim(), &request))
    };
    insta::assert_snapshot!(rows.map(line).concat());
}

#[test]
fn each_scripted_fault_applies_to_one_request_in_order() {
    let sim = sim();
    sim.inject_faults(Fault::parse_script("502, reset, stall, stall-body, truncated, ok").unwrap());
    sim.inject_fault(Fault::Echo);
    let answers = [(); 8].map(|()| match send_request(&sim, &request()) {
        Ok(response) => response.status().as_str().to_owned(),
        Err(none) => none.into(),
    });
    let expected =
        ["502", "reset", "stalled", "stalled in the body", "truncated", "200", "200", "200"];
    assert_eq!(answers, expected);
    assert_eq!(sim.requests(), 8);
    // A request counts as a reading even if its reply is cut off. Two replies were cut off, and two
    // were complete.
    let job = json(&send_request(&sim, &request()).unwrap());
    assert_eq!(job["spec"]["subJobs"].as_array().unwrap().len(), 2);
}

/// Shows the reply of every fault that has one, in place of a running job.
#[test]
fn each_fault_has_its_reply() {
    let faults = "garbage, html, page:302, page:503, 400, 401, 403, 404, 409, 418, 429, 500, 503, \
        throttled:30, wrong-uid, stale:1, phase-back, phase:Paused, phase:";
    let mut lines = String::new();
    for (name, fault) in faults.split(',').map(str::trim).zip(Fault::parse_script(faults).unwrap())
    {
        let sim = sim();
        send_request(&sim, &request()).unwrap();
        sim.inject_faults([fault]);
        let reply = send_request(&sim, &request()).unwrap();
        let body = String::from_utf8_lossy(reply.body());
        let body = match serde_json::from_str::<Value>(&body) {
            Ok(job) if job["kind"] == "Job" => {
                format!("{} {}", job["metadata"]["uid"], job["status"])
            }
            _ => body.into_owned(),
        };
        let more = ["retry-after", "location"].map(|name| reply.headers().get(name).cloned());
        let more: String = more.into_iter().flatten().map(|value| format!(" {value:?}")).collect();
        lines += &format!("{name}\n    {}{more} {body}\n", reply.status());
    }
    insta::assert_snapshot!(lines);
}

#[tokio::test(start_paused = true)]
async fn an_outage_applies_to_all_requests_in_its_interval() {
    let span = |from, to| Duration::from_secs(from)..Duration::from_secs(to);
    let refusing =
        Sim::new(Plan::create_cluster(), TimeSource::Clock).outage(span(10, 20), Fault::Refuse);
    let throttling = Sim::new(Plan::create_cluster(), TimeSource::Clock)
        .outage(span(10, 20), Fault::Throttled(Duration::from_secs(7)));
    for (second, connects, old_connection, throttled) in [
        (0, true, Ok(200), Ok(200)),
        (10, false, Err("reset"), Ok(429)),
        (19, false, Err("reset"), Ok(429)),
        (20, true, Ok(200), Ok(200)),
    ] {
        tokio::time::advance(Duration::from_secs(second).saturating_sub(refusing.elapsed())).await;
        assert_eq!(refusing.accept_connection().await, connects, "at {second} s");
        for (sim, expected) in [(&refusing, old_connection), (&throttling, throttled)] {
            let got = send_request(sim, &request()).map(|reply| reply.status().as_u16());
            assert_eq!(got, expected, "at {second} s");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_beyond_the_rate_limit_are_throttled() {
    let sim = sim().rate_limit(3);
    for _ in 0..2 {
        let statuses = [(); 4].map(|()| status(&sim, &request()));
        assert_eq!(statuses, [200, 200, 200, 429]);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

/// Returns a request with a valid token.
fn call(method: Method, path: &str, body: &str) -> Request<Bytes> {
    let mut request = request();
    *request.method_mut() = method;
    let uri = if path.starts_with("/api") || path.starts_with("/v3") || path.starts_with("/sim") {
        format!("https://cce.example{path}")
    } else {
        format!("https://cce.example/api/v3/projects/{}{path}", sim().project)
    };
    *request.uri_mut() = uri.parse().unwrap();
    *request.body_mut() = Bytes::from(body.to_owned());
    request
}

#[test]
fn submissions_create_jobs() {
    let sim = sim().map_submitted(|plan| plan.slower(100).visible_depth(1));
    let cluster = r#"{"kind": "Cluster", "metadata": {"name": "blue"}, "spec": {"type": "x"}}"#;
    let nodes = r#"{"kind": "Node", "spec": {"count": 2}}"#;
    let mut lines = String::new();
    let mut submit = |method: Method, path: &str, body: &str| {
        let reply = send_request(&sim, &call(method.clone(), path, body)).unwrap();
        lines += &format!("{method} {path}\n    {} {}\n", reply.status(), json(&reply));
        if let Ok(id) = JobId::from_submission(reply.body()) {
            let job = send_request(&sim, &call(Method::GET, &format!("/jobs/{id}"), "")).unwrap();
            let job = json(&job);
            lines += &format!("    {} {}\n", job["spec"]["type"], job["spec"]["clusterUID"]);
        }
        json(&reply)["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
    };
    let id = submit(Method::POST, "/clusters", cluster);
    submit(Method::POST, "/clusters", cluster);
    submit(Method::POST, "/clusters", r#"{"kind": "Cluster", "spec": {}}"#);
    submit(Method::POST, "/clusters", "no json");
    let node = submit(Method::POST, &format!("/clusters/{id}/nodes"), nodes);
    submit(Method::POST, "/clusters/other/nodes", nodes);
    submit(Method::DELETE, &format!("/clusters/{id}/nodes/{node}"), "");
    submit(Method::DELETE, &format!("/clusters/{id}"), "");
    submit(Method::DELETE, &format!("/clusters/{id}"), "");
    insta::assert_snapshot!(lines);
}

#[tokio::test(start_paused = true)]
async fn sub_jobs_are_served_under_their_own_ids() {
    let sim = Sim::new(Plan::scale_up_cluster(2).visible_depth(1), TimeSource::Clock);
    let get = |id: &str| {
        send_request(&sim, &call(Method::GET, &format!("/jobs/{id}"), "")).map(|r| json(&r))
    };
    tokio::time::advance(Duration::from_millis(1500)).await;
    let job = get(sim.job().as_str()).unwrap();
    let node = &job["spec"]["subJobs"][0];
    assert_eq!(
        (&node["spec"]["type"], &node["spec"]["subJobs"]),
        (&"CreateNode".into(), &Value::Null)
    );
    let node = get(node["metadata"]["uid"].as_str().unwrap()).unwrap();
    let install = &node["spec"]["subJobs"][0];
    assert_eq!(install["spec"]["type"], "InstallNode");
    assert_eq!(install["spec"]["resourceID"], "00000002-2338-11e8-825b-0255ac100c13");
    let unknown = get("00000009-9606-11e8-0009-0255ac10215d").unwrap();
    assert_eq!(unknown["errorCode"], "CCE.01404001");
}

#[test]
fn faults_can_be_scripted_by_request() {
    let sim = sim();
    let reply_to = |path: &str, body: &str| reply_line(&sim, &call(Method::POST, path, body));
    assert_eq!(reply_to("/simulation/faults", "503, ok"), "200 OK {\"faults\":2}");
    assert_eq!(status(&sim, &request()), 503);
    assert!(reply_to("/simulation/faults", "ok").starts_with("200 OK"));
    assert!(reply_to("/simulation/faults", "never").starts_with("400 Bad Request"));
    assert!(reply_to("/simulation/expire-tokens", "").starts_with("200 OK"));
    assert_eq!(status(&sim, &request()), 401);
}

#[test]
fn identity_replies_point_back_to_the_simulator() {
    let version = json(&send_request(&sim(), &call(Method::GET, "/v3", "")).unwrap());
    assert_eq!(version["version"]["links"][0]["href"], "https://cce.example/v3/");
    let catalog = json(&log_in(&sim(), "simulated-password \"/+%\\"))["token"]["catalog"].clone();
    assert_eq!(catalog[0]["type"], "ccev2.0");
    assert_eq!(catalog[0]["endpoints"][0]["url"], "https://cce.example");
}

fn log_in(sim: &Sim, password: &str) -> Response<Bytes> {
    let user = json!({"name": "simulated-user", "password": password,
        "domain": {"name": "simulated-domain"}});
    let body = json!({"auth": {"identity": {"methods": ["password"],
        "password": {"user": user}}, "scope": {"project": {"name": "eu-de"}}}});
    send_request(sim, &call(Method::POST, "/v3/auth/tokens", &body.to_string())).unwrap()
}

/// Returns the documented request, signed with the simulation's key, or with the secret key `spoil`
/// if that is not empty.
fn signed(sim: &Sim, spoil: &str, at: Timestamp) -> Request<Bytes> {
    let key = sim.access_key();
    let key = if spoil.is_empty() { key } else { AccessKey::new(key.access_key(), spoil).unwrap() };
    let mut request = request();
    request.headers_mut().remove("x-auth-token");
    job_transport::auth::sign(&mut request, &key, Some(&sim.project), at).unwrap();
    request
}

fn status(sim: &Sim, request: &Request<Bytes>) -> u16 {
    send_request(sim, request).unwrap().status().as_u16()
}

#[tokio::test(start_paused = true)]
async fn five_bad_signatures_in_a_row_lock_the_key_for_5_minutes() {
    let sim = sim();
    let sign = |spoil| signed(&sim, spoil, sim.now());
    for wrong in [4, 5] {
        assert_eq!(status(&sim, &sign("")), 200);
        (0..wrong).for_each(|_| assert_eq!(status(&sim, &sign("wrong")), 401));
    }
    assert_eq!(status(&sim, &sign("")), 401);
    tokio::time::advance(Duration::from_secs(299)).await;
    assert_eq!(status(&sim, &sign("")), 401);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(status(&sim, &sign("")), 200);
}

#[tokio::test(start_paused = true)]
async fn signatures_are_checked_against_the_service_clock() {
    let sim = sim().clock_offset(SignedDuration::from_hours(12));
    let now = sim.clock.now();
    assert_eq!(status(&sim, &signed(&sim, "", now)), 401);
    assert_eq!(status(&sim, &signed(&sim, "", now + SignedDuration::from_hours(12))), 200);
}

#[tokio::test(start_paused = true)]
async fn a_login_returns_a_token_that_expires() {
    let sim = sim().token_lifetime(SignedDuration::from_secs(60));
    assert_eq!(log_in(&sim, "another").status(), StatusCode::UNAUTHORIZED);
    let reply = log_in(&sim, "simulated-password \"/+%\\");
    assert_eq!(reply.status(), StatusCode::CREATED);
    assert_eq!(json(&reply)["token"]["project"]["id"], sim.project.as_str());

    let mut request = request();
    request.headers_mut().insert("x-auth-token", reply.headers()["x-subject-token"].clone());
    assert_eq!(status(&sim, &request), 200);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(status(&sim, &request), 401);
    assert_eq!(sim.logins(), 2);
}
