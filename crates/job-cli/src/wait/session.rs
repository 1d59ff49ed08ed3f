//! The loop over all waits. It passes their events to the output and the progress display until the
//! stop condition is met.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    time::Duration,
};

use futures_util::{
    StreamExt,
    stream::{FuturesUnordered, StreamFuture},
};
use job_poller::{
    Checkpoint, Event, Fleet, WaitError, WaitErrorKind, fleet::Lagged, machine::AttemptReason,
};
use job_transport::clock::{Clock, TokioClock};

use super::{
    annotations::Annotations,
    board::Board,
    checkpoint_file::CheckpointFile,
    finished::Finished,
    format::OutputFormat,
    history_file::HistoryFile,
    missed::MissedEvents,
    output::{Output, SummaryRow},
    progress::ProgressDisplay,
    report_file::ReportFile,
    running_jobs::RunningJobs,
    slice::Slice,
    totals::Totals,
    watch::{Watch, WatchEvents},
};
use crate::{
    connection::Hints,
    exit::{Exit, was_read},
    terminal::{printer, stderr},
};

/// Time between two updates of the progress display, if no event happens. Checkpoints are saved at
/// most this often.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// Minimum time between two updates of the progress display, if many events happen.
const MIN_REDRAW_INTERVAL: Duration = Duration::from_millis(100);

/// When to stop waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopCondition {
    /// When all jobs have ended.
    All,
    /// When the first job has ended.
    Any,
    /// When all jobs have ended, or one wait ended without success.
    AllOrFailure,
}

/// The outputs of the waits, and the stop condition. `finish` closes the outputs.
pub(crate) struct Session {
    pub(crate) stop_condition: StopCondition,
    /// The most severe exit code of the jobs in earlier slices.
    pub(crate) earlier: Exit,
    /// The time after which the waits are stopped, to be continued by another command.
    pub(crate) at_most: Option<Duration>,
    pub(crate) output: Output,
    pub(crate) progress: ProgressDisplay,
    pub(crate) checkpoints: Option<CheckpointFile>,
    pub(crate) report: Option<ReportFile>,
    pub(crate) annotations: Annotations,
    pub(crate) summary: Option<Vec<SummaryRow>>,
    pub(crate) history_file: HistoryFile,
    pub(crate) hints: Hints,
    pub(crate) fleet: Fleet,
    pub(crate) printer: printer::PrinterThread,
    pub(crate) missed: MissedEvents,
}

/// The result of all waits.
#[derive(Debug, Default)]
pub(crate) struct SessionResult {
    /// The most severe exit code of the waits; with `--any`, the exit code of the first job that
    /// ended.
    pub(crate) exit: Option<Exit>,
    /// The exit code of the signal that stopped the waits.
    pub(crate) signal: Option<Exit>,
    /// The checkpoints of the jobs that have not ended, by the position of the job on the command
    /// line.
    pub(crate) unfinished: BTreeMap<usize, Checkpoint>,
    /// The checkpoints of the jobs that have ended. If the command is killed, the next one reads these
    /// jobs once more, so that their results are not lost.
    finished: BTreeMap<usize, Checkpoint>,
    /// The positions of the unfinished jobs that were stopped or timed out. Waits that ended because
    /// of an error are not among them.
    resumable: BTreeSet<usize>,
    /// The positions of the unfinished jobs that were read before an error ended their waits. They can
    /// be resumed after the cause of the error is fixed.
    interrupted: BTreeSet<usize>,
    /// What `--at-most` stopped.
    pub(crate) slice: Option<Slice>,
    /// The number of waits that were stopped only because stdout was closed.
    pub(crate) cut_off: usize,
    /// The jobs that had not ended.
    pub(crate) running: RunningJobs,
    /// The duration of the longest wait that timed out.
    pub(crate) longest_timeout: Option<Duration>,
    /// The hints that were printed. Each is printed only once, below the first error that it
    /// applies to.
    printed_hints: BTreeSet<String>,
    /// Whether the stop condition is met, so that the other waits are stopped.
    pub(crate) stop_condition_met: bool,
}

