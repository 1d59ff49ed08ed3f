//! Gets temporary keys from the pod identity service of a Kubernetes node.

use std::{fmt, path::PathBuf};

use futures_core::future::BoxFuture;
use http::{StatusCode, Uri};
use secrecy::ExposeSecret;
use serde_json::json;

use super::{
    TokenSource, failed,
    request::{post, send, set_header},
    temporary_key::temporary_key,
};
use crate::{
    auth::{credential::ProvidedCredential, provider::ProvideCredentials},
    request::{CredentialsProviderError, Endpoint, EndpointError, FetchError, Reply},
    transport::Transport,
};

/// A credentials provider for programs in a Kubernetes pod whose service account has an agency.
///
/// The cluster sets the variables `HC_CONTAINER_CREDENTIALS_FULL_URI` and
/// `HC_CONTAINER_AUTHORIZATION_TOKEN_FILE` in such a pod. The provider sends the file's content to
/// the URI, and receives a temporary key. The file is read for each request, because the cluster
/// renews it.
///
/// The URI may use plain http to this machine and to 169.254.0.0/16, because such requests do not
/// leave the node. `transport` must send these directly, without a proxy; `HyperTransport` always
/// does.
///
/// # Examples
///
/// ```no_run
/// # #[cfg(all(feature = "hyper", feature = "aws-lc-rs"))]
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use job_transport::{
///     Credentials, auth::PodIdentity, hyper::{HyperTransport, TlsConfig, TlsProvider},
/// };
///
/// let transport = HyperTransport::new(TlsConfig::platform(TlsProvider::aws_lc_rs())?);
/// let uri = std::env::var("HC_CONTAINER_CREDENTIALS_FULL_URI")?;
/// let file = std::env::var("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE")?;
/// let pod_identity = PodIdentity::new(&uri, transport)?.token_file(file);
/// let credentials = Credentials::from_provider(pod_identity);
/// # Ok(())
/// # }
/// ```
pub struct PodIdentity {
    endpoint: Endpoint,
    uri: Uri,
    token: Option<TokenSource>,
    transport: Box<dyn Transport>,
}

impl PodIdentity {
    /// Creates a provider. Sends no request.
    ///
    /// # Errors
    ///
    /// Returns an error if `uri` is not a URL, or if it uses plain http and its host is not
    /// this machine and not an address in 169.254.0.0/16.
    pub fn new(uri: &str, transport: impl Transport + 'static) -> Result<Self, EndpointError> {
        let endpoint = Endpoint::link_local(uri)?;
        let uri = uri.parse().map_err(|_| EndpointError::NotUrl)?;
        Ok(Self { endpoint, uri, token: None, transport: Box::new(transport) })
    }

    /// Sends the content of this file as `Authorization`; by default the header is not sent.
    #[must_use]
    pub fn token_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.token = Some(TokenSource::file(file));
        self
    }

    async fn request_key(&self) -> Result<ProvidedCredential, CredentialsProviderError> {
        const STEP: &str = "cannot get a key from the pod identity service";
        let token = match &self.token {
            Some(token) => Some(token.get().await?),
            None => None,
        };
        let token = token.as_ref().map(ExposeSecret::expose_secret);
        let reply = self.send_request(token).await.map_err(failed(STEP))?;
        let reply = match reply.response.status() {
            StatusCode::CREATED => reply.response,
            _ => reply.expect_status(StatusCode::OK).map_err(failed(STEP))?,
        };
        temporary_key(&reply).map_err(failed(STEP))
    }

    async fn send_request(&self, token: Option<&str>) -> Result<Reply, FetchError> {
        let mut request = post(&self.endpoint, Ok(self.uri.clone()), &json!({}))?;
        if let Some(token) = token {
            set_header(&mut request, "authorization", token, true)?;
        }
        send(&*self.transport, request, "{credentials_uri}", &[]).await
    }
}

impl ProvideCredentials for PodIdentity {
    fn provide(&self) -> BoxFuture<'_, Result<ProvidedCredential, CredentialsProviderError>> {
        Box::pin(self.request_key())
    }
}

impl fmt::Debug for PodIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PodIdentity")
            .field("endpoint", &self.endpoint)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
