//! Connection settings: endpoint, project, credentials, CA and proxy. Flags take precedence over
//! the environment variables and files that other clients use. Sends no request.

mod hints;
mod proxy;
mod tls;

pub(crate) use hints::Hints;
pub(crate) use proxy::ProxyVariables;

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use http::Uri;
use job_model::ProjectId;
use job_transport::{
    AuthMethod, Client, Cloud, CredentialChain, Endpoint, HyperTransport, Proxy,
    ResolvedCredentials, TokenFile,
};

use self::tls::TlsArgs;
use crate::{
    exit::{Exit, OrExit},
    terminal::stderr,
};

/// The section of `--help` about credentials.
pub(crate) const HELP: &str = "\
Secrets are never passed as arguments. --token-file comes first, then the first of these sources
that is set:
  HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK, HUAWEICLOUD_SDK_PROJECT_ID, .. (the vendor's SDKs)
  HW_ACCESS_KEY, HW_SECRET_KEY, HW_PROJECT_ID, HW_REGION_NAME, ..        (Terraform)
  OS_CLOUD, a cloud in clouds.yaml                                       (OpenStack)
  OS_TOKEN, or OS_USERNAME, OS_PASSWORD, OS_USER_DOMAIN_NAME, OS_AUTH_URL, OS_PROJECT_NAME, ..
  ~/.huaweicloud/credentials
`cce-job config` shows which credentials are found, and where.";

/// Maximum number of requests in flight, and of idle connections.
///
/// Over HTTP/1.1, a request may take over a connection that another request has released while its
/// own connection is still being opened. So there may be up to three times this number of
/// connections, which is below the descriptor limit of a small container.
pub(crate) const MAX_IN_FLIGHT: usize = 20;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// Service URL, for example `https://cce.eu-de.otc.t-systems.com`, instead of a region
    // Parsed later, because clap's error message would show the value, which may contain a
    // password.
    #[arg(long, value_name = "URL", conflicts_with_all = ["region", "cloud"])]
    endpoint: Option<String>,
    /// Region of the service, for example eu-de [default: the region set with the credentials]
    #[arg(long)]
    region: Option<String>,
    /// Cloud of the region [default: otc for eu-de and eu-nl, huawei for all others]
    #[arg(long, value_enum)]
    cloud: Option<CloudArg>,
    /// Project id [default: the project set with the credentials]
    #[arg(long, value_name = "ID")]
    project: Option<ProjectId>,
    /// Authentication method
    #[arg(long, value_enum, default_value_t = AuthArg::Auto)]
    auth: AuthArg,
    /// Read the token from this file, and read the file again if the token is refused
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    tls: TlsArgs,
    /// Connect through this HTTP proxy; `none` connects directly; `env` uses HTTPS_PROXY or
    /// ALL_PROXY, which may contain a password [default: HTTPS_PROXY, except for NO_PROXY]
    #[arg(long, value_name = "URL|none|env")]
    proxy: Option<String>,
    /// Read jobs of Autopilot clusters, whose API has its own path
    #[arg(long)]
    autopilot: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CloudArg {
    /// Open Telekom Cloud
    Otc,
    /// Huawei Cloud
    Huawei,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AuthArg {
    /// The first source that is set; a token is preferred, then an access key, then a password
    Auto,
    /// Token
    Token,
    /// Access key (AK/SK), which signs each request
    Aksk,
    /// User name and password, exchanged for a token at the identity service
    Password,
}

/// A value, and where it comes from.
#[derive(Debug)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) source: String,
}

impl<T> Sourced<T> {
    fn new(value: T, source: impl Into<String>) -> Self {
        Self { value, source: source.into() }
    }
}

/// The connection settings, each with its source.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) endpoint: Option<Sourced<Endpoint>>,
    pub(crate) project: Option<Sourced<ProjectId>>,
    pub(crate) found: Option<ResolvedCredentials>,
    pub(crate) ca_file: Option<Sourced<PathBuf>>,
    pub(crate) proxy: Option<Sourced<Proxy>>,
    tls: TlsArgs,
    auth: AuthArg,
}

