//! Waits: starting, reading, listing and canceling them.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::StatusCode};
use job_poller::WaitPolicy;
use job_store::{ListQuery, Page, ResultStatus, WaitKey, WaitStatus, Watch};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Api,
    extract::{JobPath, OptionalJson, Parameters},
};
use crate::problem::{self, Problem};

/// The maximum number of waits in a page.
const MAX_PAGE: u32 = 1000;

/// The body of a `PUT`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WaitRequest {
    /// As the timeout of a [`WaitPolicy`]: a text such as `45m`, or `none`.
    timeout: Option<serde_json::Value>,
    /// As the goal of a [`WaitPolicy`]: `ended`, `ready` or `gone`.
    until: Option<serde_json::Value>,
    /// The URLs of webhooks.
    notify: Vec<String>,
    /// The queues in the database, which the configuration must list.
    enqueue: Vec<String>,
}

impl WaitRequest {
    fn into_watch(self, queues: &[String]) -> Result<Watch, Problem> {
        if let Some(unknown) = self.enqueue.iter().find(|queue| !queues.contains(queue)) {
            let detail = format!(
                "the queue {unknown:?} is not in the configuration; add it to `queues` if a program \
                 reads it"
            );
            return Err(Problem::new(problem::RECEIVER, detail));
        }
        let fields = [("timeout", self.timeout), ("until", self.until)];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let policy = serde_json::Value::Object(fields.collect());
        let policy: WaitPolicy = serde_json::from_value(policy).map_err(|error| {
            Problem::new(problem::INVALID_REQUEST, format!("the body: {error}"))
        })?;
        let watch = self.notify.into_iter().fold(Watch::new().policy(policy), Watch::notify);
        Ok(self.enqueue.into_iter().fold(watch, Watch::enqueue))
    }
}

pub(super) async fn watch(
    State(api): State<Api>,
    JobPath(key): JobPath,
    OptionalJson(request): OptionalJson<WaitRequest>,
) -> Result<Json<WaitStatus>, Problem> {
    Ok(Json(api.store().watch(&key, &request.into_watch(&api.queues)?).await?))
}

pub(super) async fn show(
    State(api): State<Api>,
    JobPath(key): JobPath,
) -> Result<Json<WaitStatus>, Problem> {
    api.store().get(&key).await?.map(Json).ok_or_else(no_wait)
}

pub(super) async fn cancel(
    State(api): State<Api>,
    JobPath(key): JobPath,
) -> Result<Json<WaitStatus>, Problem> {
    api.store().cancel(&key).await?.map(Json).ok_or_else(no_wait)
}

#[derive(Serialize)]
pub(super) struct Hint {
    is_active: bool,
}

pub(super) async fn hint(
    State(api): State<Api>,
    JobPath(key): JobPath,
) -> Result<(StatusCode, Json<Hint>), Problem> {
    let is_active = api.store().hint(&key).await?;
    Ok((StatusCode::ACCEPTED, Json(Hint { is_active })))
}

/// The query of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    project: Option<String>,
    state: Option<StateFilter>,
    after: Option<WaitKey>,
    limit: Option<u32>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateFilter {
    Active,
    Finished,
    Failed,
    Overdue,
}

pub(super) async fn list(
    State(api): State<Api>,
    Parameters(filter): Parameters<Filter>,
) -> Result<Json<Page>, Problem> {
    let Filter { project, state, after, limit } = filter;
    if limit.is_some_and(|limit| !(1..=MAX_PAGE).contains(&limit)) {
        let detail = format!("limit must be between 1 and {MAX_PAGE}");
        return Err(Problem::new(problem::INVALID_REQUEST, detail));
    }
    let project = project.map(|project| api.projects.find(&project)).transpose()?;
    let query = project.into_iter().fold(ListQuery::new(), ListQuery::project);
    let query = after.into_iter().fold(query, ListQuery::after);
    let query = limit.into_iter().fold(query, ListQuery::limit);
    let query = match state {
        None => query,
        Some(StateFilter::Active) => query.active(),
        Some(StateFilter::Finished) => query.finished(),
        Some(StateFilter::Failed) => query.failed(),
        Some(StateFilter::Overdue) => query.overdue(),
    };
    let mut page = api.store().list(&query).await?;
    page.waits.iter_mut().for_each(leave_out_document);
    Ok(Json(page))
}

pub(super) fn no_wait() -> Problem {
    Problem::new(problem::NOT_FOUND, "the job has no wait; PUT starts one")
}

/// Removes the job as last read from the result, because it can have megabytes. The `document` is then
/// null, and `omitted` contains its name, as in a notification that would be too large.
pub(super) fn leave_out_document(status: &mut WaitStatus) {
    let Some(ResultStatus { report, .. }) = &mut status.result else { return };
    let parsed = serde_json::from_str::<BTreeMap<String, &RawValue>>(report.get());
    let Ok(mut fields) = parsed else { return };
    let Ok(omitted) = serde_json::value::to_raw_value(&["document"]) else { return };
    if fields.get("document").is_none_or(|document| document.get() == "null") {
        return;
    }
    fields.insert("document".into(), RawValue::NULL);
    fields.entry("omitted".into()).or_insert(&omitted);
    if let Ok(short) = serde_json::value::to_raw_value(&fields) {
        *report = short;
    }
}
