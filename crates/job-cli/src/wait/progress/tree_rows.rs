//! The rows of the live tree: one for each job, and for each step that is running or failed,
//! limited to the size of the terminal.

use std::{collections::HashMap, mem, sync::Arc, time::Duration};

use console::truncate_str;
use jiff::Timestamp;
use job_model::{Job, JobId, Phase, TreeEntry, object::ObjectState};
use job_poller::machine::ObjectStatus;
use job_transport::JobSnapshot;

use crate::{
    terminal::{Styles, format_duration, text},
    wait::{board::WaitCounts, error_run::ErrorRun, snapshot::WaitSnapshot, totals::Totals},
};

/// What the tree shows.
pub(crate) struct Frame {
    /// The running waits that may be visible, in the order of the rows. At most one for each row.
    pub(crate) snapshots: Vec<WaitSnapshot>,
    /// The number of running waits.
    pub(crate) running: usize,
    pub(crate) counts: WaitCounts,
    pub(crate) totals: Totals,
    pub(crate) elapsed: Duration,
    /// The rows and columns of the terminal.
    pub(crate) size: (usize, usize),
    pub(crate) styles: Styles,
}

/// Makes the rows of the tree. Decodes a job only if it is visible and has changed, and keeps its
/// rows instead of the decoded job.
#[derive(Default)]
pub(crate) struct TreeRows {
    jobs: HashMap<JobId, JobRows>,
}

/// The rows of a job and its steps.
struct JobRows {
    snapshot: JobSnapshot,
    /// Maximum number of rows.
    max: usize,
    steps: Arc<[StepRow]>,
}

/// A row without the times that pass.
#[derive(Debug)]
struct StepRow {
    depth: usize,
    /// The label and the phase.
    name: String,
    /// The number of steps that are done, and of all steps.
    progress: Option<(usize, usize)>,
    time: StepTime,
    reason: Option<String>,
}

/// The time that a row shows.
#[derive(Debug)]
enum StepTime {
    /// The step has ended after this time, if it is known.
    Took(Option<Duration>),
    /// The step is active since this time, if it is known.
    Since(Option<Timestamp>),
}

/// Returns how many rows the tree may have. The last row of the terminal stays free, and one row is
/// reserved for the number of omitted jobs.
pub(crate) fn max_rows(height: usize) -> usize {
    height.saturating_sub(2).max(1)
}

impl TreeRows {
    /// Returns the rows. There are fewer rows than the terminal has, and none is wider than the
    /// terminal.
    pub(crate) fn draw(&mut self, frame: &Frame) -> Vec<String> {
        let Frame { snapshots, running, totals, size: (height, width), styles, .. } = frame;
        let max_rows = max_rows(*height);
        let mut rows = Vec::new();
        let many = totals.total > 1;
        rows.extend(many.then(|| header(frame)));
        let mut before = mem::take(&mut self.jobs);
        let (mut shown, mut cut) = (0, false);
        for snapshot in snapshots {
            if rows.len() >= max_rows {
                break;
            }
            let steps = self.steps(&mut before, snapshot, max_rows, *styles);
            let mut more = wait_rows(snapshot, &steps, many, *styles);
            rows.extend(more.by_ref().take(max_rows - rows.len()));
            cut = more.next().is_some();
            shown += 1;
        }
        match running - shown {
            0 if cut => rows.push(styles.dim("… and more steps")),
            0 => {}
            1 => rows.push(styles.dim("… and 1 more job")),
            jobs => rows.push(styles.dim(&format!("… and {jobs} more jobs"))),
        }
        rows.iter().map(|row| truncate_str(row, *width, "…").into_owned()).collect()
    }

    /// Returns the rows of a job, or nothing if it was not read yet. `before` has the rows of the
    /// last drawing.
    fn steps(
        &mut self,
        before: &mut HashMap<JobId, JobRows>,
        WaitSnapshot { id, last, .. }: &WaitSnapshot,
        max_rows: usize,
        styles: Styles,
    ) -> Arc<[StepRow]> {
        let Some(last) = last else { return Arc::default() };
        // One more, because a row that is cut off is mentioned.
        let max = max_rows + 1;
        let known = before.remove(id).filter(|known| known.max == max && known.snapshot == *last);
        let rows = known.unwrap_or_else(|| {
            let job = last.clone().into_job();
            let shown = job.walk().filter(|node| node.path.depth() == 0 || is_shown(node.job));
            let steps = shown.take(max).map(|node| StepRow::new(&node, styles)).collect();
            JobRows { snapshot: last.clone(), max, steps }
        });
        let steps = rows.steps.clone();
        self.jobs.insert(id.clone(), rows);
        steps
    }

