//! Connections of which one operation fails. Operations are counted over all connections.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
};

use futures_util::future::BoxFuture;
use http::Uri;
use job_transport::{AsyncStream, Connect};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureMode {
    /// The peer reset the connection.
    Reset,
    /// The connection ends in peace: a read finds its end, and a write a closed pipe.
    End,
    /// The operating system gave up.
    TimedOut,
    /// It never completes, and the connection's later ones do not either.
    Stall,
    /// A byte arrives, or leaves, that is another.
    Corrupt,
    /// One byte at a time arrives, or leaves, from then on.
    Trickle,
}

impl FailureMode {
    pub(crate) const ALL: [Self; 6] =
        [Self::Reset, Self::End, Self::TimedOut, Self::Stall, Self::Corrupt, Self::Trickle];

    fn error(self) -> io::Error {
        io::Error::from(match self {
            Self::TimedOut => io::ErrorKind::TimedOut,
            Self::End => io::ErrorKind::BrokenPipe,
            _ => io::ErrorKind::ConnectionReset,
        })
    }
}

/// Dials over TCP, and lets one operation of all that follow fail.
#[derive(Clone)]
pub(crate) struct FlakyConnector {
    failing_operation: u32,
    mode: FailureMode,
    operations: Arc<AtomicU32>,
    broken: Arc<AtomicBool>,
}

impl FlakyConnector {
    /// Lets the operation of this number fail, the first being 0.
    pub(crate) fn new(failing_operation: u32, mode: FailureMode) -> Self {
        Self { failing_operation, mode, operations: Arc::default(), broken: Arc::default() }
    }

    /// Returns whether there was an operation of that number.
    pub(crate) fn has_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Counts an operation, and returns whether it is the one to fail.
    fn count_operation(&self) -> bool {
        let is_due = self.operations.fetch_add(1, Ordering::Relaxed) == self.failing_operation;
        self.broken.fetch_or(is_due, Ordering::Relaxed);
        is_due
    }
}

impl Connect for FlakyConnector {
    fn connect(&self, host: Uri) -> BoxFuture<'_, io::Result<Box<dyn AsyncStream>>> {
        Box::pin(async move {
            if self.count_operation() {
                match self.mode {
                    FailureMode::Stall => std::future::pending().await,
                    how => return Err(how.error()),
                }
            }
            let authority = host.authority().ok_or(io::ErrorKind::InvalidInput)?;
            let stream = TcpStream::connect(authority.as_str()).await?;
            // Or the kernel waits, and the paused clock runs ahead meanwhile.
            stream.set_nodelay(true)?;
            let flaky = self.clone();
            Ok(Box::new(Connection { stream, flaky, lasting_failure: None })
                as Box<dyn AsyncStream>)
        })
    }
}

struct Connection {
    stream: TcpStream,
    flaky: FlakyConnector,
    /// What befell it, where that goes on.
    lasting_failure: Option<FailureMode>,
}

impl Connection {
    /// Returns what befalls the next operation that would complete.
    fn next_failure(&mut self) -> Option<FailureMode> {
        if self.flaky.count_operation() {
            let lasts = matches!(self.flaky.mode, FailureMode::Stall | FailureMode::Trickle);
            self.lasting_failure =
                self.lasting_failure.or_else(|| lasts.then_some(self.flaky.mode));
            return Some(self.flaky.mode);
        }
        self.lasting_failure
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.lasting_failure == Some(FailureMode::Stall) {
            return Poll::Pending;
        }
        // Only what completes counts as an operation: how often one is asked for is chance.
        ready!(self.stream.poll_read_ready(context))?;
        match self.next_failure() {
            None => Pin::new(&mut self.stream).poll_read(context, buffer),
            Some(FailureMode::Stall) => Poll::Pending,
            Some(FailureMode::End) => Poll::Ready(Ok(())),
            Some(FailureMode::Trickle) => {
                let mut byte = [0];
                let mut one = ReadBuf::new(&mut byte);
                ready!(Pin::new(&mut self.stream).poll_read(context, &mut one))?;
                buffer.put_slice(one.filled());
                Poll::Ready(Ok(()))
            }
            Some(FailureMode::Corrupt) => {
                let before = buffer.filled().len();
                ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
                if let Some(byte) = buffer.filled_mut()[before..].last_mut() {
                    *byte ^= 1;
                }
                Poll::Ready(Ok(()))
            }
            Some(how) => Poll::Ready(Err(how.error())),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.lasting_failure == Some(FailureMode::Stall) {
            return Poll::Pending;
        }
        ready!(self.stream.poll_write_ready(context))?;
        match self.next_failure() {
            None => Pin::new(&mut self.stream).poll_write(context, bytes),
            Some(FailureMode::Stall) => Poll::Pending,
            Some(FailureMode::Trickle) => {
                Pin::new(&mut self.stream).poll_write(context, &bytes[..bytes.len().min(1)])
            }
            Some(FailureMode::Corrupt) => {
                let mut spoilt = bytes.to_vec();
                if let Some(byte) = spoilt.last_mut() {
                    *byte ^= 1;
                }
                Pin::new(&mut self.stream).poll_write(context, &spoilt)
            }
            Some(how) => Poll::Ready(Err(how.error())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
