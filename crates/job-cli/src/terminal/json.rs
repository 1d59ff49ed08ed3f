//! Formats JSON as one line without control characters and without commands of CI runners.

use jiff::Timestamp;
use job_model::is_unprintable;

use super::text::starts_with_command;

/// Returns the `time` of a line of JSON: the wall-clock time at which it is printed, as RFC 3339 in UTC
/// with milliseconds. It is for readers and log collectors; no decision of a wait depends on it.
pub(crate) fn line_time(now: Timestamp) -> String {
    format!("{now:.3}")
}

/// Returns the JSON on one line. Unprintable characters, and the first character of a command for
/// a CI runner, are escaped.
///
/// Works on the text and does not decode values, so that numbers keep their exact spelling, such as
/// `1.10`.
pub(crate) fn to_single_line(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    let (mut in_text, mut escaped) = (false, false);
    for (at, c) in json.char_indices() {
        match c {
            '"' if !escaped => in_text = !in_text,
            ' ' | '\t' | '\r' | '\n' if !in_text => continue,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        // Outside of strings, valid JSON has none of these except the white space skipped above.
        let rest = json.get(at..).unwrap_or_default();
        if is_unprintable(c) || starts_with_command(rest) {
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units).iter();
            line.extend(units.map(|unit| format!("\\u{unit:04x}")));
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn json_is_compacted_to_one_escaped_line() {
        let rows = [
            ("{ \"a\" :\n\t[1.10, -0e1] }", "{\"a\":[1.10,-0e1]}"),
            (r#"" a \" \\" "#, r#"" a \" \\""#),
            ("\"\u{9b}\u{7f}\u{202e}\u{e0041}ü\"", r#""\u009b\u007f\u202e\udb40\udc41ü""#),
            (r#""\\\u0007""#, r#""\\\u0007""#),
            (r###"{"##[a]": "x##vso[b ## [c"}"###, r###"{"\u0023#[a]":"x\u0023#vso[b ## [c"}"###),
        ];
        for (json, expected) in rows {
            assert_eq!(to_single_line(json), expected);
        }
    }

    proptest! {
        #[test]
        fn compact_json_keeps_the_value_on_one_line(texts in proptest::collection::vec(crate::testing::hostile_text(), 1..4)) {
            let value = Value::from(texts);
            for json in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let line = to_single_line(&json);
                prop_assert!(!line.contains(is_unprintable), "{}", line);
                prop_assert!(!line.char_indices().any(|(at, _)| starts_with_command(&line[at..])));
                prop_assert_eq!(&serde_json::from_str::<Value>(&line).unwrap(), &value);
            }
        }
    }
}
