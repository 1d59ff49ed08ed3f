//! Reads ids of jobs that may have changed, and passes them to the fleet.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    mem, thread,
};

use anyhow::Context;
use job_model::JobId;
use job_poller::Fleet;

use crate::{
    exit::{Exit, OrExit},
    input::{InputArg, without_comment},
    terminal::{stderr, text},
};

/// Maximum length of a line in bytes. The rest of a longer line is skipped.
const MAX_LINE_BYTES: u64 = 4096;

/// Passes each id in the input to the fleet as soon as its line is complete.
///
/// The ids are read on a thread of its own, which ends with the input or with the process.
///
/// # Errors
///
/// Returns a usage error if the file does not exist, and an internal error if the thread cannot be
/// started.
pub(super) fn start(input: &InputArg, fleet: &Fleet) -> anyhow::Result<()> {
    if let InputArg::File(path) = input {
        let exists = fs::metadata(path).with_context(|| format!("cannot read {input}"));
        exists.or_exit(Exit::Usage)?;
    }
    let (input, fleet) = (input.clone(), fleet.clone());
    let thread = thread::Builder::new().name("hints".into());
    thread.spawn(move || {
        if let Err(error) = read_all(&input, &fleet) {
            warn(&format!("cannot read more hints from {input}: {error}"));
        }
    })?;
    Ok(())
}

/// Opening a named pipe blocks until somebody writes to it.
fn read_all(input: &InputArg, fleet: &Fleet) -> io::Result<()> {
    let reader: Box<dyn Read> = match input {
        InputArg::Stdin => Box::new(io::stdin()),
        InputArg::File(path) => Box::new(File::open(path)?),
    };
    read_hints(BufReader::new(reader), &input.to_string(), |id| fleet.hint(id))
}

/// Calls `hint` with each id. Warns of the first line that is not an id.
fn read_hints(
    mut reader: impl BufRead,
    name: &str,
    hint: impl Fn(&JobId) -> bool,
) -> io::Result<()> {
    let (mut line, mut has_warned) = (Vec::new(), false);
    loop {
        line.clear();
        if reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if !line.ends_with(b"\n") {
            reader.skip_until(b'\n')?;
        }
        // A line that is not UTF-8 is not an id.
        let id = str::from_utf8(&line).map_or("\u{fffd}/", without_comment).trim();
        match id.parse::<JobId>() {
            _ if id.is_empty() => {}
            // There is no wait for a job that has ended.
            Ok(id) => _ = hint(&id),
            Err(error) if !mem::replace(&mut has_warned, true) => {
                warn(&format!("ignored a line of {name} that is not a job id: {error}"));
            }
            Err(_) => {}
        }
    }
}

fn warn(warning: &str) {
    stderr::progress_line(&text::sanitize_line(&format!("cce-job: warning: {warning}")));
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn each_line_with_an_id_is_a_hint() {
        let long = format!("{}\nafter-a-long-line\n", "x".repeat(100_000));
        let rows = [
            ("", vec![]),
            ("one", vec!["one"]),
            ("one\ntwo\r\n\n  three  \n", vec!["one", "two", "three"]),
            ("# first\none # 1\n#\ntwo", vec!["one", "two"]),
            ("a\u{7f}\nfour\nb\u{7f}\nfive", vec!["four", "five"]),
            (&long, vec!["after-a-long-line"]),
        ];
        for (input, expected) in rows {
            let hints = RefCell::new(Vec::new());
            let hint = |id: &JobId| {
                hints.borrow_mut().push(id.to_string());
                true
            };
            read_hints(input.as_bytes(), "stdin", hint).unwrap();
            assert_eq!(hints.into_inner(), expected);
        }
        let bytes = b"\xff\xfe\nsix\n".as_slice();
        read_hints(bytes, "stdin", |id| id.as_str() == "six").unwrap();
    }
}