impl SessionResult {
    /// Records the exit code of a finished wait.
    ///
    /// `ended` is whether the job, or its objects, have ended, and not only the wait.
    fn record(&mut self, exit: Exit, ended: bool, stop_condition: StopCondition) {
        match stop_condition {
            _ if self.stop_condition_met && stop_condition == StopCondition::Any => {}
            StopCondition::Any if ended => {
                (self.exit, self.stop_condition_met) = (Some(exit), true)
            }
            StopCondition::Any | StopCondition::All | StopCondition::AllOrFailure => {
                self.exit = Some(self.exit.map_or(exit, |worst| worst.worse(exit)));
                let is_failure = !matches!(exit, Exit::Done | Exit::StillRunning);
                self.stop_condition_met |=
                    stop_condition == StopCondition::AllOrFailure && is_failure;
            }
        }
    }

    /// Whether the waits were stopped by a signal, or because the stop condition is met.
    const fn is_stopping(&self) -> bool {
        self.signal.is_some() || self.stop_condition_met
    }

    /// Returns what another slice goes on from: `--at-most` has stopped waits, and nothing else has.
    pub(crate) fn next_slice(&self) -> Option<&Slice> {
        let slice = self.slice.as_ref().filter(|slice| slice.running() > 0);
        slice.filter(|_| !self.is_stopping())
    }

    /// Returns the most severe exit code of the jobs that are not waited for any more, also in earlier
    /// slices.
    pub(crate) fn worst(&self) -> Exit {
        self.exit.filter(|exit| *exit != Exit::StillRunning).unwrap_or(Exit::Done)
    }

    /// Returns the checkpoints of the waits that another command can continue, in the order of the
    /// command line: those that were stopped or timed out or, if there are none, those that an error has
    /// [interrupted](Self::is_interrupted).
    pub(crate) fn resumable(&self) -> impl Iterator<Item = &Checkpoint> + Clone {
        let indices = if self.is_interrupted() { &self.interrupted } else { &self.resumable };
        indices.iter().filter_map(|index| self.unfinished.get(index))
    }

    /// Whether errors have ended all waits that another command can continue.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.resumable.is_empty() && !self.interrupted.is_empty()
    }

    /// Returns the checkpoints of all waits that have ended, in the order of the command line.
    fn checkpoints(&self) -> BTreeMap<usize, &Checkpoint> {
        self.finished.iter().chain(&self.unfinished).map(|(index, one)| (*index, one)).collect()
    }
}

/// The events of the running waits.
type Waits = FuturesUnordered<StreamFuture<WatchEvents>>;

impl Session {
    /// Follows the waits to their ends. If a checkpoint cannot be saved, prints a message and
    /// continues.
    pub(crate) async fn run(
        mut self,
        watches: Vec<(WatchEvents, Watch)>,
        stopped: impl Future<Output = Exit>,
    ) -> (Self, SessionResult) {
        let clock = TokioClock::new();
        let began = clock.monotonic();
        let mut totals = Totals { total: watches.len(), ..Totals::default() };
        let (mut waits, mut board) = (Waits::new(), Board::default());
        for (events, watch) in watches {
            board.insert(events.index(), watch);
            waits.push(events.into_future());
        }
        let earlier = Some(self.earlier).filter(|exit| *exit != Exit::Done);
        let mut result = SessionResult { exit: earlier, ..SessionResult::default() };
        let mut stopped = pin!(stopped);
        let (mut next_tick, mut last_tick) = (began, began);
        let slice_end = began.saturating_add(self.at_most.unwrap_or(Duration::MAX));
        loop {
            tokio::select! {
                biased;
                exit = &mut stopped, if result.signal.is_none() => {
                    result.signal = Some(exit);
                    self.fleet.stop();
                }
                () = clock.sleep(slice_end.saturating_sub(clock.monotonic())),
                    if self.at_most.is_some() && result.slice.is_none() && !result.is_stopping() =>
                {
                    result.slice = Some(Slice::new(&board));
                    self.fleet.stop();
                }
                () = clock.sleep(next_tick.saturating_sub(clock.monotonic())) => {
                    last_tick = clock.monotonic();
                    next_tick = last_tick + TICK_INTERVAL;
                    self.report_missed();
                    self.progress.tick(&board, last_tick.saturating_sub(began), totals);
                    self.save_checkpoints(&waits, &result).await;
                }
                () = printer::changed() => {
                    self.stop_if_stdout_failed();
                    self.report_missed();
                }
                // Events are taken even if there is no space for output, because checkpoints, stop
                // conditions and results depend on them.
                next = waits.next() => {
                    match next {
                        Some((Some(Ok((at, event))), events)) => {
                            let (index, last) = (events.index(), events.snapshot());
                            if let Some(watch) = board.record(index, at, &event, last) {
                                self.progress.event(watch, at, &event, totals);
                            }
                            self.print_event(&events, at, &event);
                            self.add_checkpoint(&events, &event);
                            waits.push(events.into_future());
                        }
                        Some((Some(Err(Lagged(lost))), events)) => {
                            let (index, at) = (events.index(), events.elapsed());
                            self.missed.add(index, events.job_id(), at, lost);
                            waits.push(events.into_future());
                        }
                        Some((None, events)) => {
                            if let Some(watch) = board.remove(events.index()) {
                                let finished = events.finish(watch).await;
                                totals.add(finished.exit());
                                self.handle_finished(finished, &mut result);
                            }
                        }
                        None => break,
                    }
                    next_tick = next_tick.min(last_tick + MIN_REDRAW_INTERVAL);
                }
            }
        }
        self.report_missed();
        // Removes the live tree from the terminal.
        self.progress = ProgressDisplay::None;
        if result.stop_condition_met && self.stop_condition == StopCondition::Any {
            result.unfinished.clear();
            result.resumable.clear();
            result.interrupted.clear();
        }
        // The other results are printed, so the next command does not wait for these jobs again. If
        // none is still running, the same command can be run again after the cause of the error is
        // fixed.
        let waits = result.unfinished.len() + result.finished.len();
        result.finished.clear();
        if !result.resumable.is_empty() {
            result.unfinished.retain(|index, _| result.resumable.contains(index));
        }
        let has_removed = result.unfinished.len() < waits;
        // If the waits are over, another command does not continue them.
        let goes_on =
            result.next_slice().is_some() || (self.at_most.is_some() && result.signal.is_some());
        let worst = if goes_on { result.worst() } else { Exit::Done };
        self.checkpoints.iter_mut().for_each(|file| file.set_worst(worst));
        self.save_last_checkpoints(&result, has_removed).await;
        (self, result)
    }

