//! Tests which objects jobs name, and that jobs are forgotten.

use super::*;

#[tokio::test(start_paused = true)]
async fn jobs_are_forgotten_after_their_end() {
    let job = |sim: &Sim, id: &str| read(sim, &format!("jobs/{id}"));
    for (retention, at_5, at_8) in [
        (None, "Success", "Success"),
        (Some(3), "Success", "CCE.01404001"),
        (Some(0), "CCE.01404001", "CCE.01404001"),
    ] {
        let mut sim = five_seconds(Plan::create_cluster());
        if let Some(retention) = retention {
            sim = sim.forget_jobs_after(seconds(retention));
        }
        let id = sim.job().to_string();
        let old = sim.add_finished(Plan::delete_node(), seconds(4)).to_string();
        let sub_job = "00000001-9606-11e8-0001-0255ac10215d";
        for (time, expected) in [(4_900, "Running"), (5_000, at_5), (7_900, at_5), (8_000, at_8)] {
            advance_to(&sim, Duration::from_millis(time)).await;
            assert_eq!(job(&sim, &id), expected, "{retention:?} at {time} ms");
            let is_forgotten = expected.starts_with("CCE");
            let sub_job = job(&sim, sub_job);
            assert_eq!(sub_job == "CCE.01404001", is_forgotten, "{retention:?} at {time} ms");
            let list = status_and_body(&sim, "/api/v2/projects/{p}/jobs").1;
            let rows = usize::from(!is_forgotten) + usize::from(retention.is_none());
            assert_eq!(list.as_array().unwrap().len(), rows, "{retention:?} at {time} ms");
        }
        assert_eq!(job(&sim, &old) == "CCE.01404001", retention.is_some());
        // The cluster stays.
        assert_eq!(read(&sim, &path_of(CLUSTER, None)), "Available");
    }
}

/// Submits calls, and reads the objects that their replies and jobs name.
#[tokio::test(start_paused = true)]
async fn submitted_objects_are_served() {
    let sim = Sim::new(Plan::create_cluster(), TimeSource::Clock);
    let submit = |method: Method, path: &str, body: Value| {
        let mut request = request(&sim, path);
        (*request.method_mut(), *request.body_mut()) = (method, body.to_string().into());
        let reply: Value = serde_json::from_slice(send(&sim, &request).unwrap().body()).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&reply["metadata"]["uid"]), text(&reply["status"]["jobID"]))
    };
    let blue = json!({"kind": "Cluster", "metadata": {"name": "blue"}, "spec": {}});
    let (cluster, _) = submit(Method::POST, "clusters", blue);
    let cluster_path = path_of(&cluster, None);
    let (_, body) = status_and_body(&sim, &cluster_path);
    assert_eq!(
        (&body["status"]["phase"], &body["metadata"]["name"]),
        (&json!("Creating"), &json!("blue"))
    );
    advance_to(&sim, seconds(5)).await;
    assert_eq!(read(&sim, &cluster_path), "Available");

    let nodes = json!({"kind": "Node", "spec": {"count": 2}});
    let (node, job) = submit(Method::POST, &format!("{cluster_path}/nodes"), nodes);
    assert_eq!(read(&sim, &path_of(&cluster, Some(&node))), "Build");
    advance_to(&sim, seconds(10)).await;
    let (_, job) = status_and_body(&sim, &format!("jobs/{job}"));
    let job = job_model::Job::from_slice(job.to_string().as_bytes()).unwrap();
    let ids: Vec<&str> = job.resource_ids(&["InstallNode"]).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&&*node));
    for id in ids {
        assert_eq!(read(&sim, &path_of(&cluster, Some(id))), "Active");
    }

    let node_path = path_of(&cluster, Some(&node));
    let (_, job) = submit(Method::DELETE, &node_path, json!({}));
    assert_eq!(read(&sim, &node_path), "Deleting");
    let (_, job) = status_and_body(&sim, &format!("jobs/{job}"));
    let spec = json!({"type": "DeleteNode", "clusterUID": cluster, "resourceID": node, "resourceName": "blue"});
    assert_eq!(job["spec"], spec);
    let (_, job) = submit(Method::DELETE, &cluster_path, json!({}));
    let (_, job) = status_and_body(&sim, &format!("jobs/{job}"));
    assert_eq!(
        (&job["spec"]["clusterUID"], &job["spec"]["resourceID"]),
        (&json!(cluster), &json!(cluster))
    );
    assert_eq!(
        (&job["spec"]["type"], read(&sim, &cluster_path)),
        (&json!("DeleteCluster"), "Deleting".into())
    );
    advance_to(&sim, seconds(15)).await;
    assert_eq!(
        (read(&sim, &node_path), read(&sim, &cluster_path)),
        ("CCE.01404001".into(), "CCE.01404001".into())
    );
}

