//! Hints for failed requests: what to check next, with the settings that the requests used.

use http::Uri;
use job_poller::{WaitError, WaitErrorKind};
use job_transport::{
    Endpoint, ErrorClass, FetchError, FetchErrorKind,
    auth::{ResolvedCredentials, ServiceHosts, Sourced},
    transport::{TransportErrorKind, display_chain},
};

use crate::exit::Exit;

/// Makes the hints for failed requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints {
    /// Where the endpoint comes from, such as `--region`.
    pub(super) endpoint_source: String,
    /// The region, if the endpoint was derived from one.
    pub(super) region: Option<Sourced<String>>,
    /// The project id, and where it comes from.
    pub(super) project: Option<(String, String)>,
    /// Where the proxy comes from, if there is one.
    pub(super) proxy_source: Option<String>,
    /// The files with CAs that were given, each with its source, such as `ca.pem (from --ca-file)`.
    pub(super) ca_files: Vec<String>,
    /// The services that issue credentials and whose hosts another setting than that of the endpoint
    /// determines.
    pub(super) services: Vec<IssuingService>,
}

/// A service that issues credentials.
#[derive(Clone, Debug)]
pub(crate) struct IssuingService {
    pub(super) name: &'static str,
    /// The host, with the port if the URL has one.
    pub(super) authority: String,
    /// The setting that determines the URL.
    pub(super) source: String,
}

impl IssuingService {
    /// Returns the services whose hosts another setting than that of the endpoint determines.
    pub(super) fn with_own_settings(
        hosts: &ServiceHosts,
        found: Option<&ResolvedCredentials>,
    ) -> Vec<Self> {
        let authority = |host: &Sourced<Endpoint>| {
            let uri: Uri = host.value.to_string().parse().ok()?;
            Some(uri.authority()?.to_string())
        };
        let endpoint = hosts.endpoint();
        let is_set = |name| {
            let mut settings = found.into_iter().flat_map(ResolvedCredentials::settings);
            settings.any(|setting| setting.name == name)
        };
        let services =
            [("identity service", hosts.identity()), ("token service", hosts.token_service())];
        let services = services.into_iter().filter_map(|(name, host)| {
            let (host, source) = (host.and_then(authority)?, host?.source.clone());
            let has_own_host = endpoint.and_then(authority).as_ref() != Some(&host);
            let has_own_source = endpoint.is_none_or(|endpoint| endpoint.source != source);
            (has_own_host && (is_set(name) || has_own_source)).then_some(Self {
                name,
                authority: host,
                source,
            })
        });
        services.collect()
    }
}

impl Hints {
    /// Returns the hint for a failed request.
    pub(crate) fn for_fetch_error(&self, error: &FetchError) -> Option<String> {
        let is_temporary = matches!(error.class(), ErrorClass::Transient | ErrorClass::Throttled);
        match error.kind() {
            FetchErrorKind::Status(_) if is_temporary => {
                Some("Try again later, or use `cce-job wait`, which retries.".into())
            }
            kind => self.hint(Some((kind, &display_chain(error))), Exit::from(error)),
        }
    }

    /// Returns the hint for a failed request for the list of jobs.
    pub(crate) fn for_list_error(&self, error: &FetchError) -> Option<String> {
        const USE_GET: &str = "To read a job without the list, use `cce-job get ID`.";
        let is_temporary = matches!(error.class(), ErrorClass::Transient | ErrorClass::Throttled);
        Some(match error.kind() {
            FetchErrorKind::Status(_) if is_temporary => "Try again later.".into(),
            FetchErrorKind::Status(403) => format!(
                "The permission to list jobs (cce:job:list) may be missing.\n{}\n{USE_GET}",
                self.for_forbidden()
            ),
            FetchErrorKind::Status(404 | 405) => format!(
                "The service at this endpoint may have no list of jobs. `cce-job config` shows the \
                 endpoint.\n{USE_GET}"
            ),
            FetchErrorKind::Transport(TransportErrorKind::BodyTooLarge) => USE_GET.into(),
            _ => return self.for_fetch_error(error),
        })
    }

    /// Returns the hint for a wait that stopped before its job ended.
    pub(crate) fn for_wait_error(&self, error: &WaitError) -> Option<String> {
        let exit = Exit::from(error);
        // If the job was read before the deadline, the settings are right.
        if exit == Exit::Deadline && error.snapshot().is_some() {
            return None;
        }
        // The settings are not the reason. The message contains the service's answer.
        let is_temporary = error.last_error().is_some_and(|error| {
            matches!(error.kind, FetchErrorKind::Status(_))
                && matches!(error.class, ErrorClass::Transient | ErrorClass::Throttled)
        });
        if error.kind() == WaitErrorKind::DeadlineExceeded && is_temporary {
            return None;
        }
        if exit == Exit::NotFound && error.checkpoint().machine().has_no_job() {
            return Some(
                "Check the ids of the cluster and the node, the project and the region.\n\
                 `cce-job config` shows the project and the endpoint."
                    .into(),
            );
        }
        if error.kind() == WaitErrorKind::NoObject {
            return Some(
                "To wait without the job, use --cluster ID, and --node ID for a node.".into(),
            );
        }
        self.hint(error.last_error().map(|error| (error.kind, &*error.message)), exit)
    }

