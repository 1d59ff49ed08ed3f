//! The names of the environment variables and of the settings in files, by convention.
//!
//! Every variable that these conventions have is in one of the tables: it is read, refused, or
//! listed as ignored.

use super::{field::Field, values::FieldNames};

/// OpenID Connect, in the vendor's SDKs (`huaweicloudsdkcore/auth/provider.py`).
pub(super) const OIDC: &FieldNames = &[
    (Field::ProviderUrn, "HUAWEICLOUD_OIDC_PROVIDER_URN"),
    (Field::AgencyUrn, "HUAWEICLOUD_OIDC_AGENCY_URN"),
    (Field::IdToken, "HUAWEICLOUD_OIDC_ID_TOKEN"),
    (Field::IdTokenFile, "HUAWEICLOUD_OIDC_TOKEN_FILE"),
    (Field::SessionName, "HUAWEICLOUD_OIDC_SESSION_NAME"),
    (Field::Duration, "HUAWEICLOUD_OIDC_DURATION_SECONDS"),
    (Field::Policy, "HUAWEICLOUD_OIDC_POLICY"),
    (Field::PolicyIds, "HUAWEICLOUD_OIDC_POLICY_IDS"),
    (Field::TokenServiceUrl, "HUAWEICLOUD_SDK_STS_ENDPOINT"),
    (Field::IdpId, "HUAWEICLOUD_SDK_IDP_ID"),
    (Field::IdpTokenFile, "HUAWEICLOUD_SDK_ID_TOKEN_FILE"),
    (Field::ProjectId, "HUAWEICLOUD_SDK_PROJECT_ID"),
    (Field::AuthUrl, "HUAWEICLOUD_SDK_IAM_ENDPOINT"),
];

/// The vendor's SDKs.
pub(super) const VENDOR: &FieldNames = &[
    (Field::AccessKey, "HUAWEICLOUD_SDK_AK"),
    (Field::SecretKey, "HUAWEICLOUD_SDK_SK"),
    (Field::SecurityToken, "HUAWEICLOUD_SDK_SECURITY_TOKEN"),
    (Field::ProjectId, "HUAWEICLOUD_SDK_PROJECT_ID"),
    (Field::AuthUrl, "HUAWEICLOUD_SDK_IAM_ENDPOINT"),
];

/// The samples of the vendor's API Explorer.
pub(super) const API_EXPLORER: &FieldNames = &[
    (Field::AccessKey, "CLOUD_SDK_AK"),
    (Field::SecretKey, "CLOUD_SDK_SK"),
    (Field::ProjectId, "HUAWEICLOUD_SDK_PROJECT_ID"),
    (Field::AuthUrl, "HUAWEICLOUD_SDK_IAM_ENDPOINT"),
];

