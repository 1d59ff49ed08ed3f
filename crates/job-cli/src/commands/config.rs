//! `cce-job config`: what would be used to connect, and where each value is from. Connects to nothing,
//! and shows no secret.

use clap::Args;
use comfy_table::{Table, presets};
use job_transport::{Conventions, Found};

use crate::{
    connection::{Connection, Known, Settings},
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
    connection: Connection,
}

/// Prints what would be used; where that is not enough to connect, an error says what is missing.
///
/// # Errors
///
/// Where something is missing or cannot be used: wrong usage.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let settings = arguments.connection.settings(Conventions::from_environment())?;
    print::stdout(shown(&settings))?;
    settings.client().map(|_| Exit::Done)
}

/// Returns a row for each value: what it is, the value, where it is from.
pub(crate) fn shown(settings: &Settings) -> String {
    fn known<T: ToString>(known: Option<&Known<T>>, otherwise: &str) -> [String; 2] {
        known.map_or_else(
            || [otherwise.into(), String::new()],
            |known| [known.value.to_string(), known.from.clone()],
        )
    }
    let ca_file = settings.ca_file.as_ref();
    let ca_file = ca_file.map(|known| [known.value.display().to_string(), known.from.clone()]);
    let is_told = settings.found.as_ref().is_some_and(Found::names_a_project);
    let no_project = if is_told { "(as the login says)" } else { "(none)" };
    let mut rows = vec![
        ("endpoint", known(settings.endpoint.as_ref(), "(none)")),
        ("project", known(settings.project.as_ref(), no_project)),
    ];
    for setting in settings.found.iter().flat_map(Found::settings) {
        // These have rows of their own; the region is in the endpoint's.
        if !["project", "region", "CA file"].contains(&setting.what) {
            let value = setting.value.unwrap_or("(set)");
            rows.push((setting.what, [value.into(), setting.origin.into()]));
        }
    }
    let trusted = || ["what this machine trusts".into(), String::new()];
    rows.push(("CA file", ca_file.unwrap_or_else(trusted)));
    rows.push(("proxy", known(settings.proxy.as_ref(), "(none)")));

    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (what, [value, from]) in rows {
        table.add_row([what.to_owned(), text::line(&value), text::line(&from)]);
    }
    table.lines().map(|line| format!("{}\n", line.trim())).collect()
}
