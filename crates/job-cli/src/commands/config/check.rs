//! `cce-job config --check`: asks for a job that does not exist. The reply, or the error, shows
//! which of the settings work.

use anyhow::Context;
use job_model::{JobId, ProjectId};
use job_transport::{Client, ErrorClass, FetchError, FetchErrorKind, auth::AuthMethod};

use super::format_rows;
use crate::{
    connection::Settings,
    exit::{Exit, OrExit},
    runtime::block_on,
    terminal::print,
};

/// The id of the job that is asked for. The service assigns other ids.
const UNKNOWN_JOB: &str = "00000000-0000-0000-0000-000000000000";

/// The steps of a request, in their order. Each needs those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// The credentials are there: the login succeeded, or the file was read.
    Credentials,
    /// The id of the project is known: it was set, came with the login, or was looked up by name.
    Project,
    /// The service can be reached, and its certificate is trusted.
    Connection,
    /// The service accepts the credentials.
    Authentication,
    /// The service is the job API.
    Service,
    /// The credentials may read the project.
    Access,
}

impl Step {
    const ALL: [Self; 6] = [
        Self::Credentials,
        Self::Project,
        Self::Connection,
        Self::Authentication,
        Self::Service,
        Self::Access,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Project => "project",
            Self::Connection => "connection",
            Self::Authentication => "authentication",
            Self::Service => "service",
            Self::Access => "access",
        }
    }

    /// Returns what is known if the step succeeds.
    fn detail(self, settings: &Settings, project: Option<&ProjectId>) -> String {
        match self {
            Self::Credentials => {
                let method = settings.found.as_ref().map(|found| found.auth_method());
                match method {
                    Some(AuthMethod::Token | AuthMethod::AccessKey) => "found".into(),
                    _ => "logged in".into(),
                }
            }
            Self::Project => project.map(ToString::to_string).unwrap_or_default(),
            Self::Connection => match settings.proxy_in_use() {
                Some(proxy) => format!("through the proxy {}", proxy.value),
                None => "direct".into(),
            },
            Self::Authentication => "accepted".into(),
            Self::Service => "answers".into(),
            Self::Access => "the project can be read".into(),
        }
    }

    /// Returns the step that failed, or `None` if the error shows that all steps succeeded.
    ///
    /// If the project is not known, no request for the job was sent.
    fn from_failure(error: &FetchError, is_project_known: bool) -> Option<Self> {
        if error.provider_error().is_some() || error.kind() == FetchErrorKind::CredentialsTimeout {
            return Some(Self::Credentials);
        }
        if !is_project_known {
            return Some(Self::Project);
        }
        match (error.kind(), error.class()) {
            // The job does not exist, so the project could be searched.
            (FetchErrorKind::Status(404), ErrorClass::NotFound) => None,
            (FetchErrorKind::Credentials | FetchErrorKind::NoToken, _) => Some(Self::Credentials),
            (FetchErrorKind::Transport(_), _) => Some(Self::Connection),
            (FetchErrorKind::WrongSignature | FetchErrorKind::Status(401), _) => {
                Some(Self::Authentication)
            }
            (FetchErrorKind::NoProject, _) => Some(Self::Project),
            (FetchErrorKind::Status(403), _) => Some(Self::Access),
            _ => Some(Self::Service),
        }
    }
}

/// Sends the request, and prints the result of each step to stdout.
///
/// # Errors
///
/// Returns the error of the step that failed, with its exit code and a hint.
pub(super) fn run(settings: &Settings, client: &Client) -> anyhow::Result<()> {
    let job: JobId = UNKNOWN_JOB.parse().context("the id of the check")?;
    let error = block_on(async { Ok(client.job(&job).await.err()) })?;
    let project = client.current_project();
    let failed = error.as_ref().and_then(|error| Step::from_failure(error, project.is_some()));
    let rows = Step::ALL.map(|step| {
        let [result, detail] = match failed {
            Some(failed) if step == failed => ["failed".into(), String::new()],
            Some(failed) if step > failed => ["not checked".into(), String::new()],
            _ => ["ok".into(), step.detail(settings, project.as_ref())],
        };
        [step.name().into(), result, detail]
    });
    print::write_stdout(format!("\n{}", format_rows(rows)))?;
    match error.filter(|_| failed.is_some()) {
        None => Ok(()),
        Some(error) => {
            let (exit, hint) = (Exit::from(&error), settings.hints().for_fetch_error(&error));
            Err(error).or_exit_with_hint(exit, hint)
        }
    }
}

#[cfg(test)]
mod tests {
    use job_transport::transport::{RequestSent, TransportError, TransportErrorKind};

    use super::*;

    #[test]
    fn an_error_shows_the_first_step_that_failed() {
        let status = |code| FetchError::new(FetchErrorKind::Status(code));
        let unknown_path = status(404).with_class(ErrorClass::Permanent);
        let dns = TransportError::new(TransportErrorKind::Dns, RequestSent::No);
        let rows = [
            (status(404), None),
            (FetchError::new(FetchErrorKind::Credentials), Some(Step::Credentials)),
            (FetchError::new(FetchErrorKind::CredentialsTimeout), Some(Step::Credentials)),
            (FetchError::from(dns), Some(Step::Connection)),
            (status(401), Some(Step::Authentication)),
            (FetchError::new(FetchErrorKind::WrongSignature), Some(Step::Authentication)),
            (unknown_path, Some(Step::Service)),
            (status(302), Some(Step::Service)),
            (status(503), Some(Step::Service)),
            (FetchError::new(FetchErrorKind::HtmlPage), Some(Step::Service)),
            (status(403), Some(Step::Access)),
            (FetchError::new(FetchErrorKind::NoProject), Some(Step::Project)),
        ];
        for (error, expected) in rows {
            assert_eq!(Step::from_failure(&error, true), expected, "{error}");
        }
        // Without a project, the lookup of its name failed.
        let dns = TransportError::new(TransportErrorKind::Dns, RequestSent::No);
        for (error, expected) in [
            (FetchError::new(FetchErrorKind::CredentialsTimeout), Step::Credentials),
            (FetchError::new(FetchErrorKind::Credentials), Step::Project),
            (FetchError::new(FetchErrorKind::WrongSignature), Step::Project),
            (FetchError::new(FetchErrorKind::NoProject), Step::Project),
            (FetchError::new(FetchErrorKind::HtmlPage), Step::Project),
            (FetchError::from(dns), Step::Project),
            (status(404), Step::Project),
        ] {
            assert_eq!(Step::from_failure(&error, false), Some(expected), "{error}");
        }
    }
}
