//! The live tree: draws the rows of `tree_rows` as they change.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use console::Term;
use job_model::Deviation;

use super::tree_rows::{Frame, TreeRows, max_rows};
use crate::{
    terminal::{Styles, printer, stderr, text},
    wait::{board::Board, snapshot::WaitSnapshot, totals::Totals, watch::Watch},
};

/// A tree on the terminal. Dropping it removes it from the screen.
///
/// The thread of the printer makes and draws the rows, because the terminal may be slow, and the job
/// in a visible row may be large.
pub(crate) struct LiveTree {
    styles: Styles,
    /// Locked only by that thread.
    rows: Arc<Mutex<TreeRows>>,
}

impl LiveTree {
    pub(crate) fn new() -> Self {
        Self { styles: Styles::for_stream(&io::stderr()), rows: Arc::default() }
    }

    /// Starts to draw the state of all waits, unless drawing takes too much time.
    pub(crate) fn draw(&mut self, board: &Board, elapsed: Duration, totals: Totals) {
        let Some(drawing) = printer::start_drawing() else { return };
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
        let tree_rows = self.rows.clone();
        drawing.finish(move || {
            let mut tree_rows = tree_rows.lock().unwrap_or_else(PoisonError::into_inner);
            let rows = tree_rows.draw(&frame);
            let percent = percent_done(&frame, &tree_rows);
            printer::Drawing { rows, percent, has_failure: frame.totals.failed > 0 }
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
        for deviation in deviations {
            let line = text::sanitize_line(&format!("{id}warning: {deviation}"));
            stderr::progress_line(&self.styles.warning(&line));
        }
    }
}

impl Drop for LiveTree {
    fn drop(&mut self) {
        printer::remove_tree();
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
