//! Why the service refused a signed request (401), from the words of its reply.

use jiff::{Timestamp, civil::DateTime, tz::Offset};
use job_model::ServiceError;
use serde::{Deserialize, Serialize};

use super::gateway_code::has_gateway_code;

/// Why the service refused a signed request (401).
///
/// Most causes share one error code (`APIGW.0301`), so they are distinguished by the service's
/// words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RefusalCause {
    /// The signature does not match the request, usually because the secret key is wrong.
    WrongSignature,
    /// The access key does not exist at this service.
    UnknownKey,
    /// The service has locked the access key for five minutes, because of too many wrong
    /// signatures.
    KeyLocked,
    /// The time of the signature differs too much from the service's time.
    Clock,
    /// The temporary key, or its security token, has expired.
    TemporaryKeyExpired,
    /// The account is frozen, for example because of unpaid bills.
    AccountFrozen,
    /// The reply has an error code for another cause.
    Other,
    /// The reply states no cause, or it was cut off.
    Unexplained,
}

/// The words of each cause, in lower case. The first cause with one of its phrases is used.
const PHRASES: &[(RefusalCause, &[&str])] = &[
    (RefusalCause::KeyLocked, &["reach the limit", "locked"]),
    (
        RefusalCause::UnknownKey,
        &[
            "ak not exist",
            "ak does not exist",
            "key not exist",
            "key does not exist",
            "no such access key",
        ],
    ),
    (
        RefusalCause::TemporaryKeyExpired,
        &[
            "securitytoken expire",
            "securitytoken is expired",
            "securitytoken has expired",
            "security token expire",
            "security token is expired",
            "security token has expired",
            "decrypt token fail",
        ],
    ),
    (RefusalCause::AccountFrozen, &["frozen", "freeze", "arrears"]),
    (
        RefusalCause::Clock,
        &["signature expire", "signature is expired", "signature has expired", "timestamp expire"],
    ),
    (RefusalCause::WrongSignature, &["signature fail", "signature does not match"]),
];

/// The gateway's code for most causes. It means a wrong signature if the words name no other cause.
const REFUSED_SIGNATURE: &str = "0301";

impl RefusalCause {
    /// Returns the cause as one word, for example for a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WrongSignature => "wrong_signature",
            Self::UnknownKey => "unknown_key",
            Self::KeyLocked => "key_locked",
            Self::Clock => "clock",
            Self::TemporaryKeyExpired => "temporary_key_expired",
            Self::AccountFrozen => "account_frozen",
            Self::Other => "other",
            Self::Unexplained => "unexplained",
        }
    }

    /// Reads the cause from the error body of a reply with status 401.
    pub(crate) fn from_service_error(error: Option<&ServiceError>) -> Self {
        let Some(error) = error else { return Self::Unexplained };
        let words: Vec<String> = statements(error).map(str::to_ascii_lowercase).collect();
        let says = |phrase: &&str| words.iter().any(|text| text.contains(*phrase));
        let is_stated = |(_, phrases): &&(Self, &[&str])| phrases.iter().any(says);
        if let Some((cause, _)) = PHRASES.iter().find(is_stated) {
            return *cause;
        }
        // The code of a body that was cut off is part of its text.
        let is_cut_off = ["apigw.0301", "apig.0301"].iter().any(says);
        if has_gateway_code(error, REFUSED_SIGNATURE) || is_cut_off {
            Self::WrongSignature
        } else if error.codes().is_empty() {
            Self::Unexplained
        } else {
            Self::Other
        }
    }

    /// Returns whether another request with the same key would be refused as well, and would count
    /// towards the limit of wrong signatures that locks the key.
    pub(crate) const fn blocks_key(self) -> bool {
        match self {
            Self::WrongSignature | Self::UnknownKey | Self::KeyLocked | Self::Unexplained => true,
            Self::Clock | Self::TemporaryKeyExpired | Self::AccountFrozen | Self::Other => false,
        }
    }

    /// Returns what is wrong and what to do, or `None` if only the service's own text says it.
    pub(crate) const fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::WrongSignature => "the signature is wrong: check the secret key",
            Self::UnknownKey => {
                "the access key does not exist: check the access key and the region"
            }
            Self::KeyLocked => {
                "the service has locked the access key for five minutes, because of too many wrong signatures"
            }
            Self::Clock => "the signature's time is wrong: correct this machine's clock",
            Self::TemporaryKeyExpired => "the temporary key has expired: get a new one",
            Self::AccountFrozen => {
                "the account is frozen: check its balance and its state in the console"
            }
            Self::Unexplained => {
                "the reply does not say why: check the access key and the secret key"
            }
            Self::Other => return None,
        })
    }
}

/// Returns the service's own words. The gateway repeats the request in its canonical form after
/// them, and a job's id in it could be any word.
fn statements(error: &ServiceError) -> impl Iterator<Item = &str> {
    error.messages().iter().map(|message| {
        let lower = message.to_ascii_lowercase();
        let end = lower.find("canonical request").unwrap_or(message.len());
        message.get(..end).unwrap_or(message)
    })
}

/// Returns the service's time, if the error body states it, for example as
/// `server time:20230221T022530Z`.
///
/// `signed_at` is the signature's own time, which such a body may state, too.
pub(crate) fn stated_server_time(error: &ServiceError, signed_at: Timestamp) -> Option<Timestamp> {
    let after_server = |text: &str| {
        let lower = text.to_ascii_lowercase();
        times(text.get(lower.find("server")?..)?).next()
    };
    statements(error).find_map(after_server).or_else(|| {
        let is_own = |time: &Timestamp| time.as_second() == signed_at.as_second();
        let mut others = statements(error).flat_map(times).filter(|time| !is_own(time));
        let first = others.next()?;
        others.all(|other| other == first).then_some(first)
    })
}

/// Returns the times in a text.
fn times(text: &str) -> impl Iterator<Item = Timestamp> + '_ {
    let is_digit = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    let starts = (0..text.len()).filter(move |at| is_digit(*at) && (*at == 0 || !is_digit(at - 1)));
    starts.filter_map(|start| {
        let basic = || DateTime::strptime("%Y%m%dT%H%M%SZ", text.get(start..start + 16)?).ok();
        let spaced = || DateTime::strptime("%Y-%m-%d %H:%M:%S", text.get(start..start + 19)?).ok();
        let extended =
            || DateTime::strptime("%Y-%m-%dT%H:%M:%S", text.get(start..start + 19)?).ok();
        let time = basic().or_else(spaced).or_else(extended)?;
        Offset::UTC.to_timestamp(time).ok()
    })
}

#[cfg(test)]
mod tests;
