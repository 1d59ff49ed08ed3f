//! Finds the prose of the workspace: comments, docs, pages and help texts, in lower case. Leaves
//! out code in fences and between backticks.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::tidy::{Tree, tokens};

/// The prose of one kind in a file.
pub(super) struct Text {
    pub(super) path: String,
    pub(super) kind: Kind,
    /// The name of its crate, or the kind of file.
    pub(super) area: String,
    /// One paragraph a line.
    pub(super) prose: String,
}

/// The kinds of prose. Each has to keep the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Comments and docs of Rust files, and comments of manifests.
    Comment,
    /// Markdown files.
    Page,
    /// What `--help` and the manual pages of the command print.
    Help,
}

/// Reads all prose of the workspace.
pub(super) fn read(tree: &Tree) -> Vec<Text> {
    let mut texts = Vec::new();
    let mut add = |path: &str, kind: Kind, area: &str, prose: String| {
        texts.push(Text { path: path.into(), kind, area: area.into(), prose });
    };
    for (path, text) in tree.files("", ".rs") {
        // A file that is not Rust is a violation of another check.
        let Help { lines: help_lines, texts: help_texts } =
            tokens::parse(text).map(Help::from_tokens).unwrap_or_default();
        let is_help = |number: usize| help_lines.contains(&(number + 1));
        let lines = || text.lines().enumerate();
        let comments = lines().map(|(number, line)| if is_help(number) { "" } else { line });
        let area = path.trim_start_matches("crates/").split('/').next().unwrap_or_default();
        add(path, Kind::Comment, area, paragraphs(comments.flat_map(rust_comment)));
        let help_comments = lines().map(|(number, line)| if is_help(number) { line } else { "" });
        let help = help_comments.flat_map(rust_comment).chain(help_texts.lines());
        let help = paragraphs(help);
        if !help.is_empty() {
            add(path, Kind::Help, "help", help);
        }
    }
    for (path, text) in tree.files("", ".toml") {
        let comments = text.lines().map(|line| line.strip_prefix('#').unwrap_or_default());
        add(path, Kind::Comment, "manifests", paragraphs(comments));
    }
    for (path, text) in tree.files("", ".md") {
        add(path, Kind::Page, "pages", paragraphs(text.lines()));
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
            // A row of a table, an item of a list and a heading do not continue the line before.
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

/// The help texts in a Rust file.
#[derive(Default)]
struct Help {
    /// The numbers of the lines with doc comments that clap prints.
    lines: BTreeSet<usize>,
    /// The literals that clap prints.
    texts: String,
}

/// The derives that turn doc comments into help.
const CLAP_DERIVES: [&str; 4] = ["Args", "Parser", "Subcommand", "ValueEnum"];

/// The keys of clap's attributes whose values are help.
const CLAP_KEYS: [&str; 7] =
    ["about", "after_help", "after_long_help", "before_help", "help", "long_about", "long_help"];

impl Help {
    /// Finds the doc comments and attributes of the types that derive one of [`CLAP_DERIVES`], and
    /// the constants whose name ends with `HELP`.
    fn from_tokens(tokens: TokenStream) -> Self {
        let mut help = Self::default();
        help.read_constants(tokens.clone());
        help.read_items(tokens);
        help
    }

    fn read_constants(&mut self, tokens: TokenStream) {
        tokens::visit(tokens, &mut |tokens| {
            if let [TokenTree::Ident(keyword), TokenTree::Ident(name), value @ ..] = tokens
                && *keyword == "const"
                && name.to_string().ends_with("HELP")
            {
                let value = value.iter().take_while(|token| token.to_string() != ";");
                value.for_each(|token| self.add_literal(token));
            }
        });
    }

    fn read_items(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut attributes: Vec<&Group> = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) if is_attribute(&tokens[..at], group) => {
                    attributes.push(group);
                }
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    if attributes.iter().any(|attribute| is_clap_derive(attribute)) {
                        attributes.iter().for_each(|attribute| self.read_attribute(attribute));
                        self.read_attributes(group.stream());
                    } else {
                        // A type may be declared in a module or a function.
                        self.read_items(group.stream());
                    }
                    attributes.clear();
                }
                TokenTree::Punct(end) if end.as_char() == ';' => attributes.clear(),
                _ => {}
            }
        }
    }

    /// Reads every attribute in a type's body.
    fn read_attributes(&mut self, body: TokenStream) {
        let tokens: Vec<TokenTree> = body.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            if let TokenTree::Group(group) = token {
                if is_attribute(&tokens[..at], group) {
                    self.read_attribute(group);
                } else {
                    self.read_attributes(group.stream());
                }
            }
        }
    }

    fn read_attribute(&mut self, attribute: &Group) {
        let tokens: Vec<TokenTree> = attribute.stream().into_iter().collect();
        match &tokens[..] {
            [TokenTree::Ident(doc), ..] if *doc == "doc" => {
                self.lines.insert(attribute.span().start().line);
            }
            [TokenTree::Ident(name), TokenTree::Group(arguments)]
                if ["arg", "clap", "command", "value"].iter().any(|known| *name == known) =>
            {
                let arguments: Vec<TokenTree> = arguments.stream().into_iter().collect();
                for key_and_value in arguments.windows(3) {
                    if let [TokenTree::Ident(key), TokenTree::Punct(equals), value] = key_and_value
                        && equals.as_char() == '='
                        && CLAP_KEYS.iter().any(|known| *key == known)
                    {
                        self.add_literal(value);
                    }
                }
            }
            _ => {}
        }
    }

    fn add_literal(&mut self, token: &TokenTree) {
        if let TokenTree::Literal(literal) = token {
            self.texts += &literal.to_string().replace("\\n", "\n").replace(['"', '\\'], "");
            self.texts.push('\n');
        }
    }
}

/// Whether the group is an outer attribute: the token before it is `#`.
fn is_attribute(before: &[TokenTree], group: &Group) -> bool {
    group.delimiter() == Delimiter::Bracket
        && matches!(before.last(), Some(TokenTree::Punct(hash)) if hash.as_char() == '#')
}

/// Whether this is the group of `#[derive(..)]` with one of [`CLAP_DERIVES`].
fn is_clap_derive(attribute: &Group) -> bool {
    let tokens: Vec<TokenTree> = attribute.stream().into_iter().collect();
    match &tokens[..] {
        [TokenTree::Ident(derive), TokenTree::Group(traits)] if *derive == "derive" => {
            let names = traits.stream().into_iter().map(|token| token.to_string());
            names.into_iter().any(|name| CLAP_DERIVES.contains(&&*name))
        }
        _ => false,
    }
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
            (
                "a.rs",
                "/// A.\n#[derive(Args)]\nstruct A {\n/// Told\n#[arg(long, help = \"Who\", x = \"no\")]\nb: u8, // c\n}",
                "c\na.\ntold\nwho",
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
        let source = "//! A.\n#[derive(Debug, ValueEnum)]\nenum B {\n/// C\nD\n}";
        let files =
            ["crates/job-x/tests/a.rs", "xtask/src/a.rs", "Cargo.toml", "fixtures/README.md"];
        let texts = read(&Tree::new(&files.map(|file| (file, source))));
        let areas: Vec<&str> = texts.iter().map(|text| &*text.area).collect();
        assert_eq!(areas, ["job-x", "help", "xtask", "help", "manifests", "pages"]);
        let kinds: Vec<Kind> = texts.iter().map(|text| text.kind).collect();
        let rust = [Kind::Comment, Kind::Help];
        assert_eq!(kinds, [&rust[..], &rust, &[Kind::Comment, Kind::Page]].concat());
    }
}
