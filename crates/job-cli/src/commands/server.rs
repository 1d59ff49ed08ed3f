//! The client of `cce-job-server`: the settings of `watch`, `ls` and `cancel`, and their requests.

mod error;
mod outcome;
mod status;
mod target;
mod token;

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use http::{HeaderValue, Method, Request, Uri, header, uri::Scheme};
use jiff::{Timestamp, fmt::rfc2822};
use job_transport::{
    Endpoint,
    auth::Sourced,
    hyper::{HyperTransport, TlsConfig, TlsProvider},
    transport::{Transport, is_loopback},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use self::token::Token;
pub(crate) use self::{
    error::{ServerError, ServerErrorKind},
    outcome::WaitResult,
    status::{Wait, WaitStatus},
    target::{Target, TargetArgs},
};
use crate::{
    connection::{self, ProxyVariables, TlsArgs},
    exit::{Exit, OrExit},
    flag_variables::FromVariables,
};

/// The section of `--help` about the token and the exit codes.
pub(crate) const HELP: &str = "\
The token comes from the file of --server-token-file, or else from the environment variable
CCE_JOB_SERVER_TOKEN, or else, if the server is on this machine, from the file cce-job/server-token
in your state folder, such as ~/.local/state, which the server creates. The first line of the file
is used; empty lines and comments are skipped. A file that every user can read is refused.";

/// The port on which the server listens by default.
const DEFAULT_SERVER: &str = "http://127.0.0.1:8484";

/// The maximum size of a reply. The status of a wait contains the job, whose JSON may be larger than
/// the reply of the service.
const MAX_REPLY: usize = 32 << 20;

/// The time limit of a request. The server gives up after less.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The characters to percent-encode in a path segment and in a query: all except RFC 3986's unreserved
/// ones.
const ENCODE_SET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    // The first field, because each of the others removes its values from the matches.
    #[command(flatten)]
    from_variables: FromVariables,
    /// URL of cce-job-server; http is allowed only on this machine [default: http://127.0.0.1:8484]
    // Parsed later, because clap's error message would show the value, which may contain a password.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Read the token of the server from this file
    #[arg(long, value_name = "FILE")]
    server_token_file: Option<PathBuf>,
    /// Trust only the CAs in this PEM file [default: the system's CAs]
    #[arg(long, value_name = "FILE")]
    server_ca_file: Option<PathBuf>,
    /// Connect through this HTTP proxy; `none` connects directly; `env` uses HTTPS_PROXY or
    /// ALL_PROXY, which may contain a password [default: HTTPS_PROXY, except for NO_PROXY]
    #[arg(long, value_name = "URL|none|env")]
    proxy: Option<String>,
}

/// A server, and what its requests need.
pub(crate) struct Server {
    url: String,
    is_local: bool,
    token: Token,
    transport: HyperTransport,
}

/// A reply, and the time of the server.
pub(crate) struct Reply<T> {
    pub(crate) value: T,
    pub(crate) now: Option<Timestamp>,
}

/// A project that the server is configured for.
#[derive(Deserialize)]
pub(crate) struct Project {
    pub(crate) name: String,
    pub(crate) id: String,
}

/// The body of a request that starts a wait.
#[derive(Serialize)]
pub(crate) struct StartRequest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<&'static str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(crate) notify: &'a [String],
}

/// A page of waits.
#[derive(Deserialize)]
struct RawPage {
    waits: Vec<Box<RawValue>>,
    next: Option<String>,
}

/// A page of waits, and the key after which the next page begins.
pub(crate) struct Page {
    pub(crate) waits: Vec<Wait>,
    pub(crate) next: Option<String>,
}

impl ServerArgs {
    /// Returns the server that the flags, the variables and the state folder describe.
    ///
    /// # Errors
    ///
    /// Returns a usage error if a setting cannot be used, or if there is no token.
    pub(crate) fn connect(&self) -> anyhow::Result<Server> {
        let url = self.server.as_deref().unwrap_or(DEFAULT_SERVER);
        let source = self.from_variables.source("server");
        let endpoint: Endpoint = url.parse().with_context(|| source).or_exit(Exit::Usage)?;
        let is_local = is_loopback(&endpoint.host());
        let url = endpoint.to_string();
        let token = Token::find(self.server_token_file.as_deref(), &url, is_local)?;
        let transport = self.transport(&url).or_exit(Exit::Usage)?;
        Ok(Server { url, is_local, token, transport })
    }

