//! The rows of the live tree: one for each job, and for each step that is running or failed, at most
//! as many as the terminal has.

use std::{borrow::Cow, collections::HashMap, mem, sync::Arc, time::Duration};

use jiff::Timestamp;
use job_model::{Job, JobId, Phase, TreeEntry, object::ObjectState};
use job_poller::machine::ObjectStatus;
use job_transport::JobSnapshot;

use super::columns::{Cells, PhaseStyle, Row, align};
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
    label: String,
    name: Option<String>,
    phase: String,
    phase_style: PhaseStyle,
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
        rows.extend(many.then(|| Row::Line(header(frame))));
        let mut before = mem::take(&mut self.jobs);
        let (mut shown, mut cut) = (0, false);
        for snapshot in snapshots {
            if rows.len() >= max_rows {
                break;
            }
            let steps = self.steps(&mut before, snapshot, max_rows);
            let mut more = wait_rows(snapshot, &steps, many, *styles);
            rows.extend(more.by_ref().take(max_rows - rows.len()));
            cut = more.next().is_some();
            shown += 1;
        }
        match running - shown {
            0 if cut => rows.push(Row::Line(styles.dim("… and more steps"))),
            0 => {}
            1 => rows.push(Row::Line(styles.dim("… and 1 more job"))),
            jobs => rows.push(Row::Line(styles.dim(&format!("… and {jobs} more jobs")))),
        }
        align(&rows, *width, *styles)
    }

    /// Returns the rows of a job, or nothing if it was not read yet. `before` has the rows of the
    /// last drawing.
    fn steps(
        &mut self,
        before: &mut HashMap<JobId, JobRows>,
        WaitSnapshot { id, last, .. }: &WaitSnapshot,
        max_rows: usize,
    ) -> Arc<[StepRow]> {
        let Some(last) = last else { return Arc::default() };
        // One more, because a row that is cut off is mentioned.
        let max = max_rows + 1;
        let known = before.remove(id).filter(|known| known.max == max && known.snapshot == *last);
        let rows = known.unwrap_or_else(|| {
            let job = last.clone().into_job();
            let shown = job.walk().filter(|node| node.path.depth() == 0 || is_shown(node.job));
            let steps = shown.take(max).map(|node| StepRow::new(&node)).collect();
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
    let elapsed = styles.dim(&format_duration(*elapsed));
    let unreadable = match counts.unreadable {
        0 => String::new(),
        jobs => styles.error(&format!("; {jobs} cannot be read")),
    };
    let phases = counts.phases();
    let row = format!("{finished} of {total} jobs ended{failed}  {elapsed}  {phases}{unreadable}");
    row.trim_end().into()
}

/// Returns the rows of one wait: the job, its running and failed steps, the last error, and the
/// time until the next attempt.
fn wait_rows<'a>(
    snapshot: &'a WaitSnapshot,
    steps: &'a [StepRow],
    many: bool,
    styles: Styles,
) -> impl Iterator<Item = Row> + use<'a> {
    let has_nothing = snapshot.last.is_none() && !was_any_read(&snapshot.objects);
    let unread = has_nothing.then(|| Cells {
        title: "job".into(),
        name: text::sanitize_line(snapshot.id.as_str()),
        phase: "not read yet".into(),
        phase_style: PhaseStyle::Dim,
        time: format_duration(snapshot.elapsed),
        ..Cells::default()
    });
    let jobs = steps.iter().map(move |step| step_cells(snapshot, step, many));
    let errors = snapshot.error_run.as_ref().map(|ErrorRun { message, in_a_row, .. }| {
        let times = if *in_a_row > 1 { format!(" ({in_a_row} in a row)") } else { String::new() };
        format!("  {}", styles.warning(&text::sanitize_line(&format!("{message}{times}"))))
    });
    let next = snapshot.until_next_attempt.filter(|_| !many || snapshot.error_run.is_some());
    let next = next.map(|span| {
        let whole = Duration::from_secs(span.as_secs() + 1);
        styles.dim(&format!("  next attempt in {}", format_duration(whole)))
    });
    let cells = unread.into_iter().chain(jobs).map(|cells| Row::Cells(Box::new(cells)));
    cells.chain(object_rows(snapshot, many)).chain(errors.into_iter().chain(next).map(Row::Line))
}

fn was_any_read(objects: &[ObjectStatus]) -> bool {
    objects.iter().any(|object| object.state.is_some())
}

