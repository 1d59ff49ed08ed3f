//! The part of the terminal below the printed lines, which shows the live tree.
//!
//! It uses the crate console and not indicatif. indicatif pads its rows to the width of the
//! terminal and omits line breaks, so a terminal that reflows lines when it becomes narrower mixes
//! them with the text above.

use std::{env, io};

use anstyle_progress::{TermProgress, TermProgressStatus::Error, supports_term_progress};
use console::{Term, measure_text_width};

/// What to draw.
pub(crate) struct Drawing {
    pub(crate) rows: Vec<String>,
    /// The progress in the tab of the terminal, in percent; `None` if it is not known.
    pub(crate) percent: Option<u8>,
    /// Whether the tab shows a failure.
    pub(crate) has_failure: bool,
}

/// The part of the terminal that shows the tree. Write errors are ignored: the terminal may be
/// closed.
pub(super) struct Screen {
    term: Term,
    /// The rows on the screen. The cursor is below them.
    drawn: Vec<String>,
    /// The rows that were removed from the screen while something is printed.
    hidden: Vec<String>,
    /// The last progress sequence for the tab of the terminal; `None` if the terminal has no such
    /// feature.
    tab_progress: Option<String>,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self {
            // Buffered, so that each redraw is a single write.
            term: Term::buffered_stderr(),
            drawn: Vec::new(),
            hidden: Vec::new(),
            tab_progress: supports_term_progress(true).then(String::new),
        }
    }

    /// Replaces the rows on the screen.
    pub(super) fn draw(&mut self, drawing: Drawing) {
        self.hidden.clear();
        self.update_tab_progress(&drawing);
        let _ = self.redraw(drawing.rows);
    }

    /// Removes the rows from the screen until [`restore`](Self::restore) is called.
    pub(super) fn hide(&mut self) {
        if !self.drawn.is_empty() {
            self.hidden = self.drawn.clone();
            let _ = self.redraw(Vec::new());
        }
    }

    pub(super) const fn is_hidden(&self) -> bool {
        !self.hidden.is_empty()
    }

    /// Draws the hidden rows again.
    pub(super) fn restore(&mut self) {
        let rows = std::mem::take(&mut self.hidden);
        let _ = self.redraw(rows);
    }

    pub(super) fn forget_hidden(&mut self) {
        self.hidden.clear();
    }

    /// Removes everything from the screen and from the tab.
    pub(super) fn remove(&mut self) {
        if self.tab_progress.is_some() {
            let _ = self.term.write_str(&TermProgress::remove().to_string());
        }
        let _ = self.redraw(Vec::new());
    }

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
    fn update_tab_progress(&mut self, drawing: &Drawing) {
        let Some(shown) = &mut self.tab_progress else { return };
        let progress = match drawing.percent {
            Some(percent) => TermProgress::start().percent(percent),
            None => TermProgress::start(),
        };
        let progress = if drawing.has_failure { progress.status(Error) } else { progress };
        let progress = progress.to_string();
        if *shown != progress {
            // Only buffered here. `redraw` flushes it together with the rows.
            let _ = self.term.write_str(&progress);
            *shown = progress;
        }
    }
}

/// Whether the terminal reflows wide lines when it becomes narrower. xterm itself, GNU screen and
/// the Linux console truncate them instead.
fn reflows_on_resize() -> bool {
    let is_set = |name| env::var_os(name).is_some();
    let is_console = env::var_os("TERM").is_some_and(|term| term == "linux");
    !is_set("XTERM_VERSION") && !is_set("STY") && !is_console
}
