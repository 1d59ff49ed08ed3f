//! `cce-job list`: prints the jobs of a project, the most recent first.

use std::{cmp::Reverse, time::Duration};

use clap::Args;
use jiff::Timestamp;
use job_model::job::{JobList, JobRow};
use job_transport::{
    ListReading,
    auth::CredentialChain,
    clock::{Clock, TokioClock},
};

use crate::{
    connection::ConnectionArgs,
    exit::{Exit, OrExit},
    runtime::block_on,
    terminal::{PrintFormat, format_duration, print, stderr, table},
};

/// The sections of `--help` below the flags.
pub(crate) const HELP: &str = "\
The most recent job comes first. AGE is the time since the job's creation. The service keeps
finished jobs only for some time, and the list may be a little behind the jobs: `get` prints a job's
current state. Rows that are not jobs are left out, with a warning on stderr.

Examples:
  cce-job list --region eu-de
  cce-job list -o json | jq -r '.[] | select(.status.status == \"Failed\") | .metadata.uid'

The exit code is 0 if the list could be read, even if jobs have failed.";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Output format; human: a table, json: an array of jobs on one line, as the service names the
    /// fields
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "human")]
    output: PrintFormat,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Reads the list of jobs once, and prints it.
///
/// # Errors
///
/// Returns an error if the list cannot be read, or if writing to stdout fails.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let settings = arguments.connection.settings(CredentialChain::from_environment())?;
    let client = settings.client()?;
    let reading = match block_on(async { Ok(client.jobs().await) })? {
        Ok(reading) => reading,
        Err(error) => {
            let (exit, hint) = (Exit::from(&error), settings.hints().for_list_error(&error));
            return Err(error).or_exit_with_hint(exit, hint);
        }
    };
    let ListReading { list, date, .. } = &reading;
    warnings(list).iter().for_each(|warning| stderr::message(warning));
    match arguments.output {
        PrintFormat::Json => print::write_stdout(format_json(list)?)?,
        PrintFormat::Human if list.is_empty() => stderr::message("the project has no jobs"),
        PrintFormat::Human => {
            let now = date.unwrap_or_else(|| TokioClock::new().now());
            print::write_stdout(format_table(list, now))?;
        }
    }
    Ok(Exit::Done)
}

/// Returns the rows, the most recent first. Rows without a time come last.
fn sorted(list: &JobList) -> Vec<JobRow<'_>> {
    let mut rows: Vec<_> = list.rows().map(|row| (row.created_at(), row)).collect();
    rows.sort_by_key(|(created, _)| Reverse(*created));
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Returns the rows as an array of JSON on one line, with all fields.
fn format_json(list: &JobList) -> anyhow::Result<String> {
    let mut array = String::from("[");
    for (number, row) in sorted(list).into_iter().enumerate() {
        if number > 0 {
            array.push(',');
        }
        array += print::json_line(&row.decode()?.job)?.trim_end();
    }
    Ok(array + "]\n")
}

const COLUMNS: usize = 5;

const HEADER: [&str; COLUMNS] = ["ID", "TYPE", "PHASE", "AGE", "RESOURCE"];

/// Returns the rows as an aligned table. `now` is the service's time.
fn format_table(list: &JobList, now: Timestamp) -> String {
    let rows: Vec<_> = sorted(list).into_iter().map(|row| table_row(row, now)).collect();
    table::format(HEADER, &rows)
}

/// Returns the columns of a row. A value that the row does not have is a hyphen.
fn table_row(row: JobRow<'_>, now: Timestamp) -> [String; COLUMNS] {
    let phase = row.phase();
    let age = row.created_at().map(|created| {
        let age = Duration::try_from(now.duration_since(created)).unwrap_or_default();
        format_duration(age)
    });
    let name = row.resource_name().filter(|name| !name.is_empty());
    [
        table::cell(row.uid()),
        table::cell(row.job_type()),
        table::cell(phase.as_ref().map(|phase| phase.as_str())),
        table::cell(age.as_deref()),
        table::cell(name.or_else(|| row.resource_id())),
    ]
}

/// The maximum number of deviations that are printed one by one.
const MAX_PRINTED_DEVIATIONS: usize = 5;

/// Returns the warnings about rows that were left out, and about other deviations.
fn warnings(list: &JobList) -> Vec<String> {
    let left_out = match list.broken_rows() {
        0 => None,
        1 => Some("warning: 1 row is not a job and is left out".to_owned()),
        count => Some(format!("warning: {count} rows are not jobs and are left out")),
    };
    let deviations = list.deviations();
    let printed = deviations.iter().take(MAX_PRINTED_DEVIATIONS);
    let printed = printed.map(|deviation| format!("warning: {deviation}"));
    let more = match deviations.len().saturating_sub(MAX_PRINTED_DEVIATIONS) {
        0 => None,
        1 => Some("warning: 1 more deviation".to_owned()),
        more => Some(format!("warning: {more} more deviations")),
    };
    left_out.into_iter().chain(printed).chain(more).collect()
}

#[cfg(test)]
mod tests;
