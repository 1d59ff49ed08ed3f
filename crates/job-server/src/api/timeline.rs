//! The timeline of a job, as `cce-job report` draws it.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use job_report::Timeline;
use tokio::task;

use super::{Api, extract::JobPath};
use crate::problem::{self, Problem};

/// An image that is opened by itself runs no scripts and loads nothing.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

pub(super) async fn svg(
    State(api): State<Api>,
    JobPath(key): JobPath,
) -> Result<Response, Problem> {
    let job = api.store().job(&key).await?.ok_or_else(|| {
        Problem::new(problem::NOT_FOUND, "the job has no wait, or was never read")
    })?;
    // Drawing a job with thousands of steps takes milliseconds.
    let image = task::spawn_blocking(move || job_report::svg(&[&Timeline::new(&job)])).await;
    let image =
        image.map_err(|_| Problem::new(problem::INTERNAL, "the timeline cannot be drawn"))?;
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    ];
    Ok((headers, image).into_response())
}
