//! The loop over all waits: passes their events to the output and the progress display, until the stop
//! condition is met. Decides nothing about a job.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use futures_util::{
    StreamExt,
    stream::{FuturesUnordered, StreamFuture},
};
use job_poller::{Checkpoint, Event, Fleet, WaitError};
use job_transport::{Clock, FetchErrorKind, TokioClock, TransportErrorKind, display_chain};

use super::{
    checkpoint_file::CheckpointFile,
    finished::Finished,
    format::OutputFormat,
    history_file::HistoryFile,
    output::{Output, SummaryRow},
    progress::ProgressDisplay,
    report_file::ReportFile,
    totals::Totals,
    watch::Watch,
};
use crate::{
    exit::{CERTIFICATE_HINT, Exit},
    terminal::stderr,
};

/// How often progress is drawn and checkpoints are written: without events, and with many of them.
const TICK_INTERVAL: Duration = Duration::from_secs(1);
const MIN_REDRAW_INTERVAL: Duration = Duration::from_millis(100);

/// When the command is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopCondition {
    /// When all jobs have ended.
    All,
    /// When the first has.
    Any,
    /// When all have, or one did not succeed.
    AllOrFailure,
}

/// The outputs of the waits, and when to stop. `finish` closes them.
pub(crate) struct Session {
    pub(crate) stop_condition: StopCondition,
    pub(crate) output: Output,
    pub(crate) progress: ProgressDisplay,
    pub(crate) checkpoints: Option<CheckpointFile>,
    pub(crate) report: Option<ReportFile>,
    pub(crate) summary: Option<Vec<SummaryRow>>,
    pub(crate) history_file: HistoryFile,
    pub(crate) fleet: Fleet,
}

/// How it went.
#[derive(Debug, Default)]
pub(crate) struct SessionResult {
    /// The worst exit code of the jobs' own, or that of the signal that stopped them.
    pub(crate) exit: Option<Exit>,
    pub(crate) signal: Option<Exit>,
    /// The checkpoints of the jobs that have not ended, by the order in which they were named; and those
    /// of the jobs that have: a resumed command reads these once more, to report all jobs.
    pub(crate) unfinished: BTreeMap<usize, Checkpoint>,
    pub(crate) finished: BTreeMap<usize, Checkpoint>,
    /// How many of the jobs that had not ended were seen.
    pub(crate) still_running: usize,
    /// How long the longest wait took that passed its deadline.
    pub(crate) longest_timeout: Option<Duration>,
    /// Whether no other job matters any more.
    pub(crate) stop_condition_met: bool,
}

impl SessionResult {
    /// Records the exit code of a finished wait.
    fn record(&mut self, exit: Exit, stop_condition: StopCondition) {
        let ended = matches!(exit, Exit::Done | Exit::JobFailed);
        match stop_condition {
            _ if self.stop_condition_met && stop_condition == StopCondition::Any => {}
            StopCondition::Any if ended => {
                (self.exit, self.stop_condition_met) = (Some(exit), true)
            }
            StopCondition::Any | StopCondition::All | StopCondition::AllOrFailure => {
                self.exit = Some(self.exit.map_or(exit, |worst| worst.worse(exit)));
                self.stop_condition_met |=
                    stop_condition == StopCondition::AllOrFailure && exit != Exit::Done;
            }
        }
    }

    /// Returns the checkpoints of all waits that are over, in the order in which the jobs were named.
    pub(crate) fn checkpoints(&self) -> BTreeMap<usize, &Checkpoint> {
        self.finished.iter().chain(&self.unfinished).map(|(index, one)| (*index, one)).collect()
    }
}

/// The waits under way.
type Waits = FuturesUnordered<StreamFuture<Watch>>;

