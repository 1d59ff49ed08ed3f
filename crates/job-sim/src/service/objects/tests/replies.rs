//! Tests the bodies of clusters and nodes, their faults, and the checks of requests.

use job_model::object::{ClusterPhase, ObjectState};

use super::*;

#[test]
fn requests_for_objects_are_checked_like_those_for_a_job() {
    type Edit = fn(&mut Request<Bytes>);
    fn replace(request: &mut Request<Bytes>, from: &str, to: &str) {
        *request.uri_mut() = request.uri().to_string().replace(from, to).parse().unwrap();
    }
    let rows: [(&str, Edit, u16, &str); 12] = [
        ("as documented", |_| {}, 200, "\"kind\":\""),
        ("Autopilot", |r| replace(r, "/api/", "/autopilot/"), 200, "\"kind\":\""),
        ("without a token", |r| drop(r.headers_mut().remove("x-auth-token")), 401, "APIGW.0307"),
        (
            "without a content type",
            |r| drop(r.headers_mut().remove(CONTENT_TYPE)),
            400,
            "Content-Type",
        ),
        ("another method", |r| *r.method_mut() = Method::PUT, 404, "APIGW.0101"),
        (
            "a trailing slash",
            |r| *r.uri_mut() = format!("{}/", r.uri()).parse().unwrap(),
            404,
            "APIGW.0101",
        ),
        ("API v2", |r| replace(r, "/v3/", "/v2/"), 404, "APIGW.0101"),
        ("another project", |r| replace(r, "/projects/", "/projects/x"), 403, "CCE.01403001"),
        ("another cluster", |r| replace(r, "/clusters/", "/clusters/x"), 404, "CCE.01404001"),
        (
            "another object",
            |r| *r.uri_mut() = format!("{}x", r.uri()).parse().unwrap(),
            404,
            "CCE.01404001",
        ),
        (
            "a node as a cluster",
            |r| replace(r, &path_of(NODES_CLUSTER, None), &path_of(NODE_1, None)),
            404,
            "CCE.01404001",
        ),
        (
            "the node of another cluster",
            |r| replace(r, NODES_CLUSTER, CLUSTER),
            404,
            "CCE.01404001",
        ),
    ];
    for (name, edit, status, part) in rows {
        for node in [None, Some(NODE_1)] {
            let sim = Sim::new(Plan::scale_up_cluster(1), TimeSource::Clock);
            let mut request = request(&sim, &path_of(NODES_CLUSTER, node));
            edit(&mut request);
            let reply = send(&sim, &request).unwrap();
            let body = String::from_utf8_lossy(reply.body());
            assert!(
                reply.status() == status && body.contains(part),
                "{name}: {} {body}",
                reply.status()
            );
        }
    }
    let sim = Sim::new(Plan::create_cluster(), TimeSource::Clock).rate_limit(1);
    let statuses = [(); 2].map(|()| status_and_body(&sim, &path_of(CLUSTER, None)).0);
    assert_eq!(statuses, [200, 429]);
}

/// Shows the replies of each fault of a node that became ready a second ago.
#[tokio::test(start_paused = true)]
async fn each_object_fault_has_its_reply() {
    let faults = "ok, wrong-path, 404, 503, html, page:302, garbage, throttled:30, wrong-uid, stale:3, \
        phase-back, phase:Paused, phase:, reset, refuse, stall, stall-handshake, truncated";
    let mut lines = String::new();
    for (name, fault) in faults.split(',').map(str::trim).zip(Fault::parse_script(faults).unwrap())
    {
        let sim = five_seconds(Plan::scale_up_cluster(1));
        advance_to(&sim, seconds(6)).await;
        sim.inject_object_faults([fault]);
        let path = path_of(NODES_CLUSTER, Some(NODE_1));
        // Other requests do not use it.
        assert_eq!(read(&sim, &format!("jobs/{}", sim.job())), "Success");
        let reply = send(&sim, &request(&sim, &path));
        let shown = reply.map_or_else(
            || "no complete reply".into(),
            |reply| {
                let body = String::from_utf8_lossy(reply.body());
                let body = match serde_json::from_str::<Value>(&body) {
                    Ok(node) if node["kind"] == "Node" => {
                        format!("{} {}", node["metadata"]["uid"], node["status"]["phase"])
                    }
                    _ => body.into_owned(),
                };
                format!("{} {body}", reply.status())
            },
        );
        lines += &format!("{name}\n    {shown}\n");
        // The fault applies once.
        assert_eq!(read(&sim, &path), "Active", "{name}");
        assert_eq!((sim.object_requests(), sim.requests()), (2, 3));
    }
    insta::assert_snapshot!(lines);
}

#[tokio::test(start_paused = true)]
async fn a_stale_reply_has_an_old_probe() {
    let sim = five_seconds(Plan::scale_up_cluster(1));
    advance_to(&sim, seconds(600)).await;
    sim.inject_object_faults(Fault::parse_script("stale:100, ok").unwrap());
    let age = |()| {
        let (_, node) = status_and_body(&sim, &path_of(NODES_CLUSTER, Some(NODE_1)));
        let probed = node["status"]["lastProbeTime"].as_str().unwrap().parse().unwrap();
        sim.now().duration_since(probed).as_secs()
    };
    assert_eq!([(); 2].map(age), [120, 20]);
}

