//! Scripts of a service's replies, for tests.

use std::{num::ParseIntError, time::Duration};

use jiff::Timestamp;
use job_model::{
    Job, ServiceError,
    object::{Object, ObjectKind},
};
use job_transport::{
    FetchError, FetchErrorKind, ObjectReading, Reading,
    bytes::Bytes,
    http::{HeaderValue, Response, StatusCode, header::RETRY_AFTER},
    transport::{RequestSent, TransportError, TransportErrorKind},
};
use serde_json::{Value, json};

/// A list of replies. The last one repeats forever. The language is described in `testing`.
#[derive(Clone, Debug)]
pub(crate) struct ReplyScript(Vec<Reply>);

/// A reply of a script.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// How long the attempt takes.
    pub(crate) latency: Duration,
    credentials_refreshed: bool,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Job { job: Box<Job>, date: Option<Timestamp> },
    Response(Response<Bytes>),
    WrongSignature,
    NoResponse(TransportErrorKind),
}

/// The error for a script that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[cfg_attr(
    not(feature = "test-util"),
    expect(unreachable_pub, reason = "`testing` exports it with the feature")
)]
#[error("{word:?} is not a reply of a script: {reason}")]
pub struct ScriptError {
    /// The word of the script that is wrong, or an empty text if the script has no reply.
    pub word: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The time of an attempt, if the script does not set it.
const DEFAULT_LATENCY: Duration = Duration::from_millis(100);

/// The maximum number of replies of a script.
const MAX_REPLIES: usize = 10_000;

impl ReplyScript {
    /// Parses a script.
    ///
    /// # Errors
    ///
    /// Returns an error if a word is not a reply, or if there is no reply, or too many.
    pub(crate) fn parse(script: &str) -> Result<Self, ScriptError> {
        let mut replies = Vec::new();
        for word in script.split_whitespace() {
            let error = |reason| ScriptError { word: word.into(), reason };
            let (reply, times) = word.split_once('*').unwrap_or((word, "1"));
            let times: usize = times.parse().map_err(|_: ParseIntError| error(BAD_COUNT))?;
            if times == 0 || times > MAX_REPLIES - replies.len() {
                return Err(error(BAD_COUNT));
            }
            replies.extend(vec![Reply::parse(reply).map_err(error)?; times]);
        }
        if replies.is_empty() {
            return Err(ScriptError { word: String::new(), reason: "there is no reply" });
        }
        Ok(Self(replies))
    }

    /// Creates a script from `replies`, of which there must be at least one.
    #[cfg(test)]
    pub(crate) fn new(replies: Vec<Reply>) -> Self {
        assert_ne!(replies.len(), 0, "a script has a reply");
        Self(replies)
    }

    /// Returns the reply to the attempt with this number. The first one is 0.
    pub(crate) fn reply(&self, number: usize) -> &Reply {
        &self.0[number.min(self.0.len() - 1)]
    }
}

const BAD_COUNT: &str = "`*` needs a number, and a script has at most 10,000 replies";
const BAD_SECONDS: &str = "expected a number of seconds, such as 5s";

impl Reply {
    /// Parses one reply. Returns an error that explains what is wrong.
    pub(crate) fn parse(word: &str) -> Result<Self, &'static str> {
        let (text, latency) = match word.split_once('~') {
            Some((text, latency)) => (text, seconds(latency)?),
            None => (word, DEFAULT_LATENCY),
        };
        let refreshed = text.strip_prefix('+');
        Ok(Self {
            latency,
            credentials_refreshed: refreshed.is_some(),
            content: Content::parse(refreshed.unwrap_or(text))?,
        })
    }

    /// Returns a 404.
    #[cfg(feature = "test-util")]
    pub(crate) fn not_found() -> Self {
        let content = Content::Response(response(StatusCode::NOT_FOUND, ""));
        Self { latency: DEFAULT_LATENCY, credentials_refreshed: false, content }
    }

