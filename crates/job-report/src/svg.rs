//! Renders timelines as an SVG image. Texts are measured, so that they do not overlap.

use askama::Template;

use crate::{
    axis::Axis,
    geometry::{BarGeometry, MAX_ROWS_WITH_ONE_AXIS},
    overview::Overview,
    sections::folded_rows,
    template::render,
    text_width::Font,
    timeline::{Timeline, TimelineRow},
};

/// The width of the image, in pixels.
const WIDTH: f64 = 960.0;
const MARGIN: f64 = 16.0;

/// The columns of a row: the start of the name, its end, and the ends of the phase and the duration.
const NAME_X: f64 = MARGIN;
const NAME_END: f64 = 316.0;
const PHASE_X: f64 = 324.0;
const PHASE_END: f64 = 436.0;
const DURATION_X: f64 = 440.0;
const DURATION_END: f64 = 508.0;

/// The lanes of the bars.
const LANE_X: f64 = 520.0;
const LANE_WIDTH: f64 = WIDTH - MARGIN - LANE_X;

const ROW_HEIGHT: usize = 24;
const REASON_HEIGHT: usize = 18;
const AXIS_HEIGHT: usize = 20;

/// How far a step is to the right of its parent, and the maximum for all levels together.
const INDENT: f64 = 14.0;
const MAX_INDENT: f64 = 112.0;

const HEADING: Font = Font::bold(16.0);
const NAME: Font = Font::regular(13.0);
const SMALL: Font = Font::regular(12.0);

/// Maximum number of rows of a job, and of all jobs together.
const MAX_ROWS: usize = 500;

/// Renders one or several jobs as an SVG image that is 960 pixels wide.
///
/// The image follows the color scheme of the viewer. At most 500 rows are drawn; the image states
/// how many are left out.
///
/// # Examples
///
/// ```
/// use job_report::{Timeline, job_model::Job, svg};
///
/// let reply = br#"{"spec": {"type": "CreateCluster"}, "status": {"phase": "Running"}}"#;
/// let timeline = Timeline::new(&Job::from_slice(reply)?);
/// assert!(svg(&[&timeline]).contains("CreateCluster: Running"));
/// # Ok::<(), job_report::job_model::DecodeError>(())
/// ```
pub fn svg(timelines: &[&Timeline]) -> String {
    let mut image = Svg::default();
    match timelines {
        [timeline] => image.job(timeline, timeline.axis, MAX_ROWS),
        _ => image.jobs(&Overview::new(timelines)),
    }
    image.height += 16;
    render(&image)
}

/// An image. Its parts have their positions.
#[derive(Default, Template)]
#[template(path = "report.svg")]
struct Svg {
    height: usize,
    rects: Vec<Rect>,
    lines: Vec<Line>,
    texts: Vec<Text>,
}

struct Rect {
    class: &'static str,
    x: f64,
    y: usize,
    width: f64,
    is_open: bool,
    title: Option<String>,
}

/// A vertical line.
struct Line {
    class: &'static str,
    x: f64,
    top: usize,
    bottom: usize,
}

/// A text that fits into its column.
struct Text {
    class: &'static str,
    font: Font,
    x: f64,
    y: usize,
    is_right_aligned: bool,
    shown: String,
    /// A name after the text, in another color.
    name: Option<String>,
    /// The whole text, if it was shortened.
    title: Option<String>,
}

impl Text {
    /// Creates a text that is at most `width` wide. A longer one is shortened.
    fn new(text: &str, (x, y): (f64, usize), width: f64, font: Font, class: &'static str) -> Self {
        let shown = font.fit_start(text, width);
        let title = (shown != text).then(|| text.to_owned());
        Self { class, font, x, y, is_right_aligned: false, shown, name: None, title }
    }

    fn right_aligned(self) -> Self {
        Self { is_right_aligned: true, ..self }
    }

    fn is_bold(&self) -> bool {
        self.font.weight_factor > 1.0
    }
}

