//! Tests the syntax of faults.

use super::*;

#[test]
fn unknown_faults_are_named_in_the_error() {
    for text in [
        "",
        "never",
        "page:",
        "page:99",
        "99",
        "1000",
        "throttled:soon",
        "oversized:1073741825",
        "oversized:-1",
        "stale:-1",
        "a:b",
    ] {
        let error = text.parse::<Fault>().unwrap_err().to_string();
        assert!(error.starts_with(&format!("unknown fault: {text};")), "{error}");
    }
    // Control characters are escaped, and a long text is shortened.
    let error = ("\u{1b}[2J".to_owned() + &"x".repeat(100)).parse::<Fault>().unwrap_err();
    assert!(error.to_string().starts_with("unknown fault: \\u{1b}[2Jxxxx"), "{error}");
    assert!(!error.to_string().contains(&"x".repeat(50)));
}

#[test]
fn fault_scripts_parse_up_to_the_length_limit() {
    let rows = [
        ("", Some(0)),
        (" , ,", Some(0)),
        ("ok", Some(1)),
        ("3*ok, 2 * reset,503", Some(6)),
        ("0*reset", Some(0)),
        ("100000*ok", Some(100_000)),
        ("100001*ok", None),
        ("99999*ok, 2*ok", None),
        ("-1*ok", None),
        ("18446744073709551616*ok", None),
        ("ok, never", None),
    ];
    for (text, length) in rows {
        let script = Fault::parse_script(text);
        assert_eq!(script.as_ref().ok().map(Vec::len), length, "{text}: {script:?}");
    }
}
