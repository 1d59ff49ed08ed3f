//! `cce-job ls`: lists the waits of `cce-job-server`.

use std::collections::HashMap;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use job_model::ProjectId;
use job_transport::clock::{Clock, TokioClock};

use crate::{
    commands::server::{Server, ServerArgs, Wait},
    exit::Exit,
    input::parse_id,
    runtime::block_on,
    terminal::{PrintFormat, format_duration, print, stderr, table},
};

/// The sections of `--help` below the flags.
pub(crate) const HELP: &str = "\
AGE is the time since the wait began. NEXT is when the server reads the job again, or the outcome if
the wait has finished. The server keeps finished waits for some time, by default for a day. `list`
prints the jobs of the cloud instead.

Examples:
  cce-job ls
  cce-job ls --project production --state failed
  cce-job ls -o json | jq -r '.[] | select(.state == \"stopped\") | .key'

The exit code is 0 if the list could be read, even if jobs have failed. It is 4 if the server
refused the token, 2 if it refused the request, 7 if it does not know the project, and 1 if it
cannot be reached.";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Only the waits of this project: the name in the configuration of the server, or the id
    #[arg(long, value_name = "NAME", value_parser = parse_id::<ProjectId>)]
    project: Option<ProjectId>,
    /// Only waits in this state
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<StateArg>,
    /// Maximum number of waits
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Output format; human: a table, json: an array on one line, as the server names the fields
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "human")]
    output: PrintFormat,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum StateArg {
    /// The job has not ended, as far as the server knows
    Active,
    /// The job has ended, or the wait has stopped
    Finished,
    /// Finished without success
    Failed,
    /// Active, and not read although a request has been due for more than two minutes
    Overdue,
}

/// The maximum number of waits in one reply.
const PAGE_LEN: usize = 200;

const COLUMNS: usize = 9;

const HEADER: [&str; COLUMNS] =
    ["PROJECT", "JOB", "STATE", "TYPE", "NAME", "PROGRESS", "AGE", "NEXT", "REASON"];

/// The waits of a list, and the time of the server.
struct List {
    waits: Vec<Wait>,
    has_more: bool,
    now: Option<Timestamp>,
}

/// Reads the list, and prints it.
///
/// # Errors
///
/// Returns an error if a setting cannot be used, if the list cannot be read, or if writing to stdout
/// fails.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let server = arguments.server.connect()?;
    let is_table = arguments.output == PrintFormat::Human;
    let (list, names) = block_on(async {
        let list = arguments.read(&server).await?;
        let projects = if is_table { server.projects().await? } else { Vec::new() };
        let names: HashMap<_, _> =
            projects.into_iter().map(|project| (project.id, project.name)).collect();
        Ok((list, names))
    })?;
    match arguments.output {
        PrintFormat::Json => {
            let waits: Vec<_> = list.waits.iter().map(Wait::json_line).collect();
            print::write_stdout(format!("[{}]\n", waits.join(",")))?;
        }
        PrintFormat::Human if list.waits.is_empty() => {
            stderr::message("the server has no such waits");
        }
        PrintFormat::Human => {
            let now = list.now.unwrap_or_else(|| TokioClock::new().now());
            let rows: Vec<_> = list.waits.iter().map(|wait| row(wait, &names, now)).collect();
            print::write_stdout(table::format(HEADER, &rows))?;
        }
    }
    if list.has_more {
        stderr::message(&format!(
            "there are more than {} waits; --limit sets how many are printed",
            arguments.limit
        ));
    }
    Ok(Exit::Done)
}

impl Arguments {
    /// Reads the pages of the list, up to the limit.
    async fn read(&self, server: &Server) -> anyhow::Result<List> {
        let limit = self.limit as usize;
        let state = self.state.and_then(|state| state.to_possible_value());
        let mut list = List { waits: Vec::new(), has_more: false, now: None };
        let mut after: Option<String> = None;
        loop {
            let count = PAGE_LEN.min(limit - list.waits.len()).to_string();
            let mut parameters = vec![("limit", &*count)];
            parameters.extend(self.project.iter().map(|project| ("project", project.as_str())));
            parameters.extend(state.iter().map(|state| ("state", state.get_name())));
            parameters.extend(after.iter().map(|after| ("after", &**after)));
            let reply = server.list(&parameters).await?;
            let page = reply.value;
            list.now = reply.now;
            let is_empty = page.waits.is_empty();
            list.waits.extend(page.waits);
            list.has_more = page.next.is_some() || list.waits.len() > limit;
            list.waits.truncate(limit);
            after = page.next;
            // A page without waits would be asked for again and again.
            if after.is_none() || is_empty || list.waits.len() == limit {
                return Ok(list);
            }
        }
    }
}

/// Returns the columns of a wait.
fn row(wait: &Wait, names: &HashMap<String, String>, now: Timestamp) -> [String; COLUMNS] {
    let status = &wait.status;
    let (project, job) = status.ids();
    let (job_type, name) = status.job();
    let project = names.get(project).map_or(project, String::as_str);
    [
        table::cell(Some(project)),
        table::cell(Some(job)),
        table::cell(Some(&status.state)),
        table::cell(job_type.as_deref()),
        table::cell(name.as_deref()),
        table::cell(status.progress().as_deref()),
        format_duration(status.age(now)),
        table::cell(status.next(now).as_deref()),
        table::cell(status.reason().as_deref()),
    ]
}
