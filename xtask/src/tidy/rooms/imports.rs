//! Reads what the modules of a crate import from each other, from every path in a `use`, in code
//! and in a macro. Ignores test code, comments and paths into other crates.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::tidy::{Tree, tokens};

/// The path of a module or an item from the crate's root, without `crate`. The root itself is
/// empty.
pub(super) type Path = Vec<String>;

/// The production modules of a crate.
#[derive(Default)]
pub(super) struct Crate {
    /// The file of the crate's root.
    pub(super) root: String,
    modules: BTreeMap<Path, Module>,
    macros: BTreeSet<String>,
}

#[derive(Default)]
struct Module {
    file: String,
    /// Names of the modules declared in it, in their order.
    children: Vec<String>,
    uses: Vec<Use>,
    /// Paths in code, outside of `use`.
    paths: Vec<RawPath>,
    /// All identifiers in code, outside of `use`.
    idents: BTreeSet<String>,
}

/// One name that a `use` brings into scope.
struct Use {
    /// `*` for all names.
    name: String,
    path: RawPath,
    is_public: bool,
}

/// A path as written.
#[derive(Clone)]
struct RawPath {
    segments: Vec<String>,
    line: usize,
    /// Whether it starts with `$crate`.
    is_of_macro: bool,
    /// Whether it is followed by `!`.
    is_macro: bool,
}

/// An import that is written with `crate`, `self` or `super`.
pub(super) struct Import {
    pub(super) file: String,
    pub(super) line: usize,
    /// The room of the importing module.
    pub(super) from: String,
    /// The room of the imported item, if the path names one.
    pub(super) to: Option<String>,
    /// The imported path.
    pub(super) path: Path,
    /// Whether the path is resolved by a re-export in the crate's root.
    pub(super) is_through_root: bool,
}

impl Crate {
    /// Reads the crate in this folder, such as `crates/job-model`. Returns `None` if it has no
    /// root.
    ///
    /// # Errors
    ///
    /// Returns an error if a file is not Rust.
    pub(super) fn from_folder(tree: &Tree, folder: &str) -> Result<Option<Self>, String> {
        let roots = ["lib", "main"].map(|name| format!("{folder}/src/{name}.rs"));
        let Some(root) = roots.into_iter().find(|root| tree.file(root).is_some()) else {
            return Ok(None);
        };
        let mut this = Self { root: root.clone(), ..Self::default() };
        this.read_file(tree, &format!("{folder}/src"), &root, Path::new())?;
        Ok(Some(this))
    }

    /// Reads a module's file, and those of the modules that it declares.
    fn read_file(
        &mut self,
        tree: &Tree,
        src: &str,
        file: &str,
        module: Path,
    ) -> Result<(), String> {
        let text = tree.file(file).unwrap_or_default();
        let tokens = tokens::parse(text).map_err(|error| format!("{file}: {error}"))?;
        let mut declared = Vec::new();
        self.read_module(file, &module, tokens::without_tests(tokens), &mut declared);
        for child in declared {
            let path = child.join("/");
            let files = [format!("{src}/{path}.rs"), format!("{src}/{path}/mod.rs")];
            if let Some(file) = files.iter().find(|file| tree.file(file).is_some()) {
                self.read_file(tree, src, file, child)?;
            }
        }
        Ok(())
    }

    /// Reads a module's tokens. Adds to `declared` the modules that have a file of their own.
    fn read_module(
        &mut self,
        file: &str,
        module: &Path,
        tokens: TokenStream,
        declared: &mut Vec<Path>,
    ) {
        self.modules.entry(module.clone()).or_default().file = file.into();
        self.read_tokens(module, tokens, declared);
    }