impl ConnectionArgs {
    /// Returns the settings from the flags, and the missing ones from `chain` and the environment.
    /// Prints warnings to stderr.
    ///
    /// # Errors
    ///
    /// Returns a usage error if a setting is invalid, or if a file cannot be read. A missing
    /// setting is not an error.
    pub(crate) fn settings(&self, chain: CredentialChain) -> anyhow::Result<Settings> {
        let settings = self.resolve(chain, &ProxyVariables::from_environment());
        let settings = settings.or_exit(Exit::Usage)?;
        for warning in settings.found.iter().flat_map(ResolvedCredentials::warnings) {
            stderr::message(&format!("warning: {warning}"));
        }
        Ok(settings)
    }

    fn resolve(
        &self,
        chain: CredentialChain,
        proxy_variables: &ProxyVariables,
    ) -> anyhow::Result<Settings> {
        let mut chain = match self.auth {
            AuthArg::Auto => chain,
            AuthArg::Token => chain.auth_method(AuthMethod::Token),
            AuthArg::Aksk => chain.auth_method(AuthMethod::AccessKey),
            AuthArg::Password => chain.auth_method(AuthMethod::Password),
        };
        if let Some(file) = &self.token_file {
            let fits = matches!(self.auth, AuthArg::Auto | AuthArg::Token);
            anyhow::ensure!(fits, "--token-file requires --auth token or auto");
            // Report a missing file now. Later, a file that cannot be read may be in the middle of
            // a replacement, so it is a temporary error then. A pipe can be read only once, and the
            // first request does that.
            if !fs::metadata(file).is_ok_and(|found| is_stream(&found)) {
                TokenFile::new(file).read()?;
            }
            chain = chain.token_file(file);
        }
        let found = chain.resolve()?;
        let found = match &self.project {
            Some(project) => found.map(|found| found.with_project(project.clone())),
            None => found,
        };
        let from = |what: &str| {
            let mut settings = found.iter().flat_map(ResolvedCredentials::settings);
            settings.find(|setting| setting.name == what).map(|setting| setting.source.to_owned())
        };
        let with = |what: &str| from(what).unwrap_or_default();
        let of_found = found.as_ref();
        let project = self.project.clone().map(|project| Sourced::new(project, "--project"));
        let ca_file = self.tls.ca_file.clone().map(|file| Sourced::new(file, "--ca-file"));
        Ok(Settings {
            endpoint: self.endpoint(of_found, with)?.map(|endpoint| self.with_api(endpoint)),
            project: project
                .or_else(|| Some(Sourced::new(of_found?.project.clone()?, with("project")))),
            ca_file: ca_file
                .or_else(|| Some(Sourced::new(of_found?.ca_file.clone()?, with("CA file")))),
            proxy: proxy::select(self.proxy.as_deref(), proxy_variables)?,
            tls: self.tls.clone(),
            found,
            auth: self.auth,
        })
    }

    /// Returns the endpoint: the given one, the one of the given region, or the one in the region
    /// of the identity service.
    fn endpoint(
        &self,
        found: Option<&ResolvedCredentials>,
        from: impl Fn(&str) -> String,
    ) -> anyhow::Result<Option<Sourced<Endpoint>>> {
        if let Some(endpoint) = &self.endpoint {
            let endpoint = endpoint.parse().context("--endpoint")?;
            return Ok(Some(Sourced::new(endpoint, "--endpoint")));
        }
        let named = match (&self.region, found.and_then(|found| found.region.as_ref())) {
            (Some(region), _) => Some((region.as_str(), "--region".to_owned())),
            (None, Some(region)) => Some((region.as_str(), from("region"))),
            (None, None) => None,
        };
        let beside = found.and_then(|found| found.auth_url.as_ref()?.identity_region());
        let (region, cloud, from) = match (named, beside) {
            (Some((region, from)), _) => (region, Cloud::from_region(region), from),
            (None, Some((cloud, region))) => (region, cloud, from("identity service")),
            (None, None) => return Ok(None),
        };
        let (cloud, from) = match self.cloud {
            Some(CloudArg::Otc) => (Cloud::OpenTelekom, format!("{from}, --cloud")),
            Some(CloudArg::Huawei) => (Cloud::Huawei, format!("{from}, --cloud")),
            None => (cloud, from),
        };
        let endpoint =
            Endpoint::for_region(cloud, region).with_context(|| format!("{from} {region:?}"))?;
        Ok(Some(Sourced::new(endpoint, from)))
    }