    /// Prints an event, if the format is JSON lines. If there is no space, counts it instead.
    fn print_event(&mut self, events: &WatchEvents, at: Duration, event: &Event) {
        if self.output.format() != OutputFormat::Jsonl {
            return;
        }
        if printer::is_full() {
            self.missed.add(events.index(), events.job_id(), at, 1);
            return;
        }
        self.report_missed_of(events.index());
        self.output.print_event(events.job_id(), at, event);
        self.progress.reset_heartbeat();
    }

    /// Reports the events of all waits that were not printed, if there is space for output.
    fn report_missed(&mut self) {
        match self.output.format() {
            OutputFormat::Jsonl => {
                while !printer::is_full() {
                    let Some(missed) = self.missed.take_first() else { return };
                    self.output.print_missed(&missed);
                }
            }
            OutputFormat::Human | OutputFormat::Json => {
                let lost = match self.missed.take_count() {
                    0 => return,
                    1 => "1 event was".to_owned(),
                    events => format!("{events} events were"),
                };
                stderr::line(&format!("cce-job: {lost} lost, because they were not read in time"));
            }
        }
    }

    /// Reports the events of a wait that were not printed, before its next line of JSON.
    fn report_missed_of(&mut self, index: usize) {
        if self.output.format() == OutputFormat::Jsonl {
            let missed = self.missed.take(index);
            missed.iter().for_each(|missed| self.output.print_missed(missed));
        }
    }

