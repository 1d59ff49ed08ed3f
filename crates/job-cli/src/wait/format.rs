//! The formats of `wait --output`.

use clap::ValueEnum;

/// The format of results on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// One line for each job that ended
    Human,
    /// The last state of each job as JSON, one object per line
    Json,
    /// Events while waiting, one JSON object per line; the last event of a job is `finished`
    Jsonl,
}
