//! What is told of a wait, as text. Decides nothing.

use std::io::{self, Write};

use job_poller::{Ended, Outcome};

/// Writes a line of progress. Who closed stderr does not want it.
pub(crate) fn progress(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Returns the outcome as one line.
pub(crate) fn outcome(ended: &Ended) -> String {
    let outcome = match &ended.outcome {
        Outcome::Succeeded => format!("succeeded: {}", ended.job.label().escape_debug()),
        Outcome::Failed(failed) => format!("failed: {}", failed.failure),
    };
    let Ended { attempts, elapsed, .. } = ended;
    format!("{outcome} ({:.1} s, {attempts} attempts)", elapsed.as_secs_f64())
}