    #[cfg(test)]
    pub(crate) fn with_latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// Returns the result of an attempt that gets this reply.
    pub(crate) fn result(&self) -> Result<Reading, FetchError> {
        let result = match &self.content {
            Content::Job { job, date } => {
                let mut reading = Reading::new((**job).clone());
                reading.date = *date;
                Ok(reading)
            }
            Content::Response(response) => Reading::from_response(response.clone()),
            Content::WrongSignature => {
                let body = br#"{"error_code": "APIGW.0301", "error_msg": "wrong"}"#;
                let error = FetchError::new(FetchErrorKind::WrongSignature);
                Err(match ServiceError::from_body(401, None, body) {
                    Some(service_error) => error.with_service_error(service_error),
                    None => error,
                })
            }
            Content::NoResponse(kind) => Err(TransportError::new(*kind, RequestSent::Maybe).into()),
        };
        match result {
            Ok(mut reading) => {
                reading.credentials_refreshed = self.credentials_refreshed;
                Ok(reading)
            }
            Err(error) => Err(error.with_credentials_refreshed(self.credentials_refreshed)),
        }
    }
}

impl Reply {
    /// Returns the result of an attempt to read a cluster or a node that gets this reply. The phase, the
    /// uid and the time of the job are those of the object.
    pub(crate) fn object_result(
        &self,
        kind: ObjectKind,
    ) -> Result<ObjectReading<Object>, FetchError> {
        if let Content::Response(response) = &self.content {
            let result = ObjectReading::from_response(kind, response);
            let refreshed = self.credentials_refreshed;
            return match result {
                Ok(reading) => Ok(reading.with_credentials_refreshed(refreshed)),
                Err(error) => Err(error.with_credentials_refreshed(refreshed)),
            };
        }
        let Reading { snapshot, date, credentials_refreshed, .. } = self.result()?;
        let job = snapshot.job();
        let metadata = job.metadata.as_ref();
        let time = |time: Option<&job_model::Timestamp>| Some(time?.instant()?.to_string());
        let updated = time(metadata.and_then(|metadata| metadata.update_timestamp.as_ref()));
        let created = time(metadata.and_then(|metadata| metadata.creation_timestamp.as_ref()));
        let mut body = json!({
            "metadata": {"creationTimestamp": created},
            "status": {"phase": job.phase()},
        });
        match kind {
            ObjectKind::Cluster => body["kind"] = "Cluster".into(),
            ObjectKind::Node => {
                body["kind"] = "Node".into();
                body["status"]["lastProbeTime"] = updated.into();
            }
        }
        if let Some(uid) = job.uid() {
            body["metadata"]["uid"] = uid.into();
        }
        let response = Response::new(Bytes::from(body.to_string()));
        let reading = ObjectReading::from_response(kind, &response)?;
        Ok(reading.with_date(date).with_credentials_refreshed(credentials_refreshed))
    }
}

impl Content {
    fn parse(text: &str) -> Result<Self, &'static str> {
        Ok(match text {
            "" => return Err("the reply is missing"),
            "drop" => Self::NoResponse(TransportErrorKind::Closed),
            "refused" => Self::NoResponse(TransportErrorKind::Connect),
            "nohost" => Self::NoResponse(TransportErrorKind::Dns),
            "badcert" => Self::NoResponse(TransportErrorKind::Certificate),
            "badsig" => Self::WrongSignature,
            "nopath" => {
                let body = r#"{"error_code": "APIGW.0101", "error_msg": "no such API"}"#;
                Self::Response(response(StatusCode::NOT_FOUND, body))
            }
            "garbage" => Self::Response(response(StatusCode::OK, "<html>")),
            _ if text.starts_with(|first: char| first.is_ascii_digit()) => parse_status(text)?,
            _ => {
                let (text, date) = match text.split_once('^') {
                    Some((text, date)) => (text, Some(service_time(date)?)),
                    None => (text, None),
                };
                Self::Job { job: Box::new(parse_job(text)?), date }
            }
        })
    }
}