    fn transport(&self, url: &str) -> anyhow::Result<HyperTransport> {
        let is_plain = url.parse::<Uri>().is_ok_and(|url| url.scheme() == Some(&Scheme::HTTP));
        let source = |id| self.from_variables.source(id);
        let tls = if is_plain {
            connection::no_tls()?
        } else {
            match &self.server_ca_file {
                Some(file) => {
                    let file = Sourced::new(file.clone(), source("server_ca_file"));
                    TlsArgs::default().config(Some(&file))?
                }
                None => TlsConfig::platform(TlsProvider::aws_lc_rs()).context(
                    "no system CAs found; install ca-certificates or use --server-ca-file",
                )?,
            }
        };
        let variables = ProxyVariables::from_environment();
        let proxy = connection::select_proxy(self.proxy.as_deref(), &source("proxy"), &variables)?;
        let transport =
            HyperTransport::new(tls).max_body(MAX_REPLY).attempt_timeout(REQUEST_TIMEOUT);
        Ok(match proxy {
            Some(proxy) => transport.proxy(proxy.value),
            None => transport,
        })
    }
}

impl Server {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the configured projects.
    pub(crate) async fn projects(&self) -> Result<Vec<Project>, ServerError> {
        #[derive(Deserialize)]
        struct Projects {
            projects: Vec<Project>,
        }
        let reply = self.request::<Projects>(Method::GET, "/api/v1/projects", None).await?;
        Ok(reply.value.projects)
    }

    /// Starts the wait of a job. If it has started already, returns it.
    pub(crate) async fn start(
        &self,
        target: &Target,
        request: &StartRequest<'_>,
    ) -> Result<Reply<Wait>, ServerError> {
        let body = serde_json::to_vec(request).map_err(|error| self.invalid(error.into()))?;
        self.wait(Method::PUT, target, Some(body.into())).await
    }

    /// Reads a wait.
    pub(crate) async fn read(&self, target: &Target) -> Result<Reply<Wait>, ServerError> {
        self.wait(Method::GET, target, None).await
    }

    /// Stops a wait.
    pub(crate) async fn cancel(&self, target: &Target) -> Result<Reply<Wait>, ServerError> {
        self.wait(Method::DELETE, target, None).await
    }

    async fn wait(
        &self,
        method: Method,
        target: &Target,
        body: Option<Bytes>,
    ) -> Result<Reply<Wait>, ServerError> {
        let path = format!(
            "/api/v1/waits/{}/{}",
            utf8_percent_encode(target.project.as_str(), ENCODE_SET),
            utf8_percent_encode(target.job.as_str(), ENCODE_SET)
        );
        let Reply { value, now } = self.request::<Box<RawValue>>(method, &path, body).await?;
        let value = Wait::from_raw(value).map_err(|error| self.invalid(error.into()))?;
        Ok(Reply { value, now })
    }

    /// Lists waits. The parameters are names and values.
    pub(crate) async fn list(
        &self,
        parameters: &[(&str, &str)],
    ) -> Result<Reply<Page>, ServerError> {
        let pairs = parameters
            .iter()
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, ENCODE_SET)));
        let path = format!("/api/v1/waits?{}", pairs.collect::<Vec<_>>().join("&"));
        let reply = self.request::<RawPage>(Method::GET, &path, None).await?;
        let Reply { value: RawPage { waits, next }, now } = reply;
        let waits = waits.into_iter().map(Wait::from_raw).collect::<Result<_, _>>();
        let waits = waits.map_err(|error| self.invalid(error.into()))?;
        Ok(Reply { value: Page { waits, next }, now })
    }

    /// Sends a request, and decodes the reply.
    async fn request<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Reply<T>, ServerError> {
        let mut request = Request::builder()
            .method(method.clone())
            .uri(format!("{}{path}", self.url))
            .header(header::AUTHORIZATION, self.token.header())
            .header(header::ACCEPT, HeaderValue::from_static("application/json"));
        if body.is_some() {
            let json = HeaderValue::from_static("application/json");
            request = request.header(header::CONTENT_TYPE, json);
        }
        let request = request.body(body.unwrap_or_default());
        let request = request.map_err(|error| self.invalid(error.into()))?;
        let response = self.transport.send(request).await;
        let response = response.map_err(|error| {
            tracing::debug!(%method, path, error = error.kind().as_str(), "no reply");
            ServerError::unreachable(self, error)
        })?;
        let status = response.status();
        tracing::debug!(%method, path, status = status.as_u16(), "reply");
        if !status.is_success() {
            return Err(ServerError::refused(self, status, response.body()));
        }
        let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
        let now = date.and_then(|date| rfc2822::parse(date).ok()).map(|date| date.timestamp());
        let value = serde_json::from_slice(response.body());
        Ok(Reply { value: value.map_err(|error| self.invalid(error.into()))?, now })
    }

    /// Returns the error for a reply that is not one of this API.
    fn invalid(&self, error: anyhow::Error) -> ServerError {
        ServerError::invalid(self, error)
    }
}
