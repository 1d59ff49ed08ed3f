//! Renders timelines as a self-contained HTML page.

use askama::Template;

use crate::{
    axis::Axis,
    geometry::{BarGeometry, MAX_ROWS_WITH_ONE_AXIS, truncate},
    overview::{JobGroup, MAX_JOBS_OF_REASON, MAX_REASONS, Overview, Reason},
    sections::{Section, divide, folded_row, most_important},
    template::render,
    timeline::{PhaseKind, Timeline, TimelineRow},
};

/// Maximum number of steps that the page of one job shows.
const MAX_ROWS: usize = 2_000;

/// Maximum number of steps of a job, if there are several jobs.
const MAX_ROWS_OF_SEVERAL: usize = 200;

/// Maximum size of the overview and the details, in bytes. With the rest, a page has less than 3 MB.
const MAX_PAGE_BYTES: usize = 2_900_000;

/// Maximum size of the details of all jobs together, in bytes.
const MAX_DETAIL_BYTES: usize = 1 << 20;

/// The size of a line of the overview without its texts, in bytes, or a little more.
const LINE_BYTES: usize = 420;

/// Maximum number of characters of a name or a reason in the overview.
const MAX_OVERVIEW_CHARS: usize = 160;

/// Number of jobs above which these texts are shorter, and how long they are then.
const MAX_JOBS_WITH_LONG_TEXTS: usize = 1_000;
const MAX_CHARS_OF_MANY: usize = 48;

/// Minimum number of characters of a reason, if it is longer.
const MIN_WHY_CHARS: usize = 80;

/// How the ids of the rows begin on the page of one job.
const ID_PREFIX: &str = "r";

/// Renders one or several jobs as a self-contained HTML page.
///
/// The page has no script and loads no other resource. One job has at most 2,000 rows. The size of the
/// page of several jobs grows with their number, and is below 3 MB: the page states how many are left
/// out.
///
/// # Examples
///
/// ```
/// use job_report::{Timeline, html, job_model::Job};
///
/// let reply = br#"{"spec": {"type": "CreateCluster"}, "status": {"phase": "Running"}}"#;
/// let timeline = Timeline::new(&Job::from_slice(reply)?);
/// assert!(html(&[&timeline]).contains("<title>CreateCluster: Running</title>"));
/// # Ok::<(), job_report::job_model::DecodeError>(())
/// ```
pub fn html(timelines: &[&Timeline]) -> String {
    match timelines {
        [timeline] => render_job(timeline),
        _ => render_jobs(timelines),
    }
}

fn render_job(timeline: &Timeline) -> String {
    let detail = render(&Detail::new(timeline, timeline.axis, MAX_ROWS, ID_PREFIX.into()));
    let title = format!("{}: {}", timeline.title(), timeline.status);
    render(&Page { title, body: render(&JobPage { timeline, detail }) })
}

fn render_jobs(timelines: &[&Timeline]) -> String {
    let overview = Overview::new(timelines);
    let has_few = overview.jobs.len() <= MAX_JOBS_WITH_LONG_TEXTS;
    let max_chars = if has_few { MAX_OVERVIEW_CHARS } else { MAX_CHARS_OF_MANY };
    let lines = overview.jobs.iter().enumerate();
    let lines =
        lines.map(|(index, timeline)| JobLine::new(index, timeline, overview.axis, max_chars));
    let mut space = MAX_PAGE_BYTES;
    let jobs = lines.map_while(|line| {
        space = space.checked_sub(line.estimated_bytes())?;
        Some(line)
    });
    let mut jobs: Vec<_> = jobs.collect();
    let mut space = space.min(MAX_DETAIL_BYTES);
    let mut with_details = 0;
    for job in &mut jobs {
        let prefix = format!("{}r", job.id);
        let detail = Detail::new(job.timeline, overview.axis, MAX_ROWS_OF_SEVERAL, prefix);
        let detail = render(&detail);
        // After the first one that has no space, small ones could follow large ones at random.
        let Some(rest) = space.checked_sub(detail.len()) else { break };
        space = rest;
        job.detail = Some(detail);
        with_details += 1;
    }
    let body = JobsPage {
        reasons: overview.reasons(),
        more_jobs: overview.jobs.len() - jobs.len(),
        left_out: jobs.len() - with_details,
        overview: &overview,
        jobs,
    };
    render(&Page { title: overview.title(), body: render(&body) })
}

/// The page around one or several jobs.
#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    title: String,
    body: String,
}

/// One job.
#[derive(Template)]
#[template(path = "report/job.html")]
struct JobPage<'a> {
    timeline: &'a Timeline,
    detail: String,
}

/// Several jobs: their counts, the reasons of failures, and a line for each job.
#[derive(Template)]
#[template(path = "report/jobs.html")]
struct JobsPage<'a> {
    overview: &'a Overview<'a>,
    reasons: Vec<Reason<'a>>,
    jobs: Vec<JobLine<'a>>,
    /// The number of jobs without a line.
    more_jobs: usize,
    /// The number of jobs with a line, but without their steps.
    left_out: usize,
}

/// The line of a job in the overview.
struct JobLine<'a> {
    timeline: &'a Timeline,
    id: String,
    label: String,
    name: String,
    /// Why the job failed, or could not be read.
    why: Option<String>,
    /// The rendered details, if there is space.
    detail: Option<String>,
    bar: Option<BarGeometry>,
}

