//! Checks that no crate has let chains if it states a compiler that does not know them. Clippy's
//! `incompatible_msrv` checks the standard library, but not the syntax.

use proc_macro2::{Delimiter, Spacing, TokenTree};

use super::{Tree, tokens};

/// The first Rust 1.x with let chains: `if let Some(a) = b && c`.
const LET_CHAINS: u32 = 88;

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (manifest, text) in tree.files("crates/", "/Cargo.toml") {
        let version = text.lines().find_map(|line| line.strip_prefix("rust-version = \"1."));
        let version = version.and_then(|version| version.strip_suffix('"')?.parse::<u32>().ok());
        let Some(version) = version.filter(|version| *version < LET_CHAINS) else {
            continue;
        };
        let sources = format!("{}src/", manifest.trim_end_matches("Cargo.toml"));
        for (path, source) in tree.files(&sources, ".rs") {
            violations.extend(lines(source).into_iter().map(|line| {
                format!(
                    "{path}:{line}: a let chain needs Rust 1.{LET_CHAINS}, and {manifest} states 1.{version}"
                )
            }));
        }
    }
    violations
}

/// Returns the lines of the let chains in a source file. A file that is not Rust has none, because
/// another check reports it.
fn lines(source: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    let Ok(tokens) = tokens::parse(source) else {
        return lines;
    };
    tokens::visit(tokens, &mut |tokens| {
        let found = match tokens {
            [first, second, TokenTree::Ident(word), ..] if *word == "let" => is_and(first, second),
            [TokenTree::Ident(start), TokenTree::Ident(word), rest @ ..] => {
                (*start == "if" || *start == "while") && *word == "let" && continues(rest)
            }
            _ => false,
        };
        if found {
            lines.push(tokens[0].span().start().line);
        }
    });
    lines.dedup();
    lines
}

/// Whether a condition continues with `&&` after its `let`.
fn continues(after_let: &[TokenTree]) -> bool {
    let is_assignment = |pair: &[TokenTree]| match pair {
        // The pattern may have a range, `1..=9`.
        [before, TokenTree::Punct(equals)] => equals.as_char() == '=' && !is_joint(before),
        _ => false,
    };
    let Some(pattern) = after_let.windows(2).position(is_assignment) else {
        return false;
    };
    let is_body = |token: &TokenTree| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
    let value = after_let[pattern + 2..].split(is_body).next().unwrap_or_default();
    value.windows(2).any(|pair| is_and(&pair[0], &pair[1]))
}

/// Whether two tokens are the operator `&&`.
fn is_and(first: &TokenTree, second: &TokenTree) -> bool {
    let is_ampersand =
        |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '&');
    is_ampersand(first) && is_joint(first) && is_ampersand(second)
}

/// Whether this token and the next are one operator.
fn is_joint(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.spacing() == Spacing::Joint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn let_chains_need_a_newer_compiler() {
        let rows = [
            ("if let Some(a) = b && c {}", 1),
            ("while let Some(a) = b && let Some(c) = a {}", 1),
            ("if a && let Some(b) = c {}", 1),
            ("if let A { b } = c\n    && d {}", 1),
            ("if let 1..=9 = a && b {}", 1),
            ("if let Some(a) = b { c && d }", 0),
            ("if let Some(a) = (b && c) {}", 0),
            ("if let 1..=9 = a {}", 0),
            ("if a && b { let c = d && e; }", 0),
            ("let Some(a) = b else { return c && d };", 0),
        ];
        for (body, expected) in rows {
            for (version, is_old) in [("1.85", true), ("1.87", true), ("1.88", false)] {
                let source = format!("fn f() {{ {body} }}");
                let manifest = format!("[package]\nrust-version = \"{version}\"\n");
                let tree = Tree::new(&[
                    ("crates/job-x/Cargo.toml", &manifest),
                    ("crates/job-x/src/a.rs", &source),
                ]);
                let expected = if is_old { expected } else { 0 };
                assert_eq!(check(&tree).len(), expected, "{version}: {body}");
            }
        }
    }
}
