//! Decodes a text in the ways in which a reply may encode a secret, with the place of each
//! character.

use std::ops::Range;

/// How a text is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    /// Escapes of JSON, such as `\/` and `\u002f`.
    Json,
    /// JSON inside a string of JSON.
    NestedJson,
    /// Percent-encoding, such as `%2F`, possibly inside JSON.
    Percent,
    /// Percent-encoding with `+` for a space.
    Form,
    /// Entities of HTML, such as `&#47;` and `&amp;`, as in a title.
    Entities,
    /// HTML: entities, and markup, which is removed.
    Html,
    /// Entities inside JSON, which may escape their `&`.
    EntitiesInJson,
    /// HTML inside JSON, which may escape its `<` and `&`.
    HtmlInJson,
}

/// A character and its place in the text.
pub(super) type Placed = (char, Range<usize>);

impl Encoding {
    /// Returns the encodings that this text can have, in which secrets are searched.
    ///
    /// `has_space` is whether one of the secrets contains a space.
    pub(super) fn from_text(text: &[u8], has_space: bool) -> impl Iterator<Item = Self> {
        let has = |byte| text.contains(&byte);
        let is_escaped = has(b'\\');
        let has_escape = |escape: &[u8]| is_escaped && text.windows(2).any(|pair| pair == escape);
        // Such an escape can stand for any character.
        let is_any = has_escape(b"\\u");
        let is_nested = is_any || has_escape(b"\\\\");
        let is_percent = is_any || has(b'%');
        let is_form = has_space && (is_any || has(b'+'));
        let is_entity = is_any || has(b'&');
        let is_html = is_entity || has(b'<');
        [
            (Self::Plain, true),
            (Self::Json, is_escaped),
            (Self::NestedJson, is_nested),
            (Self::Percent, is_percent),
            (Self::Form, is_form),
            (Self::Entities, is_entity),
            (Self::Html, is_html),
            (Self::EntitiesInJson, is_escaped && is_entity),
            (Self::HtmlInJson, is_escaped && is_html),
        ]
        .into_iter()
        .filter_map(|(encoding, is_possible)| is_possible.then_some(encoding))
    }

    /// Calls a function with each decoded character.
    pub(super) fn decode(self, text: &[u8], visit: impl FnMut(Placed)) {
        let plain = chars(text);
        match self {
            Self::Plain => plain.for_each(visit),
            Self::Json => json(plain).for_each(visit),
            Self::NestedJson => json(json(plain)).for_each(visit),
            Self::Percent => Decoder(json(plain), &['%'], percent).for_each(visit),
            Self::Form => Decoder(json(plain), &['+', '%'], form).for_each(visit),
            Self::Entities => Decoder(plain, &['&'], entity).for_each(visit),
            Self::Html => Decoder(plain, &['<', '&'], html).for_each(visit),
            Self::EntitiesInJson => Decoder(json(plain), &['&'], entity).for_each(visit),
            Self::HtmlInJson => Decoder(json(plain), &['<', '&'], html).for_each(visit),
        }
    }
}

/// The characters that a text may contain in any encoding. Most secrets contain others, and need
/// not be searched.
pub(super) struct PossibleChars {
    /// The ASCII characters, or `None` if all are possible.
    ascii: Option<[bool; 128]>,
}

impl PossibleChars {
    pub(super) fn from_text(text: &[u8]) -> Self {
        let mut ascii = [false; 128];
        for byte in text {
            if let Some(is_possible) = ascii.get_mut(usize::from(*byte)) {
                *is_possible = true;
            }
        }
        let has = |c: u8| ascii[usize::from(c)];
        let is_any =
            has(b'%') || has(b'&') || has(b'\\') && text.windows(2).any(|pair| pair == b"\\u");
        Self { ascii: (!is_any).then_some(ascii) }
    }

    pub(super) fn contains(&self, c: char) -> bool {
        let ascii = self.ascii.as_ref().and_then(|ascii| ascii.get(c as usize));
        ascii.is_none_or(|is_possible| *is_possible)
    }
}

/// Returns an iterator over the characters. Invalid bytes are replaced.
fn chars(text: &[u8]) -> impl Iterator<Item = Placed> + Clone + '_ {
    let mut start = 0;
    text.utf8_chunks().flat_map(move |chunk| {
        let (from, valid, invalid) = (start, chunk.valid(), chunk.invalid());
        start += valid.len() + invalid.len();
        let end = start;
        let chars =
            valid.char_indices().map(move |(at, c)| (c, from + at..from + at + c.len_utf8()));
        let replaced =
            (!invalid.is_empty()).then(|| (char::REPLACEMENT_CHARACTER, end - invalid.len()..end));
        chars.chain(replaced)
    })
}

