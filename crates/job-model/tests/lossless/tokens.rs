//! Represents JSON as exact tokens: numbers as their text, and members even if a name is given
//! twice. It is written for these tests only, so that the decoder is not compared with its own
//! parser.

use std::fmt::Write;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// `null`, `true`, `false` or a number, as it is written.
    Bare(String),
    Text(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// How values are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) blanks: bool,
    pub(crate) escapes: bool,
    pub(crate) trailing_commas: bool,
    /// Writes control characters of strings as they are, which JSON does not allow.
    pub(crate) raw_controls: bool,
}

impl Token {
    pub(crate) fn null() -> Self {
        Self::Bare("null".into())
    }

    /// Returns the value with the members of its objects sorted by name. Members with the same name
    /// keep their order.
    pub(crate) fn with_sorted_members(self) -> Self {
        match self {
            Self::Array(elements) => {
                Self::Array(elements.into_iter().map(Self::with_sorted_members).collect())
            }
            Self::Object(members) => {
                let members = members.into_iter();
                let mut members: Vec<_> =
                    members.map(|(name, value)| (name, value.with_sorted_members())).collect();
                members.sort_by(|(a, _), (b, _)| a.cmp(b));
                Self::Object(members)
            }
            leaf => leaf,
        }
    }

    /// Reads a valid JSON text, and sorts its members.
    pub(crate) fn read(json: &str) -> Self {
        let mut reader = Reader { json, at: 0 };
        let token = reader.value().with_sorted_members();
        assert_eq!(reader.peek(), None, "something follows the value in {json}");
        token
    }

    pub(crate) fn write(&self, style: Style) -> String {
        match self {
            Self::Bare(text) => text.clone(),
            Self::Text(text) => write_text(text, style),
            Self::Array(elements) => write_container(
                '[',
                elements.iter().map(|element| element.write(style)),
                ']',
                style,
            ),
            Self::Object(members) => {
                let blank = if style.blanks { " " } else { "" };
                let member = |(name, value): &(String, Self)| {
                    format!("{}{blank}:{blank}{}", write_text(name, style), value.write(style))
                };
                write_container('{', members.iter().map(member), '}', style)
            }
        }
    }
}

fn write_container(
    open: char,
    values: impl Iterator<Item = String>,
    close: char,
    style: Style,
) -> String {
    let values: Vec<_> = values.collect();
    let (blank, comma) = if style.blanks { ("\n\t", " ,\r\n ") } else { ("", ",") };
    let last = if style.trailing_commas && !values.is_empty() { comma } else { "" };
    format!("{open}{blank}{}{last}{blank}{close}", values.join(comma))
}

fn write_text(text: &str, style: Style) -> String {
    let mut written = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            '/' if style.escapes => written.push_str("\\/"),
            _ if c.is_control() && !style.raw_controls || style.escapes && !c.is_ascii() => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(written, "\\u{unit:04x}").unwrap();
                }
            }
            _ => written.push(c),
        }
    }
    written + "\""
}

struct Reader<'j> {
    json: &'j str,
    at: usize,
}

impl Reader<'_> {
    /// Returns the next character that is not whitespace.
    fn peek(&mut self) -> Option<char> {
        let rest = self.json[self.at..].trim_start_matches([' ', '\t', '\n', '\r']);
        self.at = self.json.len() - rest.len();
        rest.chars().next()
    }

    fn take(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        self.at += if found { expected.len_utf8() } else { 0 };
        found
    }

    fn expect(&mut self, expected: char) {
        assert!(self.take(expected), "no {expected} at {} in {}", self.at, self.json);
    }

    fn value(&mut self) -> Token {
        match self.peek() {
            Some('"') => Token::Text(self.text()),
            Some('[') => Token::Array(self.list('[', ']', Self::value)),
            Some('{') => Token::Object(self.list('{', '}', |reader| {
                let name = reader.text();
                reader.expect(':');
                (name, reader.value())
            })),
            _ => {
                let rest = &self.json[self.at..];
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c));
                let text = &rest[..end.unwrap_or(rest.len())];
                assert!(!text.is_empty(), "no value at {} in {}", self.at, self.json);
                self.at += text.len();
                Token::Bare(text.into())
            }
        }
    }

    fn list<T>(&mut self, open: char, close: char, item: fn(&mut Self) -> T) -> Vec<T> {
        self.expect(open);
        let mut items = Vec::new();
        if self.take(close) {
            return items;
        }
        loop {
            items.push(item(self));
            if self.take(close) {
                return items;
            }
            self.expect(',');
        }
    }

    fn text(&mut self) -> String {
        self.expect('"');
        let mut units = Vec::new();
        loop {
            let c = self.json[self.at..].chars().next().expect("a text has an end");
            self.at += c.len_utf8();
            match c {
                '"' => return String::from_utf16(&units).expect("surrogates come in pairs"),
                '\\' => {
                    let escape = self.json[self.at..].chars().next().expect("an escape");
                    self.at += 1;
                    units.push(match escape {
                        'u' => {
                            self.at += 4;
                            u16::from_str_radix(&self.json[self.at - 4..self.at], 16).unwrap()
                        }
                        'n' => 10,
                        't' => 9,
                        'r' => 13,
                        'b' => 8,
                        'f' => 12,
                        other => u16::try_from(u32::from(other)).unwrap(),
                    });
                }
                _ => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
            }
        }
    }
}
