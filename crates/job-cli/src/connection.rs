//! Connection settings: endpoint, project, credentials, CA and proxy. Flags and their variables take
//! precedence over the environment variables and files that other clients use. Sends no request.

mod hints;
mod proxy;
mod settings_help;
mod tls;

pub(crate) use hints::Hints;
pub(crate) use proxy::{ProxyVariables, select as select_proxy};
pub(crate) use settings_help::settings_help;
pub(crate) use tls::{TlsArgs, no_tls};

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use http::Uri;
use job_model::ProjectId;
use job_poller::budget::QuotaKey;
use job_transport::{
    Client, Endpoint,
    auth::{
        AuthMethod, CloudDomain, CredentialChain, CredentialChainError, ResolvedCredentials,
        ServiceHosts, ServiceHostsError, Sourced, TokenFile,
    },
    hyper::{HyperTransport, Proxy},
    transport::{display_chain, is_loopback},
};

use self::hints::IssuingService;
use crate::{
    exit::{Exit, OrExit},
    files::{self, KeyRecordFiles, QuotaFile},
    flag_variables::{FromVariables, variable},
    input::parse_id,
    terminal::stderr,
};

/// The section of `--help` about credentials.
pub(crate) const HELP: &str = "\
Flags come first, then their own variables (CCE_JOB_..), then the sources below, then the defaults.
Secrets are never passed as arguments. --token-file comes first, then the first of these sources
that is set:
  HUAWEICLOUD_OIDC_PROVIDER_URN, .. or HUAWEICLOUD_SDK_IDP_ID, ..        (OpenID Connect)
  HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK, HUAWEICLOUD_SDK_PROJECT_ID, .. (the vendor's SDKs)
  HW_AUTH_TOKEN, or HW_ACCESS_KEY, HW_SECRET_KEY, HW_REGION_NAME, ..     (Terraform)
  HW_SHARED_CONFIG_FILE, a profile of KooCLI                             (Terraform)
  OS_CLOUD, a cloud in clouds.yaml                                       (OpenStack)
  OS_TOKEN, or OS_USERNAME, OS_PASSWORD, OS_USER_DOMAIN_NAME, OS_AUTH_URL, OS_PROJECT_NAME, ..
  ~/.huaweicloud/credentials
  HC_CONTAINER_CREDENTIALS_FULL_URI, .. (the identity of a Kubernetes pod)
The credentials are sent only to the cloud of the identity service, of --cloud or HW_CLOUD, or of a
region that a single cloud has. `cce-job config --help` lists all variables, and `cce-job config`
shows which credentials are found, and where.";

/// Maximum number of requests in flight, and of idle connections.
///
/// Over HTTP/1.1, a request may take over a connection that another request has released while its
/// own connection is still being opened. So there may be up to three times this number of
/// connections, which is below the descriptor limit of a small container.
pub(crate) const MAX_IN_FLIGHT: usize = 20;

/// The prefix of the variables that set the endpoint for a region.
const REGION_ENDPOINT: &str = "HUAWEICLOUD_SDK_REGION_CCE_";

/// The file with the rate limits that services have stated, in the command's state folder.
const QUOTA_FILE_NAME: &str = "quotas.json";

/// The folder with the records of access keys, in the command's state folder.
const KEY_RECORDS_NAME: &str = "keys";

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    // The first field, because each of the others removes its values from the matches.
    #[command(flatten)]
    from_variables: FromVariables,
    /// Service URL, for example `https://cce.eu-de.otc.t-systems.com`, instead of a region
    // Parsed later, because clap's error message would show the value, which may contain a
    // password.
    #[arg(long, value_name = "URL", conflicts_with_all = ["region", "cloud"])]
    endpoint: Option<String>,
    /// Region of the service, for example eu-de [default: the region set with the credentials]
    #[arg(long)]
    region: Option<String>,
    /// Cloud of the region: otc, huawei, or the domain of its hosts [default: the domain of the
    /// identity service, HW_CLOUD, or the cloud that has the region]
    #[arg(long, value_name = "CLOUD")]
    cloud: Option<CloudDomain>,
    /// Project id [default: the project set with the credentials, or else the project that has the
    /// region's name]
    #[arg(long, value_name = "ID", value_parser = parse_id::<ProjectId>)]
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
    /// ID token of an identity provider (OpenID Connect), exchanged for a temporary key
    Oidc,
    /// Temporary key from the metadata service of this virtual machine (ECS)
    Metadata,
    /// Temporary key for the service account of this Kubernetes pod
    PodIdentity,
}