    /// Returns the hint for an error with this kind and message.
    fn hint(&self, error: Option<(FetchErrorKind, &str)>, exit: Exit) -> Option<String> {
        let hint = match (error.map(|(kind, _)| kind), exit) {
            (Some(FetchErrorKind::Transport(TransportErrorKind::Dns)), _) => {
                return Some(self.for_unknown_host(error.map_or("", |(_, message)| message)));
            }
            (Some(FetchErrorKind::Transport(TransportErrorKind::Certificate)), _) => {
                return Some(self.for_unknown_certificate());
            }
            (Some(FetchErrorKind::Transport(TransportErrorKind::ClientCertificateRequired)), _) => {
                "Pass the client certificate with --client-cert and --client-key."
            }
            (
                Some(FetchErrorKind::Transport(
                    TransportErrorKind::Proxy | TransportErrorKind::ProxyAuthentication,
                )),
                _,
            ) => return self.for_proxy(),
            (Some(FetchErrorKind::Status(403)), _) => return Some(self.for_forbidden()),
            (Some(FetchErrorKind::NoProject), _) => {
                "Check the name of the project, or set its id with --project."
            }
            (_, Exit::Credentials) => {
                "Check your credentials; `cce-job config` shows which ones are used."
            }
            (_, Exit::NotFound) => {
                "Check the job id, the project and the region.\n\
                 `cce-job config` shows the project and the endpoint."
            }
            (_, Exit::Unreadable) => {
                "Check the endpoint and any proxy in between. Rerun with `-v` to log each request."
            }
            _ => return None,
        };
        Some(hint.into())
    }

    /// Returns the hint for a host name that could not be resolved. The message contains it.
    fn for_unknown_host(&self, message: &str) -> String {
        let is_named = |service: &&IssuingService| {
            let quoted = format!("`{}`", service.authority);
            message.contains(&quoted)
        };
        let setting = match (self.services.iter().find(is_named), &self.region) {
            (Some(IssuingService { name, source, .. }), _) => {
                format!("Check the URL of the {name} (from {source}).")
            }
            (None, Some(Sourced { value, source, .. })) => format!(
                "Check the region {value} (from {source}). Examples: eu-de, eu-nl, cn-north-4."
            ),
            (None, None) => match &*self.endpoint_source {
                "--endpoint" => {
                    "Check the host name, or use --region (such as eu-de) instead of --endpoint."
                        .into()
                }
                source => format!("Check the host name (from {source})."),
            },
        };
        match &self.proxy_source {
            Some(proxy) => format!("Check the host name of the proxy (from {proxy}).\n{setting}"),
            None => setting,
        }
    }

    fn for_unknown_certificate(&self) -> String {
        let (server, proxy_ca) = match &self.ca_files[..] {
            [] => (
                "If the server uses a private CA, pass it with --extra-ca-file.".into(),
                "pass its CA with --extra-ca-file",
            ),
            files => (
                format!("Check that {} has the CA of the server.", files.join(" or ")),
                "the file needs its CA",
            ),
        };
        match &self.proxy_source {
            Some(proxy) => {
                format!("If the proxy (from {proxy}) inspects TLS, {proxy_ca}.\n{server}")
            }
            None => server,
        }
    }

    fn for_proxy(&self) -> Option<String> {
        let proxy = self.proxy_source.as_ref()?;
        Some(format!(
            "Check the proxy (from {proxy}).\n`--proxy none` and NO_PROXY connect without it."
        ))
    }