    /// Prints the result of a wait, and stops the other waits if the stop condition is met.
    fn handle_finished(&mut self, finished: Finished, result: &mut SessionResult) {
        let (exit, error) = (finished.exit(), finished.result.as_ref().err());
        let is_stopped = error.is_some() && exit.is_none();
        let with_deviations = !self.progress.shows_deviations();
        // A result is printed even if there is no space. There is one for each job.
        self.report_missed_of(finished.index);
        self.output.print_finished(&finished, with_deviations);
        // If the command stopped the waits, one message at the end covers all of them.
        if let (Some(error), Some(_)) = (error, exit) {
            stderr::line(&format!("{}: {}", finished.id, error.message()));
            let hint = self.hints.for_wait_error(error);
            let hint = hint.filter(|hint| result.printed_hints.insert(hint.clone()));
            let lines = hint.iter().flat_map(|hint| hint.lines());
            lines.for_each(|hint| stderr::line(&format!("  {hint}")));
        }
        self.progress.end(&finished.id);
        self.progress.reset_heartbeat();
        self.stop_if_stdout_failed();
        if let (Some(slice), Some(error), false, true) =
            (&mut result.slice, error, result.stop_condition_met, is_stopped)
        {
            slice.add(&finished, error);
            result.record(Exit::StillRunning, false, self.stop_condition);
        }
        if is_stopped && result.slice.is_none() && !result.is_stopping() {
            result.cut_off += 1;
        }
        if let Some(exit) = exit {
            result.record(exit, error.is_none(), self.stop_condition);
        }
        if result.stop_condition_met {
            self.fleet.stop();
        }
        let late = error.filter(|error| {
            use WaitErrorKind::{DeadlineExceeded, NotReady, Stalled};
            matches!(error.kind(), DeadlineExceeded | NotReady | Stalled)
                && matches!(exit, Some(Exit::Deadline | Exit::Unreadable))
        });
        if is_stopped || late.is_some() {
            result.resumable.insert(finished.index);
        } else if matches!(exit, Some(Exit::Credentials | Exit::Unreadable))
            && error.is_some_and(|error| was_read(error) && error.kind() != WaitErrorKind::NoObject)
        {
            result.interrupted.insert(finished.index);
        }
        result.longest_timeout = result.longest_timeout.max(late.map(WaitError::elapsed));
        result.running.add(&finished);
        self.summary.iter_mut().for_each(|rows| rows.push(SummaryRow::from_finished(&finished)));
        self.report.iter_mut().for_each(|report| report.add(&finished));
        self.annotations.add(&finished);
        self.history_file.add(finished.observations());
        let to = if error.is_some() { &mut result.unfinished } else { &mut result.finished };
        if let Some(checkpoint) = finished.checkpoint {
            if let Some(file) = &mut self.checkpoints {
                file.add(finished.index, checkpoint.clone(), true);
            }
            to.insert(finished.index, checkpoint);
        }
    }

    fn stop_if_stdout_failed(&self) {
        if self.output.has_failed() {
            self.fleet.stop();
        }
    }

    /// Adds the state of a wait after an event to the next save of the checkpoints.
    fn add_checkpoint(&mut self, events: &WatchEvents, event: &Event) {
        let Some(file) = &mut self.checkpoints else { return };
        // A resumed wait has to honor a `Retry-After`, too.
        let is_urgent =
            matches!(event, Event::NextAttempt { reason: AttemptReason::RetryAfter, .. });
        if let Some(checkpoint) = events.checkpoint() {
            file.add(events.index(), checkpoint, is_urgent);
        }
    }

    /// Starts to save the checkpoints that are due, unless the last save is still running.
    async fn save_checkpoints(&mut self, waits: &Waits, result: &SessionResult) {
        if self.checkpoints.as_ref().is_some_and(CheckpointFile::is_idle) {
            self.finish_save().await;
        }
        let Some(file) = self.checkpoints.as_mut().filter(|file| file.is_due()) else { return };
        if file.needs_all() {
            let running = waits.iter().filter_map(StreamFuture::get_ref);
            let running = running.filter_map(|events| Some((events.index(), events.checkpoint()?)));
            file.start_save_all(running.chain(ended(result)).collect());
        } else {
            file.start_save_due();
        }
    }

    /// Saves all checkpoints after the last wait has finished. `has_removed` is whether the file may
    /// contain others.
    async fn save_last_checkpoints(&mut self, result: &SessionResult, has_removed: bool) {
        self.finish_save().await;
        let has_unfinished = !result.unfinished.is_empty();
        if let Some(file) = self.checkpoints.as_mut().filter(|_| has_unfinished && !has_removed) {
            file.start_save_rest();
            self.finish_save().await;
        }
        // If there are no unfinished waits, this removes the file.
        let Some(file) = &mut self.checkpoints else { return };
        if file.written_path().is_none() || file.needs_all() || !has_unfinished || has_removed {
            file.start_save_all(ended(result).collect());
            self.finish_save().await;
        }
    }

    /// Waits for the running save of the checkpoints, and prints its error.
    async fn finish_save(&mut self) {
        let Some(file) = &mut self.checkpoints else { return };
        if let Some(message) = file.finish_save().await {
            stderr::line(&message);
            self.progress.reset_heartbeat();
        }
    }
}

/// Returns the checkpoints of the waits that have ended.
fn ended(result: &SessionResult) -> impl Iterator<Item = (usize, Checkpoint)> {
    result.checkpoints().into_iter().map(|(index, checkpoint)| (index, checkpoint.clone()))
}
