//! Kills a PostgreSQL server, and starts it again.

use std::{fs, sync::mpsc::RecvTimeoutError};

use rustix::process::{Pid, Signal, kill_process};

use crate::postgres::{Postgres, START_TIMEOUT, find_programs, spawn};

/// The maximum number of starts after a kill.
const MAX_STARTS: usize = 1000;

impl Postgres {
    /// Kills all processes of the server with SIGKILL, as if the machine lost its power, except that
    /// the operating system keeps what was written.
    pub(crate) fn kill(&mut self) {
        let children = self.children();
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        for pid in children.into_iter().filter_map(Pid::from_raw) {
            // It may have ended with the server.
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Starts the server after [`kill`](Self::kill), and returns when it accepts connections.
    pub(crate) fn restart(&mut self) {
        let programs = find_programs().unwrap();
        for _ in 0..MAX_STARTS {
            let (server, ready) = spawn(&programs, &self.folder);
            self.server = server;
            match ready.recv_timeout(START_TIMEOUT) {
                Ok(()) => return,
                // A start fails while old processes use the shared memory.
                Err(RecvTimeoutError::Disconnected) => {
                    self.server.wait().unwrap();
                }
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        panic!("PostgreSQL does not start after it was killed");
    }

    /// Returns the ids of the processes that the server has started.
    pub(crate) fn children(&self) -> Vec<i32> {
        let parent = self.server.id().to_string();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| stat(*pid).get(1).is_some_and(|field| *field == parent)).collect()
    }
}

/// Returns the fields of `/proc/PID/stat` from the third on, the state.
pub(crate) fn stat(pid: i32) -> Vec<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is the name in brackets, which may contain any character.
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    fields.split_whitespace().map(String::from).collect()
}
