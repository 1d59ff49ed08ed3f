//! The TLS settings: which certificate authorities are trusted, and the client certificate.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use clap::Args;
use job_transport::{
    auth::CredentialChainWarning,
    hyper::{
        TlsConfig, TlsProvider,
        rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs},
    },
};

use super::Sourced;
use crate::files;

/// The source of a file with further CAs.
const EXTRA_CA_FILE: &str = "--extra-ca-file";

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct TlsArgs {
    /// Trust only the CAs in this PEM file [default: the system's CAs]
    #[arg(long, value_name = "FILE", conflicts_with = "extra_ca_file")]
    pub(super) ca_file: Option<PathBuf>,
    /// Trust the CAs in this PEM file, too, for example the CA of a proxy that inspects TLS
    #[arg(long, value_name = "FILE")]
    pub(super) extra_ca_file: Option<PathBuf>,
    /// Present the client certificate in this PEM file; it is read again for each connection
    #[arg(long, value_name = "FILE")]
    pub(super) client_cert: Option<PathBuf>,
    /// Private key of the client certificate, in PEM format [default: in the file of --client-cert]
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub(super) client_key: Option<PathBuf>,
}

impl TlsArgs {
    /// Returns the TLS settings. Without `ca_file`, the system's CAs are trusted.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read or is invalid.
    pub(crate) fn config(&self, ca_file: Option<&Sourced<PathBuf>>) -> anyhow::Result<TlsConfig> {
        let provider = TlsProvider::aws_lc_rs();
        let tls = match (ca_file, &self.extra_ca_file) {
            (Some(ca_file), extra) => {
                let mut pem = read_ca_file(&ca_file.value, &ca_file.source)?;
                if let Some(extra) = extra {
                    pem.push(b'\n');
                    pem.extend(read_ca_file(extra, EXTRA_CA_FILE)?);
                }
                let context = || unusable_ca_file(&ca_file.value, &ca_file.source);
                TlsConfig::ca_pem(provider, &pem).with_context(context)?
            }
            (None, Some(extra)) => {
                let pem = read_ca_file(extra, EXTRA_CA_FILE)?;
                TlsConfig::platform_with_extra_ca_pem(provider, &pem)
                    .with_context(|| unusable_ca_file(extra, EXTRA_CA_FILE))?
            }
            (None, None) => TlsConfig::platform(provider)
                .context("no system CAs found; install ca-certificates or use --ca-file")?,
        };
        let Some(certificate) = &self.client_cert else { return Ok(tls) };
        let key = self.client_key.as_ref().unwrap_or(certificate);
        tls.client_certificate_files(certificate, key).context("--client-cert")
    }

    /// Returns the files with CAs that are given, each with its source. `ca_file` is the one instead of
    /// the system's CAs.
    pub(super) fn ca_files(&self, ca_file: Option<&Sourced<PathBuf>>) -> Vec<String> {
        let ca_file = ca_file.map(|file| (&file.value, &*file.source));
        let extra = self.extra_ca_file.as_ref().map(|file| (file, EXTRA_CA_FILE));
        let files = ca_file.into_iter().chain(extra);
        files.map(|(file, source)| format!("{} (from {source})", file.display())).collect()
    }

    /// Returns what is unsafe about the file with the private key.
    pub(super) fn warning(&self) -> Option<CredentialChainWarning> {
        let key = self.client_key.as_ref().or(self.client_cert.as_ref())?;
        CredentialChainWarning::for_secret_file(key)
    }

    /// Returns the names and values of the settings that are set, except the CA file, which a
    /// variable can set, too.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&'static str, [String; 2])> {
        let files = [
            ("extra CA file", &self.extra_ca_file, EXTRA_CA_FILE),
            ("client certificate", &self.client_cert, "--client-cert"),
            ("client key", &self.client_key, "--client-key"),
        ];
        files.into_iter().filter_map(|(name, file, source)| {
            Some((name, [file.as_ref()?.display().to_string(), source.into()]))
        })
    }
}

/// Returns TLS settings that trust nothing, for a transport that sends only plain http to this machine.
/// A container may have no CAs.
///
/// # Errors
///
/// Returns an error if the settings are invalid.
pub(crate) fn no_tls() -> anyhow::Result<TlsConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    Ok(TlsConfig::from_rustls(config))
}

/// Reads a file with CAs, and checks that it contains some.
fn read_ca_file(file: &Path, source: &str) -> anyhow::Result<Vec<u8>> {
    let context = || unusable_ca_file(file, source);
    let pem = files::read_bounded(file, files::MAX_CA_BYTES).with_context(context)?;
    TlsConfig::ca_pem(TlsProvider::aws_lc_rs(), &pem).with_context(context)?;
    Ok(pem)
}

fn unusable_ca_file(file: &Path, source: &str) -> String {
    format!("cannot use the CA file {} (from {source})", file.display())
}
