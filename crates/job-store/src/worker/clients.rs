//! The clients of a worker: which projects it serves, and what it learns about their jobs.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use job_model::ProjectId;
use job_transport::Client;

use crate::{database::Database, error::StoreError, history::LearnedSchedule};

/// The clients of a worker.
#[derive(Clone)]
pub(super) enum Clients {
    /// One client reads the jobs of all projects.
    One(ProjectClient),
    /// Each project has its own client. The waits of other projects are left to other workers.
    ByProject(Arc<HashMap<ProjectId, ProjectClient>>),
}

/// A client, and the schedule that is learned from the jobs at its endpoint.
#[derive(Clone)]
pub(super) struct ProjectClient {
    pub(super) client: Client,
    pub(super) learned: Arc<LearnedSchedule>,
}

impl Clients {
    pub(super) fn one(client: Client) -> Self {
        let learned = Arc::new(LearnedSchedule::new(client.endpoint()));
        Self::One(ProjectClient { client, learned })
    }

    pub(super) fn by_project(clients: impl IntoIterator<Item = (ProjectId, Client)>) -> Self {
        // Clients of the same endpoint learn together.
        let mut learned = HashMap::new();
        let mut by_project = HashMap::new();
        for (project, client) in clients {
            let learned = match learned.entry(client.endpoint().host()) {
                Entry::Occupied(entry) => Arc::clone(entry.get()),
                Entry::Vacant(entry) => {
                    entry.insert(Arc::new(LearnedSchedule::new(client.endpoint()))).clone()
                }
            };
            by_project.insert(project, ProjectClient { client, learned });
        }
        Self::ByProject(Arc::new(by_project))
    }

    /// Returns the client of a project, or `None` if the project is left to other workers.
    pub(super) fn for_project(&self, project: &ProjectId) -> Option<ProjectClient> {
        let ProjectClient { client, learned } = match self {
            Self::One(client) => client.clone(),
            Self::ByProject(clients) => clients.get(project)?.clone(),
        };
        Some(ProjectClient { client: client.project(project.clone()), learned })
    }

    /// Returns the projects as a parameter for [`served!`], with a slash before and after each, which no
    /// id contains. Empty if all are served.
    pub(super) fn filter(&self) -> String {
        match self {
            Self::One(_) => String::new(),
            Self::ByProject(clients) => {
                let projects = clients.keys().map(|project| format!("{project}/"));
                format!("/{}", projects.collect::<String>())
            }
        }
    }

    /// Reads the histories that the schedules are built from, each once a minute.
    pub(super) async fn refresh(
        &self,
        database: &Database,
        now: Duration,
    ) -> Result<(), StoreError> {
        match self {
            Self::One(client) => client.learned.refresh(database, now).await,
            Self::ByProject(clients) => {
                for client in clients.values() {
                    client.learned.refresh(database, now).await?;
                }
                Ok(())
            }
        }
    }
}

/// The condition that a worker serves the project of a row, given the parameter with
/// [`Clients::filter`].
macro_rules! served {
    ($parameter:literal) => {
        concat!(
            "(",
            $parameter,
            " = '' OR replace(",
            $parameter,
            ", '/' || project || '/', '') <> ",
            $parameter,
            ")"
        )
    };
}
pub(super) use served;
