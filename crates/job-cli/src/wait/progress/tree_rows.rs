//! The rows of the live tree: one for each job, and for each step that is running or failed,
//! limited to the size of the terminal.

use std::time::Duration;

use console::truncate_str;
use job_model::{Job, Node, Phase};

use crate::{
    terminal::{Styles, format_duration, text},
    wait::{error_run::ErrorRun, snapshot::WaitSnapshot, totals::Totals},
};

/// Returns the rows. There are fewer rows than the terminal has, and none is wider than the
/// terminal.
pub(crate) fn tree_rows(
    snapshots: &[WaitSnapshot<'_>],
    elapsed: Duration,
    totals: Totals,
    (height, width): (usize, usize),
    styles: Styles,
) -> Vec<String> {
    // The last row of the terminal stays free, and one row is reserved for the number of omitted
    // jobs.
    let max_rows = height.saturating_sub(2).max(1);
    let mut rows = Vec::new();
    if totals.total > 1 {
        let Totals { total, finished, failed } = totals;
        let failed =
            if failed > 0 { styles.error(&format!(", {failed} failed")) } else { String::new() };
        rows.push(format!(
            "{finished} of {total} jobs ended{failed}  {}",
            styles.dim(&format_duration(elapsed))
        ));
    }
    let mut snapshots: Vec<_> = snapshots.iter().collect();
    if snapshots.len() > max_rows {
        // If not all jobs fit, show those with problems first.
        snapshots.sort_by_key(|snapshot| !snapshot.needs_attention());
    }
    let mut remaining = snapshots.into_iter();
    let mut cut = false;
    while rows.len() < max_rows
        && let Some(snapshot) = remaining.next()
    {
        let mut more = wait_rows(snapshot, totals.total > 1, styles);
        rows.extend(more.by_ref().take(max_rows - rows.len()));
        cut = more.next().is_some();
    }
    match remaining.len() {
        0 if cut => rows.push(styles.dim("… and more steps")),
        0 => {}
        1 => rows.push(styles.dim("… and 1 more job")),
        jobs => rows.push(styles.dim(&format!("… and {jobs} more jobs"))),
    }
    rows.iter().map(|row| truncate_str(row, width, "…").into_owned()).collect()
}

/// Returns the rows of one wait: the job, its running and failed steps, the last error, and the
/// time until the next attempt.
fn wait_rows<'a>(
    snapshot: &'a WaitSnapshot<'_>,
    many: bool,
    styles: Styles,
) -> impl Iterator<Item = String> + use<'a> {
    let name = if many {
        format!("  {}", text::sanitize_line(snapshot.id.as_str()))
    } else {
        String::new()
    };
    let unread = || {
        let id = text::sanitize_line(snapshot.id.as_str());
        format!("{id} {}  {}", styles.dim("not read yet"), format_duration(snapshot.elapsed))
    };
    let job = snapshot.job();
    let first = if job.is_none() { Some(unread()) } else { None };
    let nodes = job.into_iter().flat_map(Job::walk);
    let shown = nodes.filter(|node| node.path.depth() == 0 || is_shown(node.job));
    let jobs = shown.map(move |node| {
        let at_top = node.path.depth() == 0;
        let row = job_row(snapshot, &node, styles);
        if at_top { format!("{row}{name}") } else { row }
    });
    let errors = snapshot.error_run.map(|ErrorRun { message, in_a_row, .. }| {
        let times = if *in_a_row > 1 { format!(" ({in_a_row} in a row)") } else { String::new() };
        format!("  {}", styles.warning(&text::sanitize_line(&format!("{message}{times}"))))
    });
    let next = snapshot.until_next_attempt.filter(|_| !many || snapshot.error_run.is_some());
    let next = next.map(|span| styles.dim(&format!("  next attempt in {}s", span.as_secs() + 1)));
    first.into_iter().chain(jobs).chain(errors).chain(next)
}

/// Returns the row of a job or a sub-job.
fn job_row(snapshot: &WaitSnapshot<'_>, node: &Node<'_>, styles: Styles) -> String {
    let job = node.job;
    let label = text::sanitize_line(&job.label().escape_debug().to_string());
    let mut row = format!("{:1$}{label} {2}", "", 2 * node.path.depth(), styled_phase(job, styles));
    if !job.sub_jobs().is_empty() {
        let progress = job.progress();
        row += &format!("  {}/{}", progress.success, progress.total);
    }
    let took = match job.phase() {
        Some(phase) if phase.is_terminal() => job.duration(),
        // The job itself shows the time of the wait, if the service's time is not known.
        _ => snapshot
            .age(job.created_at())
            .or_else(|| (node.path.depth() == 0).then_some(snapshot.elapsed)),
    };
    if let Some(took) = took {
        row += &format!("  {}", styles.dim(&format_duration(took)));
    }
    if let Some(remaining) = snapshot.remaining.filter(|_| node.path.depth() == 0) {
        row += &format!(", {}", format_remaining(remaining));
    }
    match job.reason() {
        Some(reason) => row + "  " + &text::sanitize_line(&format!("{reason:?}")),
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
