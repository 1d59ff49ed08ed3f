//! Parses ids that were typed, printed by another command, or listed in a file.

use std::str::FromStr;

use anyhow::{anyhow, bail};
use job_model::{IdError, JobId, is_unprintable};

/// Quotation marks of shells, JSON and word processors.
const QUOTATION_MARKS: &str = "\"'`\u{2018}\u{2019}\u{201c}\u{201d}\u{ab}\u{bb}";

/// What programs print for a value that does not exist, without brackets around it.
const MISSING_VALUES: [&str; 6] = ["null", "nil", "none", "undefined", "no value", "unset"];

/// Parses the id of a job, a project, a cluster or a node.
///
/// An id is opaque text, but quotation marks, commas, brackets and words such as `null` only show
/// that the command that printed it went wrong. They would cost a request, whose error would not
/// show the mistake.
///
/// # Errors
///
/// Returns an error with what to change.
pub(crate) fn parse_id<T: FromStr<Err = IdError>>(text: &str) -> anyhow::Result<T> {
    if is_missing_value(text) {
        bail!(
            "`{}` is not an id; the command that printed it did not find the field (jq prints null \
             then, and `jq -er` fails instead)",
            text.trim()
        );
    }
    for c in text.chars() {
        match c {
            c if QUOTATION_MARKS.contains(c) => {
                bail!("an id cannot contain {c}; print it without quotation marks, with `jq -r`")
            }
            c if c.is_whitespace() => bail!(
                "an id cannot contain white space; give each id as an argument or a line of its own"
            ),
            ',' | ';' => {
                bail!("an id cannot contain {c:?}; separate ids with spaces or line breaks")
            }
            '$' => bail!("an id cannot contain '$'; the shell has not replaced a variable"),
            '{' | '}' | '[' | ']' | '(' | ')' | '<' | '>' => bail!(
                "an id cannot contain {c:?}; print only the id, for example with `jq -r .metadata.uid`"
            ),
            '=' | '\\' | '|' | '&' | '*' => bail!("an id cannot contain {c:?}"),
            c if is_unprintable(c) => bail!("an id cannot contain {c:?}"),
            _ => {}
        }
    }
    text.parse().map_err(|error| match error {
        IdError::Empty => anyhow!("an id cannot be empty; perhaps a variable is not set"),
        error => error.into(),
    })
}

/// Returns whether a text is what programs print for a value that does not exist, such as `null` or
/// `<nil>`.
pub(super) fn is_missing_value(text: &str) -> bool {
    let bare = text.trim().trim_matches(['<', '>', '(', ')']);
    MISSING_VALUES.iter().any(|missing| bare.eq_ignore_ascii_case(missing))
}

/// Returns the line without its comment, which starts with `#` at the beginning of the line or
/// after white space.
pub(crate) fn without_comment(line: &str) -> &str {
    let is_start = |at: usize| line[..at].chars().next_back().is_none_or(char::is_whitespace);
    let start = line.match_indices('#').map(|(at, _)| at).find(|at| is_start(*at));
    &line[..start.unwrap_or(line.len())]
}

/// Reads job ids, separated by line breaks or spaces. Returns each with the number of its line.
pub(super) fn read_ids(text: &str) -> impl Iterator<Item = (usize, anyhow::Result<JobId>)> + '_ {
    text.lines().enumerate().flat_map(|(index, line)| {
        without_comment(line).split_whitespace().map(move |word| (index + 1, read_word(word)))
    })
}

fn read_word(word: &str) -> anyhow::Result<JobId> {
    match word.chars().next() {
        Some('{' | '[') => {
            bail!("this is JSON; `cce-job wait --from` reads it, or print the ids with `jq -r`")
        }
        Some('<') if word.len() > 1 && !word.ends_with('>') || word.starts_with("<!") => {
            bail!("this is an HTML page, not a list of ids")
        }
        _ => parse_id(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_show_a_mistake_are_refused_with_the_fix() {
        let rows = [
            ("354331b2c-229a-11e8-9c75-0255ac100ceb", Ok(())),
            ("-starts-with-a-dash", Ok(())),
            ("a.b_c:d~e+f@g!", Ok(())),
            ("\"354331b2c\"", Err("with `jq -r`")),
            ("'354331b2c'", Err("with `jq -r`")),
            ("\u{201c}354331b2c\u{201d}", Err("with `jq -r`")),
            ("354331b2c 354331b2d", Err("a line of its own")),
            (" 354331b2c", Err("white space")),
            ("354331b2c\n", Err("white space")),
            ("354331b2c\u{a0}", Err("white space")),
            ("354331b2c,354331b2d", Err("separate ids with spaces")),
            ("354331b2c;", Err("separate ids with spaces")),
            ("null", Err("`jq -er` fails instead")),
            (" NULL\n", Err("`NULL` is not an id")),
            ("None", Err("did not find the field")),
            ("<nil>", Err("did not find the field")),
            ("<no value>", Err("did not find the field")),
            ("(null)", Err("did not find the field")),
            ("undefined", Err("did not find the field")),
            ("${JOB_ID}", Err("the shell has not replaced a variable")),
            ("{\"jobid\":7}", Err("print only the id")),
            ("[354331b2c]", Err("print only the id")),
            ("<html>", Err("print only the id")),
            ("jobid=354331b2c", Err("an id cannot contain '='")),
            ("354331b2c\u{200b}", Err("an id cannot contain '\\u{200b}'")),
            ("354331b2c\u{7}", Err("an id cannot contain '\\u{7}'")),
            ("../clusters", Err("an id cannot contain '/'")),
            ("", Err("perhaps a variable is not set")),
        ];
        for (text, expected) in rows {
            let read = parse_id::<JobId>(text).map(|_| ()).map_err(|error| error.to_string());
            match expected {
                Ok(()) => assert_eq!(read, Ok(()), "{text:?}"),
                Err(part) => {
                    let error = read.expect_err(text);
                    assert!(
                        error.to_lowercase().contains(&part.to_lowercase()),
                        "{text:?}: {error}"
                    );
                }
            }
        }
    }

    #[test]
    fn comments_are_not_ids() {
        let text = "# the first batch\n  # indented\nfirst-1\tsecond-2 # two\n\n#\nthird-3#x\n";
        let read: Vec<_> = read_ids(text)
            .map(|(line, id)| {
                (line, id.map(|id| id.to_string()).map_err(|error| error.to_string()))
            })
            .collect();
        let expected = [
            (3, Ok("first-1".to_owned())),
            (3, Ok("second-2".to_owned())),
            (6, Err("an id cannot contain '#'".to_owned())),
        ];
        assert_eq!(read, expected);
    }
}
