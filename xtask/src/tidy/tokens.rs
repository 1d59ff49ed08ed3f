//! Reads Rust source as tokens, and removes test code from them. Comments are not part of the
//! tokens. A doc comment is an attribute with a string.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Returns the tokens of a source file.
///
/// # Errors
///
/// Returns an error if the text is not Rust.
pub(super) fn parse(text: &str) -> Result<TokenStream, String> {
    text.parse().map_err(|error| format!("cannot be read as Rust: {error}"))
}

/// Calls `f` with each token and all tokens after it in the same group, in nested groups, too.
pub(super) fn visit(tokens: TokenStream, f: &mut impl FnMut(&[TokenTree])) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        f(&tokens[at..]);
        if let TokenTree::Group(group) = token {
            visit(group.stream(), f);
        }
    }
}

/// Returns the tokens without the items, fields and statements that have the attribute
/// `#[cfg(test)]`.
pub(super) fn without_tests(tokens: TokenStream) -> TokenStream {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut kept = Vec::new();
    let mut rest = &tokens[..];
    while let [token, after @ ..] = rest {
        rest = match (token, after) {
            (TokenTree::Punct(hash), [TokenTree::Group(attribute), after @ ..])
                if hash.as_char() == '#' && is_test_only(attribute) =>
            {
                &after[item_len(after)..]
            }
            (TokenTree::Group(group), _) => {
                let mut stripped = Group::new(group.delimiter(), without_tests(group.stream()));
                stripped.set_span(group.span());
                kept.push(stripped.into());
                after
            }
            _ => {
                kept.push(token.clone());
                after
            }
        };
    }
    kept.into_iter().collect()
}

/// Whether this is the group of `#[cfg(test)]` or `#[cfg(all(test, ..))]`.
fn is_test_only(attribute: &Group) -> bool {
    let text = attribute.stream().to_string().replace(char::is_whitespace, "");
    attribute.delimiter() == Delimiter::Bracket
        && (text == "cfg(test)" || text.starts_with("cfg(all(test,"))
}

/// Returns the number of tokens of the item, field or statement that the tokens start with, further
/// attributes included.
fn item_len(tokens: &[TokenTree]) -> usize {
    const ITEM_KEYWORDS: [&str; 13] = [
        "async", "const", "enum", "extern", "fn", "impl", "mod", "static", "struct", "trait",
        "type", "unsafe", "use",
    ];
    // A comma ends a field or a variant, but can be part of an item's generics. Braces end any item
    // except `use`.
    let mut is_item = false;
    let mut is_use = false;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(ident) if !is_item => {
                is_use = *ident == "use";
                is_item = ITEM_KEYWORDS.iter().any(|keyword| *ident == keyword);
            }
            TokenTree::Punct(end) if end.as_char() == ';' => return at + 1,
            TokenTree::Punct(end) if end.as_char() == ',' && !is_item => return at + 1,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && !is_use => {
                return at + 1;
            }
            _ => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_code_is_left_out() {
        let rows = [
            ("fn a() {} #[cfg(test)] mod tests { fn b() {} } fn c() {}", "fn a() {} fn c() {}"),
            ("#[cfg(test)] mod tests; fn a() {}", "fn a() {}"),
            ("#[cfg(test)] #[expect(x)] pub(crate) fn a<A, B>() {} fn b() {}", "fn b() {}"),
            ("#[cfg(all(test, feature = \"x\"))] use a::{b, c}; fn d() {}", "fn d() {}"),
            (
                "#[cfg(any(test, feature = \"x\"))] fn a() {}",
                "#[cfg(any(test, feature = \"x\"))] fn a() {}",
            ),
            ("struct A { #[cfg(test)] b: u8, c: u8 }", "struct A { c: u8 }"),
            ("enum A { #[cfg(test)] B, C }", "enum A { C }"),
            ("impl A { #[cfg(test)] const B: u8 = 1; fn c() {} }", "impl A { fn c() {} }"),
            ("fn a() { #[cfg(test)] b(c, d); e() }", "fn a() { e() }"),
        ];
        for (source, expected) in rows {
            let kept = without_tests(parse(source).unwrap()).to_string();
            assert_eq!(kept, parse(expected).unwrap().to_string(), "{source}");
        }
        assert!(parse("fn a( {").is_err());
    }

    #[test]
    fn every_group_is_visited() {
        let mut idents = Vec::new();
        visit(parse("a(b[c] d) e // f").unwrap(), &mut |tokens| {
            if let [TokenTree::Ident(ident), ..] = tokens {
                idents.push(ident.to_string());
            }
        });
        assert_eq!(idents, ["a", "b", "c", "d", "e"]);
    }
}
