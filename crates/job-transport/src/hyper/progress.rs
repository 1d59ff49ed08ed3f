//! The progress of an attempt: its stage for a timeout, and an error response whose body is read.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_ENCODING, response::Parts};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::CaptureConnection;

use crate::transport::{TimeoutStage, TransportError};

/// Timeout for the body of an error response. It is much less than the attempt timeout of a wait
/// (30 s), so that the status is known before the wait drops the request.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// The progress of an attempt.
#[derive(Default)]
pub(super) struct AttemptProgress {
    pub(super) stage: AttemptStage,
    /// Set as soon as the head of an error response has arrived. From then on the attempt cannot
    /// fail, because the status counts even if the body does not arrive.
    error_response: Option<ErrorResponse>,
}

/// The stage of an attempt.
#[derive(Default)]
pub(super) enum AttemptStage {
    #[default]
    Queued,
    /// There was no connection. The capture reports when there is one.
    Connecting(CaptureConnection),
    /// There was a connection when the attempt began. If it has closed since, and opening another
    /// one times out, the connector returns that error.
    Sending,
    Reading,
}

/// A response whose status is not a success, with as much of its body as was read.
struct ErrorResponse {
    head: Parts,
    body: BytesMut,
}

impl AttemptProgress {
    /// Reads the body of an error response: at most `max_len` bytes, until it ends, fails or
    /// stalls. A compressed body is not read.
    pub(super) async fn read_error_response(
        &mut self,
        head: Parts,
        body: Incoming,
        max_len: usize,
    ) -> Result<Response<Bytes>, TransportError> {
        let is_encoded = is_encoded(&head.headers);
        let response = self.error_response.insert(ErrorResponse { head, body: BytesMut::new() });
        if !is_encoded {
            let reading = read_available(body, &mut response.body, max_len);
            // After the timeout, what was read is used.
            let _ = tokio::time::timeout(ERROR_BODY_TIMEOUT, reading).await;
        }
        self.cut_off()
    }

    /// Ends the attempt now. Returns the error response if its head has arrived, or else the error
    /// of a timeout at the current stage.
    pub(super) fn cut_off(&mut self) -> Result<Response<Bytes>, TransportError> {
        match self.error_response.take() {
            Some(ErrorResponse { head, body }) => Ok(Response::from_parts(head, body.freeze())),
            None => Err(TransportError::timeout(self.stage.timeout_stage())),
        }
    }
}

impl AttemptStage {
    fn timeout_stage(&self) -> TimeoutStage {
        match self {
            Self::Queued => TimeoutStage::Queue,
            Self::Connecting(capture) if capture.connection_metadata().is_none() => {
                TimeoutStage::Connect
            }
            Self::Connecting(_) | Self::Sending => TimeoutStage::Reply,
            Self::Reading => TimeoutStage::Body,
        }
    }
}

/// Appends the body to `read` until it ends, fails, or has `max_len` bytes.
async fn read_available(mut body: Incoming, read: &mut BytesMut, max_len: usize) {
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else { continue };
        let rest = max_len.saturating_sub(read.len());
        read.extend_from_slice(&data[..data.len().min(rest)]);
        if data.len() >= rest {
            return;
        }
    }
}

/// Returns whether a body is compressed.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    let encoding = headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
    encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity"))
}