/// The pod identity and the metadata service, in the vendor's SDKs.
pub(super) const MACHINE: &FieldNames = &[
    (Field::PodUri, "HC_CONTAINER_CREDENTIALS_FULL_URI"),
    (Field::PodTokenFile, "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    (Field::ProjectId, "HUAWEICLOUD_SDK_PROJECT_ID"),
    (Field::AuthUrl, "HUAWEICLOUD_SDK_IAM_ENDPOINT"),
];

/// Terraform's provider for Huawei Cloud.
pub(super) const TERRAFORM: &FieldNames = &[
    (Field::Token, "HW_AUTH_TOKEN"),
    (Field::AccessKey, "HW_ACCESS_KEY"),
    (Field::SecretKey, "HW_SECRET_KEY"),
    (Field::SecurityToken, "HW_SECURITY_TOKEN"),
    (Field::User, "HW_USER_NAME"),
    (Field::UserId, "HW_USER_ID"),
    (Field::Password, "HW_USER_PASSWORD"),
    (Field::UserDomain, "HW_DOMAIN_NAME"),
    (Field::UserDomainId, "HW_DOMAIN_ID"),
    (Field::AgencyName, "HW_ASSUME_ROLE_AGENCY_NAME"),
    (Field::AgencyDomain, "HW_ASSUME_ROLE_DOMAIN_NAME"),
    (Field::ProjectName, "HW_PROJECT_NAME"),
    (Field::ProjectId, "HW_PROJECT_ID"),
    (Field::Region, "HW_REGION_NAME"),
    (Field::AuthUrl, "HW_AUTH_URL"),
];

/// OpenStack's clients, and Terraform's provider for Open Telekom Cloud.
pub(super) const OPEN_STACK: &FieldNames = &[
    (Field::Token, "OS_TOKEN"),
    (Field::Token, "OS_AUTH_TOKEN"),
    (Field::AccessKey, "OS_ACCESS_KEY"),
    (Field::SecretKey, "OS_SECRET_KEY"),
    (Field::SecurityToken, "OS_SECURITY_TOKEN"),
    (Field::User, "OS_USERNAME"),
    (Field::UserId, "OS_USER_ID"),
    (Field::Password, "OS_PASSWORD"),
    (Field::Passcode, "OS_PASSCODE"),
    (Field::UserDomain, "OS_USER_DOMAIN_NAME"),
    (Field::UserDomainId, "OS_USER_DOMAIN_ID"),
    (Field::AuthType, "OS_AUTH_TYPE"),
    (Field::AuthMethods, "OS_AUTH_METHODS"),
    (Field::AgencyName, "OS_AGENCY_NAME"),
    (Field::AgencyDomain, "OS_AGENCY_DOMAIN_NAME"),
    (Field::DelegatedProject, "OS_DELEGATED_PROJECT"),
    (Field::ProjectName, "OS_PROJECT_NAME"),
    (Field::ProjectName, "OS_TENANT_NAME"),
    (Field::ProjectId, "OS_PROJECT_ID"),
    (Field::ProjectId, "OS_TENANT_ID"),
    (Field::ProjectDomain, "OS_PROJECT_DOMAIN_NAME"),
    (Field::ProjectDomainId, "OS_PROJECT_DOMAIN_ID"),
    (Field::Domain, "OS_DOMAIN_NAME"),
    (Field::DomainId, "OS_DOMAIN_ID"),
    (Field::Region, "OS_REGION_NAME"),
    (Field::AuthUrl, "OS_AUTH_URL"),
    (Field::CaFile, "OS_CACERT"),
];

/// The settings of a section in the vendor's credentials file.
pub(super) const CREDENTIALS_FILE: &FieldNames = &[
    (Field::AccessKey, "ak"),
    (Field::SecretKey, "sk"),
    (Field::SecurityToken, "security_token"),
    (Field::IdpId, "idp_id"),
    (Field::IdpTokenFile, "id_token_file"),
    (Field::ProjectId, "project_id"),
    (Field::AuthUrl, "iam_endpoint"),
];

/// The settings of a profile in the configuration file of the vendor's command line (KooCLI).
pub(super) const KOO_CLI: &FieldNames = &[
    (Field::AccessKey, "accessKeyId"),
    (Field::SecretKey, "secretAccessKey"),
    (Field::SecurityToken, "securityToken"),
    (Field::AgencyName, "agencyName"),
    (Field::AgencyDomain, "agencyDomainName"),
    (Field::ProjectId, "projectId"),
    (Field::Region, "region"),
];

/// The settings of a cloud in `clouds.yaml`.
pub(super) const CLOUDS_YAML: &FieldNames = &[
    (Field::Token, "auth.token"),
    (Field::AccessKey, "auth.ak"),
    (Field::SecretKey, "auth.sk"),
    (Field::SecurityToken, "auth.security_token"),
    (Field::User, "auth.username"),
    (Field::UserId, "auth.user_id"),
    (Field::Password, "auth.password"),
    (Field::Passcode, "auth.passcode"),
    (Field::UserDomain, "auth.user_domain_name"),
    (Field::UserDomainId, "auth.user_domain_id"),
    (Field::AuthType, "auth_type"),
    (Field::AuthMethods, "auth_methods"),
    (Field::AgencyName, "auth.agency_name"),
    (Field::AgencyDomain, "auth.agency_domain_name"),
    (Field::DelegatedProject, "auth.delegated_project"),
    (Field::ProjectName, "auth.project_name"),
    (Field::ProjectId, "auth.project_id"),
    (Field::ProjectDomain, "auth.project_domain_name"),
    (Field::ProjectDomainId, "auth.project_domain_id"),
    (Field::Domain, "auth.domain_name"),
    (Field::DomainId, "auth.domain_id"),
    (Field::Region, "region_name"),
    (Field::AuthUrl, "auth.auth_url"),
    (Field::CaFile, "cacert"),
];

/// Variables that select files.
pub(super) const FILES: [&str; 5] = [
    "HUAWEICLOUD_SDK_CREDENTIALS_FILE",
    "HW_SHARED_CONFIG_FILE",
    "HW_PROFILE",
    "OS_CLOUD",
    "OS_CLIENT_CONFIG_FILE",
];

/// The variable that names the cloud for the credentials of every source.
pub(super) const CLOUD: &str = "HW_CLOUD";

pub(super) const OTHER_LOGIN: &str = "use a token, a key pair or a password";

/// Variables that change the caller's identity and are not supported. Each is refused if its source is used.
pub(super) const REFUSED_TERRAFORM: &[(&str, &str)] = &[
    ("HW_ASSUME_ROLE_DOMAIN_ID", "set HW_ASSUME_ROLE_DOMAIN_NAME instead"),
    (
        "HW_ASSUME_ROLE_IDP_ID",
        "set HUAWEICLOUD_SDK_IDP_ID and HUAWEICLOUD_SDK_ID_TOKEN_FILE instead",
    ),
    (
        "HW_ASSUME_ROLE_ID_TOKEN",
        "set HUAWEICLOUD_SDK_IDP_ID and HUAWEICLOUD_SDK_ID_TOKEN_FILE instead",
    ),
    (
        "HW_ASSUME_ROLE_ID_TOKEN_FILE",
        "set HUAWEICLOUD_SDK_IDP_ID and HUAWEICLOUD_SDK_ID_TOKEN_FILE instead",
    ),
];

/// The same for OpenStack's variables.
pub(super) const REFUSED_OPEN_STACK: &[(&str, &str)] = &[
    ("OS_ACCESS_TOKEN", OTHER_LOGIN),
    ("OS_AGENCY_DOMAIN_ID", "set OS_AGENCY_DOMAIN_NAME instead"),
    ("OS_APPLICATION_CREDENTIAL_ID", OTHER_LOGIN),
    ("OS_APPLICATION_CREDENTIAL_NAME", OTHER_LOGIN),
    ("OS_APPLICATION_CREDENTIAL_SECRET", OTHER_LOGIN),
    ("OS_CONSUMER_KEY", OTHER_LOGIN),
    ("OS_IDENTITY_PROVIDER", OTHER_LOGIN),
    ("OS_SYSTEM_SCOPE", "jobs belong to a project; set OS_PROJECT_NAME instead"),
    ("OS_TRUST_ID", OTHER_LOGIN),
];

/// Variables that other clients read and this one does not need, each with the reason.
pub(super) const IGNORED: &[(&str, &str)] = &[
    ("HUAWEICLOUD_SDK_DOMAIN_ID", "jobs belong to a project, not to an account"),
    (
        "HUAWEICLOUD_SDK_REGIONS_FILE",
        "set HUAWEICLOUD_SDK_REGION_CCE_{REGION} or the endpoint instead",
    ),
    ("HW_ASSUME_ROLE_DURATION", "keys of an agency are renewed"),
    ("HW_ENTERPRISE_PROJECT_ID", "jobs do not belong to enterprise projects"),
    ("HW_INSECURE", "certificates are always verified"),
    ("HW_MAX_RETRIES", "a wait retries until its deadline"),
    ("HW_SIGNING_ALGORITHM", "requests are signed with SDK-HMAC-SHA256"),
    ("OS_CERT", "set the client certificate as a flag instead"),
    ("OS_KEY", "set the client certificate as a flag instead"),
    ("OS_ENDPOINT_TYPE", "no catalog is read"),
    ("OS_IDENTITY_API_VERSION", "version 3 is used"),
    ("OS_INSECURE", "certificates are always verified"),
    ("OS_INTERFACE", "no catalog is read"),
];

/// Returns the names of the variables that are read.
pub(super) fn supported_variables() -> impl Iterator<Item = &'static str> {
    let conventions = [OIDC, VENDOR, API_EXPLORER, MACHINE, TERRAFORM, OPEN_STACK];
    let settings = conventions.into_iter().flatten().map(|(_, name)| *name);
    settings.chain(FILES).chain([CLOUD])
}

/// Returns the names of all variables that are read, refused, or listed as ignored.
pub(super) fn known_variables() -> impl Iterator<Item = &'static str> {
    let others = [REFUSED_TERRAFORM, REFUSED_OPEN_STACK, IGNORED];
    let others = others.into_iter().flatten().map(|(name, _)| *name);
    supported_variables().chain(["HOME"]).chain(others)
}
