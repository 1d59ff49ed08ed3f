//! Where the service is and who asks: flags first, then the environment and files, by the
//! conventions of other clients. Connects to nothing.

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use job_model::ProjectId;
use job_transport::{
    AuthMethod, Client, Cloud, CredentialChain, Endpoint, HyperTransport, Proxy,
    ResolvedCredentials, TlsConfig, TlsProvider, TokenFile,
};

use crate::exit::{Exit, OrExit};

/// What `--help` says of credentials.
pub(crate) const HELP: &str = "\
Credentials are never flags. They are looked for, in this order, where other clients have them:
  HUAWEICLOUD_SDK_AK, _SK, _SECURITY_TOKEN, _PROJECT_ID                (the vendor's SDKs)
  HW_ACCESS_KEY, HW_SECRET_KEY, HW_PROJECT_ID, HW_REGION_NAME, ..      (Terraform)
  OS_CLOUD, a cloud in clouds.yaml                                     (OpenStack)
  OS_TOKEN, or OS_USERNAME, OS_PASSWORD, OS_USER_DOMAIN_NAME, OS_AUTH_URL, OS_PROJECT_NAME, ..
  ~/.huaweicloud/credentials
`cce-job config` shows what is found, and where.";

/// How many requests are in flight at a time, and how many connections are kept. Over HTTP/1.1 a request
/// may take the connection of another that has ended, while its own is still being made: so there are
/// up to three times as many, fewer than a small container has descriptors.
pub(crate) const MAX_IN_FLIGHT: usize = 20;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// Where the service is, such as `https://cce.eu-de.otc.t-systems.com`
    // Read later: an error here would show the value, and whatever password is in it.
    #[arg(long, value_name = "URL", conflicts_with_all = ["region", "cloud"])]
    endpoint: Option<String>,
    /// The service in this region, such as eu-de
    #[arg(long)]
    region: Option<String>,
    /// Whose region it is; by default otc for eu-de and eu-nl, huawei for all others
    #[arg(long, value_enum)]
    cloud: Option<CloudArg>,
    /// The project's id; by default the one that goes with the credentials
    #[arg(long, value_name = "ID")]
    project: Option<ProjectId>,
    /// What to log in with
    #[arg(long, value_enum, default_value_t = AuthArg::Auto)]
    auth: AuthArg,
    /// Read the token from this file, and again when it is refused
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Trust this CA alone (PEM); by default whom this machine trusts
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Go by this proxy; env: by the one that HTTPS_PROXY names (it may hold a password)
    #[arg(long, value_name = "URL|env")]
    proxy: Option<String>,
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
    /// The first of the ways below that is there; within one a token, else a key, else a password
    Auto,
    /// A token
    Token,
    /// An access key (AK/SK), which signs
    Aksk,
    /// A user's password, which the identity service takes for a token
    Password,
}

/// A value, and where it is from.
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

/// All that is known of the connection, each value with its origin.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) endpoint: Option<Sourced<Endpoint>>,
    pub(crate) project: Option<Sourced<ProjectId>>,
    pub(crate) found: Option<ResolvedCredentials>,
    pub(crate) ca_file: Option<Sourced<PathBuf>>,
    pub(crate) proxy: Option<Sourced<Proxy>>,
    auth: AuthArg,
}

impl ConnectionArgs {
    /// Returns what is known, by the flags and then by these conventions.
    ///
    /// # Errors
    ///
    /// Where something that is there cannot be used: wrong usage.
    pub(crate) fn settings(&self, chain: CredentialChain) -> anyhow::Result<Settings> {
        self.resolve(chain).or_exit(Exit::Usage)
    }

    fn resolve(&self, chain: CredentialChain) -> anyhow::Result<Settings> {
        let mut chain = match self.auth {
            AuthArg::Auto => chain,
            AuthArg::Token => chain.auth_method(AuthMethod::Token),
            AuthArg::Aksk => chain.auth_method(AuthMethod::AccessKey),
            AuthArg::Password => chain.auth_method(AuthMethod::Password),
        };
        if let Some(file) = &self.token_file {
            let fits = matches!(self.auth, AuthArg::Auto | AuthArg::Token);
            anyhow::ensure!(fits, "--token-file holds a token, and --auth asks for something else");
            // Later it is read when it is needed, and may be about to be replaced.
            TokenFile::new(file).read()?;
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
        let ca_file = self.ca_file.clone().map(|file| Sourced::new(file, "--ca-file"));
        Ok(Settings {
            endpoint: self.endpoint(of_found, with)?,
            project: project
                .or_else(|| Some(Sourced::new(of_found?.project.clone()?, with("project")))),
            ca_file: ca_file
                .or_else(|| Some(Sourced::new(of_found?.ca_file.clone()?, with("CA file")))),
            proxy: self.proxy()?,
            found,
            auth: self.auth,
        })
    }

    /// Returns the endpoint: the given one, that of a named region, or the one beside the identity
    /// service.
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
        let endpoint = Endpoint::for_region(cloud, region).with_context(|| from.clone())?;
        Ok(Some(Sourced::new(endpoint, from)))
    }

    fn proxy(&self) -> anyhow::Result<Option<Sourced<Proxy>>> {
        let Some(proxy) = &self.proxy else { return Ok(None) };
        if proxy == "env" {
            let proxy = Proxy::from_environment().context("--proxy env")?;
            let proxy = proxy.context("--proxy env: neither HTTPS_PROXY nor ALL_PROXY is set")?;
            return Ok(Some(Sourced::new(proxy, "--proxy env")));
        }
        let hint = "a password is no flag; set HTTPS_PROXY, and give `--proxy env`";
        anyhow::ensure!(!proxy.contains('@'), hint);
        Ok(Some(Sourced::new(Proxy::new(proxy, "").context("--proxy")?, "--proxy")))
    }
}

impl Settings {
    /// Returns the client.
    ///
    /// # Errors
    ///
    /// Where something is missing or cannot be used: wrong usage, with what to set.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        self.build_client().or_exit(Exit::Usage)
    }

    fn build_client(&self) -> anyhow::Result<Client> {
        let endpoint = self.endpoint.as_ref();
        let endpoint =
            endpoint.context("no address of the service; give --endpoint or --region")?;
        let found = self.found.as_ref().with_context(|| match self.auth {
            AuthArg::Auto => "no credentials; set OS_TOKEN, or give --token-file; `cce-job wait --help` names all ways",
            AuthArg::Token => "no token; set OS_TOKEN, or give --token-file",
            AuthArg::Aksk => "no access key; set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK",
            AuthArg::Password => "no password; set OS_USERNAME, OS_PASSWORD, OS_USER_DOMAIN_NAME, OS_AUTH_URL and OS_PROJECT_NAME",
        })?;
        let named = self.project.is_some() || found.has_project();
        anyhow::ensure!(
            named,
            "no project beside these credentials; give --project, or set {}",
            found.project_source()
        );

        let provider = TlsProvider::aws_lc_rs();
        let tls = match &self.ca_file {
            Some(Sourced { value: file, source }) => {
                let context = || format!("the CA file {} ({source})", file.display());
                let pem = fs::read(file).with_context(context)?;
                TlsConfig::ca_pem(provider, &pem).with_context(context)?
            }
            None => TlsConfig::platform(provider)
                .context("no CA to trust; install ca-certificates, or give --ca-file")?,
        };
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
