//! Defines the faults that can replace the answer to a request, and their syntax.

use std::{str::FromStr, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode};

/// A fault that replaces or changes the answer to one request, or affects one connection.
///
/// | syntax | variant | the client sees |
/// |---|---|---|
/// | `refuse` | [`Refuse`](Self::Refuse) | the next connection is closed as soon as it is established |
/// | `stall-handshake` | [`StallHandshake`](Self::StallHandshake) | the next connection never answers the TLS handshake |
/// | `reset` | [`Reset`](Self::Reset) | the connection is reset instead of a reply |
/// | `stall` | [`Stall`](Self::Stall) | no reply |
/// | `stall-body` | [`StallBody`](Self::StallBody) | half of the body, and then nothing |
/// | `truncated` | [`Truncated`](Self::Truncated) | half of the body, then the end of the connection (HTTP/2: of the stream) |
/// | `truncated:CODE` | [`TruncatedError`](Self::TruncatedError) | the given status and half of its documented body, then the end of the connection |
/// | `goaway` | [`GoAway`](Self::GoAway) | the reply, and then the connection is drained |
/// | `oversized`, `oversized:BYTES` | [`Oversized`](Self::Oversized) | a body of 16 MiB, or of the given size |
/// | `garbage` | [`Garbage`](Self::Garbage) | status 200 with truncated JSON |
/// | `html` | [`HtmlPage`](Self::HtmlPage) | status 200 with an HTML page |
/// | `page:CODE` | [`HtmlPage`](Self::HtmlPage) | the given status with an HTML page; for 3xx, a redirect |
/// | `CODE` | [`ErrorReply`](Self::ErrorReply) | the given status with its documented body |
/// | `wrong-path` | [`WrongPath`](Self::WrongPath) | 404 with the gateway's code for a path that no service has |
/// | `throttled:SECONDS` | [`Throttled`](Self::Throttled) | 429 with a `Retry-After` |
/// | `wrong-uid` | [`WrongUid`](Self::WrongUid) | the job, cluster or node with another id |
/// | `stale:SECONDS` | [`Stale`](Self::Stale) | the job, cluster or node as it was the given time before |
/// | `phase-back` | [`PhaseBack`](Self::PhaseBack) | the job, cluster or node in an earlier phase |
/// | `phase:TEXT` | [`Phase`](Self::Phase) | the job, cluster or node in the given phase, known or unknown |
///
/// ```
/// use http::StatusCode;
/// use job_sim::Fault;
///
/// assert!(matches!("503".parse(), Ok(Fault::ErrorReply(StatusCode::SERVICE_UNAVAILABLE))));
/// assert!("sometimes".parse::<Fault>().is_err());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The next connection is closed as soon as it is established.
    ///
    /// In memory, each request has its own connection, which is refused. To test a port without a
    /// listener, kill the server instead.
    Refuse,
    /// The next connection is accepted, but the server never answers on it.
    StallHandshake,
    /// The connection is reset without a reply.
    Reset,
    /// The request is never answered.
    Stall,
    /// The reply stalls in the middle of its body.
    StallBody,
    /// The connection ends in the middle of the reply's body. With HTTP/2, only the stream ends.
    Truncated,
    /// The service or its gateway answers this status, and the connection ends in the middle of the
    /// body.
    TruncatedError(StatusCode),
    /// The request is answered, and then the connection accepts no other request (GOAWAY with
    /// HTTP/2).
    GoAway,
    /// The service answers 200 with a body of this many bytes, at most 1 GiB.
    Oversized(usize),
    /// The service answers 200 with truncated JSON.
    Garbage,
    /// The gateway answers this status with an HTML page. A redirect points to the same request.
    HtmlPage(StatusCode),
    /// The service or its gateway answers this status with its documented body and error code.
    ErrorReply(StatusCode),
    /// The gateway answers 404 with `APIGW.0101`, as for a path that no service has.
    WrongPath,
    /// The gateway answers 429 with this `Retry-After`, in whole seconds.
    Throttled(Duration),
    /// The job, cluster or node is returned with another id than its own.
    WrongUid,
    /// The reply comes from a replica that lags behind by this much.
    Stale(Duration),
    /// The job is returned in the phase before its own, and a cluster or node as not ready yet.
    PhaseBack,
    /// The job, cluster or node is returned in this phase, or without a phase if the text is empty.
    Phase(String),
    /// The service answers with this reply, without looking at the request.
    Reply(Response<Bytes>),
    /// The service answers 200 with the request as it arrived, in JSON: `method`, `target` (path
    /// and query), `headers` (pairs) and `body`. Each byte of a value is shown as one character.
    Echo,
}

