//! Draws a terminal's screen as SVG.

use std::fmt::Write;

use vt100::{Cell, Color, Screen};

const WIDTH: u32 = 860;
const FONT_SIZE: f64 = 13.0;
const CELL_WIDTH: f64 = 7.8;
const LINE_HEIGHT: f64 = 21.0;
/// The left edge of the text.
const LEFT: f64 = 24.0;
/// The baseline of the first line, below the window's title bar.
const TOP: f64 = 62.0;
const BOTTOM_MARGIN: f64 = 24.0;

const BACKGROUND: &str = "#0d1117";
const BORDER: &str = "#30363d";
const TEXT: &str = "#e6edf3";
const DIM: &str = "#8b949e";
const BUTTONS: [&str; 3] = ["#ff5f57", "#febc2e", "#28c840"];

/// A part of a line in one style.
struct Span {
    column: u16,
    columns: u16,
    text: String,
    style: String,
}

/// Returns the picture of a window with this prompt, and below it the screen without its empty last
/// rows.
pub(crate) fn render(prompt: &str, screen: &Screen) -> String {
    let (rows, columns) = screen.size();
    let text = screen.rows(0, columns.get()).map(|row| row.trim_end().to_owned());
    let texts: Vec<String> = text.take(rows.get().into()).collect();
    let used = texts.iter().rposition(|text| !text.is_empty()).map_or(0, |last| last + 1);
    let height = TOP + LINE_HEIGHT * used as f64 + BOTTOM_MARGIN;
    let title = texts.iter().take(used).fold(String::new(), |all, text| all + text + "\n");
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} \
         {height}\" role=\"img\">\n<title>The live tree of a wait for three jobs</title>\n<desc>{}</desc>\n",
        escape(&title)
    );
    let _ = writeln!(
        svg,
        "<rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"10\" fill=\"{BACKGROUND}\" stroke=\"{BORDER}\"/>",
        WIDTH - 1,
        height - 1.0
    );
    for (number, color) in BUTTONS.iter().enumerate() {
        let x = LEFT + 6.0 + 20.0 * number as f64;
        let _ = writeln!(svg, "<circle cx=\"{x}\" cy=\"24\" r=\"6\" fill=\"{color}\"/>");
    }
    let _ = writeln!(
        svg,
        "<g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" \
         font-size=\"{FONT_SIZE}\" fill=\"{TEXT}\" xml:space=\"preserve\">"
    );
    let prompt = Span {
        column: 0,
        columns: prompt.chars().count().try_into().unwrap_or(u16::MAX),
        text: prompt.into(),
        style: " font-weight=\"bold\"".into(),
    };
    svg += &text_element(&prompt, 0);
    for row in 0..used {
        for span in spans(screen, u16::try_from(row).unwrap_or(u16::MAX), columns.get()) {
            svg += &text_element(&span, row + 1);
        }
    }
    svg + "</g>\n</svg>\n"
}

/// Returns a text at its column. `textLength` keeps the columns aligned if the font has another
/// width.
fn text_element(span: &Span, line: usize) -> String {
    let Span { column, columns, text, style } = span;
    let x = LEFT + CELL_WIDTH * f64::from(*column);
    let y = TOP + LINE_HEIGHT * line as f64;
    let length = CELL_WIDTH * f64::from(*columns);
    let text = escape(text);
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\"{style}>{text}\
         </text>\n"
    )
}

/// Splits a row of the screen where its style changes and at two spaces or more.
fn spans(screen: &Screen, row: u16, columns: u16) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut blanks: u16 = 0;
    for column in 0..columns {
        let cell = screen.cell(row, column).filter(|cell| cell.has_contents());
        let Some(cell) = cell.filter(|cell| cell.contents() != " ") else {
            blanks += 1;
            continue;
        };
        let style = style(cell);
        match spans.last_mut() {
            Some(last) if blanks < 2 && last.style == style => {
                last.text += if blanks == 1 { " " } else { "" };
                last.text += cell.contents();
                last.columns += blanks + 1;
            }
            _ => spans.push(Span { column, columns: 1, text: cell.contents().into(), style }),
        }
        blanks = 0;
    }
    spans
}

/// Returns the attributes of a cell's text, each with a space before it.
fn style(cell: &Cell) -> String {
    let color = match cell.fgcolor() {
        Color::Idx(1) => Some("#ff7b72"),
        Color::Idx(2) => Some("#3fb950"),
        Color::Idx(3) => Some("#d29922"),
        Color::Idx(4) => Some("#58a6ff"),
        Color::Idx(6) => Some("#39c5cf"),
        _ => cell.dim().then_some(DIM),
    };
    let color = color.map(|color| format!(" fill=\"{color}\"")).unwrap_or_default();
    let weight = if cell.bold() { " font-weight=\"bold\"" } else { "" };
    color + weight
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
