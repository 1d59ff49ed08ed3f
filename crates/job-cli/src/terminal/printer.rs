//! The thread that writes to stdout and stderr while waits are running.
//!
//! A terminal may accept no output, for example after Ctrl-S, and nobody may read the other end of a
//! pipe. Only this thread waits for them then. Everything is written in the order in which it was
//! printed, and the live tree is drawn below it.

mod pace;
mod queue;
mod screen;

use std::{
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread::{Builder, JoinHandle},
    time::Duration,
};

use job_transport::clock::{Clock, TokioClock};
use tokio::sync::Notify;

pub(crate) use self::screen::Drawing;
use self::{
    pace::Pace,
    queue::{Item, Queue},
    screen::Screen,
};

/// What the printing threads share with the writing thread.
struct Printer {
    queue: Mutex<Queue>,
    /// Wakes the writing thread.
    has_items: Condvar,
    /// Notified when the queue is no longer full, and when writing to stdout has failed.
    changed: Notify,
    pace: Mutex<Pace>,
    stdout_error: Mutex<Option<io::Error>>,
}

/// A process has one stdout and one stderr, so it has one printer.
static PRINTER: Printer = Printer::new();

/// The writing thread. Dropping it waits until everything is written.
pub(crate) struct PrinterThread(Option<JoinHandle<()>>);

/// Starts the writing thread. Without it, output is written by the thread that prints it.
///
/// # Errors
///
/// Returns an error if the thread cannot be started.
pub(crate) fn start() -> io::Result<PrinterThread> {
    lock(&PRINTER.queue).open();
    match Builder::new().name("printer".into()).spawn(|| PRINTER.catch_panic(Printer::run)) {
        Ok(thread) => Ok(PrinterThread(Some(thread))),
        Err(error) => {
            lock(&PRINTER.queue).close();
            Err(error)
        }
    }
}

impl PrinterThread {
    /// Waits until everything is written. Returns the error that stopped the output on stdout.
    pub(crate) fn finish(mut self) -> Option<io::Error> {
        self.join();
        lock(&PRINTER.stdout_error).take()
    }

    fn join(&mut self) {
        lock(&PRINTER.queue).close();
        PRINTER.has_items.notify_one();
        // The thread itself records a panic.
        let _ = self.0.take().map(JoinHandle::join);
    }
}

impl Drop for PrinterThread {
    fn drop(&mut self) {
        self.join();
    }
}

/// Prints a line of progress to stderr. It is dropped if too much waits to be written.
pub(super) fn print_progress(line: Vec<u8>) {
    PRINTER.print(Item::Progress(line));
}

/// Prints to stderr.
pub(super) fn print_stderr(text: Vec<u8>) {
    PRINTER.print(Item::Stderr(text));
}

/// Prints to stdout. After the first error, nothing more is written there.
pub(crate) fn print_stdout(bytes: Vec<u8>) {
    PRINTER.print(Item::Stdout(bytes));
}

/// Whether so much waits to be written that only results should be printed. [`changed`] completes
/// when this is over.
pub(crate) fn is_full() -> bool {
    lock(&PRINTER.queue).is_full()
}

/// Whether writing to stdout has failed.
pub(crate) fn has_stdout_failed() -> bool {
    lock(&PRINTER.stdout_error).is_some()
}

/// Waits until [`is_full`] or [`has_stdout_failed`] may have changed.
pub(crate) async fn changed() {
    PRINTER.changed.notified().await;
}

/// Starts a drawing; returns `None` if the last one has not ended, or if drawing takes too much
/// time.
pub(crate) fn start_drawing() -> Option<StartedDrawing> {
    let may_start = lock(&PRINTER.pace).start(TokioClock::new().monotonic());
    may_start.then(|| StartedDrawing { began: processor_time() })
}

/// Removes the live tree from the screen.
pub(crate) fn remove_tree() {
    PRINTER.print(Item::RemoveTree);
}

/// A drawing that was started, and since when this thread works on it.
pub(crate) struct StartedDrawing {
    began: Duration,
}

impl StartedDrawing {
    /// Draws what `make` returns. It is called by the writing thread.
    pub(crate) fn finish(self, make: impl FnOnce() -> Drawing + Send + 'static) {
        let took = processor_time().saturating_sub(self.began);
        PRINTER.print(Item::Draw { make: Box::new(make), took });
    }
}

impl Printer {
    const fn new() -> Self {
        Self {
            queue: Mutex::new(Queue::new()),
            has_items: Condvar::new(),
            changed: Notify::const_new(),
            pace: Mutex::new(Pace::new()),
            stdout_error: Mutex::new(None),
        }
    }

