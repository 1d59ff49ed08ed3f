//! The jobs of a command line, each with its project.

use anyhow::anyhow;
use clap::Args;
use job_model::{JobId, ProjectId};

use super::Server;
use crate::{
    exit::{Exit, OrExit},
    input::{IdArg, parse_id},
};

/// The jobs of `watch` and `cancel`.
#[derive(Args)]
pub(crate) struct TargetArgs {
    /// Job ids, or PROJECT:JOB; `-` reads them from stdin, one per line, with comments after `#`
    #[arg(value_name = "ID", required = true)]
    ids: Vec<IdArg>,
    /// Name of the project in the configuration of the server, or its id [default: the server's only
    /// project]
    #[arg(long, value_name = "NAME", value_parser = parse_id::<ProjectId>)]
    project: Option<ProjectId>,
}

/// A job, and the name or the id of its project.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) project: ProjectId,
    pub(crate) job: JobId,
}

impl TargetArgs {
    /// Reads the ids of the command line and of stdin, each once. The project may be missing.
    ///
    /// # Errors
    ///
    /// Returns a usage error if the ids cannot be read.
    pub(crate) fn read_ids(&self) -> anyhow::Result<Vec<(Option<ProjectId>, JobId)>> {
        let ids = IdArg::read_all(&self.ids, std::iter::empty())?;
        let split = |id: JobId| -> anyhow::Result<_> {
            Ok(match id.as_str().split_once(':') {
                Some((project, job)) => (Some(parse_id(project)?), parse_id(job)?),
                None => (self.project.clone(), id),
            })
        };
        ids.into_iter().map(split).collect::<anyhow::Result<_>>().or_exit(Exit::Usage)
    }
}

impl Target {
    /// Adds the server's only project to the ids without a project.
    ///
    /// # Errors
    ///
    /// Returns a usage error if the server has several projects or none, and an error if it cannot be
    /// asked.
    pub(crate) async fn resolve(
        server: &Server,
        ids: Vec<(Option<ProjectId>, JobId)>,
    ) -> anyhow::Result<Vec<Self>> {
        let default = match ids.iter().all(|(project, _)| project.is_some()) {
            true => None,
            false => Some(only_project(server).await?),
        };
        let resolve = |(project, job): (Option<ProjectId>, JobId)| {
            project.or_else(|| default.clone()).map(|project| Self { project, job })
        };
        Ok(ids.into_iter().filter_map(resolve).collect())
    }
}

async fn only_project(server: &Server) -> anyhow::Result<ProjectId> {
    let projects = server.projects().await?;
    let error = match &*projects {
        [one] => return one.name.parse::<ProjectId>().or_exit(Exit::Internal),
        [] => anyhow!("{} has no project", server.url()),
        several => {
            let names: Vec<_> = several.iter().map(|project| &*project.name).collect();
            anyhow!("{} has several projects; use --project: {}", server.url(), names.join(", "))
        }
    };
    Err(error).or_exit(Exit::Usage)
}
