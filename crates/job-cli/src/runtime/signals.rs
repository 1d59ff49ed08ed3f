//! Handles SIGINT and SIGTERM, and maps them to exit codes.

use std::{io, process, thread, time::Duration};

use job_transport::clock::{Clock, TokioClock};
use tokio::runtime::Builder;

use crate::exit::Exit;

/// Time for an orderly shutdown after a signal. It may be impossible: nobody reads the
/// output that is left, or the disk is slow.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns a future that completes on SIGINT or SIGTERM with the exit code of that signal.
///
/// Signals are caught as soon as this function returns. If the process is still running two seconds
/// after a signal, a separate thread ends it.
///
/// # Errors
///
/// Returns an error if the signal handlers or the thread cannot be set up.
pub(crate) fn shutdown_signal() -> io::Result<impl Future<Output = Exit>> {
    let stopped = next_signal()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let second_listener = {
        let _within = runtime.enter();
        next_signal()?
    };
    thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            let exit = second_listener.await;
            TokioClock::new().sleep(SHUTDOWN_TIMEOUT).await;
            process::exit(i32::from(exit as u8));
        });
    })?;
    Ok(stopped)
}

#[cfg(unix)]
fn next_signal() -> io::Result<impl Future<Output = Exit>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => Exit::Interrupted,
            _ = terminate.recv() => Exit::Terminated,
        }
    })
}

#[cfg(not(unix))]
fn next_signal() -> io::Result<impl Future<Output = Exit>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
        Exit::Interrupted
    })
}
