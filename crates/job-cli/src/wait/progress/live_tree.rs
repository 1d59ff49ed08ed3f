//! The live tree: redraws the rows of `tree_rows` as they change.
//!
//! It uses the crate console and not indicatif. indicatif pads its rows to the width of the
//! terminal and omits line breaks, so a terminal that reflows lines when it becomes narrower mixes
//! them with the text above.

use std::{
    env, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anstyle_progress::{TermProgress, TermProgressStatus::Error, supports_term_progress};
use console::{Term, measure_text_width};
use job_model::Deviation;
use job_transport::{Clock, TokioClock};
use tokio::task::spawn_blocking;

use super::{
    pace::Pace,
    tree_rows::{Frame, TreeRows, max_rows},
};
use crate::{
    terminal::{Styles, stderr, text},
    wait::{board::Board, snapshot::WaitSnapshot, totals::Totals, watch::Watch},
};

/// A tree on the terminal. Dropping it removes it from the screen.
///
/// Another thread makes and draws the rows, because the terminal may be slow, and the job in a
/// visible row may be large. If the terminal accepts nothing, for example after Ctrl-S, the waits
/// go on until a line is printed above the tree.
pub(crate) struct LiveTree {
    styles: Styles,
    shared: Arc<Shared>,
}

/// What the drawing thread uses.
struct Shared {
    clock: TokioClock,
    rows: Mutex<TreeRows>,
    screen: Mutex<Screen>,
    /// Never locked for long, so the thread of the waits may lock it.
    pace: Mutex<Pace>,
}

/// The part of the terminal that shows the tree.
struct Screen {
    term: Term,
    /// The rows on the screen. The cursor is below them.
    drawn: Vec<String>,
    /// The last progress sequence for the tab of the terminal; `None` if the terminal has no such
    /// feature.
    tab_progress: Option<String>,
    /// Whether the tree was removed for good.
    is_closed: bool,
}

impl LiveTree {
    pub(crate) fn new() -> Self {
        let screen = Screen {
            // Buffered, so that each redraw is a single write.
            term: Term::buffered_stderr(),
            drawn: Vec::new(),
            tab_progress: supports_term_progress(true).then(String::new),
            is_closed: false,
        };
        Self {
            styles: Styles::for_stream(&io::stderr()),
            shared: Arc::new(Shared {
                clock: TokioClock::new(),
                rows: Mutex::default(),
                screen: Mutex::new(screen),
                pace: Mutex::default(),
            }),
        }
    }

    /// Starts to draw the state of all waits, unless drawing takes too much time.
    pub(crate) fn draw(&mut self, board: &Board, elapsed: Duration, totals: Totals) {
        if !lock(&self.shared.pace).start(self.shared.clock.monotonic()) {
            return;
        }
        let began = processor_time();
        let (height, width) = Term::stderr().size();
        let size = (usize::from(height), usize::from(width));
        let frame = Frame {
            snapshots: board.first(max_rows(size.0)).map(Watch::snapshot).collect(),
            running: board.len(),
            counts: board.counts(),
            totals,
            elapsed,
            size,
            styles: self.styles,
        };
        let shared = self.shared.clone();
        let took = processor_time().saturating_sub(began);
        spawn_blocking(move || {
            let began = processor_time();
            shared.draw(&frame);
            let took = took + processor_time().saturating_sub(began);
            lock(&shared.pace).end(shared.clock.monotonic(), took);
        });
    }

    /// Prints deviations above the tree.
    pub(crate) fn print_deviations(
        &mut self,
        watch: &Watch,
        deviations: &[Deviation],
        totals: Totals,
    ) {
        let id = if totals.total > 1 { format!("{}  ", watch.id()) } else { String::new() };
        let lines = deviations.iter().map(|deviation| {
            let line = text::sanitize_line(&format!("{id}warning: {deviation}"));
            self.styles.warning(&line)
        });
        let lines: Vec<_> = lines.collect();
        self.suspend(|| lines.iter().for_each(|line| stderr::styled_line(line)));
    }

    /// Runs `write`, which prints to the terminal, with the tree removed from the screen.
    pub(crate) fn suspend<T>(&mut self, write: impl FnOnce() -> T) -> T {
        let mut screen = lock(&self.shared.screen);
        let began = processor_time();
        let rows = screen.drawn.clone();
        let _ = screen.redraw(Vec::new());
        let cleared = processor_time();
        let written = write();
        let again = processor_time();
        let now = self.shared.clock.monotonic();
        let mut pace = lock(&self.shared.pace);
        // If much is printed, the tree comes back with the next drawing.
        if pace.is_over(now) {
            let _ = screen.redraw(rows);
        }
        pace.add(now, (cleared.saturating_sub(began)) + processor_time().saturating_sub(again));
        written
    }
}

impl Drop for LiveTree {
    fn drop(&mut self) {
        let mut screen = lock(&self.shared.screen);
        if screen.tab_progress.is_some() {
            let _ = screen.term.write_str(&TermProgress::remove().to_string());
        }
        let _ = screen.redraw(Vec::new());
        screen.is_closed = true;
    }
}

impl Shared {
    fn draw(&self, frame: &Frame) {
        let mut tree_rows = lock(&self.rows);
        let rows = tree_rows.draw(frame);
        let percent = percent_done(frame, &tree_rows);
        let mut screen = lock(&self.screen);
        if !screen.is_closed {
            screen.update_tab_progress(percent, frame.totals);
            // Write errors are ignored: the terminal may be closed.
            let _ = screen.redraw(rows);
        }
    }
}

impl Screen {
    /// Replaces the rows on the screen.
    fn redraw(&mut self, rows: Vec<String>) -> io::Result<()> {
        let width = usize::from(self.term.size().1).max(1);
        let height = |row: &String| match measure_text_width(row) {
            wide if reflows_on_resize() => wide.div_ceil(width).max(1),
            _ => 1,
        };
        let lines = self.drawn.iter().map(height).sum::<usize>();
        // Move up to the first row, and clear line by line, because tmux copies a screen that is
        // cleared as a whole to its scrollback.
        self.term.move_cursor_up(lines)?;
        for row in &rows {
            self.term.clear_line()?;
            self.term.write_line(row)?;
        }
        let below = lines.saturating_sub(rows.len());
        for _ in 0..below {
            self.term.clear_line()?;
            self.term.move_cursor_down(1)?;
        }
        // Also clear the line of the cursor, because the terminal may have echoed Ctrl-C there.
        self.term.clear_line()?;
        self.term.move_cursor_up(below)?;
        self.drawn = rows;
        self.term.flush()
    }

    /// Updates the progress in the tab of the terminal, if it has changed.
    fn update_tab_progress(&mut self, percent: Option<u8>, totals: Totals) {
        let Some(shown) = &mut self.tab_progress else { return };
        let progress = match percent {
            Some(percent) => TermProgress::start().percent(percent),
            None => TermProgress::start(),
        };
        let progress = if totals.failed > 0 { progress.status(Error) } else { progress };
        let progress = progress.to_string();
        if *shown != progress {
            // Only buffered here. `redraw` flushes it together with the rows.
            let _ = self.term.write_str(&progress);
            *shown = progress;
        }
    }
}

/// Returns the percentage of finished steps of one job, or of finished jobs if there are several.
/// Returns `None` if the job has no steps yet.
fn percent_done(Frame { snapshots, totals, .. }: &Frame, rows: &TreeRows) -> Option<u8> {
    let (done, all) = match &snapshots[..] {
        [WaitSnapshot { id, .. }] if totals.total == 1 => rows.progress(id)?,
        _ => (totals.finished, totals.total),
    };
    u8::try_from((100 * done).checked_div(all)?).ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the processor time of this thread.
#[cfg(unix)]
fn processor_time() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

/// Returns the time on the clock.
#[cfg(not(unix))]
fn processor_time() -> Duration {
    TokioClock::new().monotonic()
}

/// Whether the terminal reflows wide lines when it becomes narrower. xterm itself, GNU screen and
/// the Linux console truncate them instead.
fn reflows_on_resize() -> bool {
    let is_set = |name| env::var_os(name).is_some();
    let is_console = env::var_os("TERM").is_some_and(|term| term == "linux");
    !is_set("XTERM_VERSION") && !is_set("STY") && !is_console
}
