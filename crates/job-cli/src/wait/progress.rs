//! Progress on stderr: as a tree, as lines, or none.

mod live_tree;
mod log_lines;
mod tree_rows;

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use anyhow::anyhow;
use clap::ValueEnum;
use job_poller::Event;

use self::{live_tree::LiveTree, log_lines::LogLines};
use super::{format::OutputFormat, totals::Totals, watch::Watch};
use crate::{
    exit::{Exit, OrExit},
    logging::Verbosity,
};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// tree on a terminal, else plain; none with -q, and with -o jsonl, which tells it on stdout
    Auto,
    /// A tree of the steps under way, drawn anew as they go on
    Tree,
    /// A line for each change, and one each minute
    Plain,
    /// Nothing
    None,
}

/// Shows progress.
pub(crate) enum ProgressDisplay {
    None,
    LogLines(LogLines),
    LiveTree(Box<LiveTree>),
}

impl ProgressDisplay {
    /// Returns the display for this mode on this terminal.
    ///
    /// # Errors
    ///
    /// Where a tree is asked for and cannot be drawn: wrong usage.
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
                let error = anyhow!("-v writes lines of its own; use --progress plain");
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

    /// Returns the display for this mode, if the result is printed for people.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub(crate) fn for_human_output(
        mode: ProgressMode,
        verbosity: Verbosity,
    ) -> anyhow::Result<Self> {
        Self::new(mode, verbosity, OutputFormat::Human)
    }

    /// Shows an event of one of the waits.
    pub(crate) fn event(&mut self, watch: &Watch, at: Duration, event: &Event, totals: Totals) {
        if let Self::LogLines(lines) = self {
            lines.event(watch, at, event, totals);
        }
    }

    /// Shows the state of all waits: after each event, and each second.
    pub(crate) fn tick<'a>(
        &mut self,
        watches: impl Iterator<Item = &'a Watch>,
        elapsed: Duration,
        totals: Totals,
    ) {
        match self {
            Self::None => {}
            Self::LogLines(lines) => lines.tick(watches, elapsed, totals),
            Self::LiveTree(tree) => tree.draw(watches, elapsed, totals),
        }
    }

    /// Runs what writes to the terminal, without the tree in its way.
    pub(crate) fn suspend<T>(&mut self, write: impl FnOnce() -> T) -> T {
        match self {
            Self::None => write(),
            Self::LogLines(lines) => {
                lines.reset_heartbeat();
                write()
            }
            Self::LiveTree(tree) => tree.suspend(write),
        }
    }
}
