//! Draws the picture in the docs: the cost of a job against the number of jobs at a time.

use std::{fmt::Write, fs, io, path::Path};

/// The size of the picture, and the margins for the axes.
const PICTURE_WIDTH: f64 = 640.0;
const PICTURE_HEIGHT: f64 = 300.0;
const LEFT_MARGIN: f64 = 56.0;
const RIGHT_MARGIN: f64 = 150.0;
const BOTTOM_MARGIN: f64 = 46.0;

/// The upper ends of the axes. The axis of the number of jobs is logarithmic.
const MAX_JOBS: f64 = 100.0;
const MAX_COST_SECS: f64 = 20.0;

/// A line of the picture: its name, its color, and the cost for each number of jobs.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) color: &'static str,
    /// How much lower than the last point the name is.
    pub(crate) lower: f64,
    pub(crate) points: Vec<(usize, f64)>,
}

/// Writes the picture to the file that the docs include.
///
/// # Errors
///
/// Returns an error if the file cannot be written.
pub(crate) fn write(lines: &[Line]) -> io::Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fleet/lists/lists.svg");
    fs::write(file, picture(lines))
}

fn picture(lines: &[Line]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {PICTURE_WIDTH} {PICTURE_HEIGHT}\" width=\"{PICTURE_WIDTH}\" \
         role=\"img\" aria-label=\"cost per job against the number of jobs at a time\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"currentColor\" stroke=\"none\">\n"
    );
    draw_axes(&mut svg);
    for Line { name, color, lower, points } in lines {
        let pixels: Vec<_> = points.iter().map(|(jobs, cost)| to_pixels(*jobs, *cost)).collect();
        let joined: Vec<_> = pixels.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let joined = joined.join(" ");
        _ = writeln!(svg, "<polyline points=\"{joined}\" fill=\"none\" stroke=\"{color}\"/>");
        for (x, y) in &pixels {
            _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{color}\"/>");
        }
        if let Some((x, y)) = pixels.last() {
            _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\">{name}</text>", x + 8.0, y + lower);
        }
    }
    svg + "</svg>\n"
}

fn draw_axes(svg: &mut String) {
    let (bottom, right) = (PICTURE_HEIGHT - BOTTOM_MARGIN, PICTURE_WIDTH - RIGHT_MARGIN);
    _ = writeln!(
        svg,
        "<path d=\"M{LEFT_MARGIN} 10V{bottom}H{right}\" fill=\"none\" stroke=\"currentColor\"/>"
    );
    for jobs in [1, 2, 5, 10, 20, 50, 100] {
        let (x, _) = to_pixels(jobs, 0.0);
        _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\">{jobs}</text>", x - 4.0, bottom + 16.0);
    }
    for cost in [0, 5, 10, 15, 20] {
        let (_, y) = to_pixels(1, f64::from(cost));
        _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\">{cost}</text>",
            LEFT_MARGIN - 22.0,
            y + 4.0
        );
    }
    let (x, y) = (220.0, PICTURE_HEIGHT - 8.0);
    _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\">jobs of a project at a time</text>");
    _ = writeln!(svg, "<text x=\"4\" y=\"20\">J, s</text>");
}

fn to_pixels(jobs: usize, cost: f64) -> (f64, f64) {
    let x = (jobs as f64).ln() / MAX_JOBS.ln() * (PICTURE_WIDTH - LEFT_MARGIN - RIGHT_MARGIN);
    let y = cost / MAX_COST_SECS * (PICTURE_HEIGHT - BOTTOM_MARGIN - 10.0);
    (LEFT_MARGIN + x, PICTURE_HEIGHT - BOTTOM_MARGIN - y)
}