    /// Calls `run` in the writing thread. A panic is an error of stdout, because the results that
    /// wait are lost. Other threads then write their messages to stderr themselves.
    fn catch_panic(&self, run: impl FnOnce(&Self)) {
        if catch_unwind(AssertUnwindSafe(|| run(self))).is_err() {
            let error = io::Error::other("the thread that writes the output has panicked");
            *lock(&self.stdout_error) = Some(error);
            lock(&self.queue).abandon();
            self.changed.notify_one();
        }
    }

    /// Queues an item, or writes it if no thread is running.
    fn print(&self, item: Item) {
        let rejected = lock(&self.queue).push(item);
        match rejected {
            None => self.has_items.notify_one(),
            Some(item) => self.write(item, &mut None),
        }
    }

    /// Writes what is queued until the queue is closed and empty.
    fn run(&self) {
        let mut screen = None;
        let mut queue = lock(&self.queue);
        loop {
            if let Some(item) = queue.pop() {
                drop(queue);
                self.write(item, &mut screen);
                queue = lock(&self.queue);
                if queue.end_write() {
                    self.changed.notify_one();
                }
            } else if let Some(screen) = screen.as_mut().filter(|screen| screen.is_hidden()) {
                drop(queue);
                self.restore(screen);
                queue = lock(&self.queue);
            } else if queue.is_open() {
                queue = self.has_items.wait(queue).unwrap_or_else(PoisonError::into_inner);
            } else {
                break;
            }
        }
    }

    /// Writes an item. Errors of stderr are ignored: the terminal may be closed.
    fn write(&self, item: Item, screen: &mut Option<Screen>) {
        match item {
            Item::Progress(text) | Item::Stderr(text) => {
                self.hide(screen);
                let _ = io::stderr().write_all(&text);
            }
            Item::Stdout(bytes) => {
                self.hide(screen);
                self.write_stdout(&bytes);
            }
            Item::Draw { make, took } => {
                let began = processor_time();
                // A panic here must not lose the results. Its message is already printed.
                let drawing = catch_unwind(AssertUnwindSafe(make));
                if let Ok(drawing) = drawing {
                    screen.get_or_insert_with(Screen::new).draw(drawing);
                }
                let took = took + processor_time().saturating_sub(began);
                lock(&self.pace).end(TokioClock::new().monotonic(), took);
            }
            Item::RemoveTree => {
                if let Some(mut screen) = screen.take() {
                    screen.remove();
                }
            }
        }
    }

    fn write_stdout(&self, bytes: &[u8]) {
        if lock(&self.stdout_error).is_some() {
            return;
        }
        let mut stdout = io::stdout();
        if let Err(error) = stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            *lock(&self.stdout_error) = Some(error);
            self.changed.notify_one();
        }
    }

    /// Removes the tree from the screen while something is printed.
    fn hide(&self, screen: &mut Option<Screen>) {
        if let Some(screen) = screen {
            self.measure(|| screen.hide());
        }
    }

    /// Draws the tree again. If much is printed, it comes back with the next drawing instead.
    fn restore(&self, screen: &mut Screen) {
        if lock(&self.pace).is_over(TokioClock::new().monotonic()) {
            self.measure(|| screen.restore());
        } else {
            screen.forget_hidden();
        }
    }

    fn measure(&self, draw: impl FnOnce()) {
        let began = processor_time();
        draw();
        let took = processor_time().saturating_sub(began);
        lock(&self.pace).add(TokioClock::new().monotonic(), took);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the processor time of this thread.
#[cfg(unix)]
fn processor_time() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

/// Returns the time on the clock.
#[cfg(not(unix))]
fn processor_time() -> Duration {
    TokioClock::new().monotonic()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_the_thread_is_an_error_of_stdout_and_nothing_hangs() {
        let printer = Printer::new();
        lock(&printer.queue).open();
        printer.print(Item::Stdout(vec![b'\n'; 64 << 20]));
        assert!(lock(&printer.queue).is_full());
        printer.catch_panic(|printer| {
            let _queue = printer.queue.lock();
            panic!("a test");
        });
        printer.changed.notified().await;
        let is_open_or_full = {
            let queue = lock(&printer.queue);
            (queue.is_open(), queue.is_full())
        };
        assert_eq!(is_open_or_full, (false, false));
        // A later result is not written after the gap.
        printer.print(Item::Stdout(b"not written".into()));
        let error = lock(&printer.stdout_error).take().unwrap();
        assert_eq!(error.to_string(), "the thread that writes the output has panicked");
        // Without a panic, the thread ends when the queue is closed and empty.
        printer.catch_panic(Printer::run);
        assert!(lock(&printer.stdout_error).is_none());
    }
}
