//! `cce-job config`: prints the connection settings and where each comes from. Secrets are not
//! shown. No request is sent without `--check`.

mod check;

use clap::Args;
use comfy_table::{Table, presets};
use job_transport::auth::{AuthMethod, CredentialChain, ResolvedCredentials, Setting, Sourced};

use crate::{
    connection::{ConnectionArgs, Settings},
    exit::Exit,
    terminal::{print, text},
};

/// The section of `--help` below the flags.
pub(crate) const HELP: &str = "\
Examples:
  cce-job config                        settings that `get` and `wait` use
  cce-job config --region eu-de         settings with this flag
  cce-job config --check                log in, ask for a job, and report what works
  OS_CLOUD=prod cce-job config          settings with this cloud from clouds.yaml";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Log in once and ask for a job that does not exist, and report what works
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Prints the settings. `unknown_variables` are the variables that look like those of flags.
///
/// # Errors
///
/// Returns a usage error if a setting that is needed to connect is missing, or cannot be used, and
/// with `--check` an error if a step of the check fails.
pub(crate) fn run(arguments: &Arguments, unknown_variables: &[String]) -> anyhow::Result<Exit> {
    let settings = arguments.connection.settings(CredentialChain::from_environment())?;
    print::write_stdout(settings_table(&settings, unknown_variables))?;
    if arguments.check {
        check::run(&settings, &settings.client()?)?;
        return Ok(Exit::Done);
    }
    settings.check().map(|()| Exit::Done)
}

/// Returns a table with a row for each setting: its name, value and source.
pub(crate) fn settings_table(settings: &Settings, unknown_variables: &[String]) -> String {
    fn cells<T: ToString>(known: Option<&Sourced<T>>, otherwise: &str) -> [String; 2] {
        known.map_or_else(
            || [otherwise.into(), String::new()],
            |known| [known.value.to_string(), known.source.clone()],
        )
    }
    let ca_file = settings.ca_file.as_ref();
    let ca_file = ca_file.map(|known| [known.value.display().to_string(), known.source.clone()]);
    let found = settings.found.as_ref();
    let mut rows = vec![
        ("endpoint", cells(settings.endpoint.as_ref(), "(none)")),
        ("project", cells(settings.project.as_ref(), "(none)")),
    ];
    if settings.project.is_none()
        && let Some(found) = found.filter(|found| found.has_project())
        && let Some(Sourced { value, source, .. }) = found.project_name()
    {
        let shown = match has_project_of_token(found) {
            true => format!("that of the token, or else {value} by name"),
            false => format!("{value} (looked up by name)"),
        };
        rows[1].1 = [shown, source.clone()];
    }
    if let Some(found) = found {
        let hosts = [
            ("identity service", settings.hosts.identity().filter(|_| found.uses_identity())),
            (
                "token service",
                settings.hosts.token_service().filter(|_| found.uses_token_service()),
            ),
        ];
        let hosts = hosts.into_iter().filter(|(_, host)| host.is_some());
        rows.extend(hosts.map(|(name, host)| (name, cells(host, ""))));
    }
    let own_rows =
        ["project", "project name", "region", "identity service", "token service", "CA file"];
    if found.is_some_and(|found| found.auth_method() == AuthMethod::Metadata) {
        rows.push(("key pair", ["(from the metadata service)".into(), "--auth".into()]));
    }
    for setting in found.into_iter().flat_map(ResolvedCredentials::settings) {
        // Some settings have rows of their own, and the region is part of the endpoint.
        if !own_rows.contains(&setting.name) {
            let value = setting.value.unwrap_or("(set)");
            rows.push((setting.name, [value.into(), setting.source.into()]));
        }
    }
    let trusted = || ["(system CAs)".into(), String::new()];
    rows.push(("CA file", ca_file.unwrap_or_else(trusted)));
    rows.extend(settings.tls_rows());
    let mut proxy = cells(settings.proxy.as_ref(), "(none)");
    if settings.proxy.is_some() && settings.proxy_in_use().is_none() {
        proxy[0] += " (not used for the endpoint)";
    }
    rows.push(("proxy", proxy));
    let ignored = found.into_iter().flat_map(ResolvedCredentials::ignored);
    rows.extend(ignored.map(|one| ("ignored", [one.name.clone(), one.reason.clone()])));
    let unknown = unknown_variables.iter();
    rows.extend(
        unknown.map(|name| ("ignored", [name.clone(), "no flag has this variable".into()])),
    );
    format_rows(rows.into_iter().map(|(what, [value, from])| [what.into(), value, from]))
}

/// Returns whether the project of the token is preferred to the project's name, because that is only
/// the default of the region.
fn has_project_of_token(found: &ResolvedCredentials) -> bool {
    let is_name_or_agency =
        |setting: Setting<'_>| matches!(setting.name, "project name" | "agency");
    found.auth_method() == AuthMethod::Token && !found.settings().any(is_name_or_agency)
}

/// Formats rows as lines with aligned cells.
fn format_rows(rows: impl IntoIterator<Item = [String; 3]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for row in rows {
        table.add_row(row.map(|cell| text::sanitize_line(&cell)));
    }
    table.lines().map(|line| format!("{}\n", line.trim())).collect()
}
