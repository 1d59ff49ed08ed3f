//! Aligns the rows of the live tree in columns, and shortens them to the width of the terminal.

use console::{measure_text_width, truncate_str};

use super::short_names::ShortNames;
use crate::terminal::Styles;

/// A row of the tree.
pub(super) enum Row {
    /// A job, a step, a cluster or a node.
    Cells(Box<Cells>),
    /// A text without columns.
    Line(String),
}

/// The columns of a row, without styles. A column may be empty.
#[derive(Default)]
pub(super) struct Cells {
    /// The type, indented.
    pub(super) title: String,
    pub(super) name: String,
    pub(super) phase: String,
    pub(super) phase_style: PhaseStyle,
    pub(super) progress: String,
    pub(super) time: String,
    /// What is shown if there is space: the remaining time, the id, the reason.
    pub(super) rest: String,
}

/// How a phase is shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum PhaseStyle {
    #[default]
    Plain,
    Success,
    Error,
    Warning,
    Dim,
}

/// The number of columns that are aligned.
const COLUMNS: usize = 5;

const TITLE: usize = 0;
const NAME: usize = 1;
const PHASE: usize = 2;
const PROGRESS: usize = 3;
const TIME: usize = 4;

/// The columns that a narrow terminal does not show: the first list whose rest fits is used.
const OMITTED: [&[usize]; 3] = [&[], &[PROGRESS], &[PROGRESS, TIME]];

/// The widest phase that is aligned. Phases of the service are shorter, but they may be any text.
const MAX_PHASE_WIDTH: usize = 14;

const MAX_TITLE_WIDTH: usize = 40;

/// A name takes at most a third of the terminal, or this width if that is more.
const MAX_NAME_WIDTH: usize = 24;

/// The widths to which a name and a title are shortened before a column is omitted.
const MIN_NAME_WIDTH: usize = 8;
const MIN_TITLE_WIDTH: usize = 10;

/// A title is shortened only after the names have been shortened to this width.
const GOOD_NAME_WIDTH: usize = 16;

/// The rest of a row is omitted if it has less space.
const MIN_REST_WIDTH: usize = 6;

/// Below this width, one space instead of two separates columns.
const NARROW: usize = 60;

impl Cells {
    fn texts(&self) -> [&str; COLUMNS] {
        [&self.title, &self.name, &self.phase, &self.progress, &self.time]
    }
}

/// Returns the rows as text. None is wider than `width`.
pub(super) fn align(rows: &[Row], width: usize, styles: Styles) -> Vec<String> {
    let cells = || {
        rows.iter().filter_map(|row| match row {
            Row::Cells(cells) => Some(&**cells),
            Row::Line(_) => None,
        })
    };
    let mut natural = [0; COLUMNS];
    for (widest, text) in cells().flat_map(|cells| cells.texts().into_iter().enumerate()) {
        natural[widest] = natural[widest].max(measure_text_width(text));
    }
    let gap = if width < NARROW { 1 } else { 2 };
    let widths = fit(natural, width, gap);
    let names = ShortNames::new(cells().map(|cells| &*cells.name), widths[NAME]);
    let row = |row: &Row| {
        let row = match row {
            Row::Line(line) => line.clone(),
            Row::Cells(cells) => cells.line(widths, width, gap, &names, styles),
        };
        truncate_str(&row, width, "…").into_owned()
    };
    rows.iter().map(row).collect()
}

/// Returns the widths of the columns so that they fit the terminal, if possible. A column that is
/// omitted, or empty in all rows, has the width zero.
fn fit(natural: [usize; COLUMNS], width: usize, gap: usize) -> [usize; COLUMNS] {
    let mut widest = natural;
    widest[TITLE] = widest[TITLE].min(MAX_TITLE_WIDTH);
    widest[NAME] = widest[NAME].min(MAX_NAME_WIDTH.max(width / 3));
    widest[PHASE] = widest[PHASE].min(MAX_PHASE_WIDTH);
    let total = |widths: &[usize; COLUMNS]| {
        let shown = widths.iter().filter(|width| **width > 0);
        shown.map(|width| width + gap).sum::<usize>().saturating_sub(gap)
    };
    let mut fitted = widest;
    for omitted in OMITTED {
        fitted = widest;
        omitted.iter().for_each(|column| fitted[*column] = 0);
        let steps = [(NAME, GOOD_NAME_WIDTH), (TITLE, MIN_TITLE_WIDTH), (NAME, MIN_NAME_WIDTH)];
        for (column, min) in steps {
            let excess = total(&fitted).saturating_sub(width);
            fitted[column] = fitted[column].saturating_sub(excess).max(min.min(fitted[column]));
        }
        if total(&fitted) <= width {
            break;
        }
    }
    fitted
}

