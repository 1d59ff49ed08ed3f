//! Lists the variables that are set and have no effect, so that nobody has to guess why.

use super::{
    AuthMethod, ChainSource, CredentialChain, ResolvedCredentials, field::Field,
    host_settings::REGION_ENDPOINT, names, service_hosts::ServiceHosts,
};

/// A variable that is set and has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IgnoredVariable {
    /// The name of the variable.
    pub name: String,
    /// Why it has no effect.
    pub reason: String,
}

impl CredentialChain {
    /// Returns the variables that have no effect if the credentials come from this source.
    pub(super) fn ignored(
        &self,
        source: ChainSource,
        resolved: &ResolvedCredentials,
    ) -> Vec<IgnoredVariable> {
        let is_cloud_file = source == ChainSource::OpenStack && self.is_file(source);
        let origin = match resolved.auth_method() {
            AuthMethod::Metadata => AuthMethod::Metadata.label(),
            _ => resolved.settings().next().map_or("", |setting| setting.source),
        };
        let hosts = resolved.hosts().ok();
        let hosts = [
            hosts.and_then(ServiceHosts::endpoint),
            hosts.and_then(ServiceHosts::identity),
            hosts.and_then(ServiceHosts::token_service).filter(|_| resolved.uses_token_service()),
        ];
        let names_host = |name: &str| {
            hosts.iter().flatten().any(|host| host.source.split(", ").any(|of| of == name))
        };
        let reason = |name: &str| -> Option<String> {
            if resolved.settings().any(|setting| setting.source == name) || names_host(name) {
                return None;
            }
            if let Some((_, reason)) = names::IGNORED.iter().find(|(ignored, _)| *ignored == name) {
                return Some((*reason).into());
            }
            if name.starts_with(REGION_ENDPOINT) {
                return Some("it is for another region, or the endpoint is set".into());
            }
            match name {
                "HOME" => return None,
                names::CLOUD => {
                    let reason = "another setting determines the endpoint";
                    return resolved.hosts().is_ok().then(|| reason.into());
                }
                "HUAWEICLOUD_SDK_STS_ENDPOINT" => return Some("no token service is used".into()),
                _ => {}
            }
            if names::FILES.contains(&name) {
                let is_used = match name {
                    "HUAWEICLOUD_SDK_CREDENTIALS_FILE" => source == ChainSource::VendorFile,
                    "HW_SHARED_CONFIG_FILE" | "HW_PROFILE" => source == ChainSource::TerraformFile,
                    _ => is_cloud_file,
                };
                return (!is_used).then(|| format!("the credentials come from {origin}"));
            }
            let field = names_of(source).find(|(_, known)| *known == name).map(|(field, _)| *field);
            let is_of_source = |field: &Field| match source {
                // Of the variables beside a profile, only some are used.
                ChainSource::TerraformFile => !field.is_credential(),
                _ => !is_cloud_file,
            };
            if let Some(field) = field.filter(is_of_source) {
                return Some(match self.preferred(source, field, name) {
                    Some(other) => format!("{other} has the same value"),
                    None if resolved.auth_config.uses(field) => {
                        let other = field.preferred().unwrap_or(field);
                        format!("the {} is set", other.label())
                    }
                    None => format!("it is not used with {}", resolved.auth_method().label()),
                });
            }
            Some(format!("the credentials come from {origin}"))
        };
        let set = self.variables.names().filter(|name| {
            name.starts_with(REGION_ENDPOINT)
                || names::known_variables().any(|known| known == **name)
        });
        let ignored = set
            .filter_map(|name| Some(IgnoredVariable { reason: reason(name)?, name: name.clone() }));
        ignored.collect()
    }

    /// Returns the variable of the same setting that is preferred to this one.
    fn preferred(&self, source: ChainSource, field: Field, name: &str) -> Option<&'static str> {
        let mut names = names_of(source).filter(|(other, _)| *other == field);
        let (_, first) = names.find(|(_, other)| self.variables.is_set(other))?;
        Some(*first).filter(|first| *first != name)
    }
}

/// Returns the names of the variables of a source.
fn names_of(source: ChainSource) -> impl Iterator<Item = &'static (Field, &'static str)> {
    let names = match source {
        ChainSource::Oidc => names::OIDC,
        ChainSource::Vendor => names::VENDOR,
        ChainSource::ApiExplorer => names::API_EXPLORER,
        ChainSource::Terraform | ChainSource::TerraformFile => names::TERRAFORM,
        ChainSource::OpenStack => names::OPEN_STACK,
        ChainSource::VendorFile => &[],
        ChainSource::Machine => names::MACHINE,
    };
    names.iter()
}
