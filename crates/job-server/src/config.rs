//! The configuration file: projects, with references to their credentials, queues and webhooks.

mod credentials;

use std::{collections::HashSet, env, path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use job_model::ProjectId;
use job_notify::{AllowList, Webhook, WebhookKey};
use job_transport::{
    Client, Endpoint,
    auth::Sourced,
    hyper::{HyperTransport, Proxy, TlsConfig, TlsProvider},
};
use serde::Deserialize;

use self::credentials::CredentialsConfig;
use crate::files;

/// The content of the configuration file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(default)]
    pub(crate) limits: LimitsConfig,
    /// The queues that clients may name. A program must read each of them, because it grows otherwise.
    #[serde(default)]
    pub(crate) queues: Vec<String>,
    projects: Vec<ProjectConfig>,
    webhooks: Option<WebhooksConfig>,
}

/// The limits of the requests to the cloud, for all projects and all servers of a database together.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsConfig {
    pub(crate) requests_per_second: f64,
    pub(crate) max_in_flight: usize,
    /// How long finished waits are kept, in hours.
    retention_hours: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectConfig {
    name: String,
    id: ProjectId,
    endpoint: String,
    /// Reads jobs of Autopilot clusters, whose API has its own path.
    #[serde(default)]
    autopilot: bool,
    ca_file: Option<std::path::PathBuf>,
    credentials: CredentialsConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhooksConfig {
    /// The environment variables with the keys. All of them sign, so that receivers can change keys.
    key_env: OneOrMany,
    /// The allow-list of receivers, as in `job-notify`.
    allow: Vec<String>,
    ca_file: Option<std::path::PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// A project whose jobs this server reads.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) name: String,
    pub(crate) id: ProjectId,
    pub(crate) endpoint: String,
    pub(crate) client: Client,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { requests_per_second: 50.0, max_in_flight: 20, retention_hours: 24 }
    }
}

impl LimitsConfig {
    pub(crate) fn retention(self) -> Duration {
        Duration::from_secs(3600 * u64::from(self.retention_hours))
    }
}

impl Config {
    /// Reads the configuration from a file.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, is larger than 1 MiB, is not TOML, has an unknown
    /// field, or names a project twice.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("cannot use the configuration {}", path.display());
        let (text, _) = files::read(path).with_context(context)?;
        Self::parse(&text).with_context(context)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Self = toml::from_str(text).map_err(|error| explain(text, &error))?;
        ensure!(!config.projects.is_empty(), "it has no [[projects]]");
        let limits = config.limits;
        ensure!(limits.requests_per_second >= 0.001, "requests_per_second must be at least 0.001");
        ensure!(limits.max_in_flight >= 1, "max_in_flight must be at least 1");
        ensure!(limits.retention_hours >= 1, "retention_hours must be at least 1");
        ensure!(config.queues.iter().all(|queue| !queue.is_empty()), "queues has an empty name");
        let mut known = HashSet::new();
        for project in &config.projects {
            let (name, id) = (&*project.name, project.id.as_str());
            // A name is a segment of a path, as an id is.
            name.parse::<ProjectId>().with_context(|| format!("the project name {name:?}"))?;
            ensure!(!id.contains(':'), "the id of the project {name} contains a colon");
            ensure!(known.insert(name), "the name or id {name} is used by two projects");
            ensure!(name == id || known.insert(id), "the name or id {id} is used by two projects");
        }
        Ok(config)
    }

    /// Returns the projects with their clients. Reads files with credentials and certificates.
    ///
    /// # Errors
    ///
    /// Returns an error with the name of the project if a variable or a file is missing or invalid.
    pub(crate) fn projects(&self) -> anyhow::Result<Vec<Project>> {
        let proxy = Proxy::from_environment().context("the proxy in the environment")?;
        let project = |project: &ProjectConfig| {
            let client = project.client(proxy.clone());
            let client = client.with_context(|| format!("the project {}", project.name))?;
            let endpoint = project.endpoint.clone();
            Ok(Project { name: project.name.clone(), id: project.id.clone(), endpoint, client })
        };
        self.projects.iter().map(project).collect()
    }

    /// Returns the notifier, if webhooks are configured.
    ///
    /// # Errors
    ///
    /// Returns an error if a key or the allow-list is missing or invalid.
    pub(crate) fn webhook(&self) -> anyhow::Result<Option<Webhook>> {
        self.webhooks.as_ref().map(WebhooksConfig::webhook).transpose().context("[webhooks]")
    }
}

