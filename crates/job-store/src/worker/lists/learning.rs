//! Learns the durations of jobs that ended from the rows of a list.

use jiff::Timestamp;
use job_model::{Phase, ProjectId, job::JobRow};
use job_poller::schedule::JobObservation;
use job_transport::ListReading;

use crate::{
    database::Transaction,
    error::StoreError,
    worker::{Worker, clients::ProjectClient},
};

/// Maximum number of rows of a list that are learned from. The others are learned from the next lists.
const MAX_ROWS: usize = 256;

impl Worker {
    /// Returns the durations of the jobs that have succeeded after `since`, except those that somebody
    /// waits for, because their waits are learned from. Also returns the time until which the
    /// durations are known.
    ///
    /// One time per project is all that is stored, so that each row is learned from once. A row that
    /// appears after rows with a later end is not learned from.
    pub(in crate::worker) async fn durations(
        &self,
        transaction: &mut Transaction,
        project: &ProjectId,
        client: &ProjectClient,
        reading: &ListReading,
        since: Option<Timestamp>,
    ) -> Result<(Vec<Option<JobObservation>>, Option<Timestamp>), StoreError> {
        let is_learned = self.schedule.is_none() && client.learned.is_stored();
        // Without the time of the service, a time in the future could not be recognized.
        let Some(date) = reading.date.filter(|_| is_learned) else {
            return Ok((Vec::new(), since));
        };
        let is_new = |ended: Timestamp| ended <= date && since.is_none_or(|since| since < ended);
        let mut rows: Vec<_> = reading
            .list
            .rows()
            .filter(|row| row.phase() == Some(Phase::Success))
            .filter_map(|row| Some((end(row).filter(|ended| is_new(*ended))?, row)))
            .collect();
        rows.sort_unstable_by_key(|(ended, _)| *ended);
        rows.truncate(MAX_ROWS);
        let mut observations = Vec::new();
        for (_, row) in &rows {
            let Some(job) = row.uid() else { continue };
            let key = format!("{}:{job}", project);
            let sql = "SELECT key FROM cce_waits WHERE key = $1";
            if transaction.row(sql, &[(&key).into()]).await?.is_none() {
                observations.push(JobObservation::from_row(*row));
            }
        }
        Ok((observations, rows.last().map(|(ended, _)| *ended).or(since)))
    }
}

fn end(row: JobRow<'_>) -> Option<Timestamp> {
    row.completed_at().or_else(|| row.updated_at())
}