    /// Returns how many steps of a job are done, and how many it has, as last drawn.
    pub(crate) fn progress(&self, id: &JobId) -> Option<(usize, usize)> {
        self.jobs.get(id)?.steps.first()?.progress
    }
}

/// Returns the row above the jobs.
fn header(Frame { totals, counts, elapsed, styles, .. }: &Frame) -> String {
    let Totals { total, finished, failed } = *totals;
    let failed = match failed {
        0 => String::new(),
        failed => styles.error(&format!(", {failed} failed")),
    };
    let WaitCounts { not_read, initializing, running, ending, objects, other, unreadable } =
        *counts;
    let counts = [
        (initializing, Phase::Initializing.as_str()),
        (running, Phase::Running.as_str()),
        (ending, "ending"),
        (objects, "reading clusters or nodes"),
        (other, "in other phases"),
        (not_read, "not read yet"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<_> = counts.map(|(count, phase)| format!("{count} {phase}")).collect();
    let elapsed = styles.dim(&format_duration(*elapsed));
    let unreadable = match unreadable {
        0 => String::new(),
        jobs => styles.error(&format!("; {jobs} cannot be read")),
    };
    let counts = counts.join(", ");
    let row = format!("{finished} of {total} jobs ended{failed}  {elapsed}  {counts}{unreadable}");
    row.trim_end().into()
}

/// Returns the rows of one wait: the job, its running and failed steps, the last error, and the
/// time until the next attempt.
fn wait_rows<'a>(
    snapshot: &'a WaitSnapshot,
    steps: &'a [StepRow],
    many: bool,
    styles: Styles,
) -> impl Iterator<Item = String> + use<'a> {
    let id = text::sanitize_line(snapshot.id.as_str());
    let has_nothing = snapshot.last.is_none() && !was_any_read(&snapshot.objects);
    let unread = has_nothing.then(|| {
        format!("{id} {}  {}", styles.dim("not read yet"), format_duration(snapshot.elapsed))
    });
    let name = if many { format!("  {id}") } else { String::new() };
    let jobs = steps.iter().map(move |step| {
        let row = step_row(snapshot, step, styles);
        if step.depth == 0 { format!("{row}{name}") } else { row }
    });
    let errors = snapshot.error_run.as_ref().map(|ErrorRun { message, in_a_row, .. }| {
        let times = if *in_a_row > 1 { format!(" ({in_a_row} in a row)") } else { String::new() };
        format!("  {}", styles.warning(&text::sanitize_line(&format!("{message}{times}"))))
    });
    let next = snapshot.until_next_attempt.filter(|_| !many || snapshot.error_run.is_some());
    let next = next.map(|span| styles.dim(&format!("  next attempt in {}s", span.as_secs() + 1)));
    let objects = object_rows(snapshot, many, styles);
    unread.into_iter().chain(jobs).chain(objects).chain(errors).chain(next)
}

fn was_any_read(objects: &[ObjectStatus]) -> bool {
    objects.iter().any(|object| object.state.is_some())
}

