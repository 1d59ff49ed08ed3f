//! SIGINT and SIGTERM, and the exit codes that they give. Stops nothing itself.

use std::io;

use crate::exit::Exit;

/// Returns a future that ends when the process is told to stop, and says by which signal. From when
/// this returns, no signal is lost.
///
/// # Errors
///
/// Where signals cannot be listened to.
#[cfg(unix)]
pub(crate) fn stopped() -> io::Result<impl Future<Output = Exit>> {
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

/// Returns a future that ends when the process is told to stop.
///
/// # Errors
///
/// None here.
#[cfg(not(unix))]
pub(crate) fn stopped() -> io::Result<impl Future<Output = Exit>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
        Exit::Interrupted
    })
}