impl ProjectConfig {
    fn client(&self, proxy: Option<Proxy>) -> anyhow::Result<Client> {
        let endpoint: Endpoint =
            self.endpoint.parse().with_context(|| format!("the endpoint {}", self.endpoint))?;
        let source = format!("endpoint of the project {}", self.name);
        let chain = self.credentials.chain()?.endpoint(Sourced::new(endpoint.clone(), source));
        let found = chain.resolve()?.context("no credentials are set")?;
        let found = found.with_project(self.id.clone());
        for warning in found.warnings() {
            tracing::warn!(project = self.name, "{warning}");
        }
        let ca_file = self.ca_file.as_ref().or(found.ca_file.as_ref());
        let mut transport = HyperTransport::new(tls(ca_file.map(|file| &**file))?);
        if let Some(proxy) = proxy {
            transport = transport.proxy(proxy);
        }
        let credentials = found.credentials(transport.clone())?;
        let endpoint = if self.autopilot { endpoint.autopilot() } else { endpoint };
        Ok(Client::new(endpoint, credentials, transport).project(self.id.clone()))
    }
}

impl WebhooksConfig {
    fn webhook(&self) -> anyhow::Result<Webhook> {
        let names = match &self.key_env {
            OneOrMany::One(name) => std::slice::from_ref(name),
            OneOrMany::Many(names) => names,
        };
        ensure!(!names.is_empty(), "key_env names no variable");
        let key = |name: &String| {
            // The error of the key does not contain the key.
            WebhookKey::new(&variable(name)?).with_context(|| format!("the key in {name}"))
        };
        let keys = names.iter().map(key).collect::<anyhow::Result<Vec<_>>>()?;
        let allowed: AllowList = self.allow.join("\n").parse().context("allow")?;
        let transport = HyperTransport::new(tls(self.ca_file.as_deref())?);
        Ok(Webhook::new(transport, keys).allow(allowed))
    }
}

/// Returns an error with the line and the column of a mistake. It contains no value, because a value may
/// be a secret that was written in place of a reference.
fn explain(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let message = error.message();
    let with_value = ["invalid type", "invalid value", "unknown variant"];
    let kind = with_value.into_iter().find(|kind| message.starts_with(kind));
    let message = match (kind, message.rsplit_once(", expected ")) {
        (Some(kind), Some((_, expected))) => format!("{kind}, expected {expected}"),
        (Some(kind), None) => kind.to_owned(),
        (None, _) => message.to_owned(),
    };
    let before = error.span().and_then(|span| text.get(..span.start));
    let Some(before) = before else { return anyhow::anyhow!("{message}") };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    anyhow::anyhow!("line {line}, column {column}: {message}")
}

/// Returns the TLS settings. Without a file, the system's certificate authorities are trusted.
fn tls(ca_file: Option<&Path>) -> anyhow::Result<TlsConfig> {
    let provider = TlsProvider::aws_lc_rs();
    let Some(file) = ca_file else {
        return TlsConfig::platform(provider)
            .context("no certificate authorities found; set ca_file");
    };
    let context = || format!("cannot use the CA file {}", file.display());
    let (pem, _) = files::read(file).with_context(context)?;
    TlsConfig::ca_pem(provider, pem.as_bytes()).with_context(context)
}

/// Returns the value of an environment variable that the configuration names.
fn variable(name: &str) -> anyhow::Result<String> {
    let value = env::var(name).ok().filter(|value| !value.is_empty());
    value.with_context(|| format!("the environment variable {name} is not set"))
}

#[cfg(test)]
mod tests;
