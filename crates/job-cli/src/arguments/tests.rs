//! Tests that the command line is consistent and that every documented example parses.

use clap::error::ErrorKind;

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
            word if word.starts_with('$') => String::from("x"),
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

/// Each flag of the commands that use the service or a server has a variable, except for those that belong to a
/// single command line.
#[test]
fn flags_have_variables_with_uniform_names() {
    let without = [
        "all",
        "any",
        "cluster",
        "fail-fast",
        "from",
        "help",
        "hints",
        "node",
        "print-id",
        "state",
        "until",
        "version",
    ];
    let mut command = documented();
    command.build();
    let commands = ["get", "wait", "list", "config", "watch", "ls", "cancel"]
        .map(|name| command.find_subcommand(name));
    let commands = commands.into_iter().flatten().chain([&command]);
    let mut count = 0;
    let flags =
        commands.flat_map(|command| command.get_arguments().map(|flag| (command.get_name(), flag)));
    for (command_name, flag) in flags {
        let Some(name) = flag.get_long() else { continue };
        let expected = format!("CCE_JOB_{}", name.to_uppercase().replace('-', "_"));
        let is_other = ["check", "type", "phase", "limit", "notify", "follow", "follow-interval"]
            .contains(&name);
        // `get` has a timeout of its own, which has no variable.
        let is_other = is_other || (command_name == "get" && name == "timeout");
        // The project of a server has another name.
        let is_server_command = ["watch", "ls", "cancel"].contains(&command_name);
        let is_other = is_other || (is_server_command && name == "project");
        let expected = (!without.contains(&name) && !is_other).then_some(expected);
        let found = flag.get_env().map(|name| name.to_string_lossy().into_owned());
        assert_eq!(found, expected, "--{name}");
        assert!(flag.get_env().is_none() || flag.is_hide_env_values_set(), "--{name}");
        count += 1;
    }
    assert!(count > 60, "{count}");
    let mut wait = command.find_subcommand("wait").unwrap().clone();
    assert!(wait.render_help().to_string().contains("[env: CCE_JOB_TIMEOUT]"));
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