/// Returns the rows of the clusters and nodes that are read after the job, or without one: how many
/// are done if there are several, and one row for each that is not.
fn object_rows(snapshot: &WaitSnapshot, many: bool) -> impl Iterator<Item = Row> + use<'_> {
    let WaitSnapshot { id, last, objects, until, elapsed, .. } = snapshot;
    let is_done = |object: &ObjectStatus| object.state == until.object_state();
    let done = objects.iter().filter(|object| is_done(object)).count();
    let indent = if last.is_some() { "  " } else { "" };
    let count = (objects.len() > 1).then(|| {
        let kind = objects.first().map_or("", |object| object.id.kind().as_str());
        Row::Line(format!("{indent}{kind}s {until}  {done}/{}", objects.len()))
    });
    let is_alone = objects.len() == 1;
    let open = objects.iter().filter(move |object| {
        // Without a job, there is no other row.
        is_alone && (last.is_some() || object.state.is_some()) || !is_done(object) && !is_alone
    });
    let rows = open.map(move |object| {
        let name = object.name.as_deref().unwrap_or_else(|| object.id.as_str());
        let (phase, phase_style) = match object.state {
            None => ("not read yet".into(), PhaseStyle::Dim),
            Some(state) => {
                let style = match state {
                    ObjectState::Broken => PhaseStyle::Error,
                    _ if is_done(object) => PhaseStyle::Success,
                    ObjectState::Ready | ObjectState::UnderWay | ObjectState::Gone => {
                        PhaseStyle::Plain
                    }
                };
                (text::sanitize_line(object.phase_or_state()), style)
            }
        };
        let has_no_job = last.is_none();
        let wait_id = (many && has_no_job).then(|| text::sanitize_line(id.as_str()));
        let reason = object.reason.as_ref().or(object.message.as_ref());
        let reason = reason.map(|reason| text::sanitize_line(&format!("{reason:?}")));
        let rest: Vec<_> = wait_id.into_iter().chain(reason).collect();
        Row::Cells(Box::new(Cells {
            title: format!("{indent}{}", object.id.kind()),
            name: text::sanitize_line(name),
            phase,
            phase_style,
            time: if has_no_job { format_duration(*elapsed) } else { String::new() },
            rest: rest.join("  "),
            ..Cells::default()
        }))
    });
    count.into_iter().chain(rows)
}

impl StepRow {
    fn new(entry: &TreeEntry<'_>) -> Self {
        let (job, depth) = (entry.job, entry.path.depth());
        let name = match depth {
            0 => job.resource_name().map(Cow::Borrowed),
            // A step without a type has its uid as the label, of which the name is the beginning.
            _ => job.display_name().filter(|name| !job.label().starts_with(&**name)),
        };
        let progress = (!job.sub_jobs().is_empty()).then(|| job.progress());
        let (phase, phase_style) = phase_cell(job);
        Self {
            depth,
            label: text::sanitize_line(job.label()),
            name: name.map(|name| text::sanitize_line(&name)),
            phase,
            phase_style,
            progress: progress.map(|progress| (progress.success, progress.total)),
            time: match job.phase() {
                Some(phase) if phase.is_terminal() => StepTime::Took(job.duration()),
                _ => StepTime::Since(job.created_at()),
            },
            reason: job.reason().map(|reason| text::sanitize_line(&format!("{reason:?}"))),
        }
    }
}

/// Returns the row of a job or a step.
fn step_cells(snapshot: &WaitSnapshot, step: &StepRow, many: bool) -> Cells {
    let is_job = step.depth == 0;
    let took = match step.time {
        StepTime::Took(took) => took,
        // The job itself shows the time of the wait, if the service's time is not known.
        StepTime::Since(created_at) => {
            snapshot.age(created_at).or_else(|| is_job.then_some(snapshot.elapsed))
        }
    };
    let id = is_job.then(|| text::sanitize_line(snapshot.id.as_str()));
    // The name of several jobs may be the same, so the id follows.
    let (name, id) = match (&step.name, id) {
        (Some(name), id) => (name.clone(), id.filter(|_| many)),
        (None, Some(id)) if many => (id, None),
        (None, Some(id)) => (id.chars().take(SHORT_ID_CHARS).collect(), None),
        (None, None) => (String::new(), None),
    };
    let remaining = snapshot.remaining.filter(|_| is_job).map(format_remaining);
    let rest: Vec<_> = [remaining, id, step.reason.clone()].into_iter().flatten().collect();
    Cells {
        title: format!("{:1$}{2}", "", 2 * step.depth, step.label),
        name,
        phase: step.phase.clone(),
        phase_style: step.phase_style,
        progress: step.progress.map_or_else(String::new, |(done, all)| {
            // The service lists a step only when it starts, so the number grows.
            let so_far = if matches!(step.time, StepTime::Since(_)) { " so far" } else { "" };
            format!("{done} of {all}{so_far}")
        }),
        time: took.map_or_else(String::new, format_duration),
        rest: rest.join("  "),
    }
}

/// The number of characters that are shown of the id of a single job.
const SHORT_ID_CHARS: usize = 8;

/// Returns an estimate of the remaining time, rounded up coarsely.
pub(crate) fn format_remaining(remaining: Duration) -> String {
    let to = match remaining.as_secs() {
        0..60 => 10,
        60..600 => 60,
        _ => 300,
    };
    let rounded = Duration::from_secs(remaining.as_secs().div_ceil(to).max(1) * to);
    format!("about {} left", format_duration(rounded))
}

/// Whether a step has a row: it is running, failed, or in an unknown phase. Steps that have not
/// started, and steps that are done, are only counted.
fn is_shown(job: &Job) -> bool {
    !matches!(job.phase(), Some(Phase::Initializing | Phase::Success))
}

/// Returns the phase of a job, and how it is shown.
fn phase_cell(job: &Job) -> (String, PhaseStyle) {
    match job.phase() {
        Some(phase @ Phase::Failed) => (phase.as_str().into(), PhaseStyle::Error),
        Some(phase @ Phase::Success) => (phase.as_str().into(), PhaseStyle::Success),
        Some(phase @ (Phase::Initializing | Phase::Running)) => {
            (phase.as_str().into(), PhaseStyle::Plain)
        }
        Some(phase @ Phase::Unknown(_)) => {
            (text::sanitize_line(&phase.to_string()), PhaseStyle::Warning)
        }
        None => ("no phase".into(), PhaseStyle::Warning),
    }
}

#[cfg(test)]
mod tests;