    /// Selects the API of Autopilot clusters, if the flag is set.
    fn with_api(&self, Sourced { value, source }: Sourced<Endpoint>) -> Sourced<Endpoint> {
        match self.autopilot {
            true => Sourced::new(value.autopilot(), format!("{source}, --autopilot")),
            false => Sourced::new(value, source),
        }
    }
}

/// Whether a file has no content of its own: a pipe, a socket or a device.
fn is_stream(found: &fs::Metadata) -> bool {
    !found.is_file() && !found.is_dir()
}

impl Settings {
    /// Returns the client for these settings.
    ///
    /// # Errors
    ///
    /// Returns a usage error if a setting is missing or cannot be used. The message names what to
    /// set.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        self.build_client().or_exit(Exit::Usage)
    }

    /// Returns the hints for requests with these settings.
    pub(crate) fn hints(&self) -> Hints {
        let endpoint = self.endpoint.as_ref().filter(|endpoint| endpoint.source != "--endpoint");
        let host = endpoint.map(|endpoint| endpoint.value.to_string());
        let region = host.as_deref().and_then(|host| host.strip_prefix("https://cce."));
        let region = region.and_then(|host| host.split('.').next());
        let endpoint_source = self.endpoint.as_ref().map(|endpoint| endpoint.source.clone());
        let project = self.project.as_ref();
        Hints {
            endpoint_source: endpoint_source.unwrap_or_default(),
            region: region.map(String::from),
            project: project.map(|project| (project.value.to_string(), project.source.clone())),
            proxy_source: self.proxy_in_use().map(|proxy| proxy.source.clone()),
        }
    }

    /// Returns the proxy, if requests to the endpoint go through it.
    pub(crate) fn proxy_in_use(&self) -> Option<&Sourced<Proxy>> {
        let endpoint: Uri = self.endpoint.as_ref()?.value.to_string().parse().ok()?;
        self.proxy.as_ref().filter(|proxy| proxy.value.is_used_for(&endpoint))
    }

    /// Returns the rows about TLS that `config` shows below the CA file.
    pub(crate) fn tls_rows(&self) -> impl Iterator<Item = (&'static str, [String; 2])> {
        self.tls.rows()
    }

    fn build_client(&self) -> anyhow::Result<Client> {
        let endpoint = self.endpoint.as_ref();
        let endpoint = endpoint.context("no endpoint; use --region or --endpoint")?;
        let found = self.found.as_ref().with_context(|| match self.auth {
            AuthArg::Auto => "no credentials found; set OS_TOKEN or use --token-file; `cce-job wait --help` lists all sources",
            AuthArg::Token => "no token found; set OS_TOKEN or use --token-file",
            AuthArg::Aksk => "no access key found; set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK",
            AuthArg::Password => "no password found; set OS_USERNAME, OS_PASSWORD, OS_USER_DOMAIN_NAME, OS_AUTH_URL and OS_PROJECT_NAME",
        })?;
        let named = self.project.is_some() || found.has_project();
        anyhow::ensure!(
            named,
            "no project id is set for these credentials; use --project or set {}",
            found.project_source()
        );

        let tls = self.tls.config(self.ca_file.as_ref())?;
        let mut transport = HyperTransport::new(tls)
            .max_in_flight(MAX_IN_FLIGHT)
            .max_idle_connections(MAX_IN_FLIGHT);
        if let Some(Sourced { value: proxy, .. }) = &self.proxy {
            transport = transport.proxy(proxy.clone());
        }
        let credentials = found.credentials(transport.clone());
        let client = Client::new(endpoint.value.clone(), credentials, transport);
        Ok(match &self.project {
            Some(project) => client.project(project.value.clone()),
            None => client,
        })
    }
}

#[cfg(test)]
mod tests;
