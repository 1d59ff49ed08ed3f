//! A process that is killed and started again, what it took, and the most memory that it ever had.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::Context;

/// A process. Dropped, it is killed.
pub(crate) struct Process {
    command: Command,
    child: Child,
    /// Of those before this one: in kibibytes, and in seconds of a processor.
    peak_memory_kib: u64,
    cpu_seconds: f64,
}

/// In so many parts of a second Linux counts what a process takes.
const TICKS_PER_SECOND: f64 = 100.0;

impl Process {
    /// Starts a command whose output is appended to a file.
    pub(crate) fn start(mut command: Command, log: &PathBuf) -> anyhow::Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        Ok(Self { command, child, peak_memory_kib: 0, cpu_seconds: 0.0 })
    }

    /// Kills it: it can do nothing about that.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        (self.peak_memory_kib, self.cpu_seconds) = (self.peak_memory_kib(), self.cpu_seconds());
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.child = self.command.spawn()?;
        Ok(())
    }

    /// Returns the most memory that it had, in kibibytes, and those before it.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        self.peak_memory_kib.max(peak.unwrap_or_default())
    }

    /// Returns how many seconds of a processor it took, and those before it.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.unwrap_or_default();
        // After the name, which may hold anything, and its bracket: from the third field on.
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let ticks: f64 =
            fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        self.cpu_seconds + ticks / TICKS_PER_SECOND
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
