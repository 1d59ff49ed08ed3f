//! Checks names: no constructor is called `of`, a constant's name is not a bare adjective or
//! adverb, and no two crates export types of the same name.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenTree;

use super::{Tree, tokens};

/// Adjectives and adverbs that must not be the whole name of a constant, because the name must
/// state which quantity it holds.
const BARE_WORDS: &str = "\
    AGAIN BELOW BUSY CALM CANCELLED CUT EARLY EVERY FEW HIDDEN LATE LATER LOCAL LOST MANY MOMENT NEAR \
    NEGLIGIBLE SAME SHORT SLOWER SOON UNEXPLAINED";

/// Words that must not be part of a constant's name, except in `AT_MOST` and `AT_LEAST`. Most of
/// them have a standard replacement: `MAX_` or `MIN_`.
const WORDS: &str = "\
    ENOUGH FURTHEST LATELY LEAST LONGEST MOST NOTHING OVERSLEPT SHORTEST THINNEST WIDEST";

/// Public type names that two crates may define, with the reason.
const SHARED_TYPE_NAMES: &[(&str, &str)] = &[];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    let mut exported: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (path, text) in tree.files("crates/", ".rs").chain(tree.files("xtask/", ".rs")) {
        let tokens = match tokens::parse(text) {
            Ok(tokens) => tokens,
            Err(error) => {
                violations.push(format!("{path}: {error}"));
                continue;
            }
        };
        let (folder, crate_name) = path.split_once('/').unwrap_or_default();
        let (crate_name, file) = crate_name.split_once('/').unwrap_or_default();
        let is_library = folder == "crates" && file.starts_with("src/");
        tokens::visit(tokens.clone(), &mut |tokens| {
            let line = tokens.first().map_or(0, |token| token.span().start().line);
            violations.extend(bad_name(tokens).map(|problem| format!("{path}:{line}: {problem}")));
        });
        if is_library {
            tokens::visit(tokens::without_tests(tokens), &mut |tokens| {
                if let Some(name) = public_type(tokens) {
                    exported.entry(name).or_default().insert(crate_name);
                }
            });
        }
    }
    let is_allowed = |name: &str| SHARED_TYPE_NAMES.iter().any(|(allowed, _)| *allowed == name);
    for (name, crates) in exported {
        if crates.len() > 1 && !is_allowed(&name) {
            let crates = crates.into_iter().collect::<Vec<_>>().join(", ");
            violations.push(format!(
                "the public type name `{name}` is defined by several crates: {crates}"
            ));
        }
    }
    violations
}

/// Returns what is wrong with the name of the function or constant that these tokens define.
fn bad_name(tokens: &[TokenTree]) -> Option<String> {
    match *tokens {
        [TokenTree::Ident(ref keyword), TokenTree::Ident(ref name), ..] if *keyword == "fn" => {
            let name = name.to_string();
            (name == "of" || name.starts_with("of_"))
                .then(|| format!("`fn {name}`: use `new`, `from_..`, `with_..` or a verb"))
        }
        [
            TokenTree::Ident(ref keyword),
            TokenTree::Ident(ref name),
            TokenTree::Punct(ref colon),
            ..,
        ] if (*keyword == "const" || *keyword == "static" || *keyword == "mut")
            && colon.as_char() == ':' =>
        {
            let name = name.to_string();
            is_bad_constant(&name).then(|| {
                format!("`{name}`: name the quantity, such as `MAX_BODY_SIZE` or `CONNECT_TIMEOUT`")
            })
        }
        _ => None,
    }
}

fn is_bad_constant(name: &str) -> bool {
    let has = |words: &str, name| words.split_whitespace().any(|word| word == name);
    let rest = name.replace("AT_MOST", "").replace("AT_LEAST", "");
    has(BARE_WORDS, name) || rest.split('_').any(|word| has(WORDS, word))
}

/// Returns the name of the public type that these tokens define.
fn public_type(tokens: &[TokenTree]) -> Option<String> {
    let idents = tokens.iter().take(4).map_while(|token| match token {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    });
    let idents: Vec<String> = idents.collect();
    let idents: Vec<&str> = idents.iter().map(String::as_str).collect();
    match idents[..] {
        ["pub", "struct" | "enum" | "trait" | "type" | "union", name, ..]
        | ["pub", "unsafe", "trait", name] => Some(name.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_and_constants() {
        let rows = [
            ("fn of() {}", 1),
            ("impl A { pub(crate) const fn of_body(b: &[u8]) -> Self {} }", 1),
            ("macro_rules! a { () => { fn of() {} } }", 1),
            ("fn offset() {} fn office_of() {} fn f() { of(); of_x() }", 0),
            ("// fn of()\n/// fn of()\nconst A: &str = \"fn of()\";", 0),
            ("const LATELY: f64 = 0.1;", 1),
            ("#[cfg(test)] mod tests { static SOON: u8 = 1; static mut CALM: u8 = 1; }", 2),
            ("impl A { const EVERY: u8 = 1; }", 1),
            ("const LATE_WAKE_TOLERANCE: u8 = 1; const SHORT_DELAY: u8 = 1;", 0),
            ("const MAX_STAGES: u8 = 1; const MIN_JOBS: u8 = 1; const ALL: u8 = 1;", 0),
            ("const MOST_STAGES: u8 = 1;", 1),
            ("const DELAY_ENOUGH: u8 = 1;", 1),
            ("const AT_LEAST_ONCE: u8 = 1; const AT_MOST: u8 = 1; const ALMOST: u8 = 1;", 0),
            ("const fn most() {} fn f<const N: usize>(a: *const EVERY) {}", 0),
            ("fn f( {", 1),
        ];
        for (source, expected) in rows {
            for path in ["crates/job-x/src/a.rs", "crates/job-x/tests/a.rs", "xtask/src/a.rs"] {
                let violations = check(&Tree::new(&[(path, source)]));
                assert_eq!(violations.len(), expected, "{source}: {violations:?}");
            }
        }
    }

    #[test]
    fn public_types() {
        let rows = [
            ("pub struct A;", "pub enum A {}", 1),
            ("pub unsafe trait A {}", "pub type A = u8;", 1),
            ("pub struct A;", "pub(crate) struct A;", 0),
            ("pub struct A;", "struct A;", 0),
            ("pub struct A;", "pub struct B; pub fn a() {}", 0),
            ("pub struct A; pub mod a { pub struct A; }", "", 0),
            ("pub struct A;", "#[cfg(test)] mod tests { pub struct A; }", 0),
        ];
        for (one, other, expected) in rows {
            let tree =
                Tree::new(&[("crates/job-x/src/a.rs", one), ("crates/job-y/src/b.rs", other)]);
            let violations = check(&tree);
            assert_eq!(violations.len(), expected, "{one} {other}: {violations:?}");
        }
        let tests = [
            ("crates/job-x/src/a.rs", "pub struct A;"),
            ("crates/job-y/tests/a.rs", "pub struct A;"),
        ];
        assert!(check(&Tree::new(&tests)).is_empty());
    }
}
