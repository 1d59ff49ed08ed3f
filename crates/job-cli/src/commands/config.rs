//! `cce-job config`: prints the connection settings and where each comes from. Secrets are not
//! shown, and no request is sent.

use clap::Args;
use comfy_table::{Table, presets};
use job_transport::{CredentialChain, ResolvedCredentials, Sourced};

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
  OS_CLOUD=prod cce-job config          settings with this cloud from clouds.yaml";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Prints the settings.
///
/// # Errors
///
/// Returns a usage error if a setting that is needed to connect is missing, or cannot be used.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let settings = arguments.connection.settings(CredentialChain::from_environment())?;
    print::write_stdout(settings_table(&settings))?;
    settings.client().map(|_| Exit::Done)
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
    rows.push(("proxy", cells(settings.proxy.as_ref(), "(none)")));

    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (what, [value, from]) in rows {
        table.add_row([what.to_owned(), text::sanitize_line(&value), text::sanitize_line(&from)]);
    }
    table.lines().map(|line| format!("{}\n", line.trim())).collect()
}
