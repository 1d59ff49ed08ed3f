//! Compares the limits in the documentation with those in the code.

use super::*;

/// Returns a limit as it appears in the table in the documentation of `WaitPolicy`.
fn limit_text(limit: Limit) -> String {
    let Some((count, over, ends_as)) = limit else { return "never".into() };
    let limits = ErrorLimits::DEFAULT;
    let (count, over) = (count.resolve(&limits), over.resolve(&limits).as_secs());
    let period = if over % 60 == 0 { format!("{} min", over / 60) } else { format!("{over} s") };
    let when = match (count, over) {
        (1, 0) => "at once".into(),
        (1, _) => format!("for {period}"),
        (_, 0) => format!("{count} in a row"),
        _ => format!("{count} in a row over {period}"),
    };
    format!("{when}: `{ends_as:?}`")
}

#[test]
fn the_policy_documentation_has_the_table_of_rules() {
    let mut table = String::from(
        "/// | error | before the first reading | after a reading |\n/// |---|---|---|\n",
    );
    for rule in RULES {
        let (before, after) = (limit_text(rule.before_reading), limit_text(rule.after_reading));
        // A settling job has succeeded, so the wait ends with that result.
        let (before, after) = if rule.is_only_settling {
            ("-".into(), "at once: the job's success".into())
        } else {
            (before, after)
        };
        table += &format!("/// | {} | {before} | {after} |\n", rule.errors);
    }
    assert!(include_str!("../policy.rs").contains(&table), "this is the table:\n{table}");
}

/// Returns a number as a word.
fn word(number: u32) -> &'static str {
    ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
        [number as usize]
}

/// Returns a page with each run of whitespace as one space, because sentences continue on the next
/// line.
fn unwrap_lines(page: &str) -> String {
    page.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn fixed(limit: Limit) -> (u32, Duration) {
    let (count, over, _) = limit.unwrap();
    (count.resolve(&ErrorLimits::DEFAULT), over.resolve(&ErrorLimits::DEFAULT))
}

#[test]
fn prose_states_the_same_limits() {
    let rule = |category| RULES.iter().rfind(|rule| rule.category == category).unwrap();
    let (confirmations, confirmed_over) = fixed(rule(ErrorCategory::Permanent).after_reading);
    let (unreadable, unreadable_over) = fixed(rule(ErrorCategory::Unreadable).after_reading);
    let (wrong_jobs, _) = fixed(rule(ErrorCategory::WrongJob).before_reading);
    let (_, unreachable_over) = fixed(rule(ErrorCategory::NoReply).before_reading);
    let grace = ErrorLimits::DEFAULT.not_found_grace.as_secs();
    let (confirmed_over, minutes) =
        (confirmed_over.as_secs(), |period: Duration| period.as_secs() / 60);
    let (many, few) = (word(confirmations), word(unreadable));
    let seconds = word(u32::try_from(confirmed_over).unwrap());
    let minute_word = |period| word(u32::try_from(minutes(period)).unwrap());

    let policy = unwrap_lines(&include_str!("../policy.rs").replace("///", ""));
    let policy = policy.as_str();
    let error = include_str!("../error.rs");
    let readme = unwrap_lines(include_str!("../../../README.md"));
    let reliability = unwrap_lines(include_str!("../../../RELIABILITY.md"));
    let (readme, reliability) = (readme.as_str(), reliability.as_str());
    let rows = [
        ("WaitPolicy", policy, format!("that was never read. The default is {grace} s.")),
        (
            "WaitPolicy",
            policy,
            format!(
                "after a reading. The default is {confirmations}. At least {confirmed_over} s must pass"
            ),
        ),
        ("WaitPolicy", policy, format!("end a wait. The default is {unreadable}.")),
        ("WaitPolicy", policy, format!("at least {} min must pass", minutes(unreadable_over))),
        ("WaitError", error, format!("{many} times in a row over {confirmed_over} s")),
        ("WaitError", error, format!("{few} replies in a row")),
        ("WaitError", error, format!("over {} min", minutes(unreadable_over))),
        (
            "WaitError",
            error,
            format!("for {} min, and the job was never read", minutes(unreachable_over)),
        ),
        ("README.md", readme, format!("must occur {many} times")),
        (
            "RELIABILITY.md",
            reliability,
            format!("must repeat {many} times over at least {seconds} seconds"),
        ),
        ("RELIABILITY.md", reliability, format!("{few} replies in a row that are not a job")),
        (
            "RELIABILITY.md",
            reliability,
            format!("{} replies in a row for another job", word(wrong_jobs)),
        ),
        ("RELIABILITY.md", reliability, format!("has a grace period of {grace} seconds")),
        (
            "RELIABILITY.md",
            reliability,
            format!("gives up after {} minutes", minute_word(unreachable_over)),
        ),
        (
            "RELIABILITY.md",
            reliability,
            format!("of more than {0} minutes counts as {0} minutes", minute_word(MAX_RETRY_AFTER)),
        ),
    ];
    for (file, text, sentence) in rows {
        assert!(text.contains(&sentence), "{file} does not state: {sentence}");
    }
    assert_eq!(wrong_jobs, 2, "{error}: \"twice in a row\"");
}
