//! Sanitizes texts of the service for display: escapes control characters and the commands of CI
//! runners, and limits the length.

use std::{net::Ipv6Addr, time::Duration};

use job_model::{HumanDuration, is_unprintable};

/// Maximum number of characters of one line. Nobody reads longer ones.
const MAX_LINE_CHARS: usize = 2_000;

/// Returns any text as one printable line of at most 2,000 characters.
///
/// Unprintable characters, and the first character of a command for a CI runner, are escaped: `##[`
/// and the like, and `::`. A text above the limit is truncated, followed by the number of omitted
/// characters.
///
/// # Examples
///
/// ```
/// use job_report::text::sanitize_line;
///
/// assert_eq!(sanitize_line("no quota\u{202e}\n::error::x"), r"no quota\u{202e}\u{a}\u{3a}:error\u{3a}:x");
/// ```
pub fn sanitize_line(text: &str) -> String {
    let end = text.char_indices().nth(MAX_LINE_CHARS).map_or(text.len(), |(end, _)| end);
    let (shown, rest) = text.split_at(end);
    match rest.chars().count() {
        0 => sanitize(shown),
        more => format!("{}… ({more} more characters)", sanitize(shown)),
    }
}

/// Returns a label and a name, if there is one, as one printable line.
///
/// # Examples
///
/// ```
/// use job_report::text::title;
///
/// assert_eq!(title("CreateCluster", Some("blue")), "CreateCluster blue");
/// assert_eq!(title("CreateCluster", None), "CreateCluster");
/// ```
pub fn title(label: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => sanitize_line(&format!("{label} {name}")),
        None => sanitize_line(label),
    }
}

/// Escapes the same characters as [`sanitize_line`], without a limit on the length.
///
/// # Examples
///
/// ```
/// use job_report::text::sanitize;
///
/// assert_eq!(sanitize("\u{1b}[2J"), r"\u{1b}[2J");
/// ```
pub fn sanitize(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut address_end = 0;
    let mut word_start = 0;
    for (at, c) in text.char_indices() {
        let rest = text.get(at..).unwrap_or_default();
        if !is_address_char(c) {
            word_start = at + c.len_utf8();
        } else if at == word_start && is_address(text, at) {
            address_end = at + rest.find(|c| !is_address_char(c)).unwrap_or(rest.len());
        }
        let is_command = starts_with_command(rest) || at >= address_end && rest.starts_with("::");
        if is_unprintable(c) || is_command {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Returns whether a text starts with a command of Azure Pipelines (`##vso[`, `##[`), TeamCity
/// (`##teamcity[`) or GitHub Actions (`##[`), which these read at any place of a line.
///
/// # Examples
///
/// ```
/// use job_report::text::starts_with_command;
///
/// assert!(starts_with_command("##[add-mask]x"));
/// assert!(!starts_with_command("## Steps"));
/// ```
pub fn starts_with_command(text: &str) -> bool {
    let name = text.strip_prefix("##");
    let after = name.map(|name| name.trim_start_matches(|c: char| c.is_ascii_alphanumeric()));
    after.is_some_and(|after| after.starts_with('['))
}

const fn is_address_char(c: char) -> bool {
    c.is_ascii_hexdigit() || matches!(c, ':' | '.')
}

/// Maximum length of an IPv6 address in brackets, with the bracket at its end.
const MAX_ADDRESS_BYTES: usize = 46;

/// Whether an IPv6 address in brackets is at this position. Its `::` is kept, so that a URL can be
/// copied. A command of GitHub Actions starts with `::`, but never after a bracket.
fn is_address(text: &str, at: usize) -> bool {
    if !text.get(..at).is_some_and(|before| before.ends_with('[')) {
        return false;
    }
    let rest = text.get(at..).unwrap_or_default();
    let end = rest.bytes().take(MAX_ADDRESS_BYTES).position(|byte| byte == b']');
    let address = end.and_then(|end| rest.get(..end));
    address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// Formats a duration for people, as [`HumanDuration`] does.
pub(crate) fn format_duration(duration: Duration) -> String {
    HumanDuration(duration).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_escaped_and_truncated() {
        let rows = [
            ("no \"quota\" \\ ü 中 🙂", "no \"quota\" \\ ü 中 🙂"),
            ("a\nb\r\tc", "a\\u{a}b\\u{d}\\u{9}c"),
            ("\u{1b}]0;title\u{7}\u{9b}2J", "\\u{1b}]0;title\\u{7}\\u{9b}2J"),
            ("\u{202e}txt.exe", "\\u{202e}txt.exe"),
            ("", ""),
            ("##[add-mask]x", "\\u{23}#[add-mask]x"),
            ("no ##vso[task.x]y", "no \\u{23}#vso[task.x]y"),
            ("##VSO[x] ###[y] ##teamcity[z", "\\u{23}#VSO[x] #\\u{23}#[y] \\u{23}#teamcity[z"),
            ("## [x] # #[ ##-[ #[x]", "## [x] # #[ ##-[ #[x]"),
            ("::error::x", "\\u{3a}:error\\u{3a}:x"),
            (" \u{3000}::stop-commands::x", " \u{3000}\\u{3a}:stop-commands\\u{3a}:x"),
            ("a ::error::x", "a \\u{3a}:error\\u{3a}:x"),
            (": :", ": :"),
            (":::", "\\u{3a}\\u{3a}:"),
            ("https://[::1]:8443/ [fe80::1]", "https://[::1]:8443/ [fe80::1]"),
            ("[::error::x] [::1", "[\\u{3a}:error\\u{3a}:x] [\\u{3a}:1"),
        ];
        for (text, expected) in rows {
            assert_eq!(sanitize_line(text), expected, "{text:?}");
        }
        let long = sanitize_line(&"x".repeat(1_000_000));
        assert!(long.ends_with("x… (998000 more characters)"), "{}", &long[MAX_LINE_CHARS..]);
    }

    #[test]
    fn titles_escape_only_what_is_not_printable() {
        for (label, name, expected) in [
            ("ScaleUp", None, "ScaleUp"),
            ("ScaleUp", Some("it's \"a\" \\"), "ScaleUp it's \"a\" \\"),
            ("a\n", Some("::b"), "a\\u{a} \\u{3a}:b"),
        ] {
            assert_eq!(title(label, name), expected);
        }
    }

    proptest! {
        #[test]
        fn escaped_texts_contain_no_unprintable_characters(text in any::<String>()) {
            prop_assert!(!sanitize_line(&text).contains(is_unprintable));
        }

        #[test]
        fn sanitized_texts_contain_no_commands(text in "[#:\\[ a\u{200b}\t\n]{0,12}") {
            let shown = sanitize_line(&text);
            prop_assert!(!shown.contains("::"));
            prop_assert!(!shown.char_indices().any(|(at, _)| starts_with_command(&shown[at..])));
            prop_assert_eq!(sanitize_line(&shown), shown, "sanitizing twice changes nothing");
        }
    }
}