/// A cluster has a reason only in a broken phase, and the reason is that of the phase.
#[tokio::test(start_paused = true)]
async fn only_broken_clusters_have_a_reason() {
    let phases = [
        "Available",
        "Unavailable",
        "Creating",
        "Deleting",
        "Resizing",
        "ResizeFailed",
        "RollingBack",
        "RollbackFailed",
        "Hibernation",
        "Freezing",
        "Empty",
        "Error",
        "Odd",
    ];
    let mut lines = String::new();
    for phase in phases {
        let sim = five_seconds(Plan::create_cluster());
        sim.add_cluster("c", ObjectPlan::phases([(Duration::ZERO, phase)]));
        let (_, mut body) = status_and_body(&sim, "clusters/c");
        let status = &mut body["status"];
        let is_broken = ClusterPhase::from(phase).state() == ObjectState::Broken;
        assert_eq!(status.get("reason").is_some(), is_broken, "{phase}");
        lines += &format!("{phase}: {}, {}\n", status["reason"].take(), status["message"].take());
    }
    insta::assert_snapshot!(lines);
}

#[test]
fn requests_for_objects_use_no_fault_of_jobs_or_lists() {
    let sim = Sim::new(Plan::create_cluster(), TimeSource::Clock);
    sim.inject_faults(Fault::parse_script("503").unwrap());
    sim.set_list_faults(ListFault::parse_list("403").unwrap());
    let cluster = path_of(CLUSTER, None);
    assert_eq!([(); 3].map(|()| status_and_body(&sim, &cluster).0), [200; 3]);
    let job = format!("jobs/{}", sim.job());
    assert_eq!([(); 2].map(|()| status_and_body(&sim, &job).0), [503, 200]);
    // Outages and random faults apply to all requests.
    let outage = Fault::ErrorReply(StatusCode::BAD_GATEWAY);
    let sim = Sim::new(Plan::create_cluster(), TimeSource::Clock)
        .outage(Duration::ZERO..seconds(1), outage);
    assert_eq!(status_and_body(&sim, &cluster).0, 502);
    sim.inject_object_faults([None]);
    assert_eq!([(); 2].map(|()| status_and_body(&sim, &cluster).0), [200, 502]);
}

#[test]
fn object_faults_can_be_scripted_by_request() {
    let sim = Sim::new(Plan::create_cluster(), TimeSource::Clock);
    let post = |body: &'static str| {
        let mut request = request(&sim, "/simulation/object-faults");
        *request.method_mut() = Method::POST;
        *request.body_mut() = Bytes::from_static(body.as_bytes());
        let reply = send(&sim, &request).unwrap();
        (reply.status().as_u16(), String::from_utf8_lossy(reply.body()).into_owned())
    };
    assert_eq!(post("ok, 503"), (200, "{\"faults\":2}".into()));
    assert_eq!([(); 3].map(|()| status_and_body(&sim, &path_of(CLUSTER, None)).0), [200, 503, 200]);
    let (status, body) = post("sometimes");
    assert!(status == 400 && body.contains("unknown fault: sometimes"), "{body}");
}

/// Replaces the times of a body by their distance from `now`.
fn body_with_ages(sim: &Sim, path: &str) -> String {
    let (_, mut body) = status_and_body(sim, path);
    let age = |value: &mut Value| {
        if let Some(time) = value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()) {
            *value = json!(format!("{:#} ago", sim.now().duration_since(time)));
        }
    };
    age(&mut body["metadata"]["creationTimestamp"]);
    age(&mut body["metadata"]["updateTimestamp"]);
    if body["status"].get("lastProbeTime").is_some() {
        age(&mut body["status"]["lastProbeTime"]);
    }
    body.to_string()
}

#[tokio::test(start_paused = true)]
async fn bodies_of_clusters_and_nodes() {
    let mut bodies = String::new();
    let breaks = ObjectPlan::ready().breaks_after(seconds(2));
    let explained = breaks.clone().with_reason("Own", "an own message");
    let stale = ObjectPlan::ready().stale_probe_until(seconds(60));
    let ready = ObjectPlan::ready;
    let (node, cluster) = ((NODES_CLUSTER, Some(NODE_1)), (CLUSTER, None));
    for (name, plan, (cluster, node), time) in [
        ("a cluster while its job runs", ready(), cluster, 4),
        ("an available cluster", ready(), cluster, 6),
        ("a broken cluster", breaks.clone(), cluster, 8),
        ("a broken cluster with a reason", explained.clone(), cluster, 8),
        ("a node before it is installed", ready(), node, 1),
        ("a node while it is installed", ready(), node, 4),
        ("an active node", ready(), node, 6),
        ("a node with an old probe", stale, node, 6),
        ("a broken node", breaks, node, 8),
        ("a broken node with a reason", explained, node, 8),
        ("a cluster that a job of nodes names", ready(), (NODES_CLUSTER, None), 1),
    ] {
        let job =
            if cluster == CLUSTER { Plan::create_cluster() } else { Plan::scale_up_cluster(1) };
        let sim = five_seconds(job).default_object_plan(plan);
        advance_to(&sim, seconds(time)).await;
        bodies += &format!("{name}\n    {}\n", body_with_ages(&sim, &path_of(cluster, node)));
    }
    insta::assert_snapshot!(bodies);
}
