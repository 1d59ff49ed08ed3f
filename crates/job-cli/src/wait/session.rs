//! The loop over all waits: what happens goes to whoever tells it, until all have ended, or enough of
//! them. Decides nothing about a job.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use futures_util::{
    StreamExt,
    stream::{FuturesUnordered, StreamFuture},
};
use job_poller::{Checkpoint, Event, WaitError, WaitErrorKind};
use job_transport::{Clock, TokioClock};
use tokio::sync::watch;

use super::{
    checkpoints::CheckpointFile,
    output::{Form, Output},
    progress::{Progress, Tally},
    summary::Row,
    watch::{Finished, Watch},
};
use crate::{exit::Exit, report, tell};

/// How often progress is looked at and checkpoints are written, where nothing happens and where much
/// does.
const CALM: Duration = Duration::from_secs(1);
const BUSY: Duration = Duration::from_millis(100);

/// When the command is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// When all jobs have ended.
    All,
    /// When the first has.
    Any,
    /// When all have, or one did not succeed.
    AllOrFailure,
}

/// What is told, to whom, and until when. How it is closed is `close`'s.
pub(crate) struct Session {
    pub(crate) until: Until,
    pub(crate) output: Output,
    pub(crate) progress: Progress,
    pub(crate) checkpoints: Option<CheckpointFile>,
    pub(crate) report: Option<report::Collected>,
    pub(crate) summary: Option<Vec<Row>>,
    /// Stops the waits that go on.
    pub(crate) stop: watch::Sender<bool>,
}

/// How it went.
#[derive(Debug, Default)]
pub(crate) struct Over {
    /// The worst exit code of the jobs' own, or that of the signal that stopped them.
    pub(crate) exit: Option<Exit>,
    pub(crate) signal: Option<Exit>,
    /// What to go on from, of the jobs that had not ended.
    pub(crate) unended: Vec<Checkpoint>,
    /// How long the longest wait took that passed its deadline.
    pub(crate) late: Option<Duration>,
    /// Whether no other job matters any more.
    is_enough: bool,
}

impl Over {
    /// Takes how a job ended, or why it was waited for no longer.
    fn add(&mut self, exit: Exit, until: Until) {
        let ended = matches!(exit, Exit::Done | Exit::JobFailed);
        match until {
            _ if self.is_enough && until == Until::Any => {}
            Until::Any if ended => (self.exit, self.is_enough) = (Some(exit), true),
            Until::Any | Until::All | Until::AllOrFailure => {
                self.exit = Some(self.exit.map_or(exit, |worst| worst.worse(exit)));
                self.is_enough |= until == Until::AllOrFailure && exit != Exit::Done;
            }
        }
    }
}

/// The waits under way.
type Waits = FuturesUnordered<StreamFuture<Watch>>;

impl Session {
    /// Follows the waits to their ends. What cannot be written to a file is told, and ends nothing.
    pub(crate) async fn run(
        mut self,
        watches: Vec<Watch>,
        stopped: impl Future<Output = Exit>,
    ) -> (Self, Over) {
        let clock = TokioClock::new();
        let began = clock.elapsed();
        let mut tally = Tally { all: watches.len(), ..Tally::default() };
        let places = watches.iter().enumerate().map(|(place, watch)| (watch.id().clone(), place));
        let places: BTreeMap<_, _> = places.collect();
        let mut waits: Waits = watches.into_iter().map(StreamExt::into_future).collect();
        let mut over = Over::default();
        let mut stopped = pin!(stopped);
        // When to look next, when that was last done, and when checkpoints were last written.
        let (mut due, mut looked, mut kept) = (began, began, began);
        let mut changed = false;
        loop {
            tokio::select! {
                biased;
                exit = &mut stopped, if over.signal.is_none() => {
                    over.signal = Some(exit);
                    self.stop.send_replace(true);
                }
                () = clock.sleep(due.saturating_sub(clock.elapsed())) => {
                    looked = clock.elapsed();
                    due = looked + CALM;
                    self.progress.look(under_way(&waits), looked.saturating_sub(began), tally);
                    if changed && looked.saturating_sub(kept) >= CALM {
                        (kept, changed) = (looked, false);
                        self.keep(&waits, &over.unended);
                    }
                }
                next = waits.next() => {
                    match next {
                        Some((Some((at, event)), watch)) => {
                            self.event(&watch, at, &event, tally);
                            waits.push(watch.into_future());
                        }
                        Some((None, watch)) => {
                            let finished = watch.finish().await;
                            tally.add(finished.exit());
                            self.finished(&finished, &mut over);
                        }
                        None => break,
                    }
                    changed = true;
                    due = due.min(looked + BUSY);
                }
            }
        }
        // Whatever was drawn is gone.
        self.progress = Progress::None;
        if over.is_enough && self.until == Until::Any {
            over.unended.clear();
        }
        self.keep(&waits, &over.unended);
        // In the order in which they were named.
        over.unended.sort_by_key(|one| places.get(one.job_id()));
        self.summary.iter_mut().for_each(|rows| rows.sort_by_key(|row| places.get(&row.id)));
        (self, over)
    }

    fn event(&mut self, watch: &Watch, at: Duration, event: &Event, tally: Tally) {
        self.progress.event(watch, at, event, tally);
        if self.output.form() == Form::Jsonl {
            self.progress.aside(|| self.output.event(watch.id(), at, event));
            self.stop_where_nobody_reads();
        }
    }

    /// Tells how a wait ended, and stops the others where that is enough.
    fn finished(&mut self, finished: &Finished, over: &mut Over) {
        let (exit, error) = (finished.exit(), finished.result.as_ref().err());
        self.progress.aside(|| {
            self.output.finished(finished);
            // Where the command stopped it, that is told once for all.
            if let (Some(error), Some(_)) = (error, exit) {
                let told = format!("{}: {:#}", finished.id, anyhow::Error::from(error.clone()));
                tell::line(&told);
            }
        });
        self.stop_where_nobody_reads();
        if let Some(exit) = exit {
            over.add(exit, self.until);
        }
        if over.is_enough {
            self.stop.send_replace(true);
        }
        let late = error.filter(|error| error.kind() == WaitErrorKind::DeadlineExceeded);
        over.late = over.late.max(late.map(WaitError::elapsed));
        over.unended.extend(error.map(|error| error.checkpoint().clone()));
        self.summary.iter_mut().for_each(|rows| rows.push(Row::of(finished)));
        self.report.iter_mut().for_each(|report| report.add(finished));
    }

    fn stop_where_nobody_reads(&self) {
        if self.output.closed().is_some() {
            self.stop.send_replace(true);
        }
    }

    /// Keeps the checkpoints of the waits under way, and of those that stopped before.
    fn keep(&mut self, waits: &Waits, unended: &[Checkpoint]) {
        let Some(file) = &mut self.checkpoints else { return };
        let under_way = under_way(waits).map(Watch::checkpoint);
        let all: Vec<_> = under_way.chain(unended.iter().cloned()).collect();
        if let Some(news) = file.keep(&all) {
            self.progress.aside(|| tell::line(&news));
        }
    }
}

fn under_way(waits: &Waits) -> impl Iterator<Item = &Watch> {
    waits.iter().filter_map(StreamFuture::get_ref)
}
