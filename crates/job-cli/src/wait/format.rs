//! The formats of `wait --output`.

use clap::ValueEnum;

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// A line for each job that ended
    Human,
    /// Each job as it came, one a line
    Json,
    /// All that happens, one JSON object a line, and a line `finished` for each job
    Jsonl,
}
