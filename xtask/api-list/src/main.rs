//! Lists the public API of crates from rustdoc's JSON, and compares each list with a file.
//!
//! Usage: `api-list check|update JSON_FOLDER LIST_FOLDER CRATE..`
#![expect(clippy::print_stdout, reason = "prints what has changed")]

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use public_api::Builder;
use serde_json::Value;

/// The format of rustdoc's JSON that the crate public-api reads.
const FORMAT: u64 = 57;

/// The exit code if rustdoc's JSON has another format.
const OTHER_FORMAT: u8 = 3;

const USAGE: &str = "usage: api-list check|update JSON_FOLDER LIST_FOLDER CRATE..";

fn main() -> ExitCode {
    match run(&env::args().skip(1).collect::<Vec<_>>()) {
        Ok(code) => code,
        Err(error) => {
            println!("public-api: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode, Box<dyn Error>> {
    let [task, json, lists, crates @ ..] = arguments else { return Err(USAGE.into()) };
    let is_update = match task.as_str() {
        "update" => true,
        "check" => false,
        _ => return Err(USAGE.into()),
    };
    let mut changed = 0;
    for name in crates {
        let json = Path::new(json).join(format!("{}.json", name.replace('-', "_")));
        let format = format_version(&fs::read_to_string(&json)?)?;
        if format != FORMAT {
            println!("public-api: the JSON of rustdoc has format {format} and not {FORMAT}");
            return Ok(OTHER_FORMAT.into());
        }
        let list = list(json)?;
        let file = Path::new(lists).join(format!("{name}.txt"));
        let stored = fs::read_to_string(&file).unwrap_or_default();
        if list == stored {
            continue;
        }
        changed += 1;
        for line in difference(&stored, &list) {
            println!("{name}: {line}");
        }
        if is_update {
            fs::write(&file, list)?;
        }
    }
    if changed > 0 && !is_update {
        println!(
            "public-api: {changed} lists differ from the API. If the changes are intended, run `cargo xtask public-api --update`"
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the public API, one item a line, sorted. Leaves out the traits that every type has, and
/// auto traits such as `Send`.
fn list(json: PathBuf) -> Result<String, Box<dyn Error>> {
    let builder = Builder::from_rustdoc_json(json);
    Ok(builder.omit_blanket_impls(true).omit_auto_trait_impls(true).build()?.to_string())
}

/// Returns the format of rustdoc's JSON.
fn format_version(json: &str) -> Result<u64, Box<dyn Error>> {
    let document: Value = serde_json::from_str(json)?;
    document["format_version"].as_u64().ok_or_else(|| "rustdoc's JSON has no format_version".into())
}

/// Returns the lines that only one of the lists has, each with `-` or `+`.
fn difference<'a>(stored: &'a str, list: &'a str) -> Vec<String> {
    let lacks = |other: &'a str| {
        let other: std::collections::BTreeSet<&str> = other.lines().collect();
        move |line: &&str| !other.contains(line)
    };
    let removed = stored.lines().filter(lacks(list)).map(|line| format!("- {line}"));
    let added = list.lines().filter(lacks(stored)).map(|line| format!("+ {line}"));
    removed.chain(added).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_has_removed_and_added_lines() {
        let rows: [(&str, &str, &[&str]); 3] = [
            ("a\nb\n", "a\nb\n", &[]),
            ("a\nb\n", "b\nc\n", &["- a", "+ c"]),
            ("", "a\n", &["+ a"]),
        ];
        for (stored, list, expected) in rows {
            assert_eq!(difference(stored, list), expected);
        }
    }

    #[test]
    fn the_format_is_read() {
        assert_eq!(format_version(r#"{"index": {}, "format_version": 57}"#).unwrap(), 57);
        assert!(format_version("{}").is_err());
        assert!(format_version("").is_err());
    }
}