impl<'a> JobLine<'a> {
    fn new(index: usize, timeline: &'a Timeline, axis: Option<Axis>, max_chars: usize) -> Self {
        Self {
            timeline,
            id: format!("j{index}"),
            label: truncate(&timeline.label, max_chars),
            name: truncate(timeline.name.as_deref().unwrap_or_default(), max_chars),
            why: timeline.explanation().map(|why| truncate(&why, max_chars.max(MIN_WHY_CHARS))),
            detail: None,
            bar: BarGeometry::from_job(timeline, axis),
        }
    }

    /// Returns the size in bytes, or a little more.
    fn estimated_bytes(&self) -> usize {
        let texts = [&self.label, &self.name, &self.timeline.id];
        let texts = texts.into_iter().chain(&self.why);
        LINE_BYTES + texts.map(|text| escaped_len(text)).sum::<usize>()
    }
}

/// Returns the length of a text in bytes after it is escaped.
fn escaped_len(text: &str) -> usize {
    text.bytes().map(|byte| if b"<>&\"'".contains(&byte) { 5 } else { 1 }).sum()
}

/// What is known of a job: the failure, the times, the steps, and the attempts.
#[derive(Template)]
#[template(path = "report/detail.html")]
struct Detail<'a> {
    timeline: &'a Timeline,
    axis: Option<Axis>,
    sections: Vec<RowSection>,
    /// Whether the page has no other job.
    is_alone: bool,
    /// The id of the row of the step that made the job fail, if that row is shown.
    failing_id: Option<String>,
    /// The number of steps that are not shown.
    more_rows: usize,
}

/// Rows that are shown, or that are folded below a row that stands for them.
struct RowSection {
    folded: Option<Row>,
    rows: Vec<Row>,
}

/// A row with the geometry of its bar.
struct Row {
    row: TimelineRow,
    bar: Option<BarGeometry>,
    /// The id that a link to this row uses.
    id: Option<String>,
}

impl<'a> Detail<'a> {
    fn new(timeline: &'a Timeline, axis: Option<Axis>, max_rows: usize, id_prefix: String) -> Self {
        let is_alone = id_prefix == ID_PREFIX;
        let kept = most_important(&timeline.rows, max_rows);
        let failing = timeline.failing_row().filter(|index| kept.binary_search(index).is_ok());
        let failing_id = failing.map(|index| format!("{id_prefix}{index}"));
        let to_row = |row: TimelineRow, id| Row { bar: row.geometry(axis), row, id };
        let rows: Vec<_> = kept
            .iter()
            .filter_map(|index| Some((*index, timeline.rows.get(*index)?.clone())))
            .collect();
        let shown: Vec<_> = rows.iter().map(|(_, row)| row.clone()).collect();
        let of_range = |range: std::ops::Range<usize>| {
            let rows = rows.get(range).unwrap_or_default().iter();
            rows.map(|(index, row)| {
                let id = failing_id.clone().filter(|_| failing == Some(*index));
                to_row(row.clone(), id)
            })
            .collect::<Vec<_>>()
        };
        let sections = divide(&shown).into_iter().map(|section| match section {
            Section::Open(range) => RowSection { folded: None, rows: of_range(range) },
            Section::Folded(range) => {
                let folded = folded_row(shown.get(range.clone()).unwrap_or_default());
                RowSection { folded: Some(to_row(folded, None)), rows: of_range(range) }
            }
        });
        let sections = sections.collect();
        Self {
            timeline,
            axis,
            sections,
            failing_id,
            more_rows: timeline.rows.len() - kept.len(),
            is_alone,
        }
    }

    /// Returns the style with the lines at the marks. Several jobs have it from the overview.
    fn grid_style(&self) -> Option<String> {
        self.axis.filter(|_| self.is_alone).map(Axis::grid_style)
    }

    fn has_bottom_axis(&self) -> bool {
        self.timeline.rows.len() > MAX_ROWS_WITH_ONE_AXIS
    }
}

impl Axis {
    /// Returns the style of the lines at the marks: a gradient that is transparent between them.
    fn grid_style(self) -> String {
        let lines = self.ticks().into_iter().filter(|tick| tick.percent > 0.0).map(|tick| {
            let at = tick.percent;
            format!(",#0000 {at:.2}%,var(--line) {at:.2}% calc({at:.2}% + 1px),#0000 calc({at:.2}% + 1px)")
        });
        format!("--grid:linear-gradient(to right,#0000 0{})", lines.collect::<String>())
    }
}

/// Returns the type and the name of a job for a list.
fn short_title(timeline: &Timeline) -> String {
    truncate(&timeline.title(), MAX_OVERVIEW_CHARS)
}

#[cfg(test)]
mod tests {
    use job_model::Job;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_banner_links_only_to_a_row_that_is_shown() {
        let failed = json!({"phase": "Failed", "reason": "no quota"});
        let job = json!({"spec": {"subJobs": [{"status": failed}]}, "status": {"phase": "Failed"}});
        let job: Job = serde_json::from_value(job).unwrap();
        let timeline = Timeline::new(&job);
        for (max_rows, expected) in [(2, 1), (1, 0)] {
            let detail = render(&Detail::new(&timeline, None, max_rows, ID_PREFIX.into()));
            assert!(detail.contains("no quota"), "{detail}");
            for part in ["href=\"#r1\"", "id=\"r1\""] {
                assert_eq!(detail.matches(part).count(), expected, "{max_rows}: {part}");
            }
        }
    }
}
