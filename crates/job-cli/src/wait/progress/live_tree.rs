//! Progress as a tree that is drawn anew as it changes. What stands in it is `tree_rows`' to say.
//!
//! Drawn with console, not with indicatif: that fills its rows up to the terminal's edge, without line
//! breaks, so a terminal that breaks lines anew when it becomes narrower mixes them with what stands
//! above.

use std::{env, io, time::Duration};

use anstyle_progress::{TermProgress, TermProgressStatus::Error, supports_term_progress};
use console::{Term, measure_text_width};

use super::tree_rows::tree_rows;
use crate::{
    terminal::Styles,
    wait::{snapshot::WaitSnapshot, totals::Totals, watch::Watch},
};

/// The tree on the terminal. Dropped, it is gone without a trace.
pub(crate) struct LiveTree {
    term: Term,
    styles: Styles,
    /// The rows that are drawn. The cursor is below them.
    drawn: Vec<String>,
    /// Whether the terminal shows progress in its tab, and what it shows.
    tab_progress: Option<String>,
}

impl LiveTree {
    pub(crate) fn new() -> Self {
        Self {
            // Each picture is one write.
            term: Term::buffered_stderr(),
            styles: Styles::for_stream(&io::stderr()),
            drawn: Vec::new(),
            tab_progress: supports_term_progress(true).then(String::new),
        }
    }

    /// Draws how all waits are.
    pub(crate) fn draw<'a>(
        &mut self,
        watches: impl Iterator<Item = &'a Watch>,
        elapsed: Duration,
        totals: Totals,
    ) {
        let (height, width) = self.term.size();
        let size = (usize::from(height), usize::from(width));
        let snapshots: Vec<_> = watches.map(Watch::snapshot).collect();
        let rows = tree_rows(&snapshots, elapsed, totals, size, self.styles);
        self.update_tab_progress(&snapshots, totals);
        // Whoever closed the terminal sees nothing of it.
        let _ = self.redraw(rows);
    }

    /// Runs what writes to the terminal, with the tree out of its way.
    pub(crate) fn suspend<T>(&mut self, write: impl FnOnce() -> T) -> T {
        let rows = self.drawn.clone();
        let _ = self.redraw(Vec::new());
        let written = write();
        let _ = self.redraw(rows);
        written
    }

    /// Draws these rows in place of those that are drawn.
    fn redraw(&mut self, rows: Vec<String>) -> io::Result<()> {
        let width = usize::from(self.term.size().1).max(1);
        let height = |row: &String| match measure_text_width(row) {
            wide if reflows_on_resize() => wide.div_ceil(width).max(1),
            _ => 1,
        };
        let lines = self.drawn.iter().map(height).sum::<usize>();
        // Back to the first row, then line by line: tmux keeps a copy of a screen that is cleared whole.
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
        // And the line of the cursor, where Ctrl-C was echoed.
        self.term.clear_line()?;
        self.term.move_cursor_up(below)?;
        self.drawn = rows;
        self.term.flush()
    }

    /// Shows how many steps are done, where that is another share than before.
    fn update_tab_progress(&mut self, snapshots: &[WaitSnapshot<'_>], totals: Totals) {
        let Some(shown) = &mut self.tab_progress else { return };
        let progress = match percent_done(snapshots, totals) {
            Some(percent) => TermProgress::start().percent(percent),
            None => TermProgress::start(),
        };
        let progress = if totals.failed > 0 { progress.status(Error) } else { progress };
        let progress = progress.to_string();
        if *shown != progress {
            // Written with the rows.
            let _ = self.term.write_str(&progress);
            *shown = progress;
        }
    }
}

impl Drop for LiveTree {
    fn drop(&mut self) {
        if self.tab_progress.is_some() {
            let _ = self.term.write_str(&TermProgress::remove().to_string());
        }
        let _ = self.redraw(Vec::new());
    }
}

/// Returns how much is done: of one job's steps, or of many jobs. `None` where that says nothing yet.
fn percent_done(snapshots: &[WaitSnapshot<'_>], totals: Totals) -> Option<u8> {
    let (done, all) = match snapshots {
        [WaitSnapshot { job, .. }] if totals.total == 1 => {
            let progress = job.as_ref().filter(|job| !job.sub_jobs().is_empty())?.progress();
            (progress.success, progress.total)
        }
        _ => (totals.finished, totals.total),
    };
    u8::try_from((100 * done).checked_div(all)?).ok()
}

/// Whether the terminal, when it becomes narrower, breaks what is wider than it is: not xterm itself,
/// not GNU screen, not the console of Linux, which cut it.
fn reflows_on_resize() -> bool {
    let is_set = |name| env::var_os(name).is_some();
    let is_console = env::var_os("TERM").is_some_and(|term| term == "linux");
    !is_set("XTERM_VERSION") && !is_set("STY") && !is_console
}