/// Returns the rows of the clusters and nodes that are read after the job, or without one: how many
/// are done if there are several, and one row for each that is not.
fn object_rows<'a>(
    snapshot: &'a WaitSnapshot,
    many: bool,
    styles: Styles,
) -> impl Iterator<Item = String> + use<'a> {
    let WaitSnapshot { id, last, objects, until, elapsed, .. } = snapshot;
    let is_done = |object: &ObjectStatus| object.state == until.object_state();
    let done = objects.iter().filter(|object| is_done(object)).count();
    let indent = if last.is_some() { "  " } else { "" };
    let count = (objects.len() > 1).then(|| {
        let kind = objects.first().map_or("", |object| object.id.kind().as_str());
        format!("{indent}{kind}s {until}  {done}/{}", objects.len())
    });
    let is_alone = objects.len() == 1;
    let open = objects.iter().filter(move |object| {
        // Without a job, there is no other row.
        is_alone && (last.is_some() || object.state.is_some()) || !is_done(object) && !is_alone
    });
    let rows = open.map(move |object| {
        let kind = object.id.kind();
        let name = object.name.as_deref().unwrap_or_else(|| object.id.as_str());
        let phase = match object.state {
            None => styles.dim("not read yet"),
            Some(state) => {
                let phase = text::sanitize_line(object.phase_or_state());
                match state {
                    ObjectState::Broken => styles.error(&phase),
                    _ if is_done(object) => styles.success(&phase),
                    ObjectState::Ready | ObjectState::UnderWay | ObjectState::Gone => phase,
                }
            }
        };
        let mut row = format!("{indent}{kind} {} {phase}", text::sanitize_line(name));
        if last.is_none() {
            let id =
                if many { format!("  {}", text::sanitize_line(id.as_str())) } else { "".into() };
            row += &format!("  {}{id}", styles.dim(&format_duration(*elapsed)));
        }
        let reason = object.reason.as_ref().or(object.message.as_ref());
        let reason = reason.map(|reason| text::sanitize_line(&format!("{reason:?}")));
        reason.map_or_else(|| row.clone(), |reason| format!("{row}  {reason}"))
    });
    count.into_iter().chain(rows)
}

impl StepRow {
    fn new(entry: &TreeEntry<'_>, styles: Styles) -> Self {
        let job = entry.job;
        let label = text::sanitize_line(&job.label().escape_debug().to_string());
        let progress = (!job.sub_jobs().is_empty()).then(|| job.progress());
        Self {
            depth: entry.path.depth(),
            name: format!("{label} {}", styled_phase(job, styles)),
            progress: progress.map(|progress| (progress.success, progress.total)),
            time: match job.phase() {
                Some(phase) if phase.is_terminal() => StepTime::Took(job.duration()),
                _ => StepTime::Since(job.created_at()),
            },
            reason: job.reason().map(|reason| text::sanitize_line(&format!("{reason:?}"))),
        }
    }
}

/// Returns the row of a job or a sub-job.
fn step_row(snapshot: &WaitSnapshot, step: &StepRow, styles: Styles) -> String {
    let mut row = format!("{:1$}{2}", "", 2 * step.depth, step.name);
    if let Some((done, all)) = step.progress {
        row += &format!("  {done}/{all}");
    }
    let is_job = step.depth == 0;
    let took = match step.time {
        StepTime::Took(took) => took,
        // The job itself shows the time of the wait, if the service's time is not known.
        StepTime::Since(created_at) => {
            snapshot.age(created_at).or_else(|| is_job.then_some(snapshot.elapsed))
        }
    };
    if let Some(took) = took {
        row += &format!("  {}", styles.dim(&format_duration(took)));
    }
    if let Some(remaining) = snapshot.remaining.filter(|_| is_job) {
        row += &format!(", {}", format_remaining(remaining));
    }
    match &step.reason {
        Some(reason) => row + "  " + reason,
        None => row,
    }
}

/// Returns an estimate of the remaining time, rounded up coarsely.
pub(crate) fn format_remaining(remaining: Duration) -> String {
    let to = match remaining.as_secs() {
        0..60 => 10,
        60..600 => 60,
        _ => 300,
    };
    let rounded = Duration::from_secs(remaining.as_secs().div_ceil(to).max(1) * to);
    format!("about {} left", format_duration(rounded).replace(".0s", "s"))
}

/// Whether a step has a row: it is running, failed, or in an unknown phase. Steps that have not
/// started, and steps that are done, are only counted.
fn is_shown(job: &Job) -> bool {
    !matches!(job.phase(), Some(Phase::Initializing | Phase::Success))
}

fn styled_phase(job: &Job, styles: Styles) -> String {
    match job.phase() {
        Some(phase @ Phase::Failed) => styles.error(phase.as_str()),
        Some(phase @ Phase::Success) => styles.success(phase.as_str()),
        Some(phase @ (Phase::Initializing | Phase::Running)) => phase.as_str().into(),
        Some(phase @ Phase::Unknown(_)) => styles.warning(&text::sanitize_line(&phase.to_string())),
        None => styles.warning("no phase"),
    }
}

#[cfg(test)]
mod tests;