    fn read_tokens(&mut self, module: &Path, tokens: TokenStream, declared: &mut Vec<Path>) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let [token, after @ ..] = &tokens[at..] {
            at += 1;
            match token {
                TokenTree::Ident(keyword) if *keyword == "mod" => {
                    let [TokenTree::Ident(name), body, ..] = after else {
                        continue;
                    };
                    let child: Path = module.iter().cloned().chain([name.to_string()]).collect();
                    self.entry(module).children.push(name.to_string());
                    if let TokenTree::Group(body) = body {
                        let file = self.entry(module).file.clone();
                        self.read_module(&file, &child, body.stream(), declared);
                    } else {
                        declared.push(child);
                    }
                    at += 2;
                }
                TokenTree::Ident(keyword) if *keyword == "macro_rules" => {
                    if let [_, TokenTree::Ident(name), ..] = after {
                        self.macros.insert(name.to_string());
                    }
                }
                // `+ use<'a>` captures lifetimes.
                TokenTree::Ident(keyword) if *keyword == "use" && !is_punct(after.first(), '<') => {
                    let is_public = is_public(&tokens[..at - 1]);
                    let end = after.iter().take_while(|token| !is_punct(Some(token), ';')).count();
                    if !is_path_separator(after) {
                        let mut uses = Vec::new();
                        read_use_tree(&after[..end], &RawPath::new(token), &mut uses);
                        uses.iter_mut().for_each(|one| one.is_public = is_public);
                        self.entry(module).uses.extend(uses);
                    }
                    at += end;
                }
                TokenTree::Ident(_) => {
                    let mut path = RawPath::new(token);
                    path.is_of_macro = at > 1 && is_punct(tokens.get(at - 2), '$');
                    path.segments.push(token.to_string());
                    while is_path_separator(&tokens[at..])
                        && let Some(TokenTree::Ident(segment)) = tokens.get(at + 2)
                    {
                        path.segments.push(segment.to_string());
                        at += 3;
                    }
                    path.is_macro = is_punct(tokens.get(at), '!');
                    let entry = self.entry(module);
                    entry.idents.insert(token.to_string());
                    if path.segments.len() > 1 {
                        entry.paths.push(path);
                    }
                }
                // A path that continues after generics or starts with `::` does not lead into a
                // module.
                TokenTree::Punct(_) if is_path_separator(&tokens[at - 1..]) => {
                    at += 1;
                    while matches!(tokens.get(at), Some(TokenTree::Ident(_))) {
                        at += if is_path_separator(&tokens[at + 1..]) { 3 } else { 1 };
                    }
                }
                TokenTree::Group(group) => self.read_tokens(module, group.stream(), declared),
                _ => {}
            }
        }
    }

    fn entry(&mut self, module: &Path) -> &mut Module {
        self.modules.entry(module.clone()).or_default()
    }

    /// Returns the rooms: the modules that the crate's root declares, in their order.
    pub(super) fn rooms(&self) -> &[String] {
        self.modules.get(&Path::new()).map_or(&[], |root| &root.children)
    }

    /// Returns every import by a path with `crate`, `self` or `super`, except those of the root.
    pub(super) fn imports(&self) -> Vec<Import> {
        let mut imports = Vec::new();
        for (at, module) in self.modules.iter().filter(|(at, _)| !at.is_empty()) {
            let uses = module.uses.iter().map(|one| &one.path);
            for raw in uses.chain(&module.paths) {
                let is_written_out = matches!(
                    raw.segments.first().map(String::as_str),
                    Some("crate" | "self" | "super")
                );
                let Some(path) = self.absolute(at, &raw.segments).filter(|_| is_written_out) else {
                    continue;
                };
                let is_room =
                    path.first().is_some_and(|first| self.rooms().iter().any(|room| room == first));
                let is_macro = raw.is_macro || path.iter().any(|name| self.macros.contains(name));
                let room = if is_room {
                    path.first().cloned()
                } else {
                    self.owner(&path).into_iter().next()
                };
                imports.push(Import {
                    file: module.file.clone(),
                    line: raw.line,
                    from: at[0].clone(),
                    to: room,
                    is_through_root: !is_room && !raw.is_of_macro && !is_macro,
                    path,
                });
            }
        }
        imports
    }

    /// Returns the files that each file uses. A re-export alone is not a use.
    pub(super) fn file_uses(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (at, module) in &self.modules {
            let is_used = |one: &&Use| !one.is_public || module.idents.contains(&one.name);
            let uses = module.uses.iter().filter(is_used).map(|one| &one.path);
            let targets = edges.entry(&module.file).or_default();
            for raw in uses.chain(&module.paths) {
                if let Some(path) = self.absolute(at, &raw.segments)
                    && let Some(owner) = self.modules.get(&self.owner(&path))
                    && owner.file != module.file
                {
                    targets.insert(&owner.file);
                }
            }
        }
        edges
    }

    /// Returns the path from the root of a path that is written in the module `at`, or `None` if it
    /// leads into another crate.
    fn absolute(&self, at: &Path, segments: &[String]) -> Option<Path> {
        self.absolute_within(at, segments, MAX_REEXPORTS)
    }

    fn absolute_within(&self, at: &Path, segments: &[String], depth: u32) -> Option<Path> {
        let (first, rest) = segments.split_first()?;
        let mut base = at.clone();
        match first.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                base.pop()?;
            }
            name => {
                let module = self.modules.get(at)?;
                let used = module.uses.iter().find(|one| one.name == name);
                if module.children.iter().any(|child| child == name) {
                    base.push(first.clone());
                } else {
                    // In `use hyper::body as hyper`, the first `hyper` is not the name that is
                    // defined.
                    let used = used.filter(|used| used.path.segments.first() != Some(first))?;
                    base = self.absolute_within(at, &used.path.segments, depth.checked_sub(1)?)?;
                }
            }
        }
        let supers = rest.iter().take_while(|segment| *segment == "super").count();
        base.truncate(base.len().checked_sub(supers)?);
        base.extend_from_slice(&rest[supers..]);
        Some(base)
    }

    /// Returns the module that defines the item at this path. Follows re-exports.
    fn owner(&self, path: &Path) -> Path {
        let mut path = path.clone();
        for _ in 0..MAX_REEXPORTS {
            let depth =
                (0..=path.len()).rev().find(|depth| self.modules.contains_key(&path[..*depth]));
            let (module, rest) = path.split_at(depth.unwrap_or_default());
            let (module, rest) = (module.to_vec(), rest.to_vec());
            let reexport = rest.first().and_then(|name| {
                let uses = &self.modules.get(&module)?.uses;
                uses.iter().find(|one| one.name == *name)
            });
            let target = reexport.and_then(|one| self.absolute(&module, &one.path.segments));
            let Some(target) = target else {
                return module;
            };
            path = target.into_iter().chain(rest.into_iter().skip(1)).collect();
        }
        path
    }
}

