//! The async runtime of a command, and the signals that stop it.

mod signals;

use tokio::runtime::Builder;

pub(crate) use self::signals::shutdown_signal;

/// Runs the part of a command that uses the network.
///
/// Files are read before this part and written after it, because a slow file would stop all waits.
/// What must be written during the waits is written by another thread.
pub(crate) fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let ran = runtime.block_on(command);
    // Do not wait for a DNS lookup that is still running on a blocking thread.
    runtime.shutdown_background();
    ran
}
