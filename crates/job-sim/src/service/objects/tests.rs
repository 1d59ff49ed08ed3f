//! Tests clusters and nodes. The helpers of these tests are here.

mod phases;
mod jobs;
mod replies;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, Request, Response, header::CONTENT_TYPE};
use serde_json::json;

use super::*;
use crate::{
    faults::ListFault,
    plan::{Plan, TimeSource},
    reply::BodyEnd,
};

/// The cluster that the first job of [`Plan::create_cluster`] creates.
const CLUSTER: &str = "4d1ecb2c-229a-11e8-9c75-0255ac100ceb";
/// The cluster of jobs of nodes.
const NODES_CLUSTER: &str = "fcc72de0-9606-11e8-baa8-0255ac10215d";
const NODE_1: &str = "00000001-2338-11e8-825b-0255ac100c13";
const NODE_2: &str = "00000002-2338-11e8-825b-0255ac100c13";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn advance_to(sim: &Sim, time: Duration) {
    tokio::time::advance(time.saturating_sub(sim.elapsed())).await;
}

fn request(sim: &Sim, path: &str) -> Request<Bytes> {
    let path = path.strip_prefix('/').map_or_else(
        || format!("/api/v3/projects/{}/{path}", sim.project()),
        |path| format!("/{path}").replace("{p}", sim.project().as_str()),
    );
    Request::get(format!("https://cce.example{path}"))
        .header("X-Auth-Token", sim.account().token)
        .header(CONTENT_TYPE, "application/json")
        .body(Bytes::new())
        .unwrap()
}

fn send(sim: &Sim, request: &Request<Bytes>) -> Option<Response<Bytes>> {
    match sim.reply(request).now_or_never() {
        Some(Some((response, BodyEnd::Complete))) => Some(response),
        _ => None,
    }
}

fn status_and_body(sim: &Sim, path: &str) -> (u16, Value) {
    let reply = send(sim, &request(sim, path)).unwrap();
    (reply.status().as_u16(), serde_json::from_slice(reply.body()).unwrap_or_default())
}

fn path_of(cluster: &str, node: Option<&str>) -> String {
    match node {
        Some(node) => format!("clusters/{cluster}/nodes/{node}"),
        None => format!("clusters/{cluster}"),
    }
}

/// Returns the phase that a client reads, or the error's code.
fn read(sim: &Sim, path: &str) -> String {
    let (_, body) = status_and_body(sim, path);
    let code = body.get("errorCode").or_else(|| body.get("error_code"));
    let text = code.or_else(|| body["status"].get("phase")).and_then(Value::as_str);
    text.unwrap_or("no phase").to_owned()
}

/// Returns the phases over time, one line for each change, and checks that a reading and the query
/// agree.
async fn phases_over_time(sim: &Sim, cluster: &str, node: Option<&str>, until: u64) -> String {
    let id = node.unwrap_or(cluster);
    let mut lines: Vec<String> = Vec::new();
    let mut last = String::new();
    for tenth in 0..=until * 10 {
        advance_to(sim, Duration::from_millis(tenth * 100)).await;
        let phase = read(sim, &path_of(cluster, node));
        assert_eq!(sim.object_phase(id).unwrap_or_else(|| "CCE.01404001".into()), phase);
        if phase != last {
            let time = sim.elapsed().as_secs_f64();
            lines.push(format!("{time:.1} {}", phase.replace("CCE.01404001", "404")));
            last = phase;
        }
    }
    lines.join(", ")
}

/// Creates a simulation with one job that ends at five seconds.
fn five_seconds(plan: Plan) -> Sim {
    Sim::new(plan.with_duration(seconds(5)), TimeSource::Clock)
}
