//! Tests which texts of a chain are printed.

use std::fmt;

use super::*;

/// An error with this text, and the texts of its causes.
#[derive(Debug)]
struct Layer(&'static str, Option<Box<Self>>);

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Layer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&**self.1.as_ref()?)
    }
}

#[track_caller]
fn check(texts: &[&'static str], expected: &str) {
    let chain: Option<Box<Layer>> =
        texts.iter().rev().fold(None, |cause, text| Some(Box::new(Layer(text, cause))));
    assert_eq!(display_chain(&*chain.unwrap()), expected, "{texts:?}");
}

#[test]
fn a_sentence_is_printed_once() {
    check(&["no reply"], "no reply");
    check(&["no reply", "reset", "broken pipe"], "no reply: reset: broken pipe");
    // The same text twice, three times, and separated by another text.
    check(&["reset", "reset"], "reset");
    check(&["no reply", "reset", "reset", "reset"], "no reply: reset");
    check(&["reset", "no reply", "reset"], "reset: no reply");
    // A text that contains its cause's text at its end, in its middle, at its start.
    check(&["no reply: reset", "reset"], "no reply: reset");
    check(&["no reply (reset) yet", "reset", "errno 104"], "no reply (reset) yet: errno 104");
    check(&["reset by the peer", "reset"], "reset by the peer");
    check(&["no reply: dns: lookup", "dns: lookup", "lookup"], "no reply: dns: lookup");
    // A cause that repeats several texts before it.
    check(&["no reply", "dns", "lookup", "dns: lookup"], "no reply: dns: lookup");
    // A cause with more detail than the text before it.
    check(&["refused", "refused (os error 111)"], "refused (os error 111)");
    check(&["no reply", "refused", "connect: refused"], "no reply: connect: refused");
    check(&["dns", "lookup", "dns: lookup: no name"], "dns: lookup: no name");
    // Only whole words and numbers count as repetitions.
    check(&["not found", "no"], "not found: no");
    check(&["error 1041", "error 104"], "error 1041: error 104");
    check(&["error 104", "error 1041"], "error 104: error 1041");
    check(&["no", "not found"], "no: not found");
    // Empty texts are skipped.
    check(&["no reply", "", "reset"], "no reply: reset");
    check(&["", "reset"], "reset");
    check(&[""], "");
    // Texts that end with a separator, and non-ASCII characters.
    check(&["no reply: ", "reset"], "no reply: : reset");
    check(&["größe", "größe des Textes"], "größe des Textes");
}

#[test]
fn an_io_error_is_looked_into() {
    let error = io::Error::other(Layer("tls", Some(Box::new(Layer("expired", None)))));
    assert_eq!(display_chain(&error), "tls: expired");
    assert_eq!(error_sources(&error).count(), 3);
}
