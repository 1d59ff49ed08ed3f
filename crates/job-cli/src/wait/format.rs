//! The formats of `wait --output`.

use clap::ValueEnum;

/// The format of results on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// One line for each job that ended
    Human,
    /// Each job as returned by the service, one JSON object per line
    Json,
    /// All events, one JSON object per line; the last event of each job is `finished`
    Jsonl,
}
