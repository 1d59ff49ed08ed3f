//! Every parser of foreign bytes.

use std::{
    any::Any,
    env, fs, io,
    process::{Command, Stdio},
};

use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{BoxFuture, ready},
};
use http::{HeaderValue, Request, Response, StatusCode};
use job_model::{
    Decoded, Job, JobId, ServiceError,
    job::JobList,
    reply::{ForeignBody, RateLimit},
};
use job_poller::{Checkpoint, schedule::History};
use job_transport::{
    FetchError, JobSnapshot, Reading,
    auth::{CredentialChain, Identity, PasswordLogin, ProvideCredentials},
    transport::{Transport, TransportError},
};

use crate::shapes::{JSON, SETTINGS, Shape};

/// A parser, the shapes that it reads, and a function that prepares an input for it.
pub(crate) struct Parser {
    pub(crate) name: &'static str,
    pub(crate) shapes: &'static [Shape],
    /// Its inputs have this fraction of the size, because it reads no larger ones.
    pub(crate) share: usize,
    /// Maximum factor by which the time per byte grows from the small inputs to the large one.
    pub(crate) max_growth: f64,
    /// Whether it decodes a job, with a strict and a lenient pass.
    pub(crate) decodes_job: bool,
    /// Whether it runs in a process of its own.
    pub(crate) is_command: bool,
    pub(crate) prepare: fn(Vec<u8>) -> io::Result<Prepared>,
}

/// Reads the prepared input once, and returns the result.
pub(crate) type Prepared = Box<dyn FnMut() -> Box<dyn Any>>;

/// A secret that some of the shapes repeat.
const SECRET: &str = "aaaaaaaa";

pub(crate) fn all() -> Vec<Parser> {
    let json = |name, prepare| Parser {
        name,
        shapes: JSON,
        share: 1,
        max_growth: 2.0,
        decodes_job: false,
        is_command: false,
        prepare,
    };
    let job = |name, prepare| Parser { decodes_job: true, ..json(name, prepare) };
    let report = |name, prepare| Parser { is_command: true, ..json(name, prepare) };
    // A file with credentials has at most 1 MiB. The parser of INI keeps all names in a hash table,
    // which fits into the processor's cache only if the file is small.
    let settings = |name, prepare| Parser {
        shapes: SETTINGS,
        share: 8,
        max_growth: 4.0,
        ..json(name, prepare)
    };
    let mut parsers = vec![
        job("job", |input| Ok(prepared(move || Decoded::from_slice(&input)))),
        job("reply with a job", |input| {
            let body = Bytes::from(input);
            Ok(prepared(move || Reading::from_response(Response::new(body.clone()))))
        }),
        json("list of jobs", |input| Ok(prepared(move || JobList::from_slice(&input)))),
        json("rate limit", |input| {
            let message = String::from_utf8_lossy(&input).into_owned();
            Ok(prepared(move || RateLimit::from_message(&message)))
        }),
        json("what a job says", |input| Ok(derived(&input))),
        json("not a job", |input| Ok(prepared(move || ForeignBody::from_body(&input, &[SECRET])))),
        json("error", |input| Ok(error(input.into()))),
        json("error, secrets", |input| {
            let read = |input: &[u8]| {
                ServiceError::from_body_redacting(500, Some("text/html"), input, &[SECRET, "\n"])
            };
            Ok(prepared(move || read(&input)))
        }),
        json("login", |input| Ok(login(input.into()))),
        json("submission", |input| Ok(prepared(move || JobId::from_submission(&input)))),
        json("checkpoint", |input| {
            Ok(prepared(move || serde_json::from_slice::<Checkpoint>(&input)))
        }),
        job("snapshot in a checkpoint", |input| {
            let text = serde_json::to_string(&String::from_utf8_lossy(&input))?;
            Ok(prepared(move || serde_json::from_str::<JobSnapshot>(&text)))
        }),
        json("history", |input| Ok(prepared(move || serde_json::from_slice::<History>(&input)))),
        settings("clouds.yaml", |input| {
            settings_file(&input, |file| {
                CredentialChain::new([("OS_CLOUD", "a"), ("OS_CLIENT_CONFIG_FILE", file)])
            })
        }),
        settings("INI", |input| {
            settings_file(&input, |file| {
                CredentialChain::new([("HUAWEICLOUD_SDK_CREDENTIALS_FILE", file)])
            })
        }),
    ];
    if env::var_os(COMMAND).is_some() {
        parsers.extend([
            report("report, HTML", |input| run_report(&input, "html")),
            report("report, SVG", |input| run_report(&input, "svg")),
            report("report, Mermaid", |input| run_report(&input, "mermaid")),
        ]);
    }
    parsers
}

/// The variable with the path of `cce-job`. Without it, reports are not measured.
const COMMAND: &str = "CCE_JOB";

fn prepared<T: 'static>(read: impl Fn() -> T + 'static) -> Prepared {
    Box::new(move || Box::new(read()))
}

/// Derives everything from a job, and encodes it.
fn derived(body: &[u8]) -> Prepared {
    let job = Job::from_slice(body).unwrap_or_default();
    prepared(move || {
        let facts = (job.tree().to_string(), job.failure(), job.inconsistencies(), job.progress());
        (facts, serde_json::to_vec(&job))
    })
}

fn error(body: Bytes) -> Prepared {
    prepared(move || {
        let mut response = Response::new(body.clone());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        FetchError::from_response(&response).to_string()
    })
}

/// Reads the reply of the identity service to a login.
fn login(body: Bytes) -> Prepared {
    prepared(move || {
        let mut response = Response::new(body.clone());
        *response.status_mut() = StatusCode::CREATED;
        let token = HeaderValue::from_static("token");
        response.headers_mut().insert("x-subject-token", token);
        let endpoint = "https://iam.example".parse().ok()?;
        let login = PasswordLogin::new("user", SECRET, "domain");
        Identity::new(endpoint, login, FixedReply(response)).provide().now_or_never()
    })
}

/// Replies to every request with the same response.
struct FixedReply(Response<Bytes>);

impl Transport for FixedReply {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(ready(Ok(self.0.clone())))
    }
}

/// Writes a file and reads it as credentials. The file is removed with the closure.
fn settings_file(input: &[u8], chain: fn(&str) -> CredentialChain) -> io::Result<Prepared> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(&file, input)?;
    let chain = chain(&file.path().display().to_string());
    Ok(prepared(move || {
        let _file = &file;
        chain.resolve()
    }))
}

fn run_report(input: &[u8], format: &'static str) -> io::Result<Prepared> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(&file, input)?;
    Ok(prepared(move || {
        let mut command = Command::new(env::var_os(COMMAND).unwrap_or_default());
        command.args(["report", "--format", format]).arg(file.path());
        command.stdout(Stdio::null()).stderr(Stdio::null()).status()
    }))
}
