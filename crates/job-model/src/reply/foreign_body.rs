//! Describes a body that is not what was requested, although its status was one of success.

use alloc::{borrow::Cow, string::String};
use core::fmt;

use super::service_error::{ServiceError, readable_name};
use crate::{
    decode::{Cursor, Document, Text},
    job::{FIELD_NAMES, Job},
    object::{ObjectKind, is_kind},
};

/// What a reply contains instead of the requested job, cluster or node.
///
/// A gateway, a proxy or another service may reply with status 200 and a body that is not what was
/// requested.
/// The `Display` form is a noun phrase for an error message, such as
/// ``an object of kind `Cluster` ``. It has at most 2 KiB, is on one line, and has no unprintable
/// characters.
///
/// ```
/// use job_model::reply::ForeignBody;
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
    /// The body has a job in one of its fields.
    #[non_exhaustive]
    WrappedJob {
        /// The name of the field, shortened to 128 bytes.
        field: String,
    },
    /// The body wraps the requested cluster or node in one of its fields.
    #[non_exhaustive]
    WrappedObject {
        /// The kind that was requested.
        kind: ObjectKind,
        /// The name of the field, shortened to 128 bytes.
        field: String,
    },
    /// The body is a list (`items`), although one cluster or node was requested.
    #[non_exhaustive]
    ItemList {
        /// The number of elements.
        len: usize,
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
    /// The body is an object that has none of `metadata`, `spec` and `status`.
    UnknownObject,
}

impl ForeignBody {
    /// Describes a body that is not a job.
    ///
    /// Returns `None` if the body is a job ([`Job::is_foreign`] is `false`), or if it starts like
    /// JSON and is not valid. In the second case, the [`DecodeError`](crate::DecodeError) says
    /// more.
    ///
    /// Each of the `secrets` is replaced by `(hidden)`, because a gateway may repeat a request.
    #[must_use]
    pub fn from_body(body: &[u8], secrets: &[&str]) -> Option<Self> {
        Self::describe(body, Expected::Job, secrets)
    }

    /// Describes a body that is not an object of this kind.
    ///
    /// Returns `None` if the body is an object of this kind
    /// ([`Object::is_foreign`](crate::object::Object::is_foreign) is `false`), or if it starts like
    /// JSON and is not valid. The rest is as for [`from_body`](Self::from_body).
    ///
    /// ```
    /// use job_model::{object::ObjectKind, reply::ForeignBody};
    ///
    /// let body = br#"{"kind": "Node", "status": {"phase": "Active"}}"#;
    /// let foreign = ForeignBody::from_object_body(body, ObjectKind::Cluster, &[]);
    /// assert_eq!(foreign.expect("it is a node").to_string(), "an object of kind `Node`");
    /// assert_eq!(ForeignBody::from_object_body(body, ObjectKind::Node, &[]), None);
    /// ```
    #[must_use]
    pub fn from_object_body(body: &[u8], kind: ObjectKind, secrets: &[&str]) -> Option<Self> {
        Self::describe(body, Expected::Object(kind), secrets)
    }

    fn describe(body: &[u8], expected: Expected, secrets: &[&str]) -> Option<Self> {
        let is_json_start = |first: &u8| b"{[\"-".contains(first) || first.is_ascii_digit();
        let without_mark = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        let first = without_mark.trim_ascii_start().first();
        match first {
            None => return Some(Self::Empty),
            Some(b'<') => {
                let page = ServiceError::from_body_redacting(200, Some("text/html"), body, secrets);
                let title = page.and_then(|page| page.message().map(String::from));
                return Some(Self::HtmlPage(title));
            }
            Some(_) => {}
        }
        let Ok((document, _)) = Document::new(body, FIELD_NAMES) else {
            return (!first.is_some_and(is_json_start)).then_some(Self::Text);
        };
        let mut cursor = document.cursor();
        if cursor.enter(b'{') {
            return Self::from_fields(Fields::read(cursor, expected), expected, &document, secrets);
        }
        if !cursor.enter(b'[') {
            return Some(Self::Scalar);
        }
        let (mut len, mut is_of_jobs) = (0, false);
        while cursor.next_element() {
            if len == 0 {
                is_of_jobs = is_expected(cursor.clone(), Expected::Job);
            }
            cursor.skip();
            len += 1;
        }
        Some(Self::List { len, is_of_jobs })
    }

    fn from_fields(
        fields: Fields<'_>,
        expected: Expected,
        document: &Document<'_>,
        secrets: &[&str],
    ) -> Option<Self> {
        let Fields { is_empty, kind, parts, has_object_part, items, has_job_id, job_type, wrapped } =
            fields;
        let shown = |text: Cow<'_, str>| readable_name(&text, secrets);
        match &kind {
            Some(Ok(kind)) if expected.is_kind(kind) => {}
            None => {}
            Some(_) => {
                let kind = kind.and_then(Result::ok).map(shown);
                let error = ServiceError::from_fields(document, secrets);
                return Some(Self::OtherKind { kind, error });
            }
        }
        let [_, _, has_status] = parts;
        if let Some(len) = items.filter(|_| !has_status && expected != Expected::Job) {
            return Some(Self::ItemList { len });
        }
        let has_parts = match kind {
            Some(_) => parts.contains(&true),
            None => has_object_part,
        };
        if has_parts {
            return None;
        }
        if is_empty {
            return Some(Self::EmptyObject);
        }
        if let Some(field) = wrapped.map(shown) {
            return Some(match expected {
                Expected::Job => Self::WrappedJob { field },
                Expected::Object(kind) => Self::WrappedObject { kind, field },
            });
        }
        if has_job_id && (job_type.is_some() || has_status) {
            return Some(Self::OtherServiceJob { job_type: job_type.map(shown) });
        }
        let error = ServiceError::from_fields(document, secrets);
        Some(error.map_or(Self::UnknownObject, Self::Error))
    }
}

