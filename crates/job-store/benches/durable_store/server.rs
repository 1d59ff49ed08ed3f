//! A PostgreSQL server as a process: it can be killed, and its processor time is measured.

use std::{fs, time::Duration};

use anyhow::{Context as _, ensure};
use job_transport::clock::{Clock, TokioClock};
use rustix::process::{Pid, Signal, kill_process};

use crate::postgres::{Postgres, find_programs, spawn};

/// How long the other processes of a server that was killed may take to end, and a start may fail.
const MAX_RESTART: Duration = Duration::from_secs(30);

/// The delay between two checks.
const RETRY_DELAY: Duration = Duration::from_millis(20);

/// The units per second in which Linux reports processor time.
const TICKS_PER_SECOND: f64 = 100.0;

impl Postgres {
    /// Kills all processes of the server with SIGKILL, as if the machine lost its power, except that
    /// the operating system keeps what was written.
    pub(crate) fn kill_all(&mut self) -> anyhow::Result<()> {
        let children = self.children();
        self.server.kill()?;
        self.server.wait()?;
        for pid in children.into_iter().filter_map(Pid::from_raw) {
            // It may have ended with the server.
            let _ = kill_process(pid, Signal::KILL);
        }
        Ok(())
    }

    /// Starts the server after [`kill_all`](Self::kill_all), and waits until it accepts connections.
    pub(crate) async fn restart_after_kill(&mut self) -> anyhow::Result<()> {
        let clock = TokioClock::new();
        let began = clock.monotonic();
        let programs = find_programs().context("PostgreSQL is installed")?;
        loop {
            let (server, ready) = spawn(&programs, &self.folder);
            self.server = server;
            // A start fails while old processes use the shared memory.
            while self.server.try_wait()?.is_none() {
                if ready.try_recv().is_ok() {
                    return Ok(());
                }
                let elapsed = clock.monotonic() - began;
                ensure!(elapsed < MAX_RESTART, "PostgreSQL does not start after it was killed");
                clock.sleep(RETRY_DELAY).await;
            }
            clock.sleep(RETRY_DELAY).await;
        }
    }

    /// Returns the processor time of all processes of the server since its start, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        // The server's time includes that of the processes that have ended.
        let server = ticks(self.server.id().cast_signed(), 4);
        let children: f64 = self.children().into_iter().map(|pid| ticks(pid, 2)).sum();
        (server + children) / TICKS_PER_SECOND
    }

    /// Returns the ids of the processes that the server has started.
    fn children(&self) -> Vec<i32> {
        let parent = self.server.id().to_string();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| stat(*pid).get(1).is_some_and(|field| *field == parent)).collect()
    }
}

/// Returns the sum of `count` fields from the user time on.
fn ticks(pid: i32, count: usize) -> f64 {
    stat(pid).iter().skip(11).take(count).filter_map(|field| field.parse::<f64>().ok()).sum()
}

/// Returns the fields of `/proc/PID/stat` from the third on, the state.
fn stat(pid: i32) -> Vec<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is the name in brackets, which may contain any character.
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    fields.split_whitespace().map(String::from).collect()
}
