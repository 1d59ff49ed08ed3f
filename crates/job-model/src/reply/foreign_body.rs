//! Describes a body that is not a job, although its status was one of success.

use alloc::{string::String, vec::Vec};
use core::fmt;

use serde_json::value::RawValue;

use super::service_error::{ServiceError, readable_name};
use crate::{
    decode::{
        ObjectEntries,
        json::{self, LossyString},
        repair,
    },
    job::Job,
};

/// What a body is that should be a job, but is something else.
///
/// A gateway, a proxy or another service may reply with status 200 and a body that is not a job. The
/// `Display` form is a noun phrase for an error message, such as ``an object of kind `Cluster` ``. It
/// has at most 2 KiB, is on one line, and has no unprintable characters.
///
/// ```
/// use job_model::ForeignBody;
///
/// let describe = |body: &[u8]| ForeignBody::from_body(body, &[]).map(|body| body.to_string());
/// assert_eq!(describe(b"[{}, {}]").as_deref(), Some("a list with 2 elements"));
/// assert_eq!(
///     describe(br#"{"error_code": "APIGW.0106", "error_msg": "busy"}"#).as_deref(),
///     Some("an error: APIGW.0106: busy"),
/// );
/// assert_eq!(describe(br#"{"kind": "Job", "status": {"phase": "Running"}}"#), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignBody {
    /// The body has no bytes except white space.
    Empty,
    /// The body is an HTML page, with this title or, if it has none, this text.
    HtmlPage(Option<String>),
    /// The body is neither JSON nor HTML.
    Text,
    /// The body is a JSON string, number, boolean or null.
    Scalar,
    /// The body is a JSON array.
    #[non_exhaustive]
    List {
        /// The number of elements.
        len: usize,
        /// Whether the first element is a job.
        is_of_jobs: bool,
    },
    /// The body is an object of another kind, such as `Cluster` or `UpgradeTask`.
    #[non_exhaustive]
    OtherKind {
        /// The `kind`, shortened to 128 bytes; `None` if it is not a string.
        kind: Option<String>,
        /// The codes and messages of the object. A `Status` of Kubernetes has them.
        error: Option<ServiceError>,
    },
    /// The body is a job in the spelling of API v2, whose phase is in `status.status`.
    ApiV2Job,
    /// The body has a job in one of its fields.
    #[non_exhaustive]
    WrappedJob {
        /// The name of the field, shortened to 128 bytes.
        field: String,
    },
    /// The body is a job of another service, such as ECS.
    #[non_exhaustive]
    OtherServiceJob {
        /// The type of the job, such as `createServer`, shortened to 128 bytes.
        job_type: Option<String>,
    },
    /// The body is an error or a message, such as the gateway sends them.
    Error(ServiceError),
    /// The body is an empty object.
    EmptyObject,
    /// The body is an object that has none of a job's `metadata`, `spec` and `status`.
    UnknownObject,
}

impl ForeignBody {
    /// Describes a body that is not a job.
    ///
    /// Returns `None` if the body is a job ([`Job::is_foreign`] is `false`), or if it starts like JSON
    /// and is not valid. In the second case, the [`DecodeError`](crate::DecodeError) says more.
    ///
    /// Each of the `secrets` is replaced by `(hidden)`, because a gateway may repeat a request.
    #[must_use]
    pub fn from_body(body: &[u8], secrets: &[&str]) -> Option<Self> {
        let (repaired, _) = repair(body);
        let start = repaired.trim_ascii_start();
        let is_json_start = |first: &u8| b"{[\"-".contains(first) || first.is_ascii_digit();
        match start.first() {
            None => return Some(Self::Empty),
            Some(b'<') => {
                let page = ServiceError::from_body_redacting(200, Some("text/html"), body, secrets);
                let title = page.and_then(|page| page.message().map(String::from));
                return Some(Self::HtmlPage(title));
            }
            Some(_) => {}
        }
        let json = str::from_utf8(&repaired).ok();
        let json = json.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
        let Some(json) = json else {
            return (!start.first().is_some_and(is_json_start)).then_some(Self::Text);
        };
        if let Some(ObjectEntries { members, .. }) = json::read(json) {
            return Self::from_members(&members, body, secrets);
        }
        let elements = json::read::<Vec<&RawValue>>(json);
        Some(elements.map_or(Self::Scalar, |elements| Self::List {
            len: elements.len(),
            is_of_jobs: elements.first().is_some_and(|first| is_job(first)),
        }))
    }

    fn from_members(
        members: &[(String, &RawValue)],
        body: &[u8],
        secrets: &[&str],
    ) -> Option<Self> {
        let get = |name: &str| {
            let found = members.iter().find(|(known, _)| known == name).map(|(_, json)| *json);
            found.filter(|json| json.get() != "null")
        };
        let text = |name| {
            let text = get(name).and_then(json::read::<LossyString>);
            text.map(|text| readable_name(&text.text, secrets))
        };
        let kind = get("kind").and_then(json::read::<LossyString>).map(|kind| kind.text);
        if get("kind").is_some() && kind.as_deref() != Some("Job") {
            let error = ServiceError::from_fields(body, secrets);
            return Some(Self::OtherKind { kind: text("kind"), error });
        }
        let parts = ["metadata", "spec", "status"].map(get);
        let is_object = |json: &&RawValue| json.get().starts_with('{');
        let has_parts = match kind {
            Some(_) => parts.iter().any(Option::is_some),
            None => parts.iter().flatten().any(is_object),
        };
        if has_parts {
            return get("status").is_some_and(has_v2_phase).then_some(Self::ApiV2Job);
        }
        if members.is_empty() {
            return Some(Self::EmptyObject);
        }
        if let Some((field, _)) = members.iter().find(|(_, json)| is_job(json)) {
            return Some(Self::WrappedJob { field: readable_name(field, secrets) });
        }
        let has_job_id = ["job_id", "jobId"].into_iter().any(|name| get(name).is_some());
        let job_type = ["job_type", "jobType"].into_iter().find_map(text);
        if has_job_id && (job_type.is_some() || get("status").is_some()) {
            return Some(Self::OtherServiceJob { job_type });
        }
        let error = ServiceError::from_fields(body, secrets);
        Some(error.map_or(Self::UnknownObject, Self::Error))
    }
}

