//! Gets temporary keys from the metadata service of a virtual machine (ECS).

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Method, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};

use super::{
    failed,
    request::{request, send, set_header},
    temporary_key::temporary_key,
};
use crate::{
    auth::{credential::ProvidedCredential, provider::ProvideCredentials, secret::parse_secret},
    request::{CredentialsProviderError, Endpoint, EndpointError, ErrorClass, FetchError, Reply},
    transport::Transport,
};

/// The address of the metadata service. It is the same on every virtual machine, and is not routed.
const METADATA_URL: &str = "http://169.254.169.254";

const TOKEN_PATH: &str = "/meta-data/latest/api/token";
const KEY_PATH: &str = "/openstack/latest/securitykey";

/// The requested lifetime of a session token, in seconds.
const TOKEN_TTL: &str = "21600";

/// The body of a 401 if the machine has no agency. A new session token does not help then.
const NO_AGENCY: &[u8] = b"Please configure Cloud Service Agency first";

/// A credentials provider for programs on a virtual machine (ECS) that has an agency.
///
/// It asks the metadata service of the machine (`http://169.254.169.254`) for a temporary key. Only
/// use it if the program runs on such a machine: elsewhere the address could belong to somebody
/// else.
///
/// The requests use plain http, because they do not leave the machine. `transport` must send them
/// directly, without a proxy; `HyperTransport` always does.
///
/// # Examples
///
/// ```no_run
/// # #[cfg(all(feature = "hyper", feature = "aws-lc-rs"))]
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use job_transport::{
///     Credentials, auth::MetadataService, hyper::{HyperTransport, TlsConfig, TlsProvider},
/// };
///
/// let transport = HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?);
/// let credentials = Credentials::from_provider(MetadataService::new(transport));
/// # Ok(())
/// # }
/// ```
pub struct MetadataService {
    endpoint: Endpoint,
    transport: Box<dyn Transport>,
    /// The token of the current session; `None` if there is none yet, or the service has none.
    session: Mutex<Option<SecretString>>,
}

impl MetadataService {
    /// Creates a provider. Sends no request.
    #[must_use]
    #[expect(clippy::missing_panics_doc, clippy::expect_used, reason = "the constant is valid")]
    pub fn new(transport: impl Transport + 'static) -> Self {
        Self::with_url(METADATA_URL, transport).expect("the constant is a valid URL")
    }

    /// Creates a provider for a metadata service with another URL, for example a stand-in for
    /// tests.
    ///
    /// # Errors
    ///
    /// Returns an error if `url` is not a URL, or if it uses plain http and its host is not
    /// this machine and not an address in 169.254.0.0/16.
    pub fn with_url(url: &str, transport: impl Transport + 'static) -> Result<Self, EndpointError> {
        let endpoint = Endpoint::link_local(url)?;
        Ok(Self { endpoint, transport: Box::new(transport), session: Mutex::default() })
    }

    async fn request_key(&self) -> Result<ProvidedCredential, CredentialsProviderError> {
        const STEP: &str = "cannot get a key from the metadata service";
        if self.session().is_none() {
            self.start_session(false).await?;
        }
        let mut reply = self.send_key_request().await.map_err(failed(STEP))?;
        if reply.response.status() == StatusCode::UNAUTHORIZED && !lacks_agency(&reply.response) {
            self.start_session(true).await?;
            reply = self.send_key_request().await.map_err(failed(STEP))?;
        }
        if lacks_agency(&reply.response) {
            let message = "this machine has no agency: configure one for it, with permission to read jobs of CCE";
            return Err(CredentialsProviderError::new(ErrorClass::Permanent, message)
                .with_source(reply.into_error()));
        }
        let reply = reply.expect_status(StatusCode::OK).map_err(failed(STEP))?;
        temporary_key(&reply).map_err(failed(STEP))
    }

    /// Requests a session token. A service without sessions (404, 405, 503) needs none, unless it
    /// has just refused a request (`is_required`).
    async fn start_session(&self, is_required: bool) -> Result<(), CredentialsProviderError> {
        const STEP: &str = "cannot get a session token from the metadata service";
        let started = async {
            let uri = self.endpoint.join(TOKEN_PATH);
            let mut request = request(&self.endpoint, Method::PUT, uri)?;
            set_header(&mut request, "x-metadata-token-ttl-seconds", TOKEN_TTL, false)?;
            send(&*self.transport, request, TOKEN_PATH, &[]).await
        };
        let reply = started.await.map_err(failed(STEP))?;
        let token = match reply.response.status().as_u16() {
            404 | 405 | 503 if !is_required => None,
            _ => {
                let reply = reply.expect_status(StatusCode::OK).map_err(failed(STEP))?;
                let text = str::from_utf8(reply.body()).unwrap_or_default().trim();
                Some(parse_secret(text.into()).map_err(|error| {
                    CredentialsProviderError::new(ErrorClass::Transient, STEP).with_source(error)
                })?)
            }
        };
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = token;
        Ok(())
    }

    async fn send_key_request(&self) -> Result<Reply, FetchError> {
        let mut request = request(&self.endpoint, Method::GET, self.endpoint.join(KEY_PATH))?;
        if let Some(token) = self.session() {
            set_header(&mut request, "x-metadata-token", token.expose_secret(), true)?;
        }
        send(&*self.transport, request, KEY_PATH, &[]).await
    }

    fn session(&self) -> Option<SecretString> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns whether the reply states that the machine has no agency.
fn lacks_agency(reply: &Response<Bytes>) -> bool {
    reply.status() == StatusCode::UNAUTHORIZED
        && reply.body().windows(NO_AGENCY.len()).any(|text| text.eq_ignore_ascii_case(NO_AGENCY))
}

impl ProvideCredentials for MetadataService {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        Box::pin(self.request_key())
    }
}

impl fmt::Debug for MetadataService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataService").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
