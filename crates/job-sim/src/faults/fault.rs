//! What can apply to a request in place of its answer, and how that is written. Carries nothing itself.

use std::{str::FromStr, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode};

/// What applies to one request, or one connection, in place of what it asks for.
///
/// | written | is | the client sees |
/// |---|---|---|
/// | `refuse` | [`Refuse`](Self::Refuse) | the next connection closed as soon as it is there |
/// | `stall-handshake` | [`StallHandshake`](Self::StallHandshake) | the next connection without an answer to its TLS |
/// | `reset` | [`Reset`](Self::Reset) | the connection reset in place of a reply |
/// | `stall` | [`Stall`](Self::Stall) | no reply |
/// | `stall-body` | [`StallBody`](Self::StallBody) | half the body, and no more |
/// | `truncated` | [`Truncated`](Self::Truncated) | half the body, then its end: of the connection, over HTTP/2 of the stream |
/// | `goaway` | [`GoAway`](Self::GoAway) | the reply, and then the connection drained |
/// | `oversized`, `oversized:BYTES` | [`Oversized`](Self::Oversized) | a body of so many bytes; 16 MiB |
/// | `garbage` | [`Garbage`](Self::Garbage) | 200 and JSON that breaks off |
/// | `html` | [`HtmlPage`](Self::HtmlPage) 200 | 200 and a page of HTML |
/// | `page:CODE` | [`HtmlPage`](Self::HtmlPage) | that status and a page of HTML; a redirect for 3xx |
/// | `CODE` | [`ErrorReply`](Self::ErrorReply) | that status with its documented body |
/// | `throttled:SECONDS` | [`Throttled`](Self::Throttled) | 429 with a `Retry-After` |
/// | `wrong-uid` | [`WrongUid`](Self::WrongUid) | another job |
/// | `stale:SECONDS` | [`Stale`](Self::Stale) | the job as it was so long before |
/// | `phase-back` | [`PhaseBack`](Self::PhaseBack) | the job in an earlier phase |
/// | `phase:TEXT` | [`Phase`](Self::Phase) | the job in that phase, which need not exist |
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
    /// The next connection is closed as soon as it is there. In memory, where each request has a
    /// connection of its own, it is refused. For a port where nobody listens, a server is killed.
    Refuse,
    /// The next connection is accepted, and nothing comes back on it.
    StallHandshake,
    /// The connection ends without a reply.
    Reset,
    /// The request is never answered.
    Stall,
    /// The reply stops within its body.
    StallBody,
    /// The connection ends within the reply's body; over HTTP/2 the stream does.
    Truncated,
    /// The request is answered, and then the connection takes no other (GOAWAY over HTTP/2).
    GoAway,
    /// The service answers 200 with a body of so many bytes, 1 GiB at most.
    Oversized(usize),
    /// The service answers 200 with JSON that breaks off.
    Garbage,
    /// The gateway answers this status, with an HTML page; a redirect leads to the same request.
    HtmlPage(StatusCode),
    /// The service, or the gateway before it, answers this status with the body and the code that
    /// are documented for it.
    ErrorReply(StatusCode),
    /// The gateway answers 429 and asks for a pause, in whole seconds.
    Throttled(Duration),
    /// The job comes under another id than its own.
    WrongUid,
    /// The reply is a replica's that is so far behind.
    Stale(Duration),
    /// The job is in the phase before its own.
    PhaseBack,
    /// The job is in this phase.
    Phase(String),
    /// The service answers this, whatever was asked.
    Reply(Response<Bytes>),
    /// The service answers 200 with what arrived of the request, as JSON: `method`, `target` (path
    /// and query), `headers` (pairs), `body`; each byte of a value is a character.
    Echo,
}

impl Fault {
    /// How faults are written, in one line.
    pub const SYNTAX: &'static str = "refuse, stall-handshake, reset, stall, stall-body, truncated, \
        goaway, oversized[:BYTES], garbage, html, page:CODE, CODE, throttled:SECONDS, wrong-uid, \
        stale:SECONDS, phase-back, phase:TEXT";

    /// Returns whether it applies to a connection, and not a request on one.
    pub(crate) const fn is_connection_fault(&self) -> bool {
        matches!(self, Self::Refuse | Self::StallHandshake)
    }

    /// Reads what applies to one request after another: names with commas between, where `ok` is no
    /// fault and `3*reset` is three of them.
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
    /// Where a name is none of those in the table, or there are more than 100,000.
    pub fn parse_script(text: &str) -> Result<Vec<Option<Self>>, FaultError> {
        let mut script = Vec::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let (times, name) = name.split_once('*').unwrap_or(("1", name));
            let times: usize = times.trim().parse().map_err(|_| FaultError::new(times))?;
            if script.len().saturating_add(times) > MAX_SCRIPT_LEN {
                return Err(FaultError { text: format!("more than {MAX_SCRIPT_LEN} faults") });
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
                "wrong-uid" => Some(Self::WrongUid),
                "phase-back" => Some(Self::PhaseBack),
                code => status(code).map(Self::ErrorReply),
            },
        };
        fault.ok_or_else(|| FaultError::new(text))
    }
}

/// A text that names no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such fault: {text}; there are {}", Fault::SYNTAX)]
pub struct FaultError {
    text: String,
}

impl FaultError {
    fn new(text: &str) -> Self {
        let text = text.chars().take(40).flat_map(char::escape_debug).collect();
        Self { text }
    }
}

/// How a body is larger than anyone reads, where its size is not given.
const DEFAULT_OVERSIZED_BODY_LEN: usize = 16 << 20;

/// The largest body, for it is made in memory.
pub(crate) const MAX_OVERSIZED_BODY_LEN: usize = 1 << 30;

const MAX_SCRIPT_LEN: usize = 100_000;

#[cfg(test)]
mod tests;
