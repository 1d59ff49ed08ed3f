//! The command line: all subcommands with their help texts.

use std::env;

use clap::{ArgMatches, CommandFactory, Parser, Subcommand, error::ErrorKind};

use crate::{
    commands::{
        cancel, completions, config, demo, get, list, ls, manual, server, show, sim, watch,
    },
    connection, exit,
    flag_variables::{self, Variables},
    logging::LoggingArgs,
    report,
    terminal::stderr,
    wait,
};

/// Read jobs of the Cloud Container Engine (CCE) API and wait for them to end.
///
/// Creating or deleting a cluster or node returns a job id, and the work continues in the
/// background. `wait` waits for the job and reports whether it succeeded, or which step (a sub-job)
/// failed and why. `get` prints the current state of jobs, and `list` prints all jobs of a project.
/// `show` and `report` need no network: they read a reply that `get --raw` has saved. `watch`, `ls`
/// and `cancel` are clients of the program cce-job-server, which waits for many users.
#[derive(Parser)]
#[command(name = "cce-job", version, after_help = exit::HELP, after_long_help = long_help())]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) logging: LoggingArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[cfg(feature = "durable")]
use crate::commands::durable;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Print the current state of jobs
    #[command(after_help = get::HELP, after_long_help = join_help(&[get::HELP, connection::HELP, exit::HELP]))]
    Get(get::Arguments),
    /// Print the jobs of a project
    #[command(after_help = list::HELP, after_long_help = join_help(&[list::HELP, connection::HELP, exit::HELP]))]
    List(list::Arguments),
    /// Wait for jobs to end, and report whether they succeeded
    #[command(after_help = wait::HELP,
        after_long_help = join_help(&[wait::HELP, connection::HELP, exit::HELP, exit::SEVERITY_HELP]))]
    Wait(Box<wait::Arguments>),
    /// Let cce-job-server wait for jobs, and notify others
    #[command(after_help = watch::HELP,
        after_long_help = join_help(&[watch::HELP, watch::EXIT_HELP, server::HELP]))]
    Watch(watch::Arguments),
    /// List the waits of cce-job-server
    #[command(after_help = ls::HELP, after_long_help = join_help(&[ls::HELP, server::HELP]))]
    Ls(ls::Arguments),
    /// Stop waits of cce-job-server; the jobs continue
    #[command(after_help = cancel::HELP, after_long_help = join_help(&[cancel::HELP, server::HELP]))]
    Cancel(cancel::Arguments),
    /// Print a job from a saved reply (no network)
    #[command(after_help = show::HELP)]
    Show(show::Arguments),
    /// Draw the timeline of a saved reply as HTML, SVG, Mermaid or Markdown
    #[command(after_help = report::HELP)]
    Report(report::Arguments),
    /// Show the connection settings and where each comes from
    #[command(after_help = config::HELP, after_long_help = join_help(&[config::HELP, connection::HELP, &connection::settings_help()]))]
    Config(config::Arguments),
    /// Run a simulated service on localhost, over TLS, until stopped
    #[command(after_help = sim::help())]
    Sim(Box<sim::Arguments>),
    /// Start a simulated service on localhost and wait for its job
    #[command(after_help = exit::HELP)]
    Demo(demo::Arguments),
    /// Serve waits that survive restarts, for the durable execution engine Restate
    #[cfg(feature = "durable")]
    #[command(after_help = durable::HELP, after_long_help = join_help(&[durable::HELP, connection::HELP]))]
    Durable(Box<durable::Arguments>),
    /// Print shell completions
    #[command(after_help = completions::HELP)]
    Completions(completions::Arguments),
    /// Print a manual page, or write all of them to a folder
    #[command(after_help = manual::HELP)]
    Man(manual::Arguments),
}

/// Parses the command line, with the environment variables of flags that are not given. Returns its
/// definition and its matches. Exits on a usage error and on `--help`.
pub(crate) fn parse() -> (clap::Command, ArgMatches) {
    let given = Arguments::command().try_get_matches();
    let variables = match &given {
        Ok(given) => Variables::except_excluded(given),
        Err(_) => Variables::all(),
    };
    let mut line = variables.add_to(Arguments::command());
    let error = match (line.try_get_matches_from_mut(env::args_os()), given) {
        (Ok(matches), _) => return (line, matches),
        (Err(error), Err(given)) if error.use_stderr() => given,
        (Err(error), _) => error,
    };
    if error.use_stderr() && error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // clap does not show which values come from the environment.
        let shown = error.render().to_string();
        let mentioned = |(flag, _): &(String, String)| shown.contains(&**flag);
        let variables = flag_variables::used_variables(&line).into_iter().filter(mentioned);
        for (flag, variable) in variables {
            stderr::line(&format!("note: {flag} is set by the environment variable {variable}"));
        }
    }
    error.exit()
}

/// Returns the definition of the command line with all environment variables, for its manual.
pub(crate) fn documented() -> clap::Command {
    Variables::all().add_to(Arguments::command())
}

fn long_help() -> String {
    join_help(&[wait::HELP, connection::HELP, exit::HELP])
}

fn join_help(parts: &[&str]) -> String {
    parts.join("\n\n")
}

#[cfg(test)]
mod tests;
