//! Progress to stderr: which kind of it, if any. Draws and prints nothing itself.

mod live_tree;
mod log_lines;
mod tree_rows;

pub(crate) use tree_rows::Sight;

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use anyhow::anyhow;
use clap::ValueEnum;
use job_poller::Event;

use self::{live_tree::Tree, log_lines::Plain};
use super::{output::Form, watch::Watch};
use crate::{
    exit::{Exit, OrExit},
    logging::Verbosity,
};

/// How progress is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// tree on a terminal, else plain; none with -q, and with -o jsonl, which tells it on stdout
    Auto,
    /// A tree of the steps under way, drawn anew as they go on
    Tree,
    /// A line for each change, and one each minute
    Plain,
    /// Nothing
    None,
}

/// How far all waits are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) all: usize,
    pub(crate) ended: usize,
    /// Of those that ended, the jobs that did not succeed.
    pub(crate) bad: usize,
}

impl Tally {
    /// Counts a wait that is over, by its exit code; none where the command stopped it.
    pub(crate) fn add(&mut self, exit: Option<Exit>) {
        self.ended += 1;
        self.bad += usize::from(exit.is_some_and(|exit| exit != Exit::Done));
    }
}

/// Tells progress.
pub(crate) enum Progress {
    None,
    Plain(Plain),
    Tree(Box<Tree>),
}

impl Progress {
    /// Returns what this kind comes to here.
    ///
    /// # Errors
    ///
    /// Where a tree is asked for and cannot be drawn: wrong usage.
    pub(crate) fn new(kind: Kind, verbosity: Verbosity, form: Form) -> anyhow::Result<Self> {
        let terminal = io::stderr().is_terminal() && !console::is_dumb();
        let kind = match (kind, verbosity) {
            (Kind::Auto, Verbosity::Quiet) => Kind::None,
            (Kind::Auto, _) if form == Form::Jsonl => Kind::None,
            (Kind::Auto, Verbosity::Normal) if terminal => Kind::Tree,
            (Kind::Auto, _) => Kind::Plain,
            (Kind::Tree, Verbosity::Verbose(_)) => {
                let error = anyhow!("-v writes lines of its own; use --progress plain");
                return Err(error).or_exit(Exit::Usage);
            }
            (kind, _) => kind,
        };
        match kind {
            Kind::Tree if !terminal => {
                let error = anyhow!("--progress tree needs a terminal; use --progress plain");
                Err(error).or_exit(Exit::Usage)
            }
            Kind::Tree => Ok(Self::Tree(Box::new(Tree::new()))),
            Kind::Plain | Kind::Auto => Ok(Self::Plain(Plain::new())),
            Kind::None => Ok(Self::None),
        }
    }

    /// Returns what this kind comes to here, where people are told the result.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub(crate) fn for_people(kind: Kind, verbosity: Verbosity) -> anyhow::Result<Self> {
        Self::new(kind, verbosity, Form::Human)
    }

    /// Tells what happened to one of the waits.
    pub(crate) fn event(&mut self, watch: &Watch, at: Duration, event: &Event, tally: Tally) {
        if let Self::Plain(plain) = self {
            plain.event(watch, at, event, tally);
        }
    }

    /// Tells how all waits are: after each event, and each second.
    pub(crate) fn look<'a>(
        &mut self,
        watches: impl Iterator<Item = &'a Watch>,
        elapsed: Duration,
        tally: Tally,
    ) {
        match self {
            Self::None => {}
            Self::Plain(plain) => plain.look(watches, elapsed, tally),
            Self::Tree(tree) => tree.look(watches, elapsed, tally),
        }
    }

    /// Runs what writes to the terminal, without the tree in its way.
    pub(crate) fn aside<T>(&mut self, write: impl FnOnce() -> T) -> T {
        match self {
            Self::None => write(),
            Self::Plain(plain) => {
                plain.said();
                write()
            }
            Self::Tree(tree) => tree.aside(write),
        }
    }
}