impl Session {
    /// Follows the waits to their ends. A file that cannot be written is reported, and stops no wait.
    pub(crate) async fn run(
        mut self,
        watches: Vec<Watch>,
        stopped: impl Future<Output = Exit>,
    ) -> (Self, SessionResult) {
        let clock = TokioClock::new();
        let began = clock.monotonic();
        let mut totals = Totals { total: watches.len(), ..Totals::default() };
        let mut waits: Waits = watches.into_iter().map(StreamExt::into_future).collect();
        let mut result = SessionResult::default();
        let mut stopped = pin!(stopped);
        // When the next tick is due, when the last one was, and when checkpoints were last written.
        let (mut next_tick, mut last_tick, mut last_saved) = (began, began, began);
        let mut changed = false;
        loop {
            tokio::select! {
                biased;
                exit = &mut stopped, if result.signal.is_none() => {
                    result.signal = Some(exit);
                    self.fleet.stop();
                }
                () = clock.sleep(next_tick.saturating_sub(clock.monotonic())) => {
                    last_tick = clock.monotonic();
                    next_tick = last_tick + TICK_INTERVAL;
                    self.progress.tick(running_watches(&waits), last_tick.saturating_sub(began), totals);
                    if changed && last_tick.saturating_sub(last_saved) >= TICK_INTERVAL {
                        (last_saved, changed) = (last_tick, false);
                        self.save_checkpoints(&waits, &result);
                    }
                }
                next = waits.next() => {
                    match next {
                        Some((Some((at, event)), watch)) => {
                            self.handle_event(&watch, at, &event, totals);
                            waits.push(watch.into_future());
                        }
                        Some((None, watch)) => {
                            let finished = watch.finish().await;
                            totals.add(finished.exit());
                            self.handle_finished(finished, &mut result);
                        }
                        None => break,
                    }
                    changed = true;
                    next_tick = next_tick.min(last_tick + MIN_REDRAW_INTERVAL);
                }
            }
        }
        // Whatever was drawn is gone.
        self.progress = ProgressDisplay::None;
        if result.stop_condition_met && self.stop_condition == StopCondition::Any {
            result.unfinished.clear();
        }
        if result.unfinished.is_empty() {
            result.finished.clear();
        }
        self.save_checkpoints(&waits, &result);
        (self, result)
    }

    fn handle_event(&mut self, watch: &Watch, at: Duration, event: &Event, totals: Totals) {
        self.progress.event(watch, at, event, totals);
        if self.output.format() == OutputFormat::Jsonl {
            self.progress.suspend(|| self.output.print_event(watch.id(), at, event));
            self.stop_if_stdout_closed();
        }
    }

    /// Prints how a wait ended, and stops the others if the stop condition is met.
    fn handle_finished(&mut self, finished: Finished, result: &mut SessionResult) {
        let (exit, error) = (finished.exit(), finished.result.as_ref().err());
        self.progress.suspend(|| {
            self.output.print_finished(&finished);
            // If the command stopped it, one message at the end covers all waits.
            if let (Some(error), Some(_)) = (error, exit) {
                stderr::line(&format!("{}: {}", finished.id, display_chain(error)));
                let kind = error.last_error().map(|error| error.kind);
                if kind == Some(FetchErrorKind::Transport(TransportErrorKind::Certificate)) {
                    stderr::line(&format!("cce-job: {CERTIFICATE_HINT}"));
                }
            }
        });
        self.stop_if_stdout_closed();
        if let Some(exit) = exit {
            result.record(exit, self.stop_condition);
        }
        if result.stop_condition_met {
            self.fleet.stop();
        }
        let late = error.filter(|_| exit == Some(Exit::Deadline));
        result.longest_timeout = result.longest_timeout.max(late.map(WaitError::elapsed));
        result.still_running += usize::from(error.is_some() && finished.job.is_some());
        self.summary.iter_mut().for_each(|rows| rows.push(SummaryRow::from_finished(&finished)));
        self.report.iter_mut().for_each(|report| report.add(&finished));
        self.history_file.add(finished.observation());
        let to = if error.is_some() { &mut result.unfinished } else { &mut result.finished };
        to.extend(finished.checkpoint.map(|checkpoint| (finished.index, checkpoint)));
    }

    fn stop_if_stdout_closed(&self) {
        if self.output.write_error().is_some() {
            self.fleet.stop();
        }
    }

    /// Saves the checkpoints of the running waits, and of the finished ones.
    fn save_checkpoints(&mut self, waits: &Waits, result: &SessionResult) {
        let Some(file) = &mut self.checkpoints else { return };
        let under_way: Vec<_> = running_watches(waits)
            .filter_map(|watch| Some((watch.index(), watch.checkpoint()?)))
            .collect();
        let mut all = result.checkpoints();
        all.extend(under_way.iter().map(|(index, one)| (*index, one)));
        let all: Vec<_> = all.into_values().collect();
        if let Some(news) = file.save(&all) {
            self.progress.suspend(|| stderr::line(&news));
        }
    }
}

/// Returns the waits under way, in the order in which their jobs were named.
fn running_watches(waits: &Waits) -> impl Iterator<Item = &Watch> {
    let watches = waits.iter().filter_map(StreamFuture::get_ref);
    watches.map(|watch| (watch.index(), watch)).collect::<BTreeMap<_, _>>().into_values()
}
