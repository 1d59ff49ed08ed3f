//! Connections in which one operation fails. The operations of all connections are counted
//! together.

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
use job_transport::hyper::{AsyncStream, Connect};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureMode {
    /// The peer reset the connection.
    Reset,
    /// The connection ends normally: a read returns the end of the stream, and a write fails with a
    /// broken pipe.
    End,
    /// The operating system reports a timeout.
    TimedOut,
    /// Neither this operation nor any later one of the connection completes.
    Stall,
    /// One bit of a byte is flipped.
    Corrupt,
    /// From now on, one byte at a time is transferred.
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

/// Connects over TCP, and makes one operation fail.
#[derive(Clone)]
pub(crate) struct FlakyConnector {
    failing_operation: u32,
    mode: FailureMode,
    operations: Arc<AtomicU32>,
    broken: Arc<AtomicBool>,
}

impl FlakyConnector {
    /// Makes operation number `failing_operation` fail, counted from 0.
    pub(crate) fn new(failing_operation: u32, mode: FailureMode) -> Self {
        Self { failing_operation, mode, operations: Arc::default(), broken: Arc::default() }
    }

    /// Returns whether that operation has happened.
    pub(crate) fn has_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Counts an operation, and returns whether it has to fail.
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
            // Without this the kernel delays small writes, and the paused clock advances meanwhile.
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
    /// The failure, if it affects later operations too.
    lasting_failure: Option<FailureMode>,
}

impl Connection {
    /// Returns how the next operation fails, if it does.
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
        // Counts only operations that complete, because the number of polls before that is random.
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
