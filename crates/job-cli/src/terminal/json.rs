//! Formats JSON as one line without control characters.

use job_model::is_unprintable;

/// Returns the JSON on one line, with unprintable characters escaped.
///
/// Works on the text and does not decode values, so that numbers keep their exact spelling, such as
/// `1.10`.
pub(crate) fn to_single_line(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    let (mut in_text, mut escaped) = (false, false);
    for c in json.chars() {
        match c {
            '"' if !escaped => in_text = !in_text,
            ' ' | '\t' | '\r' | '\n' if !in_text => continue,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        // Outside of strings, valid JSON has no unprintable characters except the white space
        // skipped above.
        if is_unprintable(c) {
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
        ];
        for (json, expected) in rows {
            assert_eq!(to_single_line(json), expected);
        }
    }

    proptest! {
        #[test]
        fn compact_json_keeps_the_value_on_one_line(texts in proptest::collection::vec(any::<String>(), 1..4)) {
            let value = Value::from(texts);
            for json in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let line = to_single_line(&json);
                prop_assert!(!line.contains(is_unprintable), "{}", line);
                prop_assert_eq!(&serde_json::from_str::<Value>(&line).unwrap(), &value);
            }
        }
    }
}
