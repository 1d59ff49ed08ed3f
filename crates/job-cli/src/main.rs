//! The command `cce-job`: parses the arguments, runs a subcommand, and returns its exit code.

mod exit;
mod terminal;
mod logging;
mod runtime;
mod files;
mod input;
mod flag_variables;
mod connection;
mod report;
mod wait;
mod commands;
mod arguments;
#[cfg(test)]
mod testing;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};

use clap::{CommandFactory, FromArgMatches};
use job_transport::transport::display_chain;

use crate::{
    arguments::{Arguments, Command},
    commands::{cancel, completions, config, demo, get, list, ls, manual, show, sim, watch},
    exit::Exit,
    logging::Verbosity,
    runtime::block_on,
    terminal::{stderr, text},
    wait::Flags,
};

fn main() -> ExitCode {
    if let Some(completed) = completions::complete(Arguments::command()) {
        return completed.unwrap_or_else(|error| print_error(&error)).into();
    }
    // Exits here on a usage error and on `--help`.
    let (line, matches) = arguments::parse();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let flags = matches.subcommand().and_then(|(name, matches)| {
        line.find_subcommand(name).map(|command| Flags::from_matches(command, matches))
    });
    let verbosity = arguments.logging.apply();
    // The panic message is already printed. Without this, the exit code would be Rust's own 101.
    let ran = catch_unwind(AssertUnwindSafe(|| {
        run(arguments.command, verbosity, &flags.unwrap_or_default())
    }));
    match ran {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(error)) => print_error(&error).into(),
        Err(_) => Exit::Internal.into(),
    }
}

fn run(command: Command, verbosity: Verbosity, flags: &Flags) -> anyhow::Result<Exit> {
    match command {
        Command::Get(arguments) => get::run(&arguments, verbosity),
        Command::List(arguments) => list::run(&arguments),
        Command::Wait(arguments) => wait::run(*arguments, verbosity, flags),
        Command::Watch(arguments) => watch::run(&arguments, verbosity),
        Command::Ls(arguments) => ls::run(&arguments),
        Command::Cancel(arguments) => cancel::run(&arguments),
        Command::Show(arguments) => show::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Config(arguments) => {
            config::run(&arguments, &flag_variables::unknown_variables(Arguments::command()))
        }
        Command::Sim(arguments) => block_on(sim::run(*arguments)),
        Command::Demo(arguments) => block_on(demo::run(&arguments, verbosity)),
        #[cfg(feature = "durable")]
        Command::Durable(arguments) => commands::durable::block_on(*arguments, verbosity),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => manual::run(&arguments, arguments::documented()),
    }
}

/// Prints an error with its hint, and returns the exit code.
fn print_error(error: &anyhow::Error) -> Exit {
    let closed = error.downcast_ref::<io::Error>().map(io::Error::kind);
    if closed == Some(io::ErrorKind::BrokenPipe) {
        // The reader closed stdout on purpose, as `head` does.
        return Exit::Done;
    }
    let exit = Exit::from_error(error);
    // A line break in the error is escaped, so that it does not look like the start of the hint.
    let message = text::sanitize(&display_chain(&**error));
    let hint = exit::hint(error).unwrap_or_default();
    stderr::message(&format!("{message}\n{hint}"));
    exit
}