impl Fault {
    /// The syntax of all faults, in one line.
    pub const SYNTAX: &'static str = "refuse, stall-handshake, reset, stall, stall-body, truncated[:CODE], \
        goaway, oversized[:BYTES], garbage, html, page:CODE, CODE, wrong-path, throttled:SECONDS, \
        wrong-uid, stale:SECONDS, phase-back, phase:TEXT";

    /// Returns whether the fault applies to a connection instead of a request.
    pub(crate) const fn is_connection_fault(&self) -> bool {
        matches!(self, Self::Refuse | Self::StallHandshake)
    }

    /// Parses a comma-separated list of faults, one for each request.
    ///
    /// `ok` is a request without a fault, and `3*reset` is three resets.
    ///
    /// ```
    /// let script = job_sim::Fault::parse_script("ok, 2*reset, throttled:30")?;
    /// assert_eq!(script.len(), 4);
    /// assert!(script[0].is_none());
    /// # Ok::<(), job_sim::FaultError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if a name is not in the table, or if there are more than 100,000 entries.
    pub fn parse_script(text: &str) -> Result<Vec<Option<Self>>, FaultError> {
        let mut script = Vec::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let (times, name) = name.split_once('*').unwrap_or(("1", name));
            let times: usize = times.trim().parse().map_err(|_| FaultError::new(times))?;
            if script.len().saturating_add(times) > MAX_SCRIPT_LEN {
                return Err(FaultError {
                    message: format!("a script can have at most {MAX_SCRIPT_LEN} faults"),
                });
            }
            let fault = match name.trim() {
                "ok" => None,
                name => Some(name.parse::<Self>()?),
            };
            script.resize(script.len() + times, fault);
        }
        Ok(script)
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let seconds = |text: &str| text.parse().map(Duration::from_secs).ok();
        let status = |text: &str| text.parse().ok();
        let fault = match text.split_once(':') {
            Some(("oversized", bytes)) => bytes
                .parse()
                .ok()
                .filter(|bytes| *bytes <= MAX_OVERSIZED_BODY_LEN)
                .map(Self::Oversized),
            Some(("truncated", code)) => status(code).map(Self::TruncatedError),
            Some(("page", code)) => status(code).map(Self::HtmlPage),
            Some(("throttled", pause)) => seconds(pause).map(Self::Throttled),
            Some(("stale", lag)) => seconds(lag).map(Self::Stale),
            Some(("phase", phase)) => Some(Self::Phase(phase.into())),
            Some(_) => None,
            None => match text {
                "refuse" => Some(Self::Refuse),
                "stall-handshake" => Some(Self::StallHandshake),
                "reset" => Some(Self::Reset),
                "stall" => Some(Self::Stall),
                "stall-body" => Some(Self::StallBody),
                "truncated" => Some(Self::Truncated),
                "goaway" => Some(Self::GoAway),
                "oversized" => Some(Self::Oversized(DEFAULT_OVERSIZED_BODY_LEN)),
                "garbage" => Some(Self::Garbage),
                "html" => Some(Self::HtmlPage(StatusCode::OK)),
                "wrong-path" => Some(Self::WrongPath),
                "wrong-uid" => Some(Self::WrongUid),
                "phase-back" => Some(Self::PhaseBack),
                code => status(code).map(Self::ErrorReply),
            },
        };
        fault.ok_or_else(|| FaultError::new(text))
    }
}

/// A text that is not a valid fault or script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FaultError {
    message: String,
}

impl FaultError {
    fn new(text: &str) -> Self {
        Self::unknown(text, Fault::SYNTAX)
    }

    /// Creates the error of a text that is none of the faults with this syntax.
    pub(crate) fn unknown(text: &str, syntax: &str) -> Self {
        let text: String = text.chars().take(40).flat_map(char::escape_debug).collect();
        Self { message: format!("unknown fault: {text}; expected one of {syntax}") }
    }
}

/// The size of an oversized body, if none is given.
const DEFAULT_OVERSIZED_BODY_LEN: usize = 16 << 20;

/// The largest possible body. It is limited because the body is created in memory.
pub(crate) const MAX_OVERSIZED_BODY_LEN: usize = 1 << 30;

const MAX_SCRIPT_LEN: usize = 100_000;

#[cfg(test)]
mod tests;
