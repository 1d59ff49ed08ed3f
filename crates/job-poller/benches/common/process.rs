//! A process that can be killed and restarted, with its CPU time and peak memory.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

/// A process. Killed when dropped.
pub(crate) struct Process {
    command: Command,
    child: Child,
    /// The highest peak memory of the processes before the last restart.
    peak_memory_kib: u64,
    /// The total CPU time of the processes before the last restart.
    cpu_seconds: f64,
}

/// Clock ticks per second, the unit in which Linux reports CPU time.
const TICKS_PER_SECOND: f64 = 100.0;

impl Process {
    /// Starts a command whose output is appended to a file.
    pub(crate) fn start(mut command: Command, log: &PathBuf) -> anyhow::Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        Ok(Self { command, child, peak_memory_kib: 0, cpu_seconds: 0.0 })
    }

    /// Kills the process with SIGKILL, which it cannot handle.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        (self.peak_memory_kib, self.cpu_seconds) = (self.peak_memory_kib(), self.cpu_seconds());
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks the process to stop with SIGTERM, and waits until it has ended.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        (self.peak_memory_kib, self.cpu_seconds) = (self.peak_memory_kib(), self.cpu_seconds());
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }

    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.child = self.command.spawn()?;
        Ok(())
    }

    /// Returns the peak memory in kibibytes, including the processes before a restart.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        self.peak_memory_kib.max(peak.unwrap_or_default())
    }

    /// Returns the CPU time in seconds, including the processes before a restart.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.unwrap_or_default();
        // Skip the process name, which may contain any character, up to its closing bracket. The
        // rest starts with the third field; fields 14 and 15 are the user and system time.
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let ticks: f64 =
            fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        self.cpu_seconds + ticks / TICKS_PER_SECOND
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
