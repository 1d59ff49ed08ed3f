//! `cce-job config`: prints the connection settings and where each comes from. Secrets are not
//! shown. No request is sent without `--check`.

mod check;

use clap::Args;
use comfy_table::{Table, presets};
use job_transport::{CredentialChain, ResolvedCredentials};

use crate::{
    connection::{ConnectionArgs, Settings, Sourced},
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

/// Prints the settings.
///
/// # Errors
///
/// Returns a usage error if a setting that is needed to connect is missing, or cannot be used, and
/// with `--check` an error if a step of the check fails.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let settings = arguments.connection.settings(CredentialChain::from_environment())?;
    print::write_stdout(settings_table(&settings))?;
    let client = settings.client()?;
    if arguments.check {
        check::run(&settings, &client)?;
    }
    Ok(Exit::Done)
}

/// Returns a table with a row for each setting: its name, value and source.
pub(crate) fn settings_table(settings: &Settings) -> String {
    fn cells<T: ToString>(known: Option<&Sourced<T>>, otherwise: &str) -> [String; 2] {
        known.map_or_else(
            || [otherwise.into(), String::new()],
            |known| [known.value.to_string(), known.source.clone()],
        )
    }
    let ca_file = settings.ca_file.as_ref();
    let ca_file = ca_file.map(|known| [known.value.display().to_string(), known.source.clone()]);
    let login_names_project = settings.found.as_ref().is_some_and(ResolvedCredentials::has_project);
    let no_project = if login_names_project { "(determined at login)" } else { "(none)" };
    let mut rows = vec![
        ("endpoint", cells(settings.endpoint.as_ref(), "(none)")),
        ("project", cells(settings.project.as_ref(), no_project)),
    ];
    for setting in settings.found.iter().flat_map(ResolvedCredentials::settings) {
        // The project and the CA file have their own rows, and the region is part of the endpoint.
        if !["project", "region", "CA file"].contains(&setting.name) {
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
    format_rows(rows.into_iter().map(|(what, [value, from])| [what.into(), value, from]))
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
