//! Formats tables with aligned columns, as `list` and `ls` print them.

use super::text;

/// The widest column that is aligned, in characters. A longer value moves the rest of its line.
const MAX_COLUMN_WIDTH: usize = 48;

/// Returns a header and rows with aligned columns.
pub(crate) fn format<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> String {
    let width = |text: &str| Some(text.chars().count()).filter(|width| *width <= MAX_COLUMN_WIDTH);
    let mut widths = header.map(str::len);
    for row in rows {
        for (widest, text) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(width(text).unwrap_or_default());
        }
    }
    let mut table = String::new();
    let header = header.map(String::from);
    for row in [&header].into_iter().chain(rows) {
        let cells = row.iter().zip(widths).map(|(text, width)| format!("{text:width$}"));
        table += &text::sanitize_line(cells.collect::<Vec<_>>().join("  ").trim_end());
        table.push('\n');
    }
    table
}

/// Returns the cell of a value. A value that is missing or empty is a hyphen.
pub(crate) fn cell(text: Option<&str>) -> String {
    match text.filter(|text| !text.is_empty()) {
        Some(text) => text::sanitize_line(text),
        None => "-".into(),
    }
}
