//! The live tree: redraws the rows of `tree_rows` as they change.
//!
//! It uses the crate console and not indicatif. indicatif pads its rows to the width of the
//! terminal and omits line breaks, so a terminal that reflows lines when it becomes narrower mixes
//! them with the text above.

use std::{env, io, time::Duration};

use anstyle_progress::{TermProgress, TermProgressStatus::Error, supports_term_progress};
use console::{Term, measure_text_width};
use job_model::Deviation;

use super::tree_rows::tree_rows;
use crate::{
    terminal::{Styles, stderr, text},
    wait::{snapshot::WaitSnapshot, totals::Totals, watch::Watch},
};

/// A tree on the terminal. Dropping it removes it from the screen.
pub(crate) struct LiveTree {
    term: Term,
    styles: Styles,
    /// The rows on the screen. The cursor is below them.
    drawn: Vec<String>,
    /// The last progress sequence for the tab of the terminal; `None` if the terminal has no such
    /// feature.
    tab_progress: Option<String>,
}

impl LiveTree {
    pub(crate) fn new() -> Self {
        Self {
            // Buffered, so that each redraw is a single write.
            term: Term::buffered_stderr(),
            styles: Styles::for_stream(&io::stderr()),
            drawn: Vec::new(),
            tab_progress: supports_term_progress(true).then(String::new),
        }
    }

    /// Draws the state of all waits.
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
        // Write errors are ignored: the terminal may be closed.
        let _ = self.redraw(rows);
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
        let rows = self.drawn.clone();
        let _ = self.redraw(Vec::new());
        let written = write();
        let _ = self.redraw(rows);
        written
    }

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
    fn update_tab_progress(&mut self, snapshots: &[WaitSnapshot<'_>], totals: Totals) {
        let Some(shown) = &mut self.tab_progress else { return };
        let progress = match percent_done(snapshots, totals) {
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

impl Drop for LiveTree {
    fn drop(&mut self) {
        if self.tab_progress.is_some() {
            let _ = self.term.write_str(&TermProgress::remove().to_string());
        }
        let _ = self.redraw(Vec::new());
    }
}

/// Returns the percentage of finished steps of one job, or of finished jobs if there are several.
/// Returns `None` if the job has no steps yet.
fn percent_done(snapshots: &[WaitSnapshot<'_>], totals: Totals) -> Option<u8> {
    let (done, all) = match snapshots {
        [snapshot] if totals.total == 1 => {
            let progress = snapshot.job().filter(|job| !job.sub_jobs().is_empty())?.progress();
            (progress.success, progress.total)
        }
        _ => (totals.finished, totals.total),
    };
    u8::try_from((100 * done).checked_div(all)?).ok()
}

/// Whether the terminal reflows wide lines when it becomes narrower. xterm itself, GNU screen and
/// the Linux console truncate them instead.
fn reflows_on_resize() -> bool {
    let is_set = |name| env::var_os(name).is_some();
    let is_console = env::var_os("TERM").is_some_and(|term| term == "linux");
    !is_set("XTERM_VERSION") && !is_set("STY") && !is_console
}