/// The connection settings, each with its source.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) endpoint: Option<Sourced<Endpoint>>,
    pub(crate) hosts: ServiceHosts,
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
        let of_credentials = settings.found.iter().flat_map(ResolvedCredentials::warnings);
        for warning in of_credentials.cloned().chain(settings.tls.warning()) {
            stderr::message(&format!("warning: {warning}"));
        }
        Ok(settings)
    }

    fn resolve(
        &self,
        chain: CredentialChain,
        proxy_variables: &ProxyVariables,
    ) -> anyhow::Result<Settings> {
        let source = |id| self.from_variables.source(id);
        let mut chain = match self.auth {
            AuthArg::Auto => chain,
            AuthArg::Token => chain.auth_method(AuthMethod::Token),
            AuthArg::Aksk => chain.auth_method(AuthMethod::AccessKey),
            AuthArg::Password => chain.auth_method(AuthMethod::Password),
            AuthArg::Oidc => chain.auth_method(AuthMethod::Oidc),
            AuthArg::Metadata => chain.auth_method(AuthMethod::Metadata),
            AuthArg::PodIdentity => chain.auth_method(AuthMethod::PodIdentity),
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
        if let Some(endpoint) = &self.endpoint {
            let endpoint = endpoint.parse().with_context(|| source("endpoint"))?;
            chain = chain.endpoint(Sourced::new(endpoint, source("endpoint")));
        }
        if let Some(region) = &self.region {
            chain = chain.region(Sourced::new(region.clone(), source("region")));
        }
        if let Some(cloud) = &self.cloud {
            chain = chain.cloud(Sourced::new(cloud.clone(), source("cloud")));
        }
        let found = chain.resolve()?;
        let hosts = match &found {
            Some(found) => found.hosts().cloned(),
            None => chain.hosts(),
        };
        let hosts = hosts.map_err(unknown_endpoint)?;
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
        let project = self.project.clone().map(|project| Sourced::new(project, source("project")));
        let ca_file = self.tls.ca_file.clone().map(|file| Sourced::new(file, source("ca_file")));
        Ok(Settings {
            endpoint: hosts.endpoint().cloned().map(|endpoint| self.with_api(endpoint)),
            hosts,
            project: project
                .or_else(|| Some(Sourced::new(of_found?.project.clone()?, with("project")))),
            ca_file: ca_file
                .or_else(|| Some(Sourced::new(of_found?.ca_file.clone()?, with("CA file")))),
            proxy: proxy::select(self.proxy.as_deref(), &source("proxy"), proxy_variables)?,
            tls: self.tls.clone(),
            found,
            auth: self.auth,
        })
    }

    /// Selects the API of Autopilot clusters, if the flag is set.
    fn with_api(&self, Sourced { value, source, .. }: Sourced<Endpoint>) -> Sourced<Endpoint> {
        match self.autopilot {
            true => Sourced::new(value.autopilot(), format!("{source}, --autopilot")),
            false => Sourced::new(value, source),
        }
    }
}

/// Adds which flags set the endpoint, if the error does not already name what to change.
fn unknown_endpoint(error: CredentialChainError) -> anyhow::Error {
    let flags = match &error {
        CredentialChainError::Hosts(hosts) => match &**hosts {
            ServiceHostsError::UnknownRegion(_) | ServiceHostsError::OtherRegion { .. } => {
                Some("--cloud or --endpoint")
            }
            ServiceHostsError::IdentityHost(..) => Some("--endpoint"),
            _ => None,
        },
        _ => None,
    };
    match flags {
        Some(flags) => {
            anyhow::Error::new(error).context(format!("the endpoint is not known; use {flags}"))
        }
        None => error.into(),
    }
}

/// Whether a file has no content of its own: a pipe, a socket or a device.
fn is_stream(found: &fs::Metadata) -> bool {
    !found.is_file() && !found.is_dir()
}

