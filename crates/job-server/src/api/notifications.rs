//! The notifications of waits.

use axum::{Json, extract::State, http::StatusCode};
use job_store::NotificationStatus;
use serde::Serialize;

use super::{
    Api,
    extract::{JobPath, NotificationPath},
};
use crate::problem::{self, Problem};

#[derive(Serialize)]
pub(super) struct NotificationList {
    notifications: Vec<NotificationStatus>,
}

pub(super) async fn list(
    State(api): State<Api>,
    JobPath(key): JobPath,
) -> Result<Json<NotificationList>, Problem> {
    Ok(Json(NotificationList { notifications: api.store().notifications(&key).await? }))
}

pub(super) async fn undelivered(State(api): State<Api>) -> Result<Json<NotificationList>, Problem> {
    Ok(Json(NotificationList { notifications: api.store().undelivered().await? }))
}

pub(super) async fn retry(
    State(api): State<Api>,
    NotificationPath(id): NotificationPath,
) -> Result<StatusCode, Problem> {
    match api.store().retry(&id).await? {
        true => Ok(StatusCode::ACCEPTED),
        false => {
            let detail = "no undelivered webhook has this id; GET \
                          /api/v1/notifications/undelivered lists the undelivered webhooks";
            Err(Problem::new(problem::NOT_FOUND, detail))
        }
    }
}
