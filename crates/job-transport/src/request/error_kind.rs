//! The kinds of errors of an attempt, as plain data.

use serde::{Deserialize, Serialize};

use super::error_class::ErrorClass;
use crate::transport::TransportErrorKind;

/// What happened in an attempt that returned no job, list of jobs, cluster or node.
///
/// This is plain data with a serde form. [`FetchError`](super::FetchError) has the details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FetchErrorKind {
    /// The provider returned no credentials, or could not replace refused ones.
    Credentials,
    /// The credentials provider took longer than its timeout.
    CredentialsTimeout,
    /// The service refused a signature of the access key, now or less than five minutes ago, in
    /// this process or another one. No request is signed with this key for that time, because a few
    /// more wrong signatures lock it.
    WrongSignature,
    /// Neither the client nor the credentials have a project id, or the lookup of the project's name
    /// did not return exactly one.
    NoProject,
    /// The request, or the request for a token, got no complete reply.
    Transport(TransportErrorKind),
    /// The reply has this status, which is not 200.
    Status(u16),
    /// The reply has status 200 and an empty body.
    EmptyBody,
    /// The reply has status 200, and its body is an HTML page, for example of a proxy or a login.
    HtmlPage,
    /// The reply has status 200, and its body cannot be decoded.
    Undecodable,
    /// The reply has status 200, and its body is something else than the requested job, list of jobs,
    /// cluster or node: an object of another kind, a job of another service, or an error.
    WrongKind,
    /// The identity service, or another one that issues credentials, accepted the request, but its
    /// reply has no token or key.
    NoToken,
    /// The reply is another job, cluster or node: it has another uid. Only a wait checks this.
    WrongJob,
}

impl FetchErrorKind {
    /// Returns how to react to an error of this kind.
    ///
    /// | kind | class |
    /// |---|---|
    /// | `Transport` with `InvalidRequest`, `ProxyAuthentication`, `Certificate`, `ClientCertificateRequired`, `BodyTooLarge` | `Permanent` |
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
                | TransportErrorKind::EncodedBody
                | TransportErrorKind::Other => ErrorClass::Transient,
                TransportErrorKind::InvalidRequest
                | TransportErrorKind::ProxyAuthentication
                | TransportErrorKind::Certificate
                | TransportErrorKind::ClientCertificateRequired
                | TransportErrorKind::BodyTooLarge => ErrorClass::Permanent,
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

    /// Returns whether the reply has a success status and an unusable body.
    #[must_use]
    pub const fn is_unreadable(self) -> bool {
        matches!(
            self,
            Self::EmptyBody | Self::HtmlPage | Self::Undecodable | Self::WrongKind | Self::NoToken
        )
    }

    /// Returns the kind as one word, for example for a metric label.
    ///
    /// For [`Transport`](Self::Transport) it is the word of its kind
    /// ([`TransportErrorKind::as_str`]), such as `dns`. For [`Status`](Self::Status) it is `status`,
    /// without the number. Each kind has a word of its own.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::CredentialsTimeout => "credentials_timeout",
            Self::WrongSignature => "wrong_signature",
            Self::NoProject => "no_project",
            Self::Transport(kind) => kind.as_str(),
            Self::Status(_) => "status",
            Self::EmptyBody => "empty_body",
            Self::HtmlPage => "html_page",
            Self::Undecodable => "undecodable",
            Self::WrongKind => "wrong_kind",
            Self::NoToken => "no_token",
            Self::WrongJob => "wrong_job",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_has_a_stable_word_of_its_own() {
        use FetchErrorKind as Kind;
        use TransportErrorKind as Transport;
        let rows = [
            (Kind::Credentials, "credentials"),
            (Kind::CredentialsTimeout, "credentials_timeout"),
            (Kind::WrongSignature, "wrong_signature"),
            (Kind::NoProject, "no_project"),
            (Kind::Status(503), "status"),
            (Kind::EmptyBody, "empty_body"),
            (Kind::HtmlPage, "html_page"),
            (Kind::Undecodable, "undecodable"),
            (Kind::WrongKind, "wrong_kind"),
            (Kind::NoToken, "no_token"),
            (Kind::WrongJob, "wrong_job"),
            (Kind::Transport(Transport::InvalidRequest), "invalid_request"),
            (Kind::Transport(Transport::LocalResource), "local_resource"),
            (Kind::Transport(Transport::Dns), "dns"),
            (Kind::Transport(Transport::Connect), "connect"),
            (Kind::Transport(Transport::Proxy), "proxy"),
            (Kind::Transport(Transport::ProxyAuthentication), "proxy_authentication"),
            (Kind::Transport(Transport::ClientCertificateRequired), "client_certificate_required"),
            (Kind::Transport(Transport::Certificate), "certificate"),
            (Kind::Transport(Transport::Tls), "tls"),
            (Kind::Transport(Transport::Timeout), "timeout"),
            (Kind::Transport(Transport::StreamRefused), "stream_refused"),
            (Kind::Transport(Transport::Closed), "closed"),
            (Kind::Transport(Transport::Protocol), "protocol"),
            (Kind::Transport(Transport::BodyTooLarge), "body_too_large"),
            (Kind::Transport(Transport::EncodedBody), "encoded_body"),
            (Kind::Transport(Transport::Other), "other"),
        ];
        for (kind, word) in rows {
            assert_eq!(kind.as_str(), word, "{kind:?}");
        }
        let words: BTreeSet<_> = rows.iter().map(|(_, word)| word).collect();
        assert_eq!(words.len(), rows.len());
    }
}
