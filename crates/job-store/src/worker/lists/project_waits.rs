//! The waits of a project as lists see them: what is compared with a row, and what follows from it.

use jiff::Timestamp;
use job_model::ProjectId;
use job_poller::schedule::{BudgetShare, PollPlan, Schedule};

use super::{
    FINISHED_OVERLAP,
    listed::{Comparison, Listed, ListedWait},
};
use crate::{
    database::{Row, Transaction},
    error::StoreError,
    row::{LastReading, hint, to_json},
};

/// Plans readings at one moment.
pub(super) struct Planner<'a> {
    pub(super) schedule: &'a dyn Schedule,
    pub(super) share: BudgetShare,
    pub(super) now: Timestamp,
}

impl Planner<'_> {
    /// Returns what the schedule would plan now for a request that shows `jobs` jobs.
    pub(super) fn plan(&self, reading: &LastReading, jobs: u32) -> Option<PollPlan> {
        reading.plan(self.schedule, self.share, self.now, jobs)
    }
}

/// A wait of the project, as far as a list concerns it.
pub(super) struct ProjectWait {
    key: String,
    /// What the last list has shown.
    before: Option<Listed>,
    pub(super) reading: Option<LastReading>,
    tick: i64,
    is_in_flight: bool,
    is_covered: bool,
    pub(super) is_active: bool,
}

/// Returns the active waits of a project, and those that have finished since the last list.
pub(super) async fn waits(
    transaction: &mut Transaction,
    project: &ProjectId,
    read_at: Option<Timestamp>,
) -> Result<Vec<ProjectWait>, StoreError> {
    // In the order in which they are updated.
    let sql = "SELECT key, tick, lease, listed, reading, covered, outcome FROM cce_waits \
               WHERE project = $1 AND outcome IS NULL AND paused = 0 ORDER BY key";
    let mut rows = transaction.rows(sql, &[project.as_str().into()]).await?;
    if let Some(read_at) = read_at {
        let since = read_at.saturating_sub(FINISHED_OVERLAP).unwrap_or(read_at);
        // The index by time finds few waits. One by project might find all that are kept.
        let sql = "SELECT key, tick, lease, listed, reading, covered, outcome FROM cce_waits \
                   WHERE finished_at >= $1 AND listed IS NOT NULL ORDER BY key";
        for row in transaction.rows(sql, &[since.into()]).await? {
            if row.text("key")?.split_once(':').is_some_and(|(of, _)| of == project.as_str()) {
                rows.push(row);
            }
        }
    }
    rows.iter().map(ProjectWait::from_row).collect()
}

impl ProjectWait {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            key: row.text("key")?,
            // What another version wrote is forgotten.
            before: row.json::<Listed>("listed").ok().flatten(),
            reading: row.json("reading").ok().flatten(),
            tick: row.int("tick")?,
            is_in_flight: row.opt_int("lease")?.is_some(),
            is_covered: row.int("covered")? != 0,
            is_active: row.opt_text("outcome")?.is_none(),
        })
    }

    pub(super) fn listed(&self) -> ListedWait {
        let own = self.reading.as_ref().map(|reading| reading.state);
        let Self { before, tick, is_in_flight, .. } = *self;
        ListedWait { before, own, tick, is_in_flight }
    }

    pub(super) fn job(&self) -> &str {
        self.key.split_once(':').map_or("", |(_, job)| job)
    }

    /// Writes what the list has shown of this wait, if that has changed. `covers` is whether the list
    /// replaces readings of its jobs.
    pub(super) async fn update(
        &self,
        transaction: &mut Transaction,
        comparison: Option<Comparison>,
        covers: bool,
        planner: &Planner<'_>,
    ) -> Result<(), StoreError> {
        let has_forecast = self.reading.as_ref().is_some_and(|reading| reading.forecast.is_some());
        let agrees = comparison.is_some_and(|comparison| comparison.agrees);
        let is_covered = covers && agrees && has_forecast && self.is_active;
        let listed = comparison.map(|comparison| comparison.listed);
        if listed != self.before || is_covered != self.is_covered {
            let listed = listed.as_ref().map(to_json).transpose()?;
            let sql = "UPDATE cce_waits SET listed = $2, covered = $3 WHERE key = $1";
            let values = [(&self.key).into(), listed.as_deref().into(), is_covered.into()];
            transaction.execute(sql, &values).await?;
        }
        if self.is_covered && !is_covered && self.is_active {
            plan_without_list(transaction, &self.key, self.reading.as_ref(), planner).await?;
        }
        if comparison.is_some_and(|comparison| comparison.is_hint) && self.is_active {
            hint(transaction, &self.key, planner.now).await?;
        }
        Ok(())
    }
}

/// Forgets what the list has shown, and plans the readings of its jobs as if there were no list.
pub(super) async fn forget_rows(
    transaction: &mut Transaction,
    project: &str,
    planner: &Planner<'_>,
) -> Result<(), StoreError> {
    let sql = "SELECT key, reading FROM cce_waits \
               WHERE project = $1 AND outcome IS NULL AND covered = 1 ORDER BY key";
    for row in transaction.rows(sql, &[project.into()]).await? {
        let reading = row.json("reading").ok().flatten();
        plan_without_list(transaction, &row.text("key")?, reading.as_ref(), planner).await?;
    }
    let sql = "UPDATE cce_waits SET listed = NULL, covered = 0 \
               WHERE project = $1 AND outcome IS NULL AND listed IS NOT NULL";
    transaction.execute(sql, &[project.into()]).await.map(drop)
}

/// Plans the next attempt of a wait as if there were no list, unless it is due earlier.
async fn plan_without_list(
    transaction: &mut Transaction,
    key: &String,
    reading: Option<&LastReading>,
    planner: &Planner<'_>,
) -> Result<(), StoreError> {
    let due = |of: &LastReading| of.due_without_list(planner.schedule, planner.share, planner.now);
    let Some(due) = reading.and_then(due) else { return Ok(()) };
    let sql = "UPDATE cce_waits SET due = $2, changed_at = $3 \
               WHERE key = $1 AND outcome IS NULL AND due > $2";
    transaction.execute(sql, &[key.into(), due.into(), planner.now.into()]).await.map(drop)
}