/// Returns whether the status has a phase in the spelling of API v2, and none in that of v3.
fn has_v2_phase(status: &RawValue) -> bool {
    let Some(ObjectEntries { members, .. }) = json::read(status) else {
        return false;
    };
    let has_text = |name| members.iter().any(|(known, json)| known == name && is_text(json.get()));
    has_text("status")
        && !members.iter().any(|(known, json)| known == "phase" && json.get() != "null")
}

fn is_text(json: &str) -> bool {
    json.starts_with('"') && json != "\"\""
}

/// Returns whether a value is a job, by its kind or by two of its fields.
fn is_job(json: &RawValue) -> bool {
    let Some(ObjectEntries { members, .. }) = json::read(json) else {
        return false;
    };
    let is_kind = |(name, json): &(String, &RawValue)| name == "kind" && json.get() == "\"Job\"";
    let is_part = |(name, json): &&(String, &RawValue)| {
        ["metadata", "spec", "status"].contains(&&**name) && json.get().starts_with('{')
    };
    members.iter().any(is_kind) || members.iter().filter(is_part).count() >= 2
}

impl Job {
    /// Returns whether this object is something else than a job, although it was decoded.
    ///
    /// Decoding accepts every object. This one is not a job of this API if
    ///
    /// - its `kind` is something else than `Job`;
    /// - it has none of `metadata`, `spec` and `status`. If it has no `kind`, one of them must be an
    ///   object, because `status` is a word or a number in the replies of other services;
    /// - its phase is in `status.status`, as in API v2, and not in `status.phase`.
    ///
    /// [`ForeignBody::from_body`] describes what it is.
    ///
    /// ```
    /// let is_foreign = |body: &[u8]| Ok(job_model::Job::from_slice(body)?.is_foreign());
    /// assert!(!is_foreign(br#"{"kind": "Job", "status": {"phase": "Running"}}"#)?);
    /// assert!(is_foreign(br#"{"status": "SUCCESS", "job_id": "j1"}"#)?);
    /// # Ok::<(), job_model::DecodeError>(())
    /// ```
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        if self.kind.as_deref().is_some_and(|kind| kind != "Job")
            || self.raw_fields.get("kind").is_some()
        {
            return true;
        }
        let is_odd = |name| self.raw_fields.get(name).is_some();
        let has_parts = self.metadata.is_some()
            || self.spec.is_some()
            || self.status.is_some()
            || self.kind.is_some() && ["metadata", "spec", "status"].into_iter().any(is_odd);
        let has_v2_phase = self.status.as_ref().is_some_and(|status| {
            let is_text = status.raw_fields.get("status").is_some_and(is_text);
            is_text && status.phase.is_none() && status.raw_fields.get("phase").is_none()
        });
        !has_parts || has_v2_phase
    }
}

impl fmt::Display for ForeignBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty body"),
            Self::HtmlPage(None) => f.write_str("an HTML page"),
            Self::HtmlPage(Some(title)) => write!(f, "an HTML page: {title}"),
            Self::Text => f.write_str("text that is not JSON"),
            Self::Scalar => f.write_str("a JSON value that is not an object"),
            Self::List { len: 1, is_of_jobs: true } => f.write_str("a list with 1 job"),
            Self::List { len, is_of_jobs: true } => write!(f, "a list of {len} jobs"),
            Self::List { len: 1, .. } => f.write_str("a list with 1 element"),
            Self::List { len, .. } => write!(f, "a list with {len} elements"),
            Self::OtherKind { kind, error } => {
                match kind {
                    Some(kind) => write!(f, "an object of kind `{kind}`")?,
                    None => f.write_str("an object whose kind is not a string")?,
                }
                error.iter().try_for_each(|error| write!(f, ": {error}"))
            }
            Self::ApiV2Job => f.write_str("a job of API v2, which has no `status.phase`"),
            Self::WrappedJob { field } => write!(f, "an object with a job in the field `{field}`"),
            Self::OtherServiceJob { job_type: None } => f.write_str("a job of another service"),
            Self::OtherServiceJob { job_type: Some(job_type) } => {
                write!(f, "a job of another service, of type `{job_type}`")
            }
            Self::Error(error) if error.codes().is_empty() => write!(f, "a message: {error}"),
            Self::Error(error) => write!(f, "an error: {error}"),
            Self::EmptyObject => f.write_str("an empty JSON object"),
            Self::UnknownObject => {
                f.write_str("a JSON object without a job's `metadata`, `spec` or `status`")
            }
        }
    }
}

#[cfg(test)]
mod tests;