impl Settings {
    /// Returns the client for these settings. It shares what is known of an access key with other
    /// processes of the user.
    ///
    /// # Errors
    ///
    /// Returns a usage error if a setting is missing or cannot be used. The message names what to
    /// set.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        self.build_client(|| self.key_records()).or_exit(Exit::Usage)
    }

    /// Checks that a client can be created from these settings. Writes no files.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`client`](Self::client).
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.build_client(|| None).or_exit(Exit::Usage).map(drop)
    }

    /// Opens the records of access keys in the user's state folder, if these settings need them.
    /// Prints a warning if the folder cannot be used.
    fn key_records(&self) -> Option<KeyRecordFiles> {
        let method = self.found.as_ref()?.auth_method();
        let has_no_key = matches!(method, AuthMethod::Token | AuthMethod::Password);
        let endpoint: Uri = self.endpoint.as_ref()?.value.to_string().parse().ok()?;
        if has_no_key || endpoint.host().is_none_or(is_loopback) {
            return None;
        }
        let opened = files::state_folder().context("the user has no state folder");
        match opened.and_then(|folder| KeyRecordFiles::open(&folder.join(KEY_RECORDS_NAME))) {
            Ok(records) => Some(records),
            Err(error) => {
                stderr::message(&format!(
                    "each process may send a wrong access key once, because they cannot share what \
                     is known of it: {}\nSet XDG_STATE_HOME to a folder that is writable.",
                    display_chain(&*error)
                ));
                None
            }
        }
    }

    /// Returns the file that shares the stated rate limits with other processes of the user, and the
    /// key of these settings in it. Returns `None` for a service on this machine, and if the user
    /// has no state folder.
    pub(crate) fn quota_store(&self) -> Option<(QuotaFile, QuotaKey)> {
        let key = self.quota_key()?;
        Some((QuotaFile::new(&files::state_folder()?.join(QUOTA_FILE_NAME)), key))
    }

    fn quota_key(&self) -> Option<QuotaKey> {
        let endpoint: Uri = self.endpoint.as_ref()?.value.to_string().parse().ok()?;
        let host = endpoint.host().filter(|host| !is_loopback(host))?;
        Some(QuotaKey::new(host, &self.found.as_ref()?.caller_digest()))
    }

    /// Returns the hints for requests with these settings.
    pub(crate) fn hints(&self) -> Hints {
        // The source without --autopilot, which is not a reason to check the endpoint.
        let endpoint_source = self.hosts.endpoint().map(|endpoint| endpoint.source.clone());
        let endpoint_source = endpoint_source.unwrap_or_default();
        // The region of an endpoint that was given may only be a part of its host.
        let is_given = endpoint_source == "--endpoint"
            || endpoint_source == variable("endpoint")
            || endpoint_source.starts_with(REGION_ENDPOINT);
        let region = self.hosts.region().filter(|_| !is_given).cloned();
        let project = self.project.as_ref();
        Hints {
            endpoint_source,
            region,
            project: project.map(|project| (project.value.to_string(), project.source.clone())),
            proxy_source: self.proxy_in_use().map(|proxy| proxy.source.clone()),
            ca_files: self.tls.ca_files(self.ca_file.as_ref()),
            services: IssuingService::with_own_settings(&self.hosts, self.found.as_ref()),
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

    /// Creates the client. Opens the key records only if no setting is missing.
    fn build_client(
        &self,
        key_records: impl FnOnce() -> Option<KeyRecordFiles>,
    ) -> anyhow::Result<Client> {
        let endpoint = self.endpoint.as_ref();
        let endpoint = endpoint.context("no endpoint; use --region or --endpoint")?;
        let found = self.found.as_ref().with_context(|| match self.auth {
            AuthArg::Auto => "no credentials found; set OS_TOKEN or use --token-file; `cce-job config --help` lists all sources",
            AuthArg::Token => "no token found; set OS_TOKEN or use --token-file",
            AuthArg::Aksk => "no access key found; set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK",
            AuthArg::Oidc => "no identity provider found; set HUAWEICLOUD_OIDC_PROVIDER_URN, HUAWEICLOUD_OIDC_AGENCY_URN and HUAWEICLOUD_OIDC_TOKEN_FILE",
            AuthArg::PodIdentity => "no pod identity found; the cluster sets HC_CONTAINER_CREDENTIALS_FULL_URI and HC_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            // The metadata service needs no setting.
            AuthArg::Metadata => "no credentials found",
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
        let endpoint = endpoint.value.clone();
        let client = match key_records() {
            // An agency is assumed with a signature, too.
            Some(records) => {
                let credentials =
                    found.credentials_with_key_records(transport.clone(), records.clone())?;
                Client::new(endpoint, credentials, transport).key_records(records)
            }
            None => Client::new(endpoint, found.credentials(transport.clone())?, transport),
        };
        Ok(match (&self.project, found.project_lookup()) {
            (Some(project), _) => client.project(project.value.clone()),
            (None, Some(lookup)) => client.project_lookup(lookup),
            (None, None) => client,
        })
    }
}

#[cfg(test)]
mod tests;