fn response(status: StatusCode, body: &'static str) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
}

/// Parses a status, with or without a `Retry-After`: `404`, `429(5s)`.
fn parse_status(text: &str) -> Result<Content, &'static str> {
    let (code, retry_after) = text.split_once('(').unwrap_or((text, ""));
    let status = code.parse().ok().and_then(|code: u16| StatusCode::from_u16(code).ok());
    let mut response = response(status.ok_or("expected a status, such as 503 or 429(5s)")?, "");
    if !retry_after.is_empty() {
        let value = retry_after.strip_suffix("s)").ok_or(BAD_SECONDS)?;
        let value = HeaderValue::from_str(value).map_err(|_| BAD_SECONDS)?;
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    Ok(Content::Response(response))
}

/// Parses a job: the type of the job and a slash, which may be missing; the phase and the uid; the
/// sub-jobs; the time of the last change.
fn parse_job(text: &str) -> Result<Job, &'static str> {
    let (job_type, text) = text.split_once('/').unwrap_or(("CreateCluster", text));
    let (text, updated) = text.split_once('@').unwrap_or((text, ""));
    let (text, created) = text.split_once('!').unwrap_or((text, ""));
    let (text, sub_jobs) = match text.split_once('[') {
        Some((text, sub_jobs)) => {
            (text, sub_jobs.strip_suffix(']').ok_or("a list of sub-jobs ends with `]`")?)
        }
        None => (text, ""),
    };
    let (phase, uid) = text.split_once(':').map_or((text, None), |(phase, uid)| (phase, Some(uid)));
    let sub_job = |text: &str| -> Result<Value, &'static str> {
        let (name, phase) =
            text.split_once('=').ok_or("a sub-job is a type and a phase, such as A=running")?;
        let (name, resource) = name.split_once('#').unwrap_or((name, ""));
        let uid = if resource.is_empty() { name } else { resource };
        let mut spec = json!({ "type": name });
        if !resource.is_empty() {
            spec["resourceID"] = resource.into();
        }
        let status = status_json(phase);
        Ok(json!({"metadata": {"uid": uid}, "spec": spec, "status": status}))
    };
    let sub_jobs = sub_jobs.split(',').filter(|text| !text.is_empty()).map(sub_job);
    let sub_jobs: Value = sub_jobs.collect::<Result<_, _>>()?;
    let mut body = json!({
        "metadata": {},
        "spec": {"type": job_type, "clusterUID": "c", "subJobs": sub_jobs},
        "status": status_json(phase),
    });
    if let Some(uid) = uid {
        body["metadata"]["uid"] = uid.parse::<u32>().map_or_else(|_| uid.into(), Value::from);
    }
    if !created.is_empty() {
        body["metadata"]["creationTimestamp"] = service_time(created)?.to_string().into();
    }
    if !updated.is_empty() {
        body["metadata"]["updateTimestamp"] = service_time(updated)?.to_string().into();
    }
    Job::from_slice(body.to_string().as_bytes()).map_err(|_| "it is not a job")
}

fn status_json(phase: &str) -> Value {
    match phase {
        "none" => json!({}),
        "init" => json!({"phase": "Initializing"}),
        "running" => json!({"phase": "Running"}),
        "success" => json!({"phase": "Success"}),
        "failed" => json!({"phase": "Failed", "reason": "no such flavor"}),
        "failed?" => json!({"phase": "Failed", "reason": ""}),
        other => json!({"phase": other}),
    }
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.strip_suffix('s').and_then(|text| text.parse().ok()).ok_or(BAD_SECONDS)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| BAD_SECONDS)
}

/// Returns a time of the service's clock.
fn service_time(second: &str) -> Result<Timestamp, &'static str> {
    let second = second.parse::<u32>().map_err(|_| "expected a second of the service's clock")?;
    Timestamp::from_second(1_580_631_000 + i64::from(second)).map_err(|_| "the time is too late")
}
