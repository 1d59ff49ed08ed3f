//! The fields of a failed attempt in the serialized form of an event.

use std::time::Duration;

use job_transport::{ErrorClass, FetchErrorKind, transport::TransportErrorKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::super::{attempt_error::AttemptError, seconds};

/// The error of an attempt. `T` is a borrowed text or a `String`.
///
/// Whether the credentials were refreshed is a separate event.
#[derive(Serialize, Deserialize)]
struct Fields<T> {
    class: Class,
    status: Option<u16>,
    /// The kind of the error. Omitted if it follows from the class and the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    message: T,
    request_id: Option<T>,
    #[serde(default, with = "seconds::optional")]
    retry_after: Option<Duration>,
}

/// How to react to an error. Some kinds are classes of their own.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Class {
    WrongSignature,
    Mismatch,
    Unreadable,
    Transient,
    Throttled,
    Unauthorized,
    NotFound,
    Permanent,
}

pub(super) fn serialize<S: Serializer>(
    error: &AttemptError,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let (class, status) = (Class::new(error.kind, error.class), error.status());
    let kind = if class.kind(status) == error.kind { None } else { kind_name(error.kind) };
    let fields = Fields {
        class,
        status,
        kind,
        message: &*error.message,
        request_id: error.request_id.as_deref(),
        retry_after: error.retry_after,
    };
    fields.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<AttemptError, D::Error> {
    let fields = Fields::<String>::deserialize(deserializer)?;
    // A later version may have kinds that this one does not know.
    let kind = fields.kind.and_then(|name| kind_from_name(&name));
    let kind = kind.unwrap_or_else(|| fields.class.kind(fields.status));
    let mut error = AttemptError::new(kind, fields.class.error_class(kind), fields.message);
    error.request_id = fields.request_id;
    error.retry_after = fields.retry_after;
    Ok(error)
}

impl Class {
    const fn new(kind: FetchErrorKind, class: ErrorClass) -> Self {
        match (kind, class) {
            (FetchErrorKind::WrongSignature, _) => Self::WrongSignature,
            (FetchErrorKind::WrongJob, _) => Self::Mismatch,
            (kind, _) if kind.is_unreadable() => Self::Unreadable,
            (_, ErrorClass::Transient) => Self::Transient,
            (_, ErrorClass::Throttled) => Self::Throttled,
            (_, ErrorClass::Unauthorized) => Self::Unauthorized,
            (_, ErrorClass::NotFound) => Self::NotFound,
            (_, ErrorClass::Permanent) => Self::Permanent,
        }
    }

    /// Returns the kind of an error of which no more is known.
    fn kind(self, status: Option<u16>) -> FetchErrorKind {
        match (self, status) {
            (Self::WrongSignature, _) => FetchErrorKind::WrongSignature,
            (Self::Mismatch, _) => FetchErrorKind::WrongJob,
            (Self::Unreadable, _) => FetchErrorKind::Undecodable,
            (_, Some(status)) => FetchErrorKind::Status(status),
            (Self::Unauthorized, None) => FetchErrorKind::Credentials,
            _ => FetchErrorKind::Transport(TransportErrorKind::Other),
        }
    }

    const fn error_class(self, kind: FetchErrorKind) -> ErrorClass {
        match self {
            Self::WrongSignature | Self::Mismatch | Self::Unreadable => kind.class(),
            Self::Transient => ErrorClass::Transient,
            Self::Throttled => ErrorClass::Throttled,
            Self::Unauthorized => ErrorClass::Unauthorized,
            Self::NotFound => ErrorClass::NotFound,
            Self::Permanent => ErrorClass::Permanent,
        }
    }
}

/// Returns the name of a kind, such as `dns`: the variant in snake case, without `Transport`.
fn kind_name(kind: FetchErrorKind) -> Option<String> {
    let variant = match serde_json::to_value(kind).ok()? {
        Value::Object(transport) => transport.into_iter().next()?.1,
        variant => variant,
    };
    let mut name = String::new();
    for character in variant.as_str()?.chars() {
        if character.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(character.to_ascii_lowercase());
    }
    Some(name)
}

/// Returns the kind with this name, or `None` if there is none.
fn kind_from_name(name: &str) -> Option<FetchErrorKind> {
    let capitalize = |word: &str| {
        let (first, rest) = word.split_at_checked(1)?;
        Some(first.to_ascii_uppercase() + rest)
    };
    let variant: String = name.split('_').map(capitalize).collect::<Option<_>>()?;
    let transport = serde_json::from_value(json!({ "Transport": variant }));
    transport.or_else(|_| serde_json::from_value(variant.into())).ok()
}
