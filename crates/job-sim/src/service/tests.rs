//! Requests, and what the service answers.

use http::header::CONTENT_TYPE;

use super::*;

fn sim() -> Sim {
    Sim::new(Plan::create_cluster(), Pace::PerReading(Duration::from_secs(1)))
}

fn request() -> Request<Bytes> {
    let (project, job) = (sim().project, Plan::JOB_ID);
    Request::get(format!("https://cce.example/api/v3/projects/{project}/jobs/{job}"))
        .header("X-Auth-Token", Gate::token())
        .header(CONTENT_TYPE, "application/json")
        .body(Bytes::new())
        .unwrap()
}

fn answer(request: &Request<Bytes>) -> String {
    let Answer::Reply(response) = sim().answer(request) else { panic!("no reply") };
    let body = std::str::from_utf8(response.body()).unwrap();
    format!("{} {}", response.status(), &body[..body.len().min(80)])
}

#[test]
fn requests_are_judged_as_the_service_does() {
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
        format!("{name}\n    {}\n", answer(&request))
    };
    insta::assert_snapshot!(rows.map(line).concat());
}

#[test]
fn faults_befall_one_request_each_in_turn() {
    let sim = sim();
    sim.fault(Fault::Status(StatusCode::BAD_GATEWAY));
    sim.fault(Fault::Reset);
    sim.fault(Fault::Stall);
    sim.fault(Fault::Echo);
    let answers = [(); 5].map(|()| match sim.answer(&request()) {
        Answer::Reply(response) => response.status().as_str().to_owned(),
        other => format!("{other:?}"),
    });
    assert_eq!(answers, ["502", "Reset", "Stall", "200", "200"]);
    assert_eq!(sim.requests(), 5);
    // A fault is no reading: the job is at its start.
    assert_eq!(sim.next_reading(), Duration::from_secs(1));
}

/// Signs the documented request with the simulation's key, or one like it.
fn signed(sim: &Sim, spoil: &str, at: Timestamp) -> Request<Bytes> {
    let key = sim.access_key();
    let key = if spoil.is_empty() { key } else { AccessKey::new(key.access_key(), spoil).unwrap() };
    let mut request = request();
    request.headers_mut().remove("x-auth-token");
    job_transport::sign(&mut request, &key, Some(&sim.project), at).unwrap();
    request
}

fn status(sim: &Sim, request: &Request<Bytes>) -> u16 {
    match sim.answer(request) {
        Answer::Reply(response) => response.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn five_wrong_signatures_in_a_row_lock_the_key_for_five_minutes() {
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
async fn a_signature_is_judged_by_the_services_own_clock() {
    let sim = sim().ahead(SignedDuration::from_hours(12));
    let now = sim.clock.now();
    assert_eq!(status(&sim, &signed(&sim, "", now)), 401);
    assert_eq!(status(&sim, &signed(&sim, "", now + SignedDuration::from_hours(12))), 200);
}

#[tokio::test(start_paused = true)]
async fn a_login_gives_a_token_that_expires() {
    let sim = sim().token_lifetime(SignedDuration::from_secs(60));
    let log_in = |password: &str| {
        let user = json!({"name": "simulated-user", "password": password,
            "domain": {"name": "simulated-domain"}});
        let body = json!({"auth": {"identity": {"methods": ["password"],
            "password": {"user": user}}, "scope": {"project": {"name": "eu-de"}}}});
        let mut request = Request::new(Bytes::from(body.to_string()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = "/v3/auth/tokens".parse().unwrap();
        match sim.answer(&request) {
            Answer::Reply(response) => response,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(log_in("another").status(), StatusCode::UNAUTHORIZED);
    let reply = log_in("simulated-password \"/+%\\");
    assert_eq!(reply.status(), StatusCode::CREATED);
    let body: Value = serde_json::from_slice(reply.body()).unwrap();
    assert_eq!(body["token"]["project"]["id"], sim.project.as_str());

    let mut request = request();
    request.headers_mut().insert("x-auth-token", reply.headers()["x-subject-token"].clone());
    assert_eq!(status(&sim, &request), 200);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(status(&sim, &request), 401);
    assert_eq!(sim.logins(), 2);
}
