//! Reads a `clouds.yaml` file as a tree of nodes, with aliases and merged mappings (`<<`).
//!
//! Each node is stored once, and an alias refers to it. Therefore, time and memory are linear in the
//! size of the file, with any number of aliases.

use std::{borrow::Cow, collections::BTreeMap};

use granit_parser::{Event, Parser, ScalarStyle};

/// The maximum number of mappings that are searched for a name, because a mapping can be merged
/// into itself.
const MAX_MERGED_MAPPINGS: usize = 16;

/// The line of an error, starting at 1. The text of the line may contain a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ErrorLine(pub(super) u64);

/// The nodes of a file, in the order in which they begin.
pub(super) struct Document<'t> {
    nodes: Vec<Node<'t>>,
}

struct Node<'t> {
    value: Value<'t>,
    line: u64,
}

enum Value<'t> {
    Null,
    Text(Cow<'t, str>),
    /// The indices of the items.
    Sequence(Vec<usize>),
    /// The index of each value.
    Mapping(BTreeMap<String, usize>),
}

/// A sequence or mapping that has not ended.
struct OpenNode {
    index: usize,
    /// The index of the last key of a mapping, whose value follows.
    key: Option<usize>,
}

impl<'t> Document<'t> {
    /// Parses a file.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not YAML, has several documents, or has a name twice in one
    /// mapping.
    pub(super) fn parse(text: &'t str) -> Result<Self, ErrorLine> {
        let mut document = Self { nodes: Vec::new() };
        let mut anchors = BTreeMap::new();
        let mut open = Vec::new();
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| ErrorLine(line(error.marker().line())))?;
            let line = line(span.start.line());
            let (value, anchor) = match event {
                Event::Scalar(text, style, anchor, _) => {
                    let is_null = style == ScalarStyle::Plain
                        && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                    (if is_null { Value::Null } else { Value::Text(text) }, anchor)
                }
                Event::SequenceStart(_, anchor, _) => (Value::Sequence(Vec::new()), anchor),
                Event::MappingStart(_, anchor, _) => (Value::Mapping(BTreeMap::new()), anchor),
                Event::SequenceEnd | Event::MappingEnd => {
                    open.pop();
                    continue;
                }
                Event::Alias(anchor) => {
                    let node = *anchors.get(&anchor).ok_or(ErrorLine(line))?;
                    document.attach(&mut open, node, line)?;
                    continue;
                }
                Event::DocumentStart(..) if !document.nodes.is_empty() => {
                    return Err(ErrorLine(line));
                }
                _ => continue,
            };
            let is_collection = matches!(value, Value::Sequence(_) | Value::Mapping(_));
            let index = document.nodes.len();
            document.nodes.push(Node { value, line });
            document.attach(&mut open, index, line)?;
            if anchor != 0 {
                anchors.insert(anchor, index);
            }
            if is_collection {
                open.push(OpenNode { index, key: None });
            }
        }
        Ok(document)
    }

    /// Adds a node to the innermost open collection.
    fn attach(&mut self, open: &mut [OpenNode], index: usize, line: u64) -> Result<(), ErrorLine> {
        let Some(parent) = open.last_mut() else { return Ok(()) };
        let key = match (&self.nodes[parent.index].value, parent.key.take()) {
            (Value::Mapping(_), None) => {
                parent.key = Some(index);
                return Ok(());
            }
            (Value::Mapping(_), Some(key)) => match &self.nodes[key].value {
                Value::Text(key) => Some(key.to_string()),
                // No setting has a name that is not a text.
                _ => return Ok(()),
            },
            _ => None,
        };
        match (&mut self.nodes[parent.index].value, key) {
            (Value::Mapping(members), Some(key)) => match members.insert(key, index) {
                Some(_) => Err(ErrorLine(line)),
                None => Ok(()),
            },
            (Value::Sequence(items), _) => {
                items.push(index);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Returns the text at a path of names, or `None` if a part of it is absent or null.
    ///
    /// # Errors
    ///
    /// Returns an error if a part of the path is not a mapping, or if its end is not a text.
    pub(super) fn text(&self, path: &[&str]) -> Result<Option<&str>, ErrorLine> {
        match self.node(path)?.map(|index| &self.nodes[index]) {
            None | Some(Node { value: Value::Null, .. }) => Ok(None),
            Some(Node { value: Value::Text(text), .. }) => Ok(Some(text)),
            Some(Node { line, .. }) => Err(ErrorLine(*line)),
        }
    }

    /// Returns the text at a path of names, or the texts of a sequence there, separated by commas.
    ///
    /// # Errors
    ///
    /// Returns an error if a part of the path is not a mapping, or if its end is another node.
    pub(super) fn comma_separated(&self, path: &[&str]) -> Result<Option<String>, ErrorLine> {
        let Some(Node { value: Value::Sequence(items), .. }) =
            self.node(path)?.map(|index| &self.nodes[index])
        else {
            return self.text(path).map(|text| text.map(String::from));
        };
        let texts = items.iter().map(|item| match &self.nodes[*item] {
            Node { value: Value::Text(text), .. } => Ok(&**text),
            Node { line, .. } => Err(ErrorLine(*line)),
        });
        Ok(Some(texts.collect::<Result<Vec<_>, _>>()?.join(",")))
    }

    /// Returns whether there is a node at a path of names, even if it is null.
    ///
    /// # Errors
    ///
    /// Returns an error if a part of the path is not a mapping.
    pub(super) fn contains(&self, path: &[&str]) -> Result<bool, ErrorLine> {
        self.node(path).map(|node| node.is_some())
    }

    /// Returns whether the value at a path of names is present and not null.
    ///
    /// # Errors
    ///
    /// Returns an error if a part of the path is not a mapping.
    pub(super) fn has_value(&self, path: &[&str]) -> Result<bool, ErrorLine> {
        let node = self.node(path)?.map(|index| &self.nodes[index].value);
        Ok(node.is_some_and(|value| !matches!(value, Value::Null)))
    }

    fn node(&self, path: &[&str]) -> Result<Option<usize>, ErrorLine> {
        let mut node = (!self.nodes.is_empty()).then_some(0);
        for name in path {
            let Some(parent) = node else { break };
            node = self.member(parent, name)?;
        }
        Ok(node)
    }

    /// Returns the member of a mapping, or of a mapping that is merged into it.
    fn member(&self, mapping: usize, name: &str) -> Result<Option<usize>, ErrorLine> {
        let mut mappings = vec![mapping];
        let mut next = 0;
        while let Some(&mapping) = mappings.get(next) {
            let Node { value, line } = &self.nodes[mapping];
            if next == MAX_MERGED_MAPPINGS {
                return Err(ErrorLine(*line));
            }
            next += 1;
            let members = match value {
                Value::Mapping(members) => members,
                Value::Null => continue,
                Value::Text(_) | Value::Sequence(_) => return Err(ErrorLine(*line)),
            };
            if let Some(member) = members.get(name) {
                return Ok(Some(*member));
            }
            let merged = members.get("<<");
            match merged.map(|merged| (*merged, &self.nodes[*merged].value)) {
                Some((_, Value::Sequence(items))) => mappings.extend(items),
                Some((merged, _)) => mappings.push(merged),
                None => {}
            }
        }
        Ok(None)
    }
}

fn line(line: usize) -> u64 {
    u64::try_from(line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_found_through_aliases_and_merged_mappings() {
        let text = "
base: &base {user: ann, domain: d}
more: &more
  user: eve
  region: eu-de
clouds:
  prod:
    auth:
      <<: [*base, *more]
      domain: 'e # f'
      password: \"a\\tb\"
      token: ~
      id: 0123
      secret: |
        two
        lines
    same: &same {<<: *same, x: y}
    alias: *base
";
        let document = Document::parse(text).unwrap();
        let rows = [
            ("clouds.prod.auth.user", Ok(Some("ann"))),
            ("clouds.prod.auth.region", Ok(Some("eu-de"))),
            ("clouds.prod.auth.domain", Ok(Some("e # f"))),
            ("clouds.prod.auth.password", Ok(Some("a\tb"))),
            ("clouds.prod.auth.id", Ok(Some("0123"))),
            ("clouds.prod.auth.secret", Ok(Some("two\nlines\n"))),
            ("clouds.prod.alias.user", Ok(Some("ann"))),
            ("clouds.prod.same.x", Ok(Some("y"))),
            ("clouds.prod.auth.token", Ok(None)),
            ("clouds.test.auth.user", Ok(None)),
            ("clouds.prod.auth", Err(ErrorLine(9))),
            ("clouds.prod.auth.user.name", Err(ErrorLine(2))),
            ("clouds.prod.same.z", Err(ErrorLine(17))),
        ];
        for (path, expected) in rows {
            let path: Vec<_> = path.split('.').collect();
            assert_eq!(document.text(&path), expected, "{path:?}");
        }
        let methods = Document::parse("a: [v3password, v3totp]\nb: x\nc: [{}]").unwrap();
        assert_eq!(methods.comma_separated(&["a"]), Ok(Some("v3password,v3totp".into())));
        assert_eq!(methods.comma_separated(&["b"]), Ok(Some("x".into())));
        assert_eq!(methods.comma_separated(&["c"]), Err(ErrorLine(3)));
        assert_eq!(methods.comma_separated(&["d"]), Ok(None));
        assert_eq!(document.contains(&["clouds", "prod", "auth", "token"]), Ok(true));
        assert_eq!(document.has_value(&["clouds", "prod", "auth", "token"]), Ok(false));
        assert_eq!(document.has_value(&["clouds", "prod", "auth"]), Ok(true));
    }

    #[test]
    fn malformed_files_are_errors_with_a_line() {
        let rows = [
            ("a: 1\nb: [", 2),
            ("a: 1\nb: 2\na: 3", 3),
            ("a: *missing", 1),
            ("a: 1\n---\nb: 2", 2),
            ("a: \"", 1),
        ];
        for (text, line) in rows {
            assert_eq!(Document::parse(text).err(), Some(ErrorLine(line)), "{text}");
        }
        assert!(Document::parse("").unwrap().text(&["a"]).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn never_panics(text in r"[a-c:\-\[\]{}&*<|> \n]{0,60}") {
            if let Ok(document) = Document::parse(&text) {
                let _ = document.text(&["a", "b"]);
            }
        }
    }
}
