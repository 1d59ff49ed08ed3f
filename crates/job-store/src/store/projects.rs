//! Pauses the requests for a project, and resumes them.

use std::collections::HashSet;

use job_model::ProjectId;

use super::Store;
use crate::{database::Value, error::StoreError, row::read_project};

impl Store {
    /// Makes no requests for a project until [`resume`](Self::resume), for example while its
    /// credentials are replaced. Deadlines continue: a wait whose deadline passes meanwhile makes one
    /// last attempt after `resume`, and ends.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn pause(&self, project: &ProjectId) -> Result<(), StoreError> {
        let insert = "INSERT INTO cce_paused_projects (project) VALUES ($1) \
                      ON CONFLICT (project) DO NOTHING";
        self.set_paused(project, insert, true).await
    }

    /// Makes requests for a project again after [`pause`](Self::pause).
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn resume(&self, project: &ProjectId) -> Result<(), StoreError> {
        let delete = "DELETE FROM cce_paused_projects WHERE project = $1";
        self.set_paused(project, delete, false).await?;
        self.changed.notify_waiters();
        Ok(())
    }

    /// Returns the projects that are paused, also those without waits.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn paused_projects(&self) -> Result<HashSet<ProjectId>, StoreError> {
        let mut transaction = self.database.begin_read().await?;
        let rows = transaction.rows("SELECT project FROM cce_paused_projects", &[]).await?;
        rows.iter().map(read_project).collect()
    }

    async fn set_paused(
        &self,
        project: &ProjectId,
        statement: &'static str,
        is_paused: bool,
    ) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        transaction.lock_project(project, true).await?;
        let project = Value::from(project.as_str());
        transaction.execute(statement, &[project]).await?;
        let now = transaction.now().await?;
        let sql = "UPDATE cce_waits SET paused = $2, changed_at = $3 \
                   WHERE project = $1 AND outcome IS NULL";
        transaction.execute(sql, &[project, is_paused.into(), now.into()]).await?;
        transaction.commit().await
    }
}