impl Svg {
    /// Adds a job: its heading, its steps and its attempts.
    fn job(&mut self, timeline: &Timeline, axis: Option<Axis>, max_rows: usize) {
        self.heading(
            &format!("{}: {}", timeline.title(), timeline.status),
            timeline.kind.css_class(),
        );
        self.faint_line(&timeline.id);
        for line in timeline.why_lines() {
            self.text_line(line, timeline.kind.css_class());
        }
        let top = self.height;
        self.ticks(axis);
        let (rows, left_out) = folded_rows(&timeline.rows, max_rows);
        rows.iter().for_each(|row| self.row(row, axis));
        if left_out > 0 {
            self.faint_line(&format!("{left_out} more steps are left out"));
        }
        self.attempts(timeline, axis);
        self.grid(axis, top + AXIS_HEIGHT, self.height);
        if rows.len() > MAX_ROWS_WITH_ONE_AXIS {
            self.ticks(axis);
        }
        self.height += 8;
    }

    /// Adds several jobs: a row for each, then steps while there is space.
    fn jobs(&mut self, overview: &Overview<'_>) {
        let axis = overview.axis;
        let class = overview.counts().first().map_or("text", |(group, _)| group.kind().css_class());
        self.heading(&overview.title(), class);
        let top = self.height;
        self.ticks(axis);
        for timeline in overview.jobs.iter().take(MAX_ROWS) {
            self.job_row(timeline, axis);
        }
        self.grid(axis, top + AXIS_HEIGHT, self.height);
        let left_out = overview.jobs.len().saturating_sub(MAX_ROWS);
        if left_out > 0 {
            self.faint_line(&format!("{left_out} more jobs are left out"));
        }
        let mut rest = MAX_ROWS;
        let with_steps = overview.jobs.iter().filter(|timeline| timeline.rows.len() > 1);
        for timeline in with_steps {
            let rows = timeline.rows.len().min(100);
            let Some(after) = rest.checked_sub(rows) else { break };
            rest = after;
            self.height += 16;
            self.job(timeline, axis, rows);
        }
    }

    fn heading(&mut self, text: &str, class: &'static str) {
        let position = (MARGIN, self.height + 26);
        self.texts.push(Text::new(text, position, WIDTH - 2.0 * MARGIN, HEADING, class));
        self.height += 34;
    }

    fn faint_line(&mut self, text: &str) {
        self.text_line(text, "faint");
    }

    /// Adds a text that is as wide as the image.
    fn text_line(&mut self, text: &str, class: &'static str) {
        let position = (MARGIN, self.height + 14);
        self.texts.push(Text::new(text, position, WIDTH - 2.0 * MARGIN, NAME, class));
        self.height += 22;
    }

    /// Adds the row of a job in the overview.
    fn job_row(&mut self, timeline: &Timeline, axis: Option<Axis>) {
        let class = timeline.group().kind().css_class();
        let row =
            (&*timeline.label, timeline.name.as_deref(), &*timeline.status, timeline.duration());
        self.cells(row, class, 0.0, false);
        let why = timeline.explanation();
        self.bar(BarGeometry::from_job(timeline, axis), class, why.as_deref());
        self.height += ROW_HEIGHT;
        self.reason(why.as_deref(), class, 0.0);
    }

    /// Adds the row of a step.
    fn row(&mut self, row: &TimelineRow, axis: Option<Axis>) {
        let class = row.kind.css_class();
        let depth = f64::from(u32::try_from(row.depth).unwrap_or(u32::MAX));
        let indent = (INDENT * depth).min(MAX_INDENT);
        let cells = (&*row.label, row.name.as_deref(), &*row.phase, row.duration.as_deref());
        self.cells(cells, class, indent, row.is_marked());
        self.bar(row.geometry(axis), class, row.reason.as_deref());
        self.height += ROW_HEIGHT;
        self.reason(row.reason.as_deref(), class, indent);
    }

