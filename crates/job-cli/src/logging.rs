//! The global flags for verbosity and color, and the log on stderr.

use std::io;

use anstream::ColorChoice;
use clap::{ArgAction, Args};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::terminal::{Styles, stderr, text};

#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Messages")]
pub(crate) struct LoggingArgs {
    /// Hide progress; results and errors are still printed
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Log each request to stderr; -vv also logs connection details
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// When to use colors; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: clap::ColorChoice,
}

/// How much is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verbosity {
    Quiet,
    Normal,
    Verbose(u8),
}

impl LoggingArgs {
    /// Applies the flags to the whole process, and returns the verbosity.
    pub(crate) fn apply(self) -> Verbosity {
        match self.color {
            clap::ColorChoice::Auto => ColorChoice::Auto,
            clap::ColorChoice::Always => ColorChoice::Always,
            clap::ColorChoice::Never => ColorChoice::Never,
        }
        .write_global();
        if self.verbose > 0 {
            init_logging(self.verbose);
            text::show_canonical_requests();
        }
        match self.verbose {
            0 if self.quiet => Verbosity::Quiet,
            0 => Verbosity::Normal,
            times => Verbosity::Verbose(times),
        }
    }
}

/// Prefixes of fields that are only useful to log collectors, not to a reader of stderr.
const OMITTED_FIELD_PREFIXES: [&str; 4] = ["otel.", "server.", "url.template", "cce.job.id"];

/// Logs this project's crates to stderr; with more than one `v`, also the libraries they use.
fn init_logging(times: u8) {
    let ours = ["job_transport", "job_poller", "job_restate", "cce_job"];
    let below = if times > 1 { LevelFilter::DEBUG } else { LevelFilter::OFF };
    let filter = Targets::new()
        .with_targets(ours.map(|of| (of, LevelFilter::TRACE)))
        // The URL of each request shows the job.
        .with_target("job_poller::wait", LevelFilter::OFF)
        // The connection settings print these warnings.
        .with_target("job_transport::file_access", LevelFilter::OFF);
    init_stderr_log(filter.with_default(below), times > 1);
}

/// Logs the warnings of a long-running service to stderr.
#[cfg(feature = "durable")]
pub(crate) fn init_warning_log() {
    init_stderr_log(Targets::new().with_target("job_restate", LevelFilter::WARN), false);
}

/// Logs to stderr. Each line starts with the time since the start, not with the time of day.
fn init_stderr_log(filter: Targets, with_target: bool) {
    // Print only what a reader looks for in a request: the method, the URL and the result.
    let fields = fmt::format::debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{}", text::sanitize(&format!("{value:?}"))),
        name if OMITTED_FIELD_PREFIXES.iter().any(|left_out| name.starts_with(left_out)) => Ok(()),
        name => write!(writer, " {name}={}", text::sanitize(&format!("{value:?}"))),
    });
    let lines = fmt::layer()
        .fmt_fields(fields)
        .with_target(with_target)
        .with_writer(|| stderr::LogWriter)
        .with_ansi(Styles::for_stream(&io::stderr()).is_enabled())
        .with_timer(fmt::time::uptime());
    tracing_subscriber::registry().with(filter).with(lines).init();
}
