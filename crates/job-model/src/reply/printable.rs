//! Recognizes characters that must not be printed to a terminal.

/// Returns `true` for a character that is invisible or could disturb a terminal.
///
/// These are control characters, marks that change the direction of writing, joiners, and other
/// characters that may move the cursor or hide their neighbors. Spaces are printable.
///
/// Any text of the service, such as a reason or a name, may contain such characters. Remove or
/// escape them before you show the text. Everything that this crate displays already does so.
///
/// ```
/// let reason = "quota\u{1b}[2J exceeded";
/// let shown: String = reason.chars().filter(|c| !job_model::is_unprintable(*c)).collect();
/// assert_eq!(shown, "quota[2J exceeded");
/// ```
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    let unseen = [
        '\u{ad}'..='\u{ad}',
        '\u{61c}'..='\u{61c}',
        '\u{180e}'..='\u{180e}',
        '\u{200b}'..='\u{200f}',
        '\u{2028}'..='\u{202e}',
        '\u{2060}'..='\u{206f}',
        '\u{feff}'..='\u{feff}',
        '\u{fff9}'..='\u{fffb}',
        '\u{e0000}'..='\u{e0fff}',
    ];
    c.is_control() || unseen.iter().any(|range| range.contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::UNPRINTABLE_CHARS;

    #[test]
    fn only_control_and_invisible_characters_are_unprintable() {
        for c in UNPRINTABLE_CHARS.iter().copied().filter_map(char::from_u32) {
            assert!(is_unprintable(c), "{c:?}");
        }
        for c in " aä\u{a0}\u{301}中🙂\\\"".chars() {
            assert!(!is_unprintable(c), "{c:?}");
        }
    }
}