/// The maximum length of a chain of re-exports. Without it, a circle of re-exports would never end.
const MAX_REEXPORTS: u32 = 8;

impl RawPath {
    fn new(start: &TokenTree) -> Self {
        let line = start.span().start().line;
        Self { segments: Vec::new(), line, is_of_macro: false, is_macro: false }
    }
}

/// Reads a use tree such as `crate::{a::B, c::{self, D as E}}`, below the path `above`.
fn read_use_tree(tokens: &[TokenTree], above: &RawPath, uses: &mut Vec<Use>) {
    let mut path = above.clone();
    let mut name = None;
    let mut is_alias = false;
    for token in tokens {
        match token {
            TokenTree::Ident(ident) if *ident == "as" => is_alias = true,
            TokenTree::Ident(ident) if is_alias => name = Some(ident.to_string()),
            TokenTree::Ident(ident) => {
                path.line = ident.span().start().line;
                path.segments.push(ident.to_string());
            }
            TokenTree::Punct(punct) if punct.as_char() == '*' => path.segments.push("*".into()),
            TokenTree::Punct(punct) => path.is_of_macro |= punct.as_char() == '$',
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
                for part in tokens.split(|token| is_punct(Some(token), ',')) {
                    read_use_tree(part, &path, uses);
                }
                return;
            }
            _ => {}
        }
    }
    if path.segments.len() > 1 && path.segments.last().is_some_and(|last| last == "self") {
        path.segments.pop();
    }
    if let Some(last) = path.segments.last().filter(|_| !tokens.is_empty()) {
        uses.push(Use { name: name.unwrap_or_else(|| last.clone()), path, is_public: false });
    }
}

/// Whether the tokens end with a visibility, such as `pub(crate)`.
fn is_public(before: &[TokenTree]) -> bool {
    let is_pub = |token: Option<&TokenTree>| token.is_some_and(|token| token.to_string() == "pub");
    match before.last() {
        Some(TokenTree::Group(_)) => {
            is_pub(before.len().checked_sub(2).and_then(|at| before.get(at)))
        }
        last => is_pub(last),
    }
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

/// Whether the tokens start with `::`.
fn is_path_separator(tokens: &[TokenTree]) -> bool {
    is_punct(tokens.first(), ':') && is_punct(tokens.get(1), ':')
}
