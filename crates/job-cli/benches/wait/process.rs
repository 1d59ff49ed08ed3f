//! A `cce-job wait` on a pseudo-terminal, and what it uses.

use std::{
    fs, io,
    io::Read,
    process::Child,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use job_transport::clock::{Clock, TokioClock};
use pty_process::{
    Size,
    blocking::{Command, open},
};
use rustix::{
    param::clock_ticks_per_second,
    process::{Pid, Signal, kill_process},
};

use crate::Service;

/// The exit code after SIGTERM.
const TERMINATED: i32 = 143;

/// How the command runs.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    /// The value of `--progress`.
    pub(crate) progress: &'static str,
    pub(crate) with_checkpoint: bool,
    /// The limit of open file descriptors.
    pub(crate) max_descriptors: Option<u32>,
}

/// The running command. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    /// The bytes that it has written to the terminal.
    output: Arc<AtomicU64>,
}

impl Process {
    /// Starts the command on a terminal of 50 rows and 120 columns, with all jobs of the service.
    pub(crate) fn start(service: &Service, options: &Options) -> io::Result<Self> {
        let (pty, pts) = open().map_err(io::Error::other)?;
        pty.resize(Size::new(50, 120)).map_err(io::Error::other)?;
        let limit = options.max_descriptors.map(|max| format!("ulimit -n {max}; "));
        let script = format!("{}exec \"$@\" - < \"$IDS\"", limit.unwrap_or_default());
        let mut command = Command::new("sh")
            .args(["-c", &script, "sh", env!("CARGO_BIN_EXE_cce-job"), "wait"])
            .args(["--timeout", "none", "--history", "none", "--progress", options.progress])
            .args(["--endpoint", &service.server.endpoint(), "--ca-file"])
            .arg(service.file("ca.pem"))
            .env_clear()
            .env("IDS", service.file("ids"))
            .env("TERM", "xterm-256color")
            .env("XDG_STATE_HOME", "/dev/null/none")
            .env("OS_TOKEN", service.sim.account().token)
            .env("OS_PROJECT_ID", service.sim.project().as_str());
        if options.with_checkpoint {
            command = command.arg("--checkpoint").arg(service.checkpoint());
        }
        let child = command.spawn(pts).map_err(io::Error::other)?;
        let output = Arc::new(AtomicU64::new(0));
        let (mut terminal, count) = (pty, output.clone());
        // The thread ends with the command, because then no process has the terminal open.
        thread::spawn(move || {
            let mut bytes = [0; 1 << 16];
            while let Ok(len @ 1..) = terminal.read(&mut bytes) {
                count.fetch_add(len as u64, Ordering::Relaxed);
            }
        });
        Ok(Self { child, output })
    }

    /// Returns the number of bytes that were written to the terminal.
    pub(crate) fn output(&self) -> u64 {
        self.output.load(Ordering::Relaxed)
    }

    /// Returns an error if the command has ended.
    pub(crate) fn check_running(&mut self) -> io::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(io::Error::other(format!("cce-job wait ended early: {status}"))),
        }
    }

    pub(crate) fn processor_time(&self) -> io::Result<Duration> {
        let stat = self.proc_file("stat")?;
        // The name of the program is in parentheses. The 12th and 13th field after it are the times
        // in user and kernel mode.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 =
            fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64))
    }

    pub(crate) fn peak_memory_kib(&self) -> io::Result<u64> {
        let status = self.proc_file("status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok());
        kib.ok_or_else(|| io::Error::other("/proc has no VmHWM"))
    }

    fn proc_file(&self, name: &str) -> io::Result<String> {
        fs::read_to_string(format!("/proc/{}/{name}", self.child.id()))
    }

    /// Stops the command with SIGTERM, and returns how long that took.
    pub(crate) fn stop(mut self) -> io::Result<Duration> {
        let clock = TokioClock::new();
        let start = clock.monotonic();
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        if status.code() != Some(TERMINATED) {
            return Err(io::Error::other(format!("exit {status} after SIGTERM")));
        }
        Ok(clock.monotonic().saturating_sub(start))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
