//! Progress to stderr: which kind of it, if any. Draws and prints nothing itself.

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

/// How progress is told.
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

/// Tells progress.
pub(crate) enum ProgressDisplay {
    None,
    LogLines(LogLines),
    LiveTree(Box<LiveTree>),
}

impl ProgressDisplay {
    /// Returns what this kind comes to here.
    ///
    /// # Errors
    ///
    /// Where a tree is asked for and cannot be drawn: wrong usage.
    pub(crate) fn new(
        kind: ProgressMode,
        verbosity: Verbosity,
        format: OutputFormat,
    ) -> anyhow::Result<Self> {
        let terminal = io::stderr().is_terminal() && !console::is_dumb();
        let kind = match (kind, verbosity) {
            (ProgressMode::Auto, Verbosity::Quiet) => ProgressMode::None,
            (ProgressMode::Auto, _) if format == OutputFormat::Jsonl => ProgressMode::None,
            (ProgressMode::Auto, Verbosity::Normal) if terminal => ProgressMode::Tree,
            (ProgressMode::Auto, _) => ProgressMode::Plain,
            (ProgressMode::Tree, Verbosity::Verbose(_)) => {
                let error = anyhow!("-v writes lines of its own; use --progress plain");
                return Err(error).or_exit(Exit::Usage);
            }
            (kind, _) => kind,
        };
        match kind {
            ProgressMode::Tree if !terminal => {
                let error = anyhow!("--progress tree needs a terminal; use --progress plain");
                Err(error).or_exit(Exit::Usage)
            }
            ProgressMode::Tree => Ok(Self::LiveTree(Box::new(LiveTree::new()))),
            ProgressMode::Plain | ProgressMode::Auto => Ok(Self::LogLines(LogLines::new())),
            ProgressMode::None => Ok(Self::None),
        }
    }

    /// Returns what this kind comes to here, where people are told the result.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub(crate) fn for_human_output(
        kind: ProgressMode,
        verbosity: Verbosity,
    ) -> anyhow::Result<Self> {
        Self::new(kind, verbosity, OutputFormat::Human)
    }

    /// Tells what happened to one of the waits.
    pub(crate) fn event(&mut self, watch: &Watch, at: Duration, event: &Event, totals: Totals) {
        if let Self::LogLines(plain) = self {
            plain.event(watch, at, event, totals);
        }
    }

    /// Tells how all waits are: after each event, and each second.
    pub(crate) fn tick<'a>(
        &mut self,
        watches: impl Iterator<Item = &'a Watch>,
        elapsed: Duration,
        totals: Totals,
    ) {
        match self {
            Self::None => {}
            Self::LogLines(plain) => plain.tick(watches, elapsed, totals),
            Self::LiveTree(tree) => tree.draw(watches, elapsed, totals),
        }
    }

    /// Runs what writes to the terminal, without the tree in its way.
    pub(crate) fn suspend<T>(&mut self, write: impl FnOnce() -> T) -> T {
        match self {
            Self::None => write(),
            Self::LogLines(plain) => {
                plain.reset_heartbeat();
                write()
            }
            Self::LiveTree(tree) => tree.suspend(write),
        }
    }
}
