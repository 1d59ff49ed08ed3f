//! The command line as a whole: its commands, and what their help says. Does nothing itself.

use clap::{Parser, Subcommand};

use crate::{
    commands::{config, demo, docs, get, show, sim},
    connection, exit,
    logging::LoggingArgs,
    report, wait,
};

/// Reads jobs of the Cloud Container Engine (CCE) API, and waits until they have ended.
///
/// Creating or deleting a cluster or a node returns a job's id. `wait` tells when that job ended, how,
/// and which step failed; `get` asks once; `show` and `report` take a saved reply.
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
    /// Ask once how a job is, and print it
    #[command(after_help = get::HELP, after_long_help = join_help(&[get::HELP, connection::HELP, exit::HELP]))]
    Get(get::Arguments),
    /// Wait until jobs have ended
    #[command(after_help = wait::HELP,
        after_long_help = join_help(&[wait::HELP, connection::HELP, exit::HELP, exit::SEVERITY_HELP]))]
    Wait(Box<wait::Arguments>),
    /// Print a saved reply; no network
    #[command(after_help = show::HELP)]
    Show(show::Arguments),
    /// Make a timeline of a saved reply: a page, a picture, or a chart for a CI summary
    #[command(after_help = report::HELP)]
    Report(report::Arguments),
    /// Show what would be used to connect, and where each value is from
    #[command(after_help = config::HELP, after_long_help = join_help(&[config::HELP, connection::HELP]))]
    Config(config::Arguments),
    /// Serve a simulated service over TLS on loopback, until stopped
    #[command(after_help = sim::help())]
    Sim(Box<sim::Arguments>),
    /// Wait for a job of a simulated service, started here, over TLS on loopback
    #[command(after_help = exit::HELP)]
    Demo(demo::Arguments),
    /// Serve waits that outlive any machine, to the durable engine Restate
    #[cfg(feature = "durable")]
    #[command(after_help = durable::HELP, after_long_help = join_help(&[durable::HELP, connection::HELP]))]
    Durable(Box<durable::Arguments>),
    /// Print a shell's completions
    #[command(after_help = docs::COMPLETIONS_HELP)]
    Completions(docs::Completions),
    /// Print the manual
    #[command(after_help = docs::MAN_HELP)]
    Man(docs::Manual),
}

fn long_help() -> String {
    join_help(&[wait::HELP, connection::HELP, exit::HELP])
}

fn join_help(parts: &[&str]) -> String {
    parts.join("\n\n")
}

#[cfg(test)]
mod tests;