/// What a body should be.
#[derive(Clone, Copy, PartialEq)]
enum Expected {
    Job,
    Object(ObjectKind),
}

impl Expected {
    fn is_kind(self, text: &str) -> bool {
        match self {
            Self::Job => text == "Job",
            Self::Object(kind) => is_kind(text, kind),
        }
    }
}

/// The fields of an object by which it is recognized. A null counts as absent. A field that is unknown
/// for the requested object can be repeated, and each of them counts.
#[derive(Default)]
struct Fields<'b> {
    is_empty: bool,
    /// `Err` if it is not a string.
    kind: Option<Result<Cow<'b, str>, ()>>,
    /// Whether there are `metadata`, `spec` and `status`.
    parts: [bool; 3],
    /// Whether one of them is an object.
    has_object_part: bool,
    /// The number of elements of `items`, if it is an array.
    items: Option<usize>,
    has_job_id: bool,
    job_type: Option<Cow<'b, str>>,
    /// The name of the first field with what was expected.
    wrapped: Option<Cow<'b, str>>,
}

impl<'b> Fields<'b> {
    /// Reads the object that the cursor entered.
    fn read(mut cursor: Cursor<'b>, expected: Expected) -> Self {
        let mut object = Self { is_empty: true, ..Self::default() };
        while let Some(Text { text: name, .. }) = cursor.next_name() {
            object.is_empty = false;
            let (first, value) = (cursor.peek(), cursor.clone());
            if !cursor.null() {
                let part = PARTS.iter().position(|part| *part == name);
                if let Some(part) = part {
                    object.parts[part] = true;
                    object.has_object_part |= first == Some(b'{');
                }
                match &*name {
                    "kind" => {
                        object.kind = Some(value.clone().text().map(|text| text.text).ok_or(()))
                    }
                    "items" => {
                        object.items = object.items.or_else(|| count_elements(value.clone()))
                    }
                    "job_id" | "jobId" => object.has_job_id = true,
                    "job_type" | "jobType" => {
                        object.job_type = value.clone().text().map(|text| text.text);
                    }
                    _ => {}
                }
                if object.wrapped.is_none() && is_expected(value, expected) {
                    object.wrapped = Some(name);
                }
                cursor.skip();
            }
        }
        object
    }
}

const PARTS: [&str; 3] = ["metadata", "spec", "status"];

/// Returns the number of elements of the next value, if it is an array.
fn count_elements(mut value: Cursor<'_>) -> Option<usize> {
    let mut len = 0;
    if !value.enter(b'[') {
        return None;
    }
    while value.next_element() {
        value.skip();
        len += 1;
    }
    Some(len)
}

/// Returns whether the next value is what was expected, by its kind or by two of its fields.
fn is_expected(mut value: Cursor<'_>, expected: Expected) -> bool {
    let (mut is_named, mut parts) = (false, 0);
    if value.enter(b'{') {
        while let Some(Text { text: name, .. }) = value.next_name() {
            parts += usize::from(PARTS.contains(&&*name) && value.peek() == Some(b'{'));
            if name == "kind" {
                let kind = value.clone().text();
                is_named |= kind.is_some_and(|kind| expected.is_kind(&kind.text));
                value.skip();
            } else {
                value.skip();
            }
        }
    }
    is_named || parts >= 2
}

impl Job {
    /// Returns whether this object is something else than a job, although it was decoded.
    ///
    /// Decoding accepts every object. This one is not a job of this API if
    ///
    /// - its `kind` is something else than `Job`;
    /// - it has none of `metadata`, `spec` and `status`. If it has no `kind`, one of them must be an
    ///   object, because `status` is a word or a number in the replies of other services.
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
            || self.kind.is_some() && PARTS.into_iter().any(is_odd);
        !has_parts
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
            Self::WrappedJob { field } => write!(f, "an object with a job in the field `{field}`"),
            Self::WrappedObject { kind, field } => {
                write!(f, "an object with a {kind} in the field `{field}`")
            }
            Self::ItemList { len: 1 } => f.write_str("an object with a list of 1 item"),
            Self::ItemList { len } => write!(f, "an object with a list of {len} items"),
            Self::OtherServiceJob { job_type: None } => f.write_str("a job of another service"),
            Self::OtherServiceJob { job_type: Some(job_type) } => {
                write!(f, "a job of another service, of type `{job_type}`")
            }
            Self::Error(error) if error.codes().is_empty() => write!(f, "a message: {error}"),
            Self::Error(error) => write!(f, "an error: {error}"),
            Self::EmptyObject => f.write_str("an empty JSON object"),
            Self::UnknownObject => {
                f.write_str("a JSON object without `metadata`, `spec` or `status`")
            }
        }
    }
}

#[cfg(test)]
mod tests;