impl Cells {
    fn line(
        &self,
        widths: [usize; COLUMNS],
        width: usize,
        gap: usize,
        names: &ShortNames<'_>,
        styles: Styles,
    ) -> String {
        let mut line = String::new();
        let mut used = 0;
        for (column, text) in self.texts().into_iter().enumerate() {
            let max = widths[column];
            if max == 0 {
                continue;
            }
            let name = (column == NAME).then(|| names.shorten(text));
            let text = truncate_str(name.as_deref().unwrap_or(text), max, "…");
            let padding = " ".repeat(max.saturating_sub(measure_text_width(&text)));
            let is_number = matches!(column, PROGRESS | TIME);
            let text = match column {
                _ if text.is_empty() => String::new(),
                PHASE => self.phase_style.apply(&text, styles),
                TIME => styles.dim(&text),
                _ => text.into_owned(),
            };
            if used > 0 {
                line += &" ".repeat(gap);
                used += gap;
            }
            line += &if is_number { padding + &text } else { text + &padding };
            used += max;
        }
        let left = width.saturating_sub(used + gap);
        if !self.rest.is_empty() && left >= MIN_REST_WIDTH {
            line += &format!("{:gap$}{}", "", truncate_str(&self.rest, left, "…"));
        }
        line.trim_end().to_owned()
    }
}

impl PhaseStyle {
    fn apply(self, text: &str, styles: Styles) -> String {
        match self {
            Self::Plain => text.into(),
            Self::Success => styles.success(text),
            Self::Error => styles.error(text),
            Self::Warning => styles.warning(text),
            Self::Dim => styles.dim(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn narrow_terminals_omit_columns_after_names_are_short() {
        let rows = [
            // Natural widths, terminal, expected widths.
            ([14, 21, 7, 3, 6], 80, [14, 21, 7, 3, 6]),
            ([14, 90, 7, 3, 6], 200, [14, 66, 7, 3, 6]),
            ([14, 90, 7, 3, 6], 80, [14, 26, 7, 3, 6]),
            ([14, 36, 12, 6, 6], 60, [12, 16, 12, 6, 6]),
            ([14, 21, 7, 3, 6], 40, [10, 10, 7, 3, 6]),
            ([14, 21, 7, 6, 6], 40, [10, 14, 7, 0, 6]),
            ([14, 21, 12, 6, 6], 40, [10, 9, 12, 0, 6]),
            ([14, 0, 7, 0, 6], 40, [14, 0, 7, 0, 6]),
            ([14, 21, 7, 3, 6], 20, [10, 8, 7, 0, 0]),
            ([0, 0, 0, 0, 0], 80, [0, 0, 0, 0, 0]),
        ];
        for (natural, width, expected) in rows {
            let gap = if width < NARROW { 1 } else { 2 };
            assert_eq!(fit(natural, width, gap), expected, "{natural:?} in {width}");
        }
    }

    proptest! {
        #[test]
        fn no_row_is_wider_than_the_terminal(
            texts in prop::collection::vec(prop::collection::vec("[a-z中 -]{0,40}", 6), 0..6),
            width in 1_usize..200,
        ) {
            let cells = |texts: &Vec<String>| {
                let [title, name, phase, progress, time, rest] =
                    [0, 1, 2, 3, 4, 5].map(|column| texts[column].clone());
                let phase_style = PhaseStyle::Error;
                let cells = Cells { title, name, phase, phase_style, progress, time, rest };
                Row::Cells(Box::new(cells))
            };
            let rows: Vec<_> = texts.iter().map(cells).collect();
            for row in align(&rows, width, Styles::DISABLED) {
                prop_assert!(measure_text_width(&row) <= width, "{:?} in {}", row, width);
            }
        }
    }
}
