//! The table of the variables that are read, with the other clients that read them.

use std::fmt::Write;

const SDK: &str = "Huawei Cloud SDKs";
const TERRAFORM: &str = "Terraform (huaweicloud)";
const OPEN_STACK: &str = "OpenStack, Terraform (opentelekomcloud)";
const OPEN_STACK_ONLY: &str = "OpenStack";
const TERRAFORM_OTC: &str = "Terraform (opentelekomcloud)";

/// Each setting with its variables and the other clients that read them.
const SETTINGS: &[(&str, &[&str], &str)] = &[
    ("endpoint", &["HUAWEICLOUD_SDK_REGION_CCE_{REGION}"], SDK),
    ("region", &["HW_REGION_NAME"], TERRAFORM),
    ("region", &["OS_REGION_NAME"], OPEN_STACK),
    ("cloud", &["HW_CLOUD"], TERRAFORM),
    ("identity service", &["HUAWEICLOUD_SDK_IAM_ENDPOINT"], SDK),
    ("identity service", &["HW_AUTH_URL"], TERRAFORM),
    ("identity service", &["OS_AUTH_URL"], OPEN_STACK),
    ("token service", &["HUAWEICLOUD_SDK_STS_ENDPOINT"], SDK),
    ("CA file", &["OS_CACERT"], OPEN_STACK),
    ("project", &["HUAWEICLOUD_SDK_PROJECT_ID"], SDK),
    ("project", &["HW_PROJECT_ID", "HW_PROJECT_NAME"], TERRAFORM),
    (
        "project",
        &["OS_PROJECT_ID", "OS_PROJECT_NAME", "OS_TENANT_ID", "OS_TENANT_NAME"],
        OPEN_STACK,
    ),
    ("project", &["OS_PROJECT_DOMAIN_ID", "OS_PROJECT_DOMAIN_NAME"], OPEN_STACK_ONLY),
    ("token", &["HW_AUTH_TOKEN"], TERRAFORM),
    ("token", &["OS_TOKEN", "OS_AUTH_TOKEN"], OPEN_STACK),
    (
        "key pair",
        &["HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_SECURITY_TOKEN"],
        SDK,
    ),
    ("key pair", &["CLOUD_SDK_AK", "CLOUD_SDK_SK"], "samples of API Explorer"),
    ("key pair", &["HW_ACCESS_KEY", "HW_SECRET_KEY", "HW_SECURITY_TOKEN"], TERRAFORM),
    ("key pair", &["OS_ACCESS_KEY", "OS_SECRET_KEY", "OS_SECURITY_TOKEN"], TERRAFORM_OTC),
    ("password", &["HW_USER_NAME", "HW_USER_ID", "HW_USER_PASSWORD"], TERRAFORM),
    ("password", &["HW_DOMAIN_NAME", "HW_DOMAIN_ID"], TERRAFORM),
    ("password", &["OS_USERNAME", "OS_USER_ID", "OS_PASSWORD"], OPEN_STACK),
    ("password", &["OS_USER_DOMAIN_NAME", "OS_USER_DOMAIN_ID"], OPEN_STACK_ONLY),
    ("password", &["OS_DOMAIN_NAME", "OS_DOMAIN_ID", "OS_PASSCODE"], OPEN_STACK),
    ("kind of login", &["OS_AUTH_TYPE", "OS_AUTH_METHODS"], OPEN_STACK_ONLY),
    ("OpenID Connect", &["HUAWEICLOUD_OIDC_PROVIDER_URN", "HUAWEICLOUD_OIDC_AGENCY_URN"], SDK),
    ("OpenID Connect", &["HUAWEICLOUD_OIDC_ID_TOKEN", "HUAWEICLOUD_OIDC_TOKEN_FILE"], SDK),
    (
        "OpenID Connect",
        &["HUAWEICLOUD_OIDC_SESSION_NAME", "HUAWEICLOUD_OIDC_DURATION_SECONDS"],
        SDK,
    ),
    ("OpenID Connect", &["HUAWEICLOUD_OIDC_POLICY", "HUAWEICLOUD_OIDC_POLICY_IDS"], SDK),
    ("OpenID Connect", &["HUAWEICLOUD_SDK_IDP_ID", "HUAWEICLOUD_SDK_ID_TOKEN_FILE"], SDK),
    (
        "pod identity",
        &["HC_CONTAINER_CREDENTIALS_FULL_URI", "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE"],
        SDK,
    ),
    ("agency", &["HW_ASSUME_ROLE_AGENCY_NAME", "HW_ASSUME_ROLE_DOMAIN_NAME"], TERRAFORM),
    ("agency", &["OS_AGENCY_NAME", "OS_AGENCY_DOMAIN_NAME", "OS_DELEGATED_PROJECT"], TERRAFORM_OTC),
    ("credentials file", &["HUAWEICLOUD_SDK_CREDENTIALS_FILE"], SDK),
    (
        "credentials file",
        &["HW_SHARED_CONFIG_FILE", "HW_PROFILE"],
        "Terraform (huaweicloud), KooCLI",
    ),
    ("credentials file", &["OS_CLOUD", "OS_CLIENT_CONFIG_FILE"], OPEN_STACK_ONLY),
];

/// Returns the section of `config --help` about the variables.
pub(crate) fn settings_help() -> String {
    let mut text = String::from("Variables, and the other clients that read them:");
    let mut last = "";
    for (setting, variables, clients) in SETTINGS {
        let shown = if *setting == last { "" } else { setting };
        last = setting;
        for (index, variable) in variables.iter().enumerate() {
            let shown = if index == 0 { shown } else { "" };
            let _ = write!(text, "\n  {shown:17} {variable:37} {clients}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use job_transport::auth::CredentialChain;

    use super::*;

    /// Returns the table as Markdown.
    fn markdown() -> String {
        let mut text =
            String::from("| setting | variables | other clients that read them |\n|---|---|---|\n");
        for (setting, variables, clients) in SETTINGS {
            let variables = variables.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
            let _ = writeln!(text, "| {setting} | {} | {clients} |", variables.join(", "));
        }
        text
    }

    #[test]
    fn the_table_lists_every_variable_that_is_read() {
        let listed: BTreeSet<_> =
            SETTINGS.iter().flat_map(|(_, names, _)| *names).copied().collect();
        let read: BTreeSet<_> = CredentialChain::supported_variables().collect();
        let region = BTreeSet::from(["HUAWEICLOUD_SDK_REGION_CCE_{REGION}"]);
        assert_eq!(listed.difference(&region).copied().collect::<BTreeSet<_>>(), read);
    }

    #[test]
    fn the_readme_contains_the_table() {
        let readme = include_str!("../../README.md");
        assert!(readme.contains(&markdown()), "put this into README.md:\n{}", markdown());
    }
}
