//! Requests, and what the service answers.

use super::*;

fn sim() -> Sim {
    Sim::new(Plan::create_cluster(), Pace::PerReading(Duration::from_secs(1)))
}

fn request() -> Request<Bytes> {
    let (project, job) = (sim().project, Plan::JOB_ID);
    Request::get(format!("https://cce.example/api/v3/projects/{project}/jobs/{job}"))
        .header("X-Auth-Token", TOKEN)
        .header(CONTENT_TYPE, "application/json")
        .body(Bytes::new())
        .unwrap()
}

fn answer(request: &Request<Bytes>) -> String {
    let response = sim().answer(request).unwrap();
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
    let answers = [(); 3].map(|()| sim.answer(&request()).map(|response| response.status()).ok());
    assert_eq!(answers, [Some(StatusCode::BAD_GATEWAY), None, Some(StatusCode::OK)]);
    assert_eq!(sim.requests(), 3);
    // A fault is no reading: the job is at its start.
    assert_eq!(sim.next_reading(), Duration::from_secs(1));
}
