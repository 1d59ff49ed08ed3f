//! How far an attempt got that has no reading, as plain data.

use serde::{Deserialize, Serialize};

use super::error_class::ErrorClass;
use crate::transport::TransportErrorKind;

/// How far an attempt got that has no reading, and why no further.
///
/// It is plain data. What else is known is in the [`FetchError`](super::FetchError).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FetchErrorKind {
    /// The provider has no credentials, or none in place of those that the service refused.
    Credentials,
    /// The provider of credentials took longer than its timeout.
    CredentialsTimeout,
    /// The service refused the signature, now or earlier. No later request is signed with this key,
    /// because a few more wrong signatures lock it.
    WrongSignature,
    /// The client has no project, and the credentials name none.
    NoProject,
    /// No reply came, to the request for the job or to the request for credentials.
    Transport(TransportErrorKind),
    /// A reply came with this status, which is not 200.
    Status(u16),
    /// A reply came with status 200 and an empty body.
    EmptyBody,
    /// A reply came with status 200, and its body is a page of HTML: a proxy's or a login's.
    HtmlPage,
    /// A reply came with status 200, and its body cannot be decoded.
    Undecodable,
    /// A reply came with status 200, and its body is an object of another kind.
    WrongKind,
    /// The identity service's reply to a login has no token.
    NoToken,
    /// A reply came with the job of another uid. Only a wait finds this out.
    WrongJob,
}

impl FetchErrorKind {
    /// Returns how to react to an error of which only the kind is known.
    ///
    /// | kind | class |
    /// |---|---|
    /// | `Transport` with `InvalidRequest`, `Certificate`, `BodyTooLarge`, `EncodedBody` | `Permanent` |
    /// | every other `Transport` | `Transient` |
    /// | `Status` 408, 409, 425, and 500 to 599 except 501 and 505 | `Transient` |
    /// | `Status` 429 | `Throttled` |
    /// | `Status` 401 | `Unauthorized` |
    /// | `Status` 404 | `NotFound` |
    /// | every other `Status`, 204 and redirects included | `Permanent` |
    /// | `EmptyBody`, `HtmlPage`, `Undecodable`, `WrongKind`, `NoToken`, `WrongJob` | `Transient` |
    /// | `Credentials`, `WrongSignature` | `Unauthorized` |
    /// | `CredentialsTimeout` | `Transient` |
    /// | `NoProject` | `Permanent` |
    #[must_use]
    pub const fn class(self) -> ErrorClass {
        match self {
            Self::Credentials | Self::WrongSignature => ErrorClass::Unauthorized,
            Self::CredentialsTimeout => ErrorClass::Transient,
            Self::NoProject => ErrorClass::Permanent,
            Self::Transport(kind) => match kind {
                TransportErrorKind::LocalResource
                | TransportErrorKind::Dns
                | TransportErrorKind::Connect
                | TransportErrorKind::Proxy
                | TransportErrorKind::Tls
                | TransportErrorKind::Timeout
                | TransportErrorKind::StreamRefused
                | TransportErrorKind::Closed
                | TransportErrorKind::Protocol
                | TransportErrorKind::Other => ErrorClass::Transient,
                TransportErrorKind::InvalidRequest
                | TransportErrorKind::Certificate
                | TransportErrorKind::BodyTooLarge
                | TransportErrorKind::EncodedBody => ErrorClass::Permanent,
            },
            Self::Status(status) => match status {
                408 | 409 | 425 => ErrorClass::Transient,
                429 => ErrorClass::Throttled,
                401 => ErrorClass::Unauthorized,
                404 => ErrorClass::NotFound,
                501 | 505 => ErrorClass::Permanent,
                500..=599 => ErrorClass::Transient,
                _ => ErrorClass::Permanent,
            },
            Self::EmptyBody
            | Self::HtmlPage
            | Self::Undecodable
            | Self::WrongKind
            | Self::NoToken
            | Self::WrongJob => ErrorClass::Transient,
        }
    }

    /// Returns whether a reply came whose status means success and whose body is of no use.
    #[must_use]
    pub const fn is_unreadable(self) -> bool {
        matches!(
            self,
            Self::EmptyBody | Self::HtmlPage | Self::Undecodable | Self::WrongKind | Self::NoToken
        )
    }
}
