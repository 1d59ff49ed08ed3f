//! The loop over all waits: what happens goes to whoever tells it, until all have ended, or enough of
//! them. Decides nothing about a job.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use futures_util::{
    StreamExt,
    stream::{FuturesUnordered, StreamFuture},
};
use job_poller::{Checkpoint, Event, FaultKind, Fleet, WaitError};
use job_transport::{Clock, TokioClock, TransportErrorKind};

use super::{
    checkpoint_file::CheckpointFile,
    history_file::Learnt,
    output::{Form, Output, Row},
    progress::{Progress, Tally},
    watch::{Finished, Watch},
};
use crate::{
    exit::{CERTIFICATE, Exit},
    report,
    terminal::stderr,
};

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
    pub(crate) learnt: Learnt,
    pub(crate) fleet: Fleet,
}

/// How it went.
#[derive(Debug, Default)]
pub(crate) struct Over {
    /// The worst exit code of the jobs' own, or that of the signal that stopped them.
    pub(crate) exit: Option<Exit>,
    pub(crate) signal: Option<Exit>,
    /// What to go on from, of the jobs that had not ended, by the order in which they were named; and
    /// what asks once more, of those that had: who goes on is to be told of all again.
    pub(crate) unended: BTreeMap<usize, Checkpoint>,
    pub(crate) ended: BTreeMap<usize, Checkpoint>,
    /// How many of the jobs that had not ended were seen.
    pub(crate) go_on: usize,
    /// How long the longest wait took that passed its deadline.
    pub(crate) late: Option<Duration>,
    /// Whether no other job matters any more.
    pub(crate) is_enough: bool,
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

impl Over {
    /// Returns the checkpoints of all waits that are over, in the order in which the jobs were named.
    pub(crate) fn checkpoints(&self) -> BTreeMap<usize, &Checkpoint> {
        self.ended.iter().chain(&self.unended).map(|(place, one)| (*place, one)).collect()
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
                    self.fleet.stop();
                }
                () = clock.sleep(due.saturating_sub(clock.elapsed())) => {
                    looked = clock.elapsed();
                    due = looked + CALM;
                    self.progress.look(under_way(&waits), looked.saturating_sub(began), tally);
                    if changed && looked.saturating_sub(kept) >= CALM {
                        (kept, changed) = (looked, false);
                        self.keep(&waits, &over);
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
                            self.finished(finished, &mut over);
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
        if over.unended.is_empty() {
            over.ended.clear();
        }
        self.keep(&waits, &over);
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
    fn finished(&mut self, finished: Finished, over: &mut Over) {
        let (exit, error) = (finished.exit(), finished.result.as_ref().err());
        self.progress.aside(|| {
            self.output.finished(&finished);
            // Where the command stopped it, that is told once for all.
            if let (Some(error), Some(_)) = (error, exit) {
                let told = format!("{}: {:#}", finished.id, anyhow::Error::from(error.clone()));
                stderr::line(&told);
                let fault = error.fault().map(|fault| fault.kind);
                if fault == Some(FaultKind::Transport(TransportErrorKind::Certificate)) {
                    stderr::line(&format!("cce-job: {CERTIFICATE}"));
                }
            }
        });
        self.stop_where_nobody_reads();
        if let Some(exit) = exit {
            over.add(exit, self.until);
        }
        if over.is_enough {
            self.fleet.stop();
        }
        let late = error.filter(|_| exit == Some(Exit::Deadline));
        over.late = over.late.max(late.map(WaitError::elapsed));
        over.go_on += usize::from(error.is_some() && finished.job.is_some());
        self.summary.iter_mut().for_each(|rows| rows.push(Row::of(&finished)));
        self.report.iter_mut().for_each(|report| report.add(&finished));
        self.learnt.add(finished.lifetime());
        let to = if error.is_some() { &mut over.unended } else { &mut over.ended };
        to.extend(finished.checkpoint.map(|checkpoint| (finished.place, checkpoint)));
    }

    fn stop_where_nobody_reads(&self) {
        if self.output.closed().is_some() {
            self.fleet.stop();
        }
    }

    /// Keeps the checkpoints of the waits under way, and of those that are over.
    fn keep(&mut self, waits: &Waits, over: &Over) {
        let Some(file) = &mut self.checkpoints else { return };
        let under_way: Vec<_> = under_way(waits)
            .filter_map(|watch| Some((watch.place(), watch.checkpoint()?)))
            .collect();
        let mut all = over.checkpoints();
        all.extend(under_way.iter().map(|(place, one)| (*place, one)));
        let all: Vec<_> = all.into_values().collect();
        if let Some(news) = file.keep(&all) {
            self.progress.aside(|| stderr::line(&news));
        }
    }
}

/// Returns the waits under way, in the order in which their jobs were named.
fn under_way(waits: &Waits) -> impl Iterator<Item = &Watch> {
    let watches = waits.iter().filter_map(StreamFuture::get_ref);
    watches.map(|watch| (watch.place(), watch)).collect::<BTreeMap<_, _>>().into_values()
}