/// Decodes the sequences that start with one of these characters and that a function recognizes.
/// The function returns the decoded character, and advances the iterator past the sequence.
#[derive(Clone)]
struct Decoder<I, F>(I, &'static [char], F);

impl<I, F> Iterator for Decoder<I, F>
where
    I: Iterator<Item = Placed> + Clone,
    F: Fn(char, &mut Rest<I>) -> Option<char>,
{
    type Item = Placed;

    fn next(&mut self) -> Option<Placed> {
        let (first, place) = self.0.next()?;
        if !self.1.contains(&first) {
            return Some((first, place));
        }
        let mut rest = Rest { chars: self.0.clone(), end: place.end };
        match (self.2)(first, &mut rest) {
            Some(decoded) => {
                self.0 = rest.chars;
                Some((decoded, place.start..rest.end))
            }
            None => Some((first, place)),
        }
    }
}

/// The characters after the first one of a sequence.
struct Rest<I> {
    chars: I,
    /// The end of the last character that was read.
    end: usize,
}

impl<I: Iterator<Item = Placed>> Rest<I> {
    fn next(&mut self) -> Option<char> {
        let (c, place) = self.chars.next()?;
        self.end = place.end;
        Some(c)
    }

    /// Returns whether the next characters are these, in any ASCII case. Reads none.
    fn starts_with(&self, text: &str) -> bool
    where
        I: Clone,
    {
        let next = self.chars.clone().map(|(c, _)| c);
        next.take(text.len()).map(|c| c.to_ascii_lowercase()).eq(text.chars())
    }

    /// Reads up to the end of this text, or of all characters. Returns whether it was found.
    fn skip_after(&mut self, text: &str) -> bool
    where
        I: Clone,
    {
        while !self.starts_with(text) {
            if self.next().is_none() {
                return false;
            }
        }
        text.chars().all(|_| self.next().is_some())
    }

    /// Reads hexadecimal digits.
    fn hex(&mut self, digits: u32) -> Option<u32> {
        (0..digits).try_fold(0, |number, _| Some(number * 16 + self.next()?.to_digit(16)?))
    }
}

/// Decodes the escapes of JSON.
fn json<I: Iterator<Item = Placed> + Clone>(chars: I) -> impl Iterator<Item = Placed> + Clone {
    Decoder(chars, &['\\'], json_escape)
}

fn json_escape<I: Iterator<Item = Placed>>(_: char, rest: &mut Rest<I>) -> Option<char> {
    match rest.next()? {
        c @ ('"' | '\\' | '/') => Some(c),
        'b' | 'f' | 'n' | 'r' | 't' => Some(' '),
        'u' => {
            let unit = rest.hex(4)?;
            if !(0xD800..0xDC00).contains(&unit) {
                return char::from_u32(unit);
            }
            let is_pair = rest.next()? == '\\' && rest.next()? == 'u';
            let low = rest.hex(4).filter(|low| is_pair && (0xDC00..0xE000).contains(low))?;
            char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
        }
        _ => None,
    }
}

fn percent<I: Iterator<Item = Placed>>(_: char, rest: &mut Rest<I>) -> Option<char> {
    let mut bytes = [u8::try_from(rest.hex(2)?).ok()?, 0, 0, 0];
    let len = match bytes[0] {
        0..0x80 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        0xF0..0xF8 => 4,
        _ => return None,
    };
    for byte in &mut bytes[1..len] {
        *byte = u8::try_from((rest.next()? == '%').then(|| rest.hex(2))??).ok()?;
    }
    str::from_utf8(&bytes[..len]).ok()?.chars().next()
}

fn form<I: Iterator<Item = Placed>>(first: char, rest: &mut Rest<I>) -> Option<char> {
    if first == '+' { Some(' ') } else { percent(first, rest) }
}

/// The longest name of an entity, and the most digits of one.
const MAX_ENTITY_LEN: usize = 8;

/// Elements whose content is not shown to people.
const INVISIBLE_ELEMENTS: [&str; 2] = ["script", "style"];

/// Replaces markup by a space, and decodes entities. Markup that does not end reaches to the end of
/// the text, as in the texts that job-model extracts from pages.
fn html<I: Iterator<Item = Placed> + Clone>(first: char, rest: &mut Rest<I>) -> Option<char> {
    if first != '<' {
        return entity(first, rest);
    }
    let second = rest.next()?;
    if !second.is_ascii_alphabetic() && !"/!?".contains(second) {
        return None;
    }
    let is_comment = second == '!' && rest.starts_with("--");
    let element = INVISIBLE_ELEMENTS
        .into_iter()
        .find(|name| name.starts_with(second.to_ascii_lowercase()) && rest.starts_with(&name[1..]));
    if is_comment {
        rest.skip_after("-->");
    } else {
        if let Some(name) = element {
            rest.skip_after("</");
            while !rest.starts_with(name) && rest.skip_after("</") {}
        }
        rest.skip_after(">");
    }
    Some(' ')
}

fn entity<I: Iterator<Item = Placed>>(_: char, rest: &mut Rest<I>) -> Option<char> {
    let mut name = String::new();
    for _ in 0..=MAX_ENTITY_LEN {
        match rest.next()? {
            ';' => return named_entity(&name),
            c => name.push(c),
        }
    }
    None
}

fn named_entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return char::from_u32(code.ok()?);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "sol" => '/',
        "plus" => '+',
        "equals" => '=',
        "nbsp" | "shy" => ' ',
        _ => return None,
    })
}
