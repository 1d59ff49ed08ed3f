//! `cce-job config`: what would be used to connect, and where each value is from. Connects to nothing,
//! and shows no secret.

use clap::Args;
use comfy_table::{Table, presets};
use job_transport::{CredentialChain, ResolvedCredentials};

use crate::{
    connection::{ConnectionArgs, Settings, Sourced},
    exit::Exit,
    terminal::{print, text},
};

/// What `--help` says below the flags.
pub(crate) const HELP: &str = "\
Examples:
  cce-job config                        what `get` and `wait` would use
  cce-job config --region eu-de         and with this flag
  OS_CLOUD=prod cce-job config          and with this cloud of clouds.yaml";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Prints what would be used; where that is not enough to connect, an error says what is missing.
///
/// # Errors
///
/// Where something is missing or cannot be used: wrong usage.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let settings = arguments.connection.settings(CredentialChain::from_environment())?;
    print::write_stdout(settings_table(&settings))?;
    settings.client().map(|_| Exit::Done)
}

/// Returns a row for each value: what it is, the value, where it is from.
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
    let no_project = if login_names_project { "(as the login says)" } else { "(none)" };
    let mut rows = vec![
        ("endpoint", cells(settings.endpoint.as_ref(), "(none)")),
        ("project", cells(settings.project.as_ref(), no_project)),
    ];
    for setting in settings.found.iter().flat_map(ResolvedCredentials::settings) {
        // These have rows of their own; the region is in the endpoint's.
        if !["project", "region", "CA file"].contains(&setting.name) {
            let value = setting.value.unwrap_or("(set)");
            rows.push((setting.name, [value.into(), setting.source.into()]));
        }
    }
    let trusted = || ["what this machine trusts".into(), String::new()];
    rows.push(("CA file", ca_file.unwrap_or_else(trusted)));
    rows.push(("proxy", cells(settings.proxy.as_ref(), "(none)")));

    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (what, [value, from]) in rows {
        table.add_row([what.to_owned(), text::sanitize_line(&value), text::sanitize_line(&from)]);
    }
    table.lines().map(|line| format!("{}\n", line.trim())).collect()
}
