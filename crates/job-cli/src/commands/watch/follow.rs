//! Follows the waits of the server until all of them have a result.

use std::{pin::pin, time::Duration};

use futures_util::{StreamExt, stream};
use job_transport::{
    clock::{Clock, TokioClock},
    transport::display_chain,
};

use crate::{
    commands::server::{Server, ServerErrorKind, Target, Wait, WaitResult},
    connection::MAX_IN_FLIGHT,
    exit::Exit,
    runtime::shutdown_signal,
    terminal::{PrintFormat, Styles, print, stderr},
};

/// How long the server may be unavailable before the command gives up. The waits go on when the server
/// runs again.
const MAX_UNAVAILABLE: Duration = Duration::from_secs(120);

/// The waits that are followed, and how they are printed.
pub(super) struct Follower<'a> {
    pub(super) server: &'a Server,
    pub(super) output: PrintFormat,
    pub(super) is_quiet: bool,
    pub(super) styles: Styles,
    pub(super) interval: Duration,
    /// The most severe exit code so far.
    pub(super) exit: Exit,
    pub(super) running: Vec<Running>,
}

/// A wait without a result.
pub(super) struct Running {
    target: Target,
    /// The state that was printed last.
    shown: String,
    /// Whether the result was printed. Such waits are removed after each round.
    is_over: bool,
}

impl Follower<'_> {
    /// Adds a wait. If it has a result already, prints it.
    ///
    /// # Errors
    ///
    /// Returns an error if writing to stdout fails.
    pub(super) fn add(&mut self, target: Target, wait: &Wait) -> anyhow::Result<()> {
        self.running.push(Running { target, shown: String::new(), is_over: false });
        self.update(self.running.len() - 1, wait)
    }

    /// Asks the server for the states until all waits have a result. Returns the most severe exit code,
    /// or that of a signal.
    ///
    /// # Errors
    ///
    /// Returns an error if the server refuses the requests or is unavailable for two minutes, or if
    /// writing to stdout fails.
    pub(super) async fn run(&mut self) -> anyhow::Result<Exit> {
        let mut stopped = pin!(shutdown_signal()?);
        let clock = TokioClock::new();
        let mut unavailable_since = None;
        self.running.retain(|running| !running.is_over);
        while !self.running.is_empty() {
            tokio::select! {
                biased;
                exit = &mut stopped => {
                    self.print_running();
                    return Ok(exit);
                }
                read = async { clock.sleep(self.interval).await; self.read_all().await } => {
                    let Some(error) = read? else {
                        unavailable_since = None;
                        continue;
                    };
                    let now = clock.monotonic();
                    let since = *unavailable_since.get_or_insert_with(|| {
                        stderr::line(&format!("cce-job: {}; trying again", display_chain(&*error)));
                        now
                    });
                    if now.saturating_sub(since) >= MAX_UNAVAILABLE {
                        self.print_running();
                        return Err(error);
                    }
                }
            }
        }
        Ok(self.exit)
    }

    /// Returns whether a wait has no result yet.
    pub(super) fn is_running(&self) -> bool {
        self.running.iter().any(|running| !running.is_over)
    }

    /// Reads all running waits once. Returns the error if the server is unavailable.
    async fn read_all(&mut self) -> anyhow::Result<Option<anyhow::Error>> {
        let server = self.server;
        let targets: Vec<_> = self.running.iter().map(|running| running.target.clone()).collect();
        let reads = targets.iter().enumerate();
        let reads = reads.map(async |(index, target)| (index, server.read(target).await));
        let mut reads = stream::iter(reads).buffered(MAX_IN_FLIGHT);
        let mut unavailable = None;
        while let Some((index, read)) = reads.next().await {
            match read {
                Ok(reply) => self.update(index, &reply.value)?,
                Err(error) => match error.kind {
                    ServerErrorKind::NoWait | ServerErrorKind::Refused => {
                        stderr::line(&format!("cce-job: {}: {error}", targets[index].job));
                        self.exit = self.exit.worse(error.exit);
                        self.running[index].is_over = true;
                    }
                    ServerErrorKind::Temporary => unavailable = Some(error.into()),
                    ServerErrorKind::Permanent => return Err(error.into()),
                },
            }
        }
        self.running.retain(|running| !running.is_over);
        Ok(unavailable)
    }

    /// Prints a result, or a state that has changed.
    fn update(&mut self, index: usize, wait: &Wait) -> anyhow::Result<()> {
        let running = &mut self.running[index];
        let job = &running.target.job;
        let Some(result) = &wait.status.result else {
            let state = wait.status.describe();
            if state != running.shown && !self.is_quiet {
                stderr::line(&format!("{job} {state}"));
            }
            running.shown = state;
            return Ok(());
        };
        let result = WaitResult::read(job, result);
        let lines = result.lines(job, self.styles);
        match (self.output, &lines) {
            (PrintFormat::Json, _) => print::write_stdout(wait.json_line() + "\n")?,
            (PrintFormat::Human, Ok(lines)) => {
                print::write_stdout(
                    lines.iter().map(|line| format!("{line}\n")).collect::<String>(),
                )?;
            }
            (PrintFormat::Human, Err(_)) => {}
        }
        if let Err(error) = lines {
            stderr::line(&format!("{job}: {error}"));
        }
        running.is_over = true;
        self.exit = self.exit.worse(result.exit());
        Ok(())
    }

    /// Prints that the server goes on with the waits.
    fn print_running(&self) {
        let jobs = match self.running.iter().filter(|running| !running.is_over).count() {
            0 => return,
            1 => "1 job".to_owned(),
            several => format!("{several} jobs"),
        };
        stderr::line(&format!(
            "cce-job: the server goes on waiting for {jobs}; `cce-job ls` shows the state"
        ));
    }
}