    fn for_forbidden(&self) -> String {
        let project = match &self.project {
            Some((id, source)) => format!("The project id {id} (from {source})"),
            None => "The project".into(),
        };
        format!(
            "{project} may be wrong, or these credentials may not read it.\n\
             `cce-job config` shows which credentials are used."
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use job_poller::{
        WaitPolicy,
        machine::{AttemptError, Input},
    };
    use job_transport::transport::{RequestSent, TransportError};

    use super::*;
    use crate::testing::run_wait;

    #[test]
    fn hints_name_the_settings_that_were_used() {
        let of_region = Hints {
            endpoint_source: "--region".into(),
            region: Some(Sourced::new("eu-xx".into(), "--region")),
            project: Some(("4b8c1e4d".into(), "OS_PROJECT_ID".into())),
            proxy_source: None,
            ca_files: Vec::new(),
            services: Vec::new(),
        };
        let of_endpoint =
            Hints { endpoint_source: "--endpoint".into(), region: None, ..of_region.clone() };
        let behind_proxy = Hints { proxy_source: Some("HTTPS_PROXY".into()), ..of_region.clone() };
        let ca_files =
            vec!["ca.pem (from OS_CACERT)".into(), "b.pem (from --extra-ca-file)".into()];
        let with_ca_files = Hints { ca_files, ..of_region.clone() };
        let with_both =
            Hints { ca_files: vec!["ca.pem (from --ca-file)".into()], ..behind_proxy.clone() };
        let without_project = Hints { project: None, ..of_region.clone() };
        let transport = |kind| FetchError::from(TransportError::new(kind, RequestSent::No));
        let status = |status| FetchError::new(FetchErrorKind::Status(status));
        let dns = || transport(TransportErrorKind::Dns);
        let rows = [
            (
                &of_region,
                dns(),
                "Check the region eu-xx (from --region). Examples: eu-de, eu-nl, cn-north-4.",
            ),
            (
                &of_endpoint,
                dns(),
                "Check the host name, or use --region (such as eu-de) instead of --endpoint.",
            ),
            (
                &behind_proxy,
                dns(),
                "Check the host name of the proxy (from HTTPS_PROXY).\n\
                 Check the region eu-xx (from --region). Examples: eu-de, eu-nl, cn-north-4.",
            ),
            (
                &of_region,
                transport(TransportErrorKind::Certificate),
                "If the server uses a private CA, pass it with --extra-ca-file.",
            ),
            (
                &behind_proxy,
                transport(TransportErrorKind::Certificate),
                "If the proxy (from HTTPS_PROXY) inspects TLS, pass its CA with --extra-ca-file.\n\
                 If the server uses a private CA, pass it with --extra-ca-file.",
            ),
            (
                &with_ca_files,
                transport(TransportErrorKind::Certificate),
                "Check that ca.pem (from OS_CACERT) or b.pem (from --extra-ca-file) has the CA of the \
                 server.",
            ),
            (
                &with_both,
                transport(TransportErrorKind::Certificate),
                "If the proxy (from HTTPS_PROXY) inspects TLS, the file needs its CA.\n\
                 Check that ca.pem (from --ca-file) has the CA of the server.",
            ),
            (
                &behind_proxy,
                transport(TransportErrorKind::ProxyAuthentication),
                "Check the proxy (from HTTPS_PROXY).\n\
                 `--proxy none` and NO_PROXY connect without it.",
            ),
            (
                &of_region,
                transport(TransportErrorKind::ClientCertificateRequired),
                "Pass the client certificate with --client-cert and --client-key.",
            ),
            (
                &of_region,
                status(403),
                "The project id 4b8c1e4d (from OS_PROJECT_ID) may be wrong, or these credentials may \
                 not read it.\n`cce-job config` shows which credentials are used.",
            ),
            (
                &without_project,
                status(403),
                "The project may be wrong, or these credentials may not read it.\n\
                 `cce-job config` shows which credentials are used.",
            ),
            (
                &without_project,
                FetchError::new(FetchErrorKind::NoProject),
                "Check the name of the project, or set its id with --project.",
            ),
            (
                &of_region,
                FetchError::new(FetchErrorKind::Credentials),
                "Check your credentials; `cce-job config` shows which ones are used.",
            ),
        ];
        for (hints, error, expected) in rows {
            assert_eq!(hints.for_fetch_error(&error).as_deref(), Some(expected), "{error}");
        }
    }

    #[test]
    fn a_timeout_has_no_hint_if_the_settings_are_not_the_reason() {
        let policy = WaitPolicy::new().timeout(Duration::from_secs(20));
        for (status, has_hint) in [(503, false), (429, false), (404, true)] {
            let error = FetchError::new(FetchErrorKind::Status(status));
            let input = Input::Error(AttemptError::from(&error));
            let (result, _) = run_wait(policy, std::iter::repeat(input));
            let hint = Hints::default().for_wait_error(&result.unwrap_err());
            assert_eq!(hint.is_some(), has_hint, "{status}: {hint:?}");
        }
    }

    #[test]
    fn hints_for_a_refused_list_name_the_command_for_one_job() {
        let hints = Hints::default();
        let transport = FetchErrorKind::Transport(TransportErrorKind::BodyTooLarge);
        for (kind, parts) in [
            (
                FetchErrorKind::Status(403),
                &["cce:job:list", "may not read it", "`cce-job get ID`"][..],
            ),
            (FetchErrorKind::Status(404), &["no list of jobs", "`cce-job get ID`"]),
            (FetchErrorKind::Status(405), &["no list of jobs", "`cce-job get ID`"]),
            (transport, &["`cce-job get ID`"]),
            (FetchErrorKind::Status(503), &["Try again later."]),
            (FetchErrorKind::Status(429), &["Try again later."]),
            (FetchErrorKind::Status(401), &["Check your credentials"]),
            (FetchErrorKind::HtmlPage, &["Check the endpoint and any proxy in between."]),
        ] {
            let hint = hints.for_list_error(&FetchError::new(kind)).unwrap();
            assert!(parts.iter().all(|part| hint.contains(part)), "{kind:?}: {hint}");
        }
    }
}
