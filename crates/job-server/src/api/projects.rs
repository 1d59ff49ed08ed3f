//! The configured projects.

use axum::{Json, extract::State, http::StatusCode};
use job_model::ProjectId;
use serde::Serialize;

use super::{Api, extract::ProjectPath};
use crate::{
    config::Project,
    problem::{self, Problem},
};

/// Maximum number of projects that an error names.
const MAX_NAMES: usize = 20;

/// The projects whose waits requests may start.
#[derive(Clone, Debug)]
pub(crate) struct Projects(Vec<Project>);

impl Projects {
    pub(crate) const fn new(projects: Vec<Project>) -> Self {
        Self(projects)
    }

    /// Returns the id of the project with this name or id.
    ///
    /// # Errors
    ///
    /// Returns the problem `unknown-project` if it is not configured.
    pub(super) fn find(&self, project: &str) -> Result<ProjectId, Problem> {
        let is_meant = |known: &&Project| known.name == project || known.id.as_str() == project;
        let found = self.0.iter().find(is_meant).map(|known| known.id.clone());
        found.ok_or_else(|| {
            let names: Vec<_> = self.0.iter().map(|known| &*known.name).take(MAX_NAMES).collect();
            let more = if self.0.len() > MAX_NAMES { ", and others" } else { "" };
            let detail = format!("the server has the projects {}{more}", names.join(", "));
            Problem::new(problem::UNKNOWN_PROJECT, detail)
        })
    }
}

#[derive(Serialize)]
pub(super) struct ProjectList {
    projects: Vec<ProjectStatus>,
}

#[derive(Serialize)]
struct ProjectStatus {
    name: String,
    id: ProjectId,
    endpoint: String,
    is_paused: bool,
}

pub(super) async fn list(State(api): State<Api>) -> Result<Json<ProjectList>, Problem> {
    let paused = api.store().paused_projects().await?;
    let status = |Project { name, id, endpoint, .. }: &Project| ProjectStatus {
        name: name.clone(),
        id: id.clone(),
        endpoint: endpoint.clone(),
        is_paused: paused.contains(id),
    };
    Ok(Json(ProjectList { projects: api.projects.0.iter().map(status).collect() }))
}

pub(super) async fn pause(
    State(api): State<Api>,
    ProjectPath(project): ProjectPath,
) -> Result<StatusCode, Problem> {
    api.store().pause(&project).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn resume(
    State(api): State<Api>,
    ProjectPath(project): ProjectPath,
) -> Result<StatusCode, Problem> {
    api.store().resume(&project).await?;
    Ok(StatusCode::NO_CONTENT)
}
