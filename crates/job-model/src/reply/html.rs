//! Extracts the title or the visible text of an HTML page.

use alloc::string::String;

/// Elements whose content is not shown to people.
const INVISIBLE_ELEMENTS: [&str; 2] = ["script", "style"];

/// Returns the title of a page or, if it has none, its text.
pub(crate) fn visible_text(page: &str) -> String {
    // Has the same length as the page, so that positions are valid in both.
    let lower = page.to_ascii_lowercase();
    let after = |at: usize, end: &str| {
        lower[at..].find(end).map_or(page.len(), |found| at + found + end.len())
    };
    let mut text = String::new();
    let mut at = 0;
    while let Some(found) = lower[at..].find('<') {
        let start = at + found;
        text.push_str(&page[at..start]);
        let tag = &lower[start + 1..];
        at = if tag.starts_with("!--") {
            after(start, "-->")
        } else if let Some(name) = INVISIBLE_ELEMENTS.iter().find(|name| tag.starts_with(**name)) {
            after(after(start, &["</", name].concat()), ">")
        } else if tag.starts_with("title") {
            let start = after(start, ">");
            let end = lower[start..].find("</title").map_or(page.len(), |found| start + found);
            let title = &page[start..end];
            if !title.trim().is_empty() {
                return decode_entities(title);
            }
            end
        } else if tag.starts_with(|c: char| c.is_ascii_alphabetic() || "/!?".contains(c)) {
            text.push(' ');
            after(start, ">")
        } else {
            text.push('<');
            start + 1
        };
    }
    text.push_str(&page[at..]);
    decode_entities(&text)
}

/// Decodes the most common entities.
fn decode_entities(text: &str) -> String {
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " ")];
    let text =
        entities.iter().fold(String::from(text), |text, (entity, c)| text.replace(entity, c));
    // This comes last, so that `&amp;lt;` becomes `&lt;`.
    text.replace("&amp;", "&")
}
