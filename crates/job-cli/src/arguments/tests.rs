//! Tests that the command line is consistent and that every documented example parses.

use clap::{CommandFactory, error::ErrorKind};

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

/// Returns the arguments of each line that runs the command, without pipes, redirects and
/// quotation.
fn examples(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ");
    let command = |line: &str| {
        let start = line.find("cce-job ")?;
        // The command is first on its line, or follows a pipe, a quotation mark or variables.
        let before = line[..start].trim_end();
        let variables = || before.split(' ').all(|word| word.contains('='));
        if !(before.is_empty() || before.ends_with(['|', '`', '(', '"']) || variables()) {
            return None;
        }
        // Two spaces separate an example from its explanation. The rest is shell syntax.
        let rest = &line[start..];
        let quoted = before.ends_with('"').then_some("\"");
        let ends = ["  ", " | ", " |", " > ", " < ", " && ", " || ", "`", " &"];
        let end = ends.into_iter().chain(quoted).filter_map(|end| rest.find(end)).min();
        shell_words::split(rest[..end.unwrap_or(rest.len())].trim_end()).ok()
    };
    text.lines().filter_map(command).collect()
}

#[test]
fn every_documented_example_parses() {
    let mut texts = vec![include_str!("../../README.md").to_owned()];
    let mut command = Arguments::command();
    command.build();
    texts.extend(
        command.get_subcommands().cloned().map(|mut one| one.render_long_help().to_string()),
    );
    texts.push(command.render_long_help().to_string());
    let mut count = 0;
    for words in texts.iter().flat_map(|text| examples(text)) {
        count += 1;
        let placeholders = words.iter().map(|word| match word.as_str() {
            "PORT" | "URL" => "https://127.0.0.1:8443".to_owned(),
            ".." => String::from("x"),
            word => word.replace("PORT", "8443"),
        });
        if let Err(error) = Arguments::command().try_get_matches_from(placeholders) {
            let shows_help = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion];
            assert!(shows_help.contains(&error.kind()), "{words:?}: {error}");
        }
    }
    assert!(count > 25, "{count} examples were found");
}

#[test]
fn the_pod_arguments_in_the_readme_parse() {
    let lines = include_str!("../../README.md").lines().skip_while(|line| line.trim() != "args:");
    let arguments = lines.skip(1).map_while(|line| line.trim().strip_prefix("- "));
    let words: Vec<_> = ["cce-job"].into_iter().chain(arguments).collect();
    assert!(words.len() > 5, "{words:?}");
    Arguments::command().try_get_matches_from(words).unwrap();
}

#[test]
fn wrong_usage_is_rejected_with_a_helpful_message() {
    let rows = [
        ("wait --endpoint https://cce.example --region eu-de a", "cannot be used with"),
        ("wait --any --fail-fast a", "cannot be used with"),
        ("wait --timeout 60 a", "60s or 60m"),
        ("wait --schedule fixed:0s a", "a delay must be at least 10ms"),
        ("wait --max-rate 0 a", "must be between 0.001 and 1000000 requests per second"),
        ("wait --max-rate nan a", "must be between 0.001 and 1000000 requests per second"),
        ("wait --max-rate 30/m a", "expected a number of requests per second, such as 0.5"),
        ("wait ../jobs", "an id cannot contain '/'"),
        ("wait -q -v a", "cannot be used with"),
        ("get", "<ID>"),
        ("get -o jsonl a", "[possible values: human, json]"),
        ("report --format pdf a", "[possible values: html, svg, mermaid, markdown]"),
        ("wait --password secret a", "unexpected argument"),
        ("", "Usage: cce-job"),
    ];
    for (line, expected) in rows {
        let words = std::iter::once("cce-job").chain(line.split_whitespace());
        let error = Arguments::command().try_get_matches_from(words).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
        let error = error.render().to_string();
        assert!(error.contains(expected), "{line}: {error}");
    }
}
