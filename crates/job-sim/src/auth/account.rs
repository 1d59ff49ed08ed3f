//! The credentials of the simulated user. The secrets contain characters that change when they are
//! encoded, so that a test for leaks covers the encoded forms as well.

use job_model::ProjectId;
use serde::Serialize;

/// The token that is valid without a login.
pub(crate) const TOKEN: &str = "simulated-token/+=";
pub(crate) const USER: &str = "simulated-user";
pub(crate) const PASSWORD: &str = "simulated-password \"/+%\\";
pub(crate) const PASSCODE: &str = "271828";
pub(crate) const DOMAIN: &str = "simulated-domain";
/// The project's name, beside its id.
pub(crate) const PROJECT_NAME: &str = "eu-de";
pub(crate) const IDENTITY_PROVIDER: &str = "simulated-provider";
pub(crate) const ID_TOKEN: &str = "simulated-id-token/+=";
pub(crate) const PROVIDER_URN: &str = "iam::simulated-domain-id:oidc-provider:simulated-provider";
pub(crate) const AGENCY_URN: &str = "iam::simulated-domain-id:agency:simulated-agency";
pub(crate) const AGENCY: &str = "simulated-agency";
pub(crate) const AGENCY_DOMAIN: &str = "simulated-customer";
pub(crate) const POD_TOKEN: &str = "simulated-pod-token/+=";

/// The caller of a request with the user's own credentials.
pub(crate) const USER_CALLER: &str = "user simulated-user";

/// The credentials of a simulated user: a token, a key pair, a password, and what the identity
/// service exchanges for them.
///
/// None of them is secret, because they only open a simulation.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TestAccount {
    /// A token that is valid until [`Sim::expire_tokens`](crate::Sim::expire_tokens) is called.
    pub token: String,
    /// The access key. Each simulation in a process has a different one.
    pub access_key: String,
    /// The secret key for the access key.
    pub secret_key: String,
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: String,
    /// The passcode of the user's virtual MFA device, for a login with two factors.
    pub passcode: String,
    /// The user's domain (account), by name.
    pub domain: String,
    /// The project's id.
    pub project: String,
    /// The project's name.
    pub project_name: String,
    /// The id of the identity provider that issues the ID token.
    pub identity_provider: String,
    /// An ID token (OpenID Connect).
    pub id_token: String,
    /// The name (URN) of the identity provider, for the token service.
    pub provider_urn: String,
    /// The name (URN) of the agency, for the token service.
    pub agency_urn: String,
    /// The agency that the user can assume.
    pub agency: String,
    /// The domain (account) that the agency belongs to, by name.
    pub agency_domain: String,
    /// The token of a pod's service account, for the pod identity service.
    pub pod_token: String,
}

impl TestAccount {
    pub(crate) fn new(access_key: &str, secret_key: &str, project: &ProjectId) -> Self {
        Self {
            token: TOKEN.into(),
            access_key: access_key.into(),
            secret_key: secret_key.into(),
            user: USER.into(),
            password: PASSWORD.into(),
            passcode: PASSCODE.into(),
            domain: DOMAIN.into(),
            project: project.to_string(),
            project_name: PROJECT_NAME.into(),
            identity_provider: IDENTITY_PROVIDER.into(),
            id_token: ID_TOKEN.into(),
            provider_urn: PROVIDER_URN.into(),
            agency_urn: AGENCY_URN.into(),
            agency: AGENCY.into(),
            agency_domain: AGENCY_DOMAIN.into(),
            pod_token: POD_TOKEN.into(),
        }
    }
}
