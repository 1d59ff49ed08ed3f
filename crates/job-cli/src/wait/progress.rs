//! The progress display on stderr: a live tree, lines, or nothing.

mod short_names;
mod columns;
pub(super) mod tree_rows;
mod live_tree;
mod log_lines;

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use anyhow::anyhow;
use clap::ValueEnum;
use job_model::JobId;
use job_poller::Event;

use self::{live_tree::LiveTree, log_lines::LogLines};
use super::{board::Board, format::OutputFormat, totals::Totals, watch::Watch};
use crate::{
    exit::{Exit, OrExit},
    logging::Verbosity,
};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// Tree on a terminal, otherwise plain; none with -q, or with -o jsonl, which prints all events
    Auto,
    /// Live tree of the running steps
    Tree,
    /// One line for each change, and one each minute without a change
    Plain,
    /// No progress
    None,
}

/// A progress display.
pub(crate) enum ProgressDisplay {
    None,
    LogLines(LogLines),
    LiveTree(Box<LiveTree>),
}

impl ProgressDisplay {
    /// Returns the display for a mode. `Auto` depends on the terminal, the verbosity and the output
    /// format.
    ///
    /// # Errors
    ///
    /// Returns a usage error if a tree is requested, and stderr is not a terminal or `-v` is given.
    pub(crate) fn new(
        mode: ProgressMode,
        verbosity: Verbosity,
        format: OutputFormat,
    ) -> anyhow::Result<Self> {
        let terminal = io::stderr().is_terminal() && !console::is_dumb();
        let mode = match (mode, verbosity) {
            (ProgressMode::Auto, Verbosity::Quiet) => ProgressMode::None,
            (ProgressMode::Auto, _) if format == OutputFormat::Jsonl => ProgressMode::None,
            (ProgressMode::Auto, Verbosity::Normal) if terminal => ProgressMode::Tree,
            (ProgressMode::Auto, _) => ProgressMode::Plain,
            (ProgressMode::Tree, Verbosity::Verbose(_)) => {
                let error =
                    anyhow!("--progress tree cannot be combined with -v; use --progress plain");
                return Err(error).or_exit(Exit::Usage);
            }
            (mode, _) => mode,
        };
        match mode {
            ProgressMode::Tree if !terminal => {
                let error = anyhow!("--progress tree needs a terminal; use --progress plain");
                Err(error).or_exit(Exit::Usage)
            }
            ProgressMode::Tree => Ok(Self::LiveTree(Box::new(LiveTree::new()))),
            ProgressMode::Plain | ProgressMode::Auto => Ok(Self::LogLines(LogLines::new())),
            ProgressMode::None => Ok(Self::None),
        }
    }

    /// Returns the display for a mode, if the output format is `human`.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`new`](Self::new).
    pub(crate) fn for_human_output(
        mode: ProgressMode,
        verbosity: Verbosity,
    ) -> anyhow::Result<Self> {
        Self::new(mode, verbosity, OutputFormat::Human)
    }

    /// Shows an event of one of the waits.
    pub(crate) fn event(&mut self, watch: &Watch, at: Duration, event: &Event, totals: Totals) {
        match (self, event) {
            (Self::LogLines(lines), event) => lines.event(watch, at, event, totals),
            (Self::LiveTree(tree), Event::Deviations(deviations)) => {
                tree.print_deviations(watch, deviations, totals);
            }
            _ => {}
        }
    }

    /// Records that a wait has ended.
    pub(crate) fn end(&mut self, id: &JobId) {
        if let Self::LogLines(lines) = self {
            lines.end(id);
        }
    }

    /// Whether the display prints deviations.
    pub(crate) const fn shows_deviations(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Shows the state of all waits. Called after events, and at least each second.
    pub(crate) fn tick(&mut self, board: &Board, elapsed: Duration, totals: Totals) {
        match self {
            Self::None => {}
            Self::LogLines(lines) => lines.tick(board, elapsed, totals),
            Self::LiveTree(tree) => tree.draw(board, elapsed, totals),
        }
    }

    /// Records that something else was printed.
    pub(crate) fn reset_heartbeat(&mut self) {
        if let Self::LogLines(lines) = self {
            lines.reset_heartbeat();
        }
    }
}
