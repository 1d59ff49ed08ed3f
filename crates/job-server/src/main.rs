//! The server `cce-job-server`: waits for jobs of many projects, and shows them on a page.
//!
//! The rooms, each of which uses only those before it:
//!
//! - `files`, `problem`: what the others share.
//! - `token`, `host`: which requests are served.
//! - `config`, `database`, `metrics`, `sim`: what the server waits for, and what it keeps.
//! - `api`: the routes. `listen`: the connections.
//! - `arguments`, `commands`: the command line.

mod files;
mod problem;
mod token;
mod host;
mod config;
mod database;
mod metrics;
mod sim;
mod api;
mod listen;
mod arguments;
mod commands;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use job_transport::transport::display_chain;
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{
    arguments::{Arguments, Command, ServeArguments},
    commands::{ready, serve},
};

fn main() -> ExitCode {
    let Arguments { command, serve, verbose } = Arguments::parse();
    init_logging(verbose);
    match run(command, serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "cce-job-server: {}", display_chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Option<Command>, serve: ServeArguments) -> anyhow::Result<()> {
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ran = match command {
        Some(Command::Ready(arguments)) => runtime.block_on(ready::run(arguments)),
        None => runtime.block_on(serve::run(serve)),
    };
    // A DNS lookup or a slow disk may still occupy a thread.
    runtime.shutdown_background();
    ran
}

/// Permits as many open files as the system allows. The usual limit is 1,024, and each connection is
/// one file.
fn raise_file_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};

        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "cannot raise the limit of open files");
        }
    }
}

/// Logs to stderr: starts, stops and problems, with `-v` each request, and with `-vv` the libraries, too.
fn init_logging(verbose: u8) {
    let (own, others) = match verbose {
        0 => (LevelFilter::INFO, LevelFilter::WARN),
        1 => (LevelFilter::DEBUG, LevelFilter::WARN),
        _ => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    let filter = Targets::new().with_target("cce_job_server", own).with_default(others);
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(false).with_filter(filter);
    tracing_subscriber::registry().with(lines).init();
}
