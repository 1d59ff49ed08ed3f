//! What stands in the tree: a row for each job and each step under way or failed, as far as the terminal
//! reaches. Knows no terminal but its size.

use std::time::Duration;

use console::truncate_str;
use jiff::Timestamp;
use job_model::{Job, JobId, Node, Phase};

use super::Tally;
use crate::{
    terminal::{Paint, text, told},
    wait::watch::FaultRun,
};

/// What is known of a wait at a moment.
pub(crate) struct Sight<'a> {
    pub(crate) id: &'a JobId,
    pub(crate) job: Option<Box<Job>>,
    pub(crate) elapsed: Duration,
    /// How long such jobs take on average from here on, where enough of them were seen.
    pub(crate) remaining: Option<Duration>,
    /// The service's time, where it was told.
    pub(crate) service_time: Option<Timestamp>,
    pub(crate) faults: Option<&'a FaultRun>,
    /// How long it is until the next attempt; `None` while one is under way.
    pub(crate) until_next: Option<Duration>,
}

impl Sight<'_> {
    /// Returns how long a job goes on, by the service's own times.
    pub(crate) fn age(&self, job: &Job) -> Option<Duration> {
        let created = job.metadata.as_ref()?.creation_timestamp.as_ref()?.instant()?;
        self.service_time?.duration_since(created).try_into().ok()
    }

    /// Whether the job cannot be read at present, or a step of it failed.
    fn is_bad(&self) -> bool {
        self.faults.is_some() || self.job.as_ref().is_some_and(|job| job.failure().is_some())
    }
}

/// Returns the rows, none wider than the terminal, and fewer than it has.
pub(crate) fn rows(
    sights: &[Sight<'_>],
    elapsed: Duration,
    tally: Tally,
    (height, width): (usize, usize),
    paint: Paint,
) -> Vec<String> {
    // The terminal's last row stays free, and one is for what does not fit.
    let most = height.saturating_sub(2).max(1);
    let mut rows = Vec::new();
    if tally.all > 1 {
        let Tally { all, ended, bad } = tally;
        let bad = if bad > 0 { paint.bad(&format!(", {bad} badly")) } else { String::new() };
        rows.push(format!("{ended} of {all} jobs ended{bad}  {}", paint.faint(&told(elapsed))));
    }
    let mut sights: Vec<_> = sights.iter().collect();
    if sights.len() > most {
        // Where not all fit, those first that somebody should see.
        sights.sort_by_key(|sight| !sight.is_bad());
    }
    let mut left = sights.into_iter();
    let mut cut = false;
    while rows.len() < most
        && let Some(sight) = left.next()
    {
        let mut more = of_wait(sight, tally.all > 1, paint);
        rows.extend(more.by_ref().take(most - rows.len()));
        cut = more.next().is_some();
    }
    match left.len() {
        0 if cut => rows.push(paint.faint("… and more steps")),
        0 => {}
        1 => rows.push(paint.faint("… and 1 more job")),
        jobs => rows.push(paint.faint(&format!("… and {jobs} more jobs"))),
    }
    rows.iter().map(|row| truncate_str(row, width, "…").into_owned()).collect()
}

/// Returns the rows of one wait: the job, its steps under way or failed, and what is wrong or next.
fn of_wait<'a>(
    sight: &'a Sight<'_>,
    many: bool,
    paint: Paint,
) -> impl Iterator<Item = String> + use<'a> {
    let name = if many { format!("  {}", text::line(sight.id.as_str())) } else { String::new() };
    let unread = || {
        let id = text::line(sight.id.as_str());
        format!("{id} {}  {}", paint.faint("not read yet"), told(sight.elapsed))
    };
    let first = if sight.job.is_none() { Some(unread()) } else { None };
    let nodes = sight.job.iter().flat_map(|job| job.walk());
    let shown = nodes.filter(|node| node.path.depth() == 0 || is_shown(node.job));
    let jobs = shown.map(move |node| {
        let at_top = node.path.depth() == 0;
        let row = of_job(sight, &node, paint);
        if at_top { format!("{row}{name}") } else { row }
    });
    let faults = sight.faults.map(|FaultRun { message, in_a_row, .. }| {
        let times = if *in_a_row > 1 { format!(" ({in_a_row} in a row)") } else { String::new() };
        format!("  {}", paint.odd(&text::line(&format!("{message}{times}"))))
    });
    let next = sight.until_next.filter(|_| !many || sight.faults.is_some());
    let next = next.map(|span| paint.faint(&format!("  next attempt in {}s", span.as_secs() + 1)));
    first.into_iter().chain(jobs).chain(faults).chain(next)
}

/// Returns the row of a job or a sub-job.
fn of_job(sight: &Sight<'_>, node: &Node<'_>, paint: Paint) -> String {
    let job = node.job;
    let label = text::line(&job.label().escape_debug().to_string());
    let mut row = format!("{:1$}{label} {2}", "", 2 * node.path.depth(), phase(job, paint));
    if !job.sub_jobs().is_empty() {
        let progress = job.progress();
        row += &format!("  {}/{}", progress.success, progress.total);
    }
    let took = match job.phase() {
        Some(phase) if phase.is_terminal() => job.running_time(),
        // The job's own is how long it is waited for, if the service does not tell.
        _ => sight.age(job).or_else(|| (node.path.depth() == 0).then_some(sight.elapsed)),
    };
    if let Some(took) = took {
        row += &format!("  {}", paint.faint(&told(took)));
    }
    if let Some(remaining) = sight.remaining.filter(|_| node.path.depth() == 0) {
        row += &format!(", {}", left(remaining));
    }
    match job.reason() {
        Some(reason) => row + "  " + &text::line(&format!("{reason:?}")),
        None => row,
    }
}

/// Tells how long it takes, as people round it who do not know.
pub(crate) fn left(remaining: Duration) -> String {
    let to = match remaining.as_secs() {
        0..60 => 10,
        60..600 => 60,
        _ => 300,
    };
    let rounded = Duration::from_secs(remaining.as_secs().div_ceil(to).max(1) * to);
    format!("about {} left", told(rounded).replace(".0s", "s"))
}

/// Whether a step is under way or failed, as far as is known: those that wait for their turn, and those
/// that are done, are numbers.
fn is_shown(job: &Job) -> bool {
    !matches!(job.phase(), Some(Phase::Initializing | Phase::Success))
}

fn phase(job: &Job, paint: Paint) -> String {
    match job.phase() {
        Some(phase @ Phase::Failed) => paint.bad(phase.as_str()),
        Some(phase @ Phase::Success) => paint.good(phase.as_str()),
        Some(phase @ (Phase::Initializing | Phase::Running)) => phase.as_str().into(),
        Some(phase @ Phase::Unknown(_)) => paint.odd(&text::line(&phase.to_string())),
        None => paint.odd("no phase"),
    }
}

#[cfg(test)]
mod tests;
