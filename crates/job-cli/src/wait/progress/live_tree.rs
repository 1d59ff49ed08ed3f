//! Progress as a tree that is drawn anew as it changes. What stands in it is `rows`' to say.
//!
//! Drawn with console, not with indicatif: that fills its rows up to the terminal's edge, without line
//! breaks, so a terminal that breaks lines anew when it becomes narrower mixes them with what stands
//! above.

use std::{env, io, time::Duration};

use anstyle_progress::{TermProgress, TermProgressStatus::Error, supports_term_progress};
use console::{Term, measure_text_width};

use super::{
    Tally,
    tree_rows::{Sight, rows},
};
use crate::{terminal::Paint, wait::watch::Watch};

/// The tree on the terminal. Dropped, it is gone without a trace.
pub(crate) struct Tree {
    term: Term,
    paint: Paint,
    /// The rows that are drawn. The cursor is below them.
    drawn: Vec<String>,
    /// Whether the terminal shows progress in its tab, and what it shows.
    tab: Option<String>,
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self {
            // Each picture is one write.
            term: Term::buffered_stderr(),
            paint: Paint::of(&io::stderr()),
            drawn: Vec::new(),
            tab: supports_term_progress(true).then(String::new),
        }
    }

    /// Draws how all waits are.
    pub(crate) fn look<'a>(
        &mut self,
        watches: impl Iterator<Item = &'a Watch>,
        elapsed: Duration,
        tally: Tally,
    ) {
        let (height, width) = self.term.size();
        let size = (usize::from(height), usize::from(width));
        let sights: Vec<_> = watches.map(Watch::sight).collect();
        let rows = rows(&sights, elapsed, tally, size, self.paint);
        self.show_in_tab(&sights, tally);
        // Whoever closed the terminal sees nothing of it.
        let _ = self.redraw(rows);
    }

    /// Runs what writes to the terminal, with the tree out of its way.
    pub(crate) fn aside<T>(&mut self, write: impl FnOnce() -> T) -> T {
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
            wide if breaks_anew() => wide.div_ceil(width).max(1),
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
    fn show_in_tab(&mut self, sights: &[Sight<'_>], tally: Tally) {
        let Some(shown) = &mut self.tab else { return };
        let progress = match percent(sights, tally) {
            Some(percent) => TermProgress::start().percent(percent),
            None => TermProgress::start(),
        };
        let progress = if tally.bad > 0 { progress.status(Error) } else { progress };
        let progress = progress.to_string();
        if *shown != progress {
            // Written with the rows.
            let _ = self.term.write_str(&progress);
            *shown = progress;
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if self.tab.is_some() {
            let _ = self.term.write_str(&TermProgress::remove().to_string());
        }
        let _ = self.redraw(Vec::new());
    }
}

/// Returns how much is done: of one job's steps, or of many jobs. `None` where that says nothing yet.
fn percent(sights: &[Sight<'_>], tally: Tally) -> Option<u8> {
    let (done, all) = match sights {
        [Sight { job, .. }] if tally.all == 1 => {
            let progress = job.as_ref().filter(|job| !job.sub_jobs().is_empty())?.progress();
            (progress.success, progress.total)
        }
        _ => (tally.ended, tally.all),
    };
    u8::try_from((100 * done).checked_div(all)?).ok()
}

/// Whether the terminal, when it becomes narrower, breaks what is wider than it is: not xterm itself,
/// not GNU screen, not the console of Linux, which cut it.
fn breaks_anew() -> bool {
    let is_set = |name| env::var_os(name).is_some();
    let is_console = env::var_os("TERM").is_some_and(|term| term == "linux");
    !is_set("XTERM_VERSION") && !is_set("STY") && !is_console
}