    /// Adds the texts of a row: label and name, phase, and duration.
    fn cells(
        &mut self,
        (label, name, phase, duration): (&str, Option<&str>, &str, Option<&str>),
        class: &'static str,
        indent: f64,
        is_failing: bool,
    ) {
        let y = self.height + 16;
        let mut x = NAME_X + indent;
        if is_failing {
            let mark = Text::new("✗", (x, y), NAME.width("✗"), NAME, "failed");
            x += NAME.width("✗");
            self.texts.push(mark);
        }
        let width = NAME_END - x;
        let mut text = Text::new(label, (x, y), width, NAME, "text");
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            // The name has at least half of the space, and all that the label does not need.
            let needed = NAME.width(name).min(width / 2.0);
            let shown = NAME.fit_start(label, width - needed - NAME.width(" "));
            let rest = width - NAME.width(&shown) - NAME.width(" ");
            let shown_name = NAME.fit_end(name, rest);
            let is_whole = shown == label && shown_name == name;
            text.title = (!is_whole).then(|| format!("{label} {name}"));
            (text.shown, text.name) = (shown, Some(shown_name));
        }
        self.texts.push(text);
        if !phase.is_empty() {
            let phase = Text::new(phase, (PHASE_X, y), PHASE_END - PHASE_X, SMALL, class);
            self.texts.push(phase);
        }
        if let Some(duration) = duration {
            let width = DURATION_END - DURATION_X;
            let duration = Text::new(duration, (DURATION_END, y), width, SMALL, "faint");
            self.texts.push(duration.right_aligned());
        }
    }

    /// Adds the bar of the current row, or a text if its times are unknown.
    fn bar(&mut self, bar: Option<BarGeometry>, class: &'static str, title: Option<&str>) {
        let y = self.height + 5;
        let Some(bar) = bar else {
            let position = (LANE_X, self.height + 16);
            self.texts.push(Text::new("no timestamps", position, LANE_WIDTH, SMALL, "faint"));
            return;
        };
        let lane =
            Rect { class: "lane", x: LANE_X, y, width: LANE_WIDTH, is_open: false, title: None };
        let (x, width) = (LANE_X + LANE_WIDTH * bar.x / 100.0, LANE_WIDTH * bar.width / 100.0);
        let title = title.map(String::from);
        self.rects.extend([lane, Rect { class, x, y, width, is_open: bar.is_open, title }]);
    }

    /// Adds a reason below its row.
    fn reason(&mut self, reason: Option<&str>, class: &'static str, indent: f64) {
        let Some(reason) = reason else { return };
        let (x, y) = (NAME_X + indent, self.height + 10);
        self.texts.push(Text::new(reason, (x, y), WIDTH - MARGIN - x, SMALL, class));
        self.height += REASON_HEIGHT;
    }

    /// Adds a row with the attempts.
    fn attempts(&mut self, timeline: &Timeline, axis: Option<Axis>) {
        if !timeline.has_attempt_marks() {
            return;
        }
        let count = timeline.attempts.len().to_string();
        self.cells(("Attempts", None, "", Some(&count)), "text", 0.0, false);
        let lane_y = self.height + 5;
        let (x, width) = (LANE_X, LANE_WIDTH);
        self.rects.push(Rect { class: "lane", x, y: lane_y, width, is_open: false, title: None });
        for mark in timeline.attempt_marks(axis) {
            let class = if mark.is_error { "error" } else { "attempt" };
            let x = LANE_X + LANE_WIDTH * mark.x / 100.0;
            self.lines.push(Line { class, x, top: lane_y + 1, bottom: lane_y + 13 });
        }
        self.height += ROW_HEIGHT;
    }

    /// Adds the labels of the axis. One that does not fit is left out.
    fn ticks(&mut self, axis: Option<Axis>) {
        let mut free_from = LANE_X;
        for tick in axis.iter().flat_map(|axis| axis.ticks()) {
            let x = LANE_X + LANE_WIDTH * tick.percent / 100.0;
            let end = x + SMALL.width(&tick.label);
            if x >= free_from && end <= WIDTH {
                free_from = end + 4.0;
                let position = (x, self.height + 14);
                self.texts.push(Text::new(&tick.label, position, WIDTH - x, SMALL, "faint"));
            }
        }
        self.height += AXIS_HEIGHT;
    }

    fn grid(&mut self, axis: Option<Axis>, top: usize, bottom: usize) {
        let lines = axis.iter().flat_map(|axis| axis.ticks()).map(|tick| Line {
            class: "grid",
            x: LANE_X + LANE_WIDTH * tick.percent / 100.0,
            top,
            bottom,
        });
        // Below the marks of attempts.
        let lines: Vec<_> = lines.collect();
        self.lines.splice(0..0, lines);
    }
}

#[cfg(test)]
mod tests;
