//! Finds the prose of the workspace: comments, docs, pages and help texts, in lower case. Code is left
//! out, as far as it is in a fence or between backticks.

use proc_macro2::{TokenStream, TokenTree};

use crate::tidy::{Tree, tokens};

/// The prose of a file.
pub(super) struct Text {
    pub(super) path: String,
    /// The name of its crate, or the kind of file.
    pub(super) area: String,
    /// One paragraph a line.
    pub(super) prose: String,
}

/// Reads all prose of the workspace.
pub(super) fn read(tree: &Tree) -> Vec<Text> {
    let mut texts = Vec::new();
    let mut add = |path: &str, area: &str, prose: String| {
        texts.push(Text { path: path.into(), area: area.into(), prose });
    };
    for (path, text) in tree.files("", ".rs") {
        let area = path.trim_start_matches("crates/").split('/').next().unwrap_or_default();
        add(path, area, paragraphs(text.lines().flat_map(rust_comment)));
        // A file that is not Rust is a violation of another check.
        let help = tokens::parse(text).map(help_texts).unwrap_or_default();
        if !help.is_empty() {
            add(path, "help", paragraphs(help.lines()));
        }
    }
    for (path, text) in tree.files("", ".toml") {
        let comments = text.lines().map(|line| line.strip_prefix('#').unwrap_or_default());
        add(path, "manifests", paragraphs(comments));
    }
    for (path, text) in tree.files("", ".md") {
        add(path, "pages", paragraphs(text.lines()));
    }
    texts
}

/// Returns the comment of a line of Rust. A comment after code is a paragraph of its own.
fn rust_comment(line: &str) -> Vec<&str> {
    let comment = comment(line);
    if line.trim_start().starts_with("//") { vec![comment] } else { vec!["", comment, ""] }
}

/// Returns the comment of a line of Rust, or an empty text.
fn comment(line: &str) -> &str {
    let comment = line.trim_start().strip_prefix("//").or_else(|| {
        let (code, comment) = line.split_once(" // ")?;
        let is_in_string = code.matches('"').count() % 2 == 1;
        (!is_in_string).then_some(comment)
    });
    comment.unwrap_or_default().trim_start_matches(['/', '!'])
}

/// Joins the lines of each paragraph. Of the code in a fence only the comments are kept.
fn paragraphs<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    let mut is_in_fence = false;
    for line in lines.map(str::trim) {
        if line.starts_with("```") {
            is_in_fence = !is_in_fence;
            text.push('\n');
        } else if is_in_fence {
            text += comment(line);
            text.push('\n');
        } else {
            // A table's row, a list's item and a heading do not go on from the line before.
            let is_start = line.is_empty() || line.starts_with(['|', '#', '-', '*']);
            text.push(if is_start { '\n' } else { ' ' });
            text += line;
        }
    }
    let paragraphs = text.lines().map(|line| without_code(line.trim()));
    let paragraphs: Vec<String> = paragraphs.filter(|line| !line.is_empty()).collect();
    paragraphs.join("\n").to_lowercase()
}

/// Replaces each text between backticks, and each target of a link, by a placeholder.
fn without_code(paragraph: &str) -> String {
    let paragraph = paragraph.replace("``", "`");
    // Every second part is code; an odd backtick at the end is not the start of code.
    let parts: Vec<&str> = paragraph.split('`').collect();
    let last = parts.len() - 1;
    let prose = parts.iter().enumerate().map(|(at, part)| {
        if at % 2 == 0 || at == last { (*part).to_owned() } else { "``".to_owned() }
    });
    prose.collect()
}

/// Returns the text of the constants whose name ends with `HELP`.
fn help_texts(tokens: TokenStream) -> String {
    let mut help = String::new();
    tokens::visit(tokens, &mut |tokens| {
        if let [TokenTree::Ident(keyword), TokenTree::Ident(name), value @ ..] = tokens
            && *keyword == "const"
            && name.to_string().ends_with("HELP")
        {
            let value = value.iter().take_while(|token| token.to_string() != ";");
            for literal in value.filter(|token| matches!(token, TokenTree::Literal(_))) {
                help += &literal.to_string().replace("\\n", "\n").replace(['"', '\\'], "");
                help.push('\n');
            }
        }
    });
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_found() {
        let rows = [
            (
                "a.rs",
                "//! Reads\n//! a thing.\n\n/// One\n///\n/// two.\nfn a() {} // three\n",
                "reads a thing.\none\ntwo.\nthree",
            ),
            ("a.rs", "/// A `where` b ``told``.\nlet a = \"told https://told\";", "a `` b ``."),
            (
                "a.rs",
                "/// Do:\n/// ```\n/// let told = 1; // an error\n/// # told\n/// ```\n/// so",
                "do:\nan error\nso",
            ),
            ("a.rs", "/// an odd ` is\n/// prose", "an odd  is prose"),
            (
                "a.rs",
                "const A_HELP: &str = \"\\\nUse:\\n  it \\\"so\\\"\";\nconst B: &str = \"told\";",
                "use: it so",
            ),
            ("a.toml", "# Why it\n# is so.\na = 1\n", "why it is so."),
            (
                "a.md",
                "# Title\nText\ngoes on.\n\n- one\n- two\n| a | b |\n",
                "# title text goes on.\n- one\n- two\n| a | b |",
            ),
        ];
        for (path, text, expected) in rows {
            let texts = read(&Tree::new(&[(path, text)]));
            let prose: Vec<&str> = texts.iter().map(|text| &*text.prose).collect();
            assert_eq!(prose.join("\n").trim(), expected, "{text}");
        }
    }

    #[test]
    fn areas() {
        let source = "//! A.\nconst HELP: &str = \"b\";";
        let files =
            ["crates/job-x/tests/a.rs", "xtask/src/a.rs", "Cargo.toml", "fixtures/README.md"];
        let texts = read(&Tree::new(&files.map(|file| (file, source))));
        let areas: Vec<&str> = texts.iter().map(|text| &*text.area).collect();
        assert_eq!(areas, ["job-x", "help", "xtask", "help", "manifests", "pages"]);
    }
}
