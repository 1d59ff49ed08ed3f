//! Looks up a project's id by the project's name, once for all clients that share the lookup.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::StatusCode;
use job_model::{ProjectId, is_unprintable};
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;

use super::{
    credential::{Credential, IssuedCredential},
    credentials::X_AUTH_TOKEN,
    signed_request::{SigningContext, send_signed},
};
use crate::{
    request::{
        Endpoint, ErrorClass, FetchError, FetchErrorKind, PATH_ENCODE_SET, Reply, RequestInfo,
        request_id, send_traced,
    },
    transport::TransportError,
};

/// How long the error of a lookup that failed for good is the answer of the next ones.
const FAILURE_PERIOD: Duration = Duration::from_secs(30);

/// Maximum number of names in an error.
const MAX_LISTED: usize = 10;

/// Maximum length of a name in an error, in characters.
const MAX_NAME_LEN: usize = 64;

/// Finds the id of a project by its name, with one request for all clients that share it.
///
/// A token that the identity service issued for a project already contains the id. With a key pair
/// or another token, pass a lookup to [`Client::project_lookup`](crate::Client::project_lookup).
///
/// The identity service is asked at the first request for a job, with the client's credentials
/// (`GET /v3/projects?name=..`). Clones share the result.
///
/// # Examples
///
/// ```no_run
/// # #[cfg(all(feature = "hyper", feature = "aws-lc-rs"))]
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use job_transport::{
///     Client, Credentials, Endpoint, auth::{AccessKey, ProjectLookup},
///     hyper::{HyperTransport, TlsConfig, TlsProvider}, request::Cloud,
/// };
///
/// let key = AccessKey::new(std::env::var("HW_ACCESS_KEY")?, std::env::var("HW_SECRET_KEY")?)?;
/// let identity = Endpoint::identity_for_region(Cloud::Huawei, "eu-west-101")?;
/// let client = Client::new(
///     Endpoint::for_region(Cloud::Huawei, "eu-west-101")?,
///     Credentials::access_key(key),
///     HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?),
/// )
/// .project_lookup(ProjectLookup::new(identity, "eu-west-101"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ProjectLookup(Arc<Inner>);

struct Inner {
    identity_url: Endpoint,
    name: String,
    /// Held during a lookup.
    lookup_lock: async_lock::Mutex<()>,
    state: Mutex<LookupState>,
}

#[derive(Default)]
struct LookupState {
    found: Option<ProjectId>,
    /// The number of completed lookups.
    attempts: u64,
    /// The error and the monotonic time of the last lookup, if it failed.
    last_failure: Option<(LookupError, Duration)>,
}

/// The error of a failed lookup. It is `Clone`, because all that waited for the lookup receive it.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
struct LookupError(Arc<FetchError>);

/// A project of the list that the identity service returns.
#[derive(Deserialize)]
struct ListedProject {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct ProjectList {
    projects: Vec<ListedProject>,
}

impl ProjectLookup {
    /// Creates a lookup from the URL of the identity service and the project's name. Sends no
    /// request.
    ///
    /// The main project of a region has the region's name.
    #[must_use]
    pub fn new(identity_url: Endpoint, name: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            identity_url,
            name: name.into(),
            lookup_lock: async_lock::Mutex::new(()),
            state: Mutex::default(),
        }))
    }

    /// Returns the project's id, if a lookup has found it.
    pub(crate) fn found(&self) -> Option<ProjectId> {
        self.state().found.clone()
    }

    /// Returns the project's id. Asks the identity service if no lookup has found it yet.
    pub(crate) async fn get(
        &self,
        issued: &IssuedCredential,
        context: &SigningContext<'_>,
    ) -> Result<ProjectId, FetchError> {
        let asked = {
            let state = self.state();
            if let Some(found) = &state.found {
                return Ok(found.clone());
            }
            state.attempts
        };
        let _looking_up = self.0.lookup_lock.lock().await;
        {
            let state = self.state();
            if let Some(found) = &state.found {
                return Ok(found.clone());
            }
            if let Some((error, at)) = &state.last_failure {
                let is_recent = context.clock.monotonic() < at.saturating_add(FAILURE_PERIOD);
                let is_lasting = attempt_class(&error.0) == ErrorClass::Permanent;
                if state.attempts > asked || is_lasting && is_recent {
                    return Err(self.failed(error.clone()));
                }
            }
        }
        let found = self.look_up(issued, context).await;
        let found = found.map_err(|error| LookupError(Arc::new(error)));
        let mut state = self.state();
        state.attempts += 1;
        match found {
            Ok(id) => {
                state.found = Some(id.clone());
                Ok(id)
            }
            Err(error) => {
                state.last_failure = Some((error.clone(), context.clock.monotonic()));
                Err(self.failed(error))
            }
        }
    }

    async fn look_up(
        &self,
        issued: &IssuedCredential,
        context: &SigningContext<'_>,
    ) -> Result<ProjectId, FetchError> {
        let name = utf8_percent_encode(&self.0.name, PATH_ENCODE_SET);
        let listed = self.list(&format!("?name={name}"), issued, context).await?;
        let mut matching = listed.iter().filter(|project| project.name == self.0.name);
        match (matching.next(), matching.next()) {
            (Some(project), None) => project.id.parse().map_err(|error| {
                FetchError::new(FetchErrorKind::NoProject)
                    .with_message("the identity service returned an invalid project id")
                    .with_source(error)
            }),
            (None, _) => {
                // Ask for all projects, because an empty list helps nobody.
                let all = match listed.is_empty() {
                    true => self.list("", issued, context).await.unwrap_or_default(),
                    false => listed,
                };
                let names = quoted(all.iter().map(|project| &*project.name));
                let found = match names {
                    Some(names) => format!("these credentials can use the projects {names}"),
                    None => "these credentials can use no project".into(),
                };
                Err(FetchError::new(FetchErrorKind::NoProject)
                    .with_message("no project has this name")
                    .with_detail(found))
            }
            (Some(_), Some(_)) => {
                let same = listed.iter().filter(|project| project.name == self.0.name);
                let ids = quoted(same.map(|project| &*project.id)).unwrap_or_default();
                Err(FetchError::new(FetchErrorKind::NoProject)
                    .with_message("several projects have this name")
                    .with_detail(format!("set the id of one of them: {ids}")))
            }
        }
    }

    /// Returns the projects that the identity service lists for this query.
    async fn list(
        &self,
        query: &str,
        issued: &IssuedCredential,
        context: &SigningContext<'_>,
    ) -> Result<Vec<ListedProject>, FetchError> {
        let identity_url = &self.0.identity_url;
        let build_request = || {
            let uri = identity_url.identity_uri(&format!("/v3/projects{query}"));
            let request = uri.and_then(|uri| identity_url.request(uri));
            request.map_err(|error| FetchError::from(TransportError::invalid_request(error)))
        };
        let about = || RequestInfo { template: "/v3/projects", target: None, resends: 0 };
        let reply: Reply = match &issued.credential {
            Credential::Token(token) => {
                let token = token.value().map_err(TransportError::invalid_request)?;
                let mut request = build_request()?;
                request.headers_mut().insert(X_AUTH_TOKEN, token);
                send_traced(context.transport, request, about(), &[]).await?
            }
            Credential::Key(key) => {
                send_signed(context, build_request, key, None, about, &[]).await?
            }
        };
        let reply = reply.expect_status(StatusCode::OK)?;
        let list: ProjectList = serde_json::from_slice(reply.body()).map_err(|error| {
            FetchError::new(FetchErrorKind::Undecodable)
                .with_message("the reply is not a list of projects")
                .with_request_id(request_id(reply.headers()).map(String::from))
                .with_source(error)
        })?;
        Ok(list.projects)
    }

    /// Returns the error of an attempt whose lookup failed.
    fn failed(&self, LookupError(error): LookupError) -> FetchError {
        let kind = error.kind();
        let kind = match kind {
            FetchErrorKind::Transport(_) | FetchErrorKind::WrongSignature => kind,
            kind if kind.is_unreadable() => kind,
            _ if error.class() == ErrorClass::Unauthorized => FetchErrorKind::Credentials,
            _ => FetchErrorKind::NoProject,
        };
        let mut failed = FetchError::new(kind)
            .with_class(attempt_class(&error))
            .with_retry_after(error.retry_after())
            .with_message(format!("cannot look up the id of the project `{}`", self.0.name));
        if let Some(cause) = error.refusal_cause() {
            failed = failed.with_refusal_cause(cause);
        }
        if let Some(until) = error.blocked_until() {
            failed = failed.with_blocked_until(until);
        }
        failed.with_source(LookupError(error))
    }

    fn state(&self) -> MutexGuard<'_, LookupState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the class of an attempt whose lookup failed with this error.
fn attempt_class(error: &FetchError) -> ErrorClass {
    match error.class() {
        // It is not the job that was not found.
        ErrorClass::NotFound => ErrorClass::Permanent,
        class => class,
    }
}

/// Returns the texts in a form that can be printed; `None` if there are none.
fn quoted<'t>(texts: impl Iterator<Item = &'t str>) -> Option<String> {
    let printable = |text: &str| {
        let kept = text.chars().filter(|c| !is_unprintable(*c) && *c != '`');
        format!("`{}`", kept.take(MAX_NAME_LEN).collect::<String>())
    };
    let mut texts = texts.map(printable);
    let listed: Vec<_> = texts.by_ref().take(MAX_LISTED).collect();
    let more = match texts.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!listed.is_empty()).then(|| format!("{}{more}", listed.join(", ")))
}

impl fmt::Debug for ProjectLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProjectLookup")
            .field("identity_url", &self.0.identity_url)
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