#[tokio::test(start_paused = true)]
async fn each_job_has_objects_of_its_own() {
    let sim = five_seconds(Plan::create_cluster())
        .default_object_plan(ObjectPlan::ready_after(seconds(1)));
    advance_to(&sim, seconds(5)).await;
    let jobs = [
        Plan::create_cluster(),
        Plan::delete_cluster(),
        Plan::scale_up_cluster(1),
        Plan::delete_node(),
    ];
    let ids = jobs.map(|plan| sim.add(plan.with_duration(seconds(5))));
    advance_to(&sim, seconds(6)).await;
    assert_eq!(read(&sim, &path_of(CLUSTER, None)), "Available");
    let specs = ids.map(|id| status_and_body(&sim, &format!("jobs/{id}")).1["spec"].take());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let [create, delete, _, delete_node] = specs;
    assert_ne!(create["clusterUID"], CLUSTER);
    assert_eq!(read(&sim, &path_of(&text(&create["clusterUID"]), None)), "Creating");
    assert_eq!(delete["resourceID"], delete["clusterUID"]);
    assert_eq!(read(&sim, &path_of(&text(&delete["clusterUID"]), None)), "Deleting");
    assert_eq!(delete_node["clusterUID"], NODES_CLUSTER);
    assert_eq!(
        read(&sim, &path_of(NODES_CLUSTER, Some(&text(&delete_node["resourceID"])))),
        "Deleting"
    );
    assert_eq!(read(&sim, &path_of(NODES_CLUSTER, None)), "Available");
}

#[tokio::test(start_paused = true)]
async fn nodes_of_different_jobs_share_a_cluster_that_stays_available() {
    let sim =
        five_seconds(Plan::scale_up_cluster(1)).default_object_plan(ObjectPlan::never_ready());
    sim.add(Plan::scale_up_cluster(1).with_duration(seconds(5)));
    sim.set_object_plan("00000001-0000-0001-825b-0255ac100c13", ObjectPlan::ready());
    advance_to(&sim, seconds(5)).await;
    let node = |id| read(&sim, &path_of(NODES_CLUSTER, Some(id)));
    assert_eq!(node(NODE_1), "Installing");
    assert_eq!(node("00000001-0000-0001-825b-0255ac100c13"), "Active");
    assert_eq!(read(&sim, &path_of(NODES_CLUSTER, None)), "Available");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_gone_before_it_is_ready_is_never_ready() {
    let sim = five_seconds(Plan::delete_cluster());
    sim.add_node(NODES_CLUSTER, "n", ObjectPlan::ready_after(seconds(5)));
    assert_eq!(sim.first_ready_at("n"), None);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_whose_job_failed_has_a_reason() {
    let sim = five_seconds(Plan::create_cluster().with_failure("sold out"));
    advance_to(&sim, seconds(5)).await;
    let (_, body) = status_and_body(&sim, &path_of(CLUSTER, None));
    assert_eq!(body["status"]["reason"], "JobFailed");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_keeps_the_creation_time_and_the_name() {
    let sim = five_seconds(Plan::create_cluster());
    let metadata = || {
        let (_, body) = status_and_body(&sim, &path_of(CLUSTER, None));
        (body["metadata"]["name"].clone(), body["metadata"]["creationTimestamp"].clone())
    };
    advance_to(&sim, seconds(5)).await;
    let created = metadata();
    sim.add(Plan::delete_cluster().with_cluster(CLUSTER, "another"));
    assert_eq!(metadata(), created);
}
